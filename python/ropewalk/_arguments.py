"""The arguments of a launch: checked against the parameters of an entry, and as bytes."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _emulator, _tensor_map
from ._addresses import Pointers, Struct, arrays_of
from ._arrays import is_torch
from ._buffers import Buffers, as_buffer
from ._tensor_map import TensorMap

# Formats of struct by PTX type.
_FLOATS = {"f16": "e", "f32": "f", "f64": "d"}
_BITS = {kind + str(bits): bits for kind in "usb" for bits in (8, 16, 32, 64)}


def _number_bytes(value: float, parameter: dict[str, Any], name: str) -> bytes:
    """A number of Python as the parameter's PTX type has it."""
    kind, size = parameter["type"], parameter["size"]
    if kind in _FLOATS and size == struct.calcsize(_FLOATS[kind]):
        try:
            return struct.pack("<" + _FLOATS[kind], value)
        except OverflowError:
            raise ValueError(f"{name}: {value!r} is out of the range of {kind}") from None
    if kind not in _BITS or size * 8 != _BITS[kind]:
        raise TypeError(
            f"{name}: the parameter has {size} bytes of type {kind}; give bytes of that size, not {value!r}"
        )
    if isinstance(value, float):
        raise TypeError(
            f"{name}: the parameter is of type {kind}; expected an integer or a NumPy scalar, got {value!r}"
        )
    low = 0 if kind[0] == "u" else -(1 << (_BITS[kind] - 1))
    high = (1 << (_BITS[kind] - (kind[0] == "s"))) - 1
    if not low <= value <= high:
        hint = "; NumPy scalars pass their bits" if kind[0] == "u" and value < 0 else ""
        raise ValueError(f"{name}: {value} is out of the range of {kind}, {low} to {high}{hint}")
    return (value & ((1 << _BITS[kind]) - 1)).to_bytes(size, "little")


def _check_kind(value: np.generic, parameter: dict[str, Any], name: str) -> None:
    """Refuses a number of one kind for a parameter of another, whose bits mean something else.

    Signs are left alone: compilers of C declare `int` as .u32.
    """
    kind = parameter["type"]
    wanted = "f" if kind in _FLOATS else "biu" if kind[0] in "su" else None
    if wanted is not None and value.dtype.kind != "V" and value.dtype.kind not in wanted:
        raise TypeError(
            f"{name}: the parameter is of type {kind}, got {value!r} of dtype {value.dtype}; "
            "pass value.tobytes() if its bits are meant"
        )


def _check_pointer(parameter: dict[str, Any], name: str, what: str) -> None:
    if parameter["size"] != 8 or parameter["type"] in _FLOATS:
        raise TypeError(
            f"{name}: expected a value for {parameter['size']} bytes of type {parameter['type']}, got {what}, "
            "which is an address of 8 bytes"
        )


