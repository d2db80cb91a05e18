# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help setup run test check fix e2e crash bench soak kafka doctor docs migration lock
PY := .venv/bin/python
PYTEST := $(PY) -m pytest
NO_TESTS := 5
MINUTES ?= 30
ARGS ?=
MESSAGE ?=
# Node has certificates of its own: it has to be told of those that this machine trusts.
ifdef SSL_CERT_FILE
export NODE_EXTRA_CA_CERTS ?= $(SSL_CERT_FILE)
endif

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Prepare this checkout to work on it: .venv, JavaScript runtime, pages
	@python3 scripts/setup.py dev

run: ## Set up what is needed and start AutoWeave (ARGS="--port 9000")
	@python3 scripts/setup.py run
	@exec .venv/bin/autoweave run all $(ARGS)

test: ## Set up everything, then check the code and run all tests
	@python3 scripts/setup.py test
	@$(MAKE) --no-print-directory check
	@$(PYTEST) -m crash -n 3 $(ARGS) || [ $$? = $(NO_TESTS) ] # They wait for leases to end most of their time.
	@$(PYTEST) -m "not crash" -n 3 --dist loadgroup --ignore=tests/architecture $(ARGS) || [ $$? = $(NO_TESTS) ]

check: ## Style, types, layers and the rules of the house; under a minute
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/pyright
	@said=$$(.venv/bin/lint-imports --no-logo 2>&1) || { echo "$$said"; exit 1; }
	@$(PYTEST) -q tests/architecture

fix: ## Format the code and mend what ruff can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

e2e: ## Tests in a browser on a running app
	@$(PYTEST) -m e2e $(ARGS)

crash: ## Tests that kill processes in the middle of work, on both databases and both buses
	@AUTOWEAVE_TESTS_MATRIX=1 $(PYTEST) -m crash $(ARGS)

bench: ## Measure the figures of docs/benchmarks.md
	@$(PY) -m tests.benchmarks $(ARGS)

soak: ## Mixed load with random kills for MINUTES=30: everything once, nothing grows
	@$(PY) scripts/soak.py $(MINUTES)

kafka: ## Run Apache Kafka in the foreground, without Docker, on port 9092
	@python3 docker/kafka/kafka_server.py --data .tools/kafka-data $(ARGS)

doctor: ## Say of each dependency whether it works, and what to do when not
	@.venv/bin/autoweave doctor $(ARGS)

docs: ## Write the reference tables of docs/guides again
	@$(PY) scripts/docs.py

migration: ## Write the next migration from the tables: MESSAGE="add a column to runs"
	@$(PY) scripts/migration.py "$(MESSAGE)"

lock: ## Choose versions anew and write both requirements files with hashes
	@.tools/uv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	  --custom-compile-command "make lock" -o requirements.txt $(ARGS)
	@.tools/uv/bin/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --quiet \
	  --custom-compile-command "make lock" -c requirements.txt -o requirements-dev.txt $(ARGS)
