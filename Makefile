# Everything a fresh clone needs; `make help` lists the targets.
# Needs Python 3.11 or newer with venv, and make. A C compiler makes the kernels where
# there is one; `cyipopt` wants one, and Python's headers.
# pip's own environment variables and configuration (index, proxy, wheels at hand) are honoured.

PYTHON ?= python3
PYTEST_ARGS ?=
# Exact versions of what is installed; `make LOCK= ...` takes the newest that pyproject.toml allows.
LOCK ?= constraints.txt

VENV := .venv
BIN  := $(VENV)/bin
# By environment, for it must reach the builds that pip isolates: through the second from pip 25.3 on.
PIP  := PIP_CONSTRAINT="$(strip $(PIP_CONSTRAINT) $(LOCK))" \
        PIP_BUILD_CONSTRAINT="$(strip $(PIP_BUILD_CONSTRAINT) $(LOCK))" \
        $(BIN)/python -m pip --disable-pip-version-check -qq

# Steps build on one environment and the logs are meant to be read from top to bottom.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help venv install cyipopt lock newest oldest demo test lint format types layers pytest slow stress docs bench clean distclean

# Figures are written to files, and no documentation theme needs to talk about its own future.
export MPLBACKEND := Agg
export NO_MKDOCS_2_WARNING := 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- the environment: one stamp per set of packages, so a second run costs nothing ----

$(VENV)/.core: pyproject.toml $(LOCK) $(wildcard src/collocode/kernels/*.[ch])
	@echo "== venv: collocode and its core dependencies into $(VENV) (wheels only)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "== install: optional parts, test and documentation tools into $(VENV)"
	@$(PIP) install --editable '.[pyomo,exchange,petab,tables,cluster,learn,relu,test,docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.core
	@echo "== bench: the systems that the benchmarks compare with into $(VENV)"
	@$(PIP) install --editable '.[pyomo,bench,cluster,learn,relu,test]'
	@touch $@

venv: $(VENV)/.core ## what the main job needs: the package and its core dependencies

install: $(VENV)/.dev ## venv, and Pyomo, test and documentation tools

cyipopt: $(VENV)/.core ## build cyipopt against the Ipopt inside the casadi wheel
	@echo "== cyipopt: build against casadi's own Ipopt, unless that has been done"
	@$(BIN)/python tools/build_cyipopt.py $(LOCK)

lock: ## write constraints.txt anew: the newest versions that pyproject.toml allows
	@echo "== lock: the newest versions become the exact ones"
	@$(PYTHON) tools/versions.py lock

newest: ## run the checks with the newest versions, in .newest; say what moved and what breaks
	@echo "== newest: all checks with the newest versions"
	@$(PYTHON) tools/versions.py newest

oldest: ## run the solvers' tests with the oldest core packages allowed, in .oldest
	@echo "== oldest: the lower bounds in pyproject.toml"
	@$(PYTHON) tools/versions.py oldest

# ---- the main job ----

demo: $(VENV)/.core ## fit the Van der Pol oscillator and write results/van_der_pol
	@echo "== demo: collocode solve models/van_der_pol.py"
	@$(BIN)/collocode solve models/van_der_pol.py --out results/van_der_pol

# ---- checks: from the quickest to the slowest, pytest's closing line last ----

test: install cyipopt lint types layers docs demo pytest ## all checks, the demo and the tests

lint: $(VENV)/.dev ## ruff: rules and format
	@echo "== lint: ruff"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: $(VENV)/.dev ## let ruff repair what it can
	@echo "== format: ruff"
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: $(VENV)/.dev ## mypy on the package
	@echo "== types: mypy"
	@$(BIN)/mypy

layers: $(VENV)/.dev ## imports go downwards only
	@echo "== layers: import-linter"
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.dev ## build the documentation into site/, warnings are errors
	@echo "== docs: mkdocs"
	@$(BIN)/mkdocs build --quiet --strict

notebooks: $(VENV)/.dev ## the examples as notebooks, into notebooks/
	@echo "== notebooks: from examples/"
	@$(BIN)/python docs/notebooks.py notebooks

pytest: $(VENV)/.dev ## tests and doctests, a process per core, without the slow ones; PYTEST_ARGS is passed on
	@echo "== pytest: tests and doctests"
	@PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --dist worksteal $(PYTEST_ARGS)

slow: $(VENV)/.dev ## the tests marked slow
	@echo "== pytest: slow tests"
	@OMP_NUM_THREADS=1 $(BIN)/pytest -m slow $(PYTEST_ARGS)

stress: $(VENV)/.dev ## the tests beside busy processes, with other BLAS threads and kernels; ROUNDS=3
	@echo "== stress: the tests on a busy machine"
	@tools/stress.sh $(or $(ROUNDS),3)

bench: $(VENV)/.bench ## every benchmark in benchmarks/, one after the other
	@for script in benchmarks/[!_]*.py; do \
		echo "== bench: $$script"; $(BIN)/python "$$script" || exit 1; \
	done

clean: ## remove results, the built site, the notebooks and the checkers' caches
	@echo "== clean: results, site, build products, caches"
	@rm -rf results site notebooks build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove the environments
	@echo "== distclean: $(VENV) .newest .oldest"
	@rm -rf $(VENV) .newest .oldest
