#!/usr/bin/env bash
# The style of the code (.swift-format; also: no `try!`, no `as!`, no `!` unwrap), what a formatter cannot see, and whether the
# documentation names files that exist. `make format` mends the layout.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
complain() {
    echo "$1" >&2
    failed=1
}

# Longer than 400 lines: is it two things? One that is not stands here, with its reason.
#   RequestScanner.swift   one state machine over one byte at a time; cut up, its states would lie in two files
long_files='Sources/Wire/RequestScanner.swift'
while IFS= read -r file; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 400 ] && ! grep -qxF "$file" <<<"$long_files"; then
        complain "$file: error: $lines lines; split it, or give the reason in scripts/lint.sh"
    fi
done < <(find Sources Tests Benchmarks fuzz -name '*.swift')

# More than 15 stored properties: which of them belong together? The layout that the formatter enforces says where a type's members are:
# four columns to the right of it. Fuller types elsewhere in Sources are values that only list, and one state machine.
while IFS= read -r complaint; do complain "$complaint"; done < <(
    find Sources/Proxy -name '*.swift' -exec awk '
        FNR == 1 { split("", count) }
        { match($0, /^ */); indent = RLENGTH }
        /^ *([a-z]+ )*(struct|class|actor) [A-Z]/ && !/\}$/ { count[indent] = 0; name[indent] = $0; next }
        /^ *\}/ {
            if (indent in count && count[indent] > 15) {
                sub(/^ */, "", name[indent])
                print FILENAME ": error: " count[indent] " stored properties in " name[indent]
            }
            delete count[indent]
        }
        (indent - 4) in count && /^ *((@[A-Za-z]+|[a-z]+(\([a-z]+\))?) )*(let|var) / && !/ static / {
            before = $0
            sub(/=.*/, "", before)
            if (before == $0 && before ~ /\{/) next
            count[indent - 4]++
        }' {} +
)

swift format lint --strict --parallel --recursive Package.swift Sources Tests Benchmarks fuzz || failed=1

# Every file of ours, tracked or not yet.
text_files=$(git ls-files --cached --others --exclude-standard -- \
    '*.swift' '*.md' '*.sh' '*.py' '*.yaml' '*.json' '*.css' '*.js' '*.html' Makefile .ci/run .swift-format .gitignore ':!fuzz/corpus')
while IFS= read -r file; do
    [ -f "$file" ] || continue
    hits=$(grep -nE '[[:blank:]]+$' "$file" | cut -d: -f1 | tr '\n' ' ' || true)
    [ -z "$hits" ] || complain "$file: error: white space at the end of lines $hits"
    [ -z "$(tail -c 1 "$file")" ] || complain "$file: error: the last line has no end"
done <<<"$text_files"

# Links, and paths in backquotes: the tables of README and CONTRIBUTING must stay true.
while IFS= read -r file; do
    [ -f "$file" ] || continue
    folder=$(dirname "$file")
    while IFS= read -r target; do
        case $target in http://* | https://* | mailto:* | '#'* | '') continue ;; esac
        [ -e "$folder/${target%%#*}" ] || complain "$file: error: a link to $target, which does not exist"
    done < <(sed 's/`[^`]*`//g' "$file" | grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\(|\)$//g')
    while IFS= read -r path; do
        [ -e "$path" ] || complain "$file: error: names $path, which does not exist"
    done < <(grep -oE '`(Sources|Tests|docs|scripts|e2e|bench|examples|conformance|soak|fuzz)/[A-Za-z0-9_./+-]*`' "$file" | tr -d '`')
done < <(grep -E '\.md$' <<<"$text_files")

[ "$failed" -eq 0 ] || exit 1
echo "lint: nothing to complain about"
