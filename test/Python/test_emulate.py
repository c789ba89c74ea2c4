# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards ropewalk.emulate: arguments, results against NumPy, reports, refusals and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import BUILD, ROOT


@pytest.fixture(scope="module")
def em() -> SimpleNamespace:
    """The package, with the emulator's library. It needs nothing of the compiler."""
    if not (BUILD / "lib" / "libropewalk-emulator.so").is_file():
        pytest.skip("libropewalk-emulator.so is not built")
    import ropewalk

    return ropewalk


def module(parameters: str, body: str, *, target: str = "sm_80", version: str = "8.0", name: str = "k",
           before: str = "") -> str:
    """A module with one entry."""
    return f""".version {version}
.target {target}
.address_size 64
{before}
.visible .entry {name}({parameters})
{{
  .reg .pred %p<8>;
  .reg .b16 %h<8>;
  .reg .b32 %r<32>;
  .reg .f32 %f<8>;
  .reg .b64 %d<16>;
{body}
  ret;
}}
"""


# %r1: index of the thread in a grid of one dimension; %d8: four times that.
INDEX = """  mov.u32 %r20, %ctaid.x;
  mov.u32 %r21, %ntid.x;
  mov.u32 %r22, %tid.x;
  mad.lo.s32 %r1, %r20, %r21, %r22;
  mul.wide.u32 %d8, %r1, 4;
"""

SAXPY = module(".param .u64 x, .param .u64 y, .param .f32 a, .param .u32 n", INDEX + """
  ld.param.u32 %r2, [n];
  setp.ge.u32 %p1, %r1, %r2;
  @%p1 bra done;
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  ld.param.f32 %f1, [a];
  add.s64 %d1, %d1, %d8;
  add.s64 %d2, %d2, %d8;
  ld.global.f32 %f2, [%d1];
  ld.global.f32 %f3, [%d2];
  fma.rn.f32 %f4, %f1, %f2, %f3;
  st.global.f32 [%d2], %f4;
done:
""", name="saxpy")

# y[i] = x[i] + 1
INCREMENT = module(".param .u64 x, .param .u64 y", INDEX + """
  ld.param.u64 %d1, [x];
  ld.param.u64 %d2, [y];
  add.s64 %d1, %d1, %d8;
  add.s64 %d2, %d2, %d8;
  ld.global.u32 %r2, [%d1];
  add.u32 %r2, %r2, 1;
  st.global.u32 [%d2], %r2;
""")

# out[block] = sum of a block's elements, through dynamic shared memory. The barrier
# of the loop can be left out.
SUM_BODY = INDEX + """
  ld.param.u64 %d1, [x];
  add.s64 %d1, %d1, %d8;
  ld.global.u32 %r2, [%d1];
  shl.b32 %r3, %r22, 2;
  mov.u32 %r4, buffer;
  add.u32 %r4, %r4, %r3;
  st.shared.u32 [%r4], %r2;
  bar.sync 0;
  shr.u32 %r5, %r21, 1;
loop:
  setp.eq.u32 %p1, %r5, 0;
  @%p1 bra write;
  setp.ge.u32 %p2, %r22, %r5;
  @%p2 bra next;
  shl.b32 %r6, %r5, 2;
  add.u32 %r6, %r4, %r6;
  ld.shared.u32 %r7, [%r6];
  ld.shared.u32 %r8, [%r4];
  add.u32 %r8, %r8, %r7;
  st.shared.u32 [%r4], %r8;
next:
  bar.sync 0;
  shr.u32 %r5, %r5, 1;
  bra loop;
write:
  setp.ne.u32 %p3, %r22, 0;
  @%p3 bra done;
  ld.param.u64 %d2, [out];
  mul.wide.u32 %d3, %r20, 4;
  add.s64 %d2, %d2, %d3;
  ld.shared.u32 %r9, [%r4];
  st.global.u32 [%d2], %r9;
done:
"""
SUM_PARAMETERS = ".param .u64 x, .param .u64 out"
SHARED = ".extern .shared .align 16 .b8 buffer[];"
SUM = module(SUM_PARAMETERS, SUM_BODY, before=SHARED)


