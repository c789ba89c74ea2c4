# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures loss and recall of the demo model under several position maps.

A reference in plain PyTorch: maps are written down as masks and positions, the
score of every pair is formed, one softmax runs over all. Rotary tables are made
in float64. Nothing here is shared with the compiler.

Figures are means over the last quarter of held-out documents. For each length,
documents are taken in the order of their seeds until they ask for enough facts
in their last quarter (more than L bytes back, where N > L), so the set does not
depend on the model. "in-window" predicts the same bytes with plain RoPE in
windows of L of which the second half counts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

import text
from model import Attention, Config, Qwen2, rotary_table, rotate

Segment = tuple[Tensor, Tensor, Tensor]
"""(owned bool [Tq, Tk], query positions [Tq], key positions [Tk])."""

Segments = Callable[[Tensor, Tensor], list[Segment]]
"""(i [Tq], j [Tk]) to segments; a causal pair that none owns is masked."""

_VALUE = re.compile(rb"(?:Note|Ask) [A-Z][a-z]{4}: ([a-z]{1,4})")
_SCORES = 1 << 21  # pairs times heads formed at once; small stays in cache


@dataclass(frozen=True)
class Map:
    name: str
    segments: Segments


def plain() -> Map:
    return Map("plain", lambda i, j: [(i[:, None] >= j, i, j)])


def sliding(w: int) -> Map:
    """Keys w or more back are masked."""
    return Map(f"sliding w={w}", lambda i, j: [(i[:, None] - j < w, i, j)])


def rerope(w: int) -> Map:
    """Keys w or more back all sit at distance w."""

    def segments(i: Tensor, j: Tensor) -> list[Segment]:
        near = i[:, None] - j < w
        return [
            (near, i, j),
            (~near, torch.full_like(i, w), torch.zeros_like(j)),
        ]

    return Map(f"ReRoPE w={w}", segments)


