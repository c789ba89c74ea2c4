# Part of Ropewalk, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs an artifact through its host library, without the compiler.

    python host.py record OUT --weights DIR --map '#rope…' --expected FILE.npz
    python host.py check OUT --weights DIR --expected FILE.npz [--emulate CHIP]

``record`` stores the logits of the CPU back end (it needs the compiler), ``check``
compares those of the artifact on a GPU, or in the emulator. The file needs only
NumPy, so that it can be carried to a machine with a GPU together with OUT.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
from pathlib import Path

import numpy as np


class HostError(RuntimeError):
    """What the host library reports."""


class Artifact:
    """An artifact directory on a device.

    Args:
        directory: what ``ropewalk compile`` wrote; its libropewalk-host.so is loaded.
        weights: the Hugging Face directory of the checkpoint.
        emulate: a chip such as "sm_80" to run in the emulator; None runs on a GPU.
        emulator: path of libropewalk-emulator.so (default: build/lib of the source tree).
        ordinal: number of the GPU.
    """

    def __init__(self, directory: str | Path, weights: str | Path, *, emulate: str | None = None,
                 emulator: str | Path | None = None, ordinal: int = 0) -> None:
        self._handle = ctypes.c_void_p()
        library = Path(directory).resolve() / "libropewalk-host.so"
        if not library.exists():
            raise FileNotFoundError(f"{library}: the artifact has no host library")
        self._library = ctypes.CDLL(str(library))
        self._library.ropewalk_host_last_error.restype = ctypes.c_char_p
        self._library.ropewalk_host_device.restype = ctypes.c_char_p
        self._library.ropewalk_host_vocabulary.restype = ctypes.c_int64
        for name in ("device", "vocabulary", "close"):
            getattr(self._library, f"ropewalk_host_{name}").argtypes = [ctypes.c_void_p]
        device = self._emulator(emulate, emulator) if emulate else ctypes.c_void_p()
        self._check(self._library.ropewalk_host_open(
            str(directory).encode(), str(weights).encode(), device, ctypes.c_int(ordinal), ctypes.c_int64(0),
            ctypes.c_int64(0), ctypes.byref(self._handle)))

    @staticmethod
    def _emulator(chip: str, path: str | Path | None) -> ctypes.c_void_p:
        path = path or Path(__file__).resolve().parents[2] / "build" / "lib" / "libropewalk-emulator.so"
        library = ctypes.CDLL(str(path))
        library.ropewalk_emulator_error.restype = ctypes.c_char_p
        device = ctypes.c_void_p()
        if library.ropewalk_emulator_create(chip.encode(), b'{"threads": 0}', ctypes.byref(device)):
            raise HostError(library.ropewalk_emulator_error().decode())
        return device

    def _check(self, status: int) -> None:
        if status:
            raise HostError(self._library.ropewalk_host_last_error().decode())

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.ropewalk_host_close(self._handle)

    @property
    def device(self) -> str:
        """Name of the device."""
        return self._library.ropewalk_host_device(self._handle).decode()

    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self._library.ropewalk_host_vocabulary(self._handle)

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """ids int [B, S] to float32 [B, S, V]."""
        ids = np.ascontiguousarray(ids, np.int32)
        if ids.ndim != 2:
            raise ValueError(f"ids: expected [B, S], got {list(ids.shape)}")
        result = np.empty((*ids.shape, self.vocabulary_size), np.float32)
        self._check(self._library.ropewalk_host_logits(
            self._handle, ids.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(ids.shape[0]),
            ctypes.c_int64(ids.shape[1]), result.ctypes.data_as(ctypes.c_void_p)))
        return result

    def generate(self, ids: np.ndarray, max_new_tokens: int) -> np.ndarray:
        """Greedy continuation of one sequence: int [S] to int32 [max_new_tokens]."""
        ids = np.ascontiguousarray(ids, np.int32).reshape(-1)
        result = np.empty(max(max_new_tokens, 0), np.int32)
        self._check(self._library.ropewalk_host_generate(
            self._handle, ids.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(ids.size),
            ctypes.c_int64(max_new_tokens), result.ctypes.data_as(ctypes.c_void_p)))
        return result


def record(arguments: argparse.Namespace) -> int:
    """Stores ids, logits and a continuation of the CPU back end."""
    import ropewalk

    model = ropewalk.load(arguments.weights, position_map=ropewalk.Segments(arguments.map) if arguments.map else None)
    generator = np.random.default_rng(arguments.seed)
    ids = generator.integers(0, model.vocabulary_size, (2, arguments.length), dtype=np.int32)
    np.savez_compressed(arguments.expected, ids=ids, logits=model.logits(ids),
                        tokens=np.asarray(model.generate(ids[0], max_new_tokens=16), np.int32))
    print(f"{arguments.expected}: logits of {ids.shape[0]} sequences of {ids.shape[1]} tokens")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Compares; the exit status is 0 within the tolerance."""
    try:
        expected = dict(np.load(arguments.expected))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{arguments.expected}: expected what `record` wrote: {error}") from None
    if missing := {"ids", "logits", "tokens"} - set(expected):
        raise ValueError(f"{arguments.expected}: expected what `record` wrote, {', '.join(sorted(missing))} is missing")
    artifact = Artifact(arguments.artifact, arguments.weights, emulate=arguments.emulate)
    difference = float(np.abs(artifact.logits(expected["ids"]) - expected["logits"]).max())
    tokens = artifact.generate(expected["ids"][0], len(expected["tokens"]))
    same = bool((tokens == expected["tokens"]).all())
    print(f"{artifact.device}: logits differ by at most {difference:.2e} (tolerance {arguments.tolerance:.0e}), "
          f"decoded tokens {'agree' if same else 'differ'}")
    return 0 if difference <= arguments.tolerance and same else 1


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function in (("record", record), ("check", check)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("artifact", type=Path)
        command.add_argument("--weights", type=Path, required=True)
        command.add_argument("--expected", type=Path, required=True)
        command.add_argument("--map", default=None, help="position map of the artifact, as text")
        command.add_argument("--length", type=int, default=300)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--emulate", default=None, metavar="CHIP")
        command.add_argument("--tolerance", type=float, default=2e-4)
    arguments = parser.parse_args()
    try:
        return arguments.function(arguments)
    except (HostError, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
