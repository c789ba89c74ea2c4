"""Checks the top level of the tree and the sizes of its sources."""

import subprocess
import sys
from pathlib import Path

TOP_LEVEL = {"CMakeLists.txt", "README.md", "LICENSE", "include", "lib", "tools", "test", "python", "examples", "docs"}
# Over this size a source file holds more than one concern.
LARGEST_SOURCE = 40_000


def main() -> int:
    """Lists what is wrong."""
    root = Path(sys.argv[1])
    files = subprocess.run(["git", "-C", str(root), "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    wrong = [f"{name}: not in the layout" for name in sorted({name.split("/")[0] for name in files})
             if name not in TOP_LEVEL and not name.startswith(".")]
    for name in files:
        path = root / name
        if path.suffix in (".cpp", ".h", ".td", ".py") and path.is_file() and path.stat().st_size > LARGEST_SOURCE:
            wrong.append(f"{name}: {path.stat().st_size} bytes, more than {LARGEST_SOURCE}")
    print("\n".join(wrong) if wrong else f"{len(files)} files are where they belong")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
