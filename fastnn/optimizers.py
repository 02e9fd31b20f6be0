"""Optimizers: immutable dataclasses, each the rule that updates the parameters at each step.

Notation: w are the parameters of the network, g is the gradient of the loss at w, α is the
learning rate, and t = 1, 2, ... counts the steps since the optimizer's state was initialized. An
arrow assigns a new value; operations on arrays are elementwise. The state of an optimizer (v, s or
m below) starts at zero.

`g` includes the layers' penalties `l1` and `l2`, and every optimizer can clip it before its update.
With `clip_value` c, each element is limited to the interval [-c, c]; with `clip_norm` C, the
gradient of all parameters is then scaled to the Euclidean norm C if its norm is larger
(R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
ICML 2013, algorithm 1).

The update rules are implemented in `fastnn_ext/optimizers.pxd`; `fastnn/reference/optimizers.py`
has the same rules in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from fastnn import schedules
from fastnn._util import checks
from fastnn.schedules import Schedule
from fastnn_ext import codes

__all__ = ["CLASSES", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]


def __dir__() -> list[str]:
    return __all__


def _check_common(optimizer: Optimizer) -> None:
    rate = optimizer.learning_rate
    if not isinstance(rate, schedules.Schedule):
        checks.number("learning_rate", rate, above=0)
    for name in ("clip_norm", "clip_value"):
        if getattr(optimizer, name) is not None:
            checks.number(name, getattr(optimizer, name), above=0)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, with or without momentum.

    Update rule::

        w ← w - α g                                  momentum = 0
        v ← μ v - α g,    w ← w + v                  momentum = μ > 0
        v ← μ v - α g,    w ← w + μ v - α g          nesterov = True

    With `nesterov`, w is the look-ahead point, at which the gradient is computed.
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum
    in deep learning", ICML 2013, equations 1 to 4.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    momentum : float, default 0.0
        μ, the fraction of the previous update that is added to this one, in [0, 1).
    nesterov : bool, default False
        Whether to use Nesterov's accelerated gradient. Ignored if `momentum` is 0.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    Two steps from w = 0, where g = 1 and then 0.8:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> sgd = fn.optimizers.SGD(learning_rate=0.1, momentum=0.9)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=sgd, epochs=2)
    >>> net.weights[0].round(6)
    array([[-0.27]])
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        _check_common(self)
        checks.number("momentum", self.momentum, at_least=0, below=1)
        checks.flag("nesterov", self.nesterov)

    @property
    def n_slots(self) -> int:
        """Number of state arrays, each with one value per parameter."""
        return 1 if self.momentum > 0 else 0


@dataclass(frozen=True)
class Adagrad:
    """Adagrad: divides the step of each parameter by the root of the sum of its squared gradients.

    Update rule::

        s ← s + g²
        w ← w - α g / (√s + ε)

    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12 (2011), with a diagonal matrix.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 0, where g = 1:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> adagrad = fn.optimizers.Adagrad(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=adagrad, epochs=1)
    >>> net.weights[0].round(6)
    array([[-0.1]])
    """

    learning_rate: float | Schedule = 0.01
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 1

    def __post_init__(self) -> None:
        _check_common(self)
        checks.number("epsilon", self.epsilon, above=0)


@dataclass(frozen=True)
class RMSprop:
    """RMSprop: divides the step of each parameter by a running root mean square of its gradients.

    Update rule::

        s ← ρ s + (1 - ρ) g²
        w ← w - α g / (√s + ε)

    T. Tieleman, G. Hinton, "Neural networks for machine learning", Coursera, 2012, lecture 6.5.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    rho : float, default 0.9
        ρ, the decay rate of the running mean of squared gradients, in [0, 1).
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 0, where g = 1:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> rmsprop = fn.optimizers.RMSprop(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=rmsprop, epochs=1)
    >>> net.weights[0].round(6)
    array([[-0.316228]])
    """

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 1

    def __post_init__(self) -> None:
        _check_common(self)
        checks.number("rho", self.rho, at_least=0, below=1)
        checks.number("epsilon", self.epsilon, above=0)


@dataclass(frozen=True)
class Adam:
    """Adam: steps along a running mean of gradients, divided by their running root mean square.

    Update rule::

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        m̂ = m / (1 - β₁ᵗ),    v̂ = v / (1 - β₂ᵗ)
        w ← w - α m̂ / (√v̂ + ε)

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    beta_1 : float, default 0.9
        β₁, the decay rate of the running mean of gradients, in [0, 1).
    beta_2 : float, default 0.999
        β₂, the decay rate of the running mean of squared gradients, in [0, 1).
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 0, where g = 1:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> adam = fn.optimizers.Adam(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=adam, epochs=1)
    >>> net.weights[0].round(6)
    array([[-0.1]])
    """

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 2

    def __post_init__(self) -> None:
        _check_common(self)
        _check_adam(self)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay.

    Update rule, with m̂ and v̂ as in `Adam`::

        w ← w - α (m̂ / (√v̂ + ε) + λ w)          weights
        w ← w - α  m̂ / (√v̂ + ε)                 biases

    Unlike an `l2` penalty, λ w does not enter the gradient g, so that it is neither clipped nor
    divided by √v̂. I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019,
    algorithm 2. As in PyTorch, the decay is multiplied by the learning rate α; in the paper, only
    by the factor of its schedule.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    weight_decay : float, default 0.01
        λ, the decay rate of the weights, at least 0.
    beta_1 : float, default 0.9
        β₁, the decay rate of the running mean of gradients, in [0, 1).
    beta_2 : float, default 0.999
        β₂, the decay rate of the running mean of squared gradients, in [0, 1).
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 1, where g = 1:

    >>> import fastnn as fn
    >>> one = fn.initializers.Constant(1.0)
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init=one), dtype="float64")
    >>> adamw = fn.optimizers.AdamW(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [0.5], optimizer=adamw, epochs=1)
    >>> net.weights[0].round(6)
    array([[0.899]])
    """

    learning_rate: float | Schedule = 0.001
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 2

    def __post_init__(self) -> None:
        _check_common(self)
        _check_adam(self)
        checks.number("weight_decay", self.weight_decay, at_least=0)


def _check_adam(optimizer: Adam | AdamW) -> None:
    checks.number("beta_1", optimizer.beta_1, at_least=0, below=1)
    checks.number("beta_2", optimizer.beta_2, at_least=0, below=1)
    checks.number("epsilon", optimizer.epsilon, above=0)


Optimizer = SGD | Adagrad | RMSprop | Adam | AdamW

CLASSES: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}


def get_code(optimizer: Optimizer) -> codes.Optimizer:
    """Return the optimizer's member of the enum `fastnn_ext.codes.Optimizer`."""
    return codes.Optimizer[type(optimizer).__name__.upper()]


def resolve(value: str | Optimizer) -> Optimizer:
    """Return the optimizer for a name or an optimizer; raise an error for anything else.

    >>> resolve("sgd").learning_rate
    0.01
    """
    if not isinstance(value, str) and isinstance(value, tuple(CLASSES.values())):
        return value
    return _make_default(checks.choice("optimizer", value, CLASSES))


@cache
def _make_default(name: str) -> Optimizer:
    """Return the optimizer of that name with its defaults, created and checked once."""
    return CLASSES[name]()


def check_horizon(optimizer: Optimizer, n_steps: int | None) -> None:
    """Raise an error if the schedule depends on the total number of steps and `n_steps` is None."""
    schedules.rates(optimizer.learning_rate, np.zeros(1), n_steps)
