# Each target makes its own environment: Python 3.11 to 3.14 and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# What is installed: the program alone, or the tools of tests and checks too.
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
# Where `make run` listens, and the sandboxes beside it.
PORT ?= 8000
SANDBOX_PORT ?= 8025

.PHONY: demo run send test lint coverage torture bench floors clean

demo: $(RUNTIME)
	@$(BIN)/reward-bridge demo

# The program on its own ledger, dev.db, beside local sandboxes of the vendors.
run: $(RUNTIME)
	@$(BIN)/reward-bridge dev --bind 127.0.0.1:$(PORT) --sandbox-port $(SANDBOX_PORT)

# A sample webhook for `make run`, and its result.
SAMPLE ?= samples/voucherify/03_distribution_publication_succeeded_default.json
LOCAL := BRIDGE_CONFIG=$(firstword $(wildcard config.yaml) config.example.yaml) \
	DATABASE_URL=sqlite:///$(CURDIR)/dev.db ITERABLE_API_KEY=sandbox-key \
	ITERABLE_BASE_URL=http://127.0.0.1:$(SANDBOX_PORT) \
	VOUCHERIFY_WEBHOOK_SECRET="$${VOUCHERIFY_WEBHOOK_SECRET:-local-voucherify-secret}"

send: $(RUNTIME)
	@$(LOCAL) $(BIN)/reward-bridge replay --yes --to http://127.0.0.1:$(PORT) $(SAMPLE)
	@$(LOCAL) $(BIN)/reward-bridge deliveries

test: lint
	$(BIN)/pytest -m "not torture" -n 4 --dist loadfile --no-loadscope-reorder

# Of the tests in this process alone: the programs that tests start are not measured.
coverage: $(DEV)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not torture" -n 4 --dist loadfile --ignore tests/product
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.words

torture: $(DEV)
	$(BIN)/pytest -m torture

bench: $(DEV)
	@$(PIP) -e '.[bench]' >&2
	$(BIN)/python -m benchmarks

# The tests of the program with the lowest versions that pyproject.toml declares.
FLOORS := .venv-floors
floors:
	@$(call supported,$(PYTHON))
	@$(PYTHON) -m venv --clear $(FLOORS)
	@$(PYTHON) ops/floors.py pyproject.toml > $(FLOORS)/constraints.txt
	@$(FLOORS)/bin/python -m pip install --quiet --disable-pip-version-check \
	--constraint $(FLOORS)/constraints.txt -e '.[dev,postgres]' >&2
	$(FLOORS)/bin/python -m pytest -m "not torture" -n 4 --dist loadfile tests/product

clean:
	rm -rf $(VENV) $(FLOORS) .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	.import_linter_cache .coverage* dev.db dev.db-* dev.db.lock*

supported = $(1) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 15) \
	else "Python 3.11 to 3.14 is needed: make PYTHON=python3.12")'

$(RUNTIME): pyproject.toml
	@echo "Making the environment in $(VENV)" >&2
	@$(call supported,$(PYTHON))
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e . >&2
	@touch $(RUNTIME)

$(DEV): pyproject.toml | $(RUNTIME)
	@echo "Installing what tests and checks need" >&2
	@$(PIP) -e '.[dev,postgres]' >&2
	@touch $(DEV)
