# Penumbra's commands. `make help` lists them; README.md says what they show.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PYTHON ?= python3
# cpu or gpu: which inference and search engines the demo takes.
ACCEL ?= cpu
# `SYSTEM_PACKAGES=no` forbids installing Debian packages (python3-venv, redis-server, postgresql) where they are missing.
SYSTEM_PACKAGES ?= yes
DEMO_ARGS ?=
PYTEST_ARGS ?=
# Processes that `make test` runs tests in; of several, each on one core. A file's tests stay together: they share a
# service. A process that dies ends the run, for xdist waits for ever for a file that it had begun with.
WORKERS ?= 2
SOAK_ARGS ?=

ifeq ($(filter $(ACCEL),cpu gpu),)
$(error ACCEL is cpu or gpu, not "$(ACCEL)")
endif

# One environment per set: onnxruntime and onnxruntime-gpu (and the two FAISS builds) claim the same import names.
comma := ,

DEMO_ENV := $(if $(filter gpu,$(ACCEL)),.venv-gpu,.venv)
TEST_ENV := .venv-test

# install_debian PACKAGE...: as root or through passwordless sudo; fails where neither is to be had.
define INSTALL_DEBIAN
install_debian() {
    [ "$(SYSTEM_PACKAGES)" = yes ] && command -v apt-get > /dev/null || return 1
    local as_root=()
    if [ "$$(id -u)" != 0 ]; then
        sudo -n true 2> /dev/null || return 1
        as_root=(sudo -n)
    fi
    echo "make: installing $$* with apt-get"
    "$${as_root[@]}" apt-get update -qq || return 1
    "$${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$$@" > /dev/null
}
endef

# Brings the environment $(@D) to the sets $(1). A whole environment is kept and updated; a broken one is made anew.
define CREATE_ENVIRONMENT
$(INSTALL_DEBIAN)
if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "make: Penumbra needs Python 3.11 or newer as '$(PYTHON)'; name another one with PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$(@D)/bin/python" -m pip --version > /dev/null 2>&1; then
    # Debian keeps the half of venv that brings pip in a package of its own.
    if ! "$(PYTHON)" -c 'import ensurepip' 2> /dev/null && ! install_debian python3-venv; then
        echo "make: '$(PYTHON)' cannot create environments with pip. On Debian: apt-get install python3-venv" >&2
        exit 1
    fi
    "$(PYTHON)" -m venv --clear "$(@D)"
fi
"$(@D)/bin/python" -m pip install --disable-pip-version-check --quiet \
    --constraint constraints.txt --editable '.[$(1)]'
touch "$@"
endef

.PHONY: help demo test lint soak servers clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	echo "  Settings: ACCEL=cpu|gpu PYTHON=python3 DEMO_ARGS=... PYTEST_ARGS=... WORKERS=2 SYSTEM_PACKAGES=yes|no"

demo: $(DEMO_ENV)/.installed ## draw a gallery of people, find occluded ones in it over REST, leave the service running
	@exec "$(DEMO_ENV)/bin/penumbra" demo $(DEMO_ARGS)

test: $(TEST_ENV)/.installed servers lint ## linters, type checks, all tests (real Redis and PostgreSQL included)
	@export PATH="$(CURDIR)/$(TEST_ENV)/bin:$$PATH"
	$(if $(filter-out 0 1,$(WORKERS)),OMP_NUM_THREADS=1 pytest --numprocesses $(WORKERS) --dist loadfile --max-worker-restart 0,pytest) $(PYTEST_ARGS)

lint: $(TEST_ENV)/.installed ## linters and type checks alone
	@export PATH="$(CURDIR)/$(TEST_ENV)/bin:$$PATH"
	ruff check .
	ruff format --check .
	mypy
	lint-imports

soak: $(TEST_ENV)/.installed servers ## what takes hours: kills, faults of all the service stands on, load (SOAK_ARGS="--help")
	@"$(TEST_ENV)/bin/python" -m tests.soak $(SOAK_ARGS)

servers:
	@$(INSTALL_DEBIAN)
	if ! command -v redis-server > /dev/null && ! install_debian redis-server; then
	    echo "make: the tests need a Redis server. On Debian: apt-get install redis-server" >&2
	    exit 1
	fi
	if ! command -v postgres > /dev/null && ! ls /usr/lib/postgresql/*/bin/postgres > /dev/null 2>&1 \
	    && ! install_debian postgresql; then
	    echo "make: the tests need a PostgreSQL server. On Debian: apt-get install postgresql" >&2
	    exit 1
	fi

clean: ## remove environments, caches and what the demo wrote
	rm -rf .venv .venv-gpu .venv-test build dist demo-output *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed .venv-gpu/.installed: pyproject.toml constraints.txt
	@echo "make: installing the $(ACCEL) set into $(@D)"
	$(call CREATE_ENVIRONMENT,$(ACCEL))

.venv-test/.installed: pyproject.toml constraints.txt
	@echo "make: installing the sets cpu, training and dev into $(@D) (about 5 GB with PyTorch and CUDA)"
	$(call CREATE_ENVIRONMENT,cpu$(comma)training$(comma)dev)
