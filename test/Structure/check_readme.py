"""Runs the block of commands in the README, and its Python example."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = """
import numpy as np
ids = np.arange(100)[None]
q = np.random.default_rng(0).standard_normal((1, 4, 10, 64)).astype("float32")
k = v = q[:, :2]
"""


def main() -> int:
    """Arguments: source, build and scratch folders, and the interpreter."""
    source, build, scratch, python = sys.argv[1:]
    Path(scratch).mkdir(parents=True, exist_ok=True)
    text = (Path(source) / "README.md").read_text()
    commands = re.search(r"```\n(demo=.*?)```", text, re.DOTALL).group(1)
    for written, meant in (("build/bin/", f"{build}/bin/"), ("build/lib/", f"{build}/lib/"), (".venv/bin/python", python),
                           ("build/out", f"{scratch}/out"), ("build/text.txt", f"{scratch}/text.txt")):
        commands = commands.replace(written, meant)
    result = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", commands], cwd=source, capture_output=True, text=True)
    print(result.stdout[-2000:], result.stderr[-2000:])
    wanted = ("ltal", "registers", "rope.attention #rope.self_extend<group = 8, window = 64>", "positions")
    missing = [word for word in wanted if word not in result.stdout]
    example = EXAMPLE + re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    script = subprocess.run([python, "-c", example], cwd=source, capture_output=True, text=True)
    print(script.stderr)
    print(f"commands: {result.returncode}, missing: {missing}, example: {script.returncode}")
    return 1 if result.returncode or missing or script.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
