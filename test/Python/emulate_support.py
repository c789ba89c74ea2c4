"""What the tests of the emulator share: compilers, element types and bounds of errors.

PTX is kept in the build directory under a name made of what went into it, so
that an unchanged kernel is compiled once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from conftest import BUILD, ROOT

KERNELS = ROOT / "test" / "Emulator" / "kernels"

#: Unit roundoff of each element type of a result.
ROUNDOFF = {"fp64": 2.0**-53, "fp32": 2.0**-24, "fp16": 2.0**-11, "bf16": 2.0**-8}


def _cached(name: str, ingredients: list[str], make: Callable[[], str]) -> str:
    """The text that `make` gives, from the build directory if it is there."""
    key = hashlib.sha256("\0".join(ingredients).encode()).hexdigest()[:20]
    path = BUILD / "test-ptx" / f"{name}-{key}.ptx"
    if path.is_file():
        return path.read_text()
    text = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    # Tests that run at the same time see all of a file or nothing.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)
    return text


# CUDA C++.


@functools.cache
def _nvcc() -> tuple[str, str]:
    """The path of nvcc and its version."""
    path = shutil.which("nvcc")
    if path is None:
        pytest.skip("nvcc is not installed")
    return path, subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout


def cuda_ptx(name: str, arch: str, *defines: str) -> str:
    """The PTX that nvcc makes of kernels/NAME.cu for `arch`, with line numbers."""
    nvcc, version = _nvcc()
    source = KERNELS / f"{name}.cu"
    options = [f"-arch={arch}", "-lineinfo", "-std=c++17", "-diag-suppress=20054"]
    options += [f"-D{define}" for define in defines]
    texts = [file.read_text() for file in (source, *sorted(KERNELS.glob("*.cuh")))]

    def make() -> str:
        with tempfile.TemporaryDirectory() as scratch:
            out = Path(scratch) / "kernel.ptx"
            run = subprocess.run([nvcc, "-ptx", *options, source, "-o", out], capture_output=True, text=True)
            assert run.returncode == 0, f"nvcc does not compile {source.name}:\n{run.stderr}"
            return out.read_text()

    return _cached(f"{name}-{arch}", [version, *options, *texts], make)


# Triton.


class TritonKernel(NamedTuple):
    """A compiled Triton kernel: what a launch has to know."""

    ptx: str
    name: str
    threads: int
    shared: int
    #: Of each tensor descriptor, how Triton wants its tensor map.
    descriptors: list[dict]
    #: Global memory of a program that the kernel writes descriptors to, in bytes.
    scratch: int


def triton_kernel(function: object, signature: Mapping[str, str], constants: Mapping[str, object], arch: int,
                  aligned: tuple[str, ...] = (), **options: object) -> TritonKernel:
    """Compiles a @triton.jit function to PTX for sm_`arch`; no GPU and no assembler takes part.

    `signature` names the type of each argument that is no constant, "*fp16" or
    "i32" for example; those in `aligned` are multiples of 16. `options` are
    Triton's: num_warps, num_stages.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    def stop_at_ptx(_backend=None, stages=None, *_rest):
        if stages is not None:
            stages["cubin"] = lambda _source, _metadata: b""
        return "no cubin", "no cubin"

    names = function.arg_names
    types = {name: "constexpr" if name in constants else signature[name] for name in names}
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    knobs = triton.knobs
    with knobs.runtime.scope(), knobs.cache.scope(), knobs.language.scope():
        knobs.runtime.add_stages_inspection_hook = stop_at_ptx
        knobs.cache.dir = str(BUILD / "test-triton")
        knobs.language.default_fp_fusion = True
        compiled = triton.compile(ASTSource(function, types, dict(constants), attributes),
                                  target=GPUTarget("cuda", arch, 32), options=options)
    metadata = compiled.metadata
    assert metadata.profile_scratch_size == 0 and metadata.num_ctas == 1
    return TritonKernel(compiled.asm["ptx"], metadata.name, 32 * metadata.num_warps, metadata.shared,
                        list(metadata.tensordesc_meta or []), metadata.global_scratch_size)


def run_triton(rw: object, kernel: TritonKernel, grid: int | tuple[int, ...], args: list, **options: object) -> object:
    """Runs a Triton kernel with the arguments of its source, and the hidden ones behind them."""
    scratch = None
    if kernel.scratch:
        scratch = np.zeros(kernel.scratch * int(np.prod(grid)), np.uint8)
    return rw.emulate(kernel.ptx, kernel.name, grid, kernel.threads, [*args, scratch, None], shared=kernel.shared,
                      **options)


