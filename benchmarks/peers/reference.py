"""fastnn with `engine="reference"`, its implementation in NumPy."""

from __future__ import annotations

from cases import TrainingCase

from peers import native

LABEL = "fastnn.reference"
SETTINGS: dict[str, dict[str, str]] = {"default": {}}
TAKES = ("training",)

version = native.version


class Fit(native.Fit):
    """One call of `fit` for all epochs."""

    engine = "reference"


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)
