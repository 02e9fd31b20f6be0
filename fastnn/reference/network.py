"""Networks: forward through the layers, and back by the chain rule.

Each function computes a layer's output y from its input x and returns it together with a second
function, `backward`: from dy, the derivative of the loss by the layer's output, to dx, that by its
input, and to the derivatives by the layer's own parameters. What the way back needs to know of the
way forward (x, z, a mask) the second function simply remembers.

A network is a chain of layers, so its `backward` calls theirs in reverse order. That is
backpropagation: D. Rumelhart, G. Hinton, R. Williams, Nature 323 (1986).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastnn._util import prng
from fastnn.activations import resolve
from fastnn.layers import Dense, Dropout, Layer, get_output_activation
from fastnn.reference.activations import FUNCTIONS, softmax

Array = NDArray[np.float64]
Key = NDArray[np.uint64]
Parameters = tuple[Array, Array | None]  # weights (n_in, n_out), bias (n_out,) if there is one
Backward = Callable[[Array], tuple[Array, list[Parameters]]]


def dense(layer: Dense, W: Array, b: Array | None, x: Array) -> tuple[Array, Backward]:
    """z = x W + b and y = f(z), row by row.

    Back: dz = dy * f'(z), dW = x^T dz, db = the sum of dz over its rows, dx = dz W^T.
    """
    activation = resolve(layer.activation)
    f, derivative = FUNCTIONS[activation.name]
    parameter = activation.parameter or 0.0
    z = x @ W if b is None else x @ W + b

    def backward(dy: Array) -> tuple[Array, list[Parameters]]:
        dz = dy * derivative(z, parameter)
        db = None if b is None else dz.sum(axis=0)
        return dz @ W.T, [(x.T @ dz, db)]

    return f(z, parameter), backward


def dropout_mask(rate: float, key: Key, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which units are kept: each with probability 1 - rate. Numbers run over the whole batch."""
    n_rows, width = shape
    return prng.draw_dropout_mask(key, 0, n_rows * width, rate).reshape(shape)


def dropout(layer: Dropout, key: Key | None, x: Array) -> tuple[Array, Backward]:
    """y = x / (1 - rate) where a unit is kept, 0 elsewhere, so that the mean stays; y = x when not
    training (no key). Back: dx is the same of dy."""
    if key is None:
        return x, lambda dy: (dy, [])
    kept = dropout_mask(layer.rate, key, x.shape)

    def scaled(values: Array) -> Array:
        return np.where(kept, values / (1 - layer.rate), 0.0)

    return scaled(x), lambda dy: (scaled(dy), [])


def residual(inner: tuple[Array, Backward], x: Array) -> tuple[Array, Backward]:
    """y = x + inner(x). Back: dx = dy + the inner layers' dx; the first term reaches the layers
    before undiminished, however deep the network is."""
    y, inner_backward = inner

    def backward(dy: Array) -> tuple[Array, list[Parameters]]:
        dx, gradients = inner_backward(dy)
        return dy + dx, gradients

    return x + y, backward


def chain(
    layers: Sequence[Layer], parameters: Iterator[Parameters], keys: Iterator[Key | None], x: Array
) -> tuple[Array, Backward]:
    """x_k = layer_k(x_{k-1}). Back: the same in reverse, with the gradients in the order of the
    layers. Each Dense takes the next parameters, each Dropout the next key."""
    backwards = []
    for layer in layers:
        if isinstance(layer, Dense):
            x, step_back = dense(layer, *next(parameters), x)
        elif isinstance(layer, Dropout):
            x, step_back = dropout(layer, next(keys), x)
        else:
            x, step_back = residual(chain(layer.layers, parameters, keys, x), x)
        backwards.append(step_back)

    def backward(dy: Array) -> tuple[Array, list[Parameters]]:
        gradients: list[Parameters] = []
        for step_back in reversed(backwards):
            dy, of_layer = step_back(dy)
            gradients = of_layer + gradients
        return dy, gradients

    return x, backward


def dropout_keys(seed: int, step: int) -> Iterator[Key]:
    """The random streams of the masks of one step: one for each Dropout, in the order in which
    data meets them."""
    for number in itertools.count():
        yield prng.make_key(seed, prng.Purpose.DROPOUT_MASK, number, step)


def forward(
    layers: Sequence[Layer],
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    X: Array,
    dropout: Iterator[Key] | None = None,
) -> tuple[Array, Backward]:
    """The network's outputs for X, and the way back from them. Without `dropout`, the keys of a
    step, Dropout layers pass their input on."""
    keys: Iterator[Key | None] = itertools.repeat(None) if dropout is None else dropout
    return chain(layers, zip(weights, biases, strict=True), keys, X)


def without_last_activation(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The network whose outputs are "raw": the last Dense is made linear."""
    *before, last = layers
    if isinstance(last, Dense):
        last = replace(last, activation="linear")
    return (*before, last)


def predictions(layers: Sequence[Layer], raw: Array) -> Array:
    """The last activation, applied to raw outputs."""
    activation = get_output_activation(tuple(layers))
    if activation.name == "softmax":
        return softmax(raw)
    f, _ = FUNCTIONS[activation.name]
    return f(raw, activation.parameter or 0.0)