def store(parameter: str, load: str, size: int) -> str:
    """A kernel that writes its second parameter to the first."""
    register = {1: "%r1", 2: "%h1", 4: "%r1", 8: "%d2"}[size]
    return module(f".param .u64 out, .param {parameter} v", f"""
  ld.param.u64 %d1, [out];
  ld.param.{load} {register}, [v];
  st.global.{load} [%d1], {register};
""")


# --- Results ---------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3, 0])
def test_saxpy(em: SimpleNamespace, threads: int) -> None:
    """Against NumPy, with a last block that is not full; counters do not depend on threads."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 1000)).astype(np.float32)
    expected = np.float32(np.float64(1.5) * x + y.astype(np.float64))
    result = em.emulate(SAXPY, "saxpy", 4, 256, [x, y, 1.5, 1000], threads=threads)
    assert np.array_equal(y, expected)
    counters = result.counters
    # 1000 floats are 31 full warps and one of 8 lanes.
    assert counters["blocks"] == 4 and counters["warps"] == 32
    assert counters["global_load_bytes"] == 2 * 4000 and counters["global_store_bytes"] == 4000
    assert counters["global_load_sectors"] == 2 * 125 and counters["divergent_branches"] == 1
    assert counters["classes"]["float32"] == {"warps": 32, "lanes": 1000}
    assert "warp_instructions" in result.text and str(result) == result.text and result.profile == []


def test_several_dimensions(em: SimpleNamespace) -> None:
    """Blocks and threads of three dimensions, each by its place."""
    body = """
  mov.u32 %r1, %ctaid.z; mov.u32 %r2, %nctaid.y; mov.u32 %r3, %ctaid.y; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ctaid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %ntid.z; mov.u32 %r3, %tid.z; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %ntid.y; mov.u32 %r3, %tid.y; mad.lo.u32 %r1, %r1, %r2, %r3;
  mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r1, %r1, %r2, %r3;
  ld.param.u64 %d1, [out]; mul.wide.u32 %d2, %r1, 4; add.s64 %d1, %d1, %d2;
  mov.u32 %r4, %ctaid.z; mov.u32 %r5, %tid.y; mad.lo.u32 %r4, %r4, 100, %r5;
  st.global.u32 [%d1], %r4;
