# One door to everything. `make` alone prints what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: models help setup demo up down run batch redrive report open budget test soak bench check format synth layers bootstrap deploy destroy secret user token openapi graphs screenshots lighthouse browser constraints clean

PYTHON ?= python3
PORT ?= 4566
TARGET ?= local
CONTEXT ?=
BROWSERS := chromium chromium-browser google-chrome
CDK := aws-cdk@2.1148.1
ASL_VALIDATOR := asl-validator@4.0.0

VENV := .venv
BIN := $(VENV)/bin
# Bytecode is kept, whatever the caller wants for their own code: without it every function of the local stack compiles openai anew.
unexport PYTHONDONTWRITEBYTECODE
# npm and npx come with the environment's own Node; what they fetch stays in the environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export npm_config_cache := $(CURDIR)/$(VENV)/npm
export npm_config_update_notifier := false
PINS := requirements.txt constraints.txt
PIN_LAYER := $(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-platform aarch64-manylinux_2_28 --python-version 3.14 --only-binary :all: -c constraints.txt

help: ## Print this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

$(VENV)/.made: $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Easel needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with PYTHON=…")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): about 900 MB in the end, once"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.txt)" 2>$(VENV)/setup.log \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt -c constraints.txt 2>>$(VENV)/setup.log \
	  || { echo "The packages can't be installed: is there a network, and a package index? $$(grep -v '^WARNING' $(VENV)/setup.log | tail -n 1)" >&2; exit 1; }
	@touch $@

$(VENV)/.made-dev: $(VENV)/.made requirements-dev.txt Makefile
	@echo "Adding the test and lint tools to $(VENV)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt -c constraints.txt
	@npx --yes $(CDK) --version >/dev/null && npx --yes $(ASL_VALIDATOR) --version >/dev/null
	@touch $@

setup: $(VENV)/.made ## Set the environment up (demo, up, synth and deploy do it by themselves)

demo: $(VENV)/.made ## Deploy to the local AWS, make pictures end to end, show where they are
	@$(BIN)/python -m local demo --port $(PORT) --context="$(CONTEXT)"

up: $(VENV)/.made ## Leave the stack running; CONTEXT="-c name=value" for settings, PORT=4566
	@$(BIN)/python -m local up --port $(PORT) --context="$(CONTEXT)"

down: $(VENV)/.made ## Stop it and drop its data; KEEP=1 keeps the data
	@$(BIN)/python -m local down $(if $(KEEP),--keep)

run: $(VENV)/.made ## Start one run: INPUT=examples/default.json; TARGET=aws for the deployed stack
	@$(BIN)/python -m operate --target $(TARGET) run "$(or $(INPUT),examples/default.json)"

batch: $(VENV)/.made ## Make the pictures of a file: FILE=examples/campaign.jsonl; DRY_RUN=1, ALLOW_PARTIAL=1, ECONOMY=1, PARALLEL=n, TOLERATED=percent, NAME=…
	@$(BIN)/python -m operate --target $(TARGET) batch "$(or $(FILE),$(error say which file: make batch FILE=…))" $(if $(NAME),--name "$(NAME)") \
	  $(if $(DRY_RUN),--dry-run) $(if $(ALLOW_PARTIAL),--allow-partial) $(if $(ECONOMY),--economy) $(if $(PARALLEL),--max-parallel-images "$(PARALLEL)") \
	  $(if $(TOLERATED),--tolerated-failure-percentage "$(TOLERATED)")

redrive: $(VENV)/.made ## Go on with a run that failed, paying only for what is missing: RUN=its name or request_id
	@$(BIN)/python -m operate --target $(TARGET) redrive "$(or $(RUN),$(error say which run: make redrive RUN=…))"

report: $(VENV)/.made ## Say what a run made, also where it failed: RUN=its name or request_id
	@$(BIN)/python -m operate --target $(TARGET) report "$(or $(RUN),$(error say which run: make report RUN=…))"

budget: $(VENV)/.made ## Show the month's spent, reserved and cap; USD=… changes the cap at once, 0 stops all spending
	@$(BIN)/python -m operate --target $(TARGET) budget $(if $(filter command,$(firstword $(origin USD))),"$(or $(USD),$(error USD is empty: give a number of dollars such as USD=25))")

