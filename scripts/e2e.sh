#!/usr/bin/env bash
# The end-to-end tests: real llama-servers, the balancer, real clients, a real browser. Arguments go to pytest, for example
#   scripts/e2e.sh --binary .build/debug/llama-balancer -k sticky
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-e2e.sh
export PYTHONDONTWRITEBYTECODE=1 OPENAI_LOG=warning
exec .venv-e2e/bin/python -m pytest --config-file e2e/pytest.ini --rootdir e2e e2e "$@"
