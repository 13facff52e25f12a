# Two commands do all set-up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME ?= var/demo
DEVICES ?= 300
DAYS ?= 30
CHAT ?= 1
CHAT_PORT ?= 8801
# packages younger than a week are not locked: most malicious ones are found before that. Empty where a mirror tells no dates
COOLED ?= $(shell $(PYTHON) -c 'from datetime import *; print((datetime.now(UTC) - timedelta(7)).strftime("%Y-%m-%dT%H:%M:%SZ"))')

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-spark test check soak bench serve chat docs sbom licences screenshots lock clean

help: ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(VENV)/.ready ## make the environment, with every package pinned by hash

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: export ANOMALYST_HOME = $(DEMO_HOME)
demo: export ANOMALYST_ARTIFACTS = artifacts
demo: setup ## build a fleet, walk it, print what was found, then serve it with the chat (CHAT=0 ends before that)
	$(BIN)/anomalyst demo --devices $(DEVICES) --days $(DAYS)
	@echo "To ask it more: source $(BIN)/activate; export ANOMALYST_HOME=$(DEMO_HOME) ANOMALYST_ARTIFACTS=artifacts"
ifneq ($(CHAT),0)
	$(BIN)/anomalyst chat-ui --port $(CHAT_PORT)
endif

demo-spark: export ANOMALYST_HOME = $(DEMO_HOME)-spark
demo-spark: export ANOMALYST_ENGINE = spark
demo-spark: setup ## walk a fleet on Spark on this machine and print what was found (needs Java 17)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.spark.lock
	$(BIN)/anomalyst demo --devices $(DEVICES) --days $(DAYS)

test: setup ## run the fast tests
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser"
	@# a file's tests share servers and a walked fleet
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "browser and not slow" tests/chat_ui/browser

soak: setup ## run the slow tests: kill loops, full disks, large fleets
	@rm -rf var/soak; mkdir -p var/soak
	@# a report for each file: what was found so far stays, whatever ends the rest
	@# the engines' conformance suite is marked slow, on Spark, by its conftest
	for file in $$({ grep -rl "mark.slow" tests --include='test_*.py'; ls tests/server/engines/contracts/test_*.py; } | grep -v /browser/ | sort -u); do \
	  $(BIN)/python -m pytest -q -m "slow and not browser" $$file -o junit_family=xunit1 \
	    --junitxml=var/soak/$$(echo $$file | tr / -).xml || true; \
	done
	$(BIN)/python scripts/soak_table.py var/soak/*.xml

check: setup ## lint, types, layering and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

bench: setup ## measure against the obvious way, PyOD, river and pysad (SIZE=smoke|small|full|large)
	$(BIN)/anomalyst bench --size $(or $(SIZE),small)

serve: setup ## serve the tools over MCP at http://127.0.0.1:8800/mcp (PORT=... for another port)
	ANOMALYST_HOME=$(DEMO_HOME) ANOMALYST_ARTIFACTS=artifacts $(BIN)/anomalyst serve --port $(or $(PORT),8800)

chat: setup ## serve the chat, and a server for it, at http://127.0.0.1:8801
	ANOMALYST_HOME=$(DEMO_HOME) ANOMALYST_ARTIFACTS=artifacts $(BIN)/anomalyst chat-ui --port $(CHAT_PORT)

docs: setup ## build the documents as pages in var/site, offline
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

sbom: setup ## list what ships, in CycloneDX' format, in var/sbom.json
	@mkdir -p var
	$(BIN)/cyclonedx-py requirements requirements.runtime.lock --pyproject pyproject.toml --output-reproducible --validate -o var/sbom.json

licences: setup ## write docs/licences.md anew
	$(BIN)/python scripts/licences.py

screenshots: setup ## take the screenshots of docs/images (needs chromium)
	scripts/screenshots

lock: setup ## pin every package by hash, for every platform
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade $(if $(COOLED),--exclude-newer "$(COOLED)") -o requirements.lock
	cp requirements.lock requirements.runtime.lock # what is pinned there is kept; the image needs no development tools
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header $(if $(COOLED),--exclude-newer "$(COOLED)") -o requirements.runtime.lock
	cp requirements.runtime.lock requirements.spark.lock
	$(BIN)/uv pip compile pyproject.toml --extra spark --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header $(if $(COOLED),--exclude-newer "$(COOLED)") -o requirements.spark.lock

clean: ## remove the environment, the demo and all that tools leave behind
	rm -rf $(VENV) $(DEMO_HOME) .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	find artifacts -mindepth 1 ! -name .gitignore -delete
