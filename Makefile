# Two commands are enough: `make study` and `make test`. Both set up .venv first if it is missing.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: study test test-all lint bench clean

study: $(READY)
	$(BIN)/prunelab run --preset quick

# The notebooks are compared with what the code makes of the ledger now (nbval; not under xdist).
test: $(READY)
	$(BIN)/python -m pytest tests notebooks --nbval

test-all: $(READY)
	$(BIN)/python -m pytest tests notebooks --nbval -m "slow or not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(READY)
	$(BIN)/python benchmarks/run.py

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . --group dev
	touch $(READY)

clean:
	rm -rf .venv runs build *.egg-info
