# Endcap: all targets of this repository. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Images of containers set it. Each start of each process would then compile all its modules again: 6 s, not 2 s.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .local/venv/bin/python
RUN := .local/venv/bin
LOCAL := $(PYTHON) -m deploy.local
SERVICES := tracker sync trainer loader recommender router engine analytics dashboard

# Where `make check` and `make test` look. The longest begin first.
SOURCES := shared services deploy examples tests
OFFLINE_TESTS := tests/architecture tests/contract tests/unit
STACK_TESTS := tests/e2e tests/browser tests/component tests/integration

.PHONY: help  # List the targets
help:
	@printf 'Endcap\n\n'
	@sed -n 's/^\.PHONY: \([a-z-]*\)  # \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "%-20s %s\n", $$1, $$2}'

# --- the local stack ------------------------------------------------------------------------------

.PHONY: run  # Install what is missing and start everything [DATA=file or folder | EMPTY=1] [UI=0] [DETACH=1]
run: install
	@$(LOCAL) run $(if $(DETACH),--detach) $(if $(EMPTY),--empty) $(if $(filter 0,$(UI)),--no-ui) $(if $(DATA),--data '$(DATA)')

.PHONY: stop  # Stop everything that `make run` started
stop:
	@if [ -x $(PYTHON) ]; then $(LOCAL) stop; else echo 'The stack is not running: nothing is installed yet.'; fi

.PHONY: status  # Show the processes, their ports and whether they are ready
status: python
	@$(LOCAL) status

.PHONY: logs  # Follow the logs [S=tracker-worker]
logs: python
	@$(LOCAL) logs $(S)

.PHONY: env  # Print export lines for curl, boto3, psql …: eval "$(make -s env)"
env: python
	@$(LOCAL) env

.PHONY: admin-key  # Print the key that opens the dashboard
admin-key: python
	@$(LOCAL) env | sed -n 's/^export ENDCAP_ADMIN_KEY=//p'

.PHONY: load  # Load a shop into the running stack: DATA=file or folder
load: python
	@$(LOCAL) load $(if $(DATA),--data '$(DATA)')

.PHONY: keys  # Create, list, rotate and revoke keys of the running stack [ARGS='create ingest']
keys: python
	@$(LOCAL) keys $(or $(ARGS),list)

.PHONY: buckets  # Allow tenants access to buckets [ARGS='allow --tenant shop s3://bucket/folder/']
buckets: python
	@$(LOCAL) buckets $(or $(ARGS),list)

.PHONY: clean  # Stop, and delete the stack's data, logs and keys (installed programs are kept)
clean: stop
	rm -rf .local/data .local/logs .local/run .local/keys .local/shop
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# --- checks ---------------------------------------------------------------------------------------

.PHONY: test  # Run `check` and every other test, on a private stack
test: install-tests lint kit-tests
	@# The tests on a stack mostly wait, so three processes share the machine, and offline tests use what is left.
	$(RUN)/mypy & types=$$!; \
	  $(RUN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=20 $(wildcard $(STACK_TESTS) $(OFFLINE_TESTS)); tests=$$?; \
	  wait $$types && exit $$tests

.PHONY: kit-tests  # Test the storefront kit without a browser (the browser tests are part of `test`)
kit-tests: install
	PATH=$(CURDIR)/.local/bin:$$PATH npm --prefix examples/storefront --silent test

.PHONY: smoke  # The shortest proof: a purchase goes all the way, a boto3 program runs, a killed process loses nothing
smoke: install
	$(RUN)/pytest -q -m smoke tests/e2e

.PHONY: check  # Everything that needs no stack: format, lint, types, imports, offline tests
check: lint
	@# Types are checked beside the tests: mypy uses one core, for 40 s when it has no cache yet.
	$(RUN)/mypy & types=$$!; $(RUN)/pytest -n 2 $(wildcard $(OFFLINE_TESTS)); tests=$$?; \
	  wait $$types && exit $$tests

.PHONY: fmt  # Format, and apply safe fixes
fmt: python
	$(RUN)/ruff check --fix $(SOURCES)
	$(RUN)/ruff format $(SOURCES)

.PHONY: lint  # Check the format, lint, and check the imports between packages
lint: python
	$(RUN)/ruff format --check $(SOURCES)
	$(RUN)/ruff check $(SOURCES)
	$(RUN)/lint-imports

.PHONY: types  # Check types
types: python
	$(RUN)/mypy

.PHONY: bench  # Measure the budgets of the design on this machine
bench: install
	$(RUN)/python -m tests.load

.PHONY: bench-quality  # Compare recommendations with published figures [ENDCAP_DATA=folder ARGS=--quick]
bench-quality: install
	$(RUN)/python -m tests.load.quality $(ARGS)

.PHONY: contracts  # Generate the JSON Schemas and the OpenAPI documents
contracts: python
	$(PYTHON) -m tests.contract

# --- installation ---------------------------------------------------------------------------------

.PHONY: install  # Install the programs and packages of the stack, once
install:
	@deploy/local/install

.PHONY: install-tests
install-tests:
	@deploy/local/install tests

.PHONY: python  # Install only the Python packages, once
python:
	@deploy/local/install python

.PHONY: requirements  # Lock the dependencies of pyproject.toml with hashes
requirements: python
	@for service in $(SERVICES); do \
	  .local/bootstrap/bin/uv export -q --no-header --no-annotate --no-default-groups --group $$service -o requirements/$$service.txt || exit 1; \
	done
	@for group in shop local dev; do \
	  .local/bootstrap/bin/uv export -q --no-header --no-annotate --no-default-groups --group $$group -o requirements/$$group.txt || exit 1; \
	done
	@.local/bootstrap/bin/uv export -q --no-header --no-annotate --only-group aws-cli -o requirements/aws-cli.txt
	@.local/bootstrap/bin/uv export -q --no-header --no-annotate --only-group spark -o requirements/spark.txt
	@.local/bootstrap/bin/uv export -q --no-header --no-annotate --only-group tracking-clients -o requirements/tracking-clients.txt
