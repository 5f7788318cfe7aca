#!/usr/bin/env bash
# Coverage-guided fuzzing (libFuzzer, in the Swift toolchain) of everything in `Wire` that reads bytes from outside.
#   scripts/fuzz.sh [SECONDS] [TARGET …]     60 s each by default; targets: request-scanner answer-excerpt heads bodies multipart
# What it learns stays in .build-fuzz/corpus, an input that breaks something in .build-fuzz: put that into fuzz/corpus, and a test
# beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- request-scanner answer-excerpt heads bodies multipart
mkdir -p .build-fuzz

source_of() {
    case $1 in
        request-scanner) echo fuzz/RequestScannerTarget.swift ;;
        answer-excerpt) echo fuzz/AnswerExcerptTarget.swift ;;
        heads) echo fuzz/HeadsTarget.swift ;;
        bodies) echo fuzz/BodiesTarget.swift ;;
        multipart) echo fuzz/MultipartTarget.swift ;;
        *) echo "fuzz: no target $1" >&2; return 1 ;;
    esac
}

for target in "$@"; do
    source=$(source_of "$target")
    # One module of Wire and the target: no package to resolve, nothing else to build.
    swiftc -O -wmo -parse-as-library -swift-version 6 -suppress-warnings -package-name fuzz -module-name Fuzz -sanitize=fuzzer,address \
        -enable-upcoming-feature ExistentialAny -I Sources/CBytes/include \
        $(find Sources/Wire -name '*.swift' | sort) fuzz/Support.swift "$source" -o ".build-fuzz/$target"
    mkdir -p ".build-fuzz/corpus/$target"
    echo "fuzz: $target for $seconds s"
    log=".build-fuzz/$target.log"
    if ! ".build-fuzz/$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1 \
        -artifact_prefix=".build-fuzz/$target-" ".build-fuzz/corpus/$target" "fuzz/corpus/$target" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "fuzz: $target FAILED; the input is in .build-fuzz/$target-*" >&2
        exit 1
    fi
    awk -v target="$target" '/stat::number_of_executed_units/ { runs = $2 } / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
        END { printf "fuzz: %s: %d runs, %d edges covered, nothing found\n", target, runs, cov }' "$log"
done
