"""Losses: how wrong the outputs of a row are, and in which direction to change them.

Each function takes outputs z (n, n_outputs) and targets y (n, n_targets), and returns the loss of
each row (n,) and its derivative with respect to z (n, n_outputs). The loss of a row is the mean
over its outputs, except for cross-entropy, which is a sum over classes. The average over rows
follows in training.py.

Most losses are negative log-likelihoods under a model of the errors. If the model includes an
activation (softmax, sigmoid, exp), z is the output before that activation: exponential and
logarithm then cancel in the formula, instead of being computed with rounding errors.
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


def mean_over_outputs(values: Array, derivatives: Array) -> Result:
    """The loss of a row from the losses of its m targets, sum_j values_j / m, with derivatives."""
    m = values.shape[1]
    return values.sum(axis=1) / m, derivatives / m


# ---- regression: a loss of the error e = z - y ---------------------------------------------------


def squared_error(_: Loss, z: Array, y: Array) -> Result:
    """e**2, derivative 2 e."""
    e = z - y
    return mean_over_outputs(e**2, 2 * e)


def absolute_error(_: Loss, z: Array, y: Array) -> Result:
    """|e|, derivative sign(e)."""
    e = z - y
    return mean_over_outputs(np.abs(e), np.sign(e))


def huber(loss: Huber, z: Array, y: Array) -> Result:
    """e**2 / 2 where |e| <= delta, otherwise delta * (|e| - delta / 2). The derivative is e,
    clipped to [-delta, delta]."""
    e, delta = z - y, loss.delta
    inside = e**2 / 2
    outside = delta * (np.abs(e) - delta / 2)
    return mean_over_outputs(
        np.where(np.abs(e) <= delta, inside, outside), np.clip(e, -delta, delta)
    )


def log_cosh(_: Loss, z: Array, y: Array) -> Result:
    """log((exp(e) + exp(-e)) / 2), derivative tanh(e)."""
    e = z - y
    return mean_over_outputs(np.logaddexp(e, -e) - np.log(2), np.tanh(e))


def quantile(loss: Quantile, z: Array, y: Array) -> Result:
    """q * (y - z) if the output is too low, (1 - q) * (z - y) if it is too high."""
    e, q = z - y, loss.quantile
    values = np.where(e < 0, -q * e, (1 - q) * e)
    derivatives = np.where(e < 0, -q, np.where(e > 0, 1 - q, 0.0))
    return mean_over_outputs(values, derivatives)


# ---- counts; errors with a learned variance ------------------------------------------------------


def poisson(_: Loss, z: Array, y: Array) -> Result:
    """rate - y log(rate) with rate = exp(z): exp(z) - y z, derivative exp(z) - y."""
    return mean_over_outputs(np.exp(z) - y * z, np.exp(z) - y)


def log_softplus(z: Array) -> Array:
    """log(log(1 + exp(z))). For z < -30, log(1 + a) = a - a**2 / 2 with a = exp(z) avoids the
    underflow of a."""
    left = z - np.exp(np.minimum(z, 0)) / 2
    return np.where(z < -30, left, np.log(softplus(np.maximum(z, -30))))


def poisson_softplus(_: Loss, z: Array, y: Array) -> Result:
    """rate - y log(rate) with rate = softplus(z), whose derivative is s = sigmoid(z):
    derivative s - y s / rate."""
    log_rate = log_softplus(z)
    s_by_rate = np.exp(log_expit(z) - log_rate)
    return mean_over_outputs(softplus(z) - y * log_rate, sigmoid(z) - y * s_by_rate)


def gaussian_nll(_: Loss, z: Array, y: Array) -> Result:
    """(s + e**2 exp(-s)) / 2 with e = mean - y and s = log(variance), where z holds all means and
    then all s. Derivatives: e exp(-s) with respect to the mean, (1 - e**2 exp(-s)) / 2 with respect
    to s."""
    mean, s = np.hsplit(z, 2)
    e, precision = mean - y, np.exp(-s)
    d_mean, d_s = e * precision, (1 - e**2 * precision) / 2
    return mean_over_outputs((s + e**2 * precision) / 2, np.hstack([d_mean, d_s]))


# ---- classification ------------------------------------------------------------------------------


def binary_cross_entropy(_: Loss, z: Array, y: Array) -> Result:
    """-y log(p) - (1 - y) log(1 - p) with p = sigmoid(z) and 1 - p = sigmoid(-z);
    derivative p - y = (1 - y) p - y (1 - p), a form that stays accurate when p is close to y."""
    values = -y * log_expit(z) - (1 - y) * log_expit(-z)
    return mean_over_outputs(values, (1 - y) * sigmoid(z) - y * sigmoid(-z))


def target_probabilities(loss: CrossEntropy, y: Array, n_classes: int) -> Array:
    """Targets t as probabilities (n, K). A single column contains labels, which become one-hot
    rows; a label outside 0..K-1 becomes a row of NaN. Label smoothing e then turns t into
    (1 - e) * t + e / K."""
    if y.shape[1] == 1 and n_classes > 1:
        one_hot = y == np.arange(n_classes)
        t = np.where(one_hot.any(axis=1, keepdims=True), one_hot.astype(np.float64), np.nan)
    else:
        t = y
    e = loss.label_smoothing
    return (1 - e) * t + e / n_classes


def cross_entropy(loss: CrossEntropy, z: Array, y: Array) -> Result:
    """-sum_k t_k log(p_k) with p = softmax(z); derivative sum(t) * p - t.

    If p is close to 1, these formulas subtract nearly equal values. With q, the sum of the
    probabilities of all other classes, log(p) is computed as log(1 - q), and the derivative as
    (sum of the other t) * p - t * q.
    """
    t, p = target_probabilities(loss, y, z.shape[1]), softmax(z)
    others = 1 - np.eye(z.shape[1])
    q = p @ others
    log_p = np.where(p > 0.5, np.log1p(-np.minimum(q, 0.5)), log_softmax(z, axis=1))
    return -np.sum(t * log_p, axis=1), (t @ others) * p - t * q


def side(y: Array) -> Array:
    """+1 for y = 1, -1 for the other class, which is encoded as 0 or -1."""
    return np.where(y > 0, 1.0, -1.0)


def hinge(_: Loss, z: Array, y: Array) -> Result:
    """max(0, 1 - t z), derivative -t inside the margin, where 1 - t z > 0."""
    t = side(y)
    return mean_over_outputs(np.maximum(0, 1 - t * z), np.where(1 - t * z > 0, -t, 0.0))


def perceptron(_: Loss, z: Array, y: Array) -> Result:
    """max(0, -t z), derivative -t where t z <= 0. z = 0 counts as an error; otherwise a network
    whose weights are zero could not start to learn."""
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
    """The loss of each row (n,) and its derivative with respect to z (n, n_outputs).

    z (n, n_outputs) is the output before or after the last activation, according to the entry of
    `fastnn.losses.HEADS` for this loss and `head_activation`: "raw" or "output".
    """
    if isinstance(loss, Poisson) and head_activation == "softplus":
        return poisson_softplus(loss, z, y)
    return FUNCTIONS[get_name(loss)](loss, z, y)
