# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Guards ropewalk.TensorMap: its rules, and boxes that kernels load and store, against loops."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from emulate_ptx import module

TILE_BYTES = 64 * 16 * 2
# Loads a box of 64 x 16 elements of 2 bytes at (x, y) and writes it out as it lies in
# shared memory.
LOAD_BOX = module(".param .align 64 .b8 map[128], .param .u64 out, .param .s32 x, .param .s32 y", f"""
  .shared .align 1024 .b8 tile[{TILE_BYTES}];
  .shared .align 8 .b8 full[8];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, full;
  mov.u32 %r3, tile;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra ready;
  mbarrier.init.shared::cta.b64 [%r2], 1;
  fence.proxy.async.shared::cta;
ready:
  bar.sync 0;
  @%p1 bra wait;
  mov.b64 %d1, map;
  cvta.param.u64 %d1, %d1;
  ld.param.s32 %r4, [x];
  ld.param.s32 %r5, [y];
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], {TILE_BYTES};
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r3], [%d1, {{%r4, %r5}}], [%r2];
wait:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;
  @!%p2 bra wait;
  ld.param.u64 %d2, [out];
loop:
  shl.b32 %r6, %r1, 2;
  add.u32 %r7, %r3, %r6;
  ld.shared.u32 %r8, [%r7];
  cvt.u64.u32 %d3, %r6;
  add.s64 %d3, %d2, %d3;
  st.global.u32 [%d3], %r8;
  add.u32 %r1, %r1, 64;
  setp.lt.u32 %p3, %r1, {TILE_BYTES // 4};
  @%p3 bra loop;
""", target="sm_90a")

# Fills a box of 64 x 16 elements of 2 bytes with their numbers and stores it at (x, y);
# the map's address is a parameter.
STORE_BOX = module(".param .u64 map, .param .s32 x, .param .s32 y", f"""
  .shared .align 1024 .b8 tile[{TILE_BYTES}];
  mov.u32 %r1, %tid.x;
  mov.u32 %r3, tile;
loop:
  shl.b32 %r6, %r1, 1;
  add.u32 %r7, %r3, %r6;
  cvt.u16.u32 %h1, %r1;
  st.shared.u16 [%r7], %h1;
  add.u32 %r1, %r1, 64;
  setp.lt.u32 %p3, %r1, {TILE_BYTES // 2};
  @%p3 bra loop;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra done;
  ld.param.u64 %d1, [map];
  ld.param.s32 %r4, [x];
  ld.param.s32 %r5, [y];
  cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%d1, {{%r4, %r5}}], [%r3];
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group 0;
done:
""", target="sm_90a")


def box_of(matrix: np.ndarray, x: int, y: int, fill: float = 0) -> np.ndarray:
    """The box of 16 rows of 64 at column x and row y; outside of the matrix it is `fill`."""
    box = np.full((16, 64), fill, matrix.dtype)
    for row in range(16):
        for column in range(64):
            if 0 <= y + row < matrix.shape[0] and 0 <= x + column < matrix.shape[1]:
                box[row, column] = matrix[y + row, x + column]
    return box


def swizzled(box: np.ndarray) -> np.ndarray:
    """Rows of 128 bytes in the pattern of 128B: piece c of 16 bytes of row r lies at c ^ (r % 8)."""
    pieces = box.reshape(16, 8, 8)
    return np.stack([pieces[row, np.arange(8) ^ (row % 8)] for row in range(16)]).reshape(16, 64)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (8, 3), (-5, -2), (60, 30), (200, 0)])
