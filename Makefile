# Two commands, each complete on a fresh machine: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
SHARE ?= 1/1
DATA ?= $(wildcard ../shared/data)
export JEPAKIT_TEST_DATA ?= $(if $(DATA),$(abspath $(DATA)),)

.PHONY: demo test check breaks clean

demo: .venv/.base
	$(BIN)/jepakit demo

test: .venv/.dev
	$(BIN)/python -m pytest -n auto --maxprocesses 4

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

breaks: .venv/.dev
	$(BIN)/python tools/breaks.py --share $(SHARE)

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/.base: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.dev: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch .venv/.base $@

clean:
	rm -rf .venv runs
