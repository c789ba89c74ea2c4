"""ropewalk.attention against attention in float64, at the edges of its arguments.

Guards every path from Python to compiled code: position maps at the borders of
their windows, grouped heads, cache lengths and padding, parameters by item and
head, soft caps, biases, log-sum-exps, scaled and partial rotations. By default
a set of cases in which every pair of values occurs, and all meetings of maps,
padding and shapes of parameters; all combinations of what positions depend on
with ROPEWALK_TEST_ALL=1.
"""

from __future__ import annotations

import itertools
import os
import zlib

import numpy as np
import pytest
import reference

HEAD_DIM, VALUE_DIM, BATCH, CHUNK = 16, 8, 2, 5

SELF_EXTEND_TEXT = (
    "[group = ?, window = ?], from (i - window + 1) query (i) key (j), "
    "from (0) query (i floordiv group + window - window floordiv group) key (j floordiv group)"
)
LM_INFINITE_TEXT = (
    "[window = ?, first = ?, limit = 12], from (i - window + 1) query (i) key (j), from (first) masked, "
    "from (i - limit) query (i) key (j), from (0) query (limit) key (0)"
)
DUAL_CHUNK_TEXT = (
    "[chunk = 6, local = 3], from (chunk * (i floordiv chunk)) query (i mod chunk) key (j mod chunk), "
    "from (chunk * (i floordiv chunk) - chunk) query (i mod chunk + chunk, chunk + local) key (j mod chunk), "
    "from (0) query (2 * chunk - 1, chunk + local) key (j mod chunk)"
)

# (group, window): G divides w or not, no window, a window of one, all keys in it.
EDGES = [(3, 4), (4, 4), (3, 7), (5, 0), (2, 1), (1, 6), (7, 1000)]

AXES: dict[str, list] = {
    "map": ["identity", "self_extend", "rerope", "sliding", "segments", "lm_infinite", "dual_chunk"],
    "edge": EDGES,
    "length": ["window", "window + 1", 23, 64],
    "rows": ["one", "chunk", "all"],
    "heads": [(1, 1), (7, 1), (4, 2)],
    "padding": ["none", "left", "short", "both", "empty"],
    "parameters": ["number", "item", "head"],
    "extra": ["none", "softcap", "bias", "bias of heads", "yarn", "partial", "float64", "scale"],
}
CORE = ["map", "edge", "length", "rows", "heads", "padding", "parameters"]


def pairwise(axes: dict[str, list]) -> list[dict]:
    """Cases in which every pair of values of two axes occurs, made greedily."""
    names = list(axes)
    sizes = [len(axes[name]) for name in names]
    missing = {
        (a, x, b, y)
        for a, b in itertools.combinations(range(len(names)), 2)
        for x in range(sizes[a])
        for y in range(sizes[b])
    }
    cases = []
    while missing:
        a, x, b, y = min(missing)
        case = {a: x, b: y}
        for axis in range(len(names)):
            if axis in case:
                continue

            def gain(value: int, axis: int = axis, case: dict = case) -> int:
                return sum(
                    (min(axis, o), *((value, o, w) if axis < o else (w, axis, value))) in missing
                    for o, w in case.items()
                )

            case[axis] = max(range(sizes[axis]), key=lambda value: (gain(value), -value))
        for c, d in itertools.combinations(range(len(names)), 2):
            missing.discard((c, case[c], d, case[d]))
        cases.append({name: axes[name][case[axis]] for axis, name in enumerate(names)})
    return cases


def all_cases() -> list[dict]:
    """The cases of this run."""
    if not os.environ.get("ROPEWALK_TEST_ALL"):
        # Most pairs meet where another value hides them: a window beyond all keys
        # looks the same for every item. Here nothing is hidden.
        clear = {"edge": (3, 7), "length": 64, "rows": "all", "heads": (4, 2), "extra": "none"}
        meet = itertools.product(AXES["map"], AXES["padding"], AXES["parameters"])
        return pairwise(AXES) + [
            {name: (clear | {"map": m, "padding": p, "parameters": q})[name] for name in AXES} for m, p, q in meet
        ]
    extras = itertools.cycle(AXES["extra"])
    product = itertools.product(*(AXES[name] for name in CORE))
    return [dict(zip(CORE, values, strict=True), extra=next(extras)) for values in product]


def name_of(case: dict) -> str:
    return "-".join(str(value).replace(" ", "") for value in case.values())


