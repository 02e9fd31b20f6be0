"""How often an attack is repeated: briefly in the suite, long where FASTNN_ATTACK is set."""

import os

import pytest


@pytest.fixture
def rounds():
    """`rounds(short, long)`, the number of repetitions."""
    return lambda short, long: long if os.environ.get("FASTNN_ATTACK") else short
