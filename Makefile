# Two commands do all set-up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME ?= var/demo
DEVICES ?= 300
DAYS ?= 30
CHAT ?= 1
CHAT_PORT ?= 8801

.DEFAULT_GOAL := help
.PHONY: help setup demo test check soak bench serve chat screenshots lock clean

help: ## list what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

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

test: setup ## run the fast tests
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser"
	$(BIN)/python -m pytest -m browser tests/chat_ui/browser

soak: setup ## run the slow tests: kill loops, full disks, large fleets
	$(BIN)/python -m pytest -m slow

check: setup ## lint, types, layering and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: setup ## measure against the obvious way, PyOD, river and pysad (SIZE=smoke|small|full|large)
	$(BIN)/anomalyst bench --size $(or $(SIZE),small)

serve: setup ## serve the tools over MCP at http://127.0.0.1:8800/mcp (PORT=... for another port)
	ANOMALYST_HOME=$(DEMO_HOME) ANOMALYST_ARTIFACTS=artifacts $(BIN)/anomalyst serve --port $(or $(PORT),8800)

chat: setup ## serve the chat, and a server for it, at http://127.0.0.1:8801
	ANOMALYST_HOME=$(DEMO_HOME) ANOMALYST_ARTIFACTS=artifacts $(BIN)/anomalyst chat-ui --port $(CHAT_PORT)

screenshots: setup ## take the screenshots of docs/images (needs chromium)
	scripts/screenshots

lock: setup ## pin every package by hash, for every platform
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --upgrade -o requirements.lock
	cp requirements.lock requirements.runtime.lock # what is pinned there is kept; the image needs no development tools
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header -o requirements.runtime.lock

clean: ## remove the environment, the demo and all that tools leave behind
	rm -rf $(VENV) $(DEMO_HOME) .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	find artifacts -mindepth 1 ! -name .gitignore -delete