def spread(value: int, shape: str, kv_heads: int, minimum: int) -> np.ndarray:
    """A parameter around `value` that differs by item, or by item and head: [B, Hkv]."""
    result = np.full((BATCH, kv_heads), value)
    if shape in ("item", "head"):
        result = result + np.arange(BATCH)[:, None]
    if shape == "head":
        result = result - np.arange(kv_heads)
    return np.maximum(result, minimum)


def given(values: np.ndarray, shape: str) -> int | np.ndarray:
    """The same in the form that a caller would write."""
    return {"number": int(values[0, 0]), "item": values[:, 0], "head": values}[shape]


def make_map(rw, case: dict, kv_heads: int):
    """The map, its definition in the reference, and the parameters of that [B, Hkv]."""
    group, window = case["edge"]
    shape = case["parameters"]
    groups, windows = spread(group, shape, kv_heads, 1), spread(window, shape, kv_heads, 0)
    g, w = given(groups, shape), given(windows, shape)
    constant = {name: np.full((BATCH, kv_heads), value) for name, value in
                {"limit": 12, "chunk": 6, "local": 3, "first": 2}.items()}  # fmt: skip
    return {
        "identity": lambda: (rw.Identity(), reference.identity, {}),
        "self_extend": lambda: (rw.SelfExtend(g, w), reference.self_extend, {"group": groups, "window": windows}),
        "rerope": lambda: (rw.ReRoPE(w), reference.rerope, {"window": windows}),
        "sliding": lambda: (rw.Sliding(w), reference.sliding, {"window": windows}),
        "segments": lambda: (
            rw.Segments(SELF_EXTEND_TEXT, group=g, window=w),
            reference.self_extend,
            {"group": groups, "window": windows},
        ),
        "lm_infinite": lambda: (
            rw.Segments(LM_INFINITE_TEXT, window=w, first=2),
            reference.lm_infinite,
            {"window": windows, "first": constant["first"], "limit": constant["limit"]},
        ),
        "dual_chunk": lambda: (
            rw.Segments(DUAL_CHUNK_TEXT),
            reference.dual_chunk,
            {"chunk": constant["chunk"], "local": constant["local"]},
        ),
    }[case["map"]]()


