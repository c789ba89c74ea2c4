"""Tensor maps: what a kernel's bulk copies of tensors take."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _emulator
from ._buffers import as_buffer

BYTES = 128
ALIGNMENT = 64

# As CUtensorMapDataType counts them. There are no signed types of 8 and 16 bits: a
# copy does not look at signs.
_TYPES = {
    "uint8": 0,
    "int8": 0,
    "bool": 0,
    "uint16": 1,
    "int16": 1,
    "uint32": 2,
    "int32": 3,
    "uint64": 4,
    "int64": 5,
    "float16": 6,
    "float32": 7,
    "float64": 8,
    "bfloat16": 9,
}
_SWIZZLES = {"none": 0, "32B": 1, "64B": 2, "128B": 3}
_FILLS = {"zero": 0, "nan": 1}
_INTERLEAVES = {"none": 0, "16B": 1, "32B": 2}
_PROMOTIONS = {"none": 0, "64B": 1, "128B": 2, "256B": 3}


def _integers(values: Any, name: str) -> list[int]:
    try:
        result = [operator.index(value) for value in values]
    except TypeError:
        raise TypeError(f"TensorMap: {name}: expected a sequence of integers, got {values!r}") from None
    for value in result:
        if not 0 <= value < 1 << 64:
            raise ValueError(f"TensorMap: {name}: expected numbers from 0 to 2^64 - 1, got {value}")
    return result


def _choice(value: Any, choices: dict[str, int], name: str) -> int:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"TensorMap: {name}: expected one of {', '.join(choices)}, got {value!r}")
    return choices[value]


class TensorMap:
    """A tensor in global memory and the box of it that one bulk copy moves.

    The arguments are those of the CUDA driver's cuTensorMapEncodeTiled, with its rules,
    innermost dimension first:

    array: a C-contiguous array; element 0 of the tensor is its first element. The array
        is a buffer of the launch, as if it were an argument itself.
    shape: the sizes, 1 to 5 of them.
    byte_strides: one less, of the dimensions after the innermost; multiples of 16.
    box: elements of the box along each dimension, 1 to 256.
    element_strides: of n, every n-th element of the box is copied, starting with its first;
        default: all are. That of the innermost dimension has no effect.
    swizzle: "none", "32B", "64B" or "128B".
    fill: what elements outside of the tensor read as, "zero" or "nan".
    dtype: of the elements; default: that of the array. "bfloat16" for arrays of uint16.
    interleave: only "none" is supported. l2_promotion: "none", "64B", "128B" or "256B",
        without effect.

    An argument of `emulate`: for a parameter of 128 bytes aligned to 64 the map itself,
    for one of 8 bytes the address of a copy in global memory. Raises TypeError and
    ValueError.
    """

    def __init__(
        self,
        array: Any,
        shape: Sequence[int],
        byte_strides: Sequence[int],
        box: Sequence[int],
        element_strides: Sequence[int] | None = None,
        swizzle: str = "none",
        fill: str = "zero",
        dtype: Any = None,
        *,
        interleave: str = "none",
        l2_promotion: str = "none",
    ) -> None:
        self.array: np.ndarray = as_buffer(array, "TensorMap: array")
        self._shape = _integers(shape, "shape")
        rank = len(self._shape)
        if not 1 <= rank <= 5:
            raise ValueError(f"TensorMap: shape: expected 1 to 5 sizes, got {rank}")
        self._strides = self._checked(byte_strides, "byte_strides", rank - 1)
        self._box = self._checked(box, "box", rank)
        self._steps = self._checked([1] * rank if element_strides is None else element_strides, "element_strides", rank)
        name = self.array.dtype.name if dtype is None else getattr(dtype, "name", None)
        if name is None:
            name = dtype if isinstance(dtype, str) and dtype in _TYPES else np.dtype(dtype).name
        if name not in _TYPES:
            raise ValueError(f"TensorMap: dtype: expected one of {', '.join(_TYPES)}, got {name}")
        self._type = _TYPES[name]
        self._swizzle = _choice(swizzle, _SWIZZLES, "swizzle")
        self._fill = _choice(fill, _FILLS, "fill")
        self._interleave = _choice(interleave, _INTERLEAVES, "interleave")
        self._promotion = _choice(l2_promotion, _PROMOTIONS, "l2_promotion")
        # Every rule but the alignment of the address, which is known at the launch.
        self.encode(256)

    def __repr__(self) -> str:
        return f"TensorMap of shape {self._shape}, box {self._box}, over {self.array.dtype} of shape {self.array.shape}"

    @staticmethod
    def _checked(values: Any, name: str, count: int) -> list[int]:
        result = _integers(values, name)
        if len(result) != count:
            raise ValueError(f"TensorMap: {name}: expected {count} numbers, got {len(result)}")
        if name != "byte_strides" and result and max(result) >= 1 << 32:
            raise ValueError(f"TensorMap: {name}: expected numbers of 32 bits, got {max(result)}")
        return result

    def encode(self, address: int) -> bytes:
        """The 128 bytes, for a tensor at a device address. Raises ValueError."""
        rank = len(self._shape)
        out = (ctypes.c_char * BYTES)()
        _emulator.call(
            "ropewalk_ptx_tensor_map",
            *(self._type, rank, address, (ctypes.c_uint64 * rank)(*self._shape)),
            *((ctypes.c_uint64 * rank)(*self._strides), (ctypes.c_uint32 * rank)(*self._box)),
            *((ctypes.c_uint32 * rank)(*self._steps), self._interleave, self._swizzle, self._promotion, self._fill),
            out,
        )
        return out.raw
