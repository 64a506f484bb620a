# Each target makes its own environment: Python 3.11 to 3.13 and make are all it needs.
PYTHON ?= python3
VENV := .venv
# Where `make run` listens, and the local Iterable beside it.
PORT ?= 8000
SANDBOX_PORT ?= 8025
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo run send test lint torture bench clean

demo: $(READY)
	@$(BIN)/reward-bridge demo

# The bridge on the example configuration, Iterable's part played on this machine.
LOCAL := ITERABLE_BASE_URL=http://127.0.0.1:$(SANDBOX_PORT) ITERABLE_API_KEY=local \
	VOUCHERIFY_WEBHOOK_SECRET=local-secret BRIDGE_CONFIG=config.example.yaml \
	LOG_FORMAT=text

run: $(READY)
	@talk=$$(mktemp); \
	$(BIN)/reward-bridge sandbox --port $(SANDBOX_PORT) 2>$$talk & sandbox=$$!; \
	trap 'kill $$sandbox 2>/dev/null; rm -f $$talk' EXIT; \
	until test -s $$talk || ! kill -0 $$sandbox 2>/dev/null; do sleep 0.1; done; \
	cat $$talk >&2; grep -q ^ITERABLE_BASE_URL= $$talk || exit 1; \
	$(LOCAL) $(BIN)/reward-bridge serve --bind 127.0.0.1:$(PORT)

send: $(READY)
	@$(LOCAL) $(BIN)/reward-bridge replay --yes --to http://127.0.0.1:$(PORT) \
	samples/voucherify/03_distribution_publication_succeeded_default.json
	@$(LOCAL) $(BIN)/reward-bridge deliveries

test: lint
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not torture" -n 4 --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

torture: $(READY)
	$(BIN)/pytest -m torture

bench: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]' >&2
	$(BIN)/python -m benchmarks --plot benchmarks/results/figures.svg

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

$(READY): pyproject.toml
	@echo "Making the environment in $(VENV)" >&2
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,postgres]' >&2
	@touch $(READY)
