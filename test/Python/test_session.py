# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards what a caller of a loaded model relies on besides its numbers.

Batches of unequal length, going back, greedy generation and its ends, progress
and interrupts, artifacts on disk, a GPU where there is one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

# Logits are up to about 20; float32 sums in another order.
ROUNDING = 1e-4
TOLERANCE = 2e-4


def test_going_back(rw, demo_model: Path, demo_text: bytes) -> None:
    """After `truncate` the cache holds exactly what came before."""
    ids = np.frombuffer(demo_text[:120], np.uint8).astype(np.int32)
    other = np.frombuffer(demo_text[200:240], np.uint8).astype(np.int32)
    with rw.load(demo_model, rw.SelfExtend(4, 16), capacity=10) as model:
        whole = model.logits(ids)[0]
        forked = model.logits(np.concatenate([ids[:70], other]))[0]
        model.truncate(0)
        assert np.abs(model.append(ids[None], rows="all")[0] - whole).max() < ROUNDING
        model.truncate(70)
        assert model.info["length"] == 70
        assert np.abs(model.append(other[None], rows="all")[0] - forked[70:]).max() < ROUNDING
        assert model.append(ids[None, :1], rows="none") is None
        assert model.info["length"] == 111
        with pytest.raises(rw.RopewalkError, match="cannot go back to slot 112"):
            model.truncate(112)


def test_batches_of_unequal_length(rw, demo_model: Path, demo_text: bytes) -> None:
    """Padding changes nothing: each sequence of a batch is what it is alone."""
    rows = [list(demo_text[:90]), list(demo_text[100:140]), list(demo_text[7:8])]
    with rw.load(demo_model, rw.SelfExtend(4, 16)) as model:
        batch = model.logits(rows)
        assert batch.shape == (3, 90, 256)
        for row, ids in enumerate(rows):
            assert np.abs(batch[row, : len(ids)] - model.logits(ids)[0]).max() < ROUNDING
            assert (batch[row, len(ids) :] == 0).all()
        together = model.generate(rows, 12)
        assert together == [model.generate(ids, 12) for ids in rows]


def test_generation(rw, demo_model: Path) -> None:
    """Greedy continuation is the argmax of the logits, step by step; stop ids and callbacks end it."""
    prompt = list(b"Note Rodaw: ltal. Ask Rodaw: ")
    with rw.load(demo_model) as model:
        ids = list(prompt)
        for _ in range(6):
            ids.append(int(model.logits(ids)[0, -1].argmax()))
        expected = ids[len(prompt) :]
        assert bytes(expected[:5]) == b"ltal."
        assert model.generate(prompt, 6) == expected
        assert model.generate([prompt, prompt], 6) == [expected, expected]
        assert model.generate(prompt, 6, stop_ids=[ord("a")]) == list(b"lta")
        assert model.generate(prompt, 0) == []
        seen = []
        assert model.generate(prompt, 6, on_token=lambda row, token: seen.append((row, token)) or len(seen) < 2) == [
            *expected[:2]
        ]
        assert seen == [(0, expected[0]), (0, expected[1])]

        def fail(row: int, token: int) -> None:
            raise KeyError("from the callback")

        with pytest.raises(KeyError, match="from the callback"):
            model.generate(prompt, 6, on_token=fail)
        assert model.generate(prompt, 6) == expected


def test_progress_and_interrupts(rw, demo_model: Path, demo_text: bytes) -> None:
    """Progress counts up to its total; an exception in it ends the call and comes out."""
    stages: dict[str, list[tuple[int, int]]] = {}
    interrupt = False

    def progress(stage: str, done: int, total: int) -> None:
        stages.setdefault(stage, []).append((done, total))
        if interrupt and stage == "prefill":
            raise KeyboardInterrupt

    with rw.load(demo_model, progress=progress, chunk=64) as model:
        assert {"import", "compile"} <= set(stages)
        ids = list(demo_text[:256])
        before = model.score(ids)
        assert stages["prefill"][-1] == (256, 256) or stages["prefill"][-1] == (255, 255)
        assert [done for done, _ in stages["prefill"]] == sorted(done for done, _ in stages["prefill"])
        interrupt = True
        with pytest.raises(KeyboardInterrupt):
            model.score(ids)
        interrupt = False
        assert (model.score(ids) == before).all()


def test_artifact(rw, demo_model: Path, demo_text: bytes, tmp_path: Path) -> None:
    """An artifact on disk, loaded with the weights of its model, is the model."""
    position_map = rw.SelfExtend(4, 16)
    rw.compile_model(demo_model, tmp_path / "artifact", position_map=position_map, target="sm_80")
    ids = list(demo_text[:40])
    with (
        rw.load(tmp_path / "artifact", target="emulate:sm_80", weights=demo_model) as artifact,
        rw.load(demo_model, position_map) as cpu,
    ):
        assert np.abs(cpu.logits(ids) - artifact.logits(ids)).max() < TOLERANCE
    with pytest.raises(rw.RopewalkError, match=r"artifact: .*(model.safetensors|checkpoint)"):
        rw.load(tmp_path / "artifact", target="emulate:sm_80")
    with pytest.raises(rw.RopewalkError, match="an artifact has its position maps already"):
        rw.load(tmp_path / "artifact", position_map, target="emulate:sm_80")
    with pytest.raises(rw.RopewalkError, match="not on cpu"):
        rw.load(tmp_path / "artifact")


def test_cuda(rw, demo_model: Path, demo_text: bytes) -> None:
    """The same on a GPU, where there is one."""
    try:
        gpu = rw.load(demo_model, rw.SelfExtend(4, 16), target="cuda", chunk=40)
    except rw.RopewalkError as error:
        if "driver" in str(error):
            pytest.skip(str(error))
        raise
    ids = list(demo_text[:300])
    with gpu, rw.load(demo_model, rw.SelfExtend(4, 16)) as cpu:
        assert np.abs(cpu.logits(ids) - gpu.logits(ids)).max() < TOLERANCE
        assert gpu.generate(ids, 16) == cpu.generate(ids, 16)