@pytest.mark.parametrize("swizzle", ["none", "128B"])
def test_boxes_are_loaded(rw: SimpleNamespace, x: int, y: int, swizzle: str) -> None:
    """Inside, across each edge and outside of a matrix of 40 rows of 72, against a loop."""
    matrix = np.random.default_rng(5).standard_normal((40, 72)).astype(np.float16)
    # Read-only: a map for loads changes nothing.
    matrix.flags.writeable = False
    tensor = rw.TensorMap(matrix, (72, 40), (144,), (64, 16), swizzle=swizzle)
    out = rw.uninitialized((16, 64), np.float16)
    result = rw.emulate(LOAD_BOX, None, 1, 64, [tensor, out, x, y])
    expected = box_of(matrix, x, y)
    assert np.array_equal(out, swizzled(expected) if swizzle == "128B" else expected)
    assert result.counters["bulk_bytes"] == TILE_BYTES


def test_boxes_are_filled_with_nan(rw: SimpleNamespace) -> None:
    """Elements outside, and only those."""
    matrix = np.ones((40, 72), np.float16)
    out = rw.uninitialized((16, 64), np.float16)
    rw.emulate(LOAD_BOX, None, 1, 64, [rw.TensorMap(matrix, (72, 40), (144,), (64, 16), fill="nan"), out, 20, 30])
    assert np.array_equal(np.isnan(out), np.isnan(box_of(matrix, 20, 30, np.nan)))
    assert (out[:10, :52] == 1).all()


def test_views_of_bfloat16(rw: SimpleNamespace) -> None:
    """Every second row of an array of uint16, from its third row on."""
    matrix = np.random.default_rng(6).integers(0, 1 << 16, (50, 64), dtype=np.uint16)
    tensor = rw.TensorMap(matrix[2:], (64, 20), (256,), (64, 16), dtype="bfloat16", fill="nan")
    out = rw.uninitialized((16, 64), np.uint16)
    rw.emulate(LOAD_BOX, None, 1, 64, [tensor, out, 0, 1])
    assert np.array_equal(out, matrix[4:36:2])


def test_boxes_are_stored(rw: SimpleNamespace) -> None:
    """Through a map in global memory, into an array that is no other argument; what lies outside is dropped."""
    matrix = np.full((40, 72), 7, np.int16)
    rw.emulate(STORE_BOX, None, 1, 64, [rw.TensorMap(matrix, (72, 40), (144,), (64, 16)), 20, 30])
    expected = np.full((40, 72), 7, np.int16)
    expected[30:, 20:] = np.arange(1024).reshape(16, 64)[:10, :52]
    assert np.array_equal(matrix, expected)
    matrix.flags.writeable = False
    with pytest.raises(rw.EmulationError) as caught:
        rw.emulate(STORE_BOX, None, 1, 64, [rw.TensorMap(matrix, (72, 40), (144,), (64, 16)), 0, 0])
    assert caught.value.kind == "read-only-write" and caught.value.argument == "map"


