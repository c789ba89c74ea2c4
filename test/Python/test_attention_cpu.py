"""Attention compiled for this machine against a reference in float64.

Guards rope-decompose-attention (the definition) and rope-tile-attention (the
vector code): every case runs through both. The reference goes through all pairs
of positions one by one, with each method's published rule written as a function
of (i, j); nothing of it comes from segments.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

BIN = Path(os.environ.get("ROPEWALK_BUILD", "build")).absolute() / "bin"

# (i, j, parameters) -> (query position, key position), or None: not seen.
Rule = Callable[[int, int, dict[str, int]], tuple[float, float] | None]


def identity(i: int, j: int, p: dict[str, int]) -> tuple[float, float]:
    return i, j


def self_extend(i: int, j: int, p: dict[str, int]) -> tuple[float, float]:
    group, window = p["group"], p["window"]
    if i - j < window:
        return i, j
    return i // group + window - window // group, j // group


def rerope(i: int, j: int, p: dict[str, int]) -> tuple[float, float]:
    return (i, j) if i - j < p["window"] else (p["window"], 0)


def sliding(i: int, j: int, p: dict[str, int]) -> tuple[float, float] | None:
    return (i, j) if i - j < p["window"] else None


def lm_infinite(i: int, j: int, p: dict[str, int]) -> tuple[float, float] | None:
    """The first keys seem at most `limit` away; others beyond the window are unseen."""
    if i - j < p["window"]:
        return i, j
    return (min(i, p["limit"]), 0) if j < p["first"] else None


LM_INFINITE = (
    "#rope.segments<[window = {window}, first = {first}, limit = {limit}],"
    " from (i - window + 1) query (i) key (j), from (first) masked,"
    " from (0) query (i, limit) key (0)>"
)


def leaky(i: int, j: int, p: dict[str, int]) -> tuple[float, float]:
    """Leaky ReRoPE with factor 2 in units of 1/2."""
    window = p["window"]
    return (i, j) if i - j < window else ((i + window) / 2, j / 2)


LEAKY = (
    "#rope.segments<[window = {window}], unit = 2,"
    " from (i - window + 1) query (i * 2) key (j * 2),"
    " from (0) query (i + window) key (j)>"
)


@dataclass
class Case:
    """One attention; arrays are made from the seed of its name.

    parameters: name -> int (constant in the map) or array (an operand). offset,
    position, length: None, int (scalar operand) or list (tensor operand). explicit:
    batch size of query_positions and key_positions with gaps and repetitions.
    """

    rule: Rule = identity
    map: str = "#rope.identity"
    parameters: dict[str, object] = field(default_factory=dict)
    batch: int = 1
    heads: tuple[int, int] = (2, 1)
    queries: int = 24
    keys: int = 24
    dim: int = 16
    value_dim: int | None = None
    rotary: int | None = None
    theta: float = 100.0
    yarn: tuple[float, int] | None = None
    causal: bool = True
    offset: object = None
    position: object = None
    length: object = None
    query_start: int | None = None
    key_start: int | None = None
    explicit: int | None = None
    bias: tuple[int, int] | None = None
    infinite_bias: bool = False
    softcap: float | None = None
    frequencies: int | None = None
    lse: bool = True
    dtype: str = "f32"
    magnitude: float = 1.0
    static: bool = False
    tolerance: float = 4e-6


SE = "#rope.self_extend<group = {group}, window = {window}>"
CASES = {
    "identity": Case(),
    "identity-static": Case(static=True, batch=2, queries=33, keys=33),
    "one-token": Case(queries=1, keys=1),
    "not-causal": Case(causal=False, queries=7, keys=40),
    "long-tiles": Case(queries=150, keys=300, offset=150),
    "group-divides": Case(self_extend, SE, {"group": 4, "window": 8}, queries=70, keys=70),
    "group-does-not-divide": Case(
        self_extend, SE, {"group": 3, "window": 10}, queries=70, keys=70
    ),
    "group-one": Case(self_extend, SE, {"group": 1, "window": 8}),
    "window-zero": Case(self_extend, SE, {"group": 4, "window": 0}),
    "window-one": Case(self_extend, SE, {"group": 4, "window": 1}),
    "window-longer": Case(self_extend, SE, {"group": 4, "window": 99}),
    "length-is-window": Case(self_extend, SE, {"group": 4, "window": 24}),
    "length-is-window-plus-one": Case(self_extend, SE, {"group": 4, "window": 23}),
    "decode": Case(
        self_extend, SE, {"group": 4, "window": 9}, queries=1, keys=64, offset=63
    ),
    "decode-in-capacity": Case(
        self_extend, SE, {"group": 4, "window": 9}, queries=1, keys=300, offset=40, length=41
    ),
    "chunk": Case(
        self_extend, SE, {"group": 5, "window": 12}, queries=40, keys=160, offset=90, length=130
    ),
    "cut-inside-tile": Case(
        self_extend, SE, {"group": 4, "window": 200}, queries=300, keys=300
    ),
    "grouped-heads-seven": Case(
        self_extend, SE, {"group": 3, "window": 8}, heads=(14, 2), batch=2
    ),
    "group-per-item": Case(
        self_extend,
        SE,
        {"group": np.array([2, 5]), "window": np.array([8, 3])},
        batch=2,
        queries=50,
        keys=50,
    ),
    "window-per-head": Case(
        self_extend,
        SE,
        {"group": np.array([[2, 5]]), "window": np.array([[8, 3], [0, 60]])},
        batch=2,
        heads=(4, 2),
        queries=50,
        keys=50,
    ),
    "group-per-pair": Case(
        self_extend,
        SE,
        {"group": np.arange(1, 9).reshape(1, 1, 8), "window": 8},
        queries=50,
        keys=50,
    ),
    "parameter-scalar": Case(
        self_extend, SE, {"group": np.array(4), "window": np.array(6)}
    ),
    "parameter-of-one": Case(
        self_extend, SE, {"group": np.array([4]), "window": 6}, batch=3
    ),
    "left-padding": Case(
        self_extend,
        SE,
        {"group": 4, "window": 7},
        batch=3,
        queries=40,
        keys=40,
        position=[0, -9, -33],
    ),
    "unequal-lengths": Case(
        self_extend,
        SE,
        {"group": 4, "window": 7},
        batch=3,
        queries=8,
        keys=64,
        offset=[56, 20, 0],
        length=[64, 28, 5],
    ),
    "all-padding": Case(batch=2, position=[-24, -60], length=[24, 0]),
    "positive-shift": Case(self_extend, SE, {"group": 3, "window": 7}, position=1000),
    "starts": Case(
        self_extend,
        SE,
        {"group": 4, "window": 7},
        queries=10,
        keys=40,
        offset=5,
        query_start=30,
        key_start=3,
        length=44,
    ),
    "explicit-positions": Case(
        self_extend, SE, {"group": 4, "window": 7}, batch=2, explicit=2, length=[24, 20]
    ),
    "explicit-positions-shared": Case(
        sliding, "#rope.sliding<window = {window}>", {"window": 5}, batch=2, explicit=1
    ),
    "rerope": Case(rerope, "#rope.rerope<window = {window}>", {"window": 9}),
    "sliding": Case(
        sliding, "#rope.sliding<window = {window}>", {"window": 9}, queries=300, keys=300
    ),
    "sliding-nothing": Case(sliding, "#rope.sliding<window = {window}>", {"window": 0}),
    "lm-infinite": Case(
        lm_infinite,
        LM_INFINITE,
        {"window": 10, "first": 4, "limit": 12},
        queries=200,
        keys=200,
    ),
    "lm-infinite-bias": Case(
        lm_infinite,
        LM_INFINITE,
        {"window": 10, "first": np.array([4, 2]), "limit": 12},
        batch=2,
        bias=(2, 1),
    ),
    "leaky-units": Case(leaky, LEAKY, {"window": 8}, queries=50, keys=50),
    "bias": Case(self_extend, SE, {"group": 4, "window": 7}, batch=2, bias=(2, 2)),
    "bias-broadcast": Case(batch=2, bias=(1, 1), queries=33, keys=150, offset=117),
    "bias-infinite": Case(bias=(1, 1), infinite_bias=True),
    "softcap": Case(self_extend, SE, {"group": 4, "window": 7}, softcap=2.0, magnitude=3),
    "softcap-bias": Case(softcap=5.0, bias=(1, 2), magnitude=3),
    "partial-rotary": Case(
        self_extend, SE, {"group": 4, "window": 7}, dim=24, rotary=8, value_dim=20
    ),
    "yarn": Case(self_extend, SE, {"group": 4, "window": 7}, yarn=(4.0, 16), dim=32),
    "yarn-partial": Case(yarn=(8.0, 16), dim=32, rotary=16),
    "frequencies": Case(self_extend, SE, {"group": 2, "window": 6}, frequencies=1),
    "frequencies-per-head": Case(heads=(4, 2), frequencies=2),
    "odd-value-dim": Case(value_dim=7),
    "large-scores": Case(magnitude=30, tolerance=2e-4),
    "far-positions": Case(
        self_extend, SE, {"group": 8, "window": 7}, theta=1e4, position=1_000_000
    ),
    "no-lse": Case(lse=False),
    "f16": Case(dtype="f16", queries=40, keys=40, tolerance=2e-3),
    "f64": Case(self_extend, SE, {"group": 4, "window": 7}, dtype="f64", tolerance=1e-13),
}
NUMPY = {"f16": np.float16, "f32": np.float32, "f64": np.float64}


def yarn_frequencies(theta: float, dim: int, factor: float, original: int) -> np.ndarray:
    """Peng et al. 2023, with the ends of the ramp rounded outwards: [dim / 2]."""

    def pair_of(turns: float) -> float:
        return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair_of(32.0)), 0)
    high = min(math.ceil(pair_of(1.0)), dim - 1)
    plain = theta ** (-np.arange(0, dim, 2) / dim)
    ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 1e-3), 0, 1)
    return plain * (1 - ramp) + plain / factor * ramp


class Problem:
    """The module, the tensors and the expected results of a case."""

    def __init__(self, name: str, case: Case) -> None:
        self.case = case
        rng = np.random.default_rng(sum(map(ord, name)))
        dtype = NUMPY[case.dtype]
        (hq, hkv), b = case.heads, case.batch
        dv = case.value_dim or case.dim
        self.rotary = case.rotary or case.dim

        def normal(*shape: int) -> np.ndarray:
            return (case.magnitude * rng.standard_normal(shape)).astype(dtype)

        self.inputs = {
            "q": normal(b, hq, case.queries, case.dim),
            "k": normal(b, hkv, case.keys, case.dim),
            "v": rng.standard_normal((b, hkv, case.keys, dv)).astype(dtype),
        }
        self.lengths = self.per_item(case.length, case.keys)
        start = case.key_start or 0
        for item, length in enumerate(self.lengths):
            # What no length covers must not matter.
            self.inputs["k"][item, :, max(0, length - start) :] = np.nan
            self.inputs["v"][item, :, max(0, length - start) :] = np.nan
        if case.bias:
            bias = normal(case.bias[0], case.bias[1], case.queries, case.keys)
            if case.infinite_bias:
                bias[rng.random(bias.shape) < 0.4] = -np.inf
                bias[:, :, 5] = -np.inf
            self.inputs["bias"] = bias
        if case.frequencies:
            self.inputs["frequencies"] = rng.random((case.frequencies, self.rotary // 2))
        for operand in ("offset", "position", "length"):
            value = getattr(case, operand)
            if value is not None:
                self.inputs[operand] = np.array(value, dtype=np.int64)
        if case.explicit:
            for name, count in (("queries_at", case.queries), ("keys_at", case.keys)):
                steps = rng.integers(0, 3, (case.explicit, count))
                self.inputs[name] = rng.permuted(np.cumsum(steps, axis=1) - 2, axis=1)
        for key, value in case.parameters.items():
            if isinstance(value, np.ndarray):
                self.inputs[key] = value.astype(np.int64)

    def per_item(self, value: object, default: int) -> list[int]:
        if isinstance(value, list):
            return value
        return [default if value is None else value] * self.case.batch

    def module(self) -> str:
        """A function on these tensors."""
        case = self.case

        def type_of(name: str, array: np.ndarray) -> str:
            element = {"i": "i64", "f": f"f{8 * array.itemsize}"}[array.dtype.kind]
            if array.ndim == 0:
                return element
            fixed = {"q": (1, 3), "k": (1, 3), "v": (1, 3), "frequencies": (1,)}
            keep = range(4) if case.static else fixed.get(name, ())
            sizes = [str(n) if axis in keep else "?" for axis, n in enumerate(array.shape)]
            return f"tensor<{'x'.join(sizes)}x{element}>"

        types = {name: type_of(name, array) for name, array in self.inputs.items()}
        arguments = ", ".join(
            f'%{name}: {kind} {{rope.name = "{name}"}}' for name, kind in types.items()
        )
        words = {
            key: "?" if isinstance(value, np.ndarray) else value
            for key, value in case.parameters.items()
        }
        attribute = case.map.format(**words)
        scaling = ""
        if case.yarn:
            scaling = f", scaling = #rope.yarn<factor = {case.yarn[0]}, original = {case.yarn[1]}>"
        rotary = f"#rope.rotary<theta = {case.theta}, dim = {self.rotary}{scaling}>"
        clauses = "causal " if case.causal else ""
        if case.softcap:
            clauses += f"softcap {case.softcap} "
        for word, name in [("query", "q"), ("key", "k"), ("value", "v"), ("bias", "bias")]:
            if name in types:
                clauses += f"{word}(%{name} : {types[name]}) "
        for word, name in [
            ("query_offset", "offset"),
            ("key_length", "length"),
            ("position_offset", "position"),
        ]:
            if name in types:
                clauses += f"{word}(%{name} : {types[name]}) "
        runtime = [key for key in case.parameters if key in types]
        if runtime:
            clauses += (
                f"parameters({', '.join('%' + k for k in runtime)} : "
                f"{', '.join(types[k] for k in runtime)}) "
            )
        if case.frequencies:
            clauses += f"inverse_frequencies(%frequencies : {types['frequencies']}) "
        for word, name in [("query_positions", "queries_at"), ("key_positions", "keys_at")]:
            if case.explicit:
                clauses += f"{word}(%{name} : {types[name]}) "
        constants = ""
        for word in ("query_start", "key_start"):
            if getattr(case, word) is not None:
                constants += f"  %{word} = arith.constant {getattr(case, word)} : index\n"
                clauses += f"{word}(%{word}) "
        (hq, _), dv = case.heads, case.value_dim or case.dim
        out = f"tensor<?x{hq}x?x{dv}x{case.dtype}>"
        results, extra = [out], ""
        inits = ["%out"]
        if case.lse:
            results.append(f"tensor<?x{hq}x?xf32>")
            inits.append("%lse")
            extra = f"  %lse = tensor.empty(%b, %s) : {results[1]}\n"
        names = ", ".join(
            f'{kind} {{rope.name = "{name}"}}'
            for kind, name in zip(results, ["out", "lse"], strict=False)
        )
        returned = ", ".join(f"%r#{n}" for n in range(len(results)))
        return (
            f"func.func @forward({arguments}) -> ({names}) {{\n"
            "  %c0 = arith.constant 0 : index\n  %c2 = arith.constant 2 : index\n"
            f"{constants}"
            f"  %b = tensor.dim %q, %c0 : {types['q']}\n"
            f"  %s = tensor.dim %q, %c2 : {types['q']}\n"
            f"  %out = tensor.empty(%b, %s) : {out}\n{extra}"
            f"  %r:{len(results)} = rope.attention {attribute} rotary {rotary} "
            f"scale 0.3 {clauses}outs({', '.join(inits)} : {', '.join(results)})"
            f" -> {', '.join(results)}\n"
            f"  return {returned} : {', '.join(results)}\n}}\n"
        )

    def reference(self) -> tuple[np.ndarray, np.ndarray]:
        """Output [B, Hq, Sq, Dv] and log-sum-exp [B, Hq, Sq] in float64."""
        case = self.case
        q, k, v = (self.inputs[name].astype(np.float64) for name in "qkv")
        pairs, repeat = self.rotary // 2, case.heads[0] // case.heads[1]
        factor = 1.0
        frequencies = case.theta ** (-np.arange(0, self.rotary, 2) / self.rotary)
        if case.yarn:
            frequencies = yarn_frequencies(case.theta, self.rotary, *case.yarn)
            factor = 0.1 * math.log(case.yarn[0]) + 1
        offsets = self.per_item(case.offset, 0)
        shifts = self.per_item(case.position, 0)

        def rotate(x: np.ndarray, positions: np.ndarray, f: np.ndarray) -> np.ndarray:
            cosine, sine = factor * np.cos(positions * f), factor * np.sin(positions * f)
            low, high = x[:pairs], x[pairs : 2 * pairs]
            turned = [low * cosine - high * sine, high * cosine + low * sine]
            return np.concatenate([*turned, x[2 * pairs :]])

        out = np.zeros((*q.shape[:3], v.shape[3]))
        lse = np.full(q.shape[:3], -np.inf)
        for b, h, r in np.ndindex(*q.shape[:3]):
            kv = h // repeat
            f = frequencies
            if case.frequencies:
                f = self.inputs["frequencies"][kv % case.frequencies]
            i = offsets[b] + (case.query_start or 0) + r + shifts[b]
            if case.explicit:
                i = int(self.inputs["queries_at"][b % case.explicit, r])
            values = [self.values(b, kv, pair) for pair in range(pairs)]
            scores, columns = [], []
            for column in range(case.keys):
                slot = (case.key_start or 0) + column
                j = slot + shifts[b]
                if case.explicit:
                    j = int(self.inputs["keys_at"][b % case.explicit, column])
                if slot >= self.lengths[b] or i < 0 or j < 0 or (case.causal and j > i):
                    continue
                places = [case.rule(i, j, p) for p in values]
                if places[0] is None:
                    continue
                left, right = np.array(places, dtype=np.float64).T
                score = 0.3 * rotate(q[b, h, r], left, f) @ rotate(k[b, kv, column], right, f)
                if case.softcap:
                    score = case.softcap * math.tanh(score / case.softcap)
                if case.bias:
                    bias = self.inputs["bias"]
                    score += float(bias[b % len(bias), h % bias.shape[1], r, column])
                if score > -np.inf:
                    scores.append(score)
                    columns.append(column)
            if scores:
                top = max(scores)
                weights = np.exp(np.array(scores) - top)
                out[b, h, r] = weights @ v[b, kv, columns] / weights.sum()
                lse[b, h, r] = top + math.log(weights.sum())
        return out, lse

    def values(self, item: int, head: int, pair: int) -> dict[str, int]:
        """The map's parameters for an item, KV head and pair."""
        values = {}
        for name, value in self.case.parameters.items():
            if isinstance(value, np.ndarray):
                place = tuple(
                    min(n, size - 1)
                    for n, size in zip((item, head, pair), value.shape, strict=False)
                )
                value = value[place]
            values[name] = int(value)
        return values


