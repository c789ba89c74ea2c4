# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards ropewalk.mutate: rows of small kernels, comparisons, and refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulate_ptx import line_of, module

# y[i] = x[63 - i], through shared memory; the second barrier is not needed.
REVERSE = module(".param .u64 x, .param .u64 y", """
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %d3, %r1, 4;
  add.s64 %d4, %d1, %d3;
  ld.global.f32 %f1, [%d4];
  mov.u32 %r2, data;
  shl.b32 %r3, %r1, 2;
  add.u32 %r3, %r2, %r3;
  st.shared.f32 [%r3], %f1;
  bar.sync 0;
  xor.b32 %r4, %r1, 63;
  shl.b32 %r4, %r4, 2;
  add.u32 %r4, %r2, %r4;
  ld.shared.f32 %f2, [%r4];
  bar.sync 1;
  add.s64 %d5, %d2, %d3;
  st.global.f32 [%d5], %f2;
""", name="reverse", before=".shared .align 4 .b8 data[256];")

# Adds x[0] to y[0] from every thread, in the order of the schedule.
ADD = module(".param .u64 x, .param .u64 y", """
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %d3, %r1, 4;
  add.s64 %d1, %d1, %d3;
  ld.global.f32 %f1, [%d1];
  atom.acq_rel.gpu.global.add.f32 %f2, [%d2], %f1;
""", name="add")


def test_rows(rw: SimpleNamespace) -> None:
    """All fields of all rows, and arrays that are as before."""
    x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    result = rw.mutate(REVERSE, "reverse", 1, 64, [x, y])
    assert [(each.line, each.text, each.mutation, each.outcome, each.kind, each.seed) for each in result.mutants] == [
        (line_of(REVERSE, "bar.sync 0"), "bar.sync 0;", "deleted", "reported", "uninitialized-memory", 0),
        (line_of(REVERSE, "bar.sync 1"), "bar.sync 1;", "deleted", "unnoticed", None, None),
    ]
    assert "no thread has written these bytes" in result.mutants[0].detail
    assert result.unnoticed == [result.mutants[1]]
    assert result.summary == {"reported": 1, "deadlock": 0, "wrong result": 0, "unnoticed": 1, "invalid": 0,
                              "not executed": 0}
    assert "reported: uninitialized-memory" in str(result) and "1 unnoticed" in str(result)
    # Nothing has run on the arrays.
    assert not y.any()


def test_tolerance_is_for_floats(rw: SimpleNamespace) -> None:
    """5 and 0 differ by as much as a tolerance of 1 allows; the bits of integers may not differ."""
    x, y = np.full(64, 5, np.float32), np.zeros(64, np.float32)
    checks = {"check_races": False, "check_uninitialized_memory": False}

    def outcome(**arguments: Any) -> str:
        args = [x, arguments.pop("y", y)]
        return rw.mutate(REVERSE, None, 1, 64, args, **checks, **arguments).mutants[0].outcome

    assert outcome() == "wrong result"
    assert outcome(tolerance=4.5 / 5) == "wrong result"
    assert outcome(tolerance=1) == "unnoticed"
    assert outcome(tolerance=1, y=np.zeros(64, np.int32)) == "wrong result"


def test_results_that_depend_on_the_schedule(rw: SimpleNamespace) -> None:
    """A sum in the order of the schedule is no result to compare with, unless by a tolerance."""
    x, y = np.random.default_rng(0).normal(size=256).astype(np.float32), np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="the kernel's own results depend on the schedule: under seed 1"):
        rw.mutate(ADD, "add", 1, 256, [x, y])
    result = rw.mutate(ADD, "add", 1, 256, [x, y], tolerance=1e-5)
    assert [each.mutation for each in result.mutants] == [".acq_rel -> .relaxed", ".gpu -> .cta"]


def test_kernels_at_fault(rw: SimpleNamespace) -> None:
    """The kernel itself has to end well; its report comes as from a launch."""
    x, y = rw.uninitialized(64), np.zeros(64, np.float32)
    with pytest.raises(rw.EmulationError) as caught:
        rw.mutate(REVERSE, "reverse", 1, 64, [x, y])
    assert caught.value.kind == "uninitialized-memory" and caught.value.argument == "x"


@pytest.mark.parametrize(("arguments", "error", "message"), [
    ({"seeds": 0}, ValueError, "seeds: expected an integer from 1 to"),
    ({"seeds": 1.5}, TypeError, "seeds: expected an integer"),
    ({"tolerance": -1}, ValueError, "tolerance: expected a number of at least 0"),
    ({"tolerance": float("nan")}, ValueError, "tolerance"),
    ({"tolerance": "x"}, TypeError, "tolerance: expected a number"),
    ({"entry": "other"}, ValueError, "entry: the module has no 'other'"),
    ({"entry": 3}, TypeError, "entry: expected a name or None"),
    ({"ptx_text": 3}, TypeError, "ptx_text: expected a text"),
    ({"ptx_text": "bar"}, ValueError, "1:1: "),
    ({"args": []}, ValueError, "args: entry 'reverse' has 2 parameters"),
    ({"block": 0}, ValueError, "block: expected one to three integers"),
])
def test_bad_values(
    rw: SimpleNamespace, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Every argument says what it expects."""
    y = np.zeros(64, np.float32)
    values = {"ptx_text": REVERSE, "entry": "reverse", "grid": 1, "block": 64, "args": [y, y.copy()], **arguments}
    with pytest.raises(error, match=message):
        rw.mutate(**values)
