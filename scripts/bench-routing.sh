#!/usr/bin/env bash
# Where requests go, beside nginx, HAProxy and other routers; arguments go to bench/routing.py (--quick, --peers all, --seeds 1,2, …).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-bench.sh
case " $* " in *" --peers all "* | *" --peers=all "*) scripts/install-routers.sh ;; esac
export PYTHONDONTWRITEBYTECODE=1
exec python3 bench/routing.py "$@"
