# make build   set up, load the demo extract, build and publish the warehouse and the study report
# make test    every test: linters, dbt unit and data tests, pytest, the report in a real browser
# make build-spark, make test-spark   the same models on Apache Spark; optional (docs/spark.md)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: build test lint lock
.DEFAULT_GOAL := build

build: $(READY)
	rwe demo
	rwe build

# sqlfluff takes a minute, so it is a test beside the others (tests/test_sql_style.py).
test: $(READY) browser lint
	pytest -n 2

lint: $(READY)
	ruff check .
	ruff format --check .
	mypy

# Debian's Chromium, for the tests that open the report. Without it (and without root to install it)
# those tests say that they were skipped.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	} || echo "chromium is not installed: the browser tests will be skipped"

$(READY): requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "Python 3.11 or 3.12 is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Another 450 MB, and Java 17 or later. `make test` tests Spark too once it is installed.
SPARK := $(VENV)/.spark
.PHONY: build-spark test-spark
build-spark: $(SPARK)
	rwe demo
	RWE_TARGET=spark rwe build

test-spark: $(SPARK)
	pytest tests/spark

$(SPARK): requirements-spark.txt $(READY)
	@command -v java >/dev/null || { echo "Java is not installed; Spark needs version 17 or later"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-spark.txt
	touch $@

# Needs uv. dbt-core's optional parser is left out: it installs only from source, over the network.
lock:
	uv lock
	uv export --all-groups --no-group spark --no-emit-project --no-header --no-annotate --output-file requirements.txt >/dev/null
	uv export --only-group spark --prune dbt-core --prune dbt-adapters --prune dbt-common \
		--no-emit-project --no-header --no-annotate --output-file requirements-spark.txt >/dev/null

# `rwe build` by number of patients beside its floors; lines of therapy by rule sets; Kaplan-Meier,
# log-rank and Cox on a million rows beside lifelines and, where installed, R. Takes half an hour;
# a million patients need PATIENTS=1000000, 60 GB of disk and longer. WRITE=--write keeps the numbers.
PATIENTS ?= 1000 10000 100000
.PHONY: bench
bench: $(READY)
	python tests/benchmarks/scale.py --patients $(PATIENTS) $(WRITE)
	python tests/benchmarks/lines.py
	python tests/benchmarks/bench.py $(WRITE)
