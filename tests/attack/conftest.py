"""Fixtures of the stress tests. `FASTNN_ATTACK=1` makes each of them long."""

import os

import pytest


@pytest.fixture
def rounds():
    """`rounds(short, long)`: the number of repetitions."""

    def choose(short, long):
        return long if os.environ.get("FASTNN_ATTACK") else short

    return choose
