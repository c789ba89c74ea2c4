"""PTX kernels on NumPy arrays, run by the emulator."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import json
import operator
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import _emulator
from ._arguments import Arguments
from ._buffers import Buffers

_PROFILE = 1


class EmulationError(RuntimeError):
    """The emulator stopped a kernel, or refused a launch.

    kind: "out-of-bounds", "shared-race", "invalid-launch", ...
    kernel: its name. detail: the reason alone; the message has all of it.
    line, column: of the PTX text, from 1; 0 if unknown.
    source: file and line of the program that the PTX was made of, "" if unknown.
    inlined_at: places where that was inlined, innermost first.
    block: (x, y, z) of the block at fault, warp: its number in the block, lane: the
        lowest lane at fault; None where they do not apply.
    address: device address of the access, or None. argument: name of the parameter
        whose array the address lies in, or just behind, or None.
    other: the other party of a race or hazard, a dictionary with block (its number in
        the grid, x fastest), warp, lane, line, column and source; or None.
    output: what the kernel's printf wrote before.
    """

    def __init__(self, report: dict[str, Any], argument: str | None = None) -> None:
        text = report["text"]
        if argument is not None and report.get("address") is not None:
            text += f" (nearest argument: {argument!r})"
        super().__init__(text)
        self._report = report
        self.kind: str = report["kind"]
        self.kernel: str = report["kernel"]
        self.detail: str = report["detail"]
        self.line: int = report.get("line", 0)
        self.column: int = report.get("column", 0)
        self.source: str = report.get("source", "")
        self.inlined_at: list[str] = report.get("inlined_at", [])
        block = report.get("block")
        self.block: tuple[int, int, int] | None = None if block is None else tuple(block)
        self.warp: int | None = report.get("warp")
        self.lane: int | None = report.get("lane")
        self.address: int | None = report.get("address")
        self.argument: str | None = argument
        self.other: dict[str, Any] | None = report.get("other")
        self.output: str = report.get("output", "")

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would pass the message for the report.
        return type(self), (self._report, self.argument)


@dataclasses.dataclass(frozen=True)
class EmulationResult:
    """What a launch did.

    counters: figures by name; counters["classes"] has "warps" and "lanes" of each class
        of instructions. Figures are exact and do not depend on threads.
    profile: with profile=True, one row for each PTX line that was executed, in the
        order of the text: "line", "text", "source" ("kernel.cu:12", from .loc; "" if
        unknown), "class", "warps", "lanes", "share" (of all warp instructions),
        "divergent_branches", "global_requests", "global_sectors", "shared_requests",
        "shared_transactions" and "shared_conflicts".
    text: the same as tables.
    output: what the kernel's printf wrote, by block in the order of the grid.
    """

    counters: dict[str, Any]
    profile: list[dict[str, Any]]
    text: str
    output: str = ""

    def __str__(self) -> str:
        return self.text


def _extents(value: Any, name: str) -> Any:
    """Three extents as an array for C."""
    values = (value,) if isinstance(value, (int, np.integer)) else value
    try:
        numbers = [operator.index(each) for each in values]
    except TypeError:
        raise TypeError(f"{name}: expected an integer, or up to three of them, got {value!r}") from None
    if not 1 <= len(numbers) <= 3 or not all(1 <= each < 1 << 32 for each in numbers):
        raise ValueError(f"{name}: expected one to three integers from 1 to 2^32 - 1, got {value!r}")
    return (ctypes.c_uint32 * 3)(*numbers, *([1] * (3 - len(numbers))))


class _Module:
    """A loaded module. It never changes, so that launches share it."""

    def __init__(self, text: bytes, chip: str | None) -> None:
        self.handle = ctypes.c_void_p()
        self._library = _emulator.library()
        _emulator.call(
            *("ropewalk_ptx_load", text, len(text), None if chip is None else chip.encode()),
            ctypes.byref(self.handle),
        )
        self.entries = json.loads(self._library.ropewalk_ptx_describe(self.handle).decode(errors="replace"))["entries"]

    def __del__(self) -> None:
        if self.handle:
            self._library.ropewalk_ptx_unload(self.handle)


# Loops over sizes and seeds launch one text again and again.
_load = functools.lru_cache(maxsize=8)(_Module)


def _choose(entries: list[dict[str, Any]], entry: str | None) -> int:
    names = [each["name"] for each in entries]
    if entry is None:
        if len(names) != 1:
            raise ValueError(f"entry: the module has {len(names)} entries ({', '.join(names)}); name one")
        return 0
    if entry not in names:
        raise ValueError(f"entry: the module has no {entry!r}, but {', '.join(names) or 'no entries'}")
    return names.index(entry)


def _run_interruptibly(function: Callable[[], Any], cancel: Callable[[], None]) -> Any:
    """Calls in another thread, so that an interrupt is seen; it cancels the call."""
    outcome: list[tuple[Any, BaseException | None]] = []
    done = threading.Event()

    def run() -> None:
        try:
            outcome.append((function(), None))
        except BaseException as error:  # noqa: BLE001  it comes out below
            outcome.append((None, error))
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    try:
        done.wait()
    except BaseException:
        # The thread uses memory of this frame: it must end before the frame does.
        cancel()
        while not done.is_set():
            try:
                done.wait()
            except KeyboardInterrupt:
                continue
        raise
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def _checked_call(
    ptx_text: Any, entry: Any, chip: Any, grid: Any, block: Any, cluster: Any, shared: Any
) -> tuple[bytes, list[Any], int]:
    """The text, the extents of grid, block and cluster for C, and the bytes of shared memory."""
    text = ptx_text.encode() if isinstance(ptx_text, str) else ptx_text
    if not isinstance(text, bytes):
        hint = "; pass its read_text()" if isinstance(ptx_text, os.PathLike) else ""
        raise TypeError(f"ptx_text: expected a text, got {type(ptx_text).__name__}{hint}")
    if b"\n" not in text and text.endswith(b".ptx"):
        raise ValueError(f"ptx_text: expected the text of a module, got what looks like a file name: {ptx_text!r}")
    for name, value in (("entry", entry), ("chip", chip)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name}: expected a name or None, got {value!r}")
    extents = [_extents(grid, "grid"), _extents(block, "block")]
    extents.append(None if cluster is None else _extents(cluster, "cluster"))
    return text, extents, _count(shared, "shared")


def emulate(
    ptx_text: str | bytes,
    entry: str | None,
    grid: int | Sequence[int],
    block: int | Sequence[int],
    args: Sequence[Any],
    shared: int = 0,
    *,
    cluster: int | Sequence[int] | None = None,
    threads: int = 1,
    schedule_seed: int = 0,
    instruction_budget: int | None = None,
    check_races: bool = True,
    check_uninitialized_memory: bool = True,
    check_uninitialized_registers: bool = True,
    registers_per_thread: int = 0,
    chip: str | None = None,
    profile: bool = False,
) -> EmulationResult:
    """Runs one entry of a PTX module on the processor.

    entry: its name; None takes the only one.
    grid, block: blocks, and threads of a block: an integer, or up to three, x first.
    args: one for each parameter of the entry:
        a C-contiguous NumPy array (or PyTorch tensor on the CPU): a buffer in global
            memory, whose address is passed. It is updated in place when the kernel has
            ended well. Arrays that overlap share a buffer; a kernel that changes a
            read-only array is an error.
        a NumPy scalar, or bytes: by value, of the parameter's size. A scalar must be of
            the kind that the PTX type says, float or integer; bytes give any bits.
        an integer or a number of Python: by value, if the PTX type says which and the
            value is in its range.
        Pointers([array, ...]): the address of a table of the arrays' addresses.
        Struct([part, ...]): by value, with addresses of arrays in it.
        a TensorMap, or None for a null pointer.
    shared: bytes of dynamic shared memory.
    cluster: blocks of a cluster; None leaves it to the kernel.
    threads: of this machine, that blocks are spread over; 0 for all cores. Results and
        counters do not depend on it.
    schedule_seed: 0 runs warps in a fixed order, other numbers in one of their own.
    instruction_budget: warp instructions that a block may execute; None for 2^40.
    check_...: what is checked besides bounds and alignment.
    registers_per_thread: when the kernel starts, for setmaxnreg; 0 goes by its bounds.
    chip: "sm_90a" for example; refuses a module that this chip cannot run.
    profile: also count by PTX line.

    Raises EmulationError for a kernel at fault (arrays are left as they were then),
    ValueError for PTX that cannot be run ("line:column: reason") and other bad values,
    TypeError, and RopewalkError if the library is missing. An interrupt ends the launch.
    """
    text, extents, shared = _checked_call(ptx_text, entry, chip, grid, block, cluster, shared)
    options: dict[str, Any] = {
        "threads": _count(threads, "threads"),
        "schedule_seed": _count(schedule_seed, "schedule_seed"),
        "check_races": bool(check_races),
        "check_uninitialized_memory": bool(check_uninitialized_memory),
        "check_uninitialized_registers": bool(check_uninitialized_registers),
        "registers_per_thread": _count(registers_per_thread, "registers_per_thread"),
    }
    if instruction_budget is not None:
        options["instruction_budget"] = _count(instruction_budget, "instruction_budget")

    lib = _emulator.library()
    module = _load(text, chip)
    index = _choose(module.entries, entry)
    arguments = Arguments(module.entries[index], args)
    device = ctypes.c_void_p(lib.ropewalk_ptx_device_create())
    try:
        buffers = Buffers(device, arguments.arrays())
        values = arguments.encode(device, buffers)

        def launch() -> tuple[int, dict[str, Any]]:
            pointers = (ctypes.c_char_p * len(values))(*values)
            sizes = (ctypes.c_size_t * len(values))(*map(len, values))
            out = ctypes.c_char_p()
            status = lib.ropewalk_ptx_launch(
                *(device, module.handle, index, *extents, shared, pointers, sizes, len(values)),
                *(json.dumps(options).encode(), _PROFILE if profile else 0, ctypes.byref(out)),
            )
            if status not in (0, 1):
                raise ValueError(_emulator.last_error())
            return status, json.loads(out.value.decode(errors="replace"))

        status, outcome = _run_interruptibly(launch, lambda: lib.ropewalk_ptx_cancel(device))
        if status:
            raise EmulationError(outcome, arguments.name_at(buffers, outcome["address"]))
        _refuse_changes(buffers, arguments, module.entries[index]["name"], outcome["output"])
        buffers.copy_out()
    finally:
        lib.ropewalk_ptx_device_free(device)
    lines = outcome.get("profile", {}).get("lines", [])
    return EmulationResult(outcome["counters"], lines, outcome["text"], outcome["output"])


def _count(value: Any, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {value!r}") from None
    if not 0 <= number < 1 << 64:
        raise ValueError(f"{name}: expected an integer from 0 to 2^64 - 1, got {value!r}")
    return number


def _refuse_changes(buffers: Buffers, arguments: Arguments, kernel: str, output: str) -> None:
    """Raises EmulationError if the kernel wrote to a read-only array."""
    changed = buffers.changed()
    if changed is None:
        return
    array, byte = changed
    name = arguments.name_of(array)
    detail = f"the kernel changed element {byte // array.itemsize} of the read-only array {name!r}"
    text = f"read-only-write: kernel {kernel!r}: {detail}"
    report = {"kind": "read-only-write", "kernel": kernel, "detail": detail, "text": text, "output": output}
    raise EmulationError(report, name)