@pytest.mark.parametrize(("changes", "error", "message"), [
    ({"array": [1, 2]}, TypeError, "TensorMap: array: expected an array, got list"),
    ({"array": np.zeros((8, 64), np.float16).T}, ValueError, "TensorMap: array: expected a C-contiguous array"),
    ({"array": np.zeros((40, 64), np.complex64)}, ValueError, "TensorMap: dtype: expected one of .*, got complex64"),
    ({"shape": ()}, ValueError, "TensorMap: shape: expected 1 to 5 sizes, got 0"),
    ({"shape": (1,) * 6}, ValueError, "got 6"),
    ({"shape": 5}, TypeError, "TensorMap: shape: expected a sequence of integers, got 5"),
    ({"shape": (64, 1.5)}, TypeError, "TensorMap: shape"),
    ({"shape": (64, -1)}, ValueError, "TensorMap: shape: expected numbers from 0"),
    ({"shape": (64, 0)}, ValueError, r"tensor map: dims\[1\] is 0, expected 1 to 2\^32"),
    ({"byte_strides": ()}, ValueError, "TensorMap: byte_strides: expected 1 numbers, got 0"),
    ({"byte_strides": (2, 128)}, ValueError, "TensorMap: byte_strides: expected 1 numbers, got 2"),
    ({"byte_strides": (120,)}, ValueError, r"tensor map: strides\[1\] is 120, expected a multiple of 16 bytes"),
    ({"box": (64,)}, ValueError, "TensorMap: box: expected 2 numbers, got 1"),
    ({"box": (64, 300)}, ValueError, r"tensor map: box\[1\] is 300, expected 1 to 256"),
    ({"box": (64, 1 << 32)}, ValueError, "TensorMap: box: expected numbers of 32 bits"),
    ({"box": (4, 16)}, ValueError, "inner dimension of the box in bytes is 8, expected a multiple of 16"),
    ({"element_strides": (1, 9)}, ValueError, r"tensor map: elementStrides\[1\] is 9, expected 1 to 8"),
    ({"element_strides": (1,)}, ValueError, "TensorMap: element_strides: expected 2 numbers, got 1"),
    ({"swizzle": "64B"}, ValueError, "is 128, expected at most the 64 of the swizzle"),
    ({"swizzle": "16B"}, ValueError, "TensorMap: swizzle: expected one of none, 32B, 64B, 128B, got '16B'"),
    ({"swizzle": 3}, ValueError, "TensorMap: swizzle"),
    ({"fill": "one"}, ValueError, "TensorMap: fill: expected one of zero, nan, got 'one'"),
    ({"fill": "nan", "dtype": np.int16}, ValueError, "fill with NaN needs a floating-point type, got u16"),
    ({"interleave": "16B"}, ValueError, "rank is 2, expected at least 3 for interleaved"),
    ({"interleave": "8B"}, ValueError, "TensorMap: interleave"),
    ({"l2_promotion": "512B"}, ValueError, "TensorMap: l2_promotion"),
    ({"dtype": "float8"}, (TypeError, ValueError), "float8"),
])
def test_tensor_maps_that_are_refused(rw: SimpleNamespace, changes: dict, error: type, message: str) -> None:
    """When they are made, by the rules of the driver."""
    array = np.zeros((40, 64), np.float16)
    call = {"array": array, "shape": (64, 40), "byte_strides": (128,), "box": (64, 16), **changes}
    with pytest.raises(error, match=message):
        rw.TensorMap(**call)


def test_tensor_maps_that_do_not_fit_a_parameter(rw: SimpleNamespace) -> None:
    """A map wants 128 aligned bytes, or an address; and an address of its own that is aligned."""
    def refused(parameter: str, tensor: object, error: type) -> str:
        with pytest.raises(error) as caught:
            rw.emulate(module(f".param {parameter}", "", target="sm_90a"), None, 1, 1, [tensor])
        return str(caught.value)

    array = np.zeros(4096, np.float16)
    tensor = rw.TensorMap(array[:2560], (64, 40), (128,), (64, 16))
    assert refused(".align 8 .b8 m[128]", tensor, TypeError) == (
        "args[0] (m): the parameter is aligned to 8 bytes; a tensor map needs 64"
    )
    assert refused(".align 64 .b8 m[64]", tensor, TypeError) == (
        "args[0] (m): the parameter has 64 bytes, a tensor map 128"
    )
    assert refused(".u32 m", tensor, TypeError) == "args[0] (m): the parameter has 4 bytes, a tensor map 128"
    with pytest.raises(TypeError, match=r"args\[0\] \(m\): expected a value for 128 bytes of type b8, got an array"):
        rw.emulate(module(".param .align 64 .b8 m[128]", ""), None, 1, 1, [array])
    # Alone, the view begins an aligned buffer; with its base it is off by two bytes.
    tensor = rw.TensorMap(array[1:2561], (64, 40), (128,), (64, 16))
    both = module(".param .align 64 .b8 m[128], .param .u64 x", "", target="sm_90a")
    rw.emulate(both, None, 1, 1, [tensor, None])
    with pytest.raises(ValueError, match="tensor map: address is .*, expected a multiple of 16"):
        rw.emulate(both, None, 1, 1, [tensor, array])
