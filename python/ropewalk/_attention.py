"""Attention on its own, compiled once for each structure of its arguments."""

from __future__ import annotations

import ctypes
import json
import math
from typing import Any

import numpy as np

from . import _library
from ._arrays import float_array, integer_array, like
from ._maps import PositionMap, check_map
from ._rotary import Rotary


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    position_map: PositionMap,
    rotary: Rotary,
    scale: float | None = None,
    query_offset: Any = 0,
    key_length: Any = None,
    position_offset: Any = 0,
    sequence_length: Any = None,
    causal: bool = True,
    softcap: float | None = None,
    bias: Any = None,
    return_lse: bool = False,
    target: str = "cpu",
) -> Any:
    """Rotary attention under a position map.

    q [B, Hq, Sq, D], k [B, Hkv, Skv, D] and v [B, Hkv, Skv, Dv] are un-rotated, Hq is
    a multiple of Hkv. Row r of q is in slot query_offset + r, row c of k and v in slot
    c; a position is a slot plus position_offset. A key counts if its slot is less than
    key_length (default Skv), its position is not negative and, if causal, not after the
    query's. Computes softmax(softcap * tanh(scale <q, k> / softcap) + bias) v.

    scale: default 1 / sqrt(D).
    query_offset, key_length, position_offset: an integer, or integers [B].
    position_offset is negative where a sequence is padded on the left.
    bias: [B or 1, Hq or 1, Sq, Skv], added to the scores.
    sequence_length: for scalings that depend on the length; none is supported.
    return_lse: also return the log-sum-exp of the scores, float32 [B, Hq, Sq].
    target: "cpu", "cuda", "emulate:sm_80", ...

    float16 and bfloat16 are computed in float32. The result is [B, Hq, Sq, Dv], an
    array or tensor as q is, of the same dtype; rows without keys are 0, with a
    log-sum-exp of -inf. Raises TypeError, ValueError, NotImplementedError and
    RopewalkError.
    """
    query = float_array(q, "q", 4)
    key = float_array(k, "k", 4)
    value = float_array(v, "v", 4)
    check_map(position_map)
    if not isinstance(rotary, Rotary):
        raise TypeError(f"rotary: expected a ropewalk.Rotary, got {rotary!r}")
    if sequence_length is not None:
        raise NotImplementedError("sequence_length: no scaling that depends on the length is supported")
    batch, query_heads, rows, head_dim = query.shape
    kv_heads, slots = key.shape[1], key.shape[2]
    _check_shapes(query, key, value)
    if scale is None:
        scale = 1.0 / math.sqrt(head_dim)
    if not isinstance(causal, (bool, np.bool_)):
        raise TypeError(f"causal: expected True or False, got {causal!r}")
    if not _is_finite(scale):
        raise ValueError(f"scale: expected a finite number, got {scale!r}")
    if softcap is not None and not (_is_finite(softcap) and softcap > 0):
        raise ValueError(f"softcap: expected a finite number greater than 0, got {softcap!r}")
    softcap = None if softcap is None else float(softcap)

    dtype = np.dtype(np.float64 if query.dtype == np.float64 else np.float32)
    tensors = {
        "query": query.astype(dtype, copy=False),
        "key": key.astype(dtype, copy=False),
        "value": value.astype(dtype, copy=False),
        "query_offset": _per_item(query_offset, "query_offset", batch),
    }
    operands = ["query_offset"]
    if key_length is not None:
        operands.append("key_length")
        tensors["key_length"] = _per_item(key_length, "key_length", batch)
    position = _per_item(position_offset, "position_offset", batch)
    if position.any():
        operands.append("position_offset")
        tensors["position_offset"] = position
    bias_axes = None
    if bias is not None:
        tensors["bias"] = float_array(bias, "bias", 4).astype(dtype, copy=False)
        bias_axes = _bias_axes(tensors["bias"].shape, (batch, query_heads, rows, slots))
    for name, values in position_map.operands(batch, kv_heads).items():
        tensors["parameter." + name] = values

    descriptor = {
        "type": "f64" if dtype == np.float64 else "f32",
        "query_heads": query_heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "value_dim": value.shape[3],
        "map": position_map.open_text(),
        "rotary": rotary.text(head_dim),
        "scale": float(scale),
        "causal": bool(causal),
        "softcap": softcap,
        "bias": bias_axes,
        "lse": bool(return_lse),
        "operands": operands,
        "target": target,
        "threads": _library.threads(),
    }
    output = np.empty((batch, query_heads, rows, value.shape[3]), dtype)
    tensors["output"] = output
    lse = np.empty((batch, query_heads, rows), np.float32)
    if return_lse:
        tensors["lse"] = lse
    _run(descriptor, tensors)
    result = like(q)(output)
    if not return_lse:
        return result
    return result, _lse_like(q, lse)


