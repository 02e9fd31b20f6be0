"""Losses: how wrong a row is, and in which direction to change its outputs.

Each function takes the outputs z (n, n_outputs) and the targets y, and returns the loss of each
row (n,) with its derivative by z (n, n_outputs). The loss of a row is the mean over its outputs;
cross-entropy alone is a sum over classes. Rows are averaged later, in training.py.

Most losses are negative log-likelihoods under a model of the errors. Where that model goes with an
activation (softmax, sigmoid, exp), z is taken before the activation: the exponential and the
logarithm then cancel on paper instead of on the computer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax

from fastnn.losses import CrossEntropy, Huber, Loss, Poisson, Quantile, get_name
from fastnn.reference.activations import sigmoid, softmax, softplus

Array = NDArray[np.float64]
Result = tuple[Array, Array]


def mean_over_outputs(values: Array, slopes: Array) -> Result:
    """From a loss per target to a loss per row: loss = sum_j values_j / m, and so its slopes."""
    m = values.shape[1]
    return values.sum(axis=1) / m, slopes / m


# ---- regression: a loss of the error e = z - y ---------------------------------------------------


def squared_error(_: Loss, z: Array, y: Array) -> Result:
    """e**2, slope 2 e."""
    e = z - y
    return mean_over_outputs(e**2, 2 * e)


def absolute_error(_: Loss, z: Array, y: Array) -> Result:
    """|e|, slope sign(e)."""
    e = z - y
    return mean_over_outputs(np.abs(e), np.sign(e))


def huber(loss: Huber, z: Array, y: Array) -> Result:
    """e**2 / 2 where |e| <= delta, otherwise delta * (|e| - delta / 2): its slope is e, cut off
    at -delta and delta."""
    e, delta = z - y, loss.delta
    inside = e**2 / 2
    outside = delta * (np.abs(e) - delta / 2)
    return mean_over_outputs(
        np.where(np.abs(e) <= delta, inside, outside), np.clip(e, -delta, delta)
    )


def log_cosh(_: Loss, z: Array, y: Array) -> Result:
    """log((exp(e) + exp(-e)) / 2), slope tanh(e)."""
    e = z - y
    return mean_over_outputs(np.logaddexp(e, -e) - np.log(2), np.tanh(e))


def quantile(loss: Quantile, z: Array, y: Array) -> Result:
    """q * (y - z) where the output is too low, (1 - q) * (z - y) where it is too high."""
    e, q = z - y, loss.quantile
    values = np.where(e < 0, -q * e, (1 - q) * e)
    slopes = np.where(e < 0, -q, np.where(e > 0, 1 - q, 0.0))
    return mean_over_outputs(values, slopes)


# ---- counts, and errors of a width that is learned as well ---------------------------------------


def poisson(_: Loss, z: Array, y: Array) -> Result:
    """rate - y log(rate) with rate = exp(z): exp(z) - y z, slope exp(z) - y."""
    return mean_over_outputs(np.exp(z) - y * z, np.exp(z) - y)


def log_softplus(z: Array) -> Array:
    """log(log(1 + exp(z))); far on the left log(1 + a) = a - a**2 / 2, where a itself would
    underflow."""
    left = z - np.exp(np.minimum(z, 0)) / 2
    return np.where(z < -30, left, np.log(softplus(np.maximum(z, -30))))


def poisson_softplus(_: Loss, z: Array, y: Array) -> Result:
    """rate - y log(rate) with rate = softplus(z), whose slope is s = sigmoid(z):
    slope s - y s / rate."""
    log_rate = log_softplus(z)
    s_by_rate = np.exp(log_expit(z) - log_rate)
    return mean_over_outputs(softplus(z) - y * log_rate, sigmoid(z) - y * s_by_rate)


def gaussian_nll(_: Loss, z: Array, y: Array) -> Result:
    """(s + e**2 exp(-s)) / 2 with e = mean - y and s = log(variance), z = (means, all s).
    Slopes: e exp(-s) by the mean and (1 - e**2 exp(-s)) / 2 by s."""
    mean, s = np.hsplit(z, 2)
    e, precision = mean - y, np.exp(-s)
    by_mean, by_s = e * precision, (1 - e**2 * precision) / 2
    return mean_over_outputs((s + e**2 * precision) / 2, np.hstack([by_mean, by_s]))


# ---- classification ------------------------------------------------------------------------------


def binary_cross_entropy(_: Loss, z: Array, y: Array) -> Result:
    """-y log(p) - (1 - y) log(1 - p) with p = sigmoid(z) and 1 - p = sigmoid(-z);
    slope p - y = (1 - y) p - y (1 - p), which keeps its digits where p is nearly y."""
    values = -y * log_expit(z) - (1 - y) * log_expit(-z)
    return mean_over_outputs(values, (1 - y) * sigmoid(z) - y * sigmoid(-z))


def class_shares(loss: CrossEntropy, y: Array, n_classes: int) -> Array:
    """Targets as rows t of probabilities. A single column holds labels and becomes one-hot rows,
    of NaN for a label that is none of 0..K-1; smoothing by e then moves t to (1 - e) * t + e / K.
    """
    if y.shape[1] == 1 and n_classes > 1:
        one_hot = y == np.arange(n_classes)
        t = np.where(one_hot.any(axis=1, keepdims=True), one_hot.astype(np.float64), np.nan)
    else:
        t = y
    e = loss.label_smoothing
    return (1 - e) * t + e / n_classes


def cross_entropy(loss: CrossEntropy, z: Array, y: Array) -> Result:
    """-sum_k t_k log(p_k) with p = softmax(z); slope sum(t) * p - t. Where p is nearly 1 these
    would be differences of numbers that are nearly equal: log(p) is log(1 - q) with q, the sum of
    all other p, and the slope is sum(t of others) * p - t * q."""
    t, p = class_shares(loss, y, z.shape[1]), softmax(z)
    others = 1 - np.eye(z.shape[1])
    q = p @ others
    log_p = np.where(p > 0.5, np.log1p(-np.minimum(q, 0.5)), log_softmax(z, axis=1))
    return -np.sum(t * log_p, axis=1), (t @ others) * p - t * q


def side(y: Array) -> Array:
    """+1 for the class y = 1, -1 for the other, however it is written (0 or -1)."""
    return np.where(y > 0, 1.0, -1.0)


def hinge(_: Loss, z: Array, y: Array) -> Result:
    """max(0, 1 - t z), slope -t inside the margin, where 1 - t z > 0."""
    t = side(y)
    return mean_over_outputs(np.maximum(0, 1 - t * z), np.where(1 - t * z > 0, -t, 0.0))


def perceptron(_: Loss, z: Array, y: Array) -> Result:
    """max(0, -t z), slope -t where t z <= 0. The border counts as wrong: a network of zeros could
    not begin to learn otherwise."""
    t = side(y)
    return mean_over_outputs(np.maximum(0, -t * z), np.where(t * z <= 0, -t, 0.0))


FUNCTIONS: dict[str, Callable[[Any, Array, Array], Result]] = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "log_cosh": log_cosh,
    "quantile": quantile,
    "poisson": poisson,
    "gaussian_nll": gaussian_nll,
    "binary_cross_entropy": binary_cross_entropy,
    "cross_entropy": cross_entropy,
    "hinge": hinge,
    "perceptron": perceptron,
}


def value_and_gradient(loss: Loss, head_activation: str, z: Array, y: Array) -> Result:
    """The loss of each row, (n,), and its derivative by z, (n, n_outputs), where z is what
    `fastnn.losses.HEADS` says for this last activation: "raw" or "output"."""
    if isinstance(loss, Poisson) and head_activation == "softplus":
        return poisson_softplus(loss, z, y)
    return FUNCTIONS[get_name(loss)](loss, z, y)
