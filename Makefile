SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup lock crds fixtures lint unit cluster faults soak e2e test images up down demo bench-demo bench-operator bench-churn bench-label bench-label-kinds bench-recheck bench-train bench-losses bench-quality bench-gate clean

export DISTILLERY_CACHE ?= /var/cache/distillery
# Of this clone: the virtualenv is shared and holds none of the project's code.
export PYTHONPATH := $(CURDIR)/crds:$(CURDIR)/operator:$(CURDIR)/gate:$(CURDIR)/storage:$(CURDIR)/engine:$(CURDIR)/images/worker:$(CURDIR)/images/server:$(CURDIR)/client
# ONNX Runtime would otherwise send usage data to its maker.
export ORT_DISABLE_TELEMETRY := 1
# No target may reach a cluster that the shell happens to point at.
unexport KUBECONFIG

BENCH_PATH = $(PYTHONPATH):$(CURDIR)/hack/cluster:$(CURDIR)/tests/builders
# Made on first use, once per run of make.
VENV = $(eval VENV := $$(or $$(shell hack/venv.sh),$$(error no virtualenv)))$(VENV)
CLUSTER = $(VENV)/bin/python hack/cluster/cluster.py
SCRIPTS = $(shell git ls-files --cached --others --exclude-standard '*.sh' .ci/run)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## what every other target needs: the virtualenv, Debian packages, the cluster's programs
	@echo "virtualenv: $(VENV)"
	@$(CLUSTER) tools

lock: ## write locks/*.txt from pyproject.toml; UPGRADE="--upgrade" takes new versions
	@hack/lock.sh $(UPGRADE)

crds: ## write the CRDs from crds/distillery_api
	@$(VENV)/bin/python hack/crds.py

fixtures: ## write integrations/fixtures, an object of each state, from the operator's planning
	@PYTHONPATH=$(PYTHONPATH):tests/builders:hack $(VENV)/bin/python tests/unit/operator/recorded_states.py

lint: ## style, types, import rules, YAML, shell, Dockerfiles, generated files
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	MYPYPATH=hack $(VENV)/bin/mypy hack/*.py
	cd hack/cluster && $(VENV)/bin/mypy --config-file ../../pyproject.toml *.py
	$(VENV)/bin/lint-imports
	$(VENV)/bin/yamllint --strict .
	$(VENV)/bin/shellcheck $(SCRIPTS)
	$(VENV)/bin/hadolint images/*/Dockerfile
	$(VENV)/bin/python hack/crds.py --check

unit: setup ## tests of single parts
	$(VENV)/bin/pytest tests/unit

cluster: setup ## tests of the operator against a real API server
	$(VENV)/bin/pytest tests/cluster

faults: setup ## faults between operator and API server: a sample (SEED=1 takes another one), or FAULT=NAME
	$(VENV)/bin/pytest tests/faults --faults-seed=$(or $(SEED),0) $(if $(FAULT),--fault='$(FAULT)')

soak: setup ## every fault at every point, MINUTES=240 at most; the last line is one JSON object
	@PYTHONPATH=$(PYTHONPATH):hack:hack/cluster:tests/builders $(VENV)/bin/python tests/faults/soak.py \
	  --minutes $(or $(MINUTES),240) --output docs/soak/faults.json

e2e: images ## tests of images, chart and pods on the embedded cluster
	$(VENV)/bin/pytest tests/e2e

test: lint unit cluster faults e2e ## everything above; CI runs this

images: up ## build the images and push them to the embedded cluster's registry
	@$(VENV)/bin/python hack/images.py

up: setup ## start the embedded cluster
	@$(CLUSTER) up

down: ## stop the embedded cluster
	@$(CLUSTER) down

demo: setup ## from `kubectl apply` to a served student, on the embedded cluster
	@$(VENV)/bin/python hack/demo.py

bench-demo: setup ## the demo's case measured; the last line is one JSON object
	@$(VENV)/bin/python hack/demo.py --json

bench-operator: setup ## the operator under load, beside one in Go; SIZES=100,1000 for less; the last line is JSON
	@PYTHONPATH=$(BENCH_PATH) $(VENV)/bin/python tests/bench/operator_bench.py $(if $(SIZES),--sizes $(SIZES))

bench-churn: setup ## the operator's memory while jobs come and go; JOBS=1000 for less; the last line is JSON
	@PYTHONPATH=$(BENCH_PATH) $(VENV)/bin/python tests/bench/churn_bench.py $(if $(JOBS),--jobs $(JOBS))

bench-label: setup ## labelling beside the teacher's forward pass; TEACHER=folder TEXT=file for a real one; the last line is JSON
	@$(VENV)/bin/python tests/bench/label_bench.py $(if $(TEACHER),--teacher $(TEACHER) --text $(TEXT))

bench-label-kinds: setup ## sampled labels against top-k at equal bytes, about an hour of CPU; the last line is JSON
	@$(VENV)/bin/python tests/bench/label_kinds_bench.py "$$($(VENV)/bin/python examples/sotu/prepare.py | tail -1)"

bench-recheck: setup ## what moves stored labels, beside what their re-check allows, under a minute; the last line is JSON
	@$(VENV)/bin/python tests/bench/recheck_bench.py \
	  "$$($(VENV)/bin/python examples/wordnet/prepare.py --size tiny | tail -1)" \
	  "$$($(VENV)/bin/python examples/sotu/prepare.py --size tiny | tail -1)"

bench-train: setup ## learning from labels beside plain cross-entropy, time and memory; the last line is JSON
	@$(VENV)/bin/python tests/bench/train_bench.py

bench-gate: setup ## how often the gate errs at its thresholds, in simulations, about ten minutes; the last line is JSON
	@PYTHONPATH=$(BENCH_PATH) $(VENV)/bin/python tests/bench/gate_bench.py $(if $(SIMULATIONS),--simulations $(SIMULATIONS))

bench-losses: setup ## losses of tokens beside TRL's, time, memory and values; the last line is JSON
	@trl=$(DISTILLERY_CACHE)/bench/trl-$$(sha256sum tests/bench/peer/trl.txt | cut -c1-12); \
	UV_CACHE_DIR=$(DISTILLERY_CACHE)/uv "$$(hack/venv.sh --uv)" pip install --quiet --no-config --no-deps \
	  --python $(VENV)/bin/python --target "$$trl" -r tests/bench/peer/trl.txt && \
	$(VENV)/bin/python tests/bench/losses_bench.py --trl "$$trl"

bench-quality: setup ## student against control on the examples, three seeds each; CASES="wordnet vader" for less; the last line is JSON
	@$(VENV)/bin/python tests/bench/quality_bench.py $(if $(CASES),--cases $(CASES))

clean: ## stop the cluster and give back everything that these targets stored
	@case "$(DISTILLERY_CACHE)" in \
	  */distillery | */distillery/*) ;; \
	  *) echo "clean removes only a folder called distillery; remove $(DISTILLERY_CACHE) yourself" >&2; exit 1 ;; \
	esac
	python3.11 hack/cluster/cluster.py down --purge
	rm -rf --one-file-system "$(DISTILLERY_CACHE)" /run/distillery-images
