"""Initial weights: a frozen description and one pure function, `draw`, that follows it.

A layer of n_in inputs and n_out units has weights of shape (n_in, n_out). Numbers are drawn in
float64 from a counter-based stream and rounded to the network's dtype afterwards, so float32 and
float64 networks of one seed start from the same point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks, prng
from fastnn.activations import Activation

__all__ = ["BY_NAME", "Constant", "Initializer", "Normal", "Orthogonal", "Scaled", "Uniform"]


def __dir__() -> list[str]:
    return __all__


Array = NDArray[np.float64]
Key = NDArray[np.uint64]


@dataclass(frozen=True)
class Constant:
    """Every weight the same number.

    >>> draw(Constant(0.5), (2, 1), prng.make_key(0, 0))
    array([[0.5],
           [0.5]])
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        checks.number("value", self.value)


@dataclass(frozen=True)
class Uniform:
    """Uniform in [low, high)."""

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        checks.number("high", self.high, above=checks.number("low", self.low))


@dataclass(frozen=True)
class Normal:
    """Normal with a mean and a standard deviation."""

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        checks.number("mean", self.mean)
        checks.number("std", self.std, at_least=0)


@dataclass(frozen=True)
class Orthogonal:
    """Rows or columns orthonormal, times gain. A. Saxe, J. McClelland, S. Ganguli, ICLR 2014."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        checks.number("gain", self.gain)


@dataclass(frozen=True)
class Scaled:
    """Zero mean and variance gain / fan, where fan is what keeps the signal's size:

    glorot: gain 1, mean of n_in and n_out (X. Glorot, Y. Bengio, AISTATS 2010, equation 16);
    he: gain 2, n_in (K. He and others, ICCV 2015, equation 10);
    lecun: gain 1, n_in (Y. LeCun and others, "Efficient BackProp", 1998, equation 16).
    """

    rule: str = "glorot"
    distribution: str = "uniform"

    def __post_init__(self) -> None:
        checks.choice("rule", self.rule, ("glorot", "he", "lecun"))
        checks.choice("distribution", self.distribution, ("uniform", "normal"))


Initializer = Constant | Uniform | Normal | Orthogonal | Scaled

BY_NAME: dict[str, Initializer] = {
    "zeros": Constant(0.0),
    "constant": Constant(0.0),
    "uniform": Uniform(),
    "normal": Normal(),
    "orthogonal": Orthogonal(),
    **{
        f"{rule}_{distribution}": Scaled(rule, distribution)
        for rule in ("glorot", "he", "lecun")
        for distribution in ("uniform", "normal")
    },
}

# He's rule was derived for relu; units of its shape share it. SELU's fixed point needs LeCun's.
_RELU_LIKE = ("relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "mish")


def automatic(activation: Activation) -> Initializer:
    """The initializer that `weight_init="auto"` stands for.

    >>> automatic(Activation("tanh"))
    Scaled(rule='glorot', distribution='uniform')
    """
    if activation.name in _RELU_LIKE:
        return Scaled("he", "normal")
    if activation.name == "selu":
        return Scaled("lecun", "normal")
    return Scaled("glorot", "uniform")


def resolve(name: str, value: str | Initializer) -> str | Initializer:
    """What a user gave as an initializer, checked; "auto" stays, until the layer is known."""
    if isinstance(value, str):
        return checks.choice(name, value, ("auto", *BY_NAME))
    expected = f"a name ({', '.join(('auto', *BY_NAME))}) or an object of fastnn.initializers"
    checks.instance(name, value, (Constant, Uniform, Normal, Orthogonal, Scaled), expected)
    return value


def _scaled(init: Scaled, shape: tuple[int, int], key: Key) -> Array:
    n_in, n_out = shape
    variance = {"glorot": 2 / (n_in + n_out), "he": 2 / n_in, "lecun": 1 / n_in}[init.rule]
    if init.distribution == "normal":
        return math.sqrt(variance) * prng.draw_normal(key, shape)
    limit = math.sqrt(3 * variance)
    return limit * (2 * prng.draw_uniform(key, shape) - 1)


def _orthogonal(init: Orthogonal, shape: tuple[int, int], key: Key) -> Array:
    tall = (max(shape), min(shape))
    q, r = np.linalg.qr(prng.draw_normal(key, tall))
    q *= np.sign(np.diag(r))  # makes the decomposition unique, so the draw uniform
    return init.gain * (q if shape == tall else q.T)


def draw(init: Initializer, shape: tuple[int, int], key: Key) -> Array:
    """Initial weights of the given shape from one stream of random numbers."""
    return _DRAWS[type(init)](init, shape, key)


_DRAWS: dict[type, Callable[..., Array]] = {
    Constant: lambda i, s, _: np.full(s, float(i.value)),
    Uniform: lambda i, s, k: i.low + (i.high - i.low) * prng.draw_uniform(k, s),
    Normal: lambda i, s, k: i.mean + i.std * prng.draw_normal(k, s),
    Orthogonal: _orthogonal,
    Scaled: _scaled,
}
