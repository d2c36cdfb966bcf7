# `make` alone lists the targets. PYTHON=python3.11 make setup chooses the interpreter.
INTERPRETER := $(or $(PYTHON),python3)
# worksteal leaves tests that share a network to one process.
PYTEST_ARGS ?= -q -m "not slow" -n auto --maxprocesses 4 --dist worksteal

.PHONY: help setup demo test test-core lint format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv with the pinned, tested stack and mmst in it (once, about 10 minutes)
	@command -v $(INTERPRETER) > /dev/null || { echo 'make setup: Python must be 3.10, 3.11 or' \
	    '3.12, found no $(INTERPRETER) on PATH. Name one: PYTHON=python3.11 make setup' >&2; exit 1; }
	@$(INTERPRETER) tools/setup_env.py

demo: setup  ## train and evaluate a small detector on generated images
	.venv/bin/python tools/demo.py

# One thread in each process: several would wait for each other, networks this small gain nothing.
test: setup  ## run the test suite, all but the slow tests; PYTEST_ARGS replaces the options
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest $(PYTEST_ARGS)

test-core: .venv-core/made  ## run the tests of mmst.core where torch is the only library
	OMP_NUM_THREADS=1 .venv-core/bin/python -m pytest -q tests/core

.venv-core/made: requirements/lock.txt
	$(INTERPRETER) -m venv --clear .venv-core
	.venv-core/bin/python -m pip install --quiet --constraint $< torch pytest hypothesis
	touch $@

lint: setup  ## check style and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: setup  ## bring the code into the style that lint checks
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

clean:  ## remove caches and build output; keeps .venv, data and work_dirs
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find mmst tools tests configs -name __pycache__ -prune -exec rm -rf {} +
