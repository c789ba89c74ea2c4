"""Fails for a pass without a plain word on numerics, without an example, or without a lit test that runs it."""

import re
import sys
from pathlib import Path


def main() -> int:
    """The argument is the source folder."""
    root = Path(sys.argv[1])
    files = [path for path in (root / "test").rglob("*") if path.suffix in (".mlir", ".test")]
    runs = "\n".join(line for path in files for line in path.read_text().splitlines() if "RUN:" in line)
    wrong, count = [], 0
    for declarations in (root / "include").rglob("Passes.td"):
        parts = re.split(r'Pass<"(rope-[a-z-]+)"', declarations.read_text())
        for name, body in zip(parts[1::2], parts[2::2]):
            count += 1
            if not re.search(r"Preserves numerics: (yes|no)[.,]", body):
                wrong.append(f"{name}: its description lacks 'Preserves numerics: yes' or 'no'")
            if not re.search(r"```mlir.*?// becomes", body.split("Pass<")[0], re.DOTALL):
                wrong.append(f"{name}: its description shows no IR before and after")
            if not re.search(rf"{name}(?![a-z-])", runs):
                wrong.append(f"{name}: no lit test runs it")
    print("\n".join(wrong) if wrong else f"{count} passes are described and tested")
    return 1 if wrong or count < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
