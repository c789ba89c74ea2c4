"""Language models: loading, logits, scores, generation."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np

from . import _library
from ._arrays import integer_array, is_torch, to_numpy
from ._maps import PositionMap, check_map

Progress = Callable[[str, int, int], Any]


def _map_text(value: PositionMap | str | None, name: str) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else check_map(value, name).constant_text()


def _map_texts(position_map: PositionMap | str | Sequence[PositionMap | str | None] | None) -> list[str]:
    if position_map is None:
        return []
    if isinstance(position_map, (PositionMap, str)):
        return [_map_text(position_map, "position_map")]
    if not isinstance(position_map, Sequence):
        check_map(position_map)
    texts = [_map_text(value, f"position_map[{layer}]") for layer, value in enumerate(position_map)]
    if not texts:
        raise ValueError("position_map: expected a map, or one for each layer, got none")
    return texts


def _check_dtype(dtype: Any) -> None:
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    if dtype is not None and name.removeprefix("torch.") != "float32":
        raise NotImplementedError(
            f"dtype: models compute in float32 whatever the type of their weights; expected None or float32, "
            f"got {dtype!r}"
        )


class _Callbacks:
    """C callbacks that keep the exception of a Python function and end the call."""

    def __init__(self, progress: Progress | None) -> None:
        self.error: BaseException | None = None
        self.progress = progress
        self.on_token: Callable[[int, int], Any] | None = None
        # Also without a function: an interrupt is seen when Python code runs.
        self.c_progress = _library.ProgressFunction(self._on_progress)
        self.c_token = _library.TokenFunction(self._on_token)

    def _on_progress(self, user: Any, stage: bytes, done: int, total: int) -> int:
        try:
            if self.progress is not None:
                self.progress(stage.decode(), done, total)
        except BaseException as error:  # noqa: BLE001  it comes out of `call`
            self.error = error
            return 1
        return 0

    def _on_token(self, user: Any, sequence: int, token: int) -> int:
        try:
            if self.on_token is not None:
                return 1 if self.on_token(sequence, token) is False else 0
        except BaseException as error:  # noqa: BLE001  it comes out of `call`
            self.error = error
            return 1
        return 0

    def call(self, name: str, *arguments: object) -> None:
        """Calls the library; an exception of a callback comes out here."""
        self.error = None
        try:
            _library.call(name, *arguments)
        except _library.CancelledError:
            if self.error is None:
                raise
        finally:
            error, self.error = self.error, None
        if error is not None:
            raise error


def _tokens(ids: Any, name: str = "ids") -> tuple[np.ndarray, np.ndarray | None]:
    """Ids as int32 [B, S], and lengths [B] where rows are unequal lists."""
    lengths = None
    if not is_torch(ids) and not isinstance(ids, np.ndarray):
        ids = list(ids) if isinstance(ids, Iterable) else ids
        if isinstance(ids, list) and ids and all(isinstance(row, (list, tuple)) for row in ids):
            counts = [len(row) for row in ids]
            if min(counts) == 0:
                raise ValueError(f"{name}: sequence {counts.index(0)} has no tokens")
            if min(counts) != max(counts):
                lengths = np.array(counts, np.int64)
                ids = [[*row, *([0] * (max(counts) - len(row)))] for row in ids]
    array = integer_array(to_numpy(ids, name), name)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name}: expected [S] or [B, S] with at least one token, got shape {list(array.shape)}")
    limits = np.iinfo(np.int32)
    if array.min() < limits.min or array.max() > limits.max:
        raise ValueError(f"{name}: expected ids of 32 bits, got {int(array.min())} to {int(array.max())}")
    array = np.ascontiguousarray(array.reshape(-1, array.shape[-1]), np.int32)
    return array, lengths


def _address(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


class Model:
    """A loaded model. `load` makes one; `close`, or `with`, releases it."""

    def __init__(self, handle: ctypes.c_void_p, callbacks: _Callbacks) -> None:
        self._handle: ctypes.c_void_p | None = handle
        self._callbacks = callbacks
        self.vocabulary_size: int = self.info["vocabulary_size"]

    def close(self) -> None:
        """Releases weights, caches and code; nothing else may be called after it."""
        if self._handle is not None:
            _library.library().ropewalk_model_free(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.close()

    def _open(self) -> ctypes.c_void_p:
        if self._handle is None:
            raise _library.RopewalkError("the model is closed")
        return self._handle

    @property
    def info(self) -> dict[str, Any]:
        """What is known: model, maps, target, device, sizes, memory in bytes, warnings."""
        return json.loads(_library.call_for_text("ropewalk_model_info", self._open()))

    def cancel(self) -> None:
        """Ends the call in progress in another thread with CancelledError."""
        _library.library().ropewalk_model_cancel(self._open())

    def logits(self, ids: Any) -> np.ndarray:
        """Logits of every token of new sequences: ids [S], [B, S] or lists -> float32 [B, S, V].

        Lists may differ in length; logits after the end of a sequence are 0.
        """
        tokens, lengths = _tokens(ids)
        result = np.empty((*tokens.shape, self.vocabulary_size), np.float32)
        self._callbacks.call(
            "ropewalk_model_logits",
            *(self._open(), _address(tokens), *tokens.shape, _address(lengths), _address(result)),
        )
        return result

    def score(self, ids: Any) -> np.ndarray:
        """Negative log likelihood in nats of every token after the first: ids [S] -> float64 [S - 1]."""
        tokens, _ = _tokens(ids)
        if tokens.shape[0] != 1:
            raise ValueError(f"ids: expected one sequence, got {tokens.shape[0]}")
        result = np.empty(tokens.shape[1] - 1, np.float64)
        self._callbacks.call("ropewalk_model_score", self._open(), _address(tokens), tokens.shape[1], _address(result))
        return result

    def generate(
        self,
        ids: Any,
        max_new_tokens: int,
        *,
        stop_ids: Iterable[int] = (),
        on_token: Callable[[int, int], Any] | None = None,
    ) -> list[int] | list[list[int]]:
        """Greedy continuation: the new tokens of ids [S], or a list of them for a batch.

        A sequence ends with a token of `stop_ids`, which is part of the result.
        `on_token(sequence, token)` is called for each token as soon as it is known;
        if it returns False, the generation ends.
        """
        tokens, lengths = _tokens(ids)
        if not isinstance(max_new_tokens, int) or max_new_tokens < 0:
            raise ValueError(f"max_new_tokens: expected an integer of at least 0, got {max_new_tokens!r}")
        stop = np.array(list(stop_ids), np.int32)
        new = np.empty((tokens.shape[0], max_new_tokens), np.int32)
        counts = np.zeros(tokens.shape[0], np.int64)
        self._callbacks.on_token = on_token
        try:
            self._callbacks.call(
                "ropewalk_model_generate",
                *(self._open(), _address(tokens), *tokens.shape, _address(lengths), max_new_tokens),
                *(_address(stop), stop.size, self._callbacks.c_token, None, _address(new), _address(counts)),
            )
        finally:
            self._callbacks.on_token = None
        rows = [row[:count].tolist() for row, count in zip(new, counts, strict=True)]
        is_single = (not is_torch(ids) and np.ndim(ids[0]) == 0) or (is_torch(ids) and ids.dim() == 1)
        return rows[0] if is_single else rows

    def append(self, ids: Any, *, rows: str = "last") -> np.ndarray | None:
        """Appends tokens to the sequences in the cache.

        Returns the logits of the last token of each, [B, V] (rows="last"), of all new
        tokens, [B, S, V] ("all"), or None ("none"). The first call after `truncate(0)`
        sets the batch size.
        """
        kinds = ("none", "last", "all")
        if rows not in kinds:
            raise ValueError(f"rows: expected none, last or all, got {rows!r}")
        tokens, lengths = _tokens(ids)
        shape = {"none": (0,), "last": (tokens.shape[0],), "all": tokens.shape}[rows]
        result = np.empty((*shape, self.vocabulary_size), np.float32)
        self._callbacks.call(
            "ropewalk_model_append",
            *(self._open(), _address(tokens), *tokens.shape, _address(lengths), kinds.index(rows)),
            _address(result),
        )
        return None if rows == "none" else result

    def truncate(self, length: int = 0) -> None:
        """Goes back to the first `length` tokens of the cache; 0 forgets the sequence."""
        _library.call("ropewalk_model_truncate", self._open(), length)


def load(
    directory: str | os.PathLike[str],
    position_map: PositionMap | str | Sequence[PositionMap | str | None] | None = None,
    dtype: Any = None,
    target: str = "cpu",
    *,
    weights: str | os.PathLike[str] | None = None,
    capacity: int = 512,
    chunk: int = 512,
    progress: Progress | None = None,
) -> Model:
    """Loads a Hugging Face directory (model types qwen2 and llama) or an artifact.

    position_map: one for all layers, or a sequence with one for each (None leaves a
        layer as it is); default: the model's own attention.
    dtype: None or float32; activations are float32, weights keep their type.
    target: "cpu", "cuda", "emulate:sm_80", ...
    weights: directory of the checkpoint, only with an artifact.
    capacity: slots of the cache at the beginning; it grows on demand.
    chunk: tokens of a sequence that run at once.
    progress: called as progress(stage, done, total) here and in long calls later.

    Raises RopewalkError, TypeError, ValueError, NotImplementedError.
    """
    _check_dtype(dtype)
    options: dict[str, Any] = {
        "target": target,
        "maps": _map_texts(position_map),
        "threads": _library.threads(),
        "capacity": capacity,
        "chunk": chunk,
    }
    if weights is not None:
        options["weights"] = os.fspath(weights)
    callbacks = _Callbacks(progress)
    handle = ctypes.c_void_p()
    callbacks.call(
        "ropewalk_model_load",
        *(os.fsencode(directory), json.dumps(options).encode(), callbacks.c_progress, None),
        ctypes.byref(handle),
    )
    return Model(handle, callbacks)


def import_model(directory: str | os.PathLike[str]) -> str:
    """The graph of a Hugging Face directory as MLIR text. Raises RopewalkError."""
    return _library.call_for_text("ropewalk_import", os.fsencode(directory))


def compile_model(
    directory: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    position_map: PositionMap | str | Sequence[PositionMap | str | None] | None = None,
    target: str = "sm_80",
) -> None:
    """Compiles a Hugging Face directory into an artifact for GPUs. Raises RopewalkError."""
    options = {"target": target, "maps": _map_texts(position_map)}
    _library.call("ropewalk_compile", os.fsencode(directory), json.dumps(options).encode(), os.fsencode(output))
