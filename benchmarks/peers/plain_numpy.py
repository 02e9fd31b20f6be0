"""Prediction in a few lines of NumPy, in place where it can be."""

from __future__ import annotations

from collections.abc import Callable

import data
from cases import PredictionCase

from peers import blas_settings

LABEL = "NumPy"
SETTINGS = blas_settings()
TAKES = ("prediction",)


def version() -> str:
    """Of the library."""
    import numpy

    return numpy.__version__


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """The net written out."""
    net, (X, _) = case.net, data.arrays(case)
    weights = data.initial_weights(net, case.dtype)
    return lambda: data.forward(net, weights, X)
