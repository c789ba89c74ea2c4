# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards ropewalk.emulate: values by type, what a call can get wrong, reports, and interrupts."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import BUILD, ROOT
from emulate_ptx import INCREMENT, SHARED, SUM_BODY, SUM_PARAMETERS, line_of, module, store


@pytest.mark.parametrize(("kind", "value", "expected"), [
    ("u8", 255, np.uint8(255)), ("s8", -128, np.int8(-128)), ("b8", -1, np.uint8(255)), ("u8", True, np.uint8(1)),
    ("u16", 65535, np.uint16(65535)), ("s16", -32768, np.int16(-32768)), ("b16", 65535, np.int16(-1)),
    ("u32", 2**32 - 1, np.uint32(2**32 - 1)), ("s32", -(2**31), np.int32(-(2**31))), ("b32", 2**32 - 1, np.int32(-1)),
    ("u64", 2**64 - 1, np.uint64(2**64 - 1)), ("s64", -(2**63), np.int64(-(2**63))), ("b64", -2, np.int64(-2)),
    ("f32", 0.1, np.float32(0.1)), ("f32", 3, np.float32(3)), ("f64", 0.1, np.float64(0.1)),
    ("f32", float("inf"), np.float32(np.inf)),
    ("f16", 0.5, np.float16(0.5)),
    ("b32", np.float32(1.5), np.float32(1.5)), ("b64", np.int64(7), np.int64(7)), ("b16", np.float16(2), np.float16(2)),
    ("u32", np.int32(-1), np.int32(-1)), ("s64", np.uint64(2**63), np.uint64(2**63)),
    ("u8", np.bool_(True), np.bool_(True)), ("b64", np.complex64(1 + 2j), np.complex64(1 + 2j)),
    ("u32", b"\x01\x02\x03\x04", np.uint32(0x04030201)),
    ("u64", bytearray(b"12345678"), np.frombuffer(b"12345678", np.uint64)[0]),
    ("u64", None, np.uint64(0)),
])
def test_values(rw: SimpleNamespace, kind: str, value: object, expected: np.generic) -> None:
    """Each type at its limits, bit by bit."""
    out = np.zeros(1, expected.dtype)
    size = expected.dtype.itemsize
    rw.emulate(store("." + kind, f"b{size * 8}" if size > 1 else "u8", size), None, 1, 1, [out, value])
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
    ("u32", np.zeros(4), TypeError, r"args\[1\] \(v\): expected a value for 4 bytes of type u32, got an array"),
    ("f64", np.zeros(4), TypeError, "expected a value for 8 bytes of type f64, got an array"),
    ("u32", None, TypeError, "expected a value for 4 bytes of type u32, got None"),
    ("u32", np.float32(400), TypeError, r"args\[1\] \(v\): the parameter is of type u32, got np.float32\(400.0\) of dtype "
     r"float32; pass value.tobytes\(\)"),
    ("s64", np.float64(1), TypeError, "the parameter is of type s64, got .* of dtype float64"),
    ("u16", np.float16(1), TypeError, "the parameter is of type u16, got .* of dtype float16"),
    ("u64", np.complex64(1), TypeError, "the parameter is of type u64, got .* of dtype complex64"),
    ("f32", np.int32(1), TypeError, "the parameter is of type f32, got .* of dtype int32"),
    ("f64", np.uint64(1), TypeError, "the parameter is of type f64, got .* of dtype uint64"),
    ("u64", "text", TypeError, r"args\[1\] \(v\): expected an array, a TensorMap, Pointers, a Struct, a number, bytes or "
     "None, got str"),
    ("u64", np.str_("text"), TypeError, "expected a number"),
    ("u64", np.datetime64(3, "s"), TypeError, "expected a number"),
])
def test_values_that_do_not_fit(rw: SimpleNamespace, kind: str, value: object, error: type, message: str) -> None:
    """Each is refused with the name of the parameter, before anything runs."""
    text = module(f".param .u64 out, .param .{kind} v", "")
    with pytest.raises(error, match=message):
        rw.emulate(text, None, 1, 1, [np.zeros(1), value])


