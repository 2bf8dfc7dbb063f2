# Everything is installed into this checkout: .venv/ for Python, lib/ for the jars. `make` lists what there is.

PYTHON := .venv/bin/python
MAVEN := mvn -q -B
EDGE_JAR := lib/pyflink-dependencies.jar
EDGE_SOURCES := connectors/jvm/pom.xml $(shell find connectors/jvm/src -type f)
LOCAL_JARS := lib/.local-jars

.DEFAULT_GOAL := help
.PHONY: help setup check test test-unit demo bench bench-freshness bench-growth bench-replay clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

setup: .venv/.ready $(EDGE_JAR) $(LOCAL_JARS) ## Install everything into this checkout

.venv/.ready: requirements.txt pyproject.toml
	@echo "==> Installing the Python packages into .venv (a minute or two the first time)"
	@python3.11 -m venv .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check "setuptools==79.0.1" wheel
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation -r requirements.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(EDGE_JAR): $(EDGE_SOURCES)
	@echo "==> Building the JVM edge ($@)"
	@$(MAVEN) -f connectors/jvm package -DskipTests
	@touch $@

$(LOCAL_JARS): deploy/local/pom.xml
	@echo "==> Fetching DynamoDB Local and Flink's file system for S3 (lib/dynamodb-local, lib/plugins)"
	@rm -rf lib/plugins
	@$(MAVEN) -f deploy/local package
	@touch $@

check: setup ## Format, lint, types, import rules, schema versions and unit tests
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/telefold schemas check
	@$(PYTHON) -m pytest -q tests/unit

test: setup ## All tests of every kind
	@echo "==> JUnit"
	@$(MAVEN) -f connectors/jvm verify
	@echo "==> pytest"
	@$(PYTHON) -m pytest

demo: setup ## A fleet's telemetry becomes views that are checked row by row
	@.venv/bin/telefold demo

bench: setup ## Events a second of the whole fold, against PyFlink as tutorials write it, a plain loop and the ceiling
	@$(PYTHON) -m bench.throughput

bench-freshness: setup ## Time from an event's sending until it is readable in both stores
	@$(PYTHON) -m bench.freshness

bench-replay: setup ## A million archived events replayed, against the rate of the live path, and every row verified
	@$(PYTHON) -m bench.replay

bench-growth: setup ## How cost grows with devices, metrics, parallelism and a hot device, and how close `telefold size` is
	@$(PYTHON) -m bench.growth

clean: ## Remove everything that setup and tests made
	rm -rf .venv lib connectors/jvm/target deploy/local/target .telefold .pytest_cache .mypy_cache .ruff_cache .hypothesis