def triton_descriptor(rw: object, array: np.ndarray, layout: dict | None) -> list:
    """The arguments that stand for a tensor descriptor of a matrix.

    `layout` is what TritonKernel.descriptors says of it: a tensor map. Without
    one, targets before sm_90, the kernel gets what a descriptor is made of.
    """
    element = array.itemsize
    sizes = [*(np.int32(extent) for extent in array.shape), *(np.int64(stride // element) for stride in array.strides)]
    if layout is None:
        no = np.uint8(0)  # Fill with NaN; round to tf32.
        return [array, *(np.int64(extent) for extent in (*array.shape, *sizes[2:])), no, no, *sizes]
    assert layout["elem_size"] == element and not layout["fp4_padded"]
    swizzle = ("none", "32B", "64B", "128B")[layout["swizzle"]]
    return [rw.TensorMap(array, array.shape[::-1], array.strides[:1], layout["block_size"][::-1], swizzle=swizzle),
            *sizes]


def blocks(extent: int, tile: int) -> int:
    """Tiles that cover an extent."""
    return -(-extent // tile)


@contextlib.contextmanager
def fault(rw, *kinds: str, source: str = ""):
    """Expects a report of one of these kinds, from a line of `source`."""
    with pytest.raises(rw.EmulationError) as error:
        yield
    assert error.value.kind in kinds, str(error.value)
    assert source in error.value.source, str(error.value)


# Element types that NumPy lacks, and bounds.


def to_bf16(values: np.ndarray) -> np.ndarray:
    """The bfloat16 values nearest to float32 `values` (ties to even), as uint16; same shape."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits: np.ndarray) -> np.ndarray:
    """float32 values of bfloat16 `bits` (uint16); same shape."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def encode(values: np.ndarray, dtype: str) -> np.ndarray:
    """`values` rounded to an element type ("fp16", "bf16", "fp32"), as a kernel gets them."""
    if dtype == "bf16":
        return to_bf16(values)
    return np.ascontiguousarray(values, {"fp16": np.float16, "fp32": np.float32}[dtype])


def decode(stored: np.ndarray, dtype: str) -> np.ndarray:
    """float64 values of what `encode` gives."""
    return (from_bf16(stored) if dtype == "bf16" else stored).astype(np.float64)


def normal(shape: tuple[int, ...], dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normally distributed values: as a kernel gets them, and in float64."""
    stored = encode(np.random.default_rng(seed).standard_normal(shape, np.float32), dtype)
    return stored, decode(stored, dtype)


def blank(shape: tuple[int, ...] | int, dtype: str) -> np.ndarray:
    """A result that no kernel has written yet: NaN throughout."""
    return encode(np.full(shape, np.nan), dtype)


def assert_product(got: np.ndarray, a: np.ndarray, b: np.ndarray, out: str, operand_error: float = 0.0) -> None:
    """Checks got = a @ b: a [..., m, k], b [..., k, n] and got in float64.

    Products are summed in single precision in an order that nobody promises and
    the result is rounded to `out`: the error of each element is at most
    (k + 1) u32 (|a| @ |b|) + u_out |a @ b|, u the unit roundoffs. Tensor cores
    truncate where single precision rounds, hence twice u32. `operand_error` is
    the relative error of operands that are rounded first, to tf32 say.
    """
    expected, size = a @ b, np.abs(a) @ np.abs(b)
    factor = 2 * (a.shape[-1] + 1) * ROUNDOFF["fp32"] + 2.01 * operand_error
    bound = factor * size + ROUNDOFF[out] * np.abs(expected) * 1.01
    if out == "fp16":
        bound += 2.0**-25  # Subnormal results.
    assert_within(got, expected, bound)


def assert_within(got: np.ndarray, expected: np.ndarray, bound: np.ndarray | float) -> None:
    """Checks |got - expected| <= bound everywhere and says where it is broken most."""
    error = np.abs(got - expected)
    excess = np.where(np.isnan(error), np.inf, error - bound)
    if (excess > 0).any():
        at = np.unravel_index(np.argmax(excess), excess.shape)
        at_text = tuple(int(i) for i in at)
        raise AssertionError(f"{(excess > 0).sum()} of {excess.size} elements are off; at {at_text} got {got[at]}, "
                             f"expected {expected[at]} within {np.broadcast_to(bound, excess.shape)[at]}")
