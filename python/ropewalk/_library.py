"""The shared library with the C interface, found and declared once."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

NAME = "libropewalk-c.so"


class RopewalkError(RuntimeError):
    """The library refused a call; the message says why."""


class CancelledError(RopewalkError):
    """A progress or token function asked for the end of a call."""


class Tensor(ctypes.Structure):
    """RopewalkTensor."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
    )


# Values of the enumeration of element types.
TYPES = {"float16": 1, "bfloat16": 2, "float32": 3, "float64": 4, "int32": 5, "int64": 6}

ProgressFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)
TokenFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32)

_TEXT = ctypes.c_char_p
_HANDLE = ctypes.c_void_p
_POINTER = ctypes.c_void_p
_OUT = ctypes.POINTER(ctypes.c_void_p)
_SIZE = ctypes.c_int64

_FUNCTIONS = {
    "ropewalk_load_plugin": (_TEXT,),
    "ropewalk_import": (_TEXT, _OUT),
    "ropewalk_compile": (_TEXT, _TEXT, _TEXT),
    "ropewalk_map_compose": (_TEXT, _TEXT, _OUT),
    "ropewalk_model_load": (_TEXT, _TEXT, ProgressFunction, ctypes.c_void_p, _OUT),
    "ropewalk_model_info": (_HANDLE, _OUT),
    "ropewalk_model_logits": (_HANDLE, _POINTER, _SIZE, _SIZE, _POINTER, _POINTER),
    "ropewalk_model_score": (_HANDLE, _POINTER, _SIZE, _POINTER),
    "ropewalk_model_generate": (
        *(_HANDLE, _POINTER, _SIZE, _SIZE, _POINTER, _SIZE),
        *(_POINTER, _SIZE, TokenFunction, ctypes.c_void_p, _POINTER, _POINTER),
    ),
    "ropewalk_model_append": (_HANDLE, _POINTER, _SIZE, _SIZE, _POINTER, ctypes.c_int, _POINTER),
    "ropewalk_model_truncate": (_HANDLE, _SIZE),
    "ropewalk_attention_compile": (_TEXT, _OUT),
    "ropewalk_attention_info": (_HANDLE, _OUT),
    "ropewalk_attention_run": (_HANDLE, ctypes.POINTER(Tensor), ctypes.c_size_t),
}


def _candidates() -> list[Path]:
    given = os.environ.get("ROPEWALK_LIBRARY")
    if given:
        return [Path(given)]
    package = Path(__file__).resolve().parent
    return [package / NAME, package.parent.parent / "build" / "lib" / NAME]


def library_path() -> Path:
    """The file of the shared library.

    ROPEWALK_LIBRARY names it; otherwise it lies in the package, or in build/lib of
    the source checkout that the package is part of. Raises RopewalkError.
    """
    candidates = _candidates()
    for path in candidates:
        if path.is_file():
            return path
    tried = ", ".join(str(path) for path in candidates)
    raise RopewalkError(
        f"the library {NAME} was not found (tried: {tried}); build the target ropewalk-c, "
        "or set ROPEWALK_LIBRARY to its path"
    )


@functools.cache
def library() -> ctypes.CDLL:
    """The library with its functions declared."""
    path = library_path()
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise RopewalkError(f"{path} cannot be loaded: {error}") from error
    for name, arguments in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.argtypes = arguments
        function.restype = ctypes.c_int
    lib.ropewalk_version.restype = ctypes.c_char_p
    lib.ropewalk_last_error.restype = ctypes.c_char_p
    for name in ("ropewalk_string_free", "ropewalk_model_free", "ropewalk_attention_free"):
        getattr(lib, name).argtypes = (ctypes.c_void_p,)
        getattr(lib, name).restype = None
    lib.ropewalk_model_cancel.argtypes = (_HANDLE,)
    lib.ropewalk_model_cancel.restype = None
    return lib


def version() -> str:
    """Version of the shared library."""
    return library().ropewalk_version().decode()


def call(name: str, *arguments: object) -> None:
    """Calls a function that returns a status. Raises RopewalkError."""
    lib = library()
    status = getattr(lib, name)(*arguments)
    if status == 0:
        return
    message = lib.ropewalk_last_error().decode(errors="replace")
    raise (CancelledError if status == 2 else RopewalkError)(message)


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Loads a dialect plugin of MLIR, for everything that is compiled later.

    Its position maps can then be used as ``Segments("#dialect.map<...>")``. Raises
    RopewalkError.
    """
    call("ropewalk_load_plugin", os.fsencode(path))


def call_for_text(name: str, *arguments: object) -> str:
    """Calls a function whose last argument receives a text to be released."""
    pointer = ctypes.c_void_p()
    call(name, *arguments, ctypes.byref(pointer))
    try:
        return ctypes.string_at(pointer.value).decode()
    finally:
        library().ropewalk_string_free(pointer)


_threads = int(os.environ.get("ROPEWALK_THREADS", "0"))


def set_threads(threads: int) -> None:
    """Sets the number of processor threads of later calls; 0 is one per processor.

    The initial value is that of the environment variable ROPEWALK_THREADS, or 0. A
    model keeps the number that was set when it was loaded.
    """
    global _threads
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 0:
        raise ValueError(f"threads: expected an integer of at least 0, got {threads!r}")
    _threads = threads


def threads() -> int:
    """What `set_threads` set."""
    return _threads
