# make compare   set up, build, print what Calico's cross-subnet mode changes against an overlay
# make test      set up and run the tests            make lint    ruff, mypy, cython-lint
# make bench     benchmarks                          make fuzz    mutated packets and captures against the parsers
# make sanitize   tests and hostile records through a core built with AddressSanitizer and UndefinedBehaviorSanitizer
# make docs      the documentation as a site in build/site; a warning is an error
# make labs      selftest of all labs with 20 seeds and of the quiz with 100
# make clean     remove everything that was made
#
# Stamps in .venv/ remember what was installed; the extension is rebuilt when one of its sources is newer.

PYTHON   ?= python3
SCENARIO ?= scenarios/three-az.yaml
PACKETS  ?= 100000
CAPTURES ?= 10000
WORLDS   ?= 300
VENV     := .venv
BIN      := $(VENV)/bin
PIP      := $(BIN)/python -m pip --disable-pip-version-check -q

# what the compiled core and the compiler's loops are made of: Cython, the C it includes, and the vocabulary that becomes _vocabulary.pxd
SOURCES := $(shell find calisim \( -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -path 'calisim/vocabulary/*.py' \) \
             ! -name _vocabulary.pxd) setup.py pyproject.toml

.PHONY: compare build test lint bench fuzz docs labs sanitize clean requirements

compare: $(VENV)/.built
	@$(BIN)/calisim compare $(SCENARIO)

build: $(VENV)/.built

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" cython-lint calisim          # it calls pycodestyle by name

bench: $(VENV)/.test
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -o python_functions='bench_*' --benchmark-columns=min,median,stddev,rounds

fuzz: $(VENV)/.test
	$(BIN)/python tests/fuzz_wire.py $(PACKETS) $(CAPTURES)

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -q -W --keep-going -E -d build/doctrees docs build/site
	@echo "see build/site/index.html"

labs: $(VENV)/.built
	$(BIN)/calisim lab selftest 1 2 3 4 --seeds 20
	$(BIN)/calisim lab selftest quiz-1 quiz-2 quiz-3 --seeds 34

# A copy, so that the normal build stays as it is. The interpreter itself is not instrumented, hence the preloading.
SANITIZED := build/sanitize
SANITIZE  := -fsanitize=address,undefined
sanitize: $(VENV)/.test
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED)
	cp -r calisim tests scenarios docs setup.py pyproject.toml README.md $(SANITIZED)
	find $(SANITIZED) \( -name '*.so' -o -name '*.c' \) -delete
	cd $(SANITIZED) && LDFLAGS="$(SANITIZE)" CALISIM_CFLAGS="$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g" \
	  $(abspath $(BIN))/python setup.py -q build_ext --inplace
	cd $(SANITIZED) && export LD_PRELOAD=$$($(CC) -print-file-name=libasan.so):$$($(CC) -print-file-name=libubsan.so) \
	  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	  && $(abspath $(BIN))/python -m pytest -q -p no:cacheprovider tests/datapath tests/fib tests/wire tests/report \
	  && $(abspath $(BIN))/python -m tests.fuzz_wire $(PACKETS) $(CAPTURES) \
	  && $(abspath $(BIN))/python -m tests.fuzz_core $(WORLDS) $(WORLDS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks calisim/_vocabulary.pxd
	find calisim \( -name '*.so' -o -name '*.c' \) -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything that apt must have brought, named in one sentence.
requirements:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "calisim needs Python 3.11 or newer as $(PYTHON)" >&2; exit 1; }
	@missing=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	$(PYTHON) -c 'import os, sysconfig as s; os.stat(os.path.join(s.get_path("include"), "Python.h"))' 2>/dev/null \
	  || missing="$$missing python3-dev"; \
	command -v $(firstword $(CC)) >/dev/null || missing="$$missing gcc"; \
	test -z "$$missing" || { echo "calisim needs a C compiler and Python with venv and headers: apt-get install$$missing" >&2; exit 1; }

$(BIN)/python: | requirements
	$(PYTHON) -m venv $(VENV)

# The build's own requirements are installed first and used in place (no isolated second copy of numpy and Cython).
$(VENV)/.built: $(SOURCES) | $(BIN)/python
	$(PIP) install $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])')
	$(PIP) install --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.built
	$(PIP) install --no-build-isolation --editable '.[test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.built
	$(PIP) install --no-build-isolation --editable '.[docs]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) install --no-build-isolation --editable '.[test,dev]'
	@touch $@
