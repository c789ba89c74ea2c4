#!/usr/bin/env bash
# Sets up, builds and runs all tests: lit, unit and Python tests together.
#
#   --all   the full product of combinations instead of a pairwise cover
#
# The last line is "N passed, N failed" (", N skipped").
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case "${1:-}" in
  "") ;;
  --all) export ROPEWALK_TEST_ALL=1 ;;
  *) echo "usage: test/run.sh [--all]" >&2; exit 2 ;;
esac
bash "$root/tools/setup.sh" --tests || { echo "0 passed, 1 failed"; exit 1; }
exec "$root/.venv/bin/python" "$root/test/run_all.py" --build "$root/build"
