"""Kernels in CUDA C++, compiled by nvcc and run by the emulator, against NumPy in float64.

Nobody of this project wrote their PTX. They guard that the emulator executes
what nvcc emits, in its forms, and that it reports the bugs which the kernels
have when a PLANT_... macro is defined.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from emulate_support import (KERNELS, ROUNDOFF, assert_product, assert_within, blank, cuda_ptx, decode, encode, normal)

I32, F32 = np.int32, np.float32


@pytest.fixture(params=["sm_80", "sm_90a"])
def arch(request) -> str:
    """The targets of kernels that need nothing of sm_90a."""
    return request.param


def blocks(extent: int, tile: int) -> int:
    """Tiles that cover an extent."""
    return -(-extent // tile)


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """float64 values rounded once, to nearest even, to the precision of `dtype`; no subnormal results."""
    bits = {"fp16": 11, "bf16": 8}[dtype]
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


@contextlib.contextmanager
def fault(rw, *kinds: str, source: str = ""):
    """Expects a report of one of these kinds, from a line of `source`."""
    with pytest.raises(rw.EmulationError) as error:
        yield
    assert error.value.kind in kinds, str(error.value)
    assert source in error.value.source, str(error.value)


# Scans, reductions, counts: exact results.


@pytest.mark.parametrize("count", [1, 256, 3000])
@pytest.mark.parametrize("kind", ["int", "double"])
def test_scan(rw, arch, kind, count):
    """Shuffles in steps of powers of two, and three launches that hand their results on."""
    dtype = {"int": np.int32, "double": np.float64}[kind]
    values = np.random.default_rng(1).integers(-1000, 1000, count).astype(dtype)
    ptx, threads = cuda_ptx("scan", arch), 128
    grid = blocks(count, threads)
    out, sums = np.zeros(count, dtype), np.zeros(grid, dtype)
    rw.emulate(ptx, f"scan_{kind}", grid, threads, [values, out, sums, I32(count)])
    rw.emulate(ptx, f"scan_{kind}", 1, 32 * blocks(grid, 32), [sums, sums, None, I32(grid)])
    rw.emulate(ptx, f"add_{kind}", grid, threads, [out, sums, I32(count)])
    np.testing.assert_array_equal(out, np.cumsum(values, dtype=dtype))


@pytest.mark.parametrize("count", [5, 4096, 5001])
def test_sums(rw, arch, count):
    """Atomics on integers and floats, and the block that finishes last, under any order of blocks."""
    ptx, rng = cuda_ptx("reduce", arch), np.random.default_rng(2)
    integers = rng.integers(-(2**31), 2**31, count).astype(np.int32)
    floats = rng.standard_normal(count, np.float32)
    bound = (count / 512 + 20) * ROUNDOFF["fp32"] * np.abs(floats).sum(dtype=np.float64)
    ordered = set()
    for seed in range(3):
        total = np.zeros(1, np.int32)
        rw.emulate(ptx, "sum_int", 4, 128, [integers, total, I32(count)], schedule_seed=seed)
        assert total[0] == integers.sum(dtype=np.int32)
        total = np.zeros(1, np.float32)
        rw.emulate(ptx, "sum_float", 4, 128, [floats, total, I32(count)], schedule_seed=seed)
        assert_within(total, floats.sum(dtype=np.float64), bound)
        total, partial = blank(1, "fp32"), blank(6, "fp32")
        rw.emulate(ptx, "sum_last_block", 6, 128, [floats, partial, total, I32(count)], schedule_seed=seed)
        assert_within(total, floats.sum(dtype=np.float64), bound)
        ordered.add(total.tobytes())
    assert len(ordered) == 1


@pytest.mark.parametrize("count", [33, 1000])
def test_extremes(rw, arch, count):
    """redux.sync by the threads inside, some warps in part."""
    values = np.random.default_rng(3).integers(-(2**31), 2**31, count).astype(np.int32) & ~I32(20)
    out = np.array([-(2**31), 2**31 - 1, 0], np.int32)
    rw.emulate(cuda_ptx("reduce", arch), "extremes", blocks(count, 96), 96, [values, out, I32(count)])
    assert out.tolist() == [values.max(), values.min(), np.bitwise_or.reduce(values)]


@pytest.mark.parametrize("shape", [(64, 96), (1, 1), (45, 70)])
def test_transpose(rw, arch, shape):
    """Both transposes are right, and only the padded one has no bank conflict."""
    height, width = shape
    values = np.random.default_rng(4).standard_normal(shape, np.float32)
    conflicts = {}
    for entry in ("transpose_padded", "transpose_conflicts"):
        out = blank((width, height), "fp32")
        result = rw.emulate(cuda_ptx("transpose", arch), entry, (blocks(width, 32), blocks(height, 32)), (32, 8),
                            [values, out, I32(height), I32(width)])
        np.testing.assert_array_equal(out, values.T)
        conflicts[entry] = result.counters["shared_load_conflicts"]
        # Whole warps ask for as many sectors as rows of 32 floats have.
        if shape == (64, 96):
            assert result.counters["global_load_sectors"] == 64 * 96 * 4 // 32
    assert conflicts["transpose_padded"] == 0
    if shape == (64, 96):
        # Each of the requests reads 32 words of one bank.
        assert conflicts["transpose_conflicts"] == 64 * 96 // 32 * 31


@pytest.mark.parametrize("count", [7, 6000])
def test_histogram(rw, arch, count):
    """Atomics on bytes' counts, in shared and global memory, with and without match.any.sync."""
    ptx = cuda_ptx("histogram", arch)
    values = (np.random.default_rng(5).standard_normal(count) * 20 + 128).clip(0, 255).astype(np.uint8)
    expected = np.bincount(values, minlength=256)
    bins = np.zeros(256, np.uint32)
    rw.emulate(ptx, "histogram", 3, 160, [values, bins, I32(count)])
    np.testing.assert_array_equal(bins, expected)
    bins = np.zeros(256, np.uint64)
    rw.emulate(ptx, "histogram_matched", blocks(count, 160), 160, [values, bins, I32(count)])
    np.testing.assert_array_equal(bins, expected)


