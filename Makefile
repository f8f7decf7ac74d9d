# The dev loop and CI's jobs are the same targets. `make` alone lists them.
# Needs git, make and Python 3.11 or newer with its venv module; everything else goes into .venv, but hledger and SoftHSM2 (.ci/).

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo test check static lint types vectors vectors-check worked-day docs hadolint hledger softhsm soak faults fuzz fix bench \
	bench-receipts bench-growth bench-overload lock wheel pip-audit sbom clean install python

VENV := .venv
PY := $(VENV)/bin/python
MADE := $(VENV)/.made
INSTALLED := $(VENV)/.installed
BENCH := $(VENV)/.bench

PYTHON ?=
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python)
ARGS ?=
JOBS ?= auto
SOAK_MINUTES ?= 60
FUZZ_MINUTES ?= 10
UV := uv==0.13.9
PIP_AUDIT := pip-audit>=2.10,<3

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..." is handed on to run, demo, test, bench and soak; PORT=N moves run and demo from port 8080.'

# --- to use it ---

run: $(INSTALLED) ## make a demo ledger, its keys and a funded card, and serve it on port 8080
	@$(PY) scripts/run_demo.py $(ARGS)

demo: $(INSTALLED) ## act as the Scheme against a running `make run`, then verify, then tamper
	@$(PY) scripts/demo.py $(ARGS)

bench: $(BENCH) ## measure the service beside an echo, signatures, commits and an unsigned PostgreSQL ledger; print tables
	@$(PY) scripts/bench.py $(ARGS)

bench-receipts: $(INSTALLED) ## measure how long receipts take to be made and checked, and how large they are
	@$(PY) scripts/bench_receipts.py $(ARGS)

bench-growth: $(INSTALLED) ## measure the service as its ledger grows; ARGS="--entries 1000,100000,1000000,10000000" for all
	@$(PY) scripts/bench_growth.py $(ARGS)

bench-overload: $(INSTALLED) ## ask the service for twice what it can do, for a minute, with clients that misbehave
	@$(PY) scripts/bench_overload.py $(ARGS)

# --- to work on it ---

# A selection (ARGS) is not measured: the coverage of a part misleads. Compiled code is kept even where the environment says not to:
# the tests start hundreds of processes, and each would compile the whole package.
test soak: export PYTHONDONTWRITEBYTECODE :=
test: $(INSTALLED) hledger softhsm ## all tests, with coverage; ARGS="tests/test_x.py -k name" for some of them
	@$(PY) -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder $(or $(ARGS),--cov --cov-report=term)

# The same tests as in CI, for longer: servers killed for an hour, a thousand lives of sixty steps, and every byte and value
# changed in every way.
soak: $(INSTALLED) ## servers killed for SOAK_MINUTES (60), then random lives and the byte-by-byte audit, for an hour and more
	@$(PY) -m tests.soak --minutes $(SOAK_MINUTES) $(ARGS)
	@STATEFUL_LIVES=1000 STATEFUL_STEPS=60 AUDIT_SOAK=1 $(PY) -m pytest -n $(JOBS) tests/test_stateful.py tests/test_audit_bytes.py

faults: $(INSTALLED) ## every fault of the disk and the clock, and the power cut at hundreds of moments
	@FAULTS_ALL=1 POWER_CUTS=400 $(PY) -m pytest -n $(JOBS) tests/test_disk_faults.py tests/test_power_cuts.py tests/test_clock.py

fuzz: $(INSTALLED) ## bad input to every decoder for FUZZ_MINUTES (10), guided by coverage where there is atheris; then to a server
	@$(PY) -m pip install -q --no-deps --require-hashes --only-binary :all: -r requirements-fuzz.txt \
		|| echo "atheris has no wheel for this machine: Hypothesis has all of the time"
	@$(PY) -m tests.fuzz --minutes $(FUZZ_MINUTES) $(ARGS)
	@FUZZ_EXAMPLES=300 $(PY) -m pytest -n $(JOBS) --dist loadscope tests/test_fuzz_api.py tests/test_fuzz_http.py

hledger: ## bring hledger, which judges exported books in the tests, where it is not there
	@.ci/hledger

softhsm: ## bring SoftHSM2, which holds keys in the tests as hardware does, where it is not there
	@.ci/softhsm

check: static test ## all that CI checks

static: lint types vectors-check worked-day docs hadolint sbom pip-audit ## all that CI checks, but the tests

lint: $(INSTALLED) ## format and lint, changing nothing
	@$(PY) -m ruff format --check
	@$(PY) -m ruff check