def self_extend(group: int, w: int) -> Map:
    """Keys w or more back share a position in groups."""

    def segments(i: Tensor, j: Tensor) -> list[Segment]:
        near = i[:, None] - j < w
        return [(near, i, j), (~near, i // group + w - w // group, j // group)]

    return Map(f"SelfExtend G={group} w={w}", segments)


def smallest_group(length: int, w: int, trained: int) -> int:
    """The smallest G with w + (N - w)/G <= 3/4 L."""
    room = 3 * trained // 4 - w
    if room < 1:
        raise ValueError(f"window must be below 3/4 L = {3 * trained // 4}, got {w}")
    return max(1, -(-(length - w) // room))


def attention(position_map: Map, length: int, config: Config, like: Tensor) -> Attention:
    """Attention under a map at ``length``, in the dtype of ``like``."""
    index = torch.arange(length)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        batch, heads, _, dim = q.shape
        share = heads // k.shape[1]
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
        rows = max(1, _SCORES // (batch * heads * length))
        out = torch.empty_like(q)
        for start in range(0, length, rows):
            end = min(start + rows, length)
            i, j = index[start:end], index[:end]
            score = q.new_full((batch, heads, end - start, end), -torch.inf)
            for owned, at_q, at_k in position_map.segments(i, j):
                owned = owned & (i[:, None] >= j)
                if not owned.any():
                    continue
                turned_q = rotate(q[:, :, start:end], table(at_q))
                turned_k = rotate(k[:, :, :end], table(at_k))
                part = turned_q @ turned_k.mT * dim**-0.5
                score = torch.where(owned, part, score)
            out[:, :, start:end] = score.softmax(-1) @ v[:, :, :end]
        return out

    def table(positions: Tensor) -> tuple[Tensor, Tensor]:
        return rotary_table(positions, config, like.dtype)

    return attend


@dataclass(frozen=True)
class Texts:
    """Documents of one length."""

    data: Tensor  # uint8 as int64 [documents, N]
    value: Tensor  # bool [documents, N]: a letter of a fact's or answer's value
    recalls: list[tuple[int, text.Recall]]  # (document, recall), last quarter

    @property
    def length(self) -> int:
        return self.data.shape[1]


def collect(seeds: range, length: int, trained: int, wanted: int) -> Texts:
    """Documents from ``seeds`` until ``wanted`` recalls lie in last quarters."""
    beyond = trained if length > trained else 0
    documents, values, recalls = [], [], []
    count = 0
    for number, seed in enumerate(seeds):
        if count >= wanted:
            break
        data, found = text.document(seed, length)
        mask = np.zeros(length, bool)
        for match in _VALUE.finditer(data.tobytes()):
            mask[match.start(1) : match.end(1)] = True
        documents.append(data.astype(np.int64))
        values.append(mask)
        late = [r for r in found if r.answer >= length - length // 4]
        recalls += [(number, r) for r in late]
        count += sum(r.distance > beyond for r in late)
    return Texts(
        torch.from_numpy(np.stack(documents)),
        torch.from_numpy(np.stack(values)),
        recalls,
    )


@torch.no_grad()
def predict(model: Qwen2, data: Tensor, position_map: Map, scored: int) -> tuple[Tensor, Tensor]:
    """Loss in nat and whether the most likely byte is right (float64 and bool
    [documents, scored]) for the last ``scored`` bytes of data [documents, T + 1].
    """
    like = model.model.embed_tokens.weight
    inputs = data[:, :-1]
    attend = attention(position_map, inputs.shape[1], model.config, like)
    losses, hits = [], []
    for piece in torch.arange(len(data)).split(max(1, 8192 // data.shape[1])):
        logits = model(inputs[piece], attend)[:, -scored:].double()
        target = data[piece, -scored:]
        losses.append(F.cross_entropy(logits.mT, target, reduction="none"))
        hits.append(logits.argmax(-1) == target)
    return torch.cat(losses), torch.cat(hits)


def in_window(model: Qwen2, texts: Texts, trained: int) -> tuple[Tensor, Tensor]:
    """``predict`` for the last quarter, in windows of L whose second half counts."""
    length, half = texts.length, trained // 2
    quarter = length // 4
    if length == trained:
        return predict(model, texts.data, plain(), quarter)
    parts = []
    for end in range(length - quarter + half, length + 1, half):
        data = texts.data[:, end - trained - 1 : end]
        parts.append(predict(model, data, plain(), half))
    losses, hits = zip(*parts, strict=True)
    return torch.cat(losses, 1), torch.cat(hits, 1)


def figures(texts: Texts, loss: Tensor, hit: Tensor, trained: int) -> dict:
    """Means over the last quarter, and recall by distance."""
    quarter = texts.length // 4
    value = texts.value[:, -quarter:]
    result = {"loss": loss.mean().item(), "text_loss": loss[~value].mean().item()}
    counts = {"near": [0, 0], "far": [0, 0]}
    for document, recall in texts.recalls:
        first = recall.answer - (texts.length - quarter)
        right = bool(hit[document, first : first + text.LETTERS].all())
        count = counts["far" if recall.distance > trained else "near"]
        count[0] += right
        count[1] += 1
    for where, (right, asked) in counts.items():
        result[f"recall_{where}"] = right / asked if asked else None
        result[f"recalls_{where}"] = asked
    return result


def write_reference(model: Qwen2, path: Path, maps: list[Map], length: int) -> None:
    """Writes a few documents and their per-byte losses in float64 arithmetic.

    tokens uint8 [4, N]; recalls int32 [n, 3]: document, first letter of the
    fact's value, first letter of the answer; per map, ``loss.NAME`` float32
    [4, N - 1] for the bytes from 1 on and ``best.NAME`` uint8 [4, N - 1], the
    most likely byte there.
    """
    model = Qwen2(model.config).double()
    model.load_state_dict(load_file(path.parent / "model.safetensors"))
    tokens, recalls = [], []
    for number, seed in enumerate(text.REPORT_SEEDS[:4]):
        data, found = text.document(seed, length)
        tokens.append(data)
        recalls += [(number, r.fact, r.answer) for r in found]
    data = torch.from_numpy(np.stack(tokens))
    result = {"tokens": data, "recalls": torch.tensor(recalls, dtype=torch.int32)}
    weight = model.model.embed_tokens.weight
    with torch.no_grad():
        for m in maps:
            attend = attention(m, length - 1, model.config, weight)
            inputs, target = data[:, :-1].long(), data[:, 1:].long()
            logits = model(inputs, attend)
            name = m.name.replace(" ", ".")
            loss = F.cross_entropy(logits.mT, target, reduction="none")
            result[f"loss.{name}"] = loss.float()
            result[f"best.{name}"] = logits.argmax(-1).to(torch.uint8)
    save_file(result, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder")
    parser.add_argument("--split", choices=("development", "report"), required=True)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1, 2, 4, 8],
                        help="multiples of L")  # fmt: skip
    parser.add_argument("--windows", type=int, nargs="+", default=[64],
                        help="w of SelfExtend")  # fmt: skip
    parser.add_argument("--rerope", type=int, nargs="+", default=[64])
    parser.add_argument("--recalls", type=int, default=320, help="at least, per N")
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--reference", action="store_true",
                        help="write reference.safetensors into the folder, and "
                        "nothing else")  # fmt: skip
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    config = Config.read(args.model / "config.json")
    trained = config.max_position_embeddings
    weights = args.model / "model.safetensors"
    model = Qwen2(config)
    model.load_state_dict(load_file(weights))
    if args.float64:
        model.double()

    def maps_at(length: int) -> list[Map]:
        maps = [plain(), sliding(trained // 2), sliding(trained)]
        maps += [rerope(w) for w in args.rerope]
        for w in args.windows:
            maps.append(self_extend(smallest_group(length, w, trained), w))
        return maps

    if args.reference:
        length = 4 * trained
        path = args.model / "reference.safetensors"
        write_reference(model, path, maps_at(length), length)
        return

    seeds = {
        "development": text.DEVELOPMENT_SEEDS,
        "report": text.REPORT_SEEDS,
    }[args.split]
    print(
        "| N | documents | map | loss | against in-window | text only | "
        "against in-window | recall <= L (n) | recall > L (n) |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for multiple in args.lengths:
        length = multiple * trained
        texts = collect(seeds, length, trained, args.recalls)
        base = None
        for m in [None, *maps_at(length)]:
            if m is None:
                loss, hit = in_window(model, texts, trained)
            else:
                loss, hit = predict(model, texts.data, m, length // 4)
            row = figures(texts, loss, hit, trained)
            base = base or row
            name = m.name if m else "in-window"
            rows.append({"length": length, "documents": len(texts.data), "map": name} | row)
            cells = [str(length), str(len(texts.data)), name]
            for key in ("loss", "text_loss"):
                cells += [f"{row[key]:.3f}", f"{row[key] - base[key]:+.3f}"]
            for where in ("near", "far"):
                share, count = row[f"recall_{where}"], row[f"recalls_{where}"]
                cells.append(f"{share:.3f} ({count})" if count else "")
            print("| " + " | ".join(cells) + " |", flush=True)
    if args.json:
        result = {
            "date": time.strftime("%Y-%m-%d"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "arithmetic": "float64" if args.float64 else "float32",
            "model_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "split": args.split,
            "first_seed": seeds.start,
            "trained_length": trained,
            "chance": text.CHANCE,
            "rows": rows,
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
