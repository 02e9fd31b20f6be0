"""What tests share: both dtypes, random numbers that depend on the test's name alone."""

import zlib

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every run: a failure in CI is a failure here.
settings.register_profile("fastnn", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("fastnn")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def rng(request):
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))
