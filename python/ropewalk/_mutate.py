"""The mutation test of a PTX kernel: who notices a missing synchronization?"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any

from . import _emulator
from ._addresses import arrays_of
from ._arguments import Arguments
from ._buffers import Buffers, as_buffer
from ._emulate import EmulationError, _checked_call, _choose, _count, _load, _run_interruptibly

# Types of RopewalkPtxFloats by dtype.
_FLOATS = {"float16": 0, "float32": 2, "float64": 3}
_BFLOAT16 = 1


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one instruction, and what came of it.

    line, column: of the instruction in the PTX text, from 1. text: the instruction.
    mutation: "deleted", "0 -> 1", ".acquire -> .relaxed" and so on.
    outcome: "reported" (the sanitizer stopped the kernel), "deadlock" (it did not end,
        which counts as reported), "wrong result", "unnoticed" (right results under every
        schedule), "invalid" (the changed text does not load) or "not executed" (the
        launch does not come to the instruction).
    kind: of the report, "shared-race" for example, or None.
    seed: the schedule that showed it, or None. detail: the report, or what differs.
    """

    line: int
    column: int
    text: str
    mutation: str
    outcome: str
    kind: str | None
    seed: int | None
    detail: str


@dataclasses.dataclass(frozen=True)
class MutationResult:
    """The mutants of a kernel in the order of the text, and their number by outcome."""

    mutants: list[Mutant]
    summary: dict[str, int]

    @property
    def unnoticed(self) -> list[Mutant]:
        """Those that nobody noticed."""
        return [each for each in self.mutants if each.outcome == "unnoticed"]

    def __str__(self) -> str:
        rows = [f"{'line':>6}  {'outcome':<33}  {'mutation':<24}  instruction"]
        for each in self.mutants:
            outcome = f"{each.outcome}: {each.kind}" if each.outcome == "reported" else each.outcome
            rows.append(f"{each.line:>6}  {outcome:<33}  {each.mutation:<24}  {each.text}")
        rows.append(", ".join(f"{count} {outcome}" for outcome, count in self.summary.items()))
        return "\n".join(rows)


class _Floats(ctypes.Structure):
    """RopewalkPtxFloats."""

    _fields_ = [("address", ctypes.c_uint64), ("bytes", ctypes.c_uint64), ("type", ctypes.c_int)]


def _float_type(value: Any) -> int | None:
    """The type of an array's elements for the comparison; None if bits are compared."""
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        return _BFLOAT16
    name = str(getattr(value, "dtype", "")).removeprefix("torch.")
    return _FLOATS.get(name)


def mutate(
    ptx_text: str | bytes,
    entry: str | None,
    grid: int | Sequence[int],
    block: int | Sequence[int],
    args: Sequence[Any],
    shared: int = 0,
    *,
    cluster: int | Sequence[int] | None = None,
    seeds: int = 4,
    tolerance: float = 0,
    threads: int = 1,
    check_races: bool = True,
    check_uninitialized_memory: bool = True,
    check_uninitialized_registers: bool = True,
    registers_per_thread: int = 0,
    chip: str | None = None,
) -> MutationResult:
    """Runs an entry with one synchronization deleted or made weaker at a time.

    A mutant that is "unnoticed" is a synchronization that the kernel does not need with
    these arguments, or a mistake that the emulator does not see. Expected are the results
    of the kernel itself. Arrays are not changed.

    entry, grid, block, args, shared, cluster, threads, check_..., registers_per_thread, chip: as for `emulate`.
    seeds: schedules of each run, 0 to seeds - 1.
    tolerance: elements of floating-point arrays may differ by
        tolerance * max(1, |expected|); everything else has to be the same.

    Raises EmulationError if the kernel itself is at fault, ValueError if its results depend
    on the schedule, and what `emulate` raises.
    """
    text, extents, shared = _checked_call(ptx_text, entry, chip, grid, block, cluster, shared)
    if not 1 <= _count(seeds, "seeds") < 1 << 32:
        raise ValueError(f"seeds: expected an integer from 1 to 2^32 - 1, got {seeds!r}")
    try:
        tolerance = float(tolerance)
    except (TypeError, ValueError):
        raise TypeError(f"tolerance: expected a number, got {tolerance!r}") from None
    if not (tolerance >= 0 and math.isfinite(tolerance)):
        raise ValueError(f"tolerance: expected a number of at least 0, got {tolerance!r}")
    options = {
        "threads": _count(threads, "threads"),
        "check_races": bool(check_races),
        "check_uninitialized_memory": bool(check_uninitialized_memory),
        "check_uninitialized_registers": bool(check_uninitialized_registers),
        "registers_per_thread": _count(registers_per_thread, "registers_per_thread"),
    }

    lib = _emulator.library()
    module = _load(text, chip)
    index = _choose(module.entries, entry)
    arguments = Arguments(module.entries[index], args)
    device = ctypes.c_void_p(lib.ropewalk_ptx_device_create())
    try:
        buffers = Buffers(device, arguments.arrays())
        values = arguments.encode(device, buffers)
        floats = []
        for number, value in enumerate(args):
            for held in arrays_of(value):
                kind = _float_type(held)
                if kind is not None:
                    array = as_buffer(held, f"args[{number}]")
                    floats.append(_Floats(buffers.address(array), array.nbytes, kind))

        def run() -> tuple[int, dict[str, Any]]:
            pointers = (ctypes.c_char_p * len(values))(*values)
            sizes = (ctypes.c_size_t * len(values))(*map(len, values))
            out = ctypes.c_char_p()
            status = lib.ropewalk_ptx_mutate(
                *(device, module.handle, index, *extents, shared, pointers, sizes, len(values)),
                *(json.dumps(options).encode(), seeds, tolerance, (_Floats * len(floats))(*floats), len(floats)),
                ctypes.byref(out),
            )
            if status not in (0, 1):
                raise ValueError(_emulator.last_error())
            return status, json.loads(out.value.decode(errors="replace"))

        status, outcome = _run_interruptibly(run, lambda: lib.ropewalk_ptx_cancel(device))
        if status:
            raise EmulationError(outcome, arguments.name_at(buffers, outcome["address"]))
    finally:
        lib.ropewalk_ptx_device_free(device)
    return MutationResult([Mutant(**each) for each in outcome["mutants"]], outcome["summary"])
