# From a fresh clone each target makes what it needs first: an environment in .venv, and again when pyproject.toml changes.

# Any Python from 3.11 up; PYTHON=... names another.
PYTHON ?= $(shell .ci/pythons | head -n 1)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check

unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast test-tools browser check lint types code test-others docs bench torture clean

help:
	@echo "make demo      run a graph and an agent over real documents, each twice: cold, and from the cache"
	@echo "make test      run all tests of the library: some minutes on two cores"
	@echo "make test-fast run those of the core: memory, SQLite, tiers, values, keys, cached functions; under 40 seconds"
	@echo "make browser   run the tests of the inspector in a browser, in the Chromium that is installed"
	@echo "make check     ruff, mypy, pyright, the links of the docs, the tests of the benchmark, the torture and the demo,"
	@echo "               the tests on other Pythons, the main ones on the lowest releases allowed"
	@echo "make docs      build the documentation site, build/site, with the API reference; a broken link fails"
	@echo "make bench     compare with other caches; writes docs/bench (CELLS=agents. for some)"
	@echo "make torture   attack it for some 10 minutes: stopped and killed holders, cut channels, interrupts, collections"
	@echo "make clean     remove what the others made"

demo: .venv/.demo
	@$(BIN)/python examples/demo.py

test: .venv/.test .venv/.test-agents .venvs/langchain/.suites
	@.venvs/langchain/bin/python -m pytest --quiet -c conformance/pytest.ini conformance
	@.ci/test $(BIN)/python --ignore=tests/tools

# For one's own loop: no servers, hardly any other processes, and of bad days none.
FAST := tests/memory/test_memory.py tests/memory/test_memory_store.py \
	tests/sqlite/test_sqlite.py::TestSqliteCache tests/sqlite/test_sqlite_store.py \
	tests/tiers/test_tiered.py::TestMemoryOverSqlite tests/tiers/test_tiered_options.py tests/tiers/test_under_way.py \
	tests/tiers/test_debts.py tests/test_keys.py tests/test_entry.py tests/test_sieve.py tests/test_mistakes.py \
	tests/serde/test_serde_exactness.py tests/serde/test_serde_refusals.py tests/keys/test_stable_key_equality.py \
	tests/compute/test_cached.py tests/compute/test_get_or_compute.py tests/compute/test_ttls.py \
	tests/compute/test_single_flight_threads.py tests/test_import_circles.py
test-fast: .venv/.test
	@.ci/test $(BIN)/python --numprocesses=2 $(FAST)

browser: .venv/.test .venv/.test-browser
	@$(BIN)/python -m pytest --quiet tests/inspector/test_browser.py

# What reads the code beside what runs it; each shows its output when it is done.
check:
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target code test-others

code: lint types docs test-tools

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.dev
	$(BIN)/mypy
	MYPYPATH=src $(BIN)/mypy --config-file= --python-version 3.11 --cache-dir .mypy_cache/default tests/typing_*.py
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python .ci/public_types.py

# The extra dev has uv, which resolves the lowest releases.
test-others: .venv/.dev
	@.ci/test-others $(BIN)/python

# Of the benchmark, the torture and the demo, which stand beside the library.
test-tools: .venv/.dev
	@.ci/test $(BIN)/python --numprocesses=0 tests/tools

# Without a network once the environment is there. Not --quiet: then what --strict fails for goes unnoticed.
docs: .venv/.docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site begins at build/site/index.html"

bench: .venv/.bench
	$(BIN)/python -m bench $(CELLS)

# Its servers, and what it looks at after each blow, are those of the tests.
torture: .venv/.test .venv/.test-agents
	$(BIN)/python -m torture

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "hitrate needs Python 3.11 or later: none was found"; exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@$(PYTHON) -m venv --clear .venv

# A stamp for each extra that is installed.
.venv/.%: pyproject.toml | .venv/bin/python
	@echo "Installing hitrate[$*] in .venv"
	@$(PIP_INSTALL) --editable '.[$*]'
	@touch $@

# LangChain's own suites bring plugins for pytest that our tests do without, so they have an environment of their own.
.venvs/langchain/.suites: pyproject.toml | .venv/bin/python
	@echo "Installing hitrate[langchain-suites] in .venvs/langchain"
	@$(BIN)/python -m venv --clear .venvs/langchain
	@.venvs/langchain/bin/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[langchain-suites]'
	@touch $@

clean:
	rm -rf .venv .venvs .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