class Arguments:
    """Arguments checked against the parameters of an entry."""

    def __init__(self, entry: dict[str, Any], values: Sequence[Any]) -> None:
        parameters = entry["parameters"]
        if isinstance(values, (str, bytes, np.ndarray)) or not isinstance(values, Sequence):
            raise TypeError(f"args: expected a list with one value for each parameter, got {type(values).__name__}")
        if len(values) != len(parameters):
            names = ", ".join(each["name"] for each in parameters)
            raise ValueError(
                f"args: entry {entry['name']!r} has {len(parameters)} parameters ({names}), got {len(values)} arguments"
            )
        self.parameters = parameters
        self.values = [self._check(index, value) for index, value in enumerate(values)]

    def _check(self, index: int, value: Any) -> bytes | np.ndarray | TensorMap | Pointers | Struct:
        parameter = self.parameters[index]
        name = f"args[{index}] ({parameter['name']})"
        size = parameter["size"]
        if isinstance(value, TensorMap):
            if size == _tensor_map.BYTES and parameter["alignment"] < _tensor_map.ALIGNMENT:
                raise TypeError(
                    f"{name}: the parameter is aligned to {parameter['alignment']} bytes; a tensor map needs "
                    f"{_tensor_map.ALIGNMENT}"
                )
            if size not in (8, _tensor_map.BYTES):
                raise TypeError(f"{name}: the parameter has {size} bytes, a tensor map {_tensor_map.BYTES}")
            return value
        if isinstance(value, Struct):
            return self._check_struct(parameter, name, value)
        if isinstance(value, Pointers):
            _check_pointer(parameter, name, "Pointers")
            return value
        if isinstance(value, np.ndarray) or is_torch(value):
            _check_pointer(parameter, name, "an array")
            return as_buffer(value, name)
        if value is None:
            _check_pointer(parameter, name, "None")
            return bytes(8)
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = bytes(value)
        elif isinstance(value, np.generic):
            if value.dtype.hasobject or value.dtype.kind in "USMm":
                raise TypeError(f"{name}: expected a number, got {value!r}")
            _check_kind(value, parameter, name)
            what, value = repr(value), value.tobytes()
            if len(value) != size:
                raise TypeError(
                    f"{name}: {what} has {len(value)} bytes, the parameter has {size} of type {parameter['type']}"
                )
        elif isinstance(value, (int, float)):
            value = _number_bytes(value, parameter, name)
        else:
            raise TypeError(
                f"{name}: expected an array, a TensorMap, Pointers, a Struct, a number, bytes or None, got {type(value).__name__}"
            )
        if len(value) != size:
            raise TypeError(f"{name}: got {len(value)} bytes, the parameter has {size} of type {parameter['type']}")
        return value

    @staticmethod
    def _check_struct(parameter: dict[str, Any], name: str, value: Struct) -> Struct:
        size, alignment = parameter["size"], parameter["alignment"]
        if parameter["type"] != "b8":
            raise TypeError(f"{name}: a Struct is for parameters of type b8, this one is of type {parameter['type']}")
        if value.size != size:
            raise TypeError(f"{name}: the Struct has {value.size} bytes, the parameter has {size}")
        if value.alignment >= _tensor_map.ALIGNMENT > alignment:
            raise TypeError(
                f"{name}: the parameter is aligned to {alignment} bytes; a tensor map needs {_tensor_map.ALIGNMENT}"
            )
        return value

    def arrays(self) -> list[np.ndarray]:
        """All arrays behind the arguments."""
        return [as_buffer(each, "args") for value in self.values for each in arrays_of(value)]

    def name_of(self, array: np.ndarray | None) -> str | None:
        """The first parameter that an array belongs to."""
        if array is not None:
            for parameter, value in zip(self.parameters, self.values, strict=True):
                for held in arrays_of(value):
                    if as_buffer(held, "args").ctypes.data == array.ctypes.data:
                        return parameter["name"]
        return None

    def name_at(self, buffers: Buffers, address: int | None) -> str | None:
        """The parameter whose buffer an address lies in, or just after."""
        if address is None:
            return None
        for begin, size, name in self._stored:
            if begin <= address <= begin + size:
                return name
        return self.name_of(buffers.find(address))

    def encode(self, device: ctypes.c_void_p, buffers: Buffers) -> list[bytes]:
        """The bytes of each parameter."""
        result = []
        # Begin and size of what has no array, with its parameter.
        self._stored: list[tuple[int, int, str]] = []

        def store(data: bytes) -> int:
            address = ctypes.c_uint64()
            _emulator.call("ropewalk_ptx_alloc", device, len(data), ctypes.byref(address))
            _emulator.call("ropewalk_ptx_copy_in", device, address, data, len(data))
            self._stored.append((address.value, len(data), parameter["name"]))
            return address.value

        for parameter, value in zip(self.parameters, self.values, strict=True):
            if isinstance(value, TensorMap):
                value = value.encode(buffers.address(value.array))
                if parameter["size"] == 8:
                    value = struct.pack("<Q", store(value))
            elif isinstance(value, Pointers):
                value = struct.pack("<Q", store(value.encode(buffers.address)))
            elif isinstance(value, Struct):
                value = value.encode(buffers.address, store)
            elif isinstance(value, np.ndarray):
                value = struct.pack("<Q", buffers.address(value))
            result.append(value)
        return result