FORMS = {"tiled": [], "definition": ["--definition"]}
# Narrower registers than this machine's change the register tiles only.
WIDTHS = {
    "tiled-16": ["--vector-bytes", "16"],
    "tiled-32": ["--vector-bytes", "32"],
    "tiled-64": ["--vector-bytes", "64"],
    "one-thread": ["--threads", "1"],
    "five-threads": ["--threads", "5"],
}
VARIED = ["cut-inside-tile", "window-per-head", "partial-rotary", "softcap-bias", "decode"]
RUNS = [(name, form) for name in CASES for form in FORMS]
RUNS += [(name, width) for name in VARIED for width in WIDTHS]


@pytest.mark.parametrize(("name", "form"), RUNS)
def test_attention(name: str, form: str, tmp_path: Path) -> None:
    """Largest error of the output and of the log-sum-exp, and exact empty rows."""
    case = CASES[name]
    problem = Problem(name, case)
    (tmp_path / "case.mlir").write_text(problem.module())
    command = [BIN / "ropewalk", "execute", tmp_path / "case.mlir", "--out", tmp_path / "out"]
    for key, array in problem.inputs.items():
        np.save(tmp_path / f"{key}.npy", array)
        command += ["--in", f"{key}={tmp_path / key}.npy"]
    command += {**FORMS, **WIDTHS}[form]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

    expected, expected_lse = problem.reference()
    out = np.load(tmp_path / "out" / "out.npy").astype(np.float64)
    assert out.shape == expected.shape
    error = np.abs(out - expected).max()
    print(f"{name} {form}: error {error:.2e}")
    assert error <= case.tolerance * max(1.0, np.abs(expected).max())
    empty = np.isneginf(expected_lse)
    assert (out[empty] == 0).all()
    if case.lse:
        lse = np.load(tmp_path / "out" / "lse.npy").astype(np.float64)
        assert np.isneginf(lse[empty]).all()
        scale = np.maximum(1.0, np.abs(expected_lse[~empty]))
        worst = (np.abs(lse[~empty] - expected_lse[~empty]) / scale).max(initial=0)
        assert worst <= max(case.tolerance, 1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 8)])
def test_parameter_below_its_minimum(shape: tuple[int, ...], tmp_path: Path) -> None:
    """A group of 0 counts as 1 and divides nothing by zero."""
    case = Case(self_extend, SE, {"group": np.zeros(shape, np.int64), "window": 4})
    problem = Problem("zero", case)
    (tmp_path / "case.mlir").write_text(problem.module())
    command = [BIN / "ropewalk", "execute", tmp_path / "case.mlir", "--out", tmp_path / "out"]
    for key, array in problem.inputs.items():
        np.save(tmp_path / f"{key}.npy", array)
        command += ["--in", f"{key}={tmp_path / key}.npy"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    case.parameters = {"group": 1, "window": 4}
    expected, _ = problem.reference()
    assert np.abs(np.load(tmp_path / "out" / "out.npy") - expected).max() < 4e-6


def test_both_forms_see_empty_rows() -> None:
    """The cases above do contain rows without keys; otherwise they guard nothing."""
    for name in ("all-padding", "left-padding", "sliding-nothing", "window-zero"):
        _, lse = Problem(name, CASES[name]).reference()
        assert np.isneginf(lse).any() == (name != "window-zero")
