"""Activation functions, each with its first and second derivative.

Without an activation between them, two layers would be equivalent to one: the product of two
matrices is a matrix. An activation is a nonlinear function applied to each element of a layer's
preactivation z, y = f(z); the backward pass needs its derivative f'(z), and the Hessian of a
network needs f''(z) (see derivatives.py). `FUNCTIONS` is a table of name, f, f' and f''. Where f
has a corner, the derivatives from the left are used (relu, leaky_relu, elu: z <= 0). Where only f'
has a corner, at z = 0 of softsign, f'' is 0.

Softmax is the only activation of a whole row. It is not in the table, because training never needs
its derivative separately: combined with cross-entropy, the gradient is `softmax(z) - t` (see
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


def sigmoid_derivative(z: Array) -> Array:
    """s (1 - s) with s = sigmoid(z) and 1 - s = sigmoid(-z)."""
    return sigmoid(z) * sigmoid(-z)


def sigmoid_second_derivative(z: Array) -> Array:
    """s (1 - s) (1 - 2 s)."""
    return sigmoid_derivative(z) * (sigmoid(-z) - sigmoid(z))


def tanh_second_derivative(z: Array) -> Array:
    """f' = 1 - f**2, so f'' = -2 f (1 - f**2)."""
    return np.asarray(-2 * np.tanh(z) * (1 - np.tanh(z) ** 2))


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


def elu_second_derivative(z: Array, alpha: float) -> Array:
    """0 where z > 0, otherwise alpha * exp(z)."""
    return np.where(z > 0, 0.0, alpha * np.exp(np.minimum(z, 0)))


def softsign_second_derivative(z: Array) -> Array:
    """f' = 1 / (1 + |z|)**2, so f'' = -2 sign(z) / (1 + |z|)**3."""
    return np.asarray(-2 * np.sign(z) / (1 + np.abs(z)) ** 3)


def silu_derivative(z: Array) -> Array:
    """f = z s with s = sigmoid(z) and s' = s (1 - s), so f' = s + z s (1 - s)."""
    return sigmoid(z) + z * sigmoid_derivative(z)


def silu_second_derivative(z: Array) -> Array:
    """f' = s + z s', so f'' = 2 s' + z s''."""
    return 2 * sigmoid_derivative(z) + z * sigmoid_second_derivative(z)


def normal_cdf(z: Array) -> Array:
    """P(N <= z) for a standard normal N."""
    return np.asarray((1 + erf(z / np.sqrt(2))) / 2)


def normal_density(z: Array) -> Array:
    """The derivative of `normal_cdf`: exp(-z**2 / 2) / sqrt(2 pi)."""
    return np.asarray(np.exp(-z * z / 2) / np.sqrt(2 * np.pi))


def gelu_second_derivative(z: Array) -> Array:
    """f' = cdf + z density and density' = -z density, so f'' = (2 - z**2) density."""
    return (2 - z * z) * normal_density(z)


def mish_derivative(z: Array) -> Array:
    """f = z t with t = tanh(softplus(z)), so f' = t + z (1 - t**2) sigmoid(z)."""
    t = np.tanh(softplus(z))
    return np.asarray(t + z * (1 - t * t) * sigmoid(z))


def mish_second_derivative(z: Array) -> Array:
    """With t' = (1 - t**2) s and s = sigmoid(z): f' = t + z t', so f'' = 2 t' + z t'', where
    t'' = (1 - t**2) s' - 2 t t' s."""
    t, s = np.tanh(softplus(z)), sigmoid(z)
    dt = (1 - t * t) * s
    return np.asarray(2 * dt + z * ((1 - t * t) * sigmoid_derivative(z) - 2 * t * dt * s))


def zero(z: Array, _: float = 0.0) -> Array:
    """The second derivative of a piecewise linear function."""
    return np.zeros_like(z)


