"""Tables of mutants: made by running kernels of other tests, read from files, compared.

A table belongs to a group of kernels (test/Emulator/mutations/GROUP.json):

    "reasons": NAME: why a mutant of this kind is not reported
    "kernels": KERNEL: rows of instruction, mutation, outcome and, unless the
               mutant is reported, the name of a reason

An instruction is the opcode with its modifiers and, from the second on, its number
among those rows of the kernel that have the same opcode and mutation. Nothing names a
line, so that a table holds as long as the kernel has the same synchronization. A kernel
without mutants has an empty list.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from conftest import ROOT

TABLES = ROOT / "test" / "Emulator" / "mutations"

#: From the best to the worst: what a mutant is said to be if launches differ.
OUTCOMES = ("reported", "deadlock", "wrong result", "unnoticed", "not executed", "invalid")
#: These need no reason.
NOTICED = ("reported", "deadlock")


@dataclasses.dataclass(frozen=True)
class Row:
    """A mutant and what came of it. `outcome` is "reported: KIND" or one of OUTCOMES."""

    instruction: str
    mutation: str
    outcome: str
    reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells the mutants of a kernel apart."""
        return self.instruction, self.mutation

    @property
    def rank(self) -> int:
        """Of the outcome, 0 the best."""
        return OUTCOMES.index(self.outcome.split(":")[0])

    @property
    def is_noticed(self) -> bool:
        """Whether the emulator stopped it."""
        return OUTCOMES[self.rank] in NOTICED


def rows_of(mutants: Iterable[Any]) -> list[Row]:
    """The rows of ropewalk.Mutant objects of one kernel."""
    seen: Counter[tuple[str, str]] = Counter()
    rows = []
    for mutant in mutants:
        opcode = re.sub(r"^@!?\S+ ", "", mutant.text).split()[0].rstrip(";")
        # A line is no part of what identifies a mutant.
        mutation = re.sub(r"deleted with line \d+", "deleted with its wait", mutant.mutation)
        seen[opcode, mutation] += 1
        number = seen[opcode, mutation]
        outcome = f"reported: {mutant.kind}" if mutant.outcome == "reported" else mutant.outcome
        rows.append(Row(opcode if number == 1 else f"{opcode} #{number}", mutation, outcome))
    return rows


def best(tables: list[list[Row]]) -> list[Row]:
    """Of each mutant the best outcome of several launches of the kernel."""
    assert len({tuple(row.key for row in rows) for rows in tables}) == 1, "launches of different kernels"
    return [min(rows, key=lambda row: row.rank) for rows in zip(*tables, strict=True)]


@dataclasses.dataclass
class Table:
    """The mutants of a group of kernels."""

    kernels: dict[str, list[Row]]
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)

    @staticmethod
    def path(group: str) -> Path:
        """Where a group's table is."""
        return TABLES / f"{group}.json"

    @staticmethod
    @functools.cache
    def read(group: str) -> Table:
        """The table of a group; an empty one if there is none yet."""
        if not Table.path(group).is_file():
            return Table({})
        data = json.loads(Table.path(group).read_text())
        return Table({name: [Row(*row) for row in rows] for name, rows in data["kernels"].items()}, data["reasons"])

    def write(self, group: str) -> None:
        """Writes a row a line."""
        lines = ["{", '"reasons": {']
        lines.append(",\n".join(f" {json.dumps(name)}:\n  {json.dumps(self.reasons[name])}"
                                for name in sorted(self.reasons)))
        lines += ["},", '"kernels": {']
        kernels = []
        for name, rows in self.kernels.items():
            body = ",\n".join("  " + json.dumps([v for v in dataclasses.astuple(row) if v is not None]) for row in rows)
            kernels.append(f" {json.dumps(name)}: [" + (f"\n{body}\n ]" if rows else "]"))
        lines += [",\n".join(kernels), "}", "}"]
        TABLES.mkdir(exist_ok=True)
        Table.path(group).write_text("\n".join(lines) + "\n")

    def mistakes(self) -> list[str]:
        """Rows without a reason that need one, reasons that nobody gives or nobody has written."""
        found, used = [], set()
        for name, rows in self.kernels.items():
            for row in rows:
                used.add(row.reason)
                if row.is_noticed != (row.reason is None):
                    found.append(f"{name}: {row.instruction} {row.mutation}: {row.outcome}, reason {row.reason}")
                elif row.reason is not None and row.reason not in self.reasons:
                    found.append(f"{name}: no reason {row.reason!r}")
        return found + [f"reason {name!r} is not used" for name in self.reasons if name not in used]

    def summary(self, group: str) -> str:
        """A line of the table in docs/Emulator.md: kernels, mutants and how many there are of each outcome."""
        counts = Counter(OUTCOMES[row.rank] for rows in self.kernels.values() for row in rows)
        cells = [group, len(self.kernels), counts.total(), *(counts[outcome] for outcome in OUTCOMES[:-1])]
        return "| " + " | ".join(map(str, cells)) + " |"


def differences(expected: list[Row], found: list[Row]) -> list[str]:
    """What a kernel's rows have become, a line for each that is not as expected."""
    before = {row.key: row for row in expected}
    now = {row.key: row for row in found}
    lines = [f"gone: {' '.join(key)}, was {row.outcome}" for key, row in before.items() if key not in now]
    for key, row in now.items():
        was = before[key].outcome if key in before else "not in the table"
        if was != row.outcome:
            lines.append(f"{' '.join(key)}: {row.outcome}, was {was}")
    return lines


def with_reasons(found: list[Row], old: list[Row]) -> list[Row]:
    """The rows with the reasons that the table has for them; "?" where one has to be found."""
    reasons = {row.key: row.reason for row in old}
    return [row if row.is_noticed else dataclasses.replace(row, reason=reasons.get(row.key) or "?") for row in found]


class MutatingPackage:
    """Stands for the package in another test: mutates what that launches, then launches it.

    Schedules of one launch count as one: the mutants run under several anyway.
    """

    def __init__(self, rw: SimpleNamespace, **options: Any) -> None:
        self._rw, self._options, self._seen = rw, options, set()
        #: By entry: the rows of each of its launches.
        self.tables: dict[str, list[list[Row]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rw, name)

    @contextlib.contextmanager
    def options(self, **options: Any) -> Iterator[None]:
        """Other options of ropewalk.mutate for a while."""
        before, self._options = self._options, {**self._options, **options}
        yield
        self._options = before

    def emulate(self, ptx: str, entry: str, grid: Any, block: Any, args: list, **options: Any) -> Any:
        """As ropewalk.emulate."""
        values = [getattr(value, "shape", None) or repr(value) for value in args if not hasattr(value, "encode")]
        launch = entry, str(grid), str(block), str(values), str(options.get("cluster"))
        if launch not in self._seen:
            self._seen.add(launch)
            kept = {name: value for name, value in options.items() if name in ("shared", "cluster", "chip")}
            result = self._rw.mutate(ptx, entry, grid, block, args, **kept, **self._options)
            self.tables.setdefault(entry, []).append(rows_of(result.mutants))
        return self._rw.emulate(ptx, entry, grid, block, args, **options)
