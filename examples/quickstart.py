# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Shows a model fail past its trained length, and work there after Ropewalk.

The demo model was trained on texts of L = 256 bytes. It reads held-out texts of
4 L under several position maps; facts named early are asked for later. Writes
the loss by position as a picture and compiles the extended model to PTX.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import ropewalk

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples" / "demo-model"
TRAINED = 256
LENGTH = 4 * TRAINED
GROUP, WINDOW = 8, 64
FIRST_SEED = 70_000  # seeds of the held-out texts shown here

sys.path.insert(0, str(ROOT / "python" / "demo"))
import text  # noqa: E402  the generator of the texts, NumPy only


def log_likelihood(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Negative log likelihood in nats of each token after the first.

    logits float32 [S, V], ids [S]; returns float64 [S - 1].
    """
    rows = logits[:-1].astype(np.float64)
    rows -= rows.max(axis=-1, keepdims=True)
    return np.log(np.exp(rows).sum(axis=-1)) - rows[np.arange(len(rows)), ids[1:]]


def measure(model: object, documents: list) -> tuple[np.ndarray, int, int]:
    """Mean loss by position, and how many facts from more than L back were recalled.

    Only the last quarter of a text counts for recall. Returns (float64
    [LENGTH - 1], recalled, asked).
    """
    losses, recalled, asked = [], 0, 0
    for ids, recalls in documents:
        logits = model.logits(ids[None])[0]
        losses.append(log_likelihood(logits, ids))
        guess = logits.argmax(axis=-1)
        for recall in recalls:
            if recall.answer < LENGTH * 3 // 4 or recall.distance <= TRAINED:
                continue
            if recall.answer + len(recall.value) > LENGTH:
                continue
            asked += 1
            span = np.arange(recall.answer, recall.answer + len(recall.value))
            recalled += bool((guess[span - 1] == ids[span]).all())
    return np.mean(losses, axis=0), recalled, asked


def draw(path: Path, curves: dict[str, np.ndarray]) -> None:
    """Loss against position, smoothed over 32 positions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    for name, loss in curves.items():
        smooth = np.convolve(loss, np.ones(32) / 32, mode="valid")
        axes.plot(np.arange(len(smooth)) + 16, smooth, label=name)
    axes.axvline(TRAINED, color="grey", linestyle=":", label=f"trained length {TRAINED}")
    axes.set_xlabel("position (bytes)")
    axes.set_ylabel("loss (nats per byte)")
    axes.set_title("A model read past its trained length")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def show_continuation(models: dict[str, object], documents: list) -> None:
    """Continues one text under two maps."""
    ids = documents[0][0][: LENGTH - 64]
    print(f"\nA text of {len(ids)} bytes that ends in\n    ...{bytes(ids[-70:].astype(np.uint8)).decode()!r}\nis continued by")
    for name, model in models.items():
        tokens = model.generate(ids, max_new_tokens=72)
        print(f"    {name + ':':<12}{bytes(np.asarray(tokens).astype(np.uint8)).decode(errors='replace')!r}")


def main() -> int:
    """Prints the table, the continuations and what to try next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "quickstart", help="where pictures and PTX go")
    parser.add_argument("--texts", type=int, default=6, help="number of held-out texts")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()

    documents = []
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.texts):
        data, recalls = text.document(seed, LENGTH)
        documents.append((data.astype(np.int32), recalls))
    maps = {
        "plain": ropewalk.Identity(),
        f"sliding {TRAINED // 2}": ropewalk.Sliding(TRAINED // 2),
        f"sliding {TRAINED}": ropewalk.Sliding(TRAINED),
        "ReRoPE": ropewalk.ReRoPE(WINDOW),
        "SelfExtend": ropewalk.SelfExtend(GROUP, WINDOW),
    }
    print(f"The demo model, trained on {TRAINED} bytes, reads {arguments.texts} held-out texts of {LENGTH} bytes.")
    print(f"SelfExtend: group {GROUP}, window {WINDOW}. Loss in nats per byte, by position; recall of facts named more")
    print(f"than {TRAINED} bytes before (all 4 letters right; chance is 1 in 456,976), asked in the last quarter.\n")
    edges = [16, TRAINED, 2 * TRAINED, 3 * TRAINED, LENGTH - 1]
    spans = list(zip(edges, edges[1:]))
    print(f"{'map':<14}" + "".join(f"{f'{low}-{high}':>11}" for low, high in spans) + f"{'recall':>14}")
    models, curves = {}, {}
    for name, position_map in maps.items():
        model = ropewalk.load(MODEL, position_map=position_map)
        loss, recalled, asked = measure(model, documents)
        models[name], curves[name] = model, loss
        print(f"{name:<14}" + "".join(f"{loss[low:high].mean():>11.2f}" for low, high in spans)
              + f"{f'{recalled} of {asked}':>14}", flush=True)
    print("\nBy loss alone a sliding window looks as good; recall tells them apart.")
    show_continuation({name: models[name] for name in ("plain", "SelfExtend")}, documents)

    picture = arguments.out / "loss.png"
    try:
        draw(picture, curves)
        print(f"\nLoss by position: {picture}")
    except ImportError:
        print("\nNo picture: matplotlib is not installed")
    artifact = arguments.out / "demo-sm_80"
    subprocess.run([ROOT / "build" / "bin" / "ropewalk", "compile", MODEL, "--target", "sm_80", "--method", "self_extend",
                    "--group", str(GROUP), "--window", str(WINDOW), "-o", artifact], check=True)
    print(f"PTX of the whole graph, prefill and decode: {', '.join(str(path) for path in sorted(artifact.glob('*.ptx')))}")
    tool = "build/bin/ropewalk"
    demo = "examples/demo-model"
    print(f"""
Next, from {ROOT}:
    {tool} inspect {artifact.relative_to(ROOT) if artifact.is_relative_to(ROOT) else artifact}
    {tool} run {demo} --prompt "Note Rodaw: ltal. Ask Rodaw: " --method self_extend --group {GROUP} --window {WINDOW}
    {tool}-opt --help | grep -A3 rope-          # the passes, on your own graphs
({time.monotonic() - start:.0f} s)""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
