"""Parameters: one flat array of all weights and biases, and views of it for each layer.

Optimizers, files and comparisons use the flat array; formulas use the views. The flat array
contains, for each layer with weights in the order of the forward pass, the weights row by row,
followed by the bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.layers import Dense, Layer, Scale, iterate_weighted_layers

Array = NDArray[np.float64]
AnyArray = NDArray[Any]
Arrays = tuple[list[AnyArray], list[AnyArray | None]]  # weights and biases of the layers


def locate_parameters(
    layers: tuple[Layer, ...], n_features: int
) -> Iterator[tuple[Dense | Scale, tuple[int, int], slice, slice | None]]:
    """For each layer with weights: the layer, the shape of its weights, and the slices of its
    weights and bias."""
    n_in, start = n_features, 0
    for layer in iterate_weighted_layers(layers):
        shape = (1, n_in) if isinstance(layer, Scale) else (n_in, layer.units)
        end = start + shape[0] * shape[1]
        bias = slice(end, end + shape[1]) if layer.use_bias else None
        yield layer, shape, slice(start, end), bias
        start = end if bias is None else bias.stop
        n_in = shape[1]  # also after a Residual, whose numbers of inputs and outputs are equal


def split(layers: tuple[Layer, ...], n_features: int, flat: AnyArray) -> Arrays:
    """Weights (n_in, n_out) and biases (n_out,) of the layers with weights, as views of `flat`
    (n_params,). A Scale has weights (1, n_in), and a layer without bias has None."""
    weights: list[AnyArray] = []
    biases: list[AnyArray | None] = []
    for _, shape, weight_slice, bias_slice in locate_parameters(layers, n_features):
        weights.append(flat[weight_slice].reshape(shape))
        biases.append(None if bias_slice is None else flat[bias_slice])
    return weights, biases


def join(weights: Sequence[AnyArray], biases: Sequence[AnyArray | None]) -> AnyArray:
    """The flat array (n_params,) of weights and biases: the inverse of `split`."""
    pairs = zip(weights, biases, strict=True)
    return np.concatenate([a.ravel() for pair in pairs for a in pair if a is not None])


def penalty(layers: tuple[Layer, ...], weights: Sequence[Array]) -> float:
    """Sum over the Dense layers of l1 sum|W| + l2/2 sum W**2. Biases are not
    penalized."""
    pairs = zip(iterate_weighted_layers(layers), weights, strict=True)
    return float(sum(d.l1 * np.abs(W).sum() + d.l2 / 2 * (W**2).sum() for d, W in pairs))


def penalty_gradient(layer: Dense | Scale, W: Array) -> Array:
    """The derivative of `penalty` with respect to one weight matrix: l1 sign(W) + l2 W."""
    return layer.l1 * np.sign(W) + layer.l2 * W
