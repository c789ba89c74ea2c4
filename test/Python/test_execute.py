"""Small functions compiled for this machine, against NumPy.

Guards the decompositions of rope.rotate and rope.update_cache, products with
weights of every storage type, caches that are written in place, and what
`ropewalk execute` says about bad input.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

BIN = Path(os.environ.get("ROPEWALK_BUILD", "build")).absolute() / "bin"


def execute(
    folder: Path, module: str, inputs: dict[str, np.ndarray], *options: str
) -> dict[str, np.ndarray]:
    """The results and updated caches of the only function of `module`."""
    (folder / "module.mlir").write_text(module)
    command = [BIN / "ropewalk", "execute", folder / "module.mlir", "--out", folder / "out"]
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
        command += ["--in", f"{name}={folder / name}.npy"]
    run = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return {path.stem: np.load(path) for path in (folder / "out").glob("*.npy")}


@pytest.mark.parametrize("batch_of_positions", [1, 2])
def test_rotate(batch_of_positions: int, tmp_path: Path) -> None:
    """rope.rotate at any positions, with dimensions that are not rotated."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 5, 12)).astype(np.float32)
    positions = rng.integers(0, 1_000_000, (batch_of_positions, 5))
    module = f"""
    func.func @f(%x: tensor<?x3x?x12xf32> {{rope.name = "x"}},
                 %p: tensor<{batch_of_positions}x?xi64> {{rope.name = "p"}})
        -> (tensor<?x3x?x12xf32> {{rope.name = "y"}}) {{
      %c0 = arith.constant 0 : index
      %c2 = arith.constant 2 : index
      %b = tensor.dim %x, %c0 : tensor<?x3x?x12xf32>
      %s = tensor.dim %x, %c2 : tensor<?x3x?x12xf32>
      %e = tensor.empty(%b, %s) : tensor<?x3x?x12xf32>
      %y = rope.rotate #rope.rotary<theta = 10000.0, dim = 8>
        ins(%x : tensor<?x3x?x12xf32>)
        positions(%p : tensor<{batch_of_positions}x?xi64>)
        outs(%e : tensor<?x3x?x12xf32>) -> tensor<?x3x?x12xf32>
      return %y : tensor<?x3x?x12xf32>
    }}"""
    y = execute(tmp_path, module, {"x": x, "p": positions})["y"]
    angle = positions[:, None, :, None] * 1e4 ** (-np.arange(0, 8, 2) / 8)
    low, high = x[..., :4].astype(np.float64), x[..., 4:8].astype(np.float64)
    expected = np.concatenate(
        [
            low * np.cos(angle) - high * np.sin(angle),
            high * np.cos(angle) + low * np.sin(angle),
            x[..., 8:],
        ],
        axis=-1,
    )
    assert np.abs(y - expected).max() < 1e-6


