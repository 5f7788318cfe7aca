#!/usr/bin/env bash
# Routing and Wire decide and read bytes, Simulation plays what Routing decides; they must not know what time it is, draw luck, wait, or
# touch the world. Then a sequence of events gives the same effects every time, and their tests run in seconds (docs/decisions,
# CONTRIBUTING.md).
# Comments do not count, nor does CBytes: a header of pure functions over bytes that this processor has instructions for. Simulation
# may import Routing, nothing else. Nor does Routing's StaysInPlace, whose atomic nobody reads or writes.
# Arguments: other folders to look at.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- Sources/Routing Sources/Wire Sources/Simulation

# what is forbidden | why, and what to do instead
rules='^[[:space:]]*([a-z@]+ )*import[[:space:]] | imports nothing: this module stands alone (NIO, Foundation and Glibc belong to Proxy, Control and App)
\b(Date|ContinuousClock|SuspendingClock|clock_gettime|gettimeofday|time\(nil\)) | reads a clock: take a `Moment` as a parameter
\.random\(in:[^)]*\)|\.random\(\)|SystemRandomNumberGenerator|\.(shuffled|randomElement|shuffle)\(\) | draws luck of its own: take `using:` a generator
\b(Task|TaskGroup|Mutex|NIOLockedValueBox|Atomic|Thread|DispatchQueue)\b|\b(async|await|actor)\b | runs or waits beside its caller: return an effect instead
\b(print|debugPrint|fputs|getenv|fopen|readLine)\( | touches the world: return a value'

found=0
while IFS= read -r file; do
    allowed='internal import CBytes'
    case $file in *Sources/Simulation/*) allowed='(package )?import Routing' ;; esac
    code=$(sed -E "s@(^|[[:space:]])//.*\$@@; s@^ *$allowed\$@@" "$file")
    while IFS= read -r rule; do
        pattern=${rule%' | '*}
        hits=$(grep -nE "$pattern" <<<"$code" || true)
        [ -n "$hits" ] || continue
        found=1
        while IFS= read -r hit; do echo "$file:${hit%%:*}: error: ${rule##*' | '}: ${hit#*:}"; done <<<"$hits"
    done <<<"$rules"
done < <(find "$@" -name '*.swift' ! -path '*/Routing/StaysInPlace.swift' | sort)

[ "$found" -eq 0 ] || exit 1
echo "purity: $* know no clock, no luck, no I/O"
