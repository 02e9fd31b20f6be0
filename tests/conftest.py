"""Shared by all tests: a check of the build under test, both dtypes, and random numbers seeded by
the name of the test."""

import os
import shutil
import signal
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import fastnn
import fastnn_ext
from fastnn._parallel import limits
from fastnn._util import prng
from fastnn_ext import cpu, engine

# Symbols that a sanitizer leaves in a module compiled with it.
SANITIZER_SYMBOLS = {
    "address": b"__asan_init",
    "undefined": b"__ubsan_handle_",
    "thread": b"__tsan_init",
}


def has_bounds_checks() -> bool:
    """Whether the engine checks indices. Without checks it takes the address of the first element
    of an empty array, which is harmless."""
    try:
        engine.apply_activation(0, 0.0, np.empty(0))
    except IndexError:
        return True
    return False


def get_engine_build() -> set[str]:
    """How the engine was built, according to the engine itself; `cpu.build()` reports the same for
    the module `cpu`."""
    code = Path(engine.__file__).read_bytes()
    sanitizers = {name for name, symbol in SANITIZER_SYMBOLS.items() if symbol in code}
    return sanitizers | {"debug" if has_bounds_checks() else "optimized"}


def compare_builds():
    """Yield (what, expected, actual) for the build that this process has imported. Tests pass with
    a wrong build too, so the Makefile and .ci/run state the expected one in FASTNN_EXPECT_FOLDER
    and FASTNN_EXPECT_BUILD."""
    expected = os.environ.get("FASTNN_EXPECT_BUILD", cpu.build())
    yield "build", expected, cpu.build()
    yield "build of the engine", set(expected.split(",")), get_engine_build()
    isa = os.environ.get("FASTNN_ISA") or fastnn_ext.ISA
    yield "engine", f"fastnn_ext.engine_{isa}", engine.__name__
    folder = os.environ.get("FASTNN_EXPECT_FOLDER")
    for module in (fastnn, fastnn_ext, cpu, engine):
        actual = Path(module.__file__).resolve().parents[1]
        yield f"folder of {module.__name__}", Path(folder or actual).resolve(), actual


def pytest_configure():
    # A shell starts commands in the background with SIGINT ignored, and so would be the processes
    # of tests that wait for Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wrong = [
        f"{what}: expected {expected}, found {actual}"
        for what, expected, actual in compare_builds()
        if expected != actual
    ]
    if wrong:
        raise pytest.UsageError(
            "\n".join(["this is not the build that the test run expects", *wrong])
        )


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"tested: {cpu.build()} {engine.__file__}")


# The same examples on every run: a failure in CI is a failure here.
settings.register_profile("fastnn", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("fastnn")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


def make_rng(request) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def rng(request):
    return make_rng(request)


@pytest.fixture(autouse=True)
def repeatable(request, monkeypatch):
    """The same weights on every run for models without a `random_state`: networks ask the operating
    system for a seed, estimators NumPy's global generator."""
    seeds = make_rng(request)
    monkeypatch.setattr(prng, "new_seed", lambda: int(seeds.integers(2**63)))
    np.random.seed(int(seeds.integers(2**32)))


@pytest.fixture(scope="module")
def browser():
    """Chromium without a screen and without requests of its own."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is missing")
    flags = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update",
    ]  # fmt: skip
    with playwright.sync_playwright() as library:
        launched = library.chromium.launch(executable_path=path, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def pyplot():
    """matplotlib without a screen; no figure is left open."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_backend()
    pyplot.switch_backend("agg")
    yield pyplot
    pyplot.close("all")
    pyplot.switch_backend(before)


@pytest.fixture(autouse=True)
def several_processors(monkeypatch):
    """Allow up to eight threads, even on a machine with fewer processors: results must not depend
    on the number of threads."""
    monkeypatch.setattr(limits, "count_processors", lambda: max(8, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def elsewhere(request, tmp_path, monkeypatch):
    """Run the processes that a test starts outside the source tree, which would hide an installed
    fastnn, with the fastnn that the test itself imports."""
    if request.node.get_closest_marker("process"):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(Path(fastnn.__file__).parents[1]), prepend=os.pathsep)
