"""Imports a model under each configuration that a test file lists.

Usage: expect_config_errors.py DIRECTORY FILE. A line of FILE of the form
`{...} => message` merges the JSON object into DIRECTORY's config.json and
expects `ropewalk import` to fail with that message about that file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path


def main(directory: str, file: str) -> int:
    """Returns the number of lines that did not end as expected."""
    path = Path(directory) / "config.json"
    base = path.read_text()
    lines = re.findall(r"^(\{.*\}) => (.+)$", Path(file).read_text(), re.MULTILINE)
    failures = 0
    for change, message in lines:
        path.write_text(json.dumps(json.loads(base) | json.loads(change)))
        result = subprocess.run(
            ["ropewalk", "import", directory, "-o", "/dev/null"],
            capture_output=True,
            text=True,
            check=False,
        )
        expected = f"error: {path}: {message}"
        if result.returncode != 1 or not result.stderr.startswith(expected):
            failures += 1
            print(f"{change}: expected {expected!r}, got {result.stderr!r}")
    path.write_text(base)
    print(
        f"{len(lines)} configurations, {failures} accepted or refused for another reason"
    )
    return failures


if __name__ == "__main__":
    sys.exit(min(main(*sys.argv[1:]), 1))
