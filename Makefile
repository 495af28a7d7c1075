# Everything happens in .venv; nothing of the system is changed. `make help` lists the targets.
PYTHON ?= python3
TEST_JOBS ?= 4
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/python -m uv

.DEFAULT_GOAL := help
.PHONY: help install dev demo test crash compat live check format bench coverage lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit("rushes needs Python 3.11 or later; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.installed: $(VENV)/.uv pyproject.toml constraints.txt
	@$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	@$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.sdks: $(VENV)/.dev scripts/sdks.py $(wildcard tests/gateway/sdk/requirements-*.txt tests/gateway/sdk/node/*.json)
	@$(BIN)/python scripts/sdks.py
	@touch $@

$(VENV)/.browser: $(VENV)/.dev scripts/browser.py
	@$(BIN)/python scripts/browser.py
	@touch $@

install: $(VENV)/.installed ## install rushes into .venv

dev: $(VENV)/.dev $(VENV)/.sdks $(VENV)/.browser ## install what tests and checks need, too

demo: $(VENV)/.installed ## make a first video, offline and without a key
	@$(BIN)/rushes generate "A lighthouse on a cliff at dusk, waves below, slow aerial push in" --model draft --seconds 6 --out demo.mp4
	@echo "Open it: $(CURDIR)/demo.mp4"

test: $(VENV)/.sdks $(VENV)/.browser ## run all tests, TEST_JOBS at once: most of them wait for a far side
	@$(BIN)/python -m pytest -q --numprocesses $(TEST_JOBS) --dist loadscope --no-loadscope-reorder

crash: $(VENV)/.dev ## run the whole fault matrix and print it; hours, or CRASH="--minutes 20 --seed 7"
	@$(BIN)/python -m rushes.testing.matrix $(CRASH)

compat: $(VENV)/.dev ## run the newest LiteLLM and promptfoo against a real gateway; needs 3 GB, or COMPAT=--fresh
	@$(BIN)/python scripts/compat.py $(COMPAT)

live: $(VENV)/.installed ## try a provider with your own key, for a few cents: PROVIDER=fal [MODEL=…] [LIVE=--yes]
	@test -n "$(PROVIDER)" || { echo "Name one: make live PROVIDER=fal" >&2; exit 2; }
	@$(BIN)/python -m rushes.testing.live $(PROVIDER) $(if $(MODEL),--model $(MODEL)) $(LIVE)

check: $(VENV)/.dev ## what CI checks besides the tests: format, lint, types, layers, docs
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/pyright --project pyproject.toml
	@$(BIN)/lint-imports --no-cache > .import-linter.log || (cat .import-linter.log; false)
	@$(BIN)/python scripts/docs.py --check

format: $(VENV)/.dev ## format the code and write the generated docs
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .
	@$(BIN)/python scripts/docs.py

bench: $(VENV)/.dev ## measure speed and memory, as ratios in one run
	@for each in benchmarks/*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

coverage: $(VENV)/.sdks $(VENV)/.browser ## run all tests and say which lines none of them reached
	@$(BIN)/python -m coverage run -m pytest -q && $(BIN)/python -m coverage report --skip-covered

lock: $(VENV)/.dev ## write constraints.txt anew, with the newest versions allowed
	@$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --all-extras --generate-hashes \
		--no-emit-index-url --no-annotate --no-header pyproject.toml --output-file constraints.txt

clean: ## remove .venv and everything made
	@rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis htmlcov dist build demo.mp4
