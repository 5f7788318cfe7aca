#!/usr/bin/env bash
# The routers that `make bench-routing ARGS="--peers all"` compares, from PyPI, each in an environment of its own in .venv-routing: they
# bring programs of the same name. The versions are those that docs/routing.md has figures of.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/apt-install.sh python3 python3-venv

for wanted in smg==1.13.0 sglang-router==0.3.2 vllm-router==0.1.17; do
    venv=.venv-routing/${wanted%%=*}
    [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ] || continue
    echo "install-routers: $wanted into $venv" >&2
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$wanted"
    echo "$wanted" >"$venv/installed"
done
