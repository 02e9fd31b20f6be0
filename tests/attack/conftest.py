"""What the attacks share. `FASTNN_ATTACK=1` makes each of them long."""

import os

import pytest


@pytest.fixture
def rounds():
    """`rounds(short, long)`: how often to attack."""

    def choose(short, long):
        return long if os.environ.get("FASTNN_ATTACK") else short

    return choose
