# Two commands do everything on a fresh machine: `make demo` and `make test`.
#
#   make demo                       a sample map in napari, with all layers
#   make demo MAP=path/to/map.ctf   your own map
#   make test                       the tests, but for the longest
#   make test-long                  the longest: trainings, notebooks, the demo, killed workers
#   make lint                       ruff and mypy
#   make docs                       the documentation as a site in build/site

PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
MAP ?=
DEMO_DIR ?= demo
# Test processes side by side; JOBS=0 for one after the other.
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-long lint docs system clean

help:
	@sed -n 's/^#   //p' Makefile

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade "pip>=25.1"
	$(PY) -m pip install --quiet -c constraints.txt -e ".[all]" --group dev
	touch $@

# Libraries that Qt and a virtual display need.
system:
	@sh tools/system_libraries.sh

demo: $(STAMP) system
	sh tools/with_display.sh $(PY) -m napari_ebsdml.demo $(if $(MAP),"$(MAP)") \
	  --output $(DEMO_DIR)

test: $(STAMP) system
	OMP_WAIT_POLICY=passive $(PY) -m pytest -n $(JOBS) --dist loadfile -m "not long" $(PYTEST_ARGS)

test-long: $(STAMP) system
	OMP_WAIT_POLICY=passive $(PY) -m pytest -n $(JOBS) --dist loadfile -m long $(PYTEST_ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(STAMP)
	$(PY) -m pip install --quiet -c constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO_DIR) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
