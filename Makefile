# One command a duty. Every path is relative to this folder, so `make -C elsewhere/kubernaut-workflow demo` works too.
.DEFAULT_GOAL := help
.PHONY: help setup demo parts test lint mutants simulate chaos outages crashes load bench image scan secrets generate kustomize lock clean

BIN := .venv/bin

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with everything that is needed, .venv/bin/kubernaut included
	@PYTHON="$(PYTHON)" ./scripts/bootstrap

demo: setup ## run the sample workflows on real parts, shown live
	@$(BIN)/kubernaut demo

lint: setup ## style, types, layers, and whether generated files are current
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check

parts: setup ## build the local Kubernetes control plane, unless it is in the cache
	@$(BIN)/python -m kubernaut.local

test: lint parts ## all of lint, then every test on real parts
	$(BIN)/python -m tests

mutants: setup ## change the deciding code in small ways and see a test fail for each; hours, or MODULE=scheduler/graph.py
	@$(BIN)/python -m tests.mutation $(MODULE)

SEEDS ?= 10000
simulate: setup ## run the services simulated, SEEDS times, with everything going wrong that can
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

MINUTES ?= 10
chaos: setup parts ## kill, freeze and restart the real processes for MINUTES minutes, and judge what is left
	$(BIN)/python -m tests.chaos --minutes $(MINUTES)

outages: setup parts ## a part is away or stands still for up to ten minutes, in the middle of fifty runs
	$(BIN)/python -m tests.e2e.outages

crashes: setup parts ## let a service die at every effect, before it, after it, and with the answer lost
	$(BIN)/python -m tests.failpoints

load: setup parts ## ten thousand workflows at once, each service under a limit of memory
	$(BIN)/python -m tests.load

bench: setup ## measure throughput, handoff, CPU and memory beside the floor
	$(BIN)/python -m benchmarks

image: ## build the container image and its bill of materials; IMAGE=, BASE=, PLATFORM= … (docs/image.md)
	@IMAGE="$(IMAGE)" BASE="$(BASE)" BUILDER="$(BUILDER)" PLATFORM="$(PLATFORM)" ./deploy/image/build

scan: setup ## known weaknesses of all that is locked; asks the advisory service of PyPI
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements/dev.lock

secrets: setup ## look for secrets in all of the history
	$(BIN)/python -m tests.supply_chain.secrets --history

generate: setup ## write the files that are made from schemas/
	$(BIN)/python -m schemas.generate
	$(BIN)/python deploy/observability/wrap.py
	$(BIN)/python deploy/chart/document.py
	$(BIN)/python -m scheduler.transitions > docs/states.md
	$(BIN)/python -m scheduler.control_page > docs/control.md
	$(BIN)/python scripts/licences.py
	$(BIN)/python -m kubernaut.doctor.page > docs/doctor.md
	$(BIN)/python -m kubernaut.doctor.schema > docs/doctor.schema.json

kustomize: setup ## render deploy/kustomize from the chart; builds helm the first time
	$(BIN)/python -m tests.kustomize.rendering

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
lock: setup ## choose the dependencies anew and write requirements/
	$(LOCK) pyproject.toml --all-extras -o requirements/dev.lock
	$(LOCK) pyproject.toml --constraints requirements/dev.lock -o requirements/runtime.lock
	$(LOCK) --group pyproject.toml:image --constraints requirements/dev.lock -o requirements/image-build.lock

clean: ## delete .venv and what tools have cached here
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
