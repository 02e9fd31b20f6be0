"""Derivatives of predictions with respect to features and parameters.

By the chain rule, the Jacobian of a network is the product of the Jacobians of its layers,

    J = J_L ... J_2 J_1,

where the Jacobian of a Dense layer is J_k = diag(f'(z)) W^T. A product of matrices may be computed
from either end:

- Forward mode starts at the input: J_L (... (J_2 (J_1 V))). It propagates directions V of the
  features to the outputs; for all of J, V has a column for each feature.
- Reverse mode starts at the output: ((U J_L) ...) J_2) J_1. It propagates combinations U of the
  outputs back to the features; for all of J, U has a row for each output. Backpropagation is
  reverse mode with a single row, because the loss is a single number.

So forward mode is cheaper with few features and reverse mode with few outputs: A. Griewank,
A. Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008, chapter 3.

All functions differentiate the predictions, including a last softmax, with inactive dropout. Each
returns the derivatives of every row of X; row r depends on no other row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastnn.activations import resolve
from fastnn.layers import Dense, Layer, Residual, Scale, get_output_activation
from fastnn.losses import Loss
from fastnn.reference import losses, network
from fastnn.reference.activations import FUNCTIONS, softmax, softmax_hessian, softmax_jacobian
from fastnn.reference.parameters import join
from fastnn.reference.training import select_loss_layers

Array = NDArray[np.float64]
Weights = Sequence[Array]
Biases = Sequence[Array | None]


# ---- factors: the Jacobians of the layers --------------------------------------------------------


@dataclass(frozen=True)
class Skip:
    """The Jacobian of a residual block y = x + F(x): the identity plus the product of the factors
    of F."""

    inner: list[Factor]


Factor = Array | Skip  # a Jacobian (n, n_out, n_in), or that of a residual block


def activate(layer: Dense, z: Array) -> tuple[Array, Array]:
    """y = f(z) (n, units) and its Jacobian (n, units, units), diagonal unless f is softmax."""
    activation = resolve(layer.activation)
    if activation.name == "softmax":
        return softmax(z), softmax_jacobian(z)
    f, derivative, _ = FUNCTIONS[activation.name]
    parameter = activation.parameter or 0.0
    return f(z, parameter), derivative(z, parameter)[:, :, np.newaxis] * np.eye(layer.units)


def linearize(
    layers: Sequence[Layer], parameters: Iterator[network.Parameters], x: Array
) -> tuple[Array, list[Factor]]:
    """The outputs for x (n, n_in) and the Jacobian of each layer at x, in the order of the layers.
    Each layer with weights takes the next parameters. A Dropout layer returns x, and has no
    factor."""
    factors: list[Factor] = []
    for layer in layers:
        if isinstance(layer, Dense):
            W, b = next(parameters)
            x, D = activate(layer, network.preactivate(W, b, x))
            factors.append(D @ W.T)
        elif isinstance(layer, Scale):
            s, _ = next(parameters)
            x = x * s
            factors.append(np.broadcast_to(np.diag(s[0]), (len(x), s.size, s.size)))
        elif isinstance(layer, Residual):
            inner_y, inner = linearize(layer.layers, parameters, x)
            x = x + inner_y
            factors.append(Skip(inner))
    return x, factors


# ---- their product, in two orders ----------------------------------------------------------------


def multiply_forward(factors: Sequence[Factor], V: Array) -> Array:
    """J_L (... (J_2 (J_1 V))) for V (n, n_in, m): from the input to the output."""
    for J in factors:
        V = V + multiply_forward(J.inner, V) if isinstance(J, Skip) else J @ V
    return V


def multiply_reverse(factors: Sequence[Factor], U: Array) -> Array:
    """(((U J_L) ...) J_2) J_1 for U (n, m, n_out): from the output to the input."""
    for J in reversed(factors):
        U = U + multiply_reverse(J.inner, U) if isinstance(J, Skip) else U @ J
    return U


def identity(n: int, size: int) -> Array:
    """n identity matrices (n, size, size)."""
    return np.tile(np.eye(size), (n, 1, 1))


def jacobian(
    layers: Sequence[Layer], weights: Weights, biases: Biases, X: Array, mode: str = "reverse"
) -> Array:
    """The derivative of each prediction with respect to each feature, (n, n_outputs, n_features),
    by `mode` "forward" or "reverse"."""
    y, factors = linearize(layers, zip(weights, biases, strict=True), X)
    n, n_features = X.shape
    if mode == "forward":
        return multiply_forward(factors, identity(n, n_features))
    return multiply_reverse(factors, identity(n, y.shape[1]))


def jvp(layers: Sequence[Layer], weights: Weights, biases: Biases, X: Array, V: Array) -> Array:
    """J v for each row v of V (n, n_features), by forward mode: the rates (n, n_outputs) at which
    the predictions change if the features move in the direction v."""
    _, factors = linearize(layers, zip(weights, biases, strict=True), X)
    return multiply_forward(factors, V[:, :, np.newaxis])[:, :, 0]


def vjp(layers: Sequence[Layer], weights: Weights, biases: Biases, X: Array, U: Array) -> Array:
    """u J for each row u of U (n, n_outputs), by reverse mode: the gradient (n, n_features) of the
    combination sum_k u_k y_k of the predictions."""
    _, factors = linearize(layers, zip(weights, biases, strict=True), X)
    return multiply_reverse(factors, U[:, np.newaxis, :])[:, 0, :]


# ---- second derivatives --------------------------------------------------------------------------


def curve(layer: Dense, z: Array) -> Array:
    """The second derivatives (n, units, units, units) of y_k by z_i and z_j. For an elementwise
    activation, only f''(z_k) at i = j = k is not zero."""
    activation = resolve(layer.activation)
    if activation.name == "softmax":
        return softmax_hessian(z)
    _, _, second_derivative = FUNCTIONS[activation.name]
    k = np.arange(layer.units)
    curvature = np.zeros((len(z), layer.units, layer.units, layer.units))
    curvature[:, k, k, k] = second_derivative(z, activation.parameter or 0.0)
    return curvature


def propagate(
    layers: Sequence[Layer],
    parameters: Iterator[network.Parameters],
    x: Array,
    J: Array,
    H: Array,
) -> tuple[Array, Array, Array]:
    """The outputs y of the layers, and their derivatives J (n, n_out, d) and H (n, n_out, d, d)
    with respect to d variables, from those of x. For y = f(z) with z = x W + b,

        dy_k = sum_i df_k/dz_i dz_i,
        d2y_k = sum_ij d2f_k/dz_i dz_j dz_i dz_j + sum_i df_k/dz_i d2z_i.
    """
    for layer in layers:
        if isinstance(layer, Dense):
            W, b = next(parameters)
            z = network.preactivate(W, b, x)
            x, D = activate(layer, z)
            Jz, Hz = W.T @ J, np.einsum("io,niab->noab", W, H)
            J = D @ Jz
            H = np.einsum("nkij,nia,njb->nkab", curve(layer, z), Jz, Jz) + np.einsum(
                "nki,niab->nkab", D, Hz
            )
        elif isinstance(layer, Scale):
            s, _ = next(parameters)
            x, J, H = x * s, J * s[0, :, np.newaxis], H * s[0, :, np.newaxis, np.newaxis]
        elif isinstance(layer, Residual):
            inner_x, inner_J, inner_H = propagate(layer.layers, parameters, x, J, H)
            x, J, H = x + inner_x, J + inner_J, H + inner_H
    return x, J, H


def hessian(
    layers: Sequence[Layer], weights: Weights, biases: Biases, X: Array, output: int = 0
) -> Array:
    """The second derivatives (n, n_features, n_features) of one prediction with respect to the
    features: forward mode twice. It starts with J = 1 and H = 0, the derivatives of the features
    with respect to themselves."""
    n, d = X.shape
    parameters = zip(weights, biases, strict=True)
    _, _, H = propagate(layers, parameters, X, identity(n, d), np.zeros((n, d, d, d)))
    return H[:, output]


# ---- derivatives with respect to the parameters: reverse mode ------------------------------------


def backpropagate(
    layers: Sequence[Layer], weights: Weights, biases: Biases, x: Array
) -> tuple[Array, Callable[[Array], Array]]:
    """The outputs of the layers for one row x (1, n_features), and a function from the derivatives
    with respect to these outputs, (1, n_outputs), to those with respect to the parameters,
    (n_params,) in the order of the flat array."""
    y, backward = network.forward(layers, weights, biases, x)
    return y, lambda dy: join(*zip(*backward(dy)[1], strict=True))


def output_jacobian(layers: Sequence[Layer], raw: Array) -> Array:
    """The derivatives (n, n_outputs, n_outputs) of predictions with respect to raw outputs."""
    if isinstance(layers[-1], Dense):
        return activate(layers[-1], raw)[1]
    return identity(*raw.shape)


def parameter_jacobian(
    layers: Sequence[Layer], weights: Weights, biases: Biases, X: Array
) -> Array:
    """The derivative of each prediction with respect to each parameter, (n, n_outputs, n_params):
    a backward pass for each row and output."""
    raw_layers = network.without_last_activation(layers)
    rows = []
    for x in X[:, np.newaxis, :]:
        raw, backward = backpropagate(raw_layers, weights, biases, x)
        rows.append([backward(dz[np.newaxis]) for dz in output_jacobian(layers, raw)[0]])
    return np.array(rows)


def sample_gradients(
    layers: tuple[Layer, ...], loss: Loss, weights: Weights, biases: Biases, X: Array, y: Array
) -> Array:
    """The gradient (n, n_params) of the loss of each row, without penalties: a backward pass for
    each row. The gradient of a batch is their mean."""
    loss_layers = select_loss_layers(layers, loss)
    head = get_output_activation(layers).name
    gradients = []
    for x, t in zip(X[:, np.newaxis, :], y[:, np.newaxis, :], strict=True):
        z, backward = backpropagate(loss_layers, weights, biases, x)
        _, dz = losses.value_and_gradient(loss, head, z, t)
        gradients.append(backward(dz))
    return np.array(gradients)
