"""What tests share: the build that they test, both dtypes, random numbers that depend on the test's
name alone."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import fastnn
import fastnn_ext
from fastnn._parallel import limits
from fastnn_ext import cpu, engine

# Symbols that a sanitizer leaves in a module compiled with it.
SANITIZER_SYMBOLS = {
    "address": b"__asan_init",
    "undefined": b"__ubsan_handle_",
    "thread": b"__tsan_init",
}


def has_bounds_checks() -> bool:
    """Without them the engine takes the address behind an empty array, which does no harm."""
    try:
        engine.apply_activation(0, 0.0, np.empty(0))
    except IndexError:
        return True
    return False


def engine_build() -> set[str]:
    """How the engine was built, according to the engine itself; compare `cpu.build()`."""
    code = Path(engine.__file__).read_bytes()
    found = {name for name, symbol in SANITIZER_SYMBOLS.items() if symbol in code}
    return found | {"debug" if has_bounds_checks() else "optimized"}


def differences():
    """(what, expected, found) of the build under test, in this process. A different build imports
    and passes as well as the expected one, so each run names what it is about: the Makefile and
    .ci/run set FASTNN_EXPECT_FOLDER and FASTNN_EXPECT_BUILD."""
    expected = os.environ.get("FASTNN_EXPECT_BUILD", cpu.build())
    yield "build", expected, cpu.build()
    yield "build of the engine", set(expected.split(",")), engine_build()
    isa = os.environ.get("FASTNN_ISA") or fastnn_ext.ISA
    yield "engine", f"fastnn_ext.engine_{isa}", engine.__name__
    folder = os.environ.get("FASTNN_EXPECT_FOLDER")
    for module in (fastnn, fastnn_ext, cpu, engine):
        found = Path(module.__file__).resolve().parents[1]
        yield f"folder of {module.__name__}", Path(folder or found).resolve(), found


def pytest_configure():
    wrong = [
        f"{what}: expected {expected}, found {found}"
        for what, expected, found in differences()
        if expected != found
    ]
    if wrong:
        raise pytest.UsageError("\n".join(["not the build that is to be tested", *wrong]))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"tested: {cpu.build()} {engine.__file__}")


# The same examples on every run: a failure in CI is a failure here.
settings.register_profile("fastnn", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("fastnn")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def rng(request):
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture(autouse=True)
def several_processors(monkeypatch):
    """Up to eight threads can be asked for, also on a machine of fewer processors: results must not
    depend on their number."""
    monkeypatch.setattr(limits, "count_processors", lambda: max(8, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def elsewhere(request, tmp_path, monkeypatch):
    """Processes that a test starts run outside the sources, which would hide an installed fastnn,
    and import the fastnn that the test itself imports."""
    if request.node.get_closest_marker("process"):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(Path(fastnn.__file__).parents[1]), prepend=os.pathsep)
