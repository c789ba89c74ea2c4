"""The table of mutants of our own kernels, of the CUDA kernels and of the Triton kernels.

Each synchronization of a kernel is deleted or made weaker, and the emulator has to
notice. Guards that no check of the sanitizer stops working, and that our kernels have
no synchronization that they do not need. test/Emulator/mutations holds what is
expected, with a reason for every mutant that is not reported; after a change,

    python test/Python/test_mutations.py --update [GROUP ...]

writes the tables again, keeps the reasons, says where one is missing, and prints the
lines of the table in docs/Emulator.md.
"""

from __future__ import annotations

import argparse
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT
from mutation_cases import GROUPS
from mutation_support import Row, Table, best, differences, with_reasons


@pytest.mark.parametrize("group", GROUPS)
def test_mutants(rw: SimpleNamespace, group: str) -> None:
    """Each mutant does what the table says, and the table says it of no others."""
    expected, found = Table.read(group).kernels, GROUPS[group](rw)
    assert found, "no kernels"
    lines = [f"{name}: not in the table" for name in found if name not in expected]
    lines += [f"{name}: no such kernel" for name in expected if name not in found]
    for name, rows in found.items():
        lines += [f"{name}: {line}" for line in differences(expected.get(name, []), rows)]
    assert not lines, f"mutations/{group}.json is out of date:\n" + "\n".join(lines)


@pytest.mark.parametrize("group", GROUPS)
def test_reasons(group: str) -> None:
    """Every mutant that is not reported has a reason, and every reason a mutant."""
    assert not Table.read(group).mistakes()


@pytest.mark.parametrize("group", GROUPS)
def test_totals(group: str) -> None:
    """The page on the emulator says what the tables say."""
    page = (ROOT / "docs" / "Emulator.md").read_text()
    assert Table.read(group).summary(group) in page


def test_own_kernels_need_what_they_have() -> None:
    """Nothing in our kernels can be taken away without a report."""
    rows = [row for rows in Table.read("own").kernels.values() for row in rows]
    assert len(rows) > 20 and all(row.outcome.startswith("reported") for row in rows)


def test_differences_are_found() -> None:
    """A mutant that goes unnoticed, one that is new, one that is gone, and reasons that are missing or left over."""
    before = [Row("bar.sync", "deleted", "reported: shared-race"), Row("fence.sc.cta", "deleted", "unnoticed", "x")]
    now = [Row("bar.sync", "deleted", "unnoticed"), Row("bar.sync #2", "deleted", "deadlock")]
    assert not differences(before, before)
    assert differences(before, now) == [
        "gone: fence.sc.cta deleted, was unnoticed",
        "bar.sync deleted: unnoticed, was reported: shared-race",
        "bar.sync #2 deleted: deadlock, was not in the table",
    ]
    assert not Table({"a": before}, {"x": "why"}).mistakes()
    assert Table({"a": before}, {}).mistakes() == ["a: no reason 'x'"]
    assert Table({"a": before[:1]}, {"x": "why"}).mistakes() == ["reason 'x' is not used"]
    assert Table({"a": now[:1]}, {}).mistakes() == ["a: bar.sync deleted: unnoticed, reason None"]
    assert best([now[:1], before[:1]]) == before[:1]


def update(groups: list[str]) -> int:
    """Writes tables; 1 if reasons are missing."""
    import ropewalk

    status = 0
    for group in groups:
        old = Table.read(group)
        kernels = {name: with_reasons(rows, old.kernels.get(name, []))
                   for name, rows in GROUPS[group](ropewalk).items()}
        used = {row.reason for rows in kernels.values() for row in rows}
        table = Table(kernels, {name: text for name, text in old.reasons.items() if name in used})
        table.write(group)
        print(table.summary(group))
        for line in table.mistakes():
            status = 1
            print(f"  {line}")
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", required=True)
    parser.add_argument("groups", nargs="*", default=list(GROUPS), metavar="GROUP")
    sys.exit(update(parser.parse_args().groups))
