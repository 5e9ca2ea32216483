# Every target makes what it needs, in a virtual environment of its own: .venv
#
#   make test      build, install, run every test
#   make bench     build, install, measure: a table, a JSON file and a picture
#   make curves    build, install, measure along sizes: two pictures
#   make bench-full    likewise, every operation, in as much more time     make bench-fused   options in one pass, halves
#   make report    bench on one thread and curves, into docs/
#   make accuracy  build, install, measure errors on hostile data: tables and a JSON file
#   make examples  build, install, train on real data     make why   textbooks' claims, measured: docs/why.md
#   make docs      the manual as HTML, in build/docs/html
#   make tsan, make emulate   the C parts on their own: races; every ISA against the baseline
#   make analyze   static analysis of the C parts
#   make lint      style and types of what is Python and Cython    make format   the first, where a tool can mend it
#   make lint-c    style of what is C     make format-c   mends it   make hooks   lint before every git commit
#   make asan      the tests against an extension built with AddressSanitizer and UndefinedBehaviorSanitizer
#   make fuzz      random calls, right and wrong, for SECONDS=60; make asan-fuzz   the same against that extension
#   make trust     what proves the promises of docs/trust.md and takes long: tsan, emulate, fuzz, slow, parallel
#   make wheel     dist/*.whl      make sdist     dist/*.tar.gz     make wheels   those for publishing
#   make wheels-test   the short suite on these, on every Python here and on emulated processors
#   make stable-abi   whether the modules compile as in the latter, in seconds

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(wildcard setup.py pyproject.toml MANIFEST.in fastnorm/*.py fastnorm/*/*.py fastnorm/*.py[xi] \
             fastnorm/*.px[id] fastnorm/py.typed fastnorm/*/*.pyi fastnorm/include/*/*.h \
             csrc/*.[ch] csrc/*/*.[ch] csrc/*/*.inc)
# Processes that the tests are shared among: as many as there are cores.
WORKERS ?= auto
THREADS ?=
BENCH_OPTIONS ?=

.PHONY: test bench bench-full bench-fused curves report accuracy examples why docs tsan emulate analyze lint lint-c format \
  format-c hooks asan asan-fuzz fuzz trust slow parallel wheel wheels wheels-test stable-abi \
  sdist clean

SHARED = --numprocesses=$(WORKERS) --dist=worksteal
test: $(VENV)/installed $(VENV)/for-test
	$(BIN)/pytest $(SHARED) $(PYTEST_OPTIONS)

bench: $(VENV)/installed $(VENV)/for-bench
	cd bench && ../$(BIN)/python run.py $(if $(THREADS),--threads $(THREADS)) $(EXTENT) $(BENCH_OPTIONS)

bench-full: EXTENT := --full
bench-full: bench

bench-fused: EXTENT := --fused only
bench-fused: bench

curves: $(VENV)/installed $(VENV)/for-bench
	cd bench && ../$(BIN)/python curves.py

report: $(VENV)/installed $(VENV)/for-bench
	cd bench && ../$(BIN)/python run.py --threads 1 --fused also --markdown ../docs/speed.md \
	  --readme ../README.md && ../$(BIN)/python curves.py
	cp bench/results/latest.png docs/benchmark.png
	cp bench/results/sizes.png bench/results/scaling.png docs

examples: $(VENV)/installed $(VENV)/for-examples
	$(BIN)/python examples/digits.py
	$(BIN)/python examples/digits_rows.py

why: $(VENV)/installed $(VENV)/for-examples
	$(BIN)/python examples/why.py --page docs

# A warning is an error, and so is a name that leads nowhere. The reference is of the installed package.
docs: $(VENV)/installed $(VENV)/for-docs
	rm -rf build/docs
	$(BIN)/sphinx-build -b html -d build/docs/doctrees -W --keep-going -n -q $(DOCS_OPTIONS) docs build/docs/html
	@echo "The manual: build/docs/html/index.html"

accuracy: $(VENV)/installed $(VENV)/for-bench
	cd bench && ../$(BIN)/python accuracy.py $(ACCURACY_OPTIONS)

# The thread pool and the cache of results under ThreadSanitizer; every ISA, emulated where the processor lacks it.
tsan:
	mkdir -p build/tsan
	for name in check_thread_count stress_parallel stress_slabs stress_buffers; do \
	  $(CC) -std=c11 -O1 -g -fsanitize=thread -Icsrc tests/c/$$name.c -lpthread -lm -o build/tsan/$$name && \
	  build/tsan/$$name || exit 1; done

emulate:
	bash tests/c/emulate.sh

# The suite against an extension with sanitizers, in a virtual environment of its own. What is left out says why in its
# marker. Leaks are not looked for: Python itself has some, by design. The cache of results is off in such a build.
ASAN := build/asan
ASAN_FLAGS := -O1 -g -fno-omit-frame-pointer -DFN_PLAIN_INLINE= -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_RUN = LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" UBSAN_OPTIONS=print_stacktrace=1 \
  ASAN_OPTIONS=halt_on_error=1:detect_leaks=0:allocator_may_return_null=1

asan: $(ASAN)/built
	$(ASAN_RUN) $(ASAN)/venv/bin/pytest -m "not slow and not unsanitized" $(SHARED) $(PYTEST_OPTIONS)

# setup.cfg keeps these objects apart from those of the wheel, which setuptools would take for them.
$(ASAN)/built: $(SOURCES)
	mkdir -p $(ASAN)
	printf '[build]\nbuild_base = $(ASAN)\n' >$(ASAN)/setup.cfg
	CC=gcc DIST_EXTRA_CONFIG=$(CURDIR)/$(ASAN)/setup.cfg FASTNORM_EXTRA_FLAGS="$(ASAN_FLAGS)" \
	  $(MAKE) VENV=$(ASAN)/venv $(ASAN)/venv/for-test
	touch $@

# Drawn at random: the seed is printed first, and FUZZ_OPTIONS="--seed N" repeats it.
SECONDS ?= 60
fuzz: $(VENV)/installed $(VENV)/for-test
	cd tests && ../$(BIN)/python -m fuzz --seconds $(SECONDS) $(FUZZ_OPTIONS)

asan-fuzz: $(ASAN)/built
	cd tests && $(ASAN_RUN) ../$(ASAN)/venv/bin/python -m fuzz --seconds $(SECONDS) $(FUZZ_OPTIONS)

analyze:
	bash tests/c/analyze.sh

# Of the source tree as it is: nothing is built. What each tool takes is in pyproject.toml and .clang-format.
C_STYLED := $(wildcard fastnorm/include/*/*.h csrc/*.[ch] csrc/*/*.[ch] tests/c/*.[ch] tests/c/*/*.[ch])
lint: $(VENV)/for-lint lint-c
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint fastnorm

