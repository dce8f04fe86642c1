# `make help` lists what there is. Needs make and Python 3.11 or newer; environments are made where they are needed.

PORT ?= 8000
UI_PORT ?= 5000
OUT ?= mlruns/evaluation
DATA ?=
ARGS ?=
RUN ?=
VERSION ?=
REASON ?=
FORCE ?=
LIGHT ?=
export REASON

# The first that runs, is new enough and can make an environment.
CANDIDATES = $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python
FIND_PYTHON = for found in $(CANDIDATES); do \
	$$found -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; found=; done; \
	[ -n "$$found" ] || { echo "Python 3.11 or newer with venv was not found (tried: $(CANDIDATES))." \
	"Install it (Debian: apt-get install python3 python3-venv) or say PYTHON=/path/to/python." >&2; exit 1; }

# On Linux the default torch brings gigabytes of CUDA; the CPU build lies elsewhere, if that can be reached.
CPU_TORCH = https://download.pytorch.org/whl/cpu
FIND_CPU_TORCH = .venv/bin/python -c 'import urllib.request; urllib.request.urlopen("$(CPU_TORCH)/torch/", timeout=10)' \
	2>/dev/null && extra="--extra-index-url $(CPU_TORCH)" || extra=

FULL = .venv/bin/python
SERVE = .venv-serve/bin/python
REGISTRY = $(FULL) -m export.registry

.DEFAULT_GOAL := help
.PHONY: help setup serve train compare export gate challenge promote rollback history evaluate score bench bench-quick ui test lint clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: .venv/.ready .venv-serve/.ready ## Make both environments: serving alone, and everything

serve: .venv-serve/.ready ## Serve the shipped model and the page on PORT (8000); LIGHT=1 the light version
	@echo "Bonafide: open http://localhost:$(PORT)/ (stop with Ctrl-C)"
	@exec env PATH="$(CURDIR)/.venv-serve/bin:$$PATH" PORT=$(PORT) \
		$(if $(filter 1 yes true,$(LIGHT)),BONAFIDE_MODEL="$(CURDIR)/serving/light/detector.onnx") sh -c "exec env $$(sed -n 's/^web: *//p' Procfile)"

train: .venv/.ready ## Train on DATA=<protocol or folder>; without it a smoke run; ARGS="--set epochs=3 ..."
	$(FULL) -m training.train $(if $(DATA),--data "$(DATA)") $(ARGS)

compare: .venv/.ready ## Compare registered versions, VERSION="1 2" or all, on DATA
	$(REGISTRY) compare $(VERSION) $(if $(DATA),--data "$(DATA)") $(ARGS)

export: .venv/.ready ## Export RUN=<MLflow run id> to ONNX and register it as a version
	$(REGISTRY) export $(or $(RUN),$(error Say RUN=<MLflow run id>; make ui shows them)) $(if $(DATA),--data "$(DATA)") $(ARGS)

gate: .venv/.ready ## Say what the gate finds on VERSION, promote nothing
	$(REGISTRY) gate $(or $(VERSION),$(error Say VERSION=<number>; make compare lists them)) $(if $(DATA),--data "$(DATA)") $(ARGS)

challenge: .venv/.ready ## Name VERSION the challenger that shadows the shipped model, or VERSION=none
	$(REGISTRY) challenge $(or $(VERSION),$(error Say VERSION=<number> or none)) $(ARGS)

promote: .venv/.ready ## Make VERSION the shipped model; a failed gate needs FORCE=1 REASON="..."
	$(REGISTRY) promote $(or $(VERSION),$(error Say VERSION=<number>; make compare lists them)) $(if $(DATA),--data "$(DATA)") $(if $(filter 1 yes true,$(FORCE)),--force) $(if $(REASON),--reason "$$REASON") $(ARGS)

rollback: .venv/.ready ## Go back to the model shipped before; REASON="..."
	$(REGISTRY) rollback $(if $(REASON),--reason "$$REASON") $(ARGS)

history: .venv/.ready ## Show who promoted what, when and why
	$(REGISTRY) history $(ARGS)

evaluate: .venv/.ready ## Figures, plots and a table of the shipped model on DATA=<protocol TSV>, into OUT
	$(FULL) -m training.evaluate --protocol "$(or $(DATA),$(error Say DATA=<protocol TSV>))" --out "$(OUT)" $(ARGS)

score: .venv-serve/.ready ## Score DATA=<files, folders or protocol TSV> as TSV on stdout
	$(SERVE) -m serving.score $(if $(filter %.tsv,$(DATA)),--protocol) $(or $(DATA),$(error Say DATA=<files, folders or protocol TSV>)) $(ARGS)

bench: .venv/.ready ## Measure latency, throughput and memory
	$(FULL) -m bench $(ARGS)

bench-quick: .venv/.ready ## The same in about a minute
	$(FULL) -m bench --quick $(ARGS)

ui: .venv/.ready ## Open the MLflow page on loopback, UI_PORT (5000)
	@echo "MLflow: open http://localhost:$(UI_PORT)/ (stop with Ctrl-C)"
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false .venv/bin/mlflow ui --host 127.0.0.1 --port $(UI_PORT) --workers 1 \
		--backend-store-uri "$$($(FULL) -c 'from training.tracking import tracking_uri; print(tracking_uri())')"

test: .venv/.ready ## Run all tests, on up to four cores; ARGS="-k eer" for some
	OMP_NUM_THREADS=1 $(FULL) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

lint: .venv/.ready ## ruff and mypy
	$(FULL) -m ruff check .
	$(FULL) -m mypy

clean: ## Remove environments and caches; runs and models stay
	rm -rf .venv .venv-serve .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv-serve/.ready: requirements.txt
	@$(FIND_PYTHON); $$found -m venv .venv-serve
	.venv-serve/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/.ready: requirements-dev.txt requirements.txt
	@$(FIND_PYTHON); $$found -m venv .venv
	@$(FIND_CPU_TORCH); set -x; .venv/bin/python -m pip install --quiet --disable-pip-version-check $$extra -r requirements-dev.txt
	@touch $@
