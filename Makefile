# Everything a person or a machine does with this tree. `make help` lists it.
#
# Each target sets up what it needs: nothing but git, make, bash and a Python of at least 3.11 is presumed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Tests start hundreds of processes: our modules are compiled once, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# Tests and benchmarks also load ONNX Runtime without our packages.
export ORT_DISABLE_TELEMETRY := 1

# The Python to build .venv with; any of at least 3.11 is found by itself.
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Debian packages that tests want: a browser, a database server, glyphs to draw, a reader of XMP, a tracer of system calls. Empty it to be left alone.
SYSTEM_PACKAGES ?= chromium postgresql fonts-dejavu-core libimage-exiftool-perl strace
# What of the packages' branches the tests must reach, in percent.
COVERAGE ?= 88
# Where the tests stand, and what else pytest is told.
TESTS ?= tests
UNIT_TESTS ?= tests/unit
PYTEST_FLAGS ?=
# Which tests `make test-random` runs.
MARK ?= not slow
# How many processes run them: one more than cores, because many tests wait for a process or a clock.
WORKERS ?= $$(( $$(nproc 2>/dev/null || echo 2) + 1 ))
# A folder of pictures for `make run`. It is taken as it is written: a dollar sign or a blank is part of a path.
override PHOTOS := $(value PHOTOS)
export PHOTOS
# UPGRADE=--upgrade makes `make lock` take newer versions; without it the lock only follows pyproject.toml.
UPGRADE ?=

PIP := $(BIN)/python -m pip --quiet --quiet --no-input --disable-pip-version-check
PROVIDERS := cpu cuda openvino migraphx
# One thread for each product of matrices: several processes with a thread for each core slow each other down.
PYTEST = OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: help setup system run demo test test-quick test-slow test-random coverage lint bench lock clean

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

# ---------------------------------------------------------------------------------------------------------- setup

setup: $(INSTALLED) system  ## Install everything into .venv, exactly as locked

# A Python that starts, is new enough and can make a venv; Debian keeps the last in a package of its own.
define FIND_PYTHON
find_python() { \
  for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
      command -v "$$candidate"; return; \
    fi; \
  done; \
  return 1; \
}
endef

# The stamp is written last: an install that was cut short is done again.
# --no-build-isolation, because the project's builder comes from the lock as well.
$(INSTALLED): requirements.lock pyproject.toml immich_facesets/model_packs.py immich_facesets/runtime/onnx_folding.py
	@$(FIND_PYTHON); \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  if ! find_python >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get -qq update && apt-get -qq install --yes --no-install-recommends python3 python3-venv; \
	  fi; \
	  if ! python=$$(find_python); then \
	    echo "setup: no Python of at least 3.11 with venv was found;" \
	      "install one (Debian: apt install python3-venv) or name it: make setup PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  echo "setup: creating $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@echo "setup: installing what requirements.lock names into $(VENV)"
	@$(PIP) install --no-deps --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m immich_facesets.runtime.free_pack
	@touch $@

# Tests that miss one of these skip and say so; only root on a Debian can have them installed.
system:
	@missing=(); \
	for package in $(SYSTEM_PACKAGES); do \
	  case $$package in \
	    chromium|strace) command -v "$$package" >/dev/null || missing+=("$$package");; \
	    postgresql) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null \
	      || missing+=("$$package");; \
	    libimage-exiftool-perl) command -v exiftool >/dev/null || missing+=("$$package");; \
	    fonts-*) [ -e "/usr/share/doc/$$package" ] || [ "$$(uname -s)" != Linux ] || missing+=("$$package");; \
	  esac; \
	done; \
	if [ "$${#missing[@]}" = 0 ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "setup: installing Debian's $${missing[*]}"; \
	  apt-get -qq update; \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$${missing[@]}" >/dev/null; \
	else \
	  echo "setup: not installed, and only root can: $${missing[*]}; the tests that need them will skip"; \
	fi

# ------------------------------------------------------------------------------------------------------------ run

run: $(INSTALLED)  ## Sync and serve the pages: PHOTOS=~/Pictures, or your Immich by IMMICH_URL, else the demo
	@exec $(BIN)/immich-facesets run $${PHOTOS:+"--photos=$$PHOTOS"}

demo: $(INSTALLED)  ## Show the whole product on invented people
	@exec $(BIN)/immich-facesets demo

# ---------------------------------------------------------------------------------------------------------- check

# Style and types are checked beside the tests: make runs the three with -j2.
test: setup  ## Lint and the quick tests (below 8 minutes on two cores)
	@$(MAKE) --jobs=2 --output-sync=target lint test-quick

test-quick: $(INSTALLED)
	@$(PYTEST) $(TESTS) -m "not slow" $(PYTEST_FLAGS)

test-slow: setup  ## The other tests (all photos, kills, versions, PostgreSQL twins, images), then the coverage
	@$(PYTEST) $(TESTS) -m slow $(PYTEST_FLAGS)
	@$(MAKE) coverage

# Other examples of each property than the suite draws, so a failure may be older than the change.
test-random: $(INSTALLED)  ## The quick tests on examples drawn anew (MARK=slow: the slow ones)
	@$(PYTEST) $(TESTS) -m "$(MARK)" --hypothesis-profile random $(PYTEST_FLAGS)

# Only unit tests are measured: journeys start processes that end without writing what they reached.
# The measurement takes as long again as the tests, so it is no part of the quick run.
coverage: $(INSTALLED)  ## The unit tests, and how much of the packages they reach
	@$(PYTEST) $(UNIT_TESTS) -m "not slow" \
	  --cov --cov-branch --cov-report term --cov-fail-under $(COVERAGE) $(PYTEST_FLAGS)

lint: $(INSTALLED)  ## Style, types, prose and who may import whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/support/prose_check.py

bench: $(INSTALLED)  ## Measure what docs/accuracy.md claims
	@if [ ! -e tests/bench/run.py ]; then echo "bench: this tree has no benchmarks" >&2; exit 1; fi
	@$(BIN)/python tests/bench/run.py

# ----------------------------------------------------------------------------------------------------------- lock

# Universal (every platform, every Python from 3.11 on), with hashes, free of any registry's address.
#
# opencv-python is left out: insightface, a reference of the tests alone, asks for it, and it owns the same `cv2`
# as the opencv-python-headless that we use. The project's builder, hatchling, comes in by standard input, and with it
# editables, which it wants for an editable install.
# The images' locks take the versions that requirements.lock has tested.
COMPILE = $(BIN)/uv --no-config pip compile --quiet --universal --generate-hashes $(UPGRADE) \
  --excludes <(echo opencv-python) --custom-compile-command 'make lock'

lock: $(INSTALLED)  ## Write requirements.lock and the images' locks anew
	@$(BIN)/uv --version >/dev/null 2>&1 || $(PIP) install uv
	@printf 'editables\nhatchling\n' | $(COMPILE) --extra dev --output-file requirements.lock pyproject.toml -
	@echo hatchling | $(COMPILE) --constraints requirements.lock --output-file docker/build.lock -
	@$(COMPILE) --constraints requirements.lock --extra service --extra postgres \
	  --output-file docker/service.lock pyproject.toml
	@$(COMPILE) --constraints requirements.lock --extra models --output-file docker/models.lock pyproject.toml
	@for provider in $(PROVIDERS); do \
	  if [ "$$provider" = cuda ]; then echo 'onnxruntime-gpu[cuda,cudnn]'; fi | \
	  $(COMPILE) --constraints requirements.lock --extra "embedder-$$provider" \
	    --output-file "docker/embedder-$$provider.lock" pyproject.toml -; \
	done
	@if grep -nE '://|--(extra-)?index-url|--find-links' requirements.lock docker/*.lock; then \
	  echo "lock: a lock names where packages come from; that is for each machine to say" >&2; exit 1; \
	fi

clean:  ## Remove what the other targets made (not your data)
	rm -rf $(VENV) dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find immich_facesets service embedder tests -name __pycache__ -type d -prune -exec rm -rf {} +
