"""Arrays as buffers of an emulated device."""

from __future__ import annotations

import ctypes
import dataclasses
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _emulator
from ._arrays import is_torch

# Arrays of `uninitialized` by id, until a launch has been given them.
_marks: dict[int, weakref.ref[np.ndarray]] = {}


def uninitialized(shape: Any, dtype: Any = np.float32) -> np.ndarray:
    """An array whose buffer counts as not initialized in its first launch.

    `emulate` reports a kernel that reads it, or a view of it, before writing it. After
    a launch it is an array like any other; elements that the kernel did not write are 0
    then.
    """
    array = np.empty(shape, dtype)
    key = id(array)
    _marks[key] = weakref.ref(array, lambda _: _marks.pop(key, None))
    return array


def _marked(array: Any) -> np.ndarray | None:
    """The array of `uninitialized` that `array` is, or is a view of."""
    while isinstance(array, np.ndarray):
        reference = _marks.get(id(array))
        if reference is not None and reference() is array:
            return array
        array = array.base
    return None


def as_buffer(array: Any, name: str) -> np.ndarray:
    """A C-contiguous array over the same memory. Raises TypeError, ValueError."""
    if is_torch(array):
        if array.device.type != "cpu":
            raise TypeError(f"{name}: expected a tensor on the CPU, got one on {array.device}")
        if not array.is_contiguous():
            raise ValueError(f"{name}: expected a contiguous tensor; pass tensor.contiguous()")
        array = array.detach()
        # NumPy lacks some types; of those the bytes are what a kernel sees anyway.
        if str(array.dtype) == "torch.bfloat16" or str(array.dtype).startswith("torch.float8_"):
            import torch

            array = array.view(torch.uint16 if array.element_size() == 2 else torch.uint8)
        try:
            return array.numpy()
        except (TypeError, RuntimeError) as error:
            raise TypeError(
                f"{name}: a tensor of {array.dtype} has no NumPy array ({error}); pass its bytes as one of torch.uint8"
            ) from error
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected an array, got {type(array).__name__}")
    if array.dtype.hasobject or array.dtype.kind in "USMm":
        raise TypeError(f"{name}: expected an array of numbers, got elements of {array.dtype}")
    if not array.dtype.isnative:
        raise TypeError(f"{name}: expected the byte order of this machine, got elements of {array.dtype.str}")
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: expected a C-contiguous array, got strides {array.strides} for shape {array.shape}; "
            "pass numpy.ascontiguousarray(array), and copy the result back"
        )
    return array


@dataclasses.dataclass
class _Buffer:
    """Device memory behind the host bytes [begin, end)."""

    begin: int
    end: int
    address: int
    members: list[np.ndarray]


class Buffers:
    """The device memory of a launch: arrays that overlap share a buffer."""

    def __init__(self, device: ctypes.c_void_p, arrays: Sequence[np.ndarray]) -> None:
        self._device = device
        self._buffers: list[_Buffer] = []
        seen: dict[tuple[int, int, bool], np.ndarray] = {}
        for array in arrays:
            seen.setdefault((array.ctypes.data, array.nbytes, array.flags.writeable), array)
        for array in sorted(seen.values(), key=lambda each: (each.ctypes.data, each.nbytes)):
            begin, end = array.ctypes.data, array.ctypes.data + array.nbytes
            last = self._buffers[-1] if self._buffers else None
            # Empty arrays share with what they touch, so that all have an address.
            if last is not None and (begin < last.end or begin == last.begin):
                last.end = max(last.end, end)
                last.members.append(array)
            else:
                self._buffers.append(_Buffer(begin, end, 0, [array]))
        for buffer in self._buffers:
            self._fill(buffer)

    def _fill(self, buffer: _Buffer) -> None:
        address = ctypes.c_uint64()
        _emulator.call("ropewalk_ptx_alloc", self._device, buffer.end - buffer.begin, ctypes.byref(address))
        buffer.address = address.value
        for array in buffer.members:
            if _marked(array) is None:
                self._copy_in(buffer, array)

    def _copy_in(self, buffer: _Buffer, array: np.ndarray) -> None:
        offset = array.ctypes.data - buffer.begin
        _emulator.call("ropewalk_ptx_copy_in", self._device, buffer.address + offset, array.ctypes.data, array.nbytes)

    def address(self, array: np.ndarray) -> int:
        """The device address of an array's first element."""
        for buffer in self._buffers:
            if buffer.begin <= array.ctypes.data and array.ctypes.data + array.nbytes <= buffer.end:
                return buffer.address + array.ctypes.data - buffer.begin
        raise LookupError("the array is no buffer of this launch")

    def find(self, address: int) -> np.ndarray | None:
        """The array that an address lies in, or just after."""
        candidates = []
        for buffer in self._buffers:
            for array in buffer.members:
                begin = buffer.address + array.ctypes.data - buffer.begin
                if begin <= address:
                    candidates.append((address < begin + array.nbytes, begin, -array.nbytes, array))
        if not candidates:
            return None
        return max(candidates, key=lambda each: each[:3])[3]

    def changed(self) -> tuple[np.ndarray, int] | None:
        """A read-only array that the kernel has changed, and the first such byte of it."""
        for buffer in self._buffers:
            fixed = [array for array in buffer.members if not array.flags.writeable]
            if not fixed:
                continue
            now = np.empty(buffer.end - buffer.begin, np.uint8)
            _emulator.call("ropewalk_ptx_copy_out", self._device, now.ctypes.data, buffer.address, now.nbytes)
            writable = np.zeros(now.size, bool)
            for array in buffer.members:
                if array.flags.writeable:
                    offset = array.ctypes.data - buffer.begin
                    writable[offset : offset + array.nbytes] = True
            for array in fixed:
                offset = array.ctypes.data - buffer.begin
                part = slice(offset, offset + array.nbytes)
                before = array.reshape(-1).view(np.uint8) if array.size else now[part]
                different = np.flatnonzero((before != now[part]) & ~writable[part])
                if different.size:
                    return array, int(different[0])
        return None

    def copy_out(self) -> None:
        """Updates the arrays in place."""
        for buffer in self._buffers:
            for array in buffer.members:
                if array.flags.writeable:
                    offset = array.ctypes.data - buffer.begin
                    _emulator.call(
                        *("ropewalk_ptx_copy_out", self._device, array.ctypes.data, buffer.address + offset),
                        array.nbytes,
                    )
                marked = _marked(array)
                if marked is not None:
                    _marks.pop(id(marked), None)
