"""From an estimator's parameters to the layers of its network, and their initial weights."""

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

# scikit-learn's names for activations that fastnn calls otherwise.
ALIASES = {"identity": "linear", "logistic": "sigmoid"}

# A hidden step has no slope to learn by; softmax needs whole rows.
HIDDEN = sorted({*ALIASES, *activations.NAMES} - {"step", "softmax"})

# Itself, its gradient, and the two that Adam keeps.
_NUMBERS_PER_WEIGHT = 4


@dataclass(frozen=True)
class Hidden:
    """The hidden layers, one entry for each."""

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    dropout: tuple[float, ...]
    residual: bool


def hidden(
    sizes: Any, activation: Any, dropout: Any, residual: bool, n_layers: int | None,
    width: int | None,
) -> Hidden:  # fmt: skip
    """The hidden layers that checked parameters describe.

    >>> hidden((8, 4), "logistic", 0.0, False, None, None).widths
    (8, 4)
    >>> hidden((8,), "relu", 0.0, False, n_layers=2, width=None).widths
    (8, 8)
    """
    widths = _widths(sizes)
    if n_layers is not None or width is not None:
        widths = _repeated(widths, n_layers, width)
    n = len(widths)
    return Hidden(
        widths,
        tuple(_activation(item) for item in _each("activation", activation, n)),
        tuple(
            checks.number("dropout", rate, at_least=0, below=1)
            for rate in _each("dropout", dropout, n)
        ),
        residual,
    )


def n_weights(hidden: Hidden, n_features: int, n_outputs: int) -> int:
    """In all layers of such a network."""
    sizes = [n_features, *hidden.widths, n_outputs]
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def is_wide(n_weights: int, dtype: np.dtype[Any]) -> bool:
    """Whether a network is faster on all threads than beside another; see `fit.WIDE_BYTES`."""
    return _NUMBERS_PER_WEIGHT * n_weights * dtype.itemsize > WIDE_BYTES


def _widths(sizes: Any) -> tuple[int, ...]:
    given = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    for size in given:
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise TypeError(f"hidden_layer_sizes: expected whole numbers above 0; got {given}")
    if any(size <= 0 for size in given):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {given}.")
    return tuple(map(int, given))


def _repeated(sizes: tuple[int, ...], n_layers: int | None, width: int | None) -> tuple[int, ...]:
    """`n_layers` layers of `width` units; what is None stays as in `sizes`."""
    if width is not None:
        return (width,) * (len(sizes) if n_layers is None else n_layers)
    if not sizes:
        raise ValueError("width: expected a number of units where hidden_layer_sizes is empty; "
                         "got None")  # fmt: skip
    return sizes[:1] * (n_layers or 0)


def _each(name: str, value: Any, n: int) -> list[Any]:
    """One value for each hidden layer."""
    if not isinstance(value, list | tuple):
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name}: expected one entry for each of {n} hidden layers; got {len(value)}"
        )
    return list(value)


def _activation(value: Any) -> Activation:
    named = value.name if isinstance(value, Activation) else value
    name = checks.choice("activation", named, HIDDEN)
    return value if isinstance(value, Activation) else Activation(ALIASES.get(name, name))


@lru_cache
def build_layers(
    hidden: Hidden, n_features: int, n_outputs: int, head: str, l1: float, l2: float, init: str
) -> tuple[Layer, ...]:
    """Layers for inputs of this width. With `residual`, a hidden layer as wide as the one before
    is a `Residual`. Penalties hold for every layer's weights."""
    result: list[Layer] = []
    n_in = n_features
    for i, (width, kind, rate) in enumerate(
        zip(hidden.widths, hidden.activations, hidden.dropout, strict=True)
    ):
        weights = _weight_init(init, kind, n_in, width)
        block: list[Layer] = [Dense(width, kind, weight_init=weights, l1=l1, l2=l2)]
        if rate:
            block.append(Dropout(rate))
        joined = hidden.residual and i > 0 and width == n_in
        result.extend([Residual(*block)] if joined else block)
        n_in = width
    last = hidden.activations[-1] if hidden.activations else Activation("relu")
    weights = _weight_init(init, last, n_in, n_outputs)
    result.append(Dense(n_outputs, head, weight_init=weights, l1=l1, l2=l2))
    return tuple(result)


def _weight_init(init: str, kind: Activation, n_in: int, n_out: int) -> str | Initializer:
    """For scikit-learn's activations its rule, Glorot's with a factor of its own after sigmoid;
    for others what suits them."""
    if init != "auto" or kind.name not in ("linear", "sigmoid", "tanh", "relu"):
        return init
    bound = math.sqrt((2.0 if kind.name == "sigmoid" else 6.0) / (n_in + n_out))
    return Uniform(-bound, bound)


def draw(layers: tuple[Layer, ...], n_features: int, seed: int, dtype: Any) -> Sequential:
    """A network with initial weights. scikit-learn draws biases as it draws weights."""
    state = NetworkState(layers=layers, seed=seed, dtype=dtype)
    build(state, n_features)
    dense, biases = list(iterate_dense_layers(layers)), get_views(state)[1]
    for i, (layer, bias) in enumerate(zip(dense, biases, strict=True)):
        if isinstance(layer.weight_init, Uniform) and bias is not None:
            key = prng.make_key(seed, prng.Purpose.WEIGHTS, len(dense) + i)
            bias[:] = initializers.draw(layer.weight_init, (1, len(bias)), key)[0]
    return make_sequential(state)
