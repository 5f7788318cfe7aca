# The commands of this project. Most need the Swift toolchain alone, conformance and soak Python 3.11 as well; e2e and bench install
# the rest themselves (Debian packages, a Python environment in .venv-e2e).

.DEFAULT_GOAL := help
.PHONY: help demo build release test test-core lint check e2e conformance soak fuzz sanitize bench bench-routing bench-engines bench-parts bench-guard format clean

BALANCER := .build/release/llama-balancer
FAKE := .build/release/fake-llama
MINUTES := 10
SWIFT_FOLDERS := Package.swift Sources Tests Benchmarks fuzz

help:  ## shows this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: release  ## three fake engines behind the balancer, with a page to look at
	$(BALANCER) demo

build:  ## debug build
	swift build

release:  ## release build: .build/release/llama-balancer, its size printed
	scripts/release.sh

test:  ## all Swift tests
	swift test

test-core:  ## the tests of Routing, Wire and Simulation alone: seconds instead of minutes
	CORE_ONLY=1 swift test --scratch-path .build-core

lint:  ## the style of the code, and the links of the documentation
	scripts/lint.sh

check: lint  ## before every commit: lint, purity of Routing, Wire and Simulation, and their tests
	scripts/check-purity.sh
	$(MAKE) --no-print-directory test-core

e2e: release  ## end-to-end tests: real llama-servers, real clients, a real browser
	scripts/e2e.sh

conformance: release  ## what a load balancer should keep, checked from outside; for other proxies see conformance/README.md
	PYTHONDONTWRITEBYTECODE=1 python3 conformance/run.py --binary $(BALANCER) --fake $(FAKE) $(ARGS)

soak: release  ## 300 clients, three engines that die, freeze and misbehave, 10 minutes (MINUTES=1 for a look)
	PYTHONDONTWRITEBYTECODE=1 python3 soak/soak.py --binary $(BALANCER) --fake $(FAKE) --minutes $(MINUTES) $(ARGS)

fuzz:  ## libFuzzer on everything that reads bytes from outside, a minute each (ARGS="10 heads": 10 s, that one)
	scripts/fuzz.sh $(ARGS)

sanitize:  ## all Swift tests under Thread Sanitizer and Address Sanitizer
	scripts/sanitize.sh

bench: release  ## what the balancer costs, beside nginx and HAProxy; make bench ARGS=--quick for a look
	scripts/bench.sh $(ARGS)

bench-routing: release  ## where requests go and what clients wait, beside other proxies; ARGS=--quick for two minutes
	scripts/bench-routing.sh $(ARGS)

bench-engines: release  ## the same with three real llama-servers of unequal speed, and what they find in their caches
	scripts/bench-engines.sh $(ARGS)

bench-parts:  ## the parts by themselves: scanning a body, reading a head, deciding with 1 to 512 servers
	scripts/bench-parts.sh $(ARGS)

bench-guard: release  ## instructions and allocations of a request, against bench/thresholds.json
	scripts/bench-guard.sh $(ARGS)

format:  ## lays the Swift code out as `lint` wants it
	swift format format --in-place --parallel --recursive $(SWIFT_FOLDERS)

clean:  ## removes everything that was built
	rm -rf .build .build-core .build-fuzz .build-thread .build-address .build-soak .build-e2e .build-bench
