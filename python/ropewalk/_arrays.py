"""Arrays of callers to NumPy and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

FLOATS = ("float16", "bfloat16", "float32", "float64")


def is_torch(array: Any) -> bool:
    """Whether `array` is a PyTorch tensor, without importing torch."""
    return any(base.__module__.partition(".")[0] == "torch" for base in type(array).__mro__) and hasattr(
        array, "detach"
    )


def to_numpy(array: Any, name: str) -> np.ndarray:
    """`array` as a NumPy array; bfloat16 tensors become float32. Raises TypeError."""
    if is_torch(array):
        array = array.detach().cpu()
        if str(array.dtype) == "torch.bfloat16":
            array = array.float()
        return array.numpy()
    try:
        result = np.asarray(array)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected an array, got {type(array).__name__} ({error})") from error
    if result.dtype == object:
        raise TypeError(f"{name}: expected an array of numbers, got {type(array).__name__} of objects")
    return result


def float_array(array: Any, name: str, rank: int) -> np.ndarray:
    """A floating-point array of the given rank. Raises TypeError, ValueError."""
    result = to_numpy(array, name)
    if result.dtype.name not in FLOATS:
        raise TypeError(f"{name}: expected elements of {', '.join(FLOATS)}, got {result.dtype.name}")
    if result.ndim != rank:
        raise ValueError(f"{name}: expected {rank} axes, got shape {list(result.shape)}")
    return result


def integer_array(value: Any, name: str) -> np.ndarray:
    """Integers as int64, of whatever shape. Raises TypeError, OverflowError."""
    result = to_numpy(value, name)
    if result.dtype.kind not in "iu" and result.size:
        shown = repr(value) if result.ndim == 0 else f"elements of {result.dtype.name}"
        raise TypeError(f"{name}: expected integers, got {shown}")
    if result.dtype == np.uint64 and result.size and int(result.max()) > np.iinfo(np.int64).max:
        raise OverflowError(f"{name}: {int(result.max())} does not fit into 64 bits")
    return result.astype(np.int64)


def like(array: Any) -> Callable[[np.ndarray], Any]:
    """A function that turns a NumPy array into what `array` is: kind and dtype."""
    if is_torch(array):
        import torch

        return lambda result: torch.from_numpy(result).to(device=array.device, dtype=array.dtype)
    dtype = np.asarray(array).dtype
    return lambda result: result.astype(dtype, copy=False)