"""
    out = em.uninitialized((4, 3, 2, 2, 3, 5), np.uint32)
    em.emulate(module(".param .u64 out", body), None, (2, 3, 4), (5, 3, 2), [out])
    z, y = np.arange(4), np.arange(3)
    expected = np.broadcast_to((100 * z)[:, None, None, None, None, None] + y[:, None], out.shape)
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_sum_in_shared_memory(em: SimpleNamespace, seed: int) -> None:
    """Whatever order warps run in."""
    x = np.random.default_rng(2).integers(0, 1 << 20, 5 * 128, dtype=np.uint32)
    out = em.uninitialized(5, np.uint32)
    result = em.emulate(SUM, "k", 5, 128, [x, out], shared=512, schedule_seed=seed)
    assert np.array_equal(out, x.reshape(5, 128).sum(1, dtype=np.uint32))
    assert result.counters["barriers"] == 5 * 4 * 8


def test_arrays_of_any_shape(em: SimpleNamespace) -> None:
    """Axes do not matter, nor does an offset in memory; arrays of no element have an address."""
    x = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    y = np.zeros(40, np.int32)[8:32]
    em.emulate(INCREMENT, "k", 1, 24, [x, y])
    assert np.array_equal(y, x.reshape(-1) + 1)
    with pytest.raises(em.EmulationError, match="buffer of 0 bytes"):
        em.emulate(INCREMENT, "k", 1, 1, [np.empty(0, np.int32), y])
    scalar = np.array(5, np.int32)
    em.emulate(INCREMENT, "k", 1, 1, [scalar, scalar])
    assert scalar == 6


def test_tensors_of_torch(em: SimpleNamespace) -> None:
    """On the CPU, in place; bfloat16 too."""
    torch = pytest.importorskip("torch")
    x, y = torch.arange(32, dtype=torch.int32), torch.zeros(32, dtype=torch.int32)
    em.emulate(INCREMENT, "k", 1, 32, [x, y])
    assert torch.equal(y, x + 1)
    one, two = torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16)
    em.emulate(INCREMENT, "k", 1, 1, [one, two])
    assert two.view(torch.int16).tolist() == [0x3F81, 0x3F80]
    with pytest.raises(ValueError, match=r"args\[0\] \(x\): expected a contiguous tensor"):
        em.emulate(INCREMENT, "k", 1, 8, [x.view(4, 8).T, y])


# --- Buffers ---------------------------------------------------------------------


def test_one_array_twice_is_one_buffer(em: SimpleNamespace) -> None:
    """The kernel sees its own writes, and the array is updated once."""
    x = np.arange(64, dtype=np.int32)
    em.emulate(INCREMENT, "k", 1, 64, [x, x])
    assert np.array_equal(x, np.arange(64) + 1)


def test_views_that_overlap_share(em: SimpleNamespace) -> None:
    """A shift by one element, in one thread so that the order is fixed: the first value spreads."""
    body = """
  ld.param.u64 %d1, [x]; ld.param.u64 %d2, [y];
  mov.u32 %r1, 0;
loop:
  ld.global.u32 %r2, [%d1]; st.global.u32 [%d2], %r2;
  add.s64 %d1, %d1, 4; add.s64 %d2, %d2, 4; add.u32 %r1, %r1, 1;
  setp.lt.u32 %p1, %r1, 9;
  @%p1 bra loop;