def run_case(rw, case: dict, target: str = "cpu") -> tuple[float, float]:
    """Largest errors of output and log-sum-exp; asserts what must hold exactly."""
    rng = np.random.default_rng(zlib.crc32(name_of(case).encode()))
    query_heads, kv_heads = case["heads"]
    window = min(case["edge"][1], 40)
    slots = {"window": max(window, 1), "window + 1": window + 1}.get(case["length"], case["length"])
    rows = {"one": 1, "chunk": min(CHUNK, slots), "all": slots}[case["rows"]]
    extra = case["extra"]
    dtype = np.float64 if extra == "float64" else np.float32

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    q = draw(BATCH, query_heads, rows, HEAD_DIM)
    k = draw(BATCH, kv_heads, slots, HEAD_DIM)
    v = draw(BATCH, kv_heads, slots, VALUE_DIM)
    padding = case["padding"]
    left = np.array([0, slots // 2]) if padding in ("left", "both") else np.zeros(BATCH, int)
    length = np.full(BATCH, slots)
    if padding in ("short", "both"):
        length = np.array([max(slots - 3, 1), slots])
    if padding == "empty":
        length = np.array([slots, 0])
    offset = np.maximum(length - rows, 0)
    position_map, function, parameters = make_map(rw, case, kv_heads)

    options = {"query_offset": offset}
    if padding in ("short", "both", "empty"):
        options["key_length"] = length
    if padding in ("left", "both"):
        options["position_offset"] = -left
    rotary, frequencies = rw.Rotary(1e4), reference.plain_frequencies(1e4, HEAD_DIM)
    scale, softcap, bias = HEAD_DIM**-0.5, None, None
    if extra == "yarn":
        scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
        rotary = rw.Rotary(500.0, scaling=scaling)
        frequencies = reference.yarn_frequencies(500.0, HEAD_DIM, 4.0, 16)
    elif extra == "partial":
        rotary, frequencies = rw.Rotary(1e4, dim=8), reference.plain_frequencies(1e4, 8)
    elif extra == "softcap":
        options["softcap"] = softcap = 1.5
    elif extra == "scale":
        options["scale"] = scale = 0.7
    elif extra.startswith("bias"):
        options["bias"] = bias = draw(1, query_heads if extra == "bias of heads" else 1, rows, slots)
    expected, expected_lse = reference.attention(
        *(q, k, v, function, parameters, frequencies),
        scale=scale,
        query_offset=offset,
        key_length=length,
        position_offset=-left,
        softcap=softcap,
        bias=bias,
    )
    output, lse = rw.attention(
        q, k, v, position_map=position_map, rotary=rotary, return_lse=True, target=target, **options
    )
    assert output.dtype == dtype and lse.dtype == np.float32
    assert output.shape == expected.shape and lse.shape == expected_lse.shape
    empty = np.isneginf(expected_lse)
    assert (output[empty] == 0).all(), "rows without keys are not 0"
    assert np.isneginf(lse[empty]).all(), "rows without keys have another log-sum-exp than -inf"
    errors = np.abs(output - expected).max(), np.abs(lse[~empty] - expected_lse[~empty]).max(initial=0.0)
    return float(errors[0]), float(errors[1])


@pytest.mark.parametrize("case", all_cases(), ids=name_of)
def test_edges(rw, case: dict) -> None:
    error, lse_error = run_case(rw, case)
    # Values are about 1; float32 has 24 bits, and sums have up to 64 terms.
    assert error < (1e-12 if case["extra"] == "float64" else 4e-6)
    # The log-sum-exp is float32 whatever the rest is.
    assert lse_error < 4e-6


def test_the_cover_has_every_pair() -> None:
    """Guards the cover itself: a pair that is left out is a combination never run."""
    cases = pairwise(AXES)
    for (a, values), (b, others) in itertools.combinations(AXES.items(), 2):
        assert {(str(case[a]), str(case[b])) for case in cases} == {
            (str(x), str(y)) for x, y in itertools.product(values, others)
        }


@pytest.mark.parametrize("target", ["emulate:sm_80", "emulate:sm_90a"])
@pytest.mark.parametrize("name", ["identity", "self_extend", "rerope", "sliding", "segments", "lm_infinite"])
def test_emulated(rw, name: str, target: str) -> None:
    """The PTX of every map gives the same, run in the emulator."""
    case = {
        "map": name,
        "edge": (3, 7),
        "length": 23,
        "rows": "chunk",
        "heads": (4, 2),
        "padding": "left",
        "parameters": "head",
        "extra": "none",
    }
    rng = np.random.default_rng(3)
    q = rng.standard_normal((BATCH, 4, CHUNK, HEAD_DIM)).astype(np.float32)
    k = rng.standard_normal((BATCH, 2, 23, HEAD_DIM)).astype(np.float32)
    v = rng.standard_normal((BATCH, 2, 23, HEAD_DIM)).astype(np.float32)
    position_map, function, parameters = make_map(rw, case, 2)
    operands = {
        "query_offset": np.array([18, 18]),
        "key_length": np.array([23, 23]),
        "position_offset": np.array([0, -9]),
    }
    output = rw.attention(q, k, v, position_map=position_map, rotary=rw.Rotary(1e4), target=target, **operands)
    expected, _ = reference.attention(
        *(q, k, v, function, parameters, reference.plain_frequencies(1e4, HEAD_DIM)), scale=HEAD_DIM**-0.5, **operands
    )
    assert np.abs(output - expected).max() < 4e-6


def test_large_positions(rw) -> None:
    """Angles keep their precision: one row at position 10^6 against a key 999,000 before it."""
    rng = np.random.default_rng(5)
    q = rng.standard_normal((1, 1, 1, HEAD_DIM)).astype(np.float32)
    k = rng.standard_normal((1, 1, 1, HEAD_DIM)).astype(np.float32)
    v = np.ones((1, 1, 1, VALUE_DIM), np.float32)
    operands = {"query_offset": np.array([999_000]), "key_length": np.array([1]), "position_offset": np.array([1_000])}
    output, lse = rw.attention(q, k, v, position_map=rw.Identity(), rotary=rw.Rotary(1e4), return_lse=True, **operands)
    _, expected = reference.attention(
        *(q, k, v, reference.identity, {}, reference.plain_frequencies(1e4, HEAD_DIM)), scale=HEAD_DIM**-0.5, **operands
    )
    assert (output == 1).all()
    # An angle held in float32 is off by up to 0.03 here.
    assert np.abs(lse - expected).max() < 4e-6


def test_without_the_causal_limit(rw) -> None:
    rng = np.random.default_rng(6)
    q, k, v = (rng.standard_normal((1, 2, 9, HEAD_DIM)).astype(np.float32) for _ in range(3))
    output = rw.attention(q, k, v, position_map=rw.Identity(), rotary=rw.Rotary(1e4), causal=False)
    zero = np.zeros(1, int)
    expected, _ = reference.attention(
        *(q, k, v, reference.identity, {}, reference.plain_frequencies(1e4, HEAD_DIM)),
        scale=HEAD_DIM**-0.5,
        query_offset=zero,
        key_length=zero + 9,
        position_offset=zero,
        causal=False,
    )
    assert np.abs(output - expected).max() < 4e-6
    with pytest.raises(rw.RopewalkError, match="causal"):
        rw.attention(q, k, v, position_map=rw.SelfExtend(2, 4), rotary=rw.Rotary(1e4), causal=False)


def test_views_and_sizes_of_zero(rw) -> None:
    """Strided views give what copies give; nothing in gives nothing out."""
    rng = np.random.default_rng(7)
    flat = rng.standard_normal((2, 9, 3, 4, HEAD_DIM)).astype(np.float32)  # [B, S, q/k/v, H, D]
    q, k, v = (flat[:, :, part].transpose(0, 2, 1, 3) for part in range(3))
    options = {"position_map": rw.SelfExtend(3, 4), "rotary": rw.Rotary(1e4)}
    view = rw.attention(q, k, v, **options)
    copy = rw.attention(*(np.ascontiguousarray(x) for x in (q, k, v)), **options)
    assert (view == copy).all()
    reversed_items = rw.attention(q[::-1], k[::-1], v[::-1], **options)
    assert (reversed_items[::-1] == copy).all()
    assert rw.attention(q[:0], k[:0], v[:0], **options).shape == (0, 4, 9, HEAD_DIM)
    assert rw.attention(q[:, :, :0], k, v, **options).shape == (2, 4, 0, HEAD_DIM)
    output, lse = rw.attention(q, k[:, :, :0], v[:, :, :0], return_lse=True, **options)
    assert (output == 0).all() and np.isneginf(lse).all()


def test_dtypes_of_results(rw) -> None:
    """The result has the type and kind of q, computed in float32."""
    rng = np.random.default_rng(8)
    q, k, v = (rng.standard_normal((1, 2, 9, HEAD_DIM)) for _ in range(3))
    options = {"position_map": rw.SelfExtend(3, 4), "rotary": rw.Rotary(1e4)}
    exact = rw.attention(q, k, v, **options)
    assert exact.dtype == np.float64
    half = rw.attention(*(x.astype(np.float16) for x in (q, k, v)), **options)
    assert half.dtype == np.float16 and np.abs(half - exact).max() < 5e-3
    torch = pytest.importorskip("torch", reason="tensors of PyTorch are tested only where it is installed")
    for dtype, bound in ((torch.float32, 4e-6), (torch.bfloat16, 4e-2), (torch.float16, 5e-3)):
        tensors = [torch.from_numpy(x).to(dtype) for x in (q, k, v)]
        output, lse = rw.attention(*tensors, return_lse=True, **options)
        assert isinstance(output, torch.Tensor) and output.dtype == dtype and lse.dtype == torch.float32
        assert np.abs(output.double().numpy() - exact).max() < bound


def test_compiled_once_for_all_values(rw) -> None:
    """Other sizes, parameters and operand values find the same code: no second compilation."""
    import ctypes
    import json

    from ropewalk import _library

    def handle(**changes: object) -> ctypes.c_void_p:
        descriptor = {
            "query_heads": 2,
            "kv_heads": 1,
            "head_dim": 24,
            "map": "#rope.self_extend<group = ?, window = ?>",
            "rotary": "#rope.rotary<theta = 777.0, dim = 24>",
        } | changes
        result = ctypes.c_void_p()
        _library.call("ropewalk_attention_compile", json.dumps(descriptor).encode(), ctypes.byref(result))
        info = json.loads(_library.call_for_text("ropewalk_attention_info", result))
        assert info["parameters"] == [["group", 1], ["window", 0]]
        return result

    handles = [handle(), handle(), handle(head_dim=24), handle(lse=True)]
    # What a handle holds first is the pointer to the compiled code.
    code = [ctypes.cast(value, ctypes.POINTER(ctypes.c_void_p))[0] for value in handles]
    for value in handles:
        _library.library().ropewalk_attention_free(value)
    assert code[0] == code[1] == code[2] != code[3]
