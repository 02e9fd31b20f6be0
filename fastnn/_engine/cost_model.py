"""Cost model: estimates of the arithmetic of a step or a prediction, in FLOP.

The estimates decide how many threads may pay, how often the engine reads its clock, and which calls
are small. They do not affect results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_ext.codes import Activation, Derivative, Kind

# FLOP equivalents per element of a transcendental activation, which takes 0.2 to 0.4 ns (simd.h),
# and per row for gather and loss, 20 ns.
PIECEWISE_LINEAR = (Activation.LINEAR, Activation.STEP, Activation.RELU, Activation.LEAKY_RELU)
ACTIVATION_FLOPS = 30
ROW_FLOPS = 1500

# FLOP equivalents of an element that is written to main memory.
WRITE_FLOPS = 20

# Work between two readings of the clock in training: a few microseconds.
CLOCK_FLOPS = 1e6

# Largest prediction that is made immediately on one thread: up to here a second thread does not
# pay.
SMALL_FLOPS = 2e6

# Work of a thread in prediction after which signals are handled: about 10 ms.
SLICE_FLOPS = 5e8


def estimate_training_flops(layers: NDArray[Any], buffers: NDArray[Any]) -> float:
    """FLOP of a training step per row of the batch, for the layers and buffers of a plan.

    Each weight matrix takes part in three matrix multiplications, or in two if the gradient of its
    input is not needed.
    """
    dense = layers[layers["kind"] == Kind.DENSE]
    has_input_gradient = buffers["gradient"][dense["input"]] >= 0
    matmuls = dense["n_out"] * dense["n_in"] * np.where(has_input_gradient, 6, 4)
    return float(np.sum(matmuls)) + _estimate_activation_flops(dense) + ROW_FLOPS


def estimate_prediction_flops(layers: NDArray[Any]) -> float:
    """FLOP of a prediction per row, for the layers of a plan."""
    dense = layers[layers["kind"] == Kind.DENSE]
    return float(np.sum(2 * dense["n_out"] * dense["n_in"])) + _estimate_activation_flops(dense)


def estimate_derivative_flops(
    layers: NDArray[Any], n_directions: int, n_features: int, kind: Derivative
) -> float:
    """FLOP of derivatives in n directions per row, for the layers of a plan: a direction costs
    about as much as a prediction. A Hessian adds a product of three matrices for each layer;
    derivatives by the parameters are written once for each direction."""
    dense = layers[layers["kind"] == Kind.DENSE]
    total = (1 + n_directions) * estimate_prediction_flops(layers)
    if kind == Derivative.HESSIAN:
        total += float(np.sum(2 * n_features**2 * dense["n_out"]))
    if kind == Derivative.PARAMETERS:
        total += WRITE_FLOPS * n_directions * float(np.sum(dense["n_out"] * (dense["n_in"] + 1)))
    return total


def _estimate_activation_flops(dense: NDArray[Any]) -> float:
    transcendental = ~np.isin(dense["activation"], PIECEWISE_LINEAR)
    return float(np.sum(ACTIVATION_FLOPS * dense["n_out"] * transcendental))
