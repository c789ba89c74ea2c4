#!/usr/bin/env bash
# From a fresh Debian 12 machine to a model that works past its trained length:
# sets up, builds, and runs examples/quickstart.py. A second run takes less than
# a minute.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$root/tools/setup.sh"
exec "$root/.venv/bin/python" "$root/examples/quickstart.py" "$@"
