# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bad input gets an error that says what is wrong: never a crash, never a silent guess."""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def q(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.ones(shape, dtype)


# The arguments that a case changes; shapes are B = 2, Hq = 4, Hkv = 2, Sq = 3, Skv = 5, D = 8.
GOOD = {"q": q(2, 4, 3, 8), "k": q(2, 2, 5, 8), "v": q(2, 2, 5, 8)}

ATTENTION_CASES: list[tuple[dict, str]] = [
    ({"q": q(4, 3, 8)}, r"q: expected 4 axes, got shape \[4, 3, 8\]"),
    ({"q": q(2, 4, 3, 8, dtype=np.int32)}, "q: expected elements of float16, .*, got int32"),
    ({"q": "text"}, "q: expected elements of float16"),
    ({"q": [[1.0], [1.0, 2.0]]}, "q: expected an array, got list"),
    ({"k": q(3, 2, 5, 8)}, r"k: expected shape \[2, Hkv, Skv, 8\] .*, got \[3, 2, 5, 8\]"),
    ({"k": q(2, 2, 5, 6)}, r"k: expected shape \[2, Hkv, Skv, 8\]"),
    ({"v": q(2, 2, 4, 8)}, r"v: expected shape \[2, 2, 5\] \+ \[Dv\] .*, got \[2, 2, 4, 8\]"),
    ({"q": q(2, 3, 3, 8)}, "q: expected a multiple of the 2 heads of k, got 3 heads"),
    ({"q": q(2, 0, 3, 8)}, "heads and head dimensions must not be 0"),
    ({"v": q(2, 2, 5, 0)}, "heads and head dimensions must not be 0"),
    ({"scale": math.nan}, "scale: expected a finite number, got nan"),
    ({"softcap": 0.0}, "softcap: expected a finite number greater than 0, got 0.0"),
    ({"softcap": math.inf}, "softcap: expected a finite number greater than 0, got inf"),
    ({"query_offset": 1.5}, "query_offset: expected integers, got 1.5"),
    ({"query_offset": math.nan}, "query_offset: expected integers, got nan"),
    ({"query_offset": -1}, r"query_offset: element 0 is -1, expected 0 to"),
    ({"query_offset": 2**24}, r"query_offset: element 0 is 16777216"),
    ({"query_offset": [0, 0, 0]}, r"query_offset: expected an integer or \[2\], got shape \[3\]"),
    ({"key_length": 6}, "key_length: element 0 is 6, expected 0 to 5"),
    ({"key_length": [5, -1]}, "key_length: element 1 is -1, expected 0 to 5"),
    ({"position_offset": 2**24}, "position_offset: element 0 is 16777216"),
    ({"position_offset": -(2**40)}, "position_offset: element 0 is -1099511627776"),
    ({"bias": q(3, 1, 3, 5)}, r"bias: expected shape \[2 or 1, 4 or 1, 3, 5\], got \[3, 1, 3, 5\]"),
    ({"bias": q(1, 1, 1, 5)}, "bias: expected shape"),
    ({"sequence_length": 100}, "sequence_length: no scaling that depends on the length is supported"),
    ({"position_map": "#rope.identity"}, "position_map: expected a position map such as"),
    ({"rotary": 1e4}, "rotary: expected a ropewalk.Rotary, got 10000.0"),
    ({"target": "gpu"}, "target: expected cpu, cuda, cuda:N or emulate:CHIP .*, got 'gpu'"),
    ({"target": "emulate:sm_1"}, "sm_1"),
]


@pytest.mark.parametrize(("changes", "message"), ATTENTION_CASES)
def test_attention(rw, changes: dict, message: str) -> None:
    arguments = GOOD | {"position_map": rw.SelfExtend(2, 3), "rotary": rw.Rotary(1e4)} | changes
    arrays = [arguments.pop(name) for name in "qkv"]
    with pytest.raises((TypeError, ValueError, NotImplementedError, rw.RopewalkError), match=message):
        rw.attention(*arrays, **arguments)


MAP_CASES: list[tuple[Callable, str]] = [
    (lambda rw: rw.SelfExtend(0, 4), "group: expected at least 1, got 0"),
    (lambda rw: rw.SelfExtend(4, -1), "window: expected at least 0, got -1"),
    (lambda rw: rw.SelfExtend([4, 0], 4), "group: expected at least 1, got 0"),
    (lambda rw: rw.SelfExtend(math.nan, 4), "group: expected integers, got nan"),
    (lambda rw: rw.SelfExtend(np.array([4.0, 8.0]), 4), "group: expected integers, got elements of float64"),
    (lambda rw: rw.SelfExtend(True, 4), "group: expected integers, got True"),
    (lambda rw: rw.SelfExtend([], 4), "group: expected at least one value"),
    (lambda rw: rw.ReRoPE("8"), "window: expected integers"),
    (lambda rw: rw.Segments("from (0) query (i) key (j)", group=3), r"\(none\), got group"),
    (lambda rw: rw.Segments("[group = ?], from (0) query (i) key (j)"), r"\(group\), got none"),
]


