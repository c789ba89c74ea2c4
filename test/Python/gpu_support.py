"""Runs PTX on a GPU with the arguments of ropewalk.emulate, through the CUDA driver.

What the emulator claims is what the chip does: the tests of the emulator's
kernels run on both.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

_SUCCESS = 0
_MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_CLUSTER_DIMENSION = 4  # CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
_COOPERATIVE = 2  # CU_LAUNCH_ATTRIBUTE_COOPERATIVE
_NONPORTABLE_CLUSTER = 14  # CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED


class _Attribute(ctypes.Structure):
    """CUlaunchAttribute: an identifier, padding, and a union of 64 bytes."""

    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_uint32 * 16)]


class _Launch(ctypes.Structure):
    """CUlaunchConfig."""

    _fields_ = [
        *(("grid", ctypes.c_uint32 * 3), ("block", ctypes.c_uint32 * 3), ("shared", ctypes.c_uint32)),
        *(("stream", ctypes.c_void_p), ("attributes", ctypes.POINTER(_Attribute)), ("count", ctypes.c_uint32)),
    ]


@functools.cache
def find_gpu() -> tuple[Gpu | None, str]:
    """The first GPU, or why there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None, "no CUDA driver"
    if cuda.cuInit(0) != _SUCCESS:
        return None, "the CUDA driver finds no GPU"
    count = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS or count.value == 0:
        return None, "the CUDA driver finds no GPU"
    return Gpu(cuda), ""


class Gpu:
    """A device with the interface that the tests use of ropewalk: emulate and TensorMap."""

    def __init__(self, cuda: ctypes.CDLL) -> None:
        import ropewalk

        self._cuda = cuda
        self.TensorMap = ropewalk.TensorMap
        self.uninitialized = np.zeros
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._device = device

    def __getattr__(self, name: str) -> Any:
        pytest.skip(f"{name} is the emulator's alone")

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._cuda, name)(*arguments)
        if status != _SUCCESS:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorString(status, ctypes.byref(text))
            raise RuntimeError(f"{name}: {(text.value or b'?').decode()}")

    @property
    def chip(self) -> int:
        """Ten times the major plus the minor number of the architecture."""
        numbers = []
        for attribute in (75, 76):
            value = ctypes.c_int()
            self._call("cuDeviceGetAttribute", ctypes.byref(value), attribute, self._device)
            numbers.append(value.value)
        return 10 * numbers[0] + numbers[1]

    def _encode(self, tensor: Any, address: int) -> bytes:
        rank = len(tensor._shape)
        out = ctypes.create_string_buffer(128 + 64)
        aligned = (ctypes.addressof(out) + 63) // 64 * 64
        self._call(
            "cuTensorMapEncodeTiled",
            *(ctypes.c_void_p(aligned), tensor._type, rank, ctypes.c_void_p(address)),
            *((ctypes.c_uint64 * rank)(*tensor._shape), (ctypes.c_uint64 * rank)(*tensor._strides)),
            *((ctypes.c_uint32 * rank)(*tensor._box), (ctypes.c_uint32 * rank)(*tensor._steps)),
            *(tensor._interleave, tensor._swizzle, tensor._promotion, tensor._fill),
        )
        return ctypes.string_at(aligned, 128)

    def emulate(
        self,
        ptx: str,
        entry: str,
        grid: int | Sequence[int],
        block: int | Sequence[int],
        args: Sequence[Any],
        shared: int = 0,
        *,
        cluster: int | Sequence[int] | None = None,
        cooperative: bool = False,
        **_emulator_only: Any,
    ) -> SimpleNamespace:
        """Runs the kernel and updates the arrays; there are no counters."""
        if ".target sm_90a" in ptx and self.chip != 90:
            pytest.skip(f"code of sm_90a, a chip of sm_{self.chip}")
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), ptx.encode() + b"\0")
        buffers: dict[int, tuple[ctypes.c_uint64, np.ndarray]] = {}

        def upload(array: np.ndarray) -> int:
            if array.ctypes.data not in buffers:
                address = ctypes.c_uint64()
                self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(array.nbytes, 1)))
                self._call("cuMemcpyHtoD_v2", address, ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes))
                buffers[array.ctypes.data] = (address, array)
            return buffers[array.ctypes.data][0].value

        try:
            self._call("cuModuleGetFunction", ctypes.byref(function), module, entry.encode())
            if shared > 48 << 10:
                self._call("cuFuncSetAttribute", function, _MAX_DYNAMIC_SHARED, shared)
            values = []
            for value in args:
                if isinstance(value, self.TensorMap):
                    value = self._encode(value, upload(value.array))
                elif isinstance(value, np.ndarray):
                    value = upload(value).to_bytes(8, "little")
                elif value is None:
                    value = bytes(8)
                elif isinstance(value, np.generic):
                    value = value.tobytes()
                # A tensor map must lie at a multiple of 64.
                store = ctypes.create_string_buffer(len(value) + 64)
                aligned = (ctypes.addressof(store) + 63) // 64 * 64
                ctypes.memmove(aligned, value, len(value))
                values.append((store, aligned))
            attributes = (_Attribute * 2)()
            count = 0
            if cluster is not None:
                if int(np.prod(cluster)) > 8:
                    self._call("cuFuncSetAttribute", function, _NONPORTABLE_CLUSTER, 1)
                attributes[count].id = _CLUSTER_DIMENSION
                attributes[count].value[:3] = _extents(cluster)
                count += 1
            if cooperative:
                attributes[count].id = _COOPERATIVE
                attributes[count].value[0] = 1
                count += 1
            launch = _Launch(_extents(grid), _extents(block), shared, None, attributes, count)
            pointers = (ctypes.c_void_p * max(len(values), 1))(*(aligned for _, aligned in values))
            self._call("cuLaunchKernelEx", ctypes.byref(launch), function, pointers, None)
            self._call("cuCtxSynchronize")
            for address, array in buffers.values():
                if array.flags.writeable:
                    size = ctypes.c_size_t(array.nbytes)
                    self._call("cuMemcpyDtoH_v2", ctypes.c_void_p(array.ctypes.data), address, size)
        finally:
            for address, _ in buffers.values():
                self._cuda.cuMemFree_v2(address)
            self._cuda.cuModuleUnload(module)
        return SimpleNamespace(counters={}, profile=[], text="")


def _extents(value: int | Sequence[int]) -> Any:
    numbers = [value] if isinstance(value, (int, np.integer)) else list(value)
    return (ctypes.c_uint32 * 3)(*numbers, *([1] * (3 - len(numbers))))
