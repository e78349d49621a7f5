# `make demo` and `make test` do everything; `make help` tells of the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint crash bench conformance fuzz two-years lock clean help
.DEFAULT_GOAL := help

# Twice as many at once as the machine that CI runs on has cores: many wait for processes, for a browser or for time.
AT_ONCE := 4

# The tests that a second run repeats on PostgreSQL.
BOTH_DATABASES := tests/klucznik/storage tests/klucznik/services tests/klucznik/operations

help:
	@echo "make demo         issue a pair of certificates against the local KSeF, from nothing"
	@echo "make test         lint, types and all tests"
	@echo "make lint         ruff, mypy and import rules only"
	@echo "make bench        every figure of the documentation, measured here"
	@echo "make crash        kill a process at every act of an issuance, on SQLite and PostgreSQL, 25 seeds each (takes most of an hour)"
	@echo "make conformance  the sandbox against the official specification: operation x status"
	@echo "make two-years    50 companies through two years of renewals: no gap in validity, no request wasted, each hook once"
	@echo "make fuzz         6,000 requests to the sandbox and 10,000 to our API, made from their descriptions; what is wrong is printed"
	@echo "make lock         renew the hashed lock files from pyproject.toml"
	@echo "make clean        remove the virtual environment and what the tools have cached"

$(VENV)/.made:
	@sh scripts/make-venv "$(PYTHON)" "$(VENV)"
	@touch $@

# The product alone: what a user gets.
$(VENV)/.product: $(VENV)/.made requirements.lock pyproject.toml
	@echo "Installing the pinned packages (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The product and what its tests need.
$(VENV)/.dev: $(VENV)/.made requirements-dev.lock pyproject.toml
	@echo "Installing the pinned packages with the test tools (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.product

demo: $(VENV)/.product
	@$(BIN)/klucznik demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev lint
	@$(BIN)/python -m tests.needs
	$(BIN)/python -m pytest -n $(AT_ONCE) $(PYTEST_ARGS)
	$(BIN)/python -m pytest -n $(AT_ONCE) --database postgresql $(PYTEST_ARGS) $(BOTH_DATABASES)

bench: $(VENV)/.dev
	$(BIN)/python -m bench pair --rtt-ms 50
	$(BIN)/python -m bench cli
	$(BIN)/python -m bench sandbox
	$(BIN)/python -m bench durable
	$(BIN)/python -m bench web

crash: $(VENV)/.dev
	@$(BIN)/python -m tests.klucznik.crashes
	@$(BIN)/python -m tests.klucznik.services.test_road_model 1000

conformance: $(VENV)/.dev
	@$(BIN)/python -m tests.sandbox.conformance

two-years: $(VENV)/.dev
	@$(BIN)/python -m tests.klucznik.two_years

fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.sandbox.fuzz
	@$(BIN)/python -m tests.klucznik.api.fuzz

lock: $(VENV)/.dev
	$(BIN)/python scripts/lock.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache tests/sandbox/node/node_modules tests/klucznik/web/node/node_modules
