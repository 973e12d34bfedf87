# The two commands: `make demo` runs the main job on the built-in data set, `make test` passes the tests.
PYTHON ?= python3.11
BIN := .venv/bin
BENCHMARKS := audit demo diagnose evaluate formats images label_errors object_store predict real_models report tiles train trained tune
PYTEST := $(BIN)/pytest -n 2 --no-loadscope-reorder
# about 680 CPU seconds; where others work on the machine too, make test-cluster CLUSTER_SECONDS=3600
CLUSTER_SECONDS ?= 900

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-cluster check fuzz chaos benchmark docs lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: .venv/ready  ## make .venv from the pinned versions

.venv/ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup  ## draw a data set, plant faults, run everything on it (out/demo)
	$(BIN)/detray demo

test: setup  ## run the tests, two files at a time, without the slow ones
	$(PYTEST) -m "not cluster and not slow"

test-cluster: setup  ## three hosts that share an S3, with faults (root; fifteen minutes at most)
	.ci/hosts
	timeout -s INT $(CLUSTER_SECONDS) $(BIN)/pytest -m cluster tests/cluster

check: setup  ## what CI runs: lint, format, types, import contracts, all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST)

fuzz: setup  ## 10,000 mutated files of each format
	DETRAY_FUZZ=10000 $(BIN)/pytest tests/fuzz

chaos: setup  ## ten minutes of faults at random: the tables stay the same
	$(BIN)/python tests/chaos/chaos.py --seconds 600 --ray

benchmark: setup  ## the figures of docs/performance.md that need no data set of yours (hours)
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

docs: setup  ## write the generated pages of docs/
	$(BIN)/python -m detray.docs

lock: setup  ## resolve pyproject.toml anew into requirements.lock, and with CUDA requirements.cuda.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip compile --quiet --generate-hashes --extra dev --python-version 3.11 --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --extra dev --extra cuda --constraint requirements.lock \
		--python-version 3.11 --no-emit-index-url --custom-compile-command "make lock" \
		--output-file requirements.cuda.lock pyproject.toml

clean:  ## remove what was built and made
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache .hypothesis
