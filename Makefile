# run and test do all their own set-up: system libraries, a virtual environment in .venv, the locked packages.
# run installs what the app needs, test what its tests need on top; test-all adds servers, a screen and the like.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-all check format bench screenshots translations fresh pythons setup test-setup \
	test-all-setup clean

run: setup
	@$(BIN)/transfermon gui --demo

test: test-setup
	@mkdir -p build
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" --junitxml=build/junit.xml

test-all: test-all-setup
	@mkdir -p build
	$(BIN)/python -m pytest -q -n auto --dist worksteal --junitxml=build/junit.xml

# Both commands on minimal systems that have nothing, and the tests on each Python: as root, see tools/fresh.py.
fresh:
	@tools/setup fresh
	@$(PYTHON) -m tools.fresh

pythons:
	@tools/setup fresh
	@$(PYTHON) -m tools.fresh --pythons

check: test-setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tools/check_lock.py

format: test-setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: test-setup
	@tools/setup bench
	$(BIN)/python -m benchmarks

screenshots: test-setup
	$(BIN)/python tools/screenshots.py
	$(BIN)/python tools/screenshots.py --all --folder build/gallery
	QT_SCALE_FACTOR=2 $(BIN)/python tools/screenshots.py --all --folder build/gallery/2x

translations: test-setup
	$(BIN)/python tools/translations.py

setup:
	@PYTHON="$(PYTHON)" tools/setup run

test-setup:
	@PYTHON="$(PYTHON)" tools/setup test

test-all-setup:
	@PYTHON="$(PYTHON)" tools/setup test-all

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache
