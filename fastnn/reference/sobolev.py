"""Training on derivatives: the error of a network's Jacobian, and its gradient.

Forward mode gives the Jacobian J of the outputs: next to the values x (n, width), each layer passes
on their derivatives T (n, n_features, width) with respect to the features. For a Dense layer,

    z = x W + b,   y = f(z),        T_z = T W,   T_y = f'(z) T_z.

Backpropagation through both lines gives the gradient of any function of y and T_y. As f'(z) depends
on z, the second line passes a gradient to z too:

    dT_z = f'(z) dT_y,   dz = f'(z) dy + f''(z) sum over features of T_z dT_y,
    dW = x^T dz + sum over features of T^T dT_z,   db = the sum of the rows of dz,
    dx = dz W^T,   dT = dT_z W^T.

W. Czarnecki and others, "Sobolev Training for Neural Networks", NeurIPS 2017, equation 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fastnn.activations import resolve
from fastnn.layers import Dense, Layer, Residual
from fastnn.reference.activations import FUNCTIONS
from fastnn.reference.network import Parameters

Array = NDArray[np.float64]
Pair = tuple[Array, Array]  # values x and derivatives T, or their gradients dx and dT
Backward = Callable[[Pair], tuple[Pair, list[Parameters]]]


def dense(layer: Dense, W: Array, b: Array | None, x: Array, T: Array) -> tuple[Pair, Backward]:
    """A Dense layer and its backward pass; see the formulas above."""
    activation = resolve(layer.activation)
    f, derivative, second_derivative = FUNCTIONS[activation.name]
    parameter = activation.parameter or 0.0
    z, T_z = x @ W if b is None else x @ W + b, T @ W
    slope, curvature = derivative(z, parameter), second_derivative(z, parameter)

    def backward(gradient: Pair) -> tuple[Pair, list[Parameters]]:
        dy, dT_y = gradient
        dT_z = slope[:, np.newaxis] * dT_y
        dz = slope * dy + curvature * (T_z * dT_y).sum(axis=1)
        dW = x.T @ dz + np.einsum("rdi,rdj->ij", T, dT_z)
        return (dz @ W.T, dT_z @ W.T), [(dW, None if b is None else dz.sum(axis=0))]

    return (f(z, parameter), slope[:, np.newaxis] * T_z), backward


def chain(
    layers: Sequence[Layer], parameters: Iterator[Parameters], x: Array, T: Array
) -> tuple[Pair, Backward]:
    """The layers one after another, and their backward passes in reverse order."""
    backwards: list[Backward] = []
    for layer in layers:
        if isinstance(layer, Dense):
            (x, T), backward = dense(layer, *next(parameters), x, T)
        else:
            assert isinstance(layer, Residual)  # Dropout is not accepted
            (inner_x, inner_T), inner = chain(layer.layers, parameters, x, T)
            x, T, backward = x + inner_x, T + inner_T, _add_skip(inner)
        backwards.append(backward)

    def backward_of_chain(gradient: Pair) -> tuple[Pair, list[Parameters]]:
        gradients: list[Parameters] = []
        for layer_backward in reversed(backwards):
            gradient, layer_gradients = layer_backward(gradient)
            gradients = layer_gradients + gradients
        return gradient, gradients

    return (x, T), backward_of_chain


def _add_skip(inner: Backward) -> Backward:
    """The backward pass of y = x + F(x), from that of F."""

    def backward(gradient: Pair) -> tuple[Pair, list[Parameters]]:
        (dx, dT), gradients = inner(gradient)
        return (gradient[0] + dx, gradient[1] + dT), gradients

    return backward


def jacobian_error(
    layers: Sequence[Layer], weights: Sequence[Array], biases: Sequence[Array | None], X: Array,
    targets: Array, row_weights: Array,
) -> tuple[float, list[Parameters]]:  # fmt: skip
    """The weighted sum over rows of the mean squared error of the Jacobian, and its gradients.

    `targets` (n, n_outputs, n_features) are compared with the Jacobian at X (n, n_features);
    row_weights (n,) are the factors of the rows.
    """
    n, n_features = X.shape
    seeds = np.tile(np.eye(n_features), (n, 1, 1))
    (y, T), backward = chain(layers, zip(weights, biases, strict=True), X, seeds)
    error = T - targets.transpose(0, 2, 1)
    value = row_weights @ (error**2).mean(axis=(1, 2))
    dT = 2 * row_weights[:, np.newaxis, np.newaxis] * error / error[0].size
    _, gradients = backward((np.zeros_like(y), dT))
    return float(value), gradients
