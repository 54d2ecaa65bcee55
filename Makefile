# The doors of the repository. Each works on a fresh machine with Python 3.11 or newer.
.DELETE_ON_ERROR:
PYTHON ?= python3
PORT ?= 8000
HELIOGRAPH_HOME ?= ./var
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check bench drill screenshots lock help

help:           ## Say what each door does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/.run ## Start everything: server, dispatcher, Cloud API emulator, demo account (PORT, HELIOGRAPH_HOME)
	@PORT=$(PORT) HELIOGRAPH_HOME=$(HELIOGRAPH_HOME) exec $(BIN)/heliograph dev

test: $(VENV)/.dev system ## Every check and every test
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest

check: $(VENV)/.dev ## Style, types and import floors, in seconds
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_floors.py

bench: $(VENV)/.dev system ## Measure, each figure as a ratio to a baseline of the same run
	@$(BIN)/python -m bench

drill: $(VENV)/.dev system ## Break three nodes, their database and their carrier under load, and count what became of each message
	@$(BIN)/python -m drill $(DRILL)

screenshots: $(VENV)/.dev system ## Photograph every page, light and dark, desktop and phone, into screenshots/
	@$(BIN)/python tools/screenshots.py

lock: $(VENV)/.dev ## Resolve the dependencies anew
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o requirements/run.txt
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o requirements/dev.txt

.PHONY: system
system:
	@sh tools/system-packages

$(VENV)/bin/python:
	@sh tools/make-venv $(PYTHON) $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing Heliograph into $(VENV) (once)…"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@sh tools/link-package $(VENV)
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what the tests need into $(VENV) (once)…"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
