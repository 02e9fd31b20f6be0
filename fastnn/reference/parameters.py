"""Parameters: one flat array for all, and its view by layers.

The flat array serves optimizers, files and comparisons; the view by layers serves the formulas.
For each Dense, in the order in which data meets them, the weights come row by row and then the
bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.layers import Dense, Layer, iterate_dense_layers

Array = NDArray[np.float64]
AnyArray = NDArray[Any]
Arrays = tuple[list[AnyArray], list[AnyArray | None]]  # weights and biases, one for each Dense


def places(
    layers: tuple[Layer, ...], n_features: int
) -> Iterator[tuple[Dense, int, slice, slice | None]]:
    """Each Dense, its number of inputs, and where its weights and its bias lie."""
    n_in, start = n_features, 0
    for layer in iterate_dense_layers(layers):
        end = start + n_in * layer.units
        bias = slice(end, end + layer.units) if layer.use_bias else None
        yield layer, n_in, slice(start, end), bias
        start = end if bias is None else bias.stop
        n_in = layer.units  # also behind a Residual, which ends in as many units as it begins


def split(layers: tuple[Layer, ...], n_features: int, flat: AnyArray) -> Arrays:
    """Weights (n_in, n_out) and biases (n_out,), None where a layer has none: views of `flat`."""
    weights: list[AnyArray] = []
    biases: list[AnyArray | None] = []
    for layer, n_in, of_weights, of_bias in places(layers, n_features):
        weights.append(flat[of_weights].reshape(n_in, layer.units))
        biases.append(None if of_bias is None else flat[of_bias])
    return weights, biases


def join(weights: Sequence[AnyArray], biases: Sequence[AnyArray | None]) -> AnyArray:
    """The flat array that `split` would take apart."""
    pairs = zip(weights, biases, strict=True)
    return np.concatenate([a.ravel() for pair in pairs for a in pair if a is not None])


def penalty(layers: tuple[Layer, ...], weights: Sequence[Array]) -> float:
    """Sum over the Dense layers of l1 sum|W| + l2/2 sum W**2. Biases are free."""
    pairs = zip(iterate_dense_layers(layers), weights, strict=True)
    return float(sum(d.l1 * np.abs(W).sum() + d.l2 / 2 * (W**2).sum() for d, W in pairs))


def penalty_gradient(layer: Dense, W: Array) -> Array:
    """l1 sign(W) + l2 W."""
    return layer.l1 * np.sign(W) + layer.l2 * W
