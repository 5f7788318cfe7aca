#!/usr/bin/env bash
# Builds and runs Benchmarks/Parts, which needs Routing and Wire alone; arguments go to it (scan, heads, decisions, --json FILE).
set -euo pipefail
cd "$(dirname "$0")/.."
export CORE_ONLY=1 BENCHMARKS=1
swift build -c release --scratch-path .build-bench --product parts -Xswiftc -enforce-exclusivity=unchecked
exec .build-bench/release/parts "$@"
