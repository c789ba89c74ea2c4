"""Runs a Triton kernel on a machine without a GPU: compiles it to PTX and hands that to the emulator.

    pip install triton numpy, then: python examples/emulate_triton.py
"""

import numpy as np
import ropewalk
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def softmax(x, y, width, BLOCK: tl.constexpr):
    """y = softmax of the rows of x, one program a row."""
    row, columns = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(x + row * width + columns, mask=columns < width, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, 0))
    tl.store(y + row * width + columns, powers / tl.sum(powers, 0), mask=columns < width)


@triton.jit
def softmax_without_mask(x, y, width, BLOCK: tl.constexpr):
    """The same with a bug: the load is not masked. A GPU would mostly read on without a word."""
    row, columns = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(x + row * width + columns)
    powers = tl.exp(values - tl.max(values, 0))
    tl.store(y + row * width + columns, powers / tl.sum(powers, 0), mask=columns < width)


def stop_at_ptx(_backend=None, stages=None, *_rest):
    """A hook of Triton's compiler: the assembler, its last stage, is not run."""
    if stages is not None:
        stages["cubin"] = lambda _source, _metadata: b""
    return "ptx only", "ptx only"


def compile_softmax(function, block: int):
    """The kernel for sm_90; what `triton.compile` gives holds PTX and launch parameters."""
    triton.knobs.runtime.add_stages_inspection_hook = stop_at_ptx
    signature = {"x": "*fp32", "y": "*fp32", "width": "i32", "BLOCK": "constexpr"}
    return triton.compile(ASTSource(function, signature, {"BLOCK": block}), target=GPUTarget("cuda", 90, 32),
                          options={"num_warps": 4})


def run(kernel, x: np.ndarray, y: np.ndarray, **options) -> ropewalk.EmulationResult:
    """Launches one block of the grid for each row. Triton adds two pointers to scratch memory, unused here."""
    rows, width = x.shape
    return ropewalk.emulate(kernel.asm["ptx"], kernel.metadata.name, grid=rows, block=32 * kernel.metadata.num_warps,
                            args=[x, y, np.int32(width), None, None], shared=kernel.metadata.shared, **options)


def main() -> None:
    """Compares the result, prints what the kernel did, and shows the report of the bug."""
    x = np.random.default_rng(0).standard_normal((16, 1000), np.float32)
    y = np.zeros_like(x)
    result = run(compile_softmax(softmax, 1024), x, y)
    exact = np.exp(x.astype(np.float64))
    exact /= exact.sum(axis=1, keepdims=True)
    print(f"largest relative error: {np.max(np.abs(y - exact) / exact):.1e}")
    for name in ("warp_instructions", "global_load_sectors", "global_store_sectors", "shared_load_conflicts"):
        print(f"{name}: {result.counters[name]}")
    try:
        run(compile_softmax(softmax_without_mask, 1024), x, y)
    except ropewalk.EmulationError as error:
        print(f"the bug: {error}")


if __name__ == "__main__":
    main()
