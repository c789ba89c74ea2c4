"""Writes a held-out text of 512 bytes as ids and as it is."""

import sys
from pathlib import Path

root, ids, plain = sys.argv[1:]
sys.path.insert(0, str(Path(root) / "python" / "demo"))
import text  # noqa: E402

data, _ = text.document(1_000_000, 512)
Path(ids).write_text(" ".join(str(byte) for byte in data) + "\n")
Path(plain).write_bytes(data.tobytes())
