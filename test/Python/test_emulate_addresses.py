# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards addresses inside of data: tables of pointers, structures with arrays in them, tensors of 8-bit floats."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from emulate_ptx import module

# *table[block] += 1, for the blocks whose pointer is not null.
TABLE = module(".param .u64 table", """
  ld.param.u64 %d1, [table];
  mov.u32 %r1, %ctaid.x;
  mul.wide.u32 %d2, %r1, 8;
  add.s64 %d1, %d1, %d2;
  ld.global.u64 %d3, [%d1];
  setp.eq.u64 %p1, %d3, 0;
  @%p1 bra done;
  ld.global.u32 %r2, [%d3];
  add.u32 %r2, %r2, 1;
  st.global.u32 [%d3], %r2;
done:
""")

# struct { uint8_t a; uint32_t *p; uint16_t b; uint32_t *null; struct { uint32_t n; } c; uint32_t **table; }
STRUCT = module(".param .align 8 .b8 s[48]", """
  ld.param.u8 %r1, [s];
  ld.param.u64 %d1, [s+8];
  ld.param.u16 %h1, [s+16];
  ld.param.u64 %d2, [s+24];
  ld.param.u32 %r3, [s+32];
  ld.param.u64 %d3, [s+40];
  cvt.u32.u16 %r2, %h1;
  st.global.u32 [%d1], %r1;
  st.global.u32 [%d1+4], %r2;
  cvt.u32.u64 %r4, %d2;
  st.global.u32 [%d1+8], %r4;
  st.global.u32 [%d1+12], %r3;
  ld.global.u64 %d4, [%d3+8];
  st.global.u32 [%d4], 55;
""")


def test_pointers(rw: SimpleNamespace) -> None:
    """Arrays of other sizes, a null, and one array twice; all are updated in place."""
    x, y = np.array([10], np.uint32), np.arange(100, dtype=np.uint32)
    rw.emulate(TABLE, None, 4, 1, [rw.Pointers([x, None, y[50:], y])])
    assert x[0] == 11 and y[50] == 51 and y[0] == 1 and (y[1:50] == np.arange(1, 50)).all()
    # Two blocks with one array are on one buffer, and so race.
    with pytest.raises(rw.EmulationError, match="global-race") as caught:
        rw.emulate(TABLE, None, 2, 1, [rw.Pointers([x, x])])
    assert caught.value.argument == "table"
    with pytest.raises(rw.EmulationError, match="nearest argument: 'table'") as caught:
        rw.emulate(TABLE, None, 2, 1, [rw.Pointers([x])])
    assert caught.value.kind == "out-of-bounds"
    assert repr(rw.Pointers([x, None])) == "Pointers of 2 arrays"


def test_pointers_share_buffers(rw: SimpleNamespace) -> None:
    """With an array that is an argument too."""
    text = TABLE.replace("(.param .u64 table)", "(.param .u64 table, .param .u64 x)").replace(
        "done:", "  ld.param.u64 %d4, [x]; st.global.u32 [%d4+4], %r2;\ndone:")
    x = np.array([4, 0], np.uint32)
    rw.emulate(text, None, 1, 1, [rw.Pointers([x]), x])
    assert x.tolist() == [5, 5]
    # Behind the table lies no array, though x is the nearest one before.
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(text, None, 2, 1, [rw.Pointers([None]), x])
    assert caught.value.kind == "out-of-bounds" and caught.value.argument == "table"


