# run and test do all their own set-up: system libraries, a virtual environment in .venv, the locked packages.
# run installs what the app needs, test what its tests need on top; test-all adds servers, a screen and the like.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q
COMMIT = $(shell git describe --always --dirty --abbrev=40 2>/dev/null || echo unknown)
QUICK := tests/model tests/text tests/repository/test_layers.py tests/repository/test_desktop_files.py \
	$(addprefix tests/http/test_,$(addsuffix .py,digest_fields filenames resume retry addresses)) \
	$(addprefix tests/,$(addsuffix .py,system/test_lock storage/test_settings storage/test_secrets wire/test_simulation \
	engine/test_queue promises/faults/test_startup_table))

.PHONY: run test test-all quick check format bench screenshots translations fresh pythons setup test-setup \
	test-all-setup clean

run: setup
	@$(BIN)/transfermon gui --demo

# A run writes build/NAME.xml; the fullest one of a commit is build/junit.xml.
define pytest
@mkdir -p build && rm -f build/$(1).xml
@$(PYTEST) -n auto --dist worksteal -rfEs -o junit_suite_name=$(COMMIT) --junitxml=build/$(1).xml $(2); \
	code=$$?; $(BIN)/python tools/keep_report.py build/$(1).xml && exit $$code
endef

test: test-setup
	$(call pytest,test,-m "not slow")

test-all: test-all-setup
	$(call pytest,test-all,--hypothesis-profile=all)

# Rules alone: no socket, no process, no window.
quick: test-setup
	@$(PYTEST) -n auto $(QUICK)

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
	$(BIN)/python tools/promises.py --check
	$(BIN)/python tools/house.py

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
