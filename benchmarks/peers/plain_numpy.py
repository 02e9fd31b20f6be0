"""Prediction in a few lines of NumPy, with in-place operations."""

from __future__ import annotations

from collections.abc import Callable

import data
from cases import PredictionCase

from peers import blas_settings

LABEL = "NumPy"
SETTINGS = blas_settings()
TAKES = ("prediction",)


def version() -> str:
    """Version of the library."""
    import numpy

    return numpy.__version__


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """A call of the forward pass in NumPy."""
    net, (X, _) = case.net, data.make_arrays(case)
    weights = data.make_weights(net, case.dtype)
    return lambda: data.forward(net, weights, X)
