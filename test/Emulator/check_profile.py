"""Checks a profile against the counters of the same launch: check_profile.py PROFILE COUNTERS PTX."""

import json
import sys
from pathlib import Path

profile, counters = (json.loads(Path(name).read_text()) for name in sys.argv[1:3])
ptx = Path(sys.argv[3]).read_text().split("\n")
rows = profile["lines"]
assert [row["line"] for row in rows] == sorted({row["line"] for row in rows})
for row in rows:
    assert row["text"] == ptx[row["line"] - 1].strip(), row


def total(*names: str) -> int:
    """Sum of figures over all lines."""
    return sum(row[name] for row in rows for name in names)


def counted(*names: str) -> int:
    """Sum of figures of the launch."""
    return sum(counters[name] for name in names)


assert total("warps") == counted("warp_instructions") == profile["warp_instructions"]
assert total("lanes") == counted("lane_instructions")
assert total("divergent_branches") == counted("divergent_branches") > 0
assert total("global_requests") == counted("global_load_requests", "global_store_requests") > 0
assert total("global_sectors") == counted("global_load_sectors", "global_store_sectors") > 0
assert total("shared_requests") == counted("shared_load_requests", "shared_store_requests") > 0
assert total("shared_transactions") == counted("shared_load_transactions", "shared_store_transactions") > 0
assert total("shared_conflicts") == counted("shared_load_conflicts", "shared_store_conflicts") > 0
assert profile["classes"] == {name: figures for name, figures in counters["classes"].items() if figures["warps"]}
