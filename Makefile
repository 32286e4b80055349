# The one door: make setup | check | test | demo | bench | conformance | soak | docs | clean
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
CONFORMANCE ?= ../shared/conformance
PROCESSES ?= 2

.PHONY: setup check test demo bench conformance soak docs format clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -c constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: -c constraints.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt -e .[demo,cluster]
	@touch $(STAMP)

check: setup
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest tests/house

# Files stay together, in order: the long journeys come in the middle and short tests fill up what is left.
test: setup
	$(BIN)/pytest tests -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

demo: setup
	$(BIN)/hanse demo --once

bench: setup
	$(BIN)/python -m bench

conformance: setup
	$(BIN)/python -m bench.conformance --suite-folder $(CONFORMANCE)

soak: setup
	HANSE_SOAK=1 $(BIN)/pytest tests/faults tests/journeys/test_cluster_loses_nodes.py tests/journeys/test_cluster_of_nodes_abroad.py --timeout 7200 -s

docs: setup
	$(BIN)/mkdocs build --strict --quiet

format: setup
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

clean:
	rm -rf $(VENV) site dist .demo
