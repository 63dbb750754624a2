# The one task runner. `make` says what there is; VENV names the virtual environment (default .venv).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv test lint types format examples docs bench ci

help:  ## what there is to run
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

venv: $(VENV)/.ready  ## the virtual environment with everything for development

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,dev]'
	@touch $@

test: venv  ## the tests (ARGS="-k users" for some of them)
	$(BIN)/pytest $(ARGS)

lint: venv  ## ruff, black and the import rules
	$(BIN)/ruff check .
	$(BIN)/black --line-length 120 --extend-exclude "/(examples|tests/.*/expected)/" --check .
	$(BIN)/lint-imports --no-cache --no-logo

types: venv  ## mypy
	$(BIN)/mypy

format: venv  ## rewrite what ruff and black can
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/black --line-length 120 --extend-exclude "/(examples|tests/.*/expected)/" --quiet .

examples: venv  ## compile every example again
	$(BIN)/python tools/refresh_examples.py

docs: venv  ## make docs/reference.md and docs/rules/ again
	$(BIN)/python tools/refresh_docs.py

bench: venv  ## cold start, in multiples of bare Python
	$(BIN)/python benchmarks/cold_start.py $(ARGS)

ci:  ## all that has to hold, in a fresh environment
	.ci/run
