# `make build` compiles the kernels in place. The other targets use that build, or builds of their own
# in build/.
PYTHON ?= python
# -P keeps the current folder, which contains the in-place build, from preceding PYTHONPATH.
PYTEST = $(PYTHON) -P -m pytest -q

.PHONY: build test lint types docs docs-test bench gallery instructions debug sanitize tsan attack \
	wheel clean

build:          ## compile the kernels in place
	$(PYTHON) setup.py -q build_ext --inplace

# Each test run states the build that it expects; tests/conftest.py refuses any other.
IN_PLACE = PYTHONPATH=$(CURDIR) FASTNN_EXPECT_FOLDER=$(CURDIR) FASTNN_EXPECT_BUILD=optimized

test: build     ## all tests, with the in-place build
	$(IN_PLACE) $(PYTEST)

lint: types     ## style of Python and Cython, types, stubs
	ruff check .
	ruff format --check .
	cython-lint fastnn_ext/*.pyx fastnn_ext/*.pxd

types: build
	mypy
	$(PYTHON) -m mypy.stubtest fastnn_ext --allowlist fastnn_ext/stubtest.txt

SITE = $(CURDIR)/build/docs

# Warnings are errors. Pages that earlier builds generated are removed first.
docs: build     ## the documentation site, in build/docs (needs the extra "docs")
	rm -rf docs/api/generated docs/course $(SITE)
	PYTHONPATH=$(CURDIR) $(PYTHON) -m sphinx -q -W --keep-going -b html -c docs . $(SITE)
	$(PYTHON) tools/check_links.py $(SITE)

docs-test: docs ## tests of the site and the playground, in a browser (playwright, chromium)
	$(IN_PLACE) FASTNN_SITE=$(SITE) $(PYTEST) tests/test_site.py tests/test_playground_browser.py

bench: build    ## speed comparisons
	$(PYTHON) benchmarks/run.py

gallery: build  ## the scripts of the course, without a screen
	PYTHONPATH=. $(PYTHON) tools/run_gallery.py

instructions: build   ## instruction counts of training steps, compared with the recorded ones (valgrind)
	PYTHONPATH=. $(PYTHON) tools/instructions.py --check

# Separate builds in build/, repeated when a source changes.
SOURCES = setup.py pyproject.toml $(shell find fastnn fastnn_ext -type f \
	! -name '*.so' ! -name '*.py[co]')
define SEPARATE_BUILD =
rm -rf $@ build/last
$(PYTHON) -m pip install -q --no-deps --no-build-isolation --target $@ .
touch $@
endef
BUILT = PYTHONPATH=$(CURDIR)/build/$@ FASTNN_EXPECT_FOLDER=$(CURDIR)/build/$@

# All levels are compiled from the same source, so one is checked.
LEVEL = v3

build/debug: export FASTNN_DEBUG = 1
build/debug: export FASTNN_LEVELS = $(LEVEL)
build/debug: $(SOURCES)
	$(SEPARATE_BUILD)

# `make debug TESTS=tests/test_search.py` runs a part.
TESTS =
debug: build/debug   ## all tests but the long ones, with Cython's bounds checks
	$(BUILT) FASTNN_EXPECT_BUILD=debug FASTNN_ISA=$(LEVEL) $(PYTEST) -m "not optimized and not long" $(TESTS)

SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
build/sanitize: export FASTNN_DEBUG = 1
build/sanitize: export FASTNN_LEVELS = $(LEVEL)
build/sanitize: export CFLAGS = $(SANITIZERS)
build/sanitize: export LDFLAGS = $(SANITIZERS)
build/sanitize: $(SOURCES)
	$(SEPARATE_BUILD)

# Python leaks memory at exit by design, so leaks are not checked, and its allocator would hide overruns
# from the sanitizer. Tests that start processes or train for long are left to the other runs; so are
# the estimators' tests and those of plots and documents, which reach the kernels through the same
# calls. pytest must not capture file
# descriptor 2, to which a sanitizer writes before it ends the process.
sanitize: build/sanitize   ## the kernels' tests under address and undefined-behaviour sanitizers
	$(BUILT) FASTNN_EXPECT_BUILD=debug,address,undefined FASTNN_ISA=$(LEVEL) \
	PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	$(PYTEST) --capture=sys -m "not process and not optimized and not long" \
	--ignore-glob='*/test_estimators_*' --ignore-glob='*/test_search.py' \
	--ignore-glob='*/test_curves.py' --ignore-glob='*/test_plot.py' --ignore-glob='*/test_layout.py' \
	--ignore-glob='*/test_report.py'

build/gomp_on_pthreads.o: tools/gomp_on_pthreads.c
	mkdir -p build
	$(CC) -O1 -g1 -fPIC -fvisibility=hidden -fsanitize=thread -c $< -o $@

build/tsan: export FASTNN_DEBUG = 1
build/tsan: export FASTNN_LEVELS = $(LEVEL)
build/tsan: export CFLAGS = -fsanitize=thread
build/tsan: export LDFLAGS = -fsanitize=thread $(CURDIR)/build/gomp_on_pthreads.o
build/tsan: $(SOURCES) build/gomp_on_pthreads.o
	$(SEPARATE_BUILD)

# Only the engine is instrumented: accesses to memory by Python and NumPy are not checked.
tsan: build/tsan   ## tests of threads under the thread sanitizer
	$(BUILT) FASTNN_EXPECT_BUILD=debug,thread FASTNN_ISA=$(LEVEL) \
	TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 exitcode=66 history_size=7" \
	LD_PRELOAD="$$(gcc -print-file-name=libtsan.so)" \
	$(PYTEST) --capture=sys -m "not process" tests/test_threads.py tests/attack/test_races.py

attack: export FASTNN_ATTACK = 1
attack: build   ## the long form of tests/attack, then the thread sanitizer
	$(IN_PLACE) $(PYTEST) tests/attack
	$(MAKE) tsan

wheel:          ## sdist, and a wheel built from it and repaired to manylinux
	$(PYTHON) -m build
	$(PYTHON) -m auditwheel repair --strip -w wheelhouse dist/*.whl

clean:
	rm -rf build dist wheelhouse *.egg-info fastnn_ext/*.so
