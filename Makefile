# Two commands do everything from a fresh clone: `make book` and `make test`.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3

# Threads that spin while they wait take the other core from whoever needs it.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install doctor book test lint format exercises record lock clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## Make .venv and install everything in it, pinned

$(VENV)/.installed: requirements.txt pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
	  if command -v uv >/dev/null; then uv venv --quiet --python '$(PYTHON)' $(VENV); \
	  else \
	    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	      || { echo "Python 3.11 or newer is needed: name one, as in make book PYTHON=python3.12"; exit 1; }; \
	    $(PYTHON) -m venv $(VENV) \
	      || { echo "No virtual environment: install your system's python3-venv package, or uv"; exit 1; }; \
	    $(BIN)/python -m pip install --quiet "$$(grep -m 1 '^uv==' requirements.txt)"; \
	  fi; \
	fi
	@# Compiled once here, imports take seconds less in every kernel, also where Python may not write bytecode.
	@PATH="$$PATH:$(BIN)" uv pip install --compile-bytecode --python $(BIN)/python -r requirements.txt
	@touch $@

doctor: install ## Check this computer, and say what to do about each problem
	@$(BIN)/coursekit doctor

book: install ## Build the book into _build/html; any warning fails
	$(BIN)/jupyter-book build .
	@echo "Open _build/html/index.html"

test: lint book ## Prove the project sound: style, book, every test
	COURSEKIT_REQUIRE_BOOK=1 $(BIN)/python -m pytest -n auto --dist loadgroup

lint: install ## Check the style and the spelling of everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

format: install ## Put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

exercises: install ## Generate the release notebooks in exercises/ from solutions/
	$(BIN)/python -m coursekit.grading.release

record: install ## Make a recorded run again: make record NAME=downsampling
	$(BIN)/coursekit record $(NAME)

lock: install ## Renew requirements.txt from requirements.in and pyproject.toml
	PATH="$$PATH:$(BIN)" uv pip compile requirements.in --quiet --upgrade --universal --python-version 3.11 \
	  --no-annotate --custom-compile-command "make lock" --output-file requirements.txt
	@# Three equals signs: a local build such as 2.13.0+cpu must not take the place of the torch that torchvision needs.
	sed -i.bak 's/^torch==/torch===/' requirements.txt && rm requirements.txt.bak

clean: ## Remove the built book and all caches; .venv stays
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
