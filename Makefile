# One command for each thing a user or contributor does; every target sets up what it needs.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: run test mutants check bench clean

run: $(STAMP)
	$(VENV)/bin/qnnsym run --tour

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' || \
	  { echo "qnnsym needs Python 3.11 to 3.13 and $(PYTHON) is another one; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) lacks the venv module; install your system's package for it (Debian, Ubuntu: apt install python3-venv)."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP)

test: $(STAMP)
	$(VENV)/bin/python -m pytest -n 2 -q

mutants: $(STAMP)
	$(VENV)/bin/python -m tests.phase_space.mutations
	$(VENV)/bin/python -m tests.neural.mutations

bench: $(STAMP)
	$(VENV)/bin/python -m benchmarks

check:
	bash .ci/run

clean:
	rm -rf $(VENV) .qnnsym results dist build
