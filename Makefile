# Every target sets itself up: `make demo` and `make test` work in a fresh clone.
# Needs GNU make, python3 >= 3.11 and python3-venv; tests also need what .ci/run installs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PIP_FLAGS := --quiet --disable-pip-version-check --no-input --only-binary=:all:
SOURCES := src tests scripts bench evidence hil_tests

# For other machines than this one: the torch that `make train` installs (CONTRIBUTING.md).
TORCH ?= torch==2.13.0
# The labgrid environment that `make hil` tests.
HIL_ENV ?= hil_tests/env/loopback.yaml
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test poses lint check fix bench evidence broker soak-delivery bench-cluster wheel lock train hil hil-image hil-emulated clean

# A virtual environment does not survive being moved: one that was made elsewhere is made again.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

help: ## this list
	@echo "alpr-edge: make TARGET. Every target sets up what it needs."
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(STAMP) ## .venv from requirements/dev.lock (versions and hashes pinned)

$(STAMP): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "alpr-edge needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 2; }
	@echo "setting up $(VENV) (about 1.2 GB, a minute the first time; again only when the lock changes)"
	@grep -qsxF "$(CURDIR)" $@ || $(PYTHON) -m venv --clear $(VENV)
	@rm -f $@
	@$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --no-index -e .
	@printf '%s\n' "$(CURDIR)" > $@

demo: $(STAMP) ## simulated street, mask, models, tracks, embedded broker: no hardware needed
	@$(BIN)/alpr-edge demo $(ARGS)

test: $(STAMP) .venv-hil/.set-up ## the tests, the bench's loopback unit too (ARGS="-k word"); ALPR_EDGE_PHOTOS names the real photos
	@$(BIN)/python -m pytest $(ARGS)

poses: $(STAMP) ## projection against the street's truth over 1,000 random poses with noise
	@ALPR_EDGE_POSES=1000 $(BIN)/python -m pytest tests/exclusion/test_projection.py -k every_pose $(ARGS)

lint: $(STAMP) ## the static checks; writes nothing
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/error_codes.py --check
	$(BIN)/python scripts/messages.py --check
	$(BIN)/python scripts/console_commands.py --check
	$(BIN)/python scripts/roadside_page.py --check

check: lint test ## all of it: the static checks, then the tests

fix: $(STAMP) ## format, repair what ruff can, write docs/errors.md anew
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/python scripts/error_codes.py --write
	$(BIN)/python scripts/messages.py --write
	$(BIN)/python scripts/console_commands.py --write
	$(BIN)/python scripts/roadside_page.py --write

# With --photos the peers run too, in an environment of their own.
bench: $(STAMP) $(if $(findstring --photos,$(ARGS)),.venv-bench/.set-up) ## milliseconds, start-up, memory; with ARGS="--photos DIR --labels FILE.jsonl" beside RapidOCR
	@$(BIN)/python -m bench $(ARGS)
	@$(BIN)/python -m bench.bench_delivery
	@$(BIN)/python -m bench.bench_ledger

.venv-bench/.set-up: requirements/bench.lock
	@$(PYTHON) -m venv --clear .venv-bench
	@.venv-bench/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r $<
	@touch $@

evidence: $(STAMP) ## the whole exclusion battery, resumable; signed report in out/evidence (40 minutes on a quiet core; ARGS=--quick)
	@$(BIN)/python -m evidence $(ARGS)

broker: $(STAMP) ## mosquitto with mutual TLS, CA and per-device ACL on 127.0.0.1:8883
	@scripts/broker out/broker

soak-delivery: $(STAMP) ## 10,000 events, 200 random kills of device and broker, all accounted for
	@$(BIN)/python -m bench.soak_delivery $(ARGS)

ENGINE ?= nats
bench-cluster: $(STAMP) ## 474 cameras against three nodes, one killed, one cut off (root; ENGINE=rabbitmq)
	@$(BIN)/python -m bench.cluster --engine $(ENGINE) $(ARGS)

wheel: $(STAMP) ## dist/alpr_edge-….whl with the models in it
	@$(BIN)/python -m hatchling build -t wheel -d dist

# uv resolves for every platform at once and reads the hashes of all files of a release.
UV = .venv-lock/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
  --generate-hashes --no-annotate --custom-compile-command 'make lock'
lock: .venv-lock/.set-up ## the lock files anew from pyproject.toml (ARGS=--upgrade for new versions)
	$(UV) $(ARGS) requirements/lock-tool.in -o requirements/lock-tool.lock
	$(UV) $(ARGS) pyproject.toml --extra dev -o requirements/dev.lock
	$(UV) pyproject.toml -c requirements/dev.lock -o requirements/device.lock
	$(UV) $(ARGS) pyproject.toml requirements/train-torch.in --extra train \
	  --override requirements/train-without-torch.txt -c requirements/dev.lock \
	  -o requirements/train.lock
	$(UV) $(ARGS) requirements/hil.in -c requirements/dev.lock -o requirements/hil.lock
	$(UV) $(ARGS) requirements/bench.in -c requirements/dev.lock -o requirements/bench.lock

.venv-lock/.set-up: requirements/lock-tool.lock
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r $<
	@touch $@

RUNS ?= $(CURDIR)/runs
train: .venv-train/.set-up .venv-bench/.set-up ## train both models anew into RUNS=runs (eight hours on two cores; BF16=--bf16)
	@test -n "$$ALPR_EDGE_PHOTOS" || { echo "set ALPR_EDGE_PHOTOS to the folder with train/" >&2; exit 2; }
	@TEACHER="$(CURDIR)/.venv-bench/bin/python" scripts/train/retrain.sh "$(abspath $(RUNS))" "$(CURDIR)/.venv-train/bin/python"

.venv-train/.set-up: requirements/train.lock pyproject.toml
	@$(PYTHON) -m venv --clear .venv-train
	@.venv-train/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements/train.lock
	@.venv-train/bin/python -m pip install $(PIP_FLAGS) --no-deps "$(TORCH)"
	@printf '%s\n' "$(CURDIR)/src" > .venv-train/lib/$$(.venv-train/bin/python -c \
	  'import sys; print("python%d.%d" % sys.version_info[:2])')/site-packages/alpr_edge.pth
	@touch $@

hil: $(STAMP) .venv-hil/.set-up ## the bench's suite on a process of this machine; HIL_ENV=… another unit
	@.venv-hil/bin/python -m pytest -c hil_tests/pytest.ini --rootdir . hil_tests --lg-env "$(HIL_ENV)" $(ARGS)

hil-image: $(STAMP) ## the bootable aarch64 image of hil-emulated, kept (root; ten minutes the first time)
	@scripts/hil/build_image

hil-emulated: hil-image .venv-hil/.set-up ## the suite on a booted aarch64 unit under QEMU (half an hour)
	@.venv-hil/bin/python -m pytest -c hil_tests/pytest.ini --rootdir . hil_tests \
	  --lg-env hil_tests/env/emulated.yaml $(ARGS)

# Without a pip of its own: that saves a third of the time.
.venv-hil/.set-up: requirements/hil.lock | $(STAMP)
	@$(PYTHON) -m venv --clear --without-pip .venv-hil
	@$(BIN)/python -m pip --python .venv-hil/bin/python install $(PIP_FLAGS) --require-hashes -r $<
	@touch $@

clean: ## everything that make made, the virtual environments included
	rm -rf .venv .venv-bench .venv-lock .venv-train .venv-hil out dist build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts bench hil_tests -name __pycache__ -type d -prune -exec rm -rf {} +
