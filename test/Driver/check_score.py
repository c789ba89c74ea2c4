"""Checks the JSON of `ropewalk score`: 511 scores in 4 buckets, none of them lost to length."""

import json
import sys

report = json.load(open(sys.argv[1]))
buckets = report["buckets"]
assert len(buckets) == 4, report
assert all(0.2 < bucket["nll"] < 1.2 for bucket in buckets), buckets
