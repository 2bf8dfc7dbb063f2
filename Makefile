# Everything is installed into this checkout: .venv/ for Python, lib/ for the jars, .venv-bench/ for what is only compared
# with, .venv-templates/ for what checks templates, .venv-docs/ for what builds the pages. `make` lists what there is.

PYTHON_VERSION := 3.12
JAVA_VERSION := 17
FIND_PYTHON := deploy/find-python $(PYTHON_VERSION)
PACKAGES := lib/python$(PYTHON_VERSION)/site-packages
PYTHON := .venv/bin/python
PEERS_PYTHON := .venv-bench/bin/python
TEMPLATES := deploy/kinesis-analytics
MAVEN := mvn -q -B
EDGE_JAR := lib/pyflink-dependencies.jar
EDGE_SOURCES := $(shell find connectors/*/pom.xml connectors/*/src -type f)
LOCAL_JARS := lib/.local-jars
FLINK := .venv/$(PACKAGES)/pyflink
REPORTER := lib/prometheus/.ready

.DEFAULT_GOAL := help
.PHONY: help setup lint check test test-containers lint-templates docs chaos fuzz soak demo bench bench-check bench-cost bench-emptied bench-folds bench-freshness bench-growth bench-replay bench-rules bench-silence bench-stores clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

setup: .venv/.ready $(EDGE_JAR) $(LOCAL_JARS) $(REPORTER) ## Install everything into this checkout

.venv/.ready: requirements.txt pyproject.toml
	@echo "==> Installing the Python packages into .venv (a minute or two the first time)"
	@test -d .venv/$(PACKAGES) || rm -rf .venv  # one of another Python's would keep that
	@python=$$($(FIND_PYTHON)) && "$$python" -m venv .venv
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check "setuptools==79.0.1" wheel
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation -r requirements.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(EDGE_JAR): $(EDGE_SOURCES) | .venv/.ready
	@echo "==> Building the JVM edge ($@)"
	@deploy/check-jdk $(JAVA_VERSION)
	@$(MAVEN) -f connectors package -DskipTests
	@touch $@

$(LOCAL_JARS): deploy/local/pom.xml
	@echo "==> Fetching Flink's file system for S3 (lib/plugins)"
	@rm -rf lib/plugins
	@$(MAVEN) -f deploy/local package
	@touch $@

$(REPORTER): deploy/minicluster/LoopbackReporterFactory.java .venv/.ready
	@deploy/check-jdk $(JAVA_VERSION)
	@rm -rf $(@D)
	@mkdir -p $(@D)/META-INF/services
	@"$${JAVA_HOME:+$$JAVA_HOME/bin/}javac" --release $(JAVA_VERSION) -proc:none -cp "$(FLINK)/lib/*:$(FLINK)/plugins/metrics-prometheus/*" -d $(@D) $<
	@echo org.apache.flink.metrics.prometheus.LoopbackReporterFactory \
		> $(@D)/META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory
	@touch $@

lint: setup ## Format, lint, types, import rules, schema versions
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@$(MAVEN) -f connectors/jvm spotless:check
	@$(MAVEN) -f connectors/kinesis-source spotless:check
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/telefold schemas check

check: lint ## The quick gate: lint, and the unit tests
	@$(PYTHON) -m pytest -q -n 2 tests/unit