def test_struct(rw: SimpleNamespace) -> None:
    """Members lie where C has them."""
    out, other = rw.uninitialized(4, np.uint32), np.zeros(1, np.uint32)
    value = rw.Struct([np.uint8(7), out, np.uint16(300), None, rw.Struct([np.uint32(9)]), rw.Pointers([None, other])])
    assert (value.size, value.alignment, repr(value)) == (48, 8, "Struct of 48 bytes")
    rw.emulate(STRUCT, None, 1, 1, [value])
    assert out.tolist() == [7, 300, 0, 9] and other[0] == 55
    assert rw.Struct([np.float64(1), np.uint8(1)]).size == 16 and rw.Struct([b"abc", np.uint16(1)]).size == 6
    tensor = rw.TensorMap(np.zeros((8, 8), np.float32), [8, 8], [32], [8, 8])
    assert rw.Struct([np.uint32(1), tensor]).size == 192
    assert repr(tensor) == "TensorMap of shape [8, 8], box [8, 8], over float32 of shape (8, 8)"


def test_mutate(rw: SimpleNamespace) -> None:
    """Both, in a mutation test, which leaves arrays as they are."""
    x = np.array([10], np.uint32)
    assert rw.mutate(TABLE, None, 1, 1, [rw.Pointers([x])]).mutants == []
    out = np.zeros(4, np.float32)
    assert rw.mutate(STRUCT, None, 1, 1, [
        rw.Struct([np.uint8(7), out, np.uint16(3), None, np.uint32(9), rw.Pointers([None, x])])]).mutants == []
    assert x[0] == 10 and not out.any()


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda rw: rw.Pointers([]), ValueError, "Pointers: arrays: expected at least one array"),
    (lambda rw: rw.Pointers(np.zeros(2)), TypeError, "Pointers: arrays: expected a list of arrays or None, got ndarray"),
    (lambda rw: rw.Pointers([None, 5]), TypeError, r"Pointers: arrays\[1\]: expected an array, got int"),
    (lambda rw: rw.Pointers([np.zeros((4, 4)).T]), ValueError, r"Pointers: arrays\[0\]: expected a C-contiguous"),
    (lambda rw: rw.Struct(b"1234"), TypeError, "Struct: parts: expected a list of members, got bytes"),
    (lambda rw: rw.Struct([5]), TypeError, r"Struct: parts\[0\]: 5 has no size; give a NumPy scalar"),
    (lambda rw: rw.Struct(["x"]), TypeError, r"Struct: parts\[0\]: expected an array, None, .* got str"),
])
def test_refused_parts(rw: SimpleNamespace, make: object, error: type, message: str) -> None:
    """Each with its place."""
    with pytest.raises(error, match=message):
        make(rw)


def test_refused_arguments(rw: SimpleNamespace) -> None:
    """A structure fits its parameter, and a table one of 8 bytes."""
    with pytest.raises(TypeError, match=r"args\[0\] \(s\): the Struct has 8 bytes, the parameter has 48"):
        rw.emulate(STRUCT, None, 1, 1, [rw.Struct([None])])
    with pytest.raises(TypeError, match=r"args\[0\] \(table\): a Struct is for parameters of type b8, .* of type u64"):
        rw.emulate(TABLE, None, 1, 1, [rw.Struct([None])])
    with pytest.raises(TypeError, match="expected a value for 48 bytes of type b8, got Pointers"):
        rw.emulate(STRUCT, None, 1, 1, [rw.Pointers([None])])
    tensor = rw.TensorMap(np.zeros((8, 8), np.float32), [8, 8], [32], [8, 8])
    with pytest.raises(TypeError, match="the parameter is aligned to 8 bytes; a tensor map needs 64"):
        rw.emulate(STRUCT.replace("s[48]", "s[128]"), None, 1, 1, [rw.Struct([tensor])])


def test_tensors_of_small_floats(rw: SimpleNamespace) -> None:
    """NumPy has no such types; their bytes are copied in and out."""
    torch = pytest.importorskip("torch")
    for dtype in (torch.float8_e5m2, torch.float8_e4m3fn):
        x = torch.tensor([1.0, 2, 3, 4]).to(dtype)
        bits = x.view(torch.uint8).numpy().view(np.uint32)
        expected = int(bits[0]) + 1
        rw.emulate(TABLE, None, 1, 1, [rw.Pointers([x])])
        assert bits[0] == expected
