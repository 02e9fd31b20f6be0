"""Activation functions, each with its derivative.

Without an activation between them, two layers would be equivalent to one: the product of two
matrices is a matrix. An activation is a nonlinear function applied to each element of a layer's
preactivation z, y = f(z); the backward pass needs its derivative f'(z). `FUNCTIONS` is a table of
name, f and f'. Where f has a corner, the derivative from the left is used (relu, leaky_relu, elu:
z <= 0).

Softmax is the only activation of a whole row. It is not in the table, because its derivative is
never needed separately: combined with cross-entropy, the gradient is `softmax(z) - t` (see
losses.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

Array = NDArray[np.float64]
Function = Callable[[Array, float], Array]

# The fixed point of G. Klambauer and others, NeurIPS 2017, equation 14.
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)): maps a real number to a probability."""
    return np.asarray(expit(z))


def softplus(z: Array) -> Array:
    """log(1 + exp(z)), a smooth relu, as max(z, 0) + log(1 + exp(-|z|)), which cannot overflow."""
    return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


def leaky_relu(z: Array, slope: float) -> Array:
    """z where z > 0, otherwise slope * z."""
    return np.where(z > 0, z, slope * z)


def leaky_relu_derivative(z: Array, slope: float) -> Array:
    """1 where z > 0, otherwise slope."""
    return np.where(z > 0, 1.0, slope)


def elu(z: Array, alpha: float) -> Array:
    """z where z > 0, otherwise alpha * (exp(z) - 1)."""
    # `where` evaluates both branches; the minimum keeps the unused one from overflowing.
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_derivative(z: Array, alpha: float) -> Array:
    """1 where z > 0, otherwise alpha * exp(z)."""
    return np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0)))


def silu_derivative(z: Array) -> Array:
    """f = z s with s = sigmoid(z) and s' = s (1 - s), so f' = s + z s (1 - s)."""
    return sigmoid(z) + z * sigmoid(z) * sigmoid(-z)


def normal_cdf(z: Array) -> Array:
    """P(N <= z) for a standard normal N."""
    return np.asarray((1 + erf(z / np.sqrt(2))) / 2)


def normal_density(z: Array) -> Array:
    """The derivative of `normal_cdf`: exp(-z**2 / 2) / sqrt(2 pi)."""
    return np.asarray(np.exp(-z * z / 2) / np.sqrt(2 * np.pi))


def mish_derivative(z: Array) -> Array:
    """f = z t with t = tanh(softplus(z)), so f' = t + z (1 - t**2) sigmoid(z)."""
    t = np.tanh(softplus(z))
    return np.asarray(t + z * (1 - t * t) * sigmoid(z))


def hard_sigmoid_derivative(z: Array) -> Array:
    """1/6 strictly inside (-3, 3), otherwise 0."""
    return np.where(np.abs(z) < 3, 1 / 6, 0.0)


# name: (f, f'). The second argument is the activation's parameter, which most do not have.
# Each propagates NaN: a network that diverges must show it in its loss.
FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "linear": (lambda z, _: z, lambda z, _: np.ones_like(z)),
    "step": (lambda z, _: np.heaviside(z, 0.0), lambda z, _: np.zeros_like(z)),
    "sigmoid": (lambda z, _: sigmoid(z), lambda z, _: sigmoid(z) * sigmoid(-z)),
    "tanh": (lambda z, _: np.tanh(z), lambda z, _: 1 - np.tanh(z) ** 2),
    "relu": (lambda z, _: np.maximum(z, 0), lambda z, _: np.heaviside(z, 0.0)),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
    "elu": (elu, elu_derivative),
    "selu": (
        lambda z, _: SELU_SCALE * elu(z, SELU_ALPHA),
        lambda z, _: SELU_SCALE * elu_derivative(z, SELU_ALPHA),
    ),
    "softplus": (lambda z, _: softplus(z), lambda z, _: sigmoid(z)),
    "softsign": (lambda z, _: z / (1 + np.abs(z)), lambda z, _: 1 / (1 + np.abs(z)) ** 2),
    "silu": (lambda z, _: z * sigmoid(z), lambda z, _: silu_derivative(z)),
    "gelu": (
        lambda z, _: z * normal_cdf(z),
        lambda z, _: normal_cdf(z) + z * normal_density(z),
    ),
    "mish": (lambda z, _: z * np.tanh(softplus(z)), lambda z, _: mish_derivative(z)),
    "hard_sigmoid": (
        lambda z, _: np.clip((z + 3) / 6, 0, 1),
        lambda z, _: hard_sigmoid_derivative(z),
    ),
    "exp": (lambda z, _: np.exp(z), lambda z, _: np.exp(z)),
}


def softmax(z: Array) -> Array:
    """exp(z_k) / sum_j exp(z_j) in each row. Subtracting the largest z of the row does not change
    the result, and keeps the exponentials from overflowing."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
