"""Initializers: frozen descriptions of the distribution of initial weights, and one function that
draws from them, `draw`.

Notation: W are the weights of a layer, shape (n_in, n_out), for n_in inputs and n_out units.
U(a, b) is the uniform distribution on [a, b), N(μ, σ²) the normal distribution.

Values are drawn in float64 from a counter-based random number generator and then rounded to the
network's dtype: float32 and float64 networks with the same seed start from the same weights.
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
    """Constant weights: W = c.

    Parameters
    ----------
    value : float, default 0.0
        c.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> init = fn.initializers.Constant(0.5)
    >>> net = fn.Sequential(fn.Dense(100, weight_init=init), random_state=0).build(n_features=100)
    >>> float(net.weights[0].min()), float(net.weights[0].max())
    (0.5, 0.5)
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        checks.number("value", self.value)


@dataclass(frozen=True)
class Uniform:
    """Uniformly distributed weights: W ~ U(a, b).

    Parameters
    ----------
    low : float, default -0.05
        a.
    high : float, default 0.05
        b > a.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> init = fn.initializers.Uniform(-1.0, 1.0)
    >>> net = fn.Sequential(fn.Dense(100, weight_init=init), random_state=0).build(n_features=100)
    >>> bool(abs(net.weights[0]).max() <= 1)
    True
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        checks.number("high", self.high, above=checks.number("low", self.low))


@dataclass(frozen=True)
class Normal:
    """Normally distributed weights: W ~ N(μ, σ²).

    Parameters
    ----------
    mean : float, default 0.0
        μ.
    std : float, default 0.05
        σ ≥ 0.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> init = fn.initializers.Normal(std=0.1)
    >>> net = fn.Sequential(fn.Dense(100, weight_init=init), random_state=0).build(n_features=100)
    >>> round(float(net.weights[0].std()), 1)
    0.1
    """

    mean: float = 0.0
    std: float = 0.05

    def __post_init__(self) -> None:
        checks.number("mean", self.mean)
        checks.number("std", self.std, at_least=0)


@dataclass(frozen=True)
class Orthogonal:
    """Random orthogonal matrix times a gain: Wᵀ W = g² I if n_in ≥ n_out, otherwise W Wᵀ = g² I.

    A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014.

    Parameters
    ----------
    gain : float, default 1.0
        g.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> init = fn.initializers.Orthogonal()
    >>> net = fn.Sequential(fn.Dense(100, weight_init=init), random_state=0).build(n_features=100)
    >>> (net.weights[0].T @ net.weights[0]).round(3)[:2, :2] + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        checks.number("gain", self.gain)


@dataclass(frozen=True)
class Scaled:
    """Variance scaling: zero mean, and a variance that depends on the size of the layer.

    Variance σ² of each rule:

    - "glorot": 2 / (n_in + n_out) (X. Glorot, Y. Bengio, "Understanding the difficulty of training
      deep feedforward neural networks", AISTATS 2010, equation 16);
    - "he": 2 / n_in (K. He and others, "Delving deep into rectifiers", ICCV 2015, equation 10);
    - "lecun": 1 / n_in (Y. LeCun and others, "Efficient BackProp", 1998, equation 16).

    Parameters
    ----------
    rule : "glorot" (default), "he" or "lecun"
    distribution : "uniform" (default) or "normal"
        W ~ U(-√(3 σ²), √(3 σ²)), or W ~ N(0, σ²).

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> init = fn.initializers.Scaled("he", "normal")
    >>> net = fn.Sequential(fn.Dense(100, weight_init=init), random_state=0).build(n_features=100)
    >>> round(float(net.weights[0].var()), 2)
    0.02
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

# He's rule was derived for relu and is used for activations of similar shape. The fixed point of
# selu requires LeCun's rule.
_RELU_LIKE = ("relu", "leaky_relu", "elu", "softplus", "silu", "gelu", "mish")


def choose_initializer(activation: Activation) -> Initializer:
    """Return the initializer for `weight_init="auto"`.

    >>> choose_initializer(Activation("tanh"))
    Scaled(rule='glorot', distribution='uniform')
    """
    if activation.name in _RELU_LIKE:
        return Scaled("he", "normal")
    if activation.name == "selu":
        return Scaled("lecun", "normal")
    return Scaled("glorot", "uniform")


def resolve(name: str, value: str | Initializer) -> str | Initializer:
    """Return a valid name or initializer unchanged; raise an error for anything else."""
    if isinstance(value, str):
        return checks.choice(name, value, ("auto", *BY_NAME))
    expected = f"a name ({', '.join(('auto', *BY_NAME))}) or an object of fastnn.initializers"
    checks.instance(name, value, (Constant, Uniform, Normal, Orthogonal, Scaled), expected)
    return value


def _draw_scaled(init: Scaled, shape: tuple[int, int], key: Key) -> Array:
    n_in, n_out = shape
    variance = {"glorot": 2 / (n_in + n_out), "he": 2 / n_in, "lecun": 1 / n_in}[init.rule]
    if init.distribution == "normal":
        return math.sqrt(variance) * prng.draw_normal(key, shape)
    limit = math.sqrt(3 * variance)
    return limit * (2 * prng.draw_uniform(key, shape) - 1)


def _draw_orthogonal(init: Orthogonal, shape: tuple[int, int], key: Key) -> Array:
    tall = (max(shape), min(shape))
    q, r = np.linalg.qr(prng.draw_normal(key, tall))
    q *= np.sign(np.diag(r))  # makes the decomposition unique, and thereby W uniformly distributed
    return init.gain * (q if shape == tall else q.T)


def draw(init: Initializer, shape: tuple[int, int], key: Key) -> Array:
    """Return initial weights of shape (n_in, n_out), drawn from the random stream of `key`."""
    return _DRAWS[type(init)](init, shape, key)


_DRAWS: dict[type, Callable[..., Array]] = {
    Constant: lambda i, s, _: np.full(s, float(i.value)),
    Uniform: lambda i, s, k: i.low + (i.high - i.low) * prng.draw_uniform(k, s),
    Normal: lambda i, s, k: i.mean + i.std * prng.draw_normal(k, s),
    Orthogonal: _draw_orthogonal,
    Scaled: _draw_scaled,
}
