"""From predictions to the numbers that `evaluate` returns and History records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses, metrics
from fastnn._engine import native
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters, get_plan, get_views
from fastnn.activations import Activation
from fastnn.layers import Layer, get_output_activation, iterate_dense_layers
from fastnn.losses import Loss

Array = NDArray[Any]

# The metric that goes with a loss; losses that fit no single number of each row have none.
METRIC_OF = {
    "squared_error": "r2",
    "absolute_error": "r2",
    "huber": "r2",
    "log_cosh": "r2",
    "binary_cross_entropy": "accuracy",
    "cross_entropy": "accuracy",
    "hinge": "accuracy",
    "perceptron": "accuracy",
}


def metric_name(loss: Loss) -> str | None:
    """The metric of a loss, None where it has none."""
    return METRIC_OF.get(losses.get_name(loss))


def automatic_loss(activation: Activation) -> str:
    """The loss that `loss="auto"` stands for: the likelihood that the last activation suggests."""
    fitting = {
        "softmax": "cross_entropy",
        "sigmoid": "binary_cross_entropy",
        "exp": "poisson",
        "step": "perceptron",
    }
    return fitting.get(activation.name, "squared_error")


@np.errstate(over="ignore")
def penalty(layers: tuple[Layer, ...], weights: list[Array]) -> float:
    """What the layers' l1 and l2 add to the loss; see `layers.Dense`."""
    total = 0.0
    for layer, w in zip(iterate_dense_layers(layers), weights, strict=True):
        if layer.l1 or layer.l2:
            size = np.abs(w, dtype=np.float64)
            l1, l2 = float(layer.l1), float(layer.l2)  # a NumPy float32 would round the sum
            total += l1 * float(size.sum()) + l2 / 2 * float((size * size).sum())
    return total


def decisions(predictions: Array, activation: Activation) -> Array:
    """Labels: the largest of several classes, or each output against its border."""
    if activation.name == "softmax":
        return np.asarray(predictions.argmax(axis=1))
    border = 0.0 if activation.name == "linear" else 0.5
    return np.asarray(predictions > border, dtype=np.int64)


def _accuracy(
    predictions: Array, y: Array, loss: Loss, activation: Activation, weights: Array | None
) -> float:
    if losses.get_name(loss) == "cross_entropy":
        labels = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
        return metrics.accuracy(labels.astype(np.int64), predictions.argmax(axis=1), weights)
    truth, decided = (y > 0.5).astype(np.int64), decisions(predictions, activation)
    if truth.shape[1] == 1:
        truth, decided = truth[:, 0], decided[:, 0]
    return metrics.accuracy(truth, decided, weights)


def _r2(predictions: Array, y: Array, weights: Array | None) -> float:
    if len(y) == 1:  # which has no r2
        return math.nan
    if not np.isfinite(predictions).all():
        return -math.inf
    return metrics.r2(y, predictions, weights)


@np.errstate(over="ignore", invalid="ignore")
def metric_of(
    loss: Loss, activation: Activation, predictions: Array, y: Array, weights: Array | None
) -> float | None:
    """The metric of a loss, None where it has none."""
    metric = metric_name(loss)
    if metric == "accuracy":
        return _accuracy(predictions, y, loss, activation, weights)
    return _r2(predictions, y, weights) if metric == "r2" else None


# Weights that are about to diverge may overflow here: infinity is the answer then, not an error.
@np.errstate(over="ignore", invalid="ignore")
def scores(
    loss: Loss,
    activation: Activation,
    row_losses: Array,
    predictions: Array,
    y: Array,
    weights: Array | None,
    penalty: float,
) -> dict[str, float]:
    """{"loss": objective, and the loss's metric if it has one}."""
    result = {"loss": float(np.average(row_losses, weights=weights)) + penalty}
    value = metric_of(loss, activation, predictions, y, weights)
    if value is not None:
        result[str(metric_name(loss))] = value
    return result


def evaluate(
    state: NetworkState, loss: Loss, arrays: Arrays, n_threads: int | None
) -> dict[str, float]:
    """The scores of a built network on some rows."""
    plan, rows = get_plan(state, loss), arrays.rows
    y, weights = arrays.y, arrays.weights
    if rows is not None:
        y, weights = y[rows], None if weights is None else weights[rows]
    row_losses, predictions = native.evaluate(
        plan, get_parameters(state), arrays.X, y, n_threads, rows=rows
    )
    return scores(
        loss, get_output_activation(state.layers), row_losses, predictions, y, weights,
        penalty(state.layers, get_views(state)[0]),
    )  # fmt: skip
