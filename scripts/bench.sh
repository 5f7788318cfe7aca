#!/usr/bin/env bash
# The benchmark against nginx and HAProxy; arguments go to bench/bench.py (--quick, --cases chat,stream, --json FILE, …).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-bench.sh
export PYTHONDONTWRITEBYTECODE=1
exec python3 bench/bench.py "$@"
