#!/usr/bin/env bash
# The end-to-end tests: real llama-servers, the balancer, real clients, a real browser. Arguments go to pytest, for example
#   scripts/e2e.sh --binary .build/debug/llama-balancer -k sticky
# It runs twice, because the clients in e2e/clients need other Python packages than the rest; the last line counts both runs.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-e2e.sh
export PYTHONDONTWRITEBYTECODE=1 OPENAI_LOG=warning
export LITELLM_LOCAL_MODEL_COST_MAP=True # it would ask the internet for its list of prices
rm -rf .build-e2e/logs .build-e2e/*.xml

began=$SECONDS
nothing_selected=5 # pytest's word for it: no failure if the other run has something
status=$nothing_selected
# run NAME VENV ARGUMENT…
run() {
    local result=0
    "$2/bin/python" -m pytest --config-file e2e/pytest.ini --rootdir e2e --junitxml ".build-e2e/$1.xml" "${@:3}" || result=$?
    if [ "$status" -eq "$nothing_selected" ] || { [ "$status" -eq 0 ] && [ "$result" -ne "$nothing_selected" ]; }; then
        status=$result
    fi
}
run e2e .venv-e2e e2e --ignore e2e/clients "$@"
run clients .venv-clients e2e/clients "$@"

.venv-e2e/bin/python - "$((SECONDS - began))" <<'PYTHON'
import pathlib, sys, xml.etree.ElementTree as xml
suites = [suite for file in pathlib.Path(".build-e2e").glob("*.xml") for suite in xml.parse(file).iter("testsuite")]
keys = ("tests", "errors", "failures", "skipped")
total, errors, failures, others = (sum(int(suite.get(key)) for suite in suites) for key in keys)
counts = f"{total - errors - failures - others} passed, {errors + failures} failed, {others} skipped or expected to fail"
print(f"\nboth runs: {counts}, in {sys.argv[1]}s")
PYTHON
exit "$status"
