#!/usr/bin/env bash
# Installs the Debian packages named as arguments; those already there cost nothing. Uses sudo where we are not root.
#   scripts/apt-install.sh nginx-light haproxy
set -euo pipefail

missing=()
for package in "$@"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || { echo "apt-install: no apt-get here; install by hand: ${missing[*]}" >&2; exit 1; }
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "apt-install: no sudo here; as root: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive

# Mirrors hiccup: each step gets three attempts.
attempt() {
    local try
    for try in 1 2 3; do
        "$@" </dev/null && return 0
        echo "apt-install: attempt $try failed: $*" >&2
        sleep $((try * 5))
    done
    return 1
}
# A policy file that says 101 keeps Debian from starting the daemons it installs (nginx, haproxy): port 80 is not ours to take.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
attempt "${as_root[@]}" apt-get update -qq
attempt "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
