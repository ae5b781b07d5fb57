# All commands of the project. `make` without arguments lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
PORT ?= 4566
TARGET ?= local
export CONTEXT ?=
CDK := aws-cdk@2.1148.1
ASL_VALIDATOR := asl-validator@4.0.0
LITELLM := litellm[proxy]==1.108.7

VENV := .venv
BIN := $(VENV)/bin
EASEL := $(BIN)/python -m cli --target $(TARGET)
UV_INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
PROXY := $(VENV)/litellm/bin/litellm
# Bytecode is kept even if the caller has turned it off. Otherwise every function of the local stack
# would compile openai again.
unexport PYTHONDONTWRITEBYTECODE
# npm and npx come with the environment's own Node. Their downloads stay in the environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export npm_config_cache := $(CURDIR)/$(VENV)/npm
export npm_config_update_notifier := false
PINS := requirements.txt constraints.txt
LAYER_PINS := infra/functions/layer_pins
PIN_LAYER := $(BIN)/uv pip compile --quiet --no-header --generate-hashes \
  --python-platform aarch64-manylinux_2_28 --python-version 3.14 --only-binary :all: \
  -c constraints.txt

.PHONY: help
help:
	@awk -F ':.*## ' '/^##@/ {printf "%s%s\n", sep, substr($$0, 5); sep = "\n"} \
	  /^[a-z-]+:.*## / {printf "  %-13s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.made: $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Easel needs Python 3.11 or \
	newer, this is " + sys.version.split()[0] + "; choose another with PYTHON=…")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): about 900 MB in the end, once"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@{ $(BIN)/pip install --quiet --disable-pip-version-check \
	    "$$(grep -oE '^uv==[0-9.]+' requirements.txt)" \
	  && $(UV_INSTALL) -r requirements.txt -c constraints.txt \
	  && $(UV_INSTALL) --no-deps -e .; } 2>$(VENV)/setup.log \
	  || { echo "Cannot install the packages; check the network, or set UV_DEFAULT_INDEX." \
	    "$$(grep -v '^WARNING' $(VENV)/setup.log | tail -n 1)" >&2; exit 1; }
	@touch $@

$(VENV)/.made-dev: $(VENV)/.made requirements-dev.txt Makefile
	@echo "Adding the test and lint tools to $(VENV)"
	@$(UV_INSTALL) -r requirements-dev.txt -c constraints.txt
	@npx --yes $(CDK) --version >/dev/null && npx --yes $(ASL_VALIDATOR) --version >/dev/null
	@touch $@

##@ Try it on this machine
.PHONY: setup demo up down
setup: $(VENV)/.made ## Set up the environment (the other commands do it themselves)

demo: $(VENV)/.made ## Deploy to the local AWS, make images, show where they are
	@$(BIN)/python -m local demo --port $(PORT) --context="$$CONTEXT"

up: $(VENV)/.made ## Start the stack; CONTEXT="-c name=value" for settings, PORT=4566
	@$(BIN)/python -m local up --port $(PORT) --context="$$CONTEXT"

down: $(VENV)/.made ## Stop the stack; deletes its data unless it was paid for; KEEP=1, DELETE=1
	@$(BIN)/python -m local down $(if $(KEEP),--keep) $(if $(DELETE),--delete)

##@ Make images (TARGET=aws for the deployed stack)
.PHONY: run upload batch report open redrive
run: $(VENV)/.made ## Start a run: INPUT=examples/default.json
	@$(EASEL) run "$(or $(INPUT),examples/default.json)"

upload: $(VENV)/.made ## Upload an image to make others from, print its key: FILE=…
	@$(EASEL) upload "$(or $(FILE),$(error say which file: make upload FILE=…))"

batch: $(VENV)/.made ## Make the images of a file: FILE=…; DRY_RUN=1 and more: docs/batches.md
	@$(EASEL) batch "$(or $(FILE),$(error say which file: make batch FILE=…))" \
	  $(if $(NAME),--name "$(NAME)") $(if $(DRY_RUN),--dry-run) \
	  $(if $(ALLOW_PARTIAL),--allow-partial) $(if $(ECONOMY),--economy) \
	  $(if $(PARALLEL),--max-parallel-images "$(PARALLEL)") \
	  $(if $(TOLERATED),--tolerated-failure-percentage "$(TOLERATED)")

report: $(VENV)/.made ## Show what the latest run made, even if it failed; RUN=another's name
	@$(EASEL) report $(if $(RUN),"$(RUN)")

open: $(VENV)/.made ## Open the latest run's images; RUN=another's name or request_id
	@$(EASEL) open $(if $(RUN),"$(RUN)")

redrive: $(VENV)/.made ## Resume a failed run, paying only for what is missing: RUN=its name
	@$(EASEL) redrive "$(or $(RUN),$(error say which run: make redrive RUN=…))"

##@ Money and access (TARGET=aws for the deployed stack)
.PHONY: budget user token secret doctor
budget: $(VENV)/.made ## Show the month's budget; USD=… changes the cap, 0 stops all spending
	@$(EASEL) budget $(if $(filter command,$(firstword $(origin USD))),\
	  "$(or $(USD),$(error USD is empty: give a number of dollars such as USD=25))")

user: $(VENV)/.made ## Add a user of the page: EMAIL=…
	@$(EASEL) user "$(or $(EMAIL),$(error say who: make user EMAIL=…))"

token: $(VENV)/.made ## Print an API access token for a program; SCOPE=read, write, …
	@$(EASEL) token $(if $(SCOPE),--scope "$(SCOPE)")

