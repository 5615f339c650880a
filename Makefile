# Decorum. `make` alone prints help; only `make fmt` and `make contracts` edit files of the tree.
.DEFAULT_GOAL := help
.PHONY: help setup demo up test check storm bench fmt contracts clean

BIN := .venv/bin
PACKAGES := shared services/scheduler services/compliance-gate services/notifier services/ledger deploy/local deploy/simulation
SOURCES := $(addsuffix /src,$(PACKAGES)) tests
STORM := tests/e2e/test_restart_storm.py
# A worker takes one file after the other in this order, since a file shares what it sets up: those that take long come
# first, and the storm, which takes the whole machine, comes last and alone.
TESTS := $(wildcard $(addprefix tests/,simulation integration)) $(filter-out $(STORM),$(wildcard tests/e2e/test_*.py)) \
	$(wildcard $(addprefix tests/,property contract unit peers)) $(STORM)
# Each worker has a Kafka and a PostgreSQL of its own; servers that somebody named are not shared.
WORKERS ?= $(if $(DECORUM_KAFKA_BOOTSTRAP_SERVERS)$(DECORUM_DATABASE_URL),1,2)
# A worker that is lost, as by a test that hangs, ends the run.
WORK := -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0
STORM_SEED ?= $(or $(DECORUM_STORM_SEED),1)

.venv/.installed: requirements.lock deploy/local/bootstrap.sh $(addsuffix /pyproject.toml,$(PACKAGES))
	@sh deploy/local/bootstrap.sh

help: ## print this
	@echo "Decorum decides when, how and whether a borrower may be contacted, makes the contact, and books what comes back."
	@echo
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/.installed ## make .venv (every other target does it too)

demo: .venv/.installed ## live a month of a lender; BORROWERS= DAYS= START= SEED= TICK= PORTFOLIO=FILE.csv LIMIT=
	@$(BIN)/decorum demo $(if $(BORROWERS),--borrowers $(BORROWERS)) $(if $(DAYS),--days $(DAYS)) $(if $(START),--start $(START)) \
		$(if $(SEED),--seed $(SEED)) $(if $(TICK),--tick $(TICK)) $(if $(PORTFOLIO),--portfolio "$(PORTFOLIO)") $(if $(LIMIT),--limit $(LIMIT))

up: .venv/.installed ## run everything until Ctrl-C; the clock starts at AT= (default 2026-09-16T10:00+08:00, AT=now is real time)
	@$(BIN)/decorum up $(if $(AT),--at $(AT))

test: .venv/.installed ## run every test, on real Kafka and real Postgres; WORKERS=2 ARGS=
	@$(BIN)/python -m pytest $(WORK) $(TESTS) $(ARGS)

storm: .venv/.installed ## restart storm with 20,000 events; STORM_SEED=
	@DECORUM_STORM_EVENTS=20000 DECORUM_STORM_SEED=$(STORM_SEED) $(BIN)/python -m pytest $(STORM) $(ARGS)

bench: .venv/.installed ## measure speed against the floor; prints a table and stores var/bench/*.json
	@$(BIN)/python -m tests.performance.bench $(ARGS)

check: .venv/.installed ## ruff, mypy strict, import rules, generated files in sync
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports
	@$(BIN)/python -m shared.contracts.generate --check

fmt: .venv/.installed ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

contracts: .venv/.installed ## write JSON Schemas, examples, AsyncAPI documents and tables of settings from the code
	@$(BIN)/python -m shared.contracts.generate

clean: ## remove .venv, var and caches
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
