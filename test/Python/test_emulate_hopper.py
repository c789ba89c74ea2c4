"""Kernels in CUDA C++ for sm_90a, compiled by nvcc and run by the emulator, against NumPy in float64.

They guard tensor maps, mbarriers, clusters and wgmma as CUDA programmers use
them, and reports of the bugs which the kernels have with a PLANT_... macro.
"""

from __future__ import annotations

import numpy as np
import pytest
from emulate_support import ROUNDOFF, assert_product, assert_within, blank, blocks, cuda_ptx, decode, fault, normal

I32, F32 = np.int32, np.float32


# The copy engine.


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


# Clusters.


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


# Matrix multiplication.


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