def test_structures_by_value(rw: SimpleNamespace) -> None:
    """Bytes of the parameter's size; a number has no meaning there."""
    text = module(".param .u64 out, .param .align 4 .b8 v[12]", """
  ld.param.u64 %d1, [out];
  ld.param.u32 %r1, [v+8];
  st.global.u32 [%d1], %r1;
""")
    out = np.zeros(1, np.uint32)
    rw.emulate(text, None, 1, 1, [out, np.array([1, 2, 77], np.uint32).tobytes()])
    assert out[0] == 77
    with pytest.raises(TypeError, match=r"args\[1\] \(v\): the parameter has 12 bytes of type b8; give bytes"):
        rw.emulate(text, None, 1, 1, [out, 5])
    with pytest.raises(TypeError, match="got 8 bytes, the parameter has 12"):
        rw.emulate(text, None, 1, 1, [out, bytes(8)])


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"args": [1]}, ValueError, r"args: entry 'k' has 2 parameters \(x, y\), got 1 arguments"),
    ({"grid": 2**40}, ValueError, r"grid: expected one to three integers from 1 to 2\^32 - 1, got 1099511627776"),
    ({"shared": 10**20}, ValueError, r"shared: expected an integer from 0 to 2\^64 - 1, got 1"),
    ({"schedule_seed": 2**64}, ValueError, r"schedule_seed: expected an integer from 0 to 2\^64 - 1, got 1844"),
    ({"ptx_text": "kernels/add.ptx"}, ValueError, "ptx_text: .*what looks like a file name: 'kernels/add.ptx'"),
    ({"ptx_text": ROOT / "add.ptx"}, TypeError, r"ptx_text: expected a text, got PosixPath; pass its read_text\(\)"),
    ({"args": "ab"}, TypeError, "args: expected a list with one value for each parameter, got str"),
    ({"args": np.zeros(2)}, TypeError, "args: expected a list"),
    ({"grid": 0}, ValueError, "grid: expected one to three integers from 1 to"),
    ({"grid": (1, 2, 3, 4)}, ValueError, "grid"),
    ({"grid": 1.5}, TypeError, "grid: expected an integer, or up to three of them, got 1.5"),
    ({"block": (32, -1)}, ValueError, "block"),
    ({"block": "32"}, TypeError, "block"),
    ({"cluster": 0}, ValueError, "cluster"),
    ({"shared": -1}, ValueError, "shared: expected an integer from 0 to .*, got -1"),
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
def test_calls_that_are_wrong(rw: SimpleNamespace, changes: dict, error: type, message: str) -> None:
    """Each argument of the call itself."""
    x = np.zeros(64, np.int32)
    call = {"ptx_text": INCREMENT, "entry": "k", "grid": 1, "block": 1, "args": [x, x], **changes}
    with pytest.raises(error, match=message):
        rw.emulate(**call)


def test_the_entry_is_chosen(rw: SimpleNamespace) -> None:
    """By name where there are several."""
    def entry(name: str, value: int) -> str:
        body = f".reg .b64 %d1; ld.param.u64 %d1, [out]; st.global.u32 [%d1], {value}; ret;"
        return f".visible .entry {name}(.param .u64 out) {{ {body} }}\n"

    head = ".version 8.0\n.target sm_80\n.address_size 64\n"
    both, out = head + entry("one", 1) + entry("two", 2), np.zeros(1, np.int32)
    rw.emulate(both, "two", 1, 1, [out])
    assert out[0] == 2
    with pytest.raises(ValueError, match=r"entry: the module has 2 entries \(one, two\); name one"):
        rw.emulate(both, None, 1, 1, [out])
    with pytest.raises(ValueError, match="the module has 0 entries"):
        rw.emulate(head, None, 1, 1, [])
    with pytest.raises(ValueError, match="but no entries"):
        rw.emulate(head, "k", 1, 1, [])


