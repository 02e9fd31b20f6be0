"""What tests share: both dtypes, random numbers that depend on the test's name alone."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import fastnn
from fastnn import threads

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
    monkeypatch.setattr(threads, "processors", lambda: max(8, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def elsewhere(request, tmp_path, monkeypatch):
    """Processes that a test starts run outside the sources, which would hide an installed fastnn,
    and import the fastnn that the test itself imports."""
    if request.node.get_closest_marker("process"):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(Path(fastnn.__file__).parents[1]), prepend=os.pathsep)
