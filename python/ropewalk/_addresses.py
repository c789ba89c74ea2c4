"""Device addresses inside of data: tables of pointers and structures."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import _tensor_map
from ._arrays import is_torch
from ._buffers import as_buffer
from ._tensor_map import TensorMap

_POINTER_BYTES = 8


def _elements(values: Any, name: str, what: str) -> list[Any]:
    if isinstance(values, (str, bytes, np.ndarray)) or is_torch(values) or not isinstance(values, Sequence):
        raise TypeError(f"{name}: expected a list of {what}, got {type(values).__name__}")
    return list(values)


class Pointers:
    """A table of n addresses in global memory, of 8 bytes each.

    arrays: n C-contiguous arrays or CPU tensors of any shapes and types, or None for a
        null pointer. Each is a buffer of the launch as if it were an argument itself: it
        is updated in place, and the same array given elsewhere too is the same buffer.

    An argument of `emulate` and `mutate` for a parameter of 8 bytes, which gets the
    address of the table, and a part of a `Struct`. What the kernel writes to the table
    itself is lost. Raises TypeError and ValueError.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = _elements(arrays, "Pointers: arrays", "arrays or None")
        if not self.arrays:
            raise ValueError("Pointers: arrays: expected at least one array or None, got an empty list")
        self._buffers = [
            None if array is None else as_buffer(array, f"Pointers: arrays[{index}]")
            for index, array in enumerate(self.arrays)
        ]

    def __repr__(self) -> str:
        return f"Pointers of {len(self.arrays)} arrays"

    def encode(self, address: Callable[[np.ndarray], int]) -> bytes:
        """The table, 8 n bytes; `address` tells where an array lies on the device."""
        addresses = [0 if buffer is None else address(buffer) for buffer in self._buffers]
        return struct.pack(f"<{len(addresses)}Q", *addresses)


class Struct:
    """A structure passed by value, laid out as C does.

    parts: the members in their order:
        an array or CPU tensor, a `Pointers`, or None: an address of 8 bytes (of the
            array's buffer, of the table, or null), aligned to 8.
        a NumPy scalar: itself, aligned to its size.
        a TensorMap: its 128 bytes, aligned to 64.
        another Struct: its bytes, with its own alignment.
        bytes: themselves, without alignment.
    Gaps are zero; the size is a multiple of the largest alignment, as in C.

    An argument of `emulate` and `mutate` for a parameter declared `.b8 name[size]`.
    Raises TypeError and ValueError.

    size, alignment: in bytes.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = _elements(parts, "Struct: parts", "members")
        self._members: list[tuple[int, Any]] = []
        self.alignment = 1
        offset = 0
        for index, part in enumerate(self.parts):
            value, size, alignment = self._member(part, f"Struct: parts[{index}]")
            offset = -(-offset // alignment) * alignment
            self._members.append((offset, value))
            offset += size
            self.alignment = max(self.alignment, alignment)
        self.size: int = -(-offset // self.alignment) * self.alignment

    def __repr__(self) -> str:
        return f"Struct of {self.size} bytes"

    @staticmethod
    def _member(part: Any, name: str) -> tuple[Any, int, int]:
        """What a member is encoded from, its size and its alignment."""
        if isinstance(part, np.ndarray) or is_torch(part):
            return as_buffer(part, name), _POINTER_BYTES, _POINTER_BYTES
        if part is None:
            return bytes(_POINTER_BYTES), _POINTER_BYTES, _POINTER_BYTES
        if isinstance(part, Pointers):
            return part, _POINTER_BYTES, _POINTER_BYTES
        if isinstance(part, TensorMap):
            return part, _tensor_map.BYTES, _tensor_map.ALIGNMENT
        if isinstance(part, Struct):
            return part, part.size, part.alignment
        if isinstance(part, (bytes, bytearray, memoryview)):
            value = bytes(part)
            return value, len(value), 1
        if isinstance(part, np.generic) and not part.dtype.hasobject and part.dtype.kind not in "USMm":
            return part.tobytes(), part.dtype.itemsize, part.dtype.alignment
        if isinstance(part, (int, float)):
            raise TypeError(f"{name}: {part!r} has no size; give a NumPy scalar, numpy.int32({part!r}) for example")
        raise TypeError(
            f"{name}: expected an array, None, a NumPy scalar, bytes, Pointers, a TensorMap or a Struct, "
            f"got {type(part).__name__}"
        )

    def encode(self, address: Callable[[np.ndarray], int], store: Callable[[bytes], int]) -> bytes:
        """The bytes; `store` puts data into device memory and returns where."""
        result = bytearray(self.size)
        for offset, value in self._members:
            if isinstance(value, np.ndarray):
                value = struct.pack("<Q", address(value))
            elif isinstance(value, Pointers):
                value = struct.pack("<Q", store(value.encode(address)))
            elif isinstance(value, TensorMap):
                value = value.encode(address(value.array))
            elif isinstance(value, Struct):
                value = value.encode(address, store)
            result[offset : offset + len(value)] = value
        return bytes(result)


def arrays_of(value: Any) -> Iterator[Any]:
    """The arrays and tensors behind an argument, as they were given."""
    if isinstance(value, TensorMap):
        yield value.array
    elif isinstance(value, (Pointers, Struct)):
        for part in value.arrays if isinstance(value, Pointers) else value.parts:
            yield from arrays_of(part)
    elif isinstance(value, np.ndarray) or is_torch(value):
        yield value
