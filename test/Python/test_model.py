# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards whole models: chunks, decoding, batches, the demo model's figures and a model from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROUNDING = 1e-4
TRAINED = 256


@pytest.fixture(scope="module")
def ids(demo_text: bytes) -> np.ndarray:
    """A held-out text of 1024 bytes."""
    return np.frombuffer(demo_text, np.uint8).astype(np.int32)


@pytest.mark.parametrize("target", ["cpu", "emulate:sm_80"])
def test_chunks_and_decoding_equal_one_prefill(rw: SimpleNamespace, demo_model: Path, ids: np.ndarray,
                                               target: str) -> None:
    """Keys are cached un-rotated, so it must not matter when they came."""
    ids = ids[:320]
    position_map = rw.SelfExtend(group=5, window=48)
    full = rw.load(demo_model, position_map, target=target, chunk=4096, capacity=64).logits(ids[None])[0]
    chunked = rw.load(demo_model, position_map, target=target, chunk=57).logits(ids[None])[0]
    assert np.abs(chunked - full).max() < ROUNDING
    model = rw.load(demo_model, position_map, target=target)
    model.append(ids[None, :300], rows="none")
    steps = [model.append(ids[None, t : t + 1])[0] for t in range(300, 320)]
    assert np.abs(np.array(steps) - full[300:]).max() < ROUNDING


def test_score_is_the_likelihood_of_the_logits(rw: SimpleNamespace, demo_model: Path, ids: np.ndarray) -> None:
    """In nats, of each token after the first."""
    model = rw.load(demo_model, rw.SelfExtend(8, 64))
    logits = model.logits(ids[None])[0].astype(np.float64)
    rows = logits[:-1]
    expected = np.log(np.exp(rows - rows.max(-1, keepdims=True)).sum(-1)) + rows.max(-1) - rows[np.arange(1023), ids[1:]]
    assert np.abs(model.score(ids) - expected).max() < 1e-5


def test_maps_by_layer(rw: SimpleNamespace, demo_model: Path, ids: np.ndarray) -> None:
    """One map for all layers equals the same map for each; a different one for a layer does not."""
    ids = ids[None, :400]
    extended = rw.SelfExtend(4, 64)
    one = rw.load(demo_model, extended).logits(ids)
    each = rw.load(demo_model, [extended] * 4).logits(ids)
    mixed = rw.load(demo_model, [extended, extended, None, extended]).logits(ids)
    assert np.abs(one - each).max() < 1e-6
    assert np.abs(one - mixed).max() > 0.1