types: $(INSTALLED) ## mypy, strict
	@$(PY) -m mypy

vectors-check: $(INSTALLED) ## make the frozen test vectors again and compare
	@$(PY) scripts/make_vectors.py --check

worked-day: $(INSTALLED) ## live docs/worked-day.md again and compare; ARGS=--write after a change of the rules
	@$(PY) scripts/worked_day.py $(or $(ARGS),--check)

docs: $(INSTALLED) ## docs/_build/html/index.html; a warning is an error
	@$(PY) -m sphinx -E -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

hadolint: $(INSTALLED) ## lint the Dockerfile
	@$(VENV)/bin/hadolint --failure-threshold info Dockerfile && echo "hadolint: Dockerfile is clean"

sbom: $(INSTALLED) ## build/sbom.json: what the service runs with, as CycloneDX
	@$(PY) scripts/make_sbom.py

pip-audit: $(INSTALLED) ## ask PyPI what is known against the locked packages
	@$(PY) scripts/audit_packages.py

fix: $(INSTALLED) ## format, and mend what ruff can mend
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

# A vector that changes is a change of the format: see docs/FORMAT.md before you commit one.
vectors: $(INSTALLED) ## write tests/vectors/ anew
	@$(PY) scripts/make_vectors.py

# uv writes locks that hold on every platform and Python version, which pip can not. It is needed here only.
COMPILE = build/uv/bin/uv pip compile -q --python $(PY) --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
lock: $(MADE) ## remake the lock files from setup.py; UPGRADE=1 for the newest of everything
	@$(PY) -m pip install -q --upgrade --target build/uv '$(UV)'
	@$(COMPILE) setup.py -o requirements.lock
	@$(COMPILE) setup.py --extra dev --constraint requirements.lock -o requirements-dev.lock
	@$(COMPILE) setup.py --extra bench --constraint requirements-dev.lock -o requirements-bench.lock
	@echo '$(PIP_AUDIT)' | $(COMPILE) - --constraint requirements-dev.lock -o requirements-audit.lock
	@echo setuptools | $(COMPILE) - --constraint requirements-dev.lock -o requirements-build.lock

wheel: $(INSTALLED) ## dist/*.whl
	@rm -rf build/lib build/bdist.*
	@$(PY) -m pip wheel -q --no-deps --no-build-isolation -w dist .
	@ls dist/*.whl

clean: ## remove what was made; keys/ and the demo ledger in .demo/ stay
	@rm -rf $(VENV) build dist *.egg-info docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	@find signed_ledger scripts tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment: made once, and again when setup.py or the lock changes ---

install: $(INSTALLED)

python:
	@for python in $(PYTHONS); do \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
			&& echo "$$python" && exit 0; \
	done; \
	echo "signed_ledger needs Python 3.11 or newer with its venv module. Install it (Debian: apt install python3 python3-venv)" >&2; \
	echo "or name one: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1

$(MADE):
	@python=$$($(MAKE) --no-print-directory --silent python) || exit; \
		echo "setup 1/3: $(VENV), with $$("$$python" --version)"; \
		rm -rf $(VENV) && "$$python" -m venv $(VENV)
	@touch $@

# A yardstick that can not be had is no reason not to measure: the bench says that it is missing.
$(BENCH): $(INSTALLED) requirements-bench.lock
	@$(PY) -m pip install -q --no-deps --require-hashes -r requirements-bench.lock && touch $@ \
		|| echo "bench: goes on without the packages of requirements-bench.lock"

# pip-audit stands by itself: of what it brings, structlog would take another way where it is there (rich).
$(INSTALLED): $(MADE) setup.py requirements-dev.lock requirements-interop.txt requirements-audit.lock
	@echo "setup 2/3: $$(grep -c '^[a-z0-9]' requirements-dev.lock) locked packages, about 180 MB the first time"
	@$(PY) -m pip install -q --no-deps --require-hashes -r requirements-dev.lock
	@$(PY) -m pip install -q --no-deps --ignore-requires-python --require-hashes -r requirements-interop.txt
	@$(PY) -m pip install -q --no-deps --require-hashes --upgrade --target $(VENV)/pip-audit -r requirements-audit.lock
	@echo "setup 3/3: signed_ledger itself"
	@$(PY) -m pip install -q --no-deps --no-build-isolation --editable .
	@$(PY) -m pip check > $@.tmp || { cat $@.tmp; echo "the lock does not fit setup.py: run 'make lock'" >&2; exit 1; }
	@mv $@.tmp $@
