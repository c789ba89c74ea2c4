"""Fails if a binary defines symbols of MLIR or LLVM, or lacks the shared libraries."""

import re
import subprocess
import sys


def check(path: str) -> list[str]:
    """Returns what is wrong with the binary at `path`."""
    problems = []
    dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    if not re.search(r"NEEDED.*libMLIR\.so", dynamic):
        problems.append(f"{path}: does not need libMLIR.so")
    names = subprocess.run(["nm", "-C", "--defined-only", path], capture_output=True, text=True, check=True).stdout
    # Strong text symbols only: inline functions of headers are weak (W) and legitimate.
    for line in names.splitlines():
        match = re.match(r"^[0-9a-f]+ T (.*)$", line)
        if match and re.match(r"(mlir|llvm)::", match.group(1)):
            problems.append(f"{path}: defines {match.group(1)}")
    return problems


if __name__ == "__main__":
    found = [problem for path in sys.argv[1:] for problem in check(path)]
    print("\n".join(found[:20]) if found else f"{len(sys.argv) - 1} binaries link only the shared libraries")
    sys.exit(1 if found or len(sys.argv) < 2 else 0)
