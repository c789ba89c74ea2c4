# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards that a position map is one attribute and no kernel.

A plugin brings a map of three tiers that the tree does not know; code for the CPU and PTX for it must be right.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import BUILD, ROOT

PLUGIN = BUILD / "lib" / "ThreeTierPlugin.so"
NEAR, MIDDLE, G, H = 5, 23, 3, 7
MAP = f"#tiers.three<near = {NEAR}, middle = {MIDDLE}, g = {G}, h = {H}>"


@pytest.fixture(scope="module")
def with_plugin(rw: SimpleNamespace) -> SimpleNamespace:
    """The package with the plugin loaded, twice: that must be harmless."""
    rw.load_plugin(PLUGIN)
    rw.load_plugin(PLUGIN)
    return rw


def relative_position(i: int, j: int) -> int:
    """The definition, written down pair by pair."""
    if i - j < NEAR:
        return i - j
    if i - j < MIDDLE:
        return i // G + NEAR - NEAR // G - j // G
    return i // H + NEAR - NEAR // G + MIDDLE // G - MIDDLE // H - j // H


def expected_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, theta: float, first: int) -> np.ndarray:
    """Float64, one pair at a time: key rotated by minus the relative position against an un-rotated query."""
    batch, heads, rows, dim = q.shape
    frequencies = theta ** (-np.arange(0, dim, 2) / dim)
    output = np.zeros(q.shape)
    for b in range(batch):
        for h in range(heads):
            kv = h // (heads // k.shape[1])
            for r in range(rows):
                i = first + r
                scores = []
                for j in range(i + 1):
                    angle = relative_position(i, j) * frequencies
                    x, y = k[b, kv, j, : dim // 2], k[b, kv, j, dim // 2 :]
                    turned = np.concatenate([x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)])
                    scores.append(q[b, h, r] @ turned / np.sqrt(dim))
                weights = np.exp(np.array(scores) - max(scores))
                output[b, h, r] = weights / weights.sum() @ v[b, kv, : i + 1]
    return output


@pytest.mark.parametrize("target", ["cpu", "emulate:sm_80", "emulate:sm_90a"])
@pytest.mark.parametrize(("rows", "slots"), [(70, 70), (1, 61), (17, 64)])
def test_attention(with_plugin: SimpleNamespace, target: str, rows: int, slots: int) -> None:
    """Prefill, decode and a chunk."""
    generator = np.random.default_rng(rows)
    q = generator.standard_normal((2, 4, rows, 16))
    k, v = generator.standard_normal((2, 2, 2, slots, 16))
    output = with_plugin.attention(
        q.astype(np.float32), k.astype(np.float32), v.astype(np.float32), position_map=with_plugin.Segments(MAP),
        rotary=with_plugin.Rotary(500.0), query_offset=slots - rows, target=target)
    assert np.abs(output - expected_attention(q, k, v, 500.0, slots - rows)).max() < 1e-5


def test_model(with_plugin: SimpleNamespace, demo_model: Path, demo_text: bytes) -> None:
    """A whole model: its PTX agrees with the CPU, and neither is plain attention."""
    ids = np.frombuffer(demo_text, np.uint8)[None, :200].astype(np.int32)
    position_map = with_plugin.Segments(MAP)
    cpu = with_plugin.load(demo_model, position_map=position_map).logits(ids)
    ptx = with_plugin.load(demo_model, position_map=position_map, target="emulate:sm_80").logits(ids)
    plain = with_plugin.load(demo_model).logits(ids)
    assert np.abs(cpu - ptx).max() < 2e-4
    assert np.abs(cpu - plain).max() > 0.1


def test_driver(demo_model: Path, tmp_path: Path) -> None:
    """The command line takes plugins too."""
    driver = [BUILD / "bin" / "ropewalk", f"--load-dialect-plugin={PLUGIN}"]
    subprocess.run([*driver, "compile", demo_model, "--target", "sm_90a", "--map", MAP, "-o", tmp_path / "out"], check=True)
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("path", ["/nonexistent/plugin.so", str(ROOT / "README.md"), os.devnull])
def test_what_is_no_plugin_is_refused(rw: SimpleNamespace, path: str) -> None:
    """With the path and the reason."""
    with pytest.raises(rw.RopewalkError, match=f"plugin '{path}'"):
        rw.load_plugin(path)


def test_unknown_dialect(rw: SimpleNamespace, demo_model: Path) -> None:
    """Without its plugin a map is an error."""
    with pytest.raises(rw.RopewalkError, match="nowhere"):
        rw.load(demo_model, position_map=rw.Segments("#nowhere.map<near = 4>"))