"""
    x = np.arange(10, dtype=np.int32)
    em.emulate(module(".param .u64 x, .param .u64 y", body), None, 1, 1, [x[:9], x[1:]])
    assert (x == 0).all()
    # The other way round it is a copy to the left.
    x = np.arange(10, dtype=np.int32)
    em.emulate(module(".param .u64 x, .param .u64 y", body), None, 1, 1, [x[1:], x[:9]])
    assert x.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_views_that_do_not_overlap_have_bounds_of_their_own(em: SimpleNamespace) -> None:
    """What lies beside a view in its base array is out of bounds."""
    x = np.arange(64, dtype=np.int32)
    with pytest.raises(em.EmulationError, match="past the end of the buffer of 128 bytes"):
        em.emulate(INCREMENT, "k", 1, 33, [x[:32], x[32:]])
    assert np.array_equal(x, np.arange(64))


def test_read_only_arrays(em: SimpleNamespace) -> None:
    """They are inputs; a kernel that changes one is told with the element."""
    x, y = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    x.flags.writeable = False
    em.emulate(INCREMENT, "k", 1, 64, [x, y])
    assert np.array_equal(y, x + 1)
    y[:] = np.arange(64) + 1
    y[5] = 100
    y.flags.writeable = False
    with pytest.raises(em.EmulationError) as caught:
        em.emulate(INCREMENT, "k", 1, 64, [x, y])
    assert caught.value.kind == "read-only-write" and caught.value.argument == "y"
    assert "element 5 of the read-only array 'y'" in str(caught.value)
    assert y[5] == 100
    # A read-only view of an array that the kernel may change is no promise.
    z = np.arange(64, dtype=np.int32)
    view = z[:]
    view.flags.writeable = False
    em.emulate(INCREMENT, "k", 1, 64, [view, z])
    assert np.array_equal(z, np.arange(64) + 1)


def test_uninitialized_arrays(em: SimpleNamespace) -> None:
    """Reads before writes are reported, in views too, unless that is switched off; a launch ends the state."""
    y = np.zeros(64, np.int32)
    for given in (em.uninitialized(64, np.int32), em.uninitialized((2, 64), np.int32)[1]):
        for _ in range(2):
            with pytest.raises(em.EmulationError) as caught:
                em.emulate(INCREMENT, "k", 1, 64, [given, y])
            assert caught.value.kind == "uninitialized-memory" and caught.value.argument == "x"
    x = em.uninitialized(64, np.int32)
    em.emulate(INCREMENT, "k", 1, 64, [x, y], check_uninitialized_memory=False)
    x = em.uninitialized(64, np.int32)
    em.emulate(INCREMENT, "k", 1, 32, [y, x])
    em.emulate(INCREMENT, "k", 1, 64, [x, y])
    assert x[32:].tolist() == [0] * 32
    # np.empty is not tracked: NumPy has no such state.
    em.emulate(INCREMENT, "k", 1, 64, [np.empty(64, np.int32), y])


def test_arrays_stay_as_they_were_on_a_fault(em: SimpleNamespace) -> None:
    """Half a result is none."""
    x, y = np.arange(64, dtype=np.int32), np.zeros(40, np.int32)
    with pytest.raises(em.EmulationError):
        em.emulate(INCREMENT, "k", 2, 32, [x, y])
    assert (y == 0).all()


@pytest.mark.parametrize(("array", "message"), [
    (np.zeros((8, 8), np.int32).T, r"args\[1\] \(y\): expected a C-contiguous array, got strides \(4, 32\)"),
    (np.zeros(64, np.int32)[::2], "C-contiguous"),
    (np.zeros(64, object), r"args\[1\] \(y\): expected an array of numbers, got elements of object"),
    (np.zeros(4, "U3"), "expected an array of numbers"),
    (np.zeros(64, ">i4"), "byte order"),
    ([1, 2, 3], r"args\[1\] \(y\): expected an array, a TensorMap, a number, bytes or None, got list"),
])
def test_arrays_that_are_refused(em: SimpleNamespace, array: object, message: str) -> None:
    """With the parameter's name and what to do."""
    with pytest.raises((TypeError, ValueError), match=message):
        em.emulate(INCREMENT, "k", 1, 1, [np.zeros(64, np.int32), array])