def test_count_keys(rw, arch):
    """A hash table by compare-and-swap, 400 keys in 512 slots, under several orders of warps."""
    rng = np.random.default_rng(6)
    keys = rng.choice(rng.integers(0, 2**31, 400), 3000).astype(np.int32)
    expected = dict(zip(*(part.tolist() for part in np.unique(keys, return_counts=True)), strict=True))
    for seed in range(2):
        table, counts = np.full(512, -1, np.int32), np.zeros(512, np.uint32)
        rw.emulate(cuda_ptx("histogram", arch), "count_keys", 12, 256,
                   [keys, table, counts, I32(keys.size), I32(512)], schedule_seed=seed)
        used = table >= 0
        assert dict(zip(table[used].tolist(), counts[used].tolist(), strict=True)) == expected


def test_calls(rw, arch):
    """Calls that hand over scalars, structures and pointers to the caller's stack."""
    ptx, rng, count = cuda_ptx("calls", arch), np.random.default_rng(7), 100
    assert "call" in ptx
    first, second = rng.standard_normal(count), rng.integers(0, 1000, count).astype(np.int32)
    expected = first * 0.5 + np.arange(count), second ^ np.arange(count)
    rw.emulate(ptx, "shift_pairs", 2, 64, [first, second, I32(count)])
    np.testing.assert_array_equal(first, expected[0])
    np.testing.assert_array_equal(second, expected[1])

    values, out = rng.integers(-50, 50, (count, 9)).astype(np.int32), np.zeros(count, np.int32)
    rw.emulate(ptx, "medians", 2, 64, [values, out, I32(count)])
    np.testing.assert_array_equal(out, np.median(values, axis=1))


def test_refused_calls(rw, arch):
    """Recursion and calls through pointers are refused when the module is read, with the place and the name."""
    with pytest.raises(ValueError, match=r"^\d+:\d+: 'call.uni': recursive call of '_Z9ackermannjj'"):
        rw.emulate(cuda_ptx("recursion", arch), "ackermanns", 1, 32, [np.zeros(32, np.uint32)])
    with pytest.raises(ValueError, match=r"^\d+:\d+: 'call': indirect call through register '%rd\d+'"):
        rw.emulate(cuda_ptx("pointers", arch), "apply", 1, 32, [np.zeros(32, np.int32), np.ones(32, np.float32), I32(32)])


# Element types.


