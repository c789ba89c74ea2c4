"""The launches behind the tables of mutants.

They are those of other tests, with sizes at which every instruction runs that a launch
can make run: more tiles than a pipeline has stages, last tiles in part. A kernel whose
instructions need several launches is there with each of them; the best outcome counts.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import test_emulate_cuda as cuda
import test_emulate_hopper as hopper
import test_emulate_triton as triton
from conftest import BUILD, ROOT
from emulate_support import KERNELS, cuda_ptx
from mutation_support import MutatingPackage, Row, best, rows_of
from record_launches import record_launches

Tables = dict[str, list[Row]]

#: Schedules of each run.
SEEDS = 3


# Our own kernels.

#: By artifact: options of the checkpoint, None for the demo model, and the map.
ARTIFACTS = {
    # Two segments of some tiles each.
    "demo": (None, "#rope.self_extend<group = 4, window = 40>"),
    # A masked segment between two others, rows of 1024 elements that a block adds up, and
    # head dimensions that are no multiple of a vector's.
    "wide": ({"hidden_size": 1024, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 3,
              "num_key_value_heads": 1, "head_dim": 40},
             "#rope.segments<from (i - 39) query (i) key (j), from (20) masked, from (0) query (40) key (0)>"),
}


def make_checkpoint(directory: Path, config: dict) -> None:
    """A checkpoint of bfloat16 weights, random and small."""
    subprocess.run([sys.executable, ROOT / "test" / "Import" / "make_checkpoint.py", directory, "--dtype", "BF16",
                    "--config", json.dumps(config)], check=True)
    with (directory / "model.safetensors").open("r+b") as file:
        begin = 8 + int.from_bytes(file.read(8), "little")
        count = (file.seek(0, 2) - begin) // 2
        file.seek(begin)
        values = np.random.default_rng(0).standard_normal(count, np.float32) * np.float32(0.05)
        file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def own(rw: SimpleNamespace) -> Tables:
    """The kernels of artifacts, launched as when a model reads 100 tokens and writes two."""
    driver = BUILD / "bin" / "ropewalk"
    if not driver.is_file():
        pytest.skip(f"{driver} is not built")
    tables: Tables = {}
    for name, (config, position_map) in ARTIFACTS.items():
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch) / "model"
            if config is None:
                model = ROOT / "examples" / "demo-model"
            else:
                make_checkpoint(model, config)
            for chip in ("sm_80", "sm_90a"):
                out = Path(scratch) / chip
                subprocess.run([driver, "compile", model, "--target", chip, "--map", position_map, "--no-ptxas", "-o",
                                out], check=True, capture_output=True)
                text = (out / "kernels.ptx").read_text()
                kernels = json.loads((out / "manifest.json").read_text())["kernels"]
                launches = record_launches(out, model, chip, 100)
                assert set(launches) == {kernel["name"] for kernel in kernels}
                for entry, launch in launches.items():
                    tables[f"{chip} {name} {entry}"] = rows_of(
                        rw.mutate(text, *launch, seeds=SEEDS, tolerance=1e-4).mutants)
    return tables


# CUDA.


def plain_cuda(rw: MutatingPackage, arch: str) -> None:
    """Launches of test_emulate_cuda.py."""
    for kind in ("int", "double"):
        cuda.test_scan(rw, arch, kind, 3000)
    cuda.test_sums(rw, arch, 5001)
    cuda.test_extremes(rw, arch, 1000)
    cuda.test_transpose(rw, arch, (45, 70))
    cuda.test_histogram(rw, arch, 6000)
    with rw.options(seeds=1):  # Where a key goes depends on the schedule.
        cuda.test_count_keys(rw, arch)
    cuda.test_calls(rw, arch)
    for dtype, entry in (("fp16", "saxpy_half"), ("bf16", "saxpy_bfloat16")):
        cuda.test_saxpy(rw, arch, dtype, entry, 515)
    cuda.test_relu(rw, arch)
    for name, bits in (("e4m3", (4, 3)), ("e5m2", (5, 2))):
        cuda.test_fp8(rw, arch, name, bits)
    for entry, slack in (("softmax", 40), ("softmax_fast", 150)):
        cuda.test_softmax(rw, arch, entry, slack, (2, 300))
    for dtype, entry, out in (("fp16", "wmma_half", "fp32"), ("fp16", "wmma_half_sum", "fp16"),
                              ("bf16", "wmma_bfloat16", "fp32"), ("fp32", "wmma_tf32", "fp32")):
        cuda.test_wmma(rw, arch, dtype, entry, out, (16, 64, 32))
    cuda.test_wmma_int8(rw, arch)
    cuda.test_mma(rw, arch, (70, 33, 200))
    # Four stages are used more than twice, or not all of them.
    for rows in (3, 11):
        cuda.run_pipeline(rw, arch, "sum_rows", rows, 257)
    cuda.run_pipeline(rw, arch, "sum_rows_shared", 11, 257)
    cuda.test_barrier(rw, arch, 500)
    for entry in ("diffuse_by_hand", "diffuse_cooperative"):
        cuda.test_grid_barrier(rw, arch, entry, 300, 3)


def hopper_cuda(rw: MutatingPackage, more: int) -> None:
    """Launches of test_emulate_hopper.py; `more` is 0, 1 or 2 and changes the number of tiles.

    Loops are unrolled, so that which copy of an instruction runs depends on it.
    """
    hopper.test_bulk_copy(rw, 5000)
    hopper.test_bulk_reduction(rw)
    hopper.test_tensor_map(rw, "128B", 32, 24, "zero")
    hopper.test_tensor_map_store(rw, bool(more))
    hopper.test_cluster_histogram(rw, 8)
    hopper.test_ring(rw, 0)
    values = np.arange(64 * 8, dtype=np.int32).reshape(8, 64)
    rw.emulate(cuda_ptx("cluster", "sm_90a"), "ring_copy", 8, 64, [values, np.zeros_like(values)], cluster=(8, 1, 1))
    hopper.test_swap_pairs(rw)
    for kind in ("specialized", "together"):
        for dtype, suffix in (("fp16", "half"), ("bf16", "bfloat16")):
            hopper.test_wgmma(rw, kind, dtype, suffix, (136, 128, 64 * (9 + more)))
    hopper.test_multicast(rw, 128, 64 * (9 + more))


def cuda_entries(arch: str) -> set[str]:
    """The names of the kernels of kernels/*.cu for a target."""
    names = {path.stem for path in KERNELS.glob("*.cu")} - {"pointers", "recursion"}  # The emulator refuses these.
    if arch == "sm_80":
        names -= {"cluster", "multicast", "tma", "wgmma"}
    return {entry for name in names for entry in re.findall(r"\.entry (\w+)\(", cuda_ptx(name, arch))}


def cuda_kernels(rw: SimpleNamespace) -> Tables:
    """The kernels of kernels/*.cu for sm_80 and sm_90a."""
    tables: Tables = {}
    for arch in ("sm_80", "sm_90a"):
        package = MutatingPackage(rw, seeds=SEEDS, tolerance=1e-3)
        plain_cuda(package, arch)
        if arch == "sm_90a":
            for more in range(3):
                hopper_cuda(package, more)
        left = cuda_entries(arch) - set(package.tables)
        assert not left, f"kernels that no launch mutates: {sorted(left)}"
        tables |= {f"{arch} {entry}": best(found) for entry, found in package.tables.items()}
    return tables


# Triton.


def triton_launches(kernels: ModuleType) -> dict[str, Callable[[MutatingPackage, int], object]]:
    """Launches of test_emulate_triton.py by name of kernel, as functions of the package and the target."""
    return {
        "softmax": lambda rw, arch: triton.test_softmax(rw, kernels, arch, "fp32", 2, 1000),
        "layer_norm": lambda rw, arch: triton.test_layer_norm(rw, kernels, arch, "fp16"),
        # More tiles along k than stages, the last one in part.
        **{name: functools.partial(
            triton.run_matmul, kernels=kernels, dtype="fp16", out="fp16", shape=(64, 80, 400), stages=stages)
           for name, stages in (("matmul of one stage", 1), ("matmul of three stages", 3))},
        "matmul of 8 warps": functools.partial(
            triton.run_matmul, kernels=kernels, dtype="fp16", out="fp16", shape=(130, 64, 400), stages=3,
            tile=(128, 64, 64), warps=8, transposed=True),
        "matmul_split": functools.partial(triton.run_split, kernels=kernels, shape=(64, 32, 320), splits=2),
        "matmul_descriptor": lambda rw, arch: triton.test_descriptors(rw, kernels, arch, "fp16", (100, 80, 400)),
        "matmul_device_descriptor": lambda rw, arch: (
            triton.test_device_descriptors(rw, kernels) if arch == 90 else None),
        **{f"matmul_persistent{name}": functools.partial(
            triton.run_persistent, kernels=kernels, flatten=flatten, shape=(136, 216, 328))
           for name, flatten in (("", False), (" flattened", True))},
        "attention": lambda rw, arch: triton.test_attention(rw, kernels, arch, 64, "fp16", True),
    }


def triton_kernels(rw: SimpleNamespace) -> Tables:
    """The kernels of triton_kernels.py for sm_80 and sm_90."""
    pytest.importorskip("triton", reason="Triton is not installed")
    sys.path.insert(0, str(KERNELS))
    try:
        kernels = importlib.import_module("triton_kernels")
    finally:
        sys.path.remove(str(KERNELS))
    tables: Tables = {}
    for name, launch in triton_launches(kernels).items():
        for arch in (80, 90):
            package = MutatingPackage(rw, seeds=SEEDS, tolerance=1e-2)
            launch(package, arch=arch)
            for found in package.tables.values():
                tables[f"sm_{arch} {name}"] = best(found)
    return tables


GROUPS = {"own": own, "cuda": cuda_kernels, "triton": triton_kernels}