@pytest.mark.parametrize(("make", "message"), MAP_CASES)
def test_maps(rw, make: Callable, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make(rw)


USED_MAP_CASES: list[tuple[Callable, str]] = [
    (lambda rw: rw.SelfExtend([2, 3, 4], 3), r"group: expected a number, \[B\] or \[B, Hkv\] .*, got shape \[3\]"),
    (lambda rw: rw.SelfExtend(2, [[3, 4, 5]]), r"window: expected .* got shape \[1, 3\]"),
    (lambda rw: rw.SelfExtend(2, np.ones((1, 1, 4), int)), r"window: expected .* got shape \[1, 1, 4\]"),
    (lambda rw: rw.SelfExtend(2**24, 3), "parameter.group: element 0 is 16777216, expected 1 to 16777215"),
    (lambda rw: rw.Segments("from (i - 3) query (i) key (j)"), "from"),
    (lambda rw: rw.Segments("from (0) query (j) key (j)"), "use of undeclared identifier|expected"),
    (lambda rw: rw.Segments("from (0) query (i)"), "expected"),
]


@pytest.mark.parametrize(("make", "message"), USED_MAP_CASES)
def test_maps_in_use(rw, make: Callable, message: str) -> None:
    arrays = [GOOD[name] for name in "qkv"]
    with pytest.raises((ValueError, rw.RopewalkError), match=message):
        rw.attention(*arrays, position_map=make(rw), rotary=rw.Rotary(1e4))


ROTARY_CASES: list[tuple[dict, str]] = [
    ({"theta": 0}, "theta: expected a finite number greater than 0, got 0"),
    ({"theta": math.nan}, "theta: expected a finite number greater than 0, got nan"),
    ({"dim": 7}, "dim: expected an even integer of at least 2, got 7"),
    ({"layout": "interleaved"}, "layout: only 'half' is supported, got 'interleaved'"),
    ({"query_scale": "logn"}, "query_scale: .* not supported, got 'logn'"),
    ({"trained_length": 0}, "trained_length: expected an integer of at least 1, got 0"),
    ({"scaling": "yarn"}, "scaling: expected a dictionary like rope_parameters, got 'yarn'"),
    ({"scaling": {"rope_type": "dynamic", "factor": 2.0}}, "'default' and 'yarn' are supported, got 'dynamic'"),
    ({"scaling": {"rope_type": "llama3"}}, "'default' and 'yarn' are supported, got 'llama3'"),
    ({"scaling": {"type": "linear", "rope_type": "yarn"}}, "rope_type and type differ"),
    ({"scaling": {"rope_type": "default", "factor": 2.0}}, "unknown key 'factor' for rope_type 'default'"),
    ({"scaling": {"rope_type": "default", "rope_theta": 5.0}}, "rope_theta is 5.0, but theta is 10000.0"),
    ({"scaling": {"rope_type": "yarn"}}, "expected the key 'factor'"),
    ({"scaling": {"rope_type": "yarn", "factor": 4.0}}, "expected the key 'original_max_position_embeddings'"),
    ({"scaling": {"rope_type": "yarn", "factor": 0.5}, "trained_length": 64}, "factor: expected .* of at least 1"),
    ({"scaling": {"rope_type": "yarn", "factor": 2.0, "long": 1}, "trained_length": 64}, "unknown key 'long'"),
]


@pytest.mark.parametrize(("changes", "message"), ROTARY_CASES)
def test_rotary(rw, changes: dict, message: str) -> None:
    with pytest.raises((TypeError, ValueError, NotImplementedError), match=message):
        rw.Rotary(**({"theta": 1e4} | changes))


def test_rotary_larger_than_the_head(rw) -> None:
    arrays = [GOOD[name] for name in "qkv"]
    with pytest.raises(ValueError, match="dim is 16, but heads have only 8 dimensions"):
        rw.attention(*arrays, position_map=rw.Identity(), rotary=rw.Rotary(1e4, dim=16))


def test_maps_of_models(rw, demo_model: Path) -> None:
    """A model's map has one number for each parameter, and changes something in time."""
    with pytest.raises(ValueError, match=r"group: a model's map expects one number .*, got shape \[2\]"):
        rw.load(demo_model, rw.SelfExtend([2, 4], 8))
    with pytest.raises(rw.RopewalkError, match="the parameter 'group' has no value"):
        rw.load(demo_model, "#rope.self_extend<group = ?, window = 8>")
    with pytest.raises(rw.RopewalkError, match="is plain rotary attention up to a length of at least 257"):
        rw.load(demo_model, rw.SelfExtend(8, 300))
    with pytest.raises(TypeError, match=r"position_map\[1\]: expected a position map"):
        rw.load(demo_model, [rw.Identity(), 3])
    with pytest.raises(ValueError, match="position_map: expected a map, or one for each layer, got none"):
        rw.load(demo_model, [])


def test_closed_models(rw, demo_model: Path) -> None:
    model = rw.load(demo_model)
    model.close()
    model.close()
    with pytest.raises(rw.RopewalkError, match="the model is closed"):
        model.logits([1])


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ("", "attention: not valid JSON"),
        ("[" * 100_000, "nested"),
        ("[1]", r"attention: expected a JSON object, got \[1\]"),
        ("{}", "attention: expected the key 'query_heads'"),
        ('{"query_heads": 1.5}', "'query_heads' expects an integer from 1 to 1048576, got 1.5"),
        ('{"query_heads": 1, "kv_heads": 1, "head_dim": 8}', "attention: expected the key 'map'"),
        ({"speed": 9}, "attention: unknown key 'speed'"),
        ({"map": "#rope.identity<"}, "position map '#rope.identity<'"),
        ({"map": "unit"}, "'unit' is not a position map"),
        ({"rotary": "#rope.identity"}, "'#rope.identity' is not a rotary embedding"),
        ({"rotary": "#rope.rotary<theta = 1.0, dim = 64>"}, "dim"),
        ({"query_heads": 3}, "3"),
        ({"type": "i8"}, "'type' expects f32 or f64, got 'i8'"),
        ({"bias": [2, 0]}, "'bias' expects an array of two numbers, 0 or 1"),
        ({"operands": ["speed"]}, "'operands' expects .*, got 'speed'"),
        ({"threads": -1}, "'threads' expects an integer from 0 to 4096, got -1"),
        ({"scale": "large"}, "'scale' expects a number, got \"large\""),
    ],
)
def test_descriptors(rw, descriptor: str | dict, message: str) -> None:
    """What the C interface says to JSON that it cannot use."""
    from ropewalk import _library

    good = {
        "query_heads": 2,
        "kv_heads": 2,
        "head_dim": 8,
        "map": "#rope.identity",
        "rotary": "#rope.rotary<theta = 1.0e4, dim = 8>",
    }
    text = descriptor if isinstance(descriptor, str) else json.dumps(good | descriptor)
    with pytest.raises(rw.RopewalkError, match=message):
        _library.call("ropewalk_attention_compile", text.encode(), ctypes.byref(ctypes.c_void_p()))


