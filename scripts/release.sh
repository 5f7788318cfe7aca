#!/usr/bin/env bash
# The release build: .build/release/llama-balancer, one stripped file with the Swift standard library inside. fake-llama and
# fake-fleet are built beside it, for the end-to-end tests and `make bench-routing`. Arguments go to swift build.
set -euo pipefail
cd "$(dirname "$0")/.."
# Each of these was measured (docs/performance.md): exclusivity checks at run time are off in the dependencies too, optimisation crosses
# modules, and once more everything at link time. Never -Ounchecked: the preconditions stay.
# For a profiler, leave `-Xlinker -s` out: it takes the symbols away.
swift build -c release --static-swift-stdlib -Xlinker -s -Xswiftc -enforce-exclusivity=unchecked \
    -Xswiftc -cross-module-optimization --experimental-lto-mode=full -Xswiftc -use-ld=lld "$@"
ls -l .build/release/llama-balancer | awk '{ printf "%s: %.1f MB\n", $NF, $5 / 1e6 }'