credentials: $(VENV)/.made ## Print the client credentials of programs, with their secret
	@$(EASEL) credentials

secret: TARGET := aws
secret: $(VENV)/.made ## Set the OpenAI key of the deployed stack, from a prompt or stdin
	@$(EASEL) secret

doctor: $(VENV)/.made ## Check the stack and show what to fix; one dry run, nothing is paid
	@$(EASEL) doctor

##@ Deploy to AWS
.PHONY: synth bootstrap deploy destroy layers
synth: layers ## Write the template and its assets to cdk.out; needs no account, no Docker
	@$(BIN)/python app.py $(CONTEXT) && echo "cdk.out/Easel.template.json"

bootstrap: $(VENV)/.made ## Prepare an AWS account and region for the CDK, once
	npx --yes $(CDK) bootstrap

deploy: layers ## Deploy with your credentials; CONTEXT="-c name=value"; YES=1 skips the approval
	npx --yes $(CDK) deploy $(CONTEXT) $(if $(YES),--require-approval never)

destroy: layers ## Delete the stack; images and table stay unless retain_images is off
	npx --yes $(CDK) destroy $(CONTEXT) $(if $(YES),--force)

##@ For maintainers
.PHONY: test test-fast check format compatible soak bench openapi reference graphs models screenshots lighthouse \
  browser constraints clean
test: $(VENV)/.made-dev layers browser ## Run all tests
	@$(BIN)/python -m infra.functions.layers --here >/dev/null
	@$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

test-fast: $(VENV)/.made-dev ## Run the unit tests: 4 min, no local AWS, no browser
	@$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit $(ARGS)

check: $(VENV)/.made-dev ## Check format, lint, types, import rules and words
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python .ci/words.py

format: $(VENV)/.made-dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

compatible: $(VENV)/.made-dev ## Test with a real LiteLLM proxy between Easel and the fake OpenAI
	@[ -x $(PROXY) ] || { echo "Installing $(LITELLM): 600 MB, once"; \
	  $(BIN)/uv venv --quiet $(VENV)/litellm && \
	  $(BIN)/uv pip install --quiet --python $(VENV)/litellm/bin/python '$(LITELLM)'; }
	@EASEL_LITELLM=$(PROXY) $(BIN)/python -m pytest tests/compatible $(ARGS)

soak: $(VENV)/.made-dev ## Run a long random walk of faults: RUNS=2000 SEED=soak
	@EASEL_WALK_RUNS=$(or $(RUNS),2000) EASEL_WALK_SEED=$(or $(SEED),soak) \
	  $(BIN)/python -m pytest tests/faults/test_random_walk.py -s

bench: $(VENV)/.made-dev layers ## Measure what is missing; SECTION=… FRESH=1 LARGE=1 N8N=1 BEFORE=ref
	@$(BIN)/python -m infra.functions.layers --here >/dev/null
	@$(BIN)/python -m bench $(if $(SECTION),--section "$(SECTION)") $(if $(FRESH),--fresh) \
	  $(if $(LARGE),--large) $(if $(N8N),--n8n) $(if $(BEFORE),--before "$(BEFORE)")

layers: $(VENV)/.made ## Build the Lambda layers for arm64 (synth and deploy need them)
	@$(BIN)/python -m infra.functions.layers

openapi: $(VENV)/.made ## Write docs/openapi.json after a change of the API
	@$(BIN)/python -m functions.api.openapi > docs/openapi.new
	@mv docs/openapi.new docs/openapi.json

reference: $(VENV)/.made ## Write the tables of docs/reference.md from the code
	@$(BIN)/python -m infra.reference

graphs: synth ## Draw the state machines in the docs after a change of them
	@$(BIN)/python -m infra.workflows.state_graph

models: $(VENV)/.made ## Compare models.toml with the openai package; list what is shut down soon
	@$(BIN)/python -m cli.models

screenshots: $(VENV)/.made-dev browser ## Take the screenshots in the docs
	@$(BIN)/python -m tests.browser.screenshots

lighthouse: $(VENV)/.made-dev browser ## Measure the page with Lighthouse; downloads it once
	@$(BIN)/python -m bench.page

browser: $(VENV)/.made-dev ## Download a browser for the tests, if this machine has none
	@$(BIN)/python -m tests.support.installed_browser

constraints: $(VENV)/.made ## Pin again what the requirements need
	@$(BIN)/uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 \
	  --output-file constraints.txt requirements-dev.txt
	@for name in base jwt pillow pydantic obstore; do \
	  $(PIN_LAYER) $(LAYER_PINS)/$$name.in -o $(LAYER_PINS)/$$name.txt || exit 1; done
	@$(PIN_LAYER) --no-emit-package python-dateutil --no-emit-package six \
	  $(LAYER_PINS)/cron.in -o $(LAYER_PINS)/cron.txt
	@$(PIN_LAYER) $$(grep -oE '^[a-z0-9._-]+' $(LAYER_PINS)/pydantic.txt \
	  | sed 's/^/--no-emit-package /') $(LAYER_PINS)/openai.in -o $(LAYER_PINS)/openai.txt

clean: ## Remove what was built and the local stack's data; DELETE=1 if it was paid for, too
	@if [ -d .local ] && [ -x $(BIN)/python ]; then \
	  $(BIN)/python -m local down $(if $(DELETE),--delete); fi
	@if [ -n "$(DELETE)" ] || [ ! -e .local/emulator/paid-openai ]; then rm -rf .local; fi
	@rm -rf .layers cdk.out .pytest_cache .mypy_cache .ruff_cache
