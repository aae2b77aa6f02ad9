# customer-marts: every command a person or the build server needs. `make` alone lists them.
#
# A fresh clone needs Python 3.11 to 3.14 (with venv), make and git; each command sets up what it
# uses. Variables: PYTHON (the interpreter to build .venv with), ARGS (passed on to the command).

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
ARGS ?=
export PYTHON

BIN := .venv/bin
RUN_STAMP := .venv/.installed-run
DEV_STAMP := .venv/.installed-dev
# The development set contains the runtime set: once it is there, `make run` uses it.
SETUP := $(if $(wildcard $(DEV_STAMP)),$(DEV_STAMP),$(RUN_STAMP))

# .env is optional for a local run; what it names reaches the command.
LOAD_ENV = if [ -f .env ]; then set -a; . ./.env; set +a; fi

# $(call step,name,command): says the step's name, then how it went and how long it took. The
# command must hold no comma.
step = start=$$(date +%s); printf '==> %s\n' '$(1)'; { $(2); } || { code=$$?; \
	printf '==> %s: FAILED, %ss\n' '$(1)' "$$(($$(date +%s) - start))" >&2; exit $$code; }; \
	printf '==> %s: ok, %ss\n' '$(1)' "$$(($$(date +%s) - start))"

.PHONY: help setup run day test lint up clean lock

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV_STAMP) ## Create .venv with everything that development and the tests need
	@echo "The environment .venv is ready."

run: $(SETUP) ## Refresh the sample company end to end: sources, gates, marts, report
	@$(LOAD_ENV); exec $(BIN)/python scripts/run_sample.py $(ARGS)

day: $(SETUP) ## Add one business day of sample data and refresh incrementally
	@$(LOAD_ENV); exec $(BIN)/python scripts/run_sample.py --next-day $(ARGS)

test: $(DEV_STAMP) ## Run the tests (ARGS="-k name -n 0" to choose)
	@$(call step,pytest,$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS))

lint: $(DEV_STAMP) ## Check style, types, SQL and the lock files
	@$(call step,ruff check,$(BIN)/ruff check --quiet .)
	@$(call step,ruff format,$(BIN)/ruff format --check --quiet .)
	@$(call step,lock files,. scripts/uv_env.sh; $(BIN)/python scripts/check_locks.py)
	@$(call step,mypy,$(BIN)/mypy --no-error-summary)
	@$(call step,sqlfluff,$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project)

lock: $(SETUP) ## Refresh the lock files from pyproject.toml (ARGS=--upgrade for newer releases)
	@$(call step,lock,. scripts/uv_env.sh; $(BIN)/python scripts/check_locks.py --write $(ARGS))

up: ## Start Airflow with Celery, PostgreSQL and Redis in containers (needs Docker and .env)
	@command -v docker >/dev/null 2>&1 || { \
		echo "make up needs Docker with its Compose plug-in; no docker was found on the PATH." >&2; \
		echo "Without Docker, 'make run' refreshes the sample company on this machine." >&2; exit 1; }
	@docker compose version >/dev/null 2>&1 || { \
		echo "make up needs Docker's Compose plug-in: 'docker compose version' fails." >&2; exit 1; }
	@[ -f .env ] || { echo "make up needs the file .env with the secrets:" \
		"copy .env.example to .env and fill it in." >&2; exit 1; }
	@docker compose config --quiet || { echo "The variable named above is missing in .env;" \
		".env.example says how to make its value." >&2; exit 1; }
	docker compose up --detach --build $(ARGS)

clean: ## Remove .venv, caches and the state folder var/
	rm -rf .venv var build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf dbt_project/target dbt_project/logs
	find dags dbt_project scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_STAMP): requirements.lock pyproject.toml
	@scripts/install.sh requirements.lock $@

$(DEV_STAMP): requirements-dev.lock pyproject.toml
	@scripts/install.sh requirements-dev.lock $@