test: setup ## All tests of every kind
	@echo "==> JUnit: the Kinesis source and sink, then the JVM edge"
	@$(MAVEN) -f connectors verify
	@echo "==> pytest, three files at a time: most of the time tests wait for the servers and jobs that they started"
	@$(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

.venv-templates/.ready: $(TEMPLATES)/lint-requirements.txt
	@echo "==> Installing cfn-lint and checkov into .venv-templates (half a minute the first time)"
	@python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv-templates
	@.venv-templates/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

lint-templates: .venv-templates/.ready ## Check the templates for AWS with cfn-lint and checkov
	@.venv-templates/bin/cfn-lint $(TEMPLATES)/artifacts.yaml $(TEMPLATES)/application.yaml
	@.venv-templates/bin/checkov --config-file $(TEMPLATES)/checkov.yaml

.venv-docs/.ready: docs/requirements.txt
	@echo "==> Installing mkdocs into .venv-docs"
	@python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Never with --quiet: it silences the warnings that --strict counts.
docs: .venv-docs/.ready ## The pages of docs/ as a site in .site; links and navigation must hold
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

test-containers: setup ## The stores' and the log's tests and a job end to end on servers in Docker containers
	@$(PYTHON) -m tests.containers $(if $(OWN_ENGINE),--own-engine)

chaos: setup ## Failures at random on a cluster, then every row checked: SEED=n MINUTES=m
	@$(PYTHON) -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

fuzz: setup ## Records of every kind beside a calm fleet, then every row and letter checked: SEED=n MINUTES=m
	@$(PYTHON) -m tests.fuzz $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(MODE),--mode $(MODE)) $(if $(WITHOUT),--without $(WITHOUT))

soak: setup ## Properties of the folds on many times the logs of a run in CI, new ones each time: TIMES=n
	@TELEFOLD_EXAMPLES_TIMES=$(or $(TIMES),20) $(PYTHON) -m pytest -v -n auto $(shell grep -l tests.support.examples tests/unit/*.py)

demo: setup ## A fleet's telemetry becomes views that are checked row by row
	@.venv/bin/telefold demo

.venv-bench/.ready: bench/requirements.txt .venv/.ready
	@echo "==> Installing the benchmark's peers and its charts into .venv-bench, on top of what .venv has"
	@python=$$($(FIND_PYTHON)) && "$$python" -m venv --clear .venv-bench
	@echo ../../../../.venv/$(PACKAGES) > .venv-bench/$(PACKAGES)/telefold.pth
	@$(PEERS_PYTHON) -m pip install --quiet --disable-pip-version-check -c requirements.txt -r bench/requirements.txt
	@touch $@

bench: setup .venv-bench/.ready ## Events a second of the whole fold, against PyFlink as tutorials write it, Bytewax and others
	@mkdir -p .telefold
	@$(PYTHON) -m bench.throughput --json .telefold/throughput.json
	@$(PEERS_PYTHON) -m bench.chart .telefold/throughput.json .telefold/throughput.png

bench-check: setup ## A short form of it: fails if a ratio to the ceiling or to idiomatic PyFlink has fallen by a fifth
	@$(PYTHON) -m bench.check

bench-cost: setup ## Write units and Redis bytes of a live fleet, counted, against the model of `telefold size`
	@$(PYTHON) -m bench.cost

bench-emptied: setup ## How soon a Redis that was emptied beside a running job has all that is hot again
	@$(PYTHON) -m bench.emptied

bench-folds: setup ## Events a second through a fold in Python, against an ordinary PyFlink function
	@$(PYTHON) -m bench.folds

bench-freshness: setup ## Time from an event's sending until it is readable in both stores
	@$(PYTHON) -m bench.freshness

bench-silence: setup ## Whether the one device of twenty that falls silent is told, alone, and how soon
	@$(PYTHON) -m bench.silence

bench-replay: setup ## A million archived events replayed, against the rate of the live path, and every row verified
	@$(PYTHON) -m bench.replay

bench-growth: setup ## How cost grows with devices, metrics, parallelism and a hot device, and how close `telefold size` is
	@$(PYTHON) -m bench.growth

bench-rules: setup ## What a thousand rules over ten thousand devices cost, and how soon one that changes takes effect
	@$(PYTHON) -m bench.rules

bench-stores: setup ## Rows a second and CPU a row of the writers to DynamoDB and Redis, against naive ones
	@$(PYTHON) -m bench.stores

clean: ## Remove everything that setup and tests made
	rm -rf .venv .venv-bench .venv-templates .venv-docs .site lib connectors/jvm/target connectors/kinesis-source/target deploy/local/target .telefold .pytest_cache .mypy_cache .ruff_cache .hypothesis
