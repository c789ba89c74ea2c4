"""Fails if a concrete position map is named where maps must be anonymous."""

import re
import sys
from pathlib import Path

FOLDERS = ("Transforms", "Codegen", "Runtime")


def map_names(root: Path) -> list[str]:
    """The C++ and assembly names of all maps that the dialect defines."""
    text = (root / "include/Ropewalk/IR/RopeAttrs.td").read_text()
    pairs = re.findall(r'Rope_MapAttr<"(\w+)",\s*"(\w+)"', text)
    if len(pairs) < 5:
        sys.exit(f"found only {len(pairs)} maps in RopeAttrs.td: has its form changed?")
    return [f"{name}Attr" for name, _ in pairs] + [f"rope.{mnemonic}<" for _, mnemonic in pairs] + [
        mnemonic for _, mnemonic in pairs if "_" in mnemonic]


def main() -> int:
    """Greps the sources (comments and pass descriptions may give examples)."""
    root = Path(sys.argv[1])
    names = map_names(root)
    found = []
    searched = 0
    for folder in FOLDERS:
        for path in [*(root / "lib" / folder).rglob("*"), *(root / "include/Ropewalk" / folder).rglob("*")]:
            if path.suffix not in (".cpp", ".h"):
                continue
            searched += 1
            for number, line in enumerate(path.read_text().splitlines(), 1):
                code = line.split("//")[0]
                found += [f"{path}:{number}: names {name}" for name in names if name in code]
    print("\n".join(found) if found else f"{searched} files name none of {', '.join(names)}")
    return 1 if found or searched < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
