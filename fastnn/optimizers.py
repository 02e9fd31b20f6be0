"""Optimizers: frozen descriptions. The update formulas stand in `fastnn_ext/optimizers.pxd`, and
for reading in `fastnn/reference/optimizers.py`.

Each takes `learning_rate` first, a number or a schedule of `fastnn.schedules`. Each can clip the
gradient of a step, penalties included: first every element to [-clip_value, clip_value], then the
whole to a Euclidean length of at most `clip_norm` (R. Pascanu and others, ICML 2013).
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
    """Stochastic gradient descent: `v = momentum * v - learning_rate * g; w += v`; with `nesterov`
    `w += momentum * v - learning_rate * g`. I. Sutskever and others, ICML 2013, equations 1 to 4.

    Examples
    --------
    >>> import fastnn as fn
    >>> fn.optimizers.SGD(0.1, momentum=0.9).n_slots
    1
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
        """Numbers kept per parameter."""
        return 1 if self.momentum > 0 else 0


@dataclass(frozen=True)
class Adagrad:
    """`s += g**2; w -= learning_rate * g / (sqrt(s) + epsilon)`. J. Duchi and others, JMLR 2011."""

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
    """`s = rho * s + (1 - rho) * g**2; w -= learning_rate * g / (sqrt(s) + epsilon)`.
    T. Tieleman, G. Hinton, Coursera lecture 6.5, 2012."""

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
    """Step t: `m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2;
    w -= learning_rate * m' / (sqrt(v') + epsilon)` with `m' = m / (1 - beta_1**t)` and
    `v' = v / (1 - beta_2**t)`. D. Kingma, J. Ba, ICLR 2015, algorithm 1."""

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
    """Adam, and `w -= learning_rate * weight_decay * w` besides, for weights and not for biases.
    I. Loshchilov, F. Hutter, ICLR 2019, algorithm 2."""

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
    """The member of the engine's list."""
    return codes.Optimizer[type(optimizer).__name__.upper()]


def resolve(value: str | Optimizer) -> Optimizer:
    """What a user gave as an optimizer, checked.

    >>> resolve("sgd").learning_rate
    0.01
    """
    if not isinstance(value, str) and isinstance(value, tuple(CLASSES.values())):
        return value
    return _default(checks.choice("optimizer", value, CLASSES))


@cache
def _default(name: str) -> Optimizer:
    """The optimizer of that name with its defaults, made and checked once."""
    return CLASSES[name]()


def check_horizon(optimizer: Optimizer, n_steps: int | None) -> None:
    """An error if the optimizer's schedule has to know how many steps there will be."""
    schedules.rates(optimizer.learning_rate, np.zeros(1), n_steps)