def _is_finite(value: Any) -> bool:
    """Whether it is a number of Python or NumPy; a truth value is none."""
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _lse_like(q: Any, lse: np.ndarray) -> Any:
    from ._arrays import is_torch

    if not is_torch(q):
        return lse
    import torch

    return torch.from_numpy(lse).to(q.device)


def _check_shapes(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> None:
    batch, query_heads, _, head_dim = query.shape
    if 0 in (query_heads, head_dim, key.shape[1], value.shape[3]):
        raise ValueError(
            f"q, k, v: heads and head dimensions must not be 0, got shapes {list(query.shape)}, "
            f"{list(key.shape)}, {list(value.shape)}"
        )
    if key.shape[0] != batch or key.shape[3] != head_dim:
        raise ValueError(
            f"k: expected shape [{batch}, Hkv, Skv, {head_dim}] for q of shape {list(query.shape)}, "
            f"got {list(key.shape)}"
        )
    if value.shape[:3] != key.shape[:3]:
        raise ValueError(f"v: expected shape {list(key.shape[:3])} + [Dv] as k has, got {list(value.shape)}")
    if query_heads % key.shape[1]:
        raise ValueError(f"q: expected a multiple of the {key.shape[1]} heads of k, got {query_heads} heads")


def _per_item(value: Any, name: str, batch: int) -> np.ndarray:
    """An operand as int64 [B]."""
    array = integer_array(value, name)
    if array.ndim > 1 or (array.ndim == 1 and array.shape[0] != batch):
        raise ValueError(f"{name}: expected an integer or [{batch}], got shape {list(array.shape)}")
    return np.ascontiguousarray(np.broadcast_to(array, (batch,)))


def _bias_axes(shape: tuple[int, ...], full: tuple[int, ...]) -> list[int]:
    for axis, (size, expected) in enumerate(zip(shape, full, strict=True)):
        if size != expected and not (axis < 2 and size == 1):
            raise ValueError(
                f"bias: expected shape [{full[0]} or 1, {full[1]} or 1, {full[2]}, {full[3]}], got {list(shape)}"
            )
    return [int(shape[0] != 1), int(shape[1] != 1)]


def _run(descriptor: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    handle = ctypes.c_void_p()
    _library.call("ropewalk_attention_compile", json.dumps(descriptor).encode(), ctypes.byref(handle))
    try:
        described = (_library.Tensor * len(tensors))()
        kept = []
        for entry, (name, array) in zip(described, tensors.items(), strict=True):
            shape = (ctypes.c_int64 * array.ndim)(*array.shape)
            strides = (ctypes.c_int64 * array.ndim)(*array.strides)
            kept += [shape, strides]
            entry.name = name.encode()
            entry.data = array.ctypes.data
            entry.type = _library.TYPES[array.dtype.name]
            entry.rank = array.ndim
            entry.shape = shape
            entry.strides = strides
        _library.call("ropewalk_attention_run", handle, described, len(tensors))
    finally:
        _library.library().ropewalk_attention_free(handle)