open: $(VENV)/.made ## Open a run's pictures: RUN=its name
	@$(BIN)/python -m operate --target $(TARGET) open "$(or $(RUN),$(error say which run: make open RUN=…))"

user: $(VENV)/.made ## Add a user of the page: EMAIL=…; TARGET=aws for the deployed stack
	@$(BIN)/python -m operate --target $(TARGET) user "$(or $(EMAIL),$(error say who: make user EMAIL=…))"

token: $(VENV)/.made ## Print an access token of the API for a program; SCOPE=read or write for that alone
	@$(BIN)/python -m operate --target $(TARGET) token $(if $(SCOPE),--scope "$(SCOPE)")

models: $(VENV)/.made ## Check the models' table against the openai package, and tell which models end within 90 days
	@$(BIN)/python -m operate.models

openapi: $(VENV)/.made ## Write docs/openapi.json again, after a change of the API
	@$(BIN)/python -m functions.api.document > docs/openapi.new && mv docs/openapi.new docs/openapi.json

graphs: synth ## Draw the state machines in the docs anew, after a change of them
	@$(BIN)/python -m infra.state_graph

screenshots: $(VENV)/.made-dev browser ## Take the README's pictures of the page anew
	@$(BIN)/python -m tests.doors.screenshots

lighthouse: $(VENV)/.made-dev browser ## Lighthouse's scores of the page, signed out and in; the network is needed once
	@$(BIN)/python -m bench.page

browser:
	@command -v $(BROWSERS) >/dev/null || { echo "The tests of the page need a browser; on Debian: apt-get install chromium" >&2; exit 1; }

test: $(VENV)/.made-dev layers browser ## Run all tests
	@$(BIN)/python -m infra.layers --here >/dev/null
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

soak: $(VENV)/.made-dev ## A long random walk of faults: RUNS=2000 SEED=soak
	@EASEL_WALK_RUNS=$(or $(RUNS),2000) EASEL_WALK_SEED=$(or $(SEED),soak) $(BIN)/python -m pytest tests/faults/test_walk.py -s

bench: $(VENV)/.made-dev layers ## Measure everything side by side and write bench/results.md; N8N=1 against n8n, too (3 GB)
	@$(BIN)/python -m infra.layers --here >/dev/null
	@$(BIN)/python -m bench $(if $(N8N),--n8n)

check: $(VENV)/.made-dev ## Format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.made-dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

layers: $(VENV)/.made ## Build the Lambda layers for arm64 (synth and deploy need them)
	@$(BIN)/python -m infra.layers

synth: layers ## Write the template and its assets to cdk.out: no account, no Docker; no network once the layers are built
	@$(BIN)/python app.py $(CONTEXT) && echo "cdk.out/Easel.template.json"

bootstrap: $(VENV)/.made ## Prepare an AWS account and region for the CDK, once
	npx --yes $(CDK) bootstrap

deploy: layers ## Deploy to AWS with your credentials
	npx --yes $(CDK) deploy $(CONTEXT)

destroy: layers ## Take the stack off AWS; pictures and table stay unless retain_images is off
	npx --yes $(CDK) destroy $(CONTEXT)

secret: TARGET := aws
secret: $(VENV)/.made ## Set the OpenAI key of the deployed stack, from a prompt or standard input
	@$(BIN)/python -m operate --target $(TARGET) secret

constraints: $(VENV)/.made ## Pin anew what the requirements bring along
	@$(BIN)/uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 --output-file constraints.txt requirements-dev.txt
	@for name in boto3 powertools pillow pydantic pybase64 obstore; do $(PIN_LAYER) infra/layer_pins/$$name.in -o infra/layer_pins/$$name.txt || exit 1; done
	@$(PIN_LAYER) $$(grep -oE '^[a-z0-9._-]+' infra/layer_pins/pydantic.txt | sed 's/^/--no-emit-package /') infra/layer_pins/openai.in -o infra/layer_pins/openai.txt

clean: ## Remove what was built; the local stack's data too
	@if [ -d .local ] && [ -x $(BIN)/python ]; then $(BIN)/python -m local down; fi
	@rm -rf .local .layers cdk.out .pytest_cache .mypy_cache .ruff_cache
