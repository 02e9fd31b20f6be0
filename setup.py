"""The extension modules and their compiler flags; everything else is in pyproject.toml.

Environment variables:
  FASTNN_DEBUG=1          bounds checks in Cython, -O1 -g
  FASTNN_OPENMP=on|off    off builds without OpenMP: every fit then runs on one thread
  FASTNN_LEVELS=v2,v3     builds the engine for these instruction sets only
Sanitizers are enabled through CFLAGS and LDFLAGS (see the Makefile).
"""

import hashlib
import os
import platform
import re
from pathlib import Path

import numpy
from Cython.Build import cythonize
from Cython.Compiler import Errors
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("FASTNN_DEBUG", "0") == "1"
OPENMP = os.environ.get("FASTNN_OPENMP", "on") != "off"

# The engine is one source, compiled once per instruction-set level and selected at import.
LEVELS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
if platform.machine() not in ("x86_64", "AMD64"):
    LEVELS = {"generic": []}
if chosen := os.environ.get("FASTNN_LEVELS"):
    LEVELS = {level: LEVELS[level] for level in chosen.split(",")}

# CPython's flags contain -fwrapv, which keeps the compiler from widening loop counters.
COMMON = ["-std=gnu11", "-fno-wrapv", "-fvisibility=hidden", "-Wno-unused-function"]
COMMON += ["-O1", "-g1"] if DEBUG else ["-O2", "-g0"]
# Flags for vectorization; none may change a result or hide a NaN. Without -ffp-contract=off, a
# result would depend on whether its element is in the vectorized part or in the remainder of a loop
# (simd.h, decision c).
KERNEL = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
# Do not replace loops that copy a short row by calls of memcpy.
KERNEL += ["-fno-tree-loop-distribute-patterns"]
# Functions declared `cdef inline` are inlined (inlining.h) if gcc counts at most 300 instructions,
# also in functions with many loops, where its usual limits end inlining. At 200, the derivative of
# gelu remained a call.
KERNEL += ["-include", "fastnn_ext/inlining.h", "--param=max-inline-insns-single=300"]
KERNEL += [
    f"--param={limit}=100000"
    for limit in ("large-function-growth", "inline-unit-growth", "large-stack-frame-growth")
]
KERNEL += [] if DEBUG else ["-O3"]
THREADS = ["-fopenmp"] if OPENMP else []

# The result of `fastnn_ext.cpu.build()`.
SANITIZERS = re.findall(r"-fsanitize=(\S+)", os.environ.get("CFLAGS", ""))
DESCRIPTION = ",".join(["debug" if DEBUG else "optimized", *SANITIZERS])

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "nonecheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "embedsignature": True,
    "freethreading_compatible": True,
}

# real.pxd and tile.pxd declare the float and the double function of C under one name. Cython
# distinguishes them by their types, but warns about each at lower levels.
Errors.LEVEL = 2

# The name of the build folder is a hash of the flags, because setuptools does not rebuild object
# files when flags change.
STAMP = repr(
    (
        DEBUG,
        OPENMP,
        LEVELS,
        COMMON,
        KERNEL,
        DIRECTIVES,
        [os.environ.get(name) for name in ("CC", "CFLAGS", "LDFLAGS")],
    )
)
BUILD = Path("build") / hashlib.sha256(STAMP.encode()).hexdigest()[:12]
LAST = Path("build/last")  # contains the name of the build whose modules are in the source tree
HEADERS = sorted(
    str(path)
    for pattern in ("*.pxd", "*.h", "engine.pyx")
    for path in Path("fastnn_ext").glob(pattern)
)


def engine(level: str, flags: list[str]) -> Extension:
    """The engine for one level: a module whose source is one line that includes engine.pyx."""
    source = BUILD / "levels" / f"engine_{level}.pyx"
    source.parent.mkdir(parents=True, exist_ok=True)
    if not source.exists():
        source.write_text('include "fastnn_ext/engine.pyx"\n')
    return Extension(
        f"fastnn_ext.engine_{level}",
        [str(source)],
        include_dirs=["fastnn_ext", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        extra_compile_args=COMMON + KERNEL + flags + THREADS,
        extra_link_args=THREADS,
        depends=HEADERS,
    )


class BuildExt(build_ext):
    """Keep object files in the folder of their flags, and compile modules in parallel."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.build_temp = str(BUILD / "objects")
        self.parallel = self.parallel or os.cpu_count()
        self.force = self.force or not (LAST.exists() and LAST.read_text() == BUILD.name)

    def run(self) -> None:
        """Build; during the build, when modules of two builds may be present, there is no stamp."""
        LAST.unlink(missing_ok=True)
        super().run()
        LAST.write_text(BUILD.name)


plain = [
    Extension(
        f"fastnn_ext.{name}",
        [f"fastnn_ext/{name}.pyx"],
        include_dirs=["fastnn_ext"],
        define_macros=[("FASTNN_BUILD", f'"{DESCRIPTION}"')],
        extra_compile_args=COMMON,
        depends=HEADERS,
    )
    for name in ("codes", "cpu")
]
# One module contains Cython's memoryview code for all others: compiling that code for each module
# took a third of the build time.
shared = Extension("fastnn_ext._cyutility", ["fastnn_ext/_cyutility.c"], extra_compile_args=COMMON)

setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        [shared, *plain, *(engine(level, flags) for level, flags in LEVELS.items())],
        build_dir=str(BUILD / "cython"),
        include_path=["."],
        compiler_directives=DIRECTIVES,
        shared_utility_qualified_name="fastnn_ext._cyutility",
    ),
)