@pytest.mark.parametrize(("text", "message"), [
    ("", r"^1:1: expected '.version' at the start of the module, found the end of the text"),
    (module(".param .u64 x", "  frobnicate.u32 %r1, %r2;"), r"^12:3: instruction 'frobnicate.u32' is not supported"),
    (module(".param .u64 x", "  add.u32 %r1, %q2, 1;"), r"^12:16: .*q2"),
    (module(".param .u64 x", "  add.u32 %r1, %r2"), r"^1[234]:\d+: "),
])
def test_ptx_that_cannot_be_run(rw: SimpleNamespace, text: str, message: str) -> None:
    """A ValueError with line and column; bytes are as good as a text."""
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match=message):
            rw.emulate(given, None, 1, 1, [None])


def test_report_of_an_address(rw: SimpleNamespace) -> None:
    """Where, who, which argument."""
    x, y = np.zeros((3, 64), np.int32), np.zeros(100, np.int32)
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(INCREMENT, None, 3, 64, [x, y])
    error = caught.value
    assert (error.kind, error.kernel, error.line) == ("out-of-bounds", "k", line_of(INCREMENT, "st.global"))
    assert error.block == (1, 0, 0) and error.warp == 1 and error.lane == 4 and error.argument == "y"
    assert error.column == 3 and error.other is None and error.address % 256 == 400 % 256
    assert error.detail in str(error) and isinstance(error, RuntimeError) and error.output == ""
    # Pools of processes send it to their parent.
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error) and vars(copy) == vars(error)
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(INCREMENT, None, 1, 64, [None, y])
    assert caught.value.kind == "out-of-bounds" and caught.value.address == 0 and caught.value.argument is None


def test_report_of_a_race(rw: SimpleNamespace) -> None:
    """With the other party, unless the check is off."""
    text = module(SUM_PARAMETERS, SUM_BODY.replace("next:\n  bar.sync 0;", "next:"), before=SHARED)
    x, out = np.ones(128, np.uint32), np.zeros(1, np.uint32)
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(text, None, 1, 128, [x, out], 512)
    error = caught.value
    assert error.kind == "shared-race" and error.block == (0, 0, 0)
    assert error.other["block"] == 0 and (error.other["warp"], error.other["lane"]) != (error.warp, error.lane)
    assert text.split("\n")[error.other["line"] - 1].strip().startswith(("ld.shared", "st.shared"))
    rw.emulate(text, None, 1, 128, [x, out], 512, check_races=False)


def test_other_reports(rw: SimpleNamespace) -> None:
    """A few more kinds, by name."""
    def kind(body: str, **options: object) -> str:
        with pytest.raises(rw.EmulationError) as caught:
            rw.emulate(module("", body), None, 1, 64, [], **options)
        return caught.value.kind

    assert kind("  trap;") == "trap"
    assert kind("loop:\n  bra loop;", instruction_budget=10_000) == "instruction-budget"
    assert kind("  add.u32 %r1, %r2, 1;") == "uninitialized-register"
    rw.emulate(module("", "  add.u32 %r1, %r2, 1;"), None, 1, 64, [], check_uninitialized_registers=False)
    assert kind("", shared=1 << 30) == "invalid-launch"
    assert kind("", cluster=2) == "invalid-launch"
    with pytest.raises(rw.EmulationError, match="exceeds 1024x1024x64") as caught:
        rw.emulate(module("", ""), None, 1, 2000, [])
    assert caught.value.block is None and caught.value.warp is None and caught.value.line == 0


def test_interrupt(rw: SimpleNamespace) -> None:
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


def test_missing_library(rw: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says where it was looked for."""
    from ropewalk import _emulator

    monkeypatch.setenv("ROPEWALK_EMULATOR_LIBRARY", "nowhere.so")
    _emulator.library.cache_clear()
    try:
        with pytest.raises(rw.RopewalkError, match=r"libropewalk-emulator.so was not found \(tried: nowhere.so\)"):
            rw.emulate(INCREMENT, None, 1, 1, [])
    finally:
        _emulator.library.cache_clear()