# --- Values ----------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "value", "expected"), [
    ("u8", 255, np.uint8(255)), ("s8", -128, np.int8(-128)), ("b8", -1, np.uint8(255)), ("u8", True, np.uint8(1)),
    ("u16", 65535, np.uint16(65535)), ("s16", -32768, np.int16(-32768)), ("b16", 65535, np.int16(-1)),
    ("u32", 2**32 - 1, np.uint32(2**32 - 1)), ("s32", -(2**31), np.int32(-(2**31))), ("b32", 2**32 - 1, np.int32(-1)),
    ("u64", 2**64 - 1, np.uint64(2**64 - 1)), ("s64", -(2**63), np.int64(-(2**63))), ("b64", -2, np.int64(-2)),
    ("f32", 0.1, np.float32(0.1)), ("f32", 3, np.float32(3)), ("f64", 0.1, np.float64(0.1)),
    ("f32", float("inf"), np.float32(np.inf)),
    ("f16", 0.5, np.float16(0.5)),
    ("u32", np.float32(1.5), np.float32(1.5)), ("f64", np.int64(7), np.int64(7)), ("u16", np.float16(2), np.float16(2)),
    ("u8", np.bool_(True), np.bool_(True)), ("u64", np.complex64(1 + 2j), np.complex64(1 + 2j)),
    ("u32", b"\x01\x02\x03\x04", np.uint32(0x04030201)), ("u64", bytearray(b"12345678"), np.frombuffer(b"12345678", np.uint64)[0]),
    ("u64", None, np.uint64(0)),
])
def test_values(em: SimpleNamespace, kind: str, value: object, expected: np.generic) -> None:
    """Each type at its limits, bit by bit."""
    out = np.zeros(1, expected.dtype)
    size = expected.dtype.itemsize
    em.emulate(store("." + kind, f"b{size * 8}" if size > 1 else "u8", size), None, 1, 1, [out, value])
    assert out[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize(("kind", "value", "error", "message"), [
    ("u32", -1, ValueError, r"args\[1\] \(v\): -1 is out of the range of u32, 0 to 4294967295"),
    ("s32", 2**31, ValueError, "out of the range of s32, -2147483648 to 2147483647"),
    ("b32", 2**32, ValueError, "out of the range of b32, -2147483648 to 4294967295"),
    ("u64", 2**64, ValueError, "out of the range of u64"),
    ("f32", 1e39, ValueError, r"args\[1\] \(v\): 1e\+39 is out of the range of f32"),
    ("u32", 1.5, TypeError, r"args\[1\] \(v\): the parameter is of type u32; expected an integer or a NumPy scalar"),
    ("b32", 1.5, TypeError, "NumPy scalar"),
    ("u32", np.int64(1), TypeError, r"args\[1\] \(v\): np.int64\(1\) has 8 bytes, the parameter has 4 of type u32"),
    ("f64", np.float32(1), TypeError, r"np.float32\(1.0\) has 4 bytes, the parameter has 8 of type f64"),
    ("u32", b"123", TypeError, r"args\[1\] \(v\): got 3 bytes, the parameter has 4 of type u32"),
    ("u32", np.zeros(4), TypeError, r"args\[1\] \(v\): expected a value for 4 bytes of type u32, got an array, which is"),
    ("f64", np.zeros(4), TypeError, "expected a value for 8 bytes of type f64, got an array"),
    ("u32", None, TypeError, "expected a value for 4 bytes of type u32, got None"),
    ("u64", "text", TypeError, r"args\[1\] \(v\): expected an array, a TensorMap, a number, bytes or None, got str"),
    ("u64", np.str_("text"), TypeError, "expected a number"),
    ("u64", np.datetime64(3, "s"), TypeError, "expected a number"),
])
def test_values_that_do_not_fit(em: SimpleNamespace, kind: str, value: object, error: type, message: str) -> None:
    """Each is refused with the name of the parameter, before anything runs."""
    text = module(f".param .u64 out, .param .{kind} v", "")
    with pytest.raises(error, match=message):
        em.emulate(text, None, 1, 1, [np.zeros(1), value])


def test_structures_by_value(em: SimpleNamespace) -> None:
    """Bytes of the parameter's size; a number has no meaning there."""
    text = module(".param .u64 out, .param .align 4 .b8 v[12]", """
  ld.param.u64 %d1, [out];
  ld.param.u32 %r1, [v+8];
  st.global.u32 [%d1], %r1;
""")
    out = np.zeros(1, np.uint32)
    em.emulate(text, None, 1, 1, [out, np.array([1, 2, 77], np.uint32).tobytes()])
    assert out[0] == 77
    with pytest.raises(TypeError, match=r"args\[1\] \(v\): the parameter has 12 bytes of type b8; give bytes of that size"):
        em.emulate(text, None, 1, 1, [out, 5])
    with pytest.raises(TypeError, match="got 8 bytes, the parameter has 12"):
        em.emulate(text, None, 1, 1, [out, bytes(8)])


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"args": [1]}, ValueError, r"args: entry 'k' has 2 parameters \(x, y\), got 1 arguments"),
    ({"args": "ab"}, TypeError, "args: expected a list with one value for each parameter, got str"),
    ({"args": np.zeros(2)}, TypeError, "args: expected a list"),
    ({"grid": 0}, ValueError, "grid: expected one to three integers of at least 1, got 0"),
    ({"grid": (1, 2, 3, 4)}, ValueError, "grid"),
    ({"grid": 1.5}, TypeError, "grid: expected an integer, or up to three of them, got 1.5"),
    ({"block": (32, -1)}, ValueError, "block"),
    ({"block": "32"}, TypeError, "block"),
    ({"cluster": 0}, ValueError, "cluster"),
    ({"shared": -1}, ValueError, "shared: expected an integer of at least 0, got -1"),
    ({"shared": 1.5}, TypeError, "shared: expected an integer, got 1.5"),
    ({"threads": 2000}, ValueError, "key 'threads' is 2000, more than 1024"),
    ({"threads": -1}, ValueError, "threads"),
    ({"schedule_seed": -1}, ValueError, "schedule_seed"),
    ({"instruction_budget": "x"}, TypeError, "instruction_budget"),
    ({"entry": "other"}, ValueError, "entry: the module has no 'other', but k"),
    ({"entry": 3}, TypeError, "entry: expected a name or None, got 3"),
    ({"chip": "sm_70"}, ValueError, "cannot run 'sm_80' on 'sm_70': the code is for a later chip"),
    ({"chip": "volta"}, ValueError, "volta"),
    ({"chip": 80}, TypeError, "chip"),
    ({"ptx_text": 5}, TypeError, "ptx_text: expected a text, got int"),
])
def test_calls_that_are_wrong(em: SimpleNamespace, changes: dict, error: type, message: str) -> None:
    """Each argument of the call itself."""
    x = np.zeros(64, np.int32)
    call = {"ptx_text": INCREMENT, "entry": "k", "grid": 1, "block": 1, "args": [x, x], **changes}
    with pytest.raises(error, match=message):
        em.emulate(**call)


