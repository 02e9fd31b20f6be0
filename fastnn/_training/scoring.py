"""Scores of a network: the values that `evaluate` returns and History records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses, metrics
from fastnn._engine import native
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_evaluation_plan, get_parameters, get_views
from fastnn._util.sparse_rows import SparseRows
from fastnn.activations import Activation
from fastnn.layers import Layer, get_output_activation, iterate_weighted_layers
from fastnn.losses import Loss

Array = NDArray[Any]

# The metric for each loss. Losses whose predictions are not comparable with a single target value
# have none.
METRICS = {
    "squared_error": "r2",
    "absolute_error": "r2",
    "huber": "r2",
    "log_cosh": "r2",
    "binary_cross_entropy": "accuracy",
    "cross_entropy": "accuracy",
    "hinge": "accuracy",
    "perceptron": "accuracy",
}


def get_metric_name(loss: Loss) -> str | None:
    """The name of the metric of a loss; None if it has none."""
    return METRICS.get(losses.get_name(loss))


def choose_loss(activation: Activation) -> str:
    """The loss for `loss="auto"`: the negative log-likelihood that matches the last activation."""
    matching = {
        "softmax": "cross_entropy",
        "sigmoid": "binary_cross_entropy",
        "exp": "poisson",
        "step": "perceptron",
    }
    return matching.get(activation.name, "squared_error")


@np.errstate(over="ignore")
def compute_penalty(layers: tuple[Layer, ...], weights: list[Array]) -> float:
    """The L1 and L2 penalties that are added to the loss; see `layers.Dense`."""
    total = 0.0
    for layer, w in zip(iterate_weighted_layers(layers), weights, strict=True):
        if layer.l1 or layer.l2:
            size = np.abs(w, dtype=np.float64)
            l1, l2 = float(layer.l1), float(layer.l2)  # a NumPy float32 would round the sum
            total += l1 * float(size.sum()) + l2 / 2 * float((size * size).sum())
    return total


def get_threshold(activation: Activation) -> float:
    """The output above which the label is 1: of logits 0, of probabilities 1/2."""
    return 0.0 if activation.name == "linear" else 0.5


def predict_labels(predictions: Array, activation: Activation) -> Array:
    """Labels (n,) by argmax for softmax; otherwise labels 0 or 1 (n, n_outputs) by a threshold."""
    if activation.name == "softmax":
        return np.asarray(predictions.argmax(axis=1))
    return np.asarray(predictions > get_threshold(activation), dtype=np.int64)


def _compute_accuracy(
    predictions: Array, y: Array, loss: Loss, activation: Activation, weights: Array | None
) -> float:
    if losses.get_name(loss) == "cross_entropy":
        labels = y[:, 0] if y.shape[1] == 1 else y.argmax(axis=1)
        return metrics.accuracy(labels.astype(np.int64), predictions.argmax(axis=1), weights)
    true, predicted = (y > 0.5).astype(np.int64), predict_labels(predictions, activation)
    if true.shape[1] == 1:
        true, predicted = true[:, 0], predicted[:, 0]
    return metrics.accuracy(true, predicted, weights)


def _compute_r2(predictions: Array, y: Array, weights: Array | None) -> float:
    if len(y) == 1:  # r2 is undefined
        return math.nan
    if not np.isfinite(predictions).all():
        return -math.inf
    return metrics.r2(y, predictions, weights)


@np.errstate(over="ignore", invalid="ignore")
def compute_metric(
    loss: Loss, activation: Activation, predictions: Array, y: Array, weights: Array | None
) -> float | None:
    """The metric of a loss; None if it has none."""
    metric = get_metric_name(loss)
    if metric == "accuracy":
        return _compute_accuracy(predictions, y, loss, activation, weights)
    return _compute_r2(predictions, y, weights) if metric == "r2" else None


# Weights that are about to diverge may overflow here; the result is then infinity, without a
# warning.
@np.errstate(over="ignore", invalid="ignore")
def compute_scores(
    loss: Loss,
    activation: Activation,
    row_losses: Array,
    predictions: Array,
    y: Array,
    weights: Array | None,
    penalty: float,
) -> dict[str, float]:
    """The objective as "loss" (mean loss plus penalty), and the metric under its name, if any."""
    result = {"loss": float(np.average(row_losses, weights=weights)) + penalty}
    value = compute_metric(loss, activation, predictions, y, weights)
    if value is not None:
        result[str(get_metric_name(loss))] = value
    return result


def evaluate(
    state: NetworkState, loss: Loss, arrays: Arrays, n_threads: int | None
) -> dict[str, float]:
    """The scores of a built network on the given arrays."""
    plan = get_evaluation_plan(
        state, loss, arrays.y.shape[1], sparse_inputs=isinstance(arrays.X, SparseRows)
    )
    y, weights, rows = arrays.y, arrays.weights, arrays.rows
    if rows is not None:
        y, weights = y[rows], None if weights is None else weights[rows]
    row_losses, predictions = native.evaluate(
        plan, get_parameters(state), arrays.X, y, n_threads, rows=rows
    )
    return compute_scores(
        loss, get_output_activation(state.layers), row_losses, predictions, y, weights,
        compute_penalty(state.layers, get_views(state)[0]),
    )  # fmt: skip
