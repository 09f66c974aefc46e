.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := storage ingest rag_pipeline
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-slow faults check fmt lint types arch docs bench wheel clean

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: $(VENV)/.complete ## Make .venv with everything in it, model weights too

# The stamp is newer than what it was made from, so that a second run costs nothing.
$(VENV)/.complete: pyproject.toml
	@echo "→ making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@echo "→ installing packages (CPU build of torch; some minutes the first time)"
	@$(BIN)/pip install --quiet --quiet --editable '.[dev,bench]'
	@echo "→ fetching model weights"
	@$(BIN)/rag models pull
	@touch $@

demo: setup ## Ingest the examples, ask three questions, look at the history
	@$(BIN)/python examples/demo.py

test: setup ## Run all tests but the slow ones; starts a PostgreSQL of its own
	@echo "→ testing"
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: setup ## Run the slow tests: faults, large inputs
	@$(BIN)/python -m pytest -m slow

faults: setup ## Kill, starve and cut off ingestion; needs the fault tools in $FAULTKIT
	@$(BIN)/python tests/faults/run.py

check: setup ## Format, lint, types, architecture
	@echo "→ checking"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/codespell
	@$(BIN)/cog --check docs/reference/cli.md docs/reference/settings.md
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@echo "→ all checks hold"

fmt: setup ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: setup ## Lint
	@$(BIN)/ruff check .

types: setup ## Check types
	@$(BIN)/mypy

arch: setup ## Check that imports go where the architecture says
	@$(BIN)/lint-imports

docs: setup ## Write the generated parts of the reference anew
	@$(BIN)/cog -r docs/reference/cli.md docs/reference/settings.md

bench: setup ## Run the benchmarks that need no data of yours
	@$(BIN)/python benchmarks/embedding.py

wheel: setup ## Build the wheel and test it in a bare environment outside the tree
	@$(BIN)/python -m pytest tests/e2e/test_wheel.py

clean: ## Remove what was made, but not the model weights
	rm -rf $(VENV) .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
