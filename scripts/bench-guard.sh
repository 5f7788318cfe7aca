#!/usr/bin/env bash
# Counts what a request costs, under valgrind; arguments go to bench/guard.py (--update).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-bench.sh
export PYTHONDONTWRITEBYTECODE=1
exec python3 bench/guard.py "$@"
