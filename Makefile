# Everything a fresh machine needs beyond Python 3.11, Java 17 and Maven is installed by these targets,
# into .venv in this folder (Kafka's jars: into the user's cache).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH ?= bench.json
INSTALLED := $(VENV)/.installed

.PHONY: help install demo test unit lint bench chaos fuzz audit clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

install: $(INSTALLED) ## Install into .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: $(INSTALLED) ## Live forecasts of a simulated stream through an embedded Kafka; Ctrl-C ends it
	$(BIN)/cascadecast demo $(ARGS)

test: $(INSTALLED) lint ## Lint, types and all tests, against a real Kafka
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term:skip-covered --cov-fail-under=85 $(ARGS)

unit: $(INSTALLED) ## Only the tests that need no Kafka
	$(BIN)/python -m pytest -n 2 -m 'not integration' $(ARGS)

lint: $(INSTALLED) ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

chaos: $(INSTALLED) ## Seeded faults against Kafka, workers and a replay; all must come out equal (ARGS="--seed 7")
	$(BIN)/python -m tests.integration.chaos $(ARGS)

bench: $(INSTALLED) ## Figures and ratios, as JSON, into bench.json; cascadecast bench compare OLD NEW
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[test,bench]'
	$(BIN)/cascadecast bench state --json > $(BENCH).part
	$(BIN)/cascadecast bench forecasters --json >> $(BENCH).part
	$(BIN)/uv venv --quiet --allow-existing $(VENV)/quixstreams
	$(BIN)/uv pip install --quiet --python $(VENV)/quixstreams/bin/python 'quixstreams>=3.20,<4'
	$(BIN)/cascadecast bench pipeline --quixstreams $(VENV)/quixstreams/bin/python --json >> $(BENCH).part
	mv $(BENCH).part $(BENCH)

fuzz: $(INSTALLED) ## Ten million hostile inputs to every decoder; ARGS="--seed N" repeats a run
	$(BIN)/python -m tests.fuzz $(ARGS)

audit: $(INSTALLED) ## Known vulnerabilities of what is installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[test,audit]'
	$(BIN)/python .ci/audit.py

clean: ## Remove what was installed and built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage*