def test_the_entry_is_chosen(em: SimpleNamespace) -> None:
    """By name where there are several."""
    def entry(name: str, value: int) -> str:
        return f".visible .entry {name}(.param .u64 out) {{ .reg .b64 %d1; ld.param.u64 %d1, [out]; st.global.u32 [%d1], {value}; ret; }}\n"

    head = ".version 8.0\n.target sm_80\n.address_size 64\n"
    both, out = head + entry("one", 1) + entry("two", 2), np.zeros(1, np.int32)
    em.emulate(both, "two", 1, 1, [out])
    assert out[0] == 2
    with pytest.raises(ValueError, match=r"entry: the module has 2 entries \(one, two\); name one"):
        em.emulate(both, None, 1, 1, [out])
    with pytest.raises(ValueError, match="the module has 0 entries"):
        em.emulate(head, None, 1, 1, [])
    with pytest.raises(ValueError, match="but no entries"):
        em.emulate(head, "k", 1, 1, [])


@pytest.mark.parametrize(("text", "message"), [
    ("", r"^1:1: expected '.version' at the start of the module, found the end of the text"),
    (module(".param .u64 x", "  frobnicate.u32 %r1, %r2;"), r"^12:3: instruction 'frobnicate.u32' is not supported"),
    (module(".param .u64 x", "  add.u32 %r1, %q2, 1;"), r"^12:16: .*q2"),
    (module(".param .u64 x", "  add.u32 %r1, %r2"), r"^1[234]:\d+: "),
])
def test_ptx_that_cannot_be_run(em: SimpleNamespace, text: str, message: str) -> None:
    """A ValueError with line and column; bytes are as good as a text."""
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match=message):
            em.emulate(given, None, 1, 1, [None])


# --- Reports ---------------------------------------------------------------------


