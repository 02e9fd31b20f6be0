# One command each. `make build` compiles in place; everything else works on an installed fastnn
# or on the tree's own in-place build.
PYTHON ?= python
PYTEST = $(PYTHON) -m pytest -q

.PHONY: build test lint types bench instructions debug sanitize wheel clean

build:          ## compile the kernels in place
	$(PYTHON) setup.py -q build_ext --inplace

test: build     ## all tests, on the tree
	$(PYTEST)

lint: types     ## style of Python and Cython, types, stubs
	ruff check .
	ruff format --check .
	cython-lint fastnn_ext/*.pyx fastnn_ext/*.pxd

types: build
	mypy
	$(PYTHON) -m mypy.stubtest fastnn_ext --allowlist fastnn_ext/stubtest.txt

bench: build    ## speed comparisons
	$(PYTHON) benchmarks/run.py

instructions: build   ## instructions of the engine's steps against what is recorded (needs valgrind)
	PYTHONPATH=. $(PYTHON) tools/instructions.py --check

# A second fastnn beside the installed one; PYTHONPATH puts it first.
build/debug:
	FASTNN_DEBUG=1 $(PYTHON) -m pip install -q --no-deps --no-build-isolation --target $@ .

debug: build/debug   ## all tests with Cython's bounds checks
	PYTHONPATH=build/debug $(PYTEST) -m "not optimized"

SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
build/sanitize:
	FASTNN_DEBUG=1 CFLAGS="$(SANITIZERS)" LDFLAGS="$(SANITIZERS)" \
	$(PYTHON) -m pip install -q --no-deps --no-build-isolation --target $@ .

# Python leaks by design at exit; its allocator hides overruns from the sanitizer. Tests that start
# processes of their own or train much are left to the other runs, and so are the estimators', which
# reach the kernels by the same calls.
sanitize: build/sanitize   ## the kernels' tests under address and undefined-behaviour sanitizers
	PYTHONPATH=build/sanitize PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	$(PYTEST) -m "not process and not optimized and not long" \
	--ignore-glob='*/test_estimators_*' --ignore-glob='*/test_search.py' --ignore-glob='*/test_curves.py'

wheel:          ## sdist, and a wheel made from it, repaired to manylinux where patchelf is there
	$(PYTHON) -m build
	$(PYTHON) -m auditwheel repair --strip -w wheelhouse dist/*.whl

clean:
	rm -rf build dist wheelhouse *.egg-info fastnn_ext/*.so
