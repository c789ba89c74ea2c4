"""The shared library of the emulator, found and declared once."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

from ._library import RopewalkError

NAME = "libropewalk-emulator.so"

_TEXT = ctypes.c_char_p
_HANDLE = ctypes.c_void_p
_POINTER = ctypes.c_void_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_SIZE = ctypes.c_size_t
_ADDRESS = ctypes.c_uint64
_EXTENTS = ctypes.POINTER(ctypes.c_uint32)

_FUNCTIONS = {
    "ropewalk_ptx_load": (_TEXT, _SIZE, _TEXT, _OUT),
    "ropewalk_ptx_alloc": (_HANDLE, _SIZE, ctypes.POINTER(_ADDRESS)),
    "ropewalk_ptx_copy_in": (_HANDLE, _ADDRESS, _POINTER, _SIZE),
    "ropewalk_ptx_copy_out": (_HANDLE, _POINTER, _ADDRESS, _SIZE),
    "ropewalk_ptx_launch": (
        *(_HANDLE, _HANDLE, _SIZE, _EXTENTS, _EXTENTS, _EXTENTS, _SIZE),
        *(ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(_SIZE), _SIZE, _TEXT, ctypes.c_uint),
        ctypes.POINTER(ctypes.c_char_p),
    ),
    "ropewalk_ptx_mutate": (
        *(_HANDLE, _HANDLE, _SIZE, _EXTENTS, _EXTENTS, _EXTENTS, _SIZE),
        *(ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(_SIZE), _SIZE, _TEXT, ctypes.c_uint),
        *(ctypes.c_double, _POINTER, _SIZE, ctypes.POINTER(ctypes.c_char_p)),
    ),
    "ropewalk_ptx_tensor_map": (
        *(ctypes.c_int, ctypes.c_uint32, _ADDRESS, _POINTER, _POINTER, _POINTER, _POINTER),
        *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, _POINTER),
    ),
}


def _candidates() -> list[Path]:
    given = os.environ.get("ROPEWALK_EMULATOR_LIBRARY")
    if given:
        return [Path(given)]
    package = Path(__file__).resolve().parent
    folders = [package, package.parent.parent / "build" / "lib"]
    beside = os.environ.get("ROPEWALK_LIBRARY")
    if beside:
        folders.insert(0, Path(beside).parent)
    return [folder / NAME for folder in folders]


@functools.cache
def library() -> ctypes.CDLL:
    """The library with its functions declared.

    ROPEWALK_EMULATOR_LIBRARY names its file; otherwise it lies beside the one of
    ROPEWALK_LIBRARY, in the package, or in build/lib of the source checkout. Raises
    RopewalkError.
    """
    candidates = _candidates()
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        tried = ", ".join(str(path) for path in candidates)
        raise RopewalkError(
            f"the library {NAME} was not found (tried: {tried}); build the target ropewalk-emulator, "
            "or set ROPEWALK_EMULATOR_LIBRARY to its path"
        )
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise RopewalkError(f"{path} cannot be loaded: {error}") from error
    for name, arguments in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.argtypes = arguments
        function.restype = ctypes.c_int
    lib.ropewalk_ptx_error.restype = ctypes.c_char_p
    lib.ropewalk_ptx_describe.argtypes = (_HANDLE,)
    lib.ropewalk_ptx_describe.restype = ctypes.c_char_p
    lib.ropewalk_ptx_device_create.restype = ctypes.c_void_p
    for name in ("ropewalk_ptx_unload", "ropewalk_ptx_device_free", "ropewalk_ptx_cancel"):
        getattr(lib, name).argtypes = (_HANDLE,)
        getattr(lib, name).restype = None
    return lib


def last_error() -> str:
    """Why the last call of this thread that failed did so."""
    return library().ropewalk_ptx_error().decode(errors="replace")


def call(name: str, *arguments: object) -> None:
    """Calls a function that returns a status. Raises ValueError."""
    if getattr(library(), name)(*arguments):
        raise ValueError(last_error())
