#!/usr/bin/env bash
# The whole Swift test suite under Thread Sanitizer and under Address Sanitizer, each in a build folder of its own. Takes a while:
# everything is built twice, and runs several times slower. Arguments: thread, address, or nothing for both; further ones after `--`
# go to swift test.
set -euo pipefail
cd "$(dirname "$0")/.."
kinds=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do kinds+=("$1"); shift; done
[ $# -eq 0 ] || shift
[ ${#kinds[@]} -gt 0 ] || kinds=(thread address)

# The first report ends the run: none is ours to live with. Leaks are not looked for: at exit event loops still run.
export TSAN_OPTIONS=halt_on_error=1 ASAN_OPTIONS=detect_leaks=0
for kind in "${kinds[@]}"; do
    echo "sanitize: $kind"
    swift test --sanitize="$kind" --scratch-path ".build-$kind" "$@"
done