@pytest.mark.parametrize("count", [1, 64, 515])
@pytest.mark.parametrize("dtype, entry", [("fp16", "saxpy_half"), ("bf16", "saxpy_bfloat16")])
def test_saxpy(rw, arch, dtype, entry, count):
    """A packed fma rounds once. The factor is a structure of two bytes."""
    rng = np.random.default_rng(8)
    x, y = (encode(rng.uniform(0.125, 4, count) * rng.choice([-1, 1], count), dtype) for _ in range(2))
    a = encode(np.array([1.3]), dtype)
    expected = rounded(decode(a, dtype) * decode(x, dtype) + decode(y, dtype), dtype)
    rw.emulate(cuda_ptx("saxpy", arch), entry, blocks(count, 128), 64, [a.tobytes(), x, y, I32(count)])
    np.testing.assert_array_equal(decode(y, dtype), expected)


def test_relu(rw, arch):
    """Packed maximum, absolute value and sum, with what is special about zeros and infinities."""
    x = np.concatenate([np.array([-0.0, 0.0, np.inf, -np.inf, 6e-8, 65504], np.float16),
                        np.random.default_rng(9).standard_normal(122).astype(np.float16)])
    y = np.random.default_rng(10).standard_normal(128).astype(np.float16)
    expected = (np.maximum(x.astype(np.float64), 0) + np.abs(y.astype(np.float64))).astype(np.float16)
    rw.emulate(cuda_ptx("saxpy", arch), "relu_half", 1, 64, [x, y, I32(64)])
    np.testing.assert_array_equal(y, expected)