def hard_sigmoid_derivative(z: Array) -> Array:
    """1/6 strictly inside (-3, 3), otherwise 0."""
    return np.where(np.abs(z) < 3, 1 / 6, 0.0)


# name: (f, f', f''). The second argument is the activation's parameter, which most do not have.
# Each f propagates NaN: a network that diverges must show it in its loss.
FUNCTIONS: dict[str, tuple[Function, Function, Function]] = {
    "linear": (lambda z, _: z, lambda z, _: np.ones_like(z), zero),
    "step": (lambda z, _: np.heaviside(z, 0.0), zero, zero),
    "sigmoid": (
        lambda z, _: sigmoid(z),
        lambda z, _: sigmoid_derivative(z),
        lambda z, _: sigmoid_second_derivative(z),
    ),
    "tanh": (
        lambda z, _: np.tanh(z),
        lambda z, _: 1 - np.tanh(z) ** 2,
        lambda z, _: tanh_second_derivative(z),
    ),
    "relu": (lambda z, _: np.maximum(z, 0), lambda z, _: np.heaviside(z, 0.0), zero),
    "leaky_relu": (leaky_relu, leaky_relu_derivative, zero),
    "elu": (elu, elu_derivative, elu_second_derivative),
    "selu": (
        lambda z, _: SELU_SCALE * elu(z, SELU_ALPHA),
        lambda z, _: SELU_SCALE * elu_derivative(z, SELU_ALPHA),
        lambda z, _: SELU_SCALE * elu_second_derivative(z, SELU_ALPHA),
    ),
    "softplus": (
        lambda z, _: softplus(z),
        lambda z, _: sigmoid(z),
        lambda z, _: sigmoid_derivative(z),
    ),
    "softsign": (
        lambda z, _: z / (1 + np.abs(z)),
        lambda z, _: 1 / (1 + np.abs(z)) ** 2,
        lambda z, _: softsign_second_derivative(z),
    ),
    "silu": (
        lambda z, _: z * sigmoid(z),
        lambda z, _: silu_derivative(z),
        lambda z, _: silu_second_derivative(z),
    ),
    "gelu": (
        lambda z, _: z * normal_cdf(z),
        lambda z, _: normal_cdf(z) + z * normal_density(z),
        lambda z, _: gelu_second_derivative(z),
    ),
    "mish": (
        lambda z, _: z * np.tanh(softplus(z)),
        lambda z, _: mish_derivative(z),
        lambda z, _: mish_second_derivative(z),
    ),
    "hard_sigmoid": (
        lambda z, _: np.clip((z + 3) / 6, 0, 1),
        lambda z, _: hard_sigmoid_derivative(z),
        zero,
    ),
    "exp": (lambda z, _: np.exp(z), lambda z, _: np.exp(z), lambda z, _: np.exp(z)),
}


def softmax(z: Array) -> Array:
    """exp(z_k) / sum_j exp(z_j) in each row. Subtracting the largest z of the row does not change
    the result, and keeps the exponentials from overflowing."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def softmax_jacobian(z: Array) -> Array:
    """The matrices (n, K, K) of dp_k / dz_i = p_k (1{k = i} - p_i) with p = softmax(z)."""
    p = softmax(z)
    return p[:, :, np.newaxis] * (np.eye(z.shape[1]) - p[:, np.newaxis, :])


def softmax_hessian(z: Array) -> Array:
    """The second derivatives (n, K, K, K) of p_k by z_i and z_j: by the product rule,
    p_k ((1{k = i} - p_i) (1{k = j} - p_j) - dp_i / dz_j)."""
    p = softmax(z)
    d = np.eye(z.shape[1]) - p[:, np.newaxis, :]
    products = d[:, :, :, np.newaxis] * d[:, :, np.newaxis, :]
    rows: Array = softmax_jacobian(z)[:, np.newaxis]
    return np.asarray(p[:, :, np.newaxis, np.newaxis] * (products - rows))
