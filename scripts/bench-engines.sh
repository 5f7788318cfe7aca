#!/usr/bin/env bash
# Where conversations go and what real llama-servers find in their caches; arguments go to bench/real_engines.py (--seeds 1,2, …).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-e2e.sh --engine
scripts/apt-install.sh haproxy
export PYTHONDONTWRITEBYTECODE=1
exec python3 bench/real_engines.py "$@"
