# Two commands are enough: `make study` and `make test`. Both set up .venv first if it is missing.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: install study test test-all test-gpu lint docs bench bundle clean

install: $(READY)

study: $(READY)
	$(BIN)/prunelab run --preset quick --workers 2

# The tests share the cores by file, one thread each. Then nbval (not under xdist) runs the committed
# notebooks again and compares them with what the code makes of the ledger now.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -n 2 --dist loadfile --durations 25
	$(BIN)/python -m pytest --nbval notebooks

test-all: $(READY)
	$(BIN)/python -m pytest tests -m "slow or not slow"
	$(BIN)/python -m pytest --nbval notebooks

# On a machine with a GPU: it gives the numbers of the CPU.
test-gpu: $(READY)
	$(BIN)/python -m pytest -m gpu tests/test_gpu.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The API reference, from the docstrings: build/docs/index.html
docs: $(READY)
	$(BIN)/pdoc --docformat google --output-directory build/docs prunelab

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# One archive in dist/ that installs without a network; DATA="mnist cifar10" adds data sets.
bundle: $(READY)
	$(BIN)/python tools/bundle.py $(if $(DATA),--data $(DATA))

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable ".[study,onnx]" --group dev
	touch $(READY)

clean:
	rm -rf .venv runs build dist
