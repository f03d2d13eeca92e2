# `make setup` needs Python 3.11 or newer and nothing else; PYTHON=/path/to/python3 chooses one.

FIT := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.14 python
PYTHON ?= $(shell for python in $(CANDIDATES); do \
    if $$python -c '$(FIT)' 2>/dev/null; then echo $$python; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .peers/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-ethereum test lint bench soak accuracy conformance emulate simulate contracts gas peers browser clean

help: ## list what there is to make
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 24

setup: $(STAMP) ## build .venv with danku and everything its tests need

$(STAMP): pyproject.toml
	@'$(PYTHON)' -c '$(FIT)' 2>/dev/null || { \
	    echo "danku needs Python 3.11 or newer with its venv module (tried: $(or $(PYTHON),$(CANDIDATES)))."; \
	    echo "Install it (Debian, Ubuntu: apt-get install python3-venv) or name it: make setup PYTHON=/path/to/python3"; \
	    exit 1; } >&2
	'$(PYTHON)' -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

demo: $(STAMP) ## play a whole competition in a throw-away sandbox
	$(BIN)/danku demo

demo-ethereum: $(STAMP) ## play it on a real Ethereum node, and compare
	$(BIN)/python -m tests.ethereum.demo

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## check style, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict danku

bench: $(STAMP) ## measure speed and size
	@missed=0; for bench in tests/bench/bench_*.py; do \
	    echo "== $$bench"; $(BIN)/python "$$bench" || missed=1; done; exit $$missed

soak: $(STAMP) $(PEERS) ## run the long tests
	$(BIN)/python -m pytest -m soak -rs tests/

peers: $(PEERS) ## install the IPFS daemon that tests talk to (npm; 200 MB, minutes)

$(PEERS): tests/storage/peers/package.json
	mkdir -p .peers && cp $< .peers/
	cd .peers && npm install --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

accuracy: $(STAMP) ## measure the mathematical functions; writes docs/accuracy.md
	$(BIN)/python -m tests.evaluation.kernels.accuracy

conformance: $(STAMP) ## run ONNX's own tests and compare models; writes docs/conformance.md, oracles.md
	$(BIN)/python tests/conformance/backend_suite.py
	$(BIN)/python -m tests.conformance.model_oracles

emulate: $(STAMP) ## compare results on emulated processors and with other versions of libraries
	$(BIN)/python -m tests.emulation

browser: $(STAMP) ## build the page's script again; needs node and npm, writes danku/pages/assets
	$(BIN)/python danku/pages/browser/build.py

simulate: $(STAMP) ## play thousands of challenges with staked validators; writes docs/simulation.md
	$(BIN)/python tests/simulation/simulate.py

contracts: $(STAMP) ## compile the Ethereum contracts into the artifacts that are shipped
	$(BIN)/python -m tests.ethereum.compiling

gas: $(STAMP) ## measure what the contracts cost; writes docs/gas.md
	$(BIN)/python -m tests.ethereum.gas

clean: ## remove .venv, caches and builds
	rm -rf $(VENV) .cache build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find challenges danku tests -name __pycache__ -type d -prune -exec rm -rf {} +
