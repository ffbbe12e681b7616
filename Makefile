# The commands to remember. `make demo` and `make test` install what they need, system packages included.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench campaign model lock clean

help:       ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

install: $(STAMP)       ## a virtual environment with everything, from hashed requirements

$(STAMP): requirements/dev.txt pyproject.toml tests/bootstrap.sh
	PYTHON=$(PYTHON) VENV=$(VENV) sh tests/bootstrap.sh
	@touch $@

demo: $(STAMP)       ## the whole path once, with a broker outage and a killed agent; ends with a table and a picture
	$(BIN)/python -m tests.demo

test: $(STAMP)       ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(STAMP)       ## format, lint, types, layers, fast tests: under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 -q -m "not slow and not campaign"

bench: $(STAMP)       ## figures and ratios; JSON in bench-out/
	$(BIN)/python -m tests.bench

campaign: $(STAMP)       ## kill loops, power cuts and fuzzing at full length
	CAMPAIGN=full $(BIN)/python -m pytest -n 2 -m campaign --timeout 7200

model:      ## a million steps of joins and answers, with power cuts after any of them
	CAMPAIGN=full $(BIN)/python -m pytest -n 2 tests/property/test_network_model.py --timeout 7200

lock:       ## resolve requirements anew (needs uv)
	for extra in edge cloud dev; do \
	  uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-annotate \
	    --extra $$extra pyproject.toml -o requirements/$$extra.txt; done

clean:       ## forget the virtual environment, tools and results
	rm -rf $(VENV) .tools demo-out bench-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
