"""Launches of an artifact as arguments of ropewalk.mutate.

The host library runs on the emulator's device table, in which the function that
launches is exchanged: the first launch of each kernel is kept, with what memory holds
then.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from conftest import BUILD
from ropewalk import host

_EXTENTS = ctypes.POINTER(ctypes.c_uint32)
_STATUS = ctypes.c_int
_SELF = ctypes.c_void_p
_ALLOC = ctypes.CFUNCTYPE(_STATUS, _SELF, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint64))
_RELEASE = ctypes.CFUNCTYPE(_STATUS, _SELF, ctypes.c_uint64)
_COPY_OUT = ctypes.CFUNCTYPE(_STATUS, _SELF, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t)
_GET_KERNEL = ctypes.CFUNCTYPE(_STATUS, _SELF, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p))
_LAUNCH = ctypes.CFUNCTYPE(_STATUS, _SELF, ctypes.c_void_p, _EXTENTS, _EXTENTS, ctypes.c_uint32,
                           ctypes.POINTER(ctypes.c_void_p))


class _Table(ctypes.Structure):
    """RopewalkDevice, with types for the functions that are exchanged or called here."""

    _fields_ = [("version", ctypes.c_uint32), ("self", _SELF),
                *((name, ctypes.c_void_p) for name in ("last_error", "name", "chip")),
                ("alloc", _ALLOC), ("release", _RELEASE), ("copy_in", ctypes.c_void_p), ("copy_out", _COPY_OUT),
                *((name, ctypes.c_void_p) for name in ("copy", "fill", "load_module", "unload_module")),
                ("get_kernel", _GET_KERNEL), ("launch", _LAUNCH)]


class Launch(NamedTuple):
    """A launch of a kernel of an artifact; the fields are those of ropewalk.mutate."""

    entry: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: list[Any]
    shared: int


class _Recorder:
    """Exchanges functions of a device table and keeps launches."""

    def __init__(self, table: _Table, parameters: dict[str, list[dict]]) -> None:
        self.launches: dict[str, Launch] = {}
        self._parameters = parameters
        self._buffers: dict[int, int] = {}
        self._names: dict[int, str] = {}
        copied = _Table.from_buffer_copy(table)
        # The originals, bound to addresses: fields of the table change below.
        self._alloc, self._release, self._copy_out, self._get_kernel, self._launch = (
            kind(ctypes.cast(getattr(copied, name), ctypes.c_void_p).value) for name, kind in (
                ("alloc", _ALLOC), ("release", _RELEASE), ("copy_out", _COPY_OUT), ("get_kernel", _GET_KERNEL),
                ("launch", _LAUNCH)))
        # The table keeps no reference to what is called.
        self._callbacks: list[Callable] = []
        for name, kind, function in (("alloc", _ALLOC, self.alloc), ("release", _RELEASE, self.release),
                                     ("get_kernel", _GET_KERNEL, self.get_kernel), ("launch", _LAUNCH, self.launch)):
            callback = kind(function)
            self._callbacks.append(callback)
            setattr(table, name, callback)

    def alloc(self, device: int, size: int, address: Any) -> int:
        status = self._alloc(device, size, address)
        if not status:
            self._buffers[address[0]] = size
        return status

    def release(self, device: int, address: int) -> int:
        self._buffers.pop(address, None)
        return self._release(device, address)

    def get_kernel(self, device: int, module: int, name: bytes, kernel: Any) -> int:
        status = self._get_kernel(device, module, name, kernel)
        if not status:
            self._names[kernel[0]] = name.decode()
        return status

    def launch(self, device: int, kernel: int, grid: Any, block: Any, shared: int, arguments: Any) -> int:
        name = self._names[kernel]
        if name not in self.launches:
            held: dict[int, np.ndarray] = {}
            args = [self._argument(device, each["type"], arguments[i], held)
                    for i, each in enumerate(self._parameters[name])]
            self.launches[name] = Launch(name, tuple(grid[:3]), tuple(block[:3]), args, shared)
        return self._launch(device, kernel, grid, block, shared, arguments)

    def _argument(self, device: int, kind: str, pointer: int, held: dict[int, np.ndarray]) -> Any:
        if kind != "ptr":
            return ctypes.string_at(pointer, {"i32": 4, "f32": 4, "i64": 8, "f64": 8}[kind])
        address = int.from_bytes(ctypes.string_at(pointer, 8), "little")
        if not address:
            return None
        base = max(each for each in self._buffers if each <= address)
        if base not in held:
            held[base] = np.zeros(self._buffers[base] // 4, np.float32)
            assert not self._copy_out(device, held[base].ctypes.data, base, held[base].nbytes)
        # Parameters in one buffer stay in one.
        assert address - base < held[base].nbytes and (address - base) % 4 == 0
        return held[base][(address - base) // 4:]


class _RecordedArtifact(host.Artifact):
    """An artifact on the emulator whose launches are kept."""

    def __init__(self, directory: Path, weights: Path, chip: str) -> None:
        manifest = json.loads((directory / "manifest.json").read_text())
        self._parameters = {kernel["name"]: kernel["params"] for kernel in manifest["kernels"]}
        super().__init__(directory, weights, emulate=chip, emulator=BUILD / "lib" / "libropewalk-emulator.so")

    def _emulator(self, chip: str, path: str | Path | None) -> ctypes.c_void_p:
        device = host.Artifact._emulator(chip, path)
        self.recorder = _Recorder(_Table.from_address(device.value), self._parameters)
        return device


def record_launches(directory: Path, weights: Path, chip: str, tokens: int) -> dict[str, Launch]:
    """By kernel the first launch when an artifact reads `tokens` tokens and continues them."""
    artifact = _RecordedArtifact(directory, weights, chip)
    ids = np.random.default_rng(0).integers(0, artifact.vocabulary_size, tokens)
    artifact.generate(ids, 2)
    return artifact.recorder.launches