def line_of(text: str, part: str) -> int:
    """The number of the first line with `part` in it."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)


def test_report_of_an_address(em: SimpleNamespace) -> None:
    """Where, who, which argument."""
    x, y = np.zeros((3, 64), np.int32), np.zeros(100, np.int32)
    with pytest.raises(em.EmulationError) as caught:
        em.emulate(INCREMENT, None, 3, 64, [x, y])
    error = caught.value
    assert (error.kind, error.kernel, error.line) == ("out-of-bounds", "k", line_of(INCREMENT, "st.global"))
    assert error.block == (1, 0, 0) and error.warp == 1 and error.lane == 4 and error.argument == "y"
    assert error.column == 3 and error.other is None and error.address % 256 == 400 % 256
    assert error.detail in str(error) and isinstance(error, RuntimeError)
    with pytest.raises(em.EmulationError) as caught:
        em.emulate(INCREMENT, None, 1, 64, [None, y])
    assert caught.value.kind == "out-of-bounds" and caught.value.address == 0 and caught.value.argument is None


def test_report_of_a_race(em: SimpleNamespace) -> None:
    """With the other party, unless the check is off."""
    text = module(SUM_PARAMETERS, SUM_BODY.replace("next:\n  bar.sync 0;", "next:"), before=SHARED)
    x, out = np.ones(128, np.uint32), np.zeros(1, np.uint32)
    with pytest.raises(em.EmulationError) as caught:
        em.emulate(text, None, 1, 128, [x, out], 512)
    error = caught.value
    assert error.kind == "shared-race" and error.block == (0, 0, 0)
    assert error.other["block"] == 0 and error.other["warp"] != error.warp
    em.emulate(text, None, 1, 128, [x, out], 512, check_races=False)


def test_other_reports(em: SimpleNamespace) -> None:
    """A few more kinds, by name."""
    def kind(body: str, **options: object) -> str:
        with pytest.raises(em.EmulationError) as caught:
            em.emulate(module("", body), None, 1, 64, [], **options)
        return caught.value.kind

    assert kind("  trap;") == "trap"
    assert kind("loop:\n  bra loop;", instruction_budget=10_000) == "instruction-budget"
    assert kind("  add.u32 %r1, %r2, 1;") == "uninitialized-register"
    em.emulate(module("", "  add.u32 %r1, %r2, 1;"), None, 1, 64, [], check_uninitialized_registers=False)
    assert kind("", shared=1 << 30) == "invalid-launch"
    assert kind("", cluster=2) == "invalid-launch"
    with pytest.raises(em.EmulationError, match="exceeds 1024x1024x64") as caught:
        em.emulate(module("", ""), None, 1, 2000, [])
    assert caught.value.block is None and caught.value.warp is None and caught.value.line == 0


def test_interrupt(em: SimpleNamespace) -> None:
    """Ctrl-C ends an endless kernel, and leaves the process in order."""
    script = f"""
import sys
sys.path.insert(0, {str(ROOT / "python")!r})
import ropewalk
text = {module("", "loop:" + chr(10) + "  bra loop;")!r}
print("ready", flush=True)
try:
    ropewalk.emulate(text, None, 4, 64, [], threads=2)
except KeyboardInterrupt:
    ropewalk.emulate(text.replace("bra loop", "mov.u32 %r1, 0"), None, 1, 64, [])
    print("interrupted", flush=True)
"""
    environment = {**os.environ, "ROPEWALK_LIBRARY": str(BUILD / "lib" / "libropewalk-c.so")}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "interrupted\n"
        assert process.returncode == 0
    finally:
        process.kill()


def test_missing_library(em: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says where it was looked for."""
    from ropewalk import _emulator

    monkeypatch.setenv("ROPEWALK_EMULATOR_LIBRARY", "nowhere.so")
    _emulator.library.cache_clear()
    try:
        with pytest.raises(em.RopewalkError, match=r"libropewalk-emulator.so was not found \(tried: nowhere.so\)"):
            em.emulate(INCREMENT, None, 1, 1, [])
    finally:
        _emulator.library.cache_clear()


# --- Profiles --------------------------------------------------------------------