@pytest.mark.parametrize("per_item", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_update_cache(per_item: bool, dtype: type, tmp_path: Path) -> None:
    """Rows go to their slots, the others stay; the cache is no result."""
    rng = np.random.default_rng(2)
    element = {np.float32: "f32", np.float16: "f16"}[dtype]
    cache = rng.standard_normal((3, 2, 9, 4)).astype(dtype)
    rows = rng.standard_normal((3, 2, 4, 4)).astype(dtype)
    offset = np.array([5, 0, 2] if per_item else 3, np.int64)
    kind = "tensor<?xi64>" if per_item else "i64"
    results = execute(
        tmp_path, cache_module(element, kind), {"rows": rows, "offset": offset, "c": cache}
    )
    expected = cache.copy()
    for item, first in enumerate(offset if per_item else [3, 3, 3]):
        expected[item, :, first : first + 4] = rows[item]
    assert list(results) == ["c"]
    assert (results["c"] == expected).all()


@pytest.mark.parametrize("offset", [-5, 6, 10**15])
def test_update_cache_out_of_range(offset: int, tmp_path: Path) -> None:
    """An offset that breaks the contract moves to slots that exist."""
    cache, rows = np.zeros((1, 2, 9, 4), np.float32), np.ones((1, 2, 4, 4), np.float32)
    inputs = {"rows": rows, "offset": np.array([offset]), "c": cache}
    results = execute(tmp_path, cache_module("f32", "tensor<?xi64>"), inputs)
    first = min(max(offset, 0), 5)
    cache[:, :, first : first + 4] = 1
    assert (results["c"] == cache).all()


def cache_module(element: str, kind: str) -> str:
    """A function that updates a cache c with rows at an offset of type `kind`."""
    return f"""
    func.func @f(%rows: tensor<?x2x?x4x{element}> {{rope.name = "rows"}},
                 %o: {kind} {{rope.name = "offset"}},
                 %c: tensor<?x2x?x4x{element}> {{rope.name = "c", rope.kind = "cache"}})
        -> (tensor<?x2x?x4x{element}> {{rope.name = "c"}}) {{
      %u = rope.update_cache rows(%rows : tensor<?x2x?x4x{element}>) offset(%o : {kind})
        outs(%c : tensor<?x2x?x4x{element}>) -> tensor<?x2x?x4x{element}>
      return %u : tensor<?x2x?x4x{element}>
    }}"""


def test_cache_that_is_replaced(tmp_path: Path) -> None:
    """A function that returns another tensor as its cache writes it back."""
    module = """
    func.func @f(%x: tensor<?xf32> {rope.name = "x"},
                 %c: tensor<?xf32> {rope.name = "c", rope.kind = "cache"})
        -> (tensor<?xf32> {rope.name = "y"}, tensor<?xf32> {rope.name = "c"}) {
      %y = linalg.add ins(%x, %c : tensor<?xf32>, tensor<?xf32>)
        outs(%x : tensor<?xf32>) -> tensor<?xf32>
      return %y, %x : tensor<?xf32>, tensor<?xf32>
    }"""
    x, c = np.arange(5, dtype=np.float32), np.full(5, 7, np.float32)
    results = execute(tmp_path, module, {"x": x, "c": c}, "--repeat", "2")
    # The second run adds the cache that the first one left.
    assert (results["c"] == x).all()
    assert (results["y"] == x + x).all()


@pytest.mark.parametrize("storage", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("size", [(1, 37, 19), (3, 33, 300), (13, 65, 70), (200, 31, 257)])
def test_product_with_weights(storage: str, size: tuple[int, int, int], tmp_path: Path) -> None:
    """Library products for few and many rows and every storage of weights."""
    m, n, k = size
    rng = np.random.default_rng(3)
    a = rng.standard_normal((m, k)).astype(np.float32)
    w = rng.standard_normal((n, k)).astype(np.float32)
    if storage == "bf16":
        stored = (w.view(np.uint32) >> 16).astype(np.uint16)
        w = (stored.astype(np.uint32) << 16).view(np.float32)
    else:
        stored = w.astype({"f32": np.float32, "f16": np.float16}[storage])
        w = stored.astype(np.float32)
    extension = "" if storage == "f32" else f"%x = arith.extf %v : {storage} to f32"
    module = f"""
    func.func @f(%a: tensor<?x{k}xf32> {{rope.name = "a"}},
                 %w: tensor<{n}x{k}x{storage}> {{rope.name = "w", rope.kind = "weight"}})
        -> (tensor<?x{n}xf32> {{rope.name = "y"}}) {{
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %m = tensor.dim %a, %c0 : tensor<?x{k}xf32>
      %e = tensor.empty(%m) : tensor<?x{n}xf32>
      %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?x{n}xf32>) -> tensor<?x{n}xf32>
      %y = linalg.generic {{indexing_maps = [affine_map<(m, n, k) -> (m, k)>,
                                             affine_map<(m, n, k) -> (n, k)>,
                                             affine_map<(m, n, k) -> (m, n)>],
                            iterator_types = ["parallel", "parallel", "reduction"]}}
        ins(%a, %w : tensor<?x{k}xf32>, tensor<{n}x{k}x{storage}>)
        outs(%z : tensor<?x{n}xf32>) {{
      ^bb0(%u: f32, %v: {storage}, %o: f32):
        {extension}
        %p = arith.mulf %u, {"%v" if storage == "f32" else "%x"} : f32
        %s = arith.addf %o, %p : f32
        linalg.yield %s : f32
      }} -> tensor<?x{n}xf32>
      return %y : tensor<?x{n}xf32>
    }}"""
    y = execute(tmp_path, module, {"a": a, "w": stored})["y"]
    expected = a.astype(np.float64) @ w.T.astype(np.float64)
    bound = np.abs(a).astype(np.float64) @ np.abs(w).T.astype(np.float64)
    assert (np.abs(y - expected) <= 1e-6 * bound).all()


GOOD = """func.func @f(%x: tensor<?x4xf32> {rope.name = "x"}, %y: tensor<?x4xf32> {rope.name = "y"})
    -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}"""


@pytest.mark.parametrize(
    ("module", "tensors", "message"),
    [
        (GOOD, {"x": np.zeros((2, 4), np.float32)}, "argument 'y' has no --in"),
        (
            GOOD,
            {"x": np.zeros((2, 4)), "y": np.zeros((2, 4), np.float32)},
            "has elements of <f8, argument 'x' expects <f4",
        ),
        (
            GOOD,
            {"x": np.zeros((2, 5), np.float32), "y": np.zeros((2, 4), np.float32)},
            "x",
        ),
        (
            GOOD,
            {n: np.zeros((2, 4), np.float32) for n in "xyz"},
            "'f' has no argument 'z'",
        ),
        (
            "func.func private @elsewhere()\nfunc.func @f() { call @elsewhere() : () -> () return }",
            {},
            "cannot link the compiled code: Symbols not found: [ elsewhere ]",
        ),
        ("func.func private @f()", {}, "the module has no public function with a body"),
        ("func.func @f(", {}, "is no valid module"),
        (
            'func.func @f(%x: tensor<*xf32> {rope.name = "x"}) { return }',
            {},
            "function 'f': 'x' is of type tensor<*xf32>, expected a ranked tensor",
        ),
    ],
)
def test_errors(
    module: str, tensors: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    """Bad input is one line that names the argument, and status 1."""
    (tmp_path / "m.mlir").write_text(module)
    command = [BIN / "ropewalk", "execute", tmp_path / "m.mlir"]
    for name, array in tensors.items():
        np.save(tmp_path / f"{name}.npy", array)
        command += ["--in", f"{name}={tmp_path / name}.npy"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert message in run.stderr.splitlines()[-1]


def test_argument_as_result(tmp_path: Path) -> None:
    """A result that is an argument is a copy that the program owns."""
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    results = execute(tmp_path, GOOD, {"x": x, "y": x}, "--repeat", "3")
    assert (results["result0"] == x).all()


def test_damaged_file(tmp_path: Path) -> None:
    """A .npy file that is cut off is refused."""
    (tmp_path / "m.mlir").write_text(GOOD)
    x = np.zeros((2, 4), np.float32)
    np.save(tmp_path / "x.npy", x)
    data = (tmp_path / "x.npy").read_bytes()
    for size, message in ((len(data) - 4, "holds 28 bytes of data, expected 32"), (9, "no .npy")):
        (tmp_path / "y.npy").write_bytes(data[:size])
        run = subprocess.run(
            [BIN / "ropewalk", "execute", tmp_path / "m.mlir", "--in", f"x={tmp_path}/x.npy"]
            + ["--in", f"y={tmp_path}/y.npy"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 1
        assert message in run.stderr