lint-c: $(VENV)/for-lint
	$(BIN)/clang-format --dry-run --Werror $(C_STYLED)

format: $(VENV)/for-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

format-c: $(VENV)/for-lint
	$(BIN)/clang-format -i $(C_STYLED)

hooks: $(VENV)/for-lint
	$(BIN)/pre-commit install

trust: tsan emulate fuzz slow parallel

slow: $(VENV)/installed $(VENV)/for-test
	$(BIN)/pytest -m slow $(PYTEST_OPTIONS)

# Each test in four Python threads at once. Tests that start processes gain nothing by that, and those that are compared
# with a slow oracle cost too much.
PARALLEL := batchnorm edges gradients layernorm layouts operations overlap running_statistics thread_count validation
parallel: $(VENV)/installed $(VENV)/for-test
	$(BIN)/pytest --parallel-threads=4 $(PARALLEL:%=tests/test_%.py) $(PYTEST_OPTIONS)

# For publishing, by a compiler that serves old Linux and other processors.
wheels: $(VENV)/bin/python
	$(BIN)/pip install --quiet "rich>=13.7" "zopfli>=0.2.3"
	$(BIN)/python packaging/wheels.py $(WHEELS_OPTIONS)

wheels-test: $(VENV)/bin/python
	$(BIN)/pip install --quiet "rich>=13.7" "zopfli>=0.2.3"
	$(BIN)/python packaging/check_wheels.py $(WHEELS_TEST_OPTIONS)

# Whether the modules compile by Python's stable ABI, as in the wheels, which take minutes: in seconds, nothing is built.
# After an installation, which leaves the C files.
stable-abi: $(VENV)/installed
	for file in build/cython/fastnorm/*.c; do \
	  $(CC) -fsyntax-only -Werror=implicit-function-declaration -Icsrc \
	    $$($(BIN)/python -c "import sys, sysconfig, numpy; print('-DPy_LIMITED_API=%#x' % \
	      min(sys.hexversion & 0xffff0000, 0x030c0000), '-isystem', sysconfig.get_path('include'), \
	      '-isystem', numpy.get_include())") \
	    -DNPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION -DNPY_TARGET_VERSION=NPY_2_0_API_VERSION $$file || exit 1; done

wheel: $(VENV)/bin/python
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

sdist: $(VENV)/for-sdist
	$(BIN)/python -m build --quiet --sdist --outdir dist .

clean:
	rm -rf $(VENV) build dist *.egg-info bench/results examples/output

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# The installed package is the built wheel, never the source tree.
$(VENV)/installed: $(VENV)/bin/python $(SOURCES)
	rm -rf $(VENV)/wheel
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir $(VENV)/wheel .
	$(BIN)/pip install --quiet --force-reinstall --no-deps $(VENV)/wheel/*.whl
	$(BIN)/pip install --quiet $(VENV)/wheel/*.whl
	touch $@

$(VENV)/for-test $(VENV)/for-bench $(VENV)/for-examples $(VENV)/for-docs: $(VENV)/for-%: $(VENV)/installed pyproject.toml
	$(BIN)/pip install --quiet "$$(ls $(VENV)/wheel/*.whl)[$*]"
	touch $@

$(VENV)/for-lint: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --group lint
	touch $@

$(VENV)/for-sdist: $(VENV)/bin/python
	$(BIN)/pip install --quiet build
	touch $@