def test_profile(em: SimpleNamespace) -> None:
    """Rows are lines of the text; they add up to the counters."""
    # Lane i reads word 8 i: every lane a sector of its own.
    text = INCREMENT.replace("mul.wide.u32 %d8, %r1, 4;", "mul.wide.u32 %d8, %r1, 32;")
    text = text.replace("add.s64 %d2, %d2, %d8;", "mul.wide.u32 %d8, %r1, 4; add.s64 %d2, %d2, %d8;")
    x, y = np.arange(512, dtype=np.int32), np.zeros(64, np.int32)
    result = em.emulate(text, None, 2, 32, [x, y], profile=True)
    assert np.array_equal(y, x[::8] + 1)
    rows = {row["line"]: row for row in result.profile}
    load, both = rows[line_of(text, "ld.global")], rows[line_of(text, "mul.wide.u32 %d8, %r1, 4;")]
    assert load["text"] == "ld.global.u32 %r2, [%d1];" and load["class"] == "global-load"
    assert (load["warps"], load["lanes"]) == (2, 64)
    assert (load["global_requests"], load["global_sectors"]) == (2, 64)
    # Two instructions of one line add up.
    assert (both["warps"], both["lanes"], both["class"]) == (4, 128, "integer")
    assert [row["line"] for row in result.profile] == sorted(rows)
    counters = result.counters
    assert sum(row["warps"] for row in result.profile) == counters["warp_instructions"]
    assert sum(row["lanes"] for row in result.profile) == counters["lane_instructions"]
    assert abs(sum(row["share"] for row in result.profile) - 1) < 1e-4
    assert "ld.global.u32 %r2, [%d1];" in result.text


def test_profile_of_branches(em: SimpleNamespace) -> None:
    """The divergent branch is the one of the last warp."""
    x = np.zeros(1000, np.float32)
    result = em.emulate(SAXPY, None, 4, 256, [x, x.copy(), 1.0, 1000], profile=True)
    rows = {row["line"]: row for row in result.profile}
    assert rows[line_of(SAXPY, "@%p1 bra done")]["divergent_branches"] == 1
    assert sum(row["divergent_branches"] for row in result.profile) == result.counters["divergent_branches"] == 1


# --- The package's own kernels -----------------------------------------------------


@pytest.mark.parametrize("target", ["emulate:sm_80", "emulate:sm_90a"])
def test_a_model_in_the_emulator(rw: SimpleNamespace, demo_model: Path, target: str) -> None:
    """The emitted PTX of the whole demo model, past its trained length, against the CPU target."""
    ids = np.random.default_rng(4).integers(0, 256, (2, 270), dtype=np.int32)
    position_map = rw.SelfExtend(group=8, window=64)
    expected = rw.load(demo_model, position_map).logits(ids)
    logits = rw.load(demo_model, position_map, target=target).logits(ids)
    # The CPU target is tested against references; logits are up to 20.
    assert np.abs(logits - expected).max() < 2e-4


@pytest.mark.parametrize("target", ["emulate:sm_80", "emulate:sm_90a"])
def test_attention_in_the_emulator(rw: SimpleNamespace, target: str) -> None:
    """Two rows by hand: where all scores are 0, attention is a mean."""
    q = np.zeros((1, 1, 2, 8), np.float32)
    k, v = np.zeros_like(q), np.arange(16, dtype=np.float32).reshape(1, 1, 2, 8)
    out = rw.attention(q, k, v, position_map=rw.Identity(), rotary=rw.Rotary(1e4), target=target)
    # The first row sees one key, the second both.
    assert np.allclose(out[0, 0], [np.arange(8), np.arange(8) + 4], atol=1e-6)


@pytest.mark.parametrize(("target", "message"), [
    ("emulate:sm_75", "chip sm_75: code is made for sm_80"),
    ("emulate:hopper", "'hopper'.*: expected names like sm_80 or sm_90a"),
    ("emulate:", "expected cpu, cuda, cuda:N or emulate:CHIP .*, got 'emulate:'"),
    ("emulate", "got 'emulate'"),
])
def test_unknown_chips(rw: SimpleNamespace, demo_model: Path, target: str, message: str) -> None:
    """Models and attentions refuse them with what there is."""
    q = np.zeros((1, 1, 2, 4), np.float32)
    with pytest.raises(rw.RopewalkError, match=message):
        rw.load(demo_model, target=target)
    with pytest.raises(rw.RopewalkError, match=message):
        rw.attention(q, q, q, position_map=rw.Identity(), rotary=rw.Rotary(1e4), target=target)