def test_the_effect(rw: SimpleNamespace, demo_model: Path, demo_text: bytes) -> None:
    """The demo's targets: mean loss of the last quarter of texts of 4 L, against the same bytes in windows of L."""
    import text

    texts = [text.document(seed, 4 * TRAINED)[0].astype(np.int32) for seed in range(1_000_000, 1_000_012)]
    plain, extended = rw.load(demo_model), rw.load(demo_model, rw.SelfExtend(8, 64))
    # The second half of the windows that begin at 2.5 L and 3 L is the last quarter.
    starts = (TRAINED * 5 // 2, TRAINED * 3)
    inside = np.mean([plain.score(t[start : start + TRAINED])[TRAINED // 2 - 1 :] for t in texts for start in starts])
    last = slice(3 * TRAINED - 1, None)
    assert np.mean([plain.score(t)[last] for t in texts]) > inside + 2
    assert np.mean([extended.score(t)[last] for t in texts]) < inside + 0.05


@pytest.mark.parametrize("name", ["plain", "sliding.w=128", "sliding.w=256", "ReRoPE.w=64", "SelfExtend.G=8.w=64"])
def test_loss_of_the_reference(rw: SimpleNamespace, demo_model: Path, name: str) -> None:
    """The loss of each byte, against the PyTorch evaluation in float64 that the demo model comes with."""
    safetensors = pytest.importorskip("safetensors.numpy")
    stored = safetensors.load_file(demo_model / "reference.safetensors")
    maps = {"plain": None, "sliding.w=128": rw.Sliding(128), "sliding.w=256": rw.Sliding(256),
            "ReRoPE.w=64": rw.ReRoPE(64), "SelfExtend.G=8.w=64": rw.SelfExtend(8, 64)}
    model = rw.load(demo_model, maps[name])
    for tokens, loss in zip(stored["tokens"], stored[f"loss.{name}"]):
        assert np.abs(model.score(tokens.astype(np.int32)) - loss).max() < 1e-3


@pytest.mark.parametrize(("ids", "message"), [
    (np.array([[1, 256]]), "256"),
    (np.array([[-1, 2]]), "-1"),
    (np.array([[1.5, 2.0]]), "integers"),
    (np.zeros((1, 0), np.int32), "at least one token"),
])
def test_bad_ids(rw: SimpleNamespace, demo_model: Path, ids: np.ndarray, message: str) -> None:
    """Each is refused with what is wrong, and the model works afterwards."""
    model = rw.load(demo_model)
    with pytest.raises((rw.RopewalkError, ValueError, TypeError), match=message):
        model.logits(ids)
    assert model.logits(np.array([[1, 2]])).shape == (1, 2, 256)


@pytest.mark.parametrize(("directory", "arguments", "message"), [
    ("missing", {}, "missing"),
    (None, {"target": "sm_80"}, "target"),
    (None, {"target": "emulate:sm_75"}, "sm_75"),
    (None, {"position_map": "#rope.self_extend<group = 0, window = 4>"}, "at least 1, got 0"),
    (None, {"position_map": "#rope.self_extend<group = 4>"}, "expected ','"),
    (None, {"position_map": ["#rope.identity"] * 3}, "4"),
    (None, {"dtype": "float16"}, "float16"),
])
def test_bad_loads(rw: SimpleNamespace, demo_model: Path, tmp_path: Path, directory: str | None, arguments: dict,
                   message: str) -> None:
    """Each is refused with what is wrong."""
    path = demo_model if directory is None else tmp_path / directory
    with pytest.raises((rw.RopewalkError, ValueError, TypeError, NotImplementedError), match=message):
        rw.load(path, **arguments)


def sample(model: object, count: int, inside: int, seed: int) -> np.ndarray:
    """Texts that the model samples from itself at temperature 1, `inside` tokens each, joined to `count` tokens."""
    generator = np.random.default_rng(seed)
    pieces = []
    while sum(map(len, pieces)) < count:
        tokens = [1]
        logits = model.append(np.array([[1]], np.int32))
        while len(tokens) < inside:
            row = logits[0].astype(np.float64)
            weights = np.exp(row - row.max())
            tokens.append(int(generator.choice(len(row), p=weights / weights.sum())))
            logits = model.append(np.array([[tokens[-1]]], np.int32))
        model.truncate(0)
        pieces.append(tokens)
    return np.concatenate(pieces)[:count].astype(np.int32)


def test_stories260k(rw: SimpleNamespace) -> None:
    """A trained model from elsewhere, 8 times its context: SelfExtend(16, 256) on text sampled from itself."""
    folder = os.environ.get("ROPEWALK_SHARED_MODELS")
    if not folder or not (Path(folder) / "stories260K").is_dir():
        pytest.skip("ROPEWALK_SHARED_MODELS names no folder with stories260K")
    directory = Path(folder) / "stories260K"
    plain = rw.load(directory)
    ids = sample(plain, 4097, 500, seed=1)
    far = slice(3072, 4096)
    inside = np.concatenate([plain.score(ids[start : start + 512])[256:] for start in range(0, 4096, 512)]).mean()
    lost = plain.score(ids)[far].mean()
    extended = rw.load(directory, rw.SelfExtend(16, 256)).score(ids)[far].mean()
    print(f"plain {lost:.2f}, SelfExtend {extended:.2f}, in-window {inside:.2f}")
    assert lost > 5
    assert extended < inside + 0.3
