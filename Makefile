PYTHON ?= python3
BIN := .venv/bin
SLUG := ml-retraining
RENDER := <<cookiecutter.project_slug>>

COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command "make lock" --upgrade --quiet

# Files of tests side by side: a file's tests share what takes long to make. `-n 0` is one by one.
PYTEST = $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# Recipes find the tools of the lock first, uv among them; a render's own Makefile then uses it too.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup test test-library test-template test-render test-long test-newest test-lowest times fuzz demo pictures check docs format lock release

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: .venv/.installed  ## Create .venv from the lock

.venv/.installed: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

test: test-library test-template  ## Test the library, render the template every way, and run what it renders

test-library: setup  ## Test the library alone
	$(MAKE) -C retrainer test

test-template: setup  ## Render the template every way and run what it renders; ARGS are pytest's
	$(PYTEST) $(ARGS)

test-render: setup  ## Render the template every way and look at the files: nothing is executed
	$(PYTEST) tests/test_render.py tests/test_hooks.py tests/test_answers.py $(ARGS)

test-long: setup  ## Run what takes minutes: servers, kills, the image, updates; with ARGS the template's alone
	$(if $(ARGS),,$(MAKE) -C retrainer test-long)
	$(PYTEST) -m long $(ARGS)

test-newest:  ## Refresh the locks and run all tests with them; say which upper bounds can go
	$(MAKE) lock
	$(MAKE) test
	$(PYTEST) -m newest $(ARGS)

test-lowest: setup  ## Run the library's tests with the lowest versions that it declares
	$(MAKE) -C retrainer test-lowest ARGS="$(ARGS)"

times: demo/$(SLUG)/pyproject.toml  ## Print how long the suites take here, beside what they may take
	$(MAKE) -C demo/$(SLUG) setup
	$(BIN)/python tests/times.py

demo/$(SLUG)/pyproject.toml: setup
	rm -rf demo
	$(BIN)/cookiecutter . --no-input --default-config --output-dir demo

fuzz: setup  ## Try 1,500 sets of answers drawn at random; `make test` tries 40
	FUZZ_SETS=1500 $(BIN)/python -m pytest tests/test_fuzz_answers.py $(ARGS)

demo: setup  ## Render the defaults into demo/, retrain twice, show the decisions
	rm -rf demo
	$(BIN)/cookiecutter . --no-input --default-config --output-dir demo
	$(MAKE) -C demo/$(SLUG) setup
	$(MAKE) -C demo/$(SLUG) retrain
	$(MAKE) -C demo/$(SLUG) retrain
	demo/$(SLUG)/$(BIN)/$(SLUG) registry list
	demo/$(SLUG)/$(BIN)/$(SLUG) registry explain
	@echo "The registry: $(CURDIR)/demo/$(SLUG)/models"

pictures: setup  ## Make the pictures of the README from a real run
	$(BIN)/python benchmarks/pictures.py

check: setup  ## Lint, format check, types and architecture of the library; lint of hooks, tests and benchmarks
	$(MAKE) -C retrainer check
	$(BIN)/ruff check hooks tests benchmarks .ci/*.py
	$(BIN)/ruff format --check hooks tests benchmarks .ci/*.py

docs:  ## Write the library's page of settings anew, after a change of them
	$(MAKE) -C retrainer docs

format: setup  ## Format the hooks, tests and benchmarks, and the Python that is rendered
	$(BIN)/ruff check --fix hooks tests benchmarks .ci/*.py
	$(BIN)/ruff format hooks tests benchmarks .ci/*.py
	$(BIN)/python -m tests.format_template

lock: setup  ## Refresh the locks, the template's and the render's
	$(COMPILE) --group dev -o requirements.lock
	rm -rf demo
	$(BIN)/cookiecutter . --no-input --default-config --output-dir demo tracking=mlflow scale_out=dask
	$(MAKE) -C demo/$(SLUG) setup
	$(MAKE) -C demo/$(SLUG) lock UPGRADE=1
	cp demo/$(SLUG)/*.lock '$(RENDER)'
	$(MAKE) -C retrainer lock
	$(MAKE) -C demo/$(SLUG) setup LOCK=requirements-extras.lock
	$(BIN)/python tests/taken_names.py demo/$(SLUG)/$(BIN)/python '$(RENDER)'/*.lock

release: setup  ## Check, test, tag and write the notes of VERSION; nothing is pushed
	$(BIN)/python .ci/release.py $(VERSION)