def fp8_values(exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    """The values of the 256 codes of a format, from its definition; infinities count as NaN."""
    codes = np.arange(256)
    exponent, mantissa = (codes & 127) >> mantissa_bits, codes & ((1 << mantissa_bits) - 1)
    bias = 2**(exponent_bits - 1) - 1
    fraction = np.where(exponent > 0, 1.0, 0.0) + mantissa / 2.0**mantissa_bits
    values = np.where(codes < 128, 1.0, -1.0) * fraction * 2.0**(np.maximum(exponent, 1) - bias)
    if exponent_bits == 4:  # e4m3: only the last code of each sign is no number.
        values[[127, 255]] = np.nan
    else:  # e5m2 has infinities as IEEE has them.
        values[exponent == 31] = np.nan
    return values


def nearest_fp8(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Codes of the nearest numbers, ties to even codes, large ones to the largest; signs are kept."""
    positive = table[:128][~np.isnan(table[:128])]
    distance = np.abs(np.abs(values)[:, None] - positive[None, :])
    best = distance.min(axis=1, keepdims=True) == distance
    # The even one of two codes at the same distance; else the only one.
    code = np.where(best, np.arange(positive.size) + (np.arange(positive.size) % 2) * 1000, 10**6).argmin(axis=1)
    return (code + np.where(np.signbit(values), 128, 0)).astype(np.uint8)


@pytest.mark.parametrize("entry, slack", [("softmax", 40), ("softmax_fast", 150)])
@pytest.mark.parametrize("shape", [(3, 1), (2, 128), (4, 777)])
def test_softmax(rw, arch, entry, slack, shape):
    """The accurate functions and the fast ones, within what their documentation promises."""
    rows, width = shape
    values = np.random.default_rng(12).standard_normal(shape, np.float32) * 4
    out = blank(shape, "fp32")
    rw.emulate(cuda_ptx("softmax", arch), entry, rows, 128, [values, out, I32(width)])
    exact = np.exp(values - values.max(axis=1, keepdims=True).astype(np.float64))
    exact /= exact.sum(axis=1, keepdims=True)
    # The sum's error grows with the terms of a thread and the steps of the tree.
    assert_within(out, exact, (slack + width / 128) * ROUNDOFF["fp32"] * exact)


# Matrix multiplication on sm_80.


@pytest.mark.parametrize("dtype, entry, out", [("fp16", "wmma_half", "fp32"), ("fp16", "wmma_half_sum", "fp16"),
                                               ("bf16", "wmma_bfloat16", "fp32"), ("fp32", "wmma_tf32", "fp32")])
@pytest.mark.parametrize("shape", [(16, 16, 16), (48, 112, 80)])
def test_wmma(rw, arch, dtype, entry, out, shape):
    """The wmma interface: fragments that only the instructions know the layout of."""
    rows, columns, inner = shape
    (a, exact_a), (b, exact_b) = normal((rows, inner), dtype, 1), normal((inner, columns), dtype, 2)
    c = blank((rows, columns), out)
    rw.emulate(cuda_ptx("wmma", arch), entry, (blocks(columns, 64), rows // 16), (32, 4),
               [a, b, c, I32(rows), I32(columns), I32(inner)])
    if out == "fp16":  # Sums in half precision: a rounding for each 16 products.
        assert_within(decode(c, out), exact_a @ exact_b,
                      (inner / 16 + 1) * ROUNDOFF["fp16"] * (np.abs(exact_a) @ np.abs(exact_b)))
    else:  # The kernel rounds to tf32, 11 bits, itself.
        assert_product(decode(c, out), exact_a, exact_b, out, 2.0**-11 if dtype == "fp32" else 0.0)


def test_wmma_int8(rw, arch):
    """Products of bytes are exact."""
    rng = np.random.default_rng(13)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((32, 64), (64, 48)))
    c = np.zeros((32, 48), np.int32)
    rw.emulate(cuda_ptx("wmma", arch), "wmma_int8", (1, 2), (32, 3), [a, b, c, I32(32), I32(48), I32(64)])
    np.testing.assert_array_equal(c, a.astype(np.int32) @ b.astype(np.int32))


@pytest.mark.parametrize("shape", [(64, 64, 96), (1, 130, 8), (70, 33, 200)])
def test_mma(rw, arch, shape):
    """ldmatrix, mma and three stages of cp.async; the swizzle leaves ldmatrix without conflicts."""
    rows, columns, inner = shape
    (a, exact_a), (b, exact_b) = normal((rows, inner), "fp16", 1), normal((columns, inner), "fp16", 2)
    c = blank((rows, columns), "fp32")
    result = rw.emulate(cuda_ptx("mma", arch), "mma_half", (blocks(columns, 64), blocks(rows, 64)), 128,
                        [a, b, c, I32(rows), I32(columns), I32(inner)])
    assert_product(decode(c, "fp32"), exact_a, exact_b.T, "fp32")
    assert result.counters["shared_load_conflicts"] == 0
    tiles = blocks(columns, 64) * blocks(rows, 64)
    assert result.counters["tensor_flops"] == tiles * 2 * 64 * 64 * 32 * blocks(inner, 32)


@pytest.mark.parametrize("count", [64, 500])
def test_barrier(rw, arch, count):
    """cuda::barrier between a half of the block that produces and one that consumes."""
    values = np.random.default_rng(15).integers(-1000, 1000, count).astype(np.int32)
    for seed in range(3):
        out = np.zeros(count, np.int32)
        rw.emulate(cuda_ptx("pipeline", arch), "hand_over", 1, 128, [values, out, I32(count)], schedule_seed=seed)
        np.testing.assert_array_equal(out, values * values + 1)


@pytest.mark.parametrize("count, grid", [(100, 1), (1000, 5)])
def test_grid_barrier(rw, arch, count, grid):
    """Blocks that wait for each other by atomics, fences and a flag that is polled, in any order."""
    start, steps = np.random.default_rng(16).standard_normal(count, np.float32), 7
    exact = start.astype(np.float64)
    for _ in range(steps):
        exact = 0.5 * exact + 0.25 * np.roll(exact, -1) + 0.25 * np.roll(exact, 1)
    for seed in range(3):
        cells, following, arrived = start.copy(), np.zeros_like(start), np.zeros(1, np.uint32)
        rw.emulate(cuda_ptx("grid_sync", arch), "diffuse_by_hand", grid, 64,
                   [cells, following, arrived, I32(count), I32(steps)], schedule_seed=seed)
        assert_within(following, exact, 3 * steps * ROUNDOFF["fp32"] * np.abs(start).max())


def test_grid_sync(rw, arch):
    """grid.sync() of a kernel that was not launched as a cooperative one is a trap, as on a GPU."""
    cells = np.zeros(64, np.float32)
    with fault(rw, "trap", source="cooperative_groups.h"):
        rw.emulate(cuda_ptx("grid_sync", arch), "diffuse_cooperative", 2, 64,
                   [cells, np.zeros_like(cells), I32(64), I32(1)])


# sm_90a: the copy engine.


@pytest.mark.parametrize("count", [4, 1024, 5000])
def test_bulk_copy(rw, count):
    """Bulk copies without a tensor map, in and out, the last one short."""
    values = np.random.default_rng(17).standard_normal(count, np.float32)
    out = blank(count, "fp32")
    rw.emulate(cuda_ptx("tma", "sm_90a"), "bulk_increment", 2, 128, [values, out, I32(count)])
    np.testing.assert_array_equal(out, values + F32(1))


def test_bulk_reduction(rw):
    """Sums into global memory by the copy engine of several blocks."""
    values = np.random.default_rng(18).standard_normal((50, 256), np.float32)
    sums = np.ones(256, np.float32)
    rw.emulate(cuda_ptx("tma", "sm_90a"), "bulk_sum", 4, 256, [values, sums, I32(50)])
    exact = values.astype(np.float64)
    assert_within(sums, 1 + exact.sum(axis=0), 60 * ROUNDOFF["fp32"] * (1 + np.abs(exact).sum(axis=0)))


def swizzled(box: np.ndarray, swizzle: str) -> np.ndarray:
    """The words of a box [rows, words] as they lie in shared memory."""
    flat = np.zeros(box.size, box.dtype)
    address = np.arange(box.size) * 4
    # Bits 4... of the address are changed by as many bits from 7 on.
    bits = {"none": 0, "32B": 1, "64B": 3, "128B": 7}[swizzle]
    flat[(address ^ ((address >> 7 & bits) << 4)) // 4] = box.reshape(-1)
    return flat


@pytest.mark.parametrize("fill", ["zero", "nan"])
@pytest.mark.parametrize("swizzle, words, rows", [("none", 12, 5), ("32B", 8, 32), ("64B", 16, 16), ("128B", 32, 24)])
def test_tensor_map(rw, swizzle, words, rows, fill):
    """Boxes inside, over each edge and wholly outside of an array of 40 x 50 floats, every swizzle."""
    array = np.random.default_rng(19).standard_normal((50, 40), np.float32)
    padded = np.full((250, 240), 0 if fill == "zero" else np.nan, np.float32)
    padded[100:150, 100:140] = array
    tensor_map = rw.TensorMap(array, (40, 50), (160,), (words, rows), swizzle=swizzle, fill=fill)
    for column, row in ((4, 3), (-5, -2), (35, 44), (40, 0), (-words, 60)):
        out = np.full(words * rows, 7, np.float32)
        rw.emulate(cuda_ptx("tma", "sm_90a"), "copy_box", 1, 64,
                   [tensor_map, out, I32(column), I32(row), I32(words * rows * 4)], shared=words * rows * 4)
        box = padded[100 + row:100 + row + rows, 100 + column:100 + column + words]
        np.testing.assert_array_equal(out, swizzled(box, swizzle))


def test_tensor_map_steps(rw):
    """Every third row of a view whose rows lie apart."""
    array = np.random.default_rng(20).standard_normal((40, 48), np.float32)
    tensor_map = rw.TensorMap(array, (20, 40), (192,), (16, 12), element_strides=(1, 3))
    out = blank(16 * 4, "fp32")
    rw.emulate(cuda_ptx("tma", "sm_90a"), "copy_box", 1, 64, [tensor_map, out, I32(8), I32(2), I32(out.nbytes)],
               shared=out.nbytes)
    box = array[2:14:3, 8:24].copy()
    box[:, 12:] = 0  # The view has 20 columns.
    np.testing.assert_array_equal(out, box.reshape(-1))


@pytest.mark.parametrize("add", [False, True])
def test_tensor_map_store(rw, add):
    """A box of three dimensions, in part outside of where it goes."""
    rng = np.random.default_rng(21)
    source, target = (rng.standard_normal((6, 7, 8), np.float32) for _ in range(2))
    expected = target.copy()
    # z 2..4, y 3..6, x 4..7 go to one further each.
    box = source[2:5, 3:7, 4:8][:, :3, :3]
    expected[3:6, 4:7, 5:8] = box + (expected[3:6, 4:7, 5:8] if add else 0)
    maps = [rw.TensorMap(array, (8, 7, 6), (32, 32 * 7), (4, 4, 3)) for array in (source, target)]
    rw.emulate(cuda_ptx("tma", "sm_90a"), "move_box", 1, 32,
               [*maps, I32(4), I32(3), I32(2), I32(1), I32(4 * 4 * 3 * 4), I32(add)], shared=4 * 4 * 3 * 4)
    np.testing.assert_array_equal(target, expected)


# sm_90a: clusters.


@pytest.mark.parametrize("cluster", [1, 2, 8])
def test_cluster_histogram(rw, cluster):
    """Atomics on the shared memory of other blocks."""
    values = np.random.default_rng(22).integers(0, 512, 3000).astype(np.int32)
    bins = np.zeros(512, np.uint32)
    rw.emulate(cuda_ptx("cluster", "sm_90a"), "cluster_histogram", 8, 64, [values, bins, I32(values.size)],
               cluster=(cluster, 1, 1))
    np.testing.assert_array_equal(bins, np.bincount(values, minlength=512))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ring(rw, seed):
    """st.async and bulk copies from block to block of the kernel's own cluster of four."""
    ptx, rng = cuda_ptx("cluster", "sm_90a"), np.random.default_rng(23)
    values = rng.integers(-1000, 1000, (2, 4, 64, 4)).astype(np.int32)
    out = np.zeros_like(values)
    rw.emulate(ptx, "ring_store", 8, 64, [values, out], schedule_seed=seed)
    np.testing.assert_array_equal(out, np.broadcast_to(values.sum(axis=1, keepdims=True), values.shape))
    values = rng.integers(-1000, 1000, (2, 3, 64)).astype(np.int32)
    out = np.zeros_like(values)
    rw.emulate(ptx, "ring_copy", 6, 64, [values, out], cluster=(3, 1, 1), schedule_seed=seed)
    np.testing.assert_array_equal(out, np.broadcast_to(values.sum(axis=1, keepdims=True), values.shape))


def test_swap_pairs(rw):
    """Loads from the other block's shared memory between the halves of the cluster's barrier."""
    values = np.random.default_rng(24).standard_normal((3, 2, 64), np.float32)
    out = np.zeros_like(values)
    rw.emulate(cuda_ptx("cluster", "sm_90a"), "swap_pairs", 6, 64, [values, out], cluster=(2, 1, 1))
    np.testing.assert_array_equal(out, values[:, ::-1])


# sm_90a: matrix multiplication.


def run_wgmma(rw, ptx: str, entry: str, dtype: str, shape: tuple[int, int, int], seed: int = 0):
    """C [rows, columns] of wgmma.cu in float64, and the operands in float64."""
    rows, columns, inner = shape
    (a, exact_a), (b, exact_b) = normal((rows, inner), dtype, 1), normal((columns, inner), dtype, 2)
    c = blank((rows, columns), dtype)
    maps = [rw.TensorMap(a, (inner, rows), (2 * inner,), (64, 128), swizzle="128B"),
            rw.TensorMap(b, (inner, columns), (2 * inner,), (64, 128), swizzle="128B"),
            rw.TensorMap(c, (columns, rows), (2 * columns,), (64, 64), swizzle="128B")]
    result = rw.emulate(ptx, entry, (blocks(columns, 128), blocks(rows, 128)),
                        384 if entry.startswith("specialized") else 256, [*maps, I32(inner)],
                        shared=3 * 2 * 16384 + 4 * 8192 + 1024, schedule_seed=seed)
    return decode(c, dtype), exact_a, exact_b, result


@pytest.mark.parametrize("shape", [(128, 128, 64), (136, 72, 328)])
@pytest.mark.parametrize("dtype, suffix", [("fp16", "half"), ("bf16", "bfloat16")])
@pytest.mark.parametrize("kind", ["specialized", "together"])
def test_wgmma(rw, kind, dtype, suffix, shape):
    """TMA, mbarriers and wgmma, with warps that only copy and without, and a store by TMA."""
    c, a, b, result = run_wgmma(rw, cuda_ptx("wgmma", "sm_90a"), f"{kind}_{suffix}", dtype, shape)
    assert_product(c, a, b.T, dtype)
    tiles = blocks(shape[0], 128) * blocks(shape[1], 128)
    assert result.counters["tensor_flops"] == tiles * 2 * 128 * 128 * 64 * blocks(shape[2], 64)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_wgmma_schedules(rw, seed):
    """Any order of the warps and any delay of the copies gives the same bits."""
    ptx, shape = cuda_ptx("wgmma", "sm_90a"), (128, 128, 328)
    expected = run_wgmma(rw, ptx, "specialized_bfloat16", "bf16", shape)[0]
    got = run_wgmma(rw, ptx, "specialized_bfloat16", "bf16", shape, seed)[0]
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("columns, inner", [(128, 64), (200, 264)])
def test_multicast(rw, columns, inner):
    """Two blocks that fetch halves of a tile for each other."""
    rows = 256
    (a, exact_a), (b, exact_b) = normal((rows, inner), "bf16", 1), normal((columns, inner), "bf16", 2)
    c = blank((rows, columns), "fp32")
    maps = [rw.TensorMap(array, (inner, extent), (2 * inner,), (64, 64), swizzle="128B")
            for array, extent in ((a, rows), (b, columns))]
    rw.emulate(cuda_ptx("multicast", "sm_90a"), "multicast", (blocks(columns, 128), rows // 64), 160,
               [*maps, c, I32(columns), I32(inner)], shared=2 * (8192 + 16384) + 1024)
    assert_product(decode(c, "fp32"), exact_a, exact_b.T, "fp32")


# Bugs that a GPU may hide.


def test_out_of_bounds(rw, arch):
    """The report of a stray access names the place in the CUDA source."""
    values, sums = np.ones(200, np.int32), np.ones(1, np.int32)
    text = (KERNELS / "scan.cu").read_text().splitlines()
    line = 1 + next(i for i, line in enumerate(text) if "out[i] += sums[" in line)
    with fault(rw, "out-of-bounds", source=f"scan.cu:{line}"):
        rw.emulate(cuda_ptx("scan", arch), "add_int", 3, 64, [values, sums, I32(200)])


def test_missing_barrier(rw, arch):
    """A transpose without its barrier reads what another warp has not written yet, or races with it."""
    values = np.ones((32, 32), np.float32)
    with fault(rw, "shared-race", "uninitialized-memory", source="transpose.cu:"):
        rw.emulate(cuda_ptx("transpose", arch, "PLANT_NO_BARRIER"), "transpose_padded", 1, (32, 8),
                   [values, np.zeros_like(values), I32(32), I32(32)])


def test_early_read(rw, arch):
    """Waiting for one group of copies too few is a hazard, although the data may be there already."""
    a, b = np.ones((64, 128), np.float16), np.ones((64, 128), np.float16)
    with fault(rw, "async-hazard", source="mma.cu:"):
        rw.emulate(cuda_ptx("mma", arch, "PLANT_EARLY_READ"), "mma_half", 1, 128,
                   [a, b, np.zeros((64, 64), np.float32), I32(64), I32(64), I32(128)])


def test_missing_proxy_fence(rw):
    """Results written for the copy engine need a fence between the proxies."""
    with fault(rw, "proxy-race", source="hopper.cuh:"):
        run_wgmma(rw, cuda_ptx("wgmma", "sm_90a", "PLANT_NO_PROXY_FENCE"), "specialized_half", "fp16", (128, 128, 64))


def test_missing_wait(rw):
    """A stage that is filled again while it is read, for want of a wait, is found."""
    with fault(rw, "async-hazard", "mbarrier-misuse"):
        run_wgmma(rw, cuda_ptx("wgmma", "sm_90a", "PLANT_NO_EMPTY_WAIT"), "specialized_half", "fp16", (128, 128, 512))


def test_missing_cluster_barrier(rw):
    """Reading counts that blocks of the cluster still add to is a race."""
    values = np.random.default_rng(25).integers(0, 512, 2000).astype(np.int32)
    with fault(rw, "shared-race", "cluster-misuse"):
        rw.emulate(cuda_ptx("cluster", "sm_90a", "PLANT_NO_CLUSTER_SYNC"), "cluster_histogram", 4, 64,
                   [values, np.zeros(512, np.uint32), I32(values.size)], cluster=(4, 1, 1))


def test_missing_drain(rw):
    """Overwriting what a bulk copy still reads is a hazard."""
    values = np.ones(4096, np.float32)
    with fault(rw, "async-hazard", "proxy-race"):
        rw.emulate(cuda_ptx("tma", "sm_90a", "PLANT_NO_DRAIN"), "bulk_increment", 1, 128,
                   [values, np.zeros_like(values), I32(values.size)])