def test_null_pointers(rw, demo_model: Path) -> None:
    """Each function of the C interface refuses null where it needs a pointer."""
    from ropewalk import _library

    lib = _library.library()
    null = ctypes.c_void_p()
    path = str(demo_model).encode()
    progress, token = _library.ProgressFunction(), _library.TokenFunction()
    calls = {
        "ropewalk_import": [(None, ctypes.byref(null)), (path, None)],
        "ropewalk_compile": [(None, None, path), (path, None, None)],
        "ropewalk_map_compose": [(None, None, ctypes.byref(null)), (b"identity", None, None)],
        "ropewalk_model_load": [(None, None, progress, None, ctypes.byref(null)), (path, None, progress, None, None)],
        "ropewalk_model_info": [(None, ctypes.byref(null))],
        "ropewalk_model_logits": [(None, None, 1, 1, None, None)],
        "ropewalk_model_score": [(None, None, 1, None)],
        "ropewalk_model_generate": [(None, None, 1, 1, None, 1, None, 0, token, None, None, None)],
        "ropewalk_model_append": [(None, None, 1, 1, None, 0, None)],
        "ropewalk_model_truncate": [(None, 0)],
        "ropewalk_attention_compile": [(None, ctypes.byref(null)), (b"{}", None)],
        "ropewalk_attention_info": [(None, ctypes.byref(null))],
        "ropewalk_attention_run": [(None, None, 0)],
    }
    for name, cases in calls.items():
        for arguments in cases:
            with pytest.raises(rw.RopewalkError, match="expected (a pointer|pointers), got null"):
                _library.call(name, *arguments)
    lib.ropewalk_model_free(None)
    lib.ropewalk_attention_free(None)
    lib.ropewalk_string_free(None)
    lib.ropewalk_model_cancel(None)


def test_numbers_of_numpy_and_truth_values(rw) -> None:
    """A NumPy number is a number; a truth value is none, and a text is no truth value."""
    q = np.ones((1, 2, 3, 8), np.float32)
    options = {"position_map": rw.Identity(), "rotary": rw.Rotary(1e4)}
    expected = rw.attention(q, q, q, scale=0.25, softcap=2.0, **options)
    assert (rw.attention(q, q, q, scale=np.float32(0.25), softcap=np.float32(2), **options) == expected).all()
    with pytest.raises(ValueError, match="scale: expected a finite number, got True"):
        rw.attention(q, q, q, scale=True, **options)
    with pytest.raises(TypeError, match="causal: expected True or False, got 'no'"):
        rw.attention(q, q, q, causal="no", **options)
