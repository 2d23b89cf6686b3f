# Everything that a fresh machine needs is made here: Python 3.10 or later with venv, and make.
PYTHON ?= python3
VENV ?= .venv

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

.PHONY: demo test test-long fuzz lint docs pictures fixtures bench clean

demo: $(VENV)/installed
	$(BIN)/zemo-diag gating fixtures/mixed_by_tile
	$(BIN)/zemo-diag kappa-parity fixtures/mixed_by_tile

# A worker for each core; a file's tests stay with one, so that what they share is made once.
test: lint
	$(BIN)/python -m pytest -n logical --dist loadscope

# One by one, here and in `fuzz`: they measure peaks of memory and time hangs, of runs that take all cores.
test-long: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m long

# ZEMO_FUZZ_FILES and ZEMO_FUZZ_SEED in the environment change how many damaged files, and which.
fuzz: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m fuzz

lint: $(VENV)/installed-dev
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

# Pages that are made from the code itself; a test fails where they are out of date.
docs: $(VENV)/installed-dev
	$(BIN)/python docs/make_pages.py

# The README's picture, from the demo; it changes only where the simulation, a rule or the drawing does.
pictures: $(VENV)/installed-dev
	$(BIN)/python docs/make_pictures.py

fixtures: $(VENV)/installed-dev
	$(BIN)/python fixtures/make_fixtures.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/pip-there:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/pip-there pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/pip-there pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[dev,color,phase3,pictures]"
	@touch $@ $(VENV)/installed
