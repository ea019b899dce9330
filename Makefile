# Each target sets up what it needs in .venv; a second call skips the set-up. `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up
# `make extras` leaves this marker; while it exists, .venv is kept in step with both locks
EXTRAS := $(wildcard $(VENV)/.extras)
LOCKS := requirements.lock $(if $(EXTRAS),requirements-extras.lock)
# without compiled bytecode every start is two to four times slower
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup extras model run test laws lint up down bench docs sites reference compose-env lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(SETUP)  ## install all locked packages into .venv

$(SETUP): $(LOCKS) $(EXTRAS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "goodstanding needs Python 3.11 or 3.12; set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# the installer also comes from the lock, with its hashes
	@awk '/^uv==/ {p=1; print; next} p && /^ / {print; next} {p=0}' requirements.lock > $(VENV)/installer.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/installer.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode $(LOCKS)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(SETUP)

extras:  ## also install the method that is large: Keras on JAX (430 MB)
	@mkdir -p $(VENV) && { test -e $(VENV)/.extras || touch $(VENV)/.extras; }
	@$(MAKE) --no-print-directory setup

run: $(SETUP)  ## run the whole landing through the DAGs, then print a report
	@$(BIN)/goodstanding run

test: $(SETUP) lint  ## run every test, after the checks of lint
	@$(BIN)/python -m pytest

laws: N = 200
laws: SEED := $(or $(SEED),$(shell echo $$RANDOM))
laws: $(SETUP)  ## compare N drawn histories with clean builds, N shops with the oracle, and N killed runs (N=200, random SEED)
	@$(BIN)/python -m tests.laws.many $(N) $(SEED)
	@$(BIN)/python -m tests.oracle.many $(N) $(SEED)
	@LAWS_CRASHES=$(N) LAWS_SEED=$(SEED) $(BIN)/python -m pytest tests/laws/test_crashes.py

lint: $(SETUP)  ## check style of Python and SQL, types, imports, and that the reference pages are up to date
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --cache-dir .mypy_cache/imports
	@$(BIN)/sqlfluff lint dbt_project goodstanding --processes 2
	@$(BIN)/python docs/reference/generate.py --check
	@$(BIN)/sqlfluff lint expectations --templater placeholder --processes 2

up: $(SETUP)  ## start Airflow with scheduler and UI on this machine; Ctrl-C ends it
	@$(BIN)/goodstanding up

down: $(SETUP)  ## end what `make up` started
	@$(BIN)/goodstanding down

bench: $(SETUP)  ## measure time and memory against a plain DuckDB script and pandas
	@$(BIN)/python -m bench.run

model: $(SETUP)  ## M=customer_classes: build a dbt model on a copy of the warehouse, and show what changed
	@test -n "$(M)" || { echo "name the model: make model M=customer_classes"; exit 2; }
	@$(BIN)/goodstanding dbt build -s $(M)

docs: $(SETUP)  ## build the pages of docs/ into site/ (open site/index.html)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

sites: $(SETUP)  ## build the sites with the checks and the SQL of this home
	@$(BIN)/goodstanding docs

reference: $(SETUP)  ## write the reference pages of docs/ from the code
	@$(BIN)/python docs/reference/generate.py

compose-env:  ## write .env with generated secrets for docker compose, and create its default landing
	@$(PYTHON) -m app.runtime.compose_env

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

lock: $(SETUP)  ## choose the newest versions and write both locks
	@# XGBoost is small, so developers get it and its tests run
	$(COMPILE) --upgrade --extra xgboost --group dev pyproject.toml --output-file requirements.lock
	@# the second lock has only the packages that the first lacks; a comment at its end that lists the others is cut off
	@set -o pipefail; $(COMPILE) --all-extras pyproject.toml --constraint requirements.lock \
	    $$(sed -nE 's/^([a-z0-9._-]+)==.*/--no-emit-package \1/p' requirements.lock | sort -u) \
	    | sed '/^$$/,$$d' > requirements-extras.lock

clean:  ## remove the warehouse, models, logs and Airflow's state; keeps landing and .venv
	rm -rf var
