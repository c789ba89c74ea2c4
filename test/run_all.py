"""Runs the lit, unit and Python tests and adds their counts up."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIT = Path("/usr/lib/llvm-22/bin/lit")


@dataclass
class Outcome:
    """Counts of one suite, with a line for every test that failed or was skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)


def run(command: list[str], **options: object) -> subprocess.CompletedProcess:
    """Runs `command`; its output goes where ours goes."""
    print("+ " + " ".join(str(part) for part in command), flush=True)
    return subprocess.run([str(part) for part in command], check=False, **options)


def run_lit(build: Path, scratch: Path) -> Outcome:
    """The lit suite. An unsupported test counts as skipped."""
    report = scratch / "lit.json"
    # Debian's lit needs the system's Python.
    status = run(["/usr/bin/python3", LIT, "-sv", f"--output={report}", build / "test"])
    if not report.exists():
        return Outcome(failed=1, failures=[f"lit gave no report (exit status {status.returncode})"])
    outcome = Outcome()
    for test in json.loads(report.read_text())["tests"]:
        if test["code"] in ("PASS", "FLAKYPASS", "XFAIL"):
            outcome.passed += 1
        elif test["code"] in ("UNSUPPORTED", "SKIPPED", "EXCLUDED"):
            outcome.skipped += 1
            outcome.skips.append(f"{test['name']}: a feature it requires is not there")
        else:
            outcome.failed += 1
            outcome.failures.append(f"{test['name']}: {test['code']}")
    return outcome


def run_unit(build: Path, scratch: Path) -> Outcome:
    """The googletest executables in build/bin."""
    outcome = Outcome()
    programs = sorted((build / "bin").glob("*Tests"))
    if not programs:
        return Outcome(failed=1, failures=["no unit test executables in build/bin"])
    for program in programs:
        report = scratch / f"{program.name}.json"
        status = run([program, f"--gtest_output=json:{report}", "--gtest_brief=1"])
        if not report.exists():
            outcome.failed += 1
            outcome.failures.append(f"{program.name}: no report (exit status {status.returncode})")
            continue
        for suite in json.loads(report.read_text())["testsuites"]:
            for test in suite["testsuite"]:
                name = f"{program.name}: {suite['name']}.{test['name']}"
                if test.get("failures"):
                    outcome.failed += 1
                    outcome.failures.append(name)
                elif test.get("result") == "SKIPPED" or test.get("status") == "NOTRUN":
                    outcome.skipped += 1
                    outcome.skips.append(name)
                else:
                    outcome.passed += 1
        if status.returncode and not outcome.failures:
            outcome.failed += 1
            outcome.failures.append(f"{program.name}: exit status {status.returncode}")
    return outcome


def run_pytest(build: Path, scratch: Path) -> Outcome:
    """The Python tests."""
    import xml.etree.ElementTree as ElementTree

    report = scratch / "pytest.xml"
    environment = dict(os.environ, ROPEWALK_BUILD=str(build))
    status = run([sys.executable, "-m", "pytest", "-q", "-rs", f"--junitxml={report}", ROOT / "test" / "Python"],
                 cwd=ROOT, env=environment)
    if not report.exists():
        return Outcome(failed=1, failures=[f"pytest gave no report (exit status {status.returncode})"])
    outcome = Outcome()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
            outcome.failures.append(name)
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped += 1
            outcome.skips.append(f"{name}: {skip.get('message')}")
        else:
            outcome.passed += 1
    if status.returncode not in (0, 1) or outcome.passed + outcome.failed == 0:
        outcome.failed += 1
        outcome.failures.append(f"pytest ended with status {status.returncode}")
    return outcome


def main() -> int:
    """Runs every suite and prints the sum as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    arguments = parser.parse_args()
    total = Outcome()
    with tempfile.TemporaryDirectory() as scratch:
        for name, suite in (("lit", run_lit), ("unit", run_unit), ("python", run_pytest)):
            start = time.monotonic()
            outcome = suite(arguments.build.resolve(), Path(scratch))
            print(f"{name}: {outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped "
                  f"in {time.monotonic() - start:.0f} s", flush=True)
            for counter in ("passed", "failed", "skipped"):
                setattr(total, counter, getattr(total, counter) + getattr(outcome, counter))
            total.failures += outcome.failures
            total.skips += outcome.skips
    for line in total.skips:
        print(f"skipped: {re.sub(chr(10), ' ', line)}")
    for line in total.failures:
        print(f"failed: {line}")
    print(f"{total.passed} passed, {total.failed} failed" + (f", {total.skipped} skipped" if total.skipped else ""))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
