"""Triton kernels, compiled without a GPU and run by the emulator, against NumPy in float64.

They guard that the emulator executes what Triton emits for both targets:
layouts, masks, pipelines and hidden arguments that this project did not choose.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import BUILD, ROOT
from emulate_support import (KERNELS, ROUNDOFF, assert_product, assert_within, blank, blocks, decode, normal,
                             run_triton, triton_descriptor, triton_kernel)

I32, F32 = np.int32, np.float32
SHAPES = ((64, 64, 64), (100, 80, 144))


@pytest.fixture(scope="module")
def kernels():
    """The module of kernels."""
    pytest.importorskip("triton", reason="Triton is not installed")
    sys.path.insert(0, str(KERNELS))
    try:
        import triton_kernels
    finally:
        sys.path.remove(str(KERNELS))
    return triton_kernels


@pytest.fixture(params=[80, 90])
def arch(request) -> int:
    """Compute capability of the target."""
    return request.param


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("rows, width", [(1, 1), (3, 1000)])
def test_softmax(rw, kernels, arch, dtype, rows, width):
    """Reductions by shuffles and shared memory, rows masked at the end and apart from each other."""
    kernel = triton_kernel(kernels.softmax, {"x": f"*{dtype}", "y": "*fp32", "width": "i32", "stride": "i32"},
                           {"BLOCK": 1024}, arch, num_warps=4)
    stored, values = normal((rows, width + 3), dtype)
    out = blank((rows, width + 3), "fp32")
    run_triton(rw, kernel, rows, [stored, out, I32(width), I32(width + 3)])
    exact = np.exp(values[:, :width] - values[:, :width].max(axis=1, keepdims=True))
    exact /= exact.sum(axis=1, keepdims=True)
    assert_within(out[:, :width], exact, 50 * ROUNDOFF["fp32"] * exact)
    assert np.isnan(out[:, width:]).all()


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_layer_norm(rw, kernels, arch, dtype):
    """Loops over pieces of a row that is no multiple of them."""
    kernel = triton_kernel(
        kernels.layer_norm,
        {"x": f"*{dtype}", "y": f"*{dtype}", "weight": "*fp32", "bias": "*fp32", "mean_out": "*fp32",
         "scale_out": "*fp32", "width": "i32", "stride": "i32", "epsilon": "fp32"},
        {"BLOCK": 512}, arch, ("x", "y", "weight", "bias", "stride"), num_warps=4)
    rows, width, epsilon = 3, 1168, 1e-5
    stored, x = normal((rows, width), dtype, 1)
    (weight, exact_weight), (bias, exact_bias) = normal((width,), "fp32", 2), normal((width,), "fp32", 3)
    y, mean, scale = blank((rows, width), dtype), blank(rows, "fp32"), blank(rows, "fp32")
    run_triton(rw, kernel, rows, [stored, y, weight, bias, mean, scale, I32(width), I32(width), F32(epsilon)])
    exact_mean = x.mean(axis=1)
    exact_scale = 1 / np.sqrt(x.var(axis=1) + epsilon)
    assert_within(mean, exact_mean, 1e-6)
    assert_within(scale, exact_scale, 1e-5 * exact_scale)
    normalized = (x - exact_mean[:, None]) * exact_scale[:, None] * exact_weight
    expected = normalized + exact_bias
    assert_within(decode(y, dtype), expected,
                  1.01 * ROUNDOFF[dtype] * np.abs(expected) + 1e-5 * (np.abs(normalized) + np.abs(exact_weight)))


def run_matmul(rw, kernels, arch, dtype, out, shape, stages, tile=(64, 64, 32), warps=4, transposed=False):
    """Runs kernels.matmul and checks its result."""
    m, n, k = shape
    (a, exact_a), (b, exact_b) = normal((m, k), dtype, 1), normal((k, n), dtype, 2)
    if transposed:
        b = np.ascontiguousarray(b.T)
    c = blank((m, n), out)
    strides = {"stride_am": k, "stride_ak": 1, "stride_bk": 1 if transposed else n, "stride_bn": k if transposed else 1,
               "stride_cm": n}
    constants = {name: 1 for name, stride in strides.items() if stride == 1}
    aligned = [name for name, value in {**strides, "m": m, "n": n, "k": k}.items()
               if value % 16 == 0 and name not in constants]
    signature = {"a": f"*{dtype}", "b": f"*{dtype}", "c": f"*{out}", "m": "i32", "n": "i32", "k": "i32",
                 **dict.fromkeys(strides, "i32")}
    blocking = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), tile, strict=True))
    kernel = triton_kernel(kernels.matmul, signature, {**constants, **blocking, "GROUP": 2}, arch,
                           ("a", "b", "c", *aligned), num_warps=warps, num_stages=stages)
    result = run_triton(rw, kernel, blocks(m, tile[0]) * blocks(n, tile[1]),
                        [a, b, c, I32(m), I32(n), I32(k), *(I32(s) for name, s in strides.items() if s != 1)])
    # Tensor cores see the upper 11 bits of what single precision has.
    assert_product(decode(c, out), exact_a, exact_b, out, 2.0**-10 if dtype == "fp32" else 0.0)
    return kernel, result


@pytest.mark.parametrize("shape", [*SHAPES, (50, 37, 61)])
@pytest.mark.parametrize("dtype, out, stages", [
    ("fp16", "fp16", 1), ("fp16", "fp32", 3), ("bf16", "bf16", 4), ("bf16", "fp32", 2), ("fp32", "fp32", 3)])
def test_matmul(rw, kernels, arch, dtype, out, stages, shape):
    """Pointers and masks; mma or wgmma behind pipelines of one to four stages."""
    kernel, result = run_matmul(rw, kernels, arch, dtype, out, shape, stages)
    assert ("wgmma.mma_async" in kernel.ptx) == (arch == 90)
    # Copies need rows at multiples of 16 bytes.
    assert ("cp.async.cg" in kernel.ptx) == (stages > 1 and shape in SHAPES)
    steps = blocks(shape[2], 32)
    tiles = blocks(shape[0], 64) * blocks(shape[1], 64)
    assert result.counters["tensor_flops"] == tiles * steps * 2 * 64 * 64 * 32


@pytest.mark.parametrize("shape, tile, warps", [((130, 65, 96), (128, 64, 64), 8), ((20, 300, 40), (16, 128, 32), 4)])
def test_matmul_transposed(rw, kernels, arch, shape, tile, warps):
    """The second operand column-major, other tiles and numbers of warps."""
    run_matmul(rw, kernels, arch, "fp16", "fp16", shape, 3, tile, warps, transposed=True)


def run_split(rw, kernels, arch, shape, splits):
    """Runs kernels.matmul_split and checks its result."""
    m, n, k = shape
    (a, exact_a), (b, exact_b) = normal((m, k), "bf16", 1), normal((k, n), "bf16", 2)
    kernel = triton_kernel(
        kernels.matmul_split, {"a": "*bf16", "b": "*bf16", "c": "*fp32", "m": "i32", "n": "i32", "k": "i32"},
        {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 32, "SPLITS": splits}, arch, ("a", "b", "c", "n", "k"),
        num_warps=4, num_stages=3)
    for seed in range(2):
        c = np.zeros((m, n), np.float32)
        run_triton(rw, kernel, (blocks(m, 64), blocks(n, 64), splits), [a, b, c, I32(m), I32(n), I32(k)],
                   schedule_seed=seed)
        assert_product(c.astype(np.float64), exact_a, exact_b, "fp32")


def test_split(rw, kernels, arch):
    """Programs that add to the same elements, in any order; vectors of atomics on sm_90."""
    run_split(rw, kernels, arch, (72, 96, 320), 3)


@pytest.mark.parametrize("shape", [(64, 64, 64), (100, 80, 400)])
@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_descriptors(rw, kernels, arch, dtype, shape):
    """Descriptors as arguments: tensor maps on sm_90, plain accesses of their parts on sm_80."""
    m, n, k = shape
    (a, exact_a), (b, exact_b) = normal((m, k), dtype, 1), normal((k, n), dtype, 2)
    c = blank((m, n), dtype)
    tile = f"tensordesc<{dtype}[64, 64]>"
    kernel = triton_kernel(kernels.matmul_descriptor, {"a": tile, "b": tile, "c": tile, "k": "i32"},
                           {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64}, arch, num_warps=4, num_stages=3)
    assert len(kernel.descriptors) == (3 if arch == 90 else 0)
    layouts = kernel.descriptors or [None] * 3
    arguments = [part for array, layout in zip((a, b, c), layouts, strict=True)
                 for part in triton_descriptor(rw, array, layout)]
    for seed in range(2):
        c[:] = blank((m, n), dtype)
        run_triton(rw, kernel, (blocks(m, 64), blocks(n, 64)), [*arguments, I32(k)], schedule_seed=seed)
        assert_product(decode(c, dtype), exact_a, exact_b, dtype)


def test_device_descriptors(rw, kernels):
    """Tensor maps that the kernel itself makes in global memory."""
    m, n, k = 100, 72, 408
    (a, exact_a), (b, exact_b) = normal((m, k), "fp16", 1), normal((k, n), "fp16", 2)
    c = blank((m, n), "fp16")
    kernel = triton_kernel(
        kernels.matmul_device_descriptor,
        {"a": "*fp16", "b": "*fp16", "c": "*fp16", "m": "i32", "n": "i32", "k": "i32"},
        {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64}, 90, ("a", "b", "c"), num_warps=4, num_stages=3)
    run_triton(rw, kernel, (blocks(m, 64), blocks(n, 64)), [a, b, c, I32(m), I32(n), I32(k)])
    assert_product(decode(c, "fp16"), exact_a, exact_b, "fp16")


def run_persistent(rw, kernels, arch, flatten, shape):
    """Runs kernels.matmul_persistent by three programs and checks its result."""
    m, n, k = shape
    (a, exact_a), (b, exact_b) = normal((m, k), "bf16", 1), normal((n, k), "bf16", 2)
    c = blank((m, n), "bf16")
    signature = {"a": "tensordesc<bf16[128, 64]>", "b": "tensordesc<bf16[64, 64]>", "c": "tensordesc<bf16[128, 64]>",
                 "m": "i32", "n": "i32", "k": "i32"}
    kernel = triton_kernel(kernels.matmul_persistent, signature, {"BLOCK_M": 128, "BLOCK_N": 64, "BLOCK_K": 64,
                                                                  "GROUP": 2, "FLATTEN": flatten}, arch,
                           num_warps=8, num_stages=3)
    layouts = kernel.descriptors or [None] * 3
    arguments = [part for array, layout in zip((a, b, c), layouts, strict=True)
                 for part in triton_descriptor(rw, array, layout)]
    for seed in range(2):
        c[:] = blank((m, n), "bf16")
        run_triton(rw, kernel, 3, [*arguments, I32(m), I32(n), I32(k)], schedule_seed=seed)
        assert_product(decode(c, "bf16"), exact_a, exact_b.T, "bf16")


@pytest.mark.parametrize("flatten", [False, True])
def test_persistent(rw, kernels, arch, flatten):
    """Three programs for eight tiles, 128 x 64 with 8 warps; loops apart and flattened into one."""
    run_persistent(rw, kernels, arch, flatten, (136, 216, 136))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
@pytest.mark.parametrize("head_dim", [64, 128])
def test_attention(rw, kernels, arch, head_dim, dtype, causal):
    """Attention in one pass, 70 queries and 100 keys: two products whose first result stays in registers."""
    heads, queries, keys, scale = 2, 70, 100, head_dim**-0.5
    (q, exact_q), (k, exact_k), (v, exact_v) = (normal((heads, length, head_dim), dtype, seed)
                                                for seed, length in enumerate((queries, keys, keys)))
    out, lse = blank((heads, queries, head_dim), dtype), blank((heads, queries), "fp32")
    kernel = triton_kernel(
        kernels.attention, {"q": f"*{dtype}", "k": f"*{dtype}", "v": f"*{dtype}", "out": f"*{dtype}", "lse": "*fp32",
                            "queries": "i32", "keys": "i32", "scale": "fp32"},
        {"HEAD": head_dim, "BLOCK_M": 64, "BLOCK_N": 32, "CAUSAL": causal}, arch, ("q", "k", "v", "out", "lse"),
        num_warps=4, num_stages=3)
    run_triton(rw, kernel, (blocks(queries, 64), heads), [q, k, v, out, lse, I32(queries), I32(keys), F32(scale)])
    scores = scale * exact_q @ exact_k.transpose(0, 2, 1)
    if causal:
        hidden = np.arange(keys)[None, :] > np.arange(queries)[:, None] + keys - queries
        scores[:, hidden] = -np.inf
    most = scores.max(axis=2, keepdims=True)
    powers = np.exp(scores - most)
    total = powers.sum(axis=2, keepdims=True)
    weights = powers / total
    # Weights and results are rounded to the element type, the rest to single precision.
    bound = 2.1 * ROUNDOFF[dtype] * (weights @ np.abs(exact_v)) + 1e-5
    assert_within(decode(out, dtype), weights @ exact_v, bound)
    assert_within(lse, (most + np.log(total))[:, :, 0], 1e-5)


def test_no_mask(rw, kernels, arch):
    """A kernel that reads past its array is reported with the line of the Triton source."""
    kernel = triton_kernel(kernels.softmax, {"x": "*fp32", "y": "*fp32", "width": "i32", "stride": "i32"},
                           {"BLOCK": 1024}, arch, num_warps=4)
    values = np.ones(100, np.float32)
    with pytest.raises(rw.EmulationError) as error:
        run_triton(rw, kernel, 1, [values, np.zeros(128, np.float32), I32(101), I32(101)])
    assert error.value.kind == "out-of-bounds" and error.value.argument == "softmax_param_0"
    lines = (KERNELS / "triton_kernels.py").read_text().splitlines()
    line = 1 + next(i for i, line in enumerate(lines) if "values = tl.load(x + row" in line)
    assert f"triton_kernels.py:{line}" in error.value.source


def test_example(kernels, rw):
    """The example runs, and says how far the result is off and where the planted bug is."""
    example = ROOT / "examples" / "emulate_triton.py"
    environment = {**os.environ, "TRITON_CACHE_DIR": str(BUILD / "test-triton")}
    run = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=300, check=False,
                         env=environment)
    assert run.returncode == 0, run.stderr
    assert "largest relative error" in run.stdout
    assert "out-of-bounds" in run.stdout and "emulate_triton.py:" in run.stdout
