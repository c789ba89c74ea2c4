"""Kernels in CUDA C++, compiled by nvcc and run by the emulator, against NumPy in float64.

Nobody of this project wrote their PTX. They guard that the emulator executes
what nvcc emits, in its forms, and that it reports the bugs which the kernels
have when a PLANT_... macro is defined.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from emulate_support import (KERNELS, ROUNDOFF, assert_product, assert_within, blank, blocks, cuda_ptx, decode, encode,
                             fault, normal)

I32, F32 = np.int32, np.float32


@pytest.fixture(params=["sm_80", "sm_90a"])
def arch(request) -> str:
    """The targets of kernels that need nothing of sm_90a."""
    return request.param


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """float64 values rounded once, to nearest even, to the precision of `dtype`; no subnormal results."""
    bits = {"fp16": 11, "bf16": 8}[dtype]
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


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
        rw.emulate(cuda_ptx("pointers", arch), "apply", 1, 32,
                   [np.zeros(32, np.int32), np.ones(32, np.float32), I32(32)])


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


@pytest.mark.parametrize("name, bits", [("e4m3", (4, 3)), ("e5m2", (5, 2))])
def test_fp8(rw, arch, name, bits):
    """All 256 codes, all midpoints between neighbours, and random values, both ways."""
    ptx, table = cuda_ptx("fp8", arch), fp8_values(*bits)
    codes = np.arange(256, dtype=np.uint8)
    out = blank(256, "fp32")
    rw.emulate(ptx, f"decode_{name}", 1, 128, [codes, out, I32(128)])
    numbers = ~np.isnan(table)
    np.testing.assert_array_equal(out[numbers], table[numbers].astype(np.float32))
    if name == "e5m2":
        infinities = [124, 252]
        np.testing.assert_array_equal(out[infinities], [np.inf, -np.inf])
        numbers[infinities] = True
    assert np.isnan(out[~numbers]).all()

    positive = np.sort(table[:128][~np.isnan(table[:128])])
    middles = (positive[:-1] + positive[1:]) / 2
    rng = np.random.default_rng(11)
    values = np.concatenate([positive, middles, np.nextafter(middles.astype(np.float32), F32(0)), [1e9, 464.0, 465.0],
                             np.exp(rng.uniform(-12, 12, 101))]).astype(np.float32)
    values = np.concatenate([values, -values])
    expected = nearest_fp8(values.astype(np.float64), table)
    encoded = np.zeros(values.size, np.uint8)
    rw.emulate(ptx, f"encode_{name}", blocks(values.size // 2, 64), 64, [values, encoded, I32(values.size // 2)])
    np.testing.assert_array_equal(encoded, expected)

    if name == "e4m3":
        halves = values[np.abs(values) < 65504].astype(np.float16)
        encoded = np.zeros(halves.size, np.uint8)
        rw.emulate(ptx, "encode_e4m3_half", blocks(halves.size, 64), 64, [halves, encoded, I32(halves.size)])
        np.testing.assert_array_equal(encoded, nearest_fp8(halves.astype(np.float64), table))


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


def run_pipeline(rw, arch, entry, rows, width):
    """Sums rows by a kernel of pipeline.cu and checks the sums."""
    values = np.random.default_rng(14).standard_normal((rows, width), np.float32)
    out = blank(width, "fp32")
    rw.emulate(cuda_ptx("pipeline", arch), entry, blocks(width, 128), 128, [values, out, I32(rows), I32(width)])
    exact = values.astype(np.float64)
    assert_within(out, exact.sum(axis=0), rows * ROUNDOFF["fp32"] * np.abs(exact).sum(axis=0))


@pytest.mark.parametrize("rows, width", [(1, 128), (11, 257)])
def test_pipeline(rw, arch, rows, width):
    """cuda::pipeline of the standard library with four stages: groups of cp.async."""
    run_pipeline(rw, arch, "sum_rows", rows, width)


@pytest.mark.parametrize("rows, width", [(1, 128), (11, 257)])
def test_shared_pipeline(rw, arch, rows, width):
    """The same with a state in shared memory: copies that arrive at mbarriers, and timed waits."""
    run_pipeline(rw, arch, "sum_rows_shared", rows, width)


@pytest.mark.parametrize("count", [64, 500])
def test_barrier(rw, arch, count):
    """cuda::barrier between a half of the block that produces and one that consumes."""
    values = np.random.default_rng(15).integers(-1000, 1000, count).astype(np.int32)
    for seed in range(3):
        out = np.zeros(count, np.int32)
        rw.emulate(cuda_ptx("pipeline", arch), "hand_over", 1, 128, [values, out, I32(count)], schedule_seed=seed)
        np.testing.assert_array_equal(out, values * values + 1)


@pytest.mark.parametrize("count, grid", [(100, 1), (1000, 5)])
@pytest.mark.parametrize("entry", ["diffuse_by_hand", "diffuse_cooperative"])
def test_grid_barrier(rw, arch, entry, count, grid):
    """Blocks that wait for each other: by atomics, fences and a flag that is polled, and by grid.sync()."""
    start, steps = np.random.default_rng(16).standard_normal(count, np.float32), 7
    exact = start.astype(np.float64)
    for _ in range(steps):
        exact = 0.5 * exact + 0.25 * np.roll(exact, -1) + 0.25 * np.roll(exact, 1)
    for seed in range(3):
        cells, following = start.copy(), np.zeros_like(start)
        arrived = [np.zeros(1, np.uint32)] if entry == "diffuse_by_hand" else []
        rw.emulate(cuda_ptx("grid_sync", arch), entry, grid, 64,
                   [cells, following, *arrived, I32(count), I32(steps)], schedule_seed=seed)
        assert_within(following, exact, 3 * steps * ROUNDOFF["fp32"] * np.abs(start).max())


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


@pytest.mark.parametrize("name, entry, arguments, expected", [
    ("scan", "scan_int", lambda: [np.ones(512, np.int32), np.zeros(512, np.int32), np.zeros(4, np.int32), I32(512)], 2),
    ("histogram", "histogram", lambda: [np.zeros(512, np.uint8), np.zeros(256, np.uint32), I32(512)], 2),
    ("softmax", "softmax", lambda: [np.ones((4, 512), np.float32), np.ones((4, 512), np.float32), I32(512)], 3),
    ("mma", "mma_half", lambda: [*np.ones((2, 64, 128), np.float16), np.ones((64, 64), np.float32),
                                 I32(64), I32(64), I32(128)], 1)])
def test_every_barrier(rw, arch, name, entry, arguments, expected):
    """Each of a kernel's barriers is needed, and the emulator says so when it is not there."""
    ptx = cuda_ptx(name, arch)
    start = ptx.index(f".entry {entry}(")
    barriers = [found.span() for found in re.compile("bar.sync[^;]*;").finditer(ptx, start, ptx.index("\n}\n", start))]
    needed = 0
    for first, last in barriers:
        try:
            rw.emulate(ptx[:first] + ptx[last:], entry, (4, 1) if name != "mma" else 1, 128, arguments())
        except rw.EmulationError as error:
            assert error.kind in ("shared-race", "uninitialized-memory", "async-hazard"), str(error)
            needed += 1
    # The first barrier of softmax only separates a reduction from the one before.
    assert needed == expected == len(barriers) - (name == "softmax")


def test_early_read(rw, arch):
    """Waiting for one group of copies too few is a hazard, although the data may be there already."""
    a, b = np.ones((64, 128), np.float16), np.ones((64, 128), np.float16)
    with fault(rw, "async-hazard", source="mma.cu:"):
        rw.emulate(cuda_ptx("mma", arch, "PLANT_EARLY_READ"), "mma_half", 1, 128,
                   [a, b, np.zeros((64, 64), np.float32), I32(64), I32(64), I32(128)])


def test_missing_fence(rw, arch):
    """A flag that is set without a fence says nothing of what was written before."""
    cells = np.ones(128, np.float32)
    with fault(rw, "global-race", source="grid_sync.cu:"):
        rw.emulate(cuda_ptx("grid_sync", arch, "PLANT_NO_FENCE"), "diffuse_by_hand", 2, 64,
                   [cells, np.zeros_like(cells), np.zeros(1, np.uint32), I32(128), I32(2)])
