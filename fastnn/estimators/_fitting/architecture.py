"""The layers that an estimator's parameters describe, and their initial weights."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from fastnn import activations, initializers
from fastnn._training.fit import WIDE_BYTES
from fastnn._training.state import NetworkState, build, get_views
from fastnn._util import checks, prng
from fastnn.activations import Activation
from fastnn.initializers import Initializer, Uniform
from fastnn.layers import Dense, Dropout, Layer, Residual, iterate_dense_layers
from fastnn.model import Sequential, make_sequential

# scikit-learn's names for activations that have another name in fastnn.
ALIASES = {"identity": "linear", "logistic": "sigmoid"}

# Excluded: step, whose derivative is 0, and softmax, which depends on all outputs of a row.
HIDDEN = sorted({*ALIASES, *activations.NAMES} - {"step", "softmax"})

# The weight, its gradient, and Adam's two moments.
_VALUES_PER_WEIGHT = 4


@dataclass(frozen=True)
class HiddenLayers:
    """The hidden layers of a network: one entry per layer in each tuple."""

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    dropout: tuple[float, ...]
    residual: bool


def make_hidden(
    sizes: Any, activation: Any, dropout: Any, residual: bool, n_layers: int | None,
    width: int | None,
) -> HiddenLayers:  # fmt: skip
    """The hidden layers that parameters describe, whose single values were checked.

    >>> make_hidden((8, 4), "logistic", 0.0, False, None, None).widths
    (8, 4)
    >>> make_hidden((8,), "relu", 0.0, False, n_layers=2, width=None).widths
    (8, 8)
    """
    widths = _check_widths(sizes)
    if n_layers is not None or width is not None:
        widths = _repeat_width(widths, n_layers, width)
    n = len(widths)
    return HiddenLayers(
        widths,
        tuple(_resolve_activation(item) for item in _expand("activation", activation, n)),
        tuple(
            checks.number("dropout", rate, at_least=0, below=1)
            for rate in _expand("dropout", dropout, n)
        ),
        residual,
    )


def count_weights(hidden: HiddenLayers, n_features: int, n_outputs: int) -> int:
    """Number of weights, without biases, in all layers of a network."""
    sizes = [n_features, *hidden.widths, n_outputs]
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def is_wide(n_weights: int, dtype: np.dtype[Any]) -> bool:
    """Whether a network trains faster on all threads than with other networks on one thread each;
    see `fit.WIDE_BYTES`."""
    return _VALUES_PER_WEIGHT * n_weights * dtype.itemsize > WIDE_BYTES


def _check_widths(sizes: Any) -> tuple[int, ...]:
    widths = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    for size in widths:
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes: expected whole numbers above 0; got {widths}")
    if any(size <= 0 for size in widths):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {widths}.")
    return tuple(map(int, widths))


def _repeat_width(
    sizes: tuple[int, ...], n_layers: int | None, width: int | None
) -> tuple[int, ...]:
    """Widths for `n_layers` layers of `width` units; None keeps the number or width in `sizes`."""
    if width is not None:
        return (width,) * (len(sizes) if n_layers is None else n_layers)
    if not sizes:
        raise ValueError("width: expected a number of units if hidden_layer_sizes is empty; "
                         "got None")  # fmt: skip
    return sizes[:1] * (n_layers or 0)


def _expand(name: str, value: Any, n: int) -> list[Any]:
    """A list of one value per hidden layer; a single value is repeated."""
    if not isinstance(value, list | tuple):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name}: expected one entry for each of {n} hidden layers; got {len(value)}"
        )
    return list(value)


def _resolve_activation(value: Any) -> Activation:
    name = value.name if isinstance(value, Activation) else value
    name = checks.choice("activation", name, HIDDEN)
    return value if isinstance(value, Activation) else Activation(ALIASES.get(name, name))


@lru_cache
def build_layers(
    hidden: HiddenLayers,
    n_features: int,
    n_outputs: int,
    head: str,
    l1: float,
    l2: float,
    init: str,
) -> tuple[Layer, ...]:
    """The layers of a network. With `residual`, a hidden layer of the same width as the one before
    becomes a `Residual`. The penalties `l1` and `l2` apply to the weights of every layer."""
    result: list[Layer] = []
    n_in = n_features
    for i, (width, kind, rate) in enumerate(
        zip(hidden.widths, hidden.activations, hidden.dropout, strict=True)
    ):
        weights = _choose_weight_init(init, kind, n_in, width)
        block: list[Layer] = [Dense(width, kind, weight_init=weights, l1=l1, l2=l2)]
        if rate:
            block.append(Dropout(rate))
        is_residual = hidden.residual and i > 0 and width == n_in
        result.extend([Residual(*block)] if is_residual else block)
        n_in = width
    last = hidden.activations[-1] if hidden.activations else Activation("relu")
    weights = _choose_weight_init(init, last, n_in, n_outputs)
    result.append(Dense(n_outputs, head, weight_init=weights, l1=l1, l2=l2))
    return tuple(result)


def _choose_weight_init(init: str, kind: Activation, n_in: int, n_out: int) -> str | Initializer:
    """scikit-learn's rule for its activations: Glorot's uniform distribution, with a factor of 2
    instead of 6 for sigmoid. Other activations use fastnn's automatic choice."""
    if init != "auto" or kind.name not in ("linear", "sigmoid", "tanh", "relu"):
        return init
    bound = math.sqrt((2.0 if kind.name == "sigmoid" else 6.0) / (n_in + n_out))
    return Uniform(-bound, bound)


def draw(layers: tuple[Layer, ...], n_features: int, seed: int, dtype: Any) -> Sequential:
    """A network with initial weights. As in scikit-learn, biases are drawn from the distribution of
    their layer's weights."""
    state = NetworkState(layers=layers, seed=seed, dtype=dtype)
    build(state, n_features)
    dense, biases = list(iterate_dense_layers(layers)), get_views(state)[1]
    for i, (layer, bias) in enumerate(zip(dense, biases, strict=True)):
        if isinstance(layer.weight_init, Uniform) and bias is not None:
            key = prng.make_key(seed, prng.Purpose.WEIGHTS, len(dense) + i)
            bias[:] = initializers.draw(layer.weight_init, (1, len(bias)), key)[0]
    return make_sequential(state)
