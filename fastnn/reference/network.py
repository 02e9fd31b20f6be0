"""Networks: the forward pass through the layers, and the backward pass by the chain rule.

Each function computes a layer's output y from its input x, and returns it together with a second
function, `backward`. From dy, the derivative of the loss with respect to the layer's output,
`backward` computes dx, the derivative with respect to its input, and the derivatives with respect
to the layer's parameters. The values that it needs from the forward pass (x, z, a dropout mask) are
captured by the closure.

A network is a chain of layers, so its `backward` calls those of the layers in reverse order. This
is backpropagation: D. Rumelhart, G. Hinton, R. Williams, Nature 323 (1986).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastnn._util import prng
from fastnn.activations import resolve
from fastnn.layers import Dense, Dropout, Layer, Scale, get_output_activation
from fastnn.reference.activations import FUNCTIONS, softmax

Array = NDArray[np.float64]
Key = NDArray[np.uint64]
Parameters = tuple[Array, Array | None]  # weights (n_in, n_out), bias (n_out,) if there is one
Backward = Callable[[Array], tuple[Array, list[Parameters]]]


def preactivate(W: Array, b: Array | None, x: Array) -> Array:
    """z = x W + b, row by row."""
    return x @ W if b is None else x @ W + b


def dense(layer: Dense, W: Array, b: Array | None, x: Array) -> tuple[Array, Backward]:
    """z = x W + b and y = f(z), row by row.

    Backward: dz = dy * f'(z), dW = x^T dz, db = the sum of the rows of dz, dx = dz W^T.
    """
    activation = resolve(layer.activation)
    f, derivative, _ = FUNCTIONS[activation.name]
    parameter = activation.parameter or 0.0
    z = preactivate(W, b, x)

    def backward(dy: Array) -> tuple[Array, list[Parameters]]:
        dz = dy * derivative(z, parameter)
        db = None if b is None else dz.sum(axis=0)
        return dz @ W.T, [(x.T @ dz, db)]

    return f(z, parameter), backward


def scale(s: Array, x: Array) -> tuple[Array, Backward]:
    """y = x s, row by row, with s (1, n_in). Backward: ds = the sum of the rows of x * dy,
    dx = dy s."""
    return x * s, lambda dy: (dy * s, [((x * dy).sum(axis=0, keepdims=True), None)])


def dropout_mask(rate: float, key: Key, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which elements are kept, each with probability 1 - rate. Element i of the flattened batch
    uses draw i of the stream."""
    n_rows, width = shape
    return prng.draw_dropout_mask(key, 0, n_rows * width, rate).reshape(shape)


def dropout(layer: Dropout, key: Key | None, x: Array) -> tuple[Array, Backward]:
    """y = x / (1 - rate) for units that are kept, 0 for the others: the expected value of y is x.
    Without a key (no training), y = x. Backward: the same function of dy."""
    if key is None:
        return x, lambda dy: (dy, [])
    kept = dropout_mask(layer.rate, key, x.shape)

    def scaled(values: Array) -> Array:
        return np.where(kept, values / (1 - layer.rate), 0.0)

    return scaled(x), lambda dy: (scaled(dy), [])


def residual(inner: tuple[Array, Backward], x: Array) -> tuple[Array, Backward]:
    """y = x + inner(x). Backward: dx = dy + the dx of the inner layers. The first term passes dy
    unchanged to earlier layers, however deep the network is."""
    y, inner_backward = inner

    def backward(dy: Array) -> tuple[Array, list[Parameters]]:
        dx, gradients = inner_backward(dy)
        return dy + dx, gradients

    return x + y, backward


def chain(
    layers: Sequence[Layer], parameters: Iterator[Parameters], keys: Iterator[Key | None], x: Array
) -> tuple[Array, Backward]:
    """x_k = layer_k(x_{k-1}). Backward: the layers in reverse order; gradients are returned in the
    order of the layers. Each layer with weights takes the next parameters, each Dropout the next
    key."""
    layer_backwards = []
    for layer in layers:
        if isinstance(layer, Dense):
            x, layer_backward = dense(layer, *next(parameters), x)
        elif isinstance(layer, Dropout):
            x, layer_backward = dropout(layer, next(keys), x)
        elif isinstance(layer, Scale):
            x, layer_backward = scale(next(parameters)[0], x)
        else:
            x, layer_backward = residual(chain(layer.layers, parameters, keys, x), x)
        layer_backwards.append(layer_backward)

    def backward(dy: Array) -> tuple[Array, list[Parameters]]:
        gradients: list[Parameters] = []
        for layer_backward in reversed(layer_backwards):
            dy, layer_gradients = layer_backward(dy)
            gradients = layer_gradients + gradients
        return dy, gradients

    return x, backward


def dropout_keys(seed: int, step: int) -> Iterator[Key]:
    """The random keys of the masks of one step, one for each Dropout, in the order of the forward
    pass."""
    for index in itertools.count():
        yield prng.make_key(seed, prng.Purpose.DROPOUT_MASK, index, step)


def forward(
    layers: Sequence[Layer],
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    X: Array,
    dropout: Iterator[Key] | None = None,
) -> tuple[Array, Backward]:
    """The network's outputs (n, n_outputs) for X (n, n_features), and `backward`. `dropout` yields
    the keys of a step; without it, Dropout layers return their input."""
    keys: Iterator[Key | None] = itertools.repeat(None) if dropout is None else dropout
    return chain(layers, zip(weights, biases, strict=True), keys, X)


def without_last_activation(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers of the network with raw outputs, in which the last Dense is linear."""
    *before, last = layers
    if isinstance(last, Dense):
        last = replace(last, activation="linear")
    return (*before, last)


def predictions(layers: Sequence[Layer], raw: Array) -> Array:
    """Predictions (n, n_outputs): the last activation, applied to raw outputs."""
    activation = get_output_activation(tuple(layers))
    if activation.name == "softmax":
        return softmax(raw)
    f, _, _ = FUNCTIONS[activation.name]
    return f(raw, activation.parameter or 0.0)
