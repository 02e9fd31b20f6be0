"""Learning-rate schedules: frozen descriptions and one pure function of the step, `rates`.

A step is one minibatch, counted from 0. Where `n_steps` is None it becomes the number of steps
that the call of `fit` will make; past `n_steps` a schedule keeps its last value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks

__all__ = [
    "CLASSES", "Constant", "CosineDecay", "Cyclic", "ExponentialDecay", "InverseTimeDecay",
    "LinearDecay", "OneCycle", "Schedule", "StepDecay", "WarmRestarts", "Warmup", "rates",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


Array = NDArray[np.float64]


class Schedule:
    """What all schedules are; holds nothing."""


def _check_steps(n_steps: int | None) -> None:
    if n_steps is not None:
        checks.whole("n_steps", n_steps, at_least=1)


@dataclass(frozen=True)
class Constant(Schedule):
    """Always the same rate."""

    learning_rate: float

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, above=0)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """`initial * factor**floor(step / every)`."""

    initial_learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.whole("every", self.every, at_least=1)
        checks.number("factor", self.factor, above=0)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """`initial * factor**(step / every)`."""

    initial_learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.whole("every", self.every, at_least=1)
        checks.number("factor", self.factor, above=0)


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """`initial / (1 + decay * floor(step / every))**power`."""

    initial_learning_rate: float
    decay: float
    power: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.number("decay", self.decay, at_least=0)
        checks.number("power", self.power, at_least=0)
        checks.whole("every", self.every, at_least=1)


@dataclass(frozen=True)
class LinearDecay(Schedule):
    """A straight line from `initial` to `final` in `n_steps` steps, then `final`.
    I. Goodfellow, Y. Bengio, A. Courville, "Deep Learning", equation 8.14."""

    initial_learning_rate: float
    final_learning_rate: float = 0.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.number("final_learning_rate", self.final_learning_rate, at_least=0)
        _check_steps(self.n_steps)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a cosine from `initial` to `final` in `n_steps` steps, then `final`.
    I. Loshchilov, F. Hutter, ICLR 2017, equation 5, one period."""

    initial_learning_rate: float
    final_learning_rate: float = 0.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.number("final_learning_rate", self.final_learning_rate, at_least=0)
        _check_steps(self.n_steps)


@dataclass(frozen=True)
class Cyclic(Schedule):
    """Up from `min` to `max` in `half_cycle` steps and down again, for ever; "triangular2" halves
    the height at each cycle. L. Smith, WACV 2017, section 3."""

    min_learning_rate: float
    max_learning_rate: float
    half_cycle: int
    mode: str = "triangular"

    def __post_init__(self) -> None:
        low = checks.number("min_learning_rate", self.min_learning_rate, at_least=0)
        checks.number("max_learning_rate", self.max_learning_rate, above=low)
        checks.whole("half_cycle", self.half_cycle, at_least=1)
        checks.choice("mode", self.mode, ("triangular", "triangular2"))


@dataclass(frozen=True)
class WarmRestarts(Schedule):
    """Cosine decays from `max` to `min`, the first `first_period` steps long, each next one
    `growth` times longer. I. Loshchilov, F. Hutter, ICLR 2017, equation 5."""

    max_learning_rate: float
    first_period: int
    growth: int = 2
    min_learning_rate: float = 0.0

    def __post_init__(self) -> None:
        low = checks.number("min_learning_rate", self.min_learning_rate, at_least=0)
        checks.number("max_learning_rate", self.max_learning_rate, above=low)
        checks.whole("first_period", self.first_period, at_least=1)
        checks.whole("growth", self.growth, at_least=1)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from `max / start_divisor` to `max` during the first `warmup_share` of `n_steps`, then
    down to `max / end_divisor`, which the last step has, both along half a cosine. L. Smith,
    N. Topin, 2019 (arXiv 1708.07120)."""

    max_learning_rate: float
    n_steps: int | None = None
    warmup_share: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4

    def __post_init__(self) -> None:
        checks.number("max_learning_rate", self.max_learning_rate, above=0)
        _check_steps(self.n_steps)
        checks.number("warmup_share", self.warmup_share, at_least=0, at_most=1)
        checks.number("start_divisor", self.start_divisor, at_least=1)
        checks.number("end_divisor", self.end_divisor, at_least=1)


@dataclass(frozen=True)
class Warmup(Schedule):
    """`after`'s first rate times (step + 1) / n_steps for the first `n_steps` steps, then `after`,
    counted from there. P. Goyal and others, 2017 (arXiv 1706.02677), section 2.2."""

    after: Schedule
    n_steps: int

    def __post_init__(self) -> None:
        checks.instance("after", self.after, Schedule, "a schedule of fastnn.schedules")
        checks.whole("n_steps", self.n_steps, at_least=1)


CLASSES = (
    Constant, StepDecay, ExponentialDecay, InverseTimeDecay, LinearDecay, CosineDecay, Cyclic,
    WarmRestarts, OneCycle, Warmup,
)  # fmt: skip


def rates(schedule: float | Schedule, steps: Array, n_steps: int | None = None) -> Array:
    """Learning rates at the given steps.

    Parameters
    ----------
    schedule : float or Schedule
    steps : ndarray of float64, shape (k,)
    n_steps : int, optional
        What a schedule without an `n_steps` of its own takes for it.

    Raises
    ------
    ValueError
        If neither the schedule nor the call says how many steps there are.

    Examples
    --------
    >>> rates(LinearDecay(0.1, n_steps=2), np.arange(4.0))
    array([0.1 , 0.05, 0.  , 0.  ])
    """
    if not isinstance(schedule, Schedule):
        return np.full(len(steps), float(schedule))
    return _rates(_with_steps(schedule, n_steps), steps)


def _with_steps(schedule: Schedule, n_steps: int | None) -> Schedule:
    """The schedule with its number of steps, where it has none of its own."""
    if isinstance(schedule, Warmup):
        left = None if n_steps is None else max(1, n_steps - schedule.n_steps)
        return replace(schedule, after=_with_steps(schedule.after, left))
    if isinstance(schedule, LinearDecay | CosineDecay | OneCycle) and schedule.n_steps is None:
        if n_steps is None:
            raise ValueError(
                f"n_steps: expected {type(schedule).__name__}(n_steps=...) where the number of "
                "steps is not known beforehand, as in partial_fit; got None"
            )
        return replace(schedule, n_steps=n_steps)
    return schedule


def _half_cosine(share: Array) -> Array:
    """From 1 at share 0 to 0 at share 1."""
    return (1 + np.cos(math.pi * share)) / 2


@singledispatch
def _rates(schedule: Schedule, steps: Array) -> Array:
    raise TypeError(f"schedule: expected one of fastnn.schedules; got {schedule!r}")


@_rates.register
def _(schedule: Constant, steps: Array) -> Array:
    return np.full(len(steps), float(schedule.learning_rate))


@_rates.register
def _(schedule: StepDecay, steps: Array) -> Array:
    return schedule.initial_learning_rate * schedule.factor ** np.floor(steps / schedule.every)


@_rates.register
def _(schedule: ExponentialDecay, steps: Array) -> Array:
    return schedule.initial_learning_rate * schedule.factor ** (steps / schedule.every)


@_rates.register
def _(schedule: InverseTimeDecay, steps: Array) -> Array:
    count = np.floor(steps / schedule.every)
    return schedule.initial_learning_rate / (1 + schedule.decay * count) ** schedule.power


@_rates.register
def _(schedule: LinearDecay, steps: Array) -> Array:
    share = np.minimum(steps / (schedule.n_steps or 1), 1)
    return (1 - share) * schedule.initial_learning_rate + share * schedule.final_learning_rate


@_rates.register
def _(schedule: CosineDecay, steps: Array) -> Array:
    low, high = schedule.final_learning_rate, schedule.initial_learning_rate
    return low + (high - low) * _half_cosine(np.minimum(steps / (schedule.n_steps or 1), 1))


@_rates.register
def _(schedule: Cyclic, steps: Array) -> Array:
    cycle = np.floor(steps / (2 * schedule.half_cycle))
    height: Array = 1 - np.abs(steps / schedule.half_cycle - 2 * cycle - 1)
    if schedule.mode == "triangular2":
        height *= 0.5**cycle
    low, high = schedule.min_learning_rate, schedule.max_learning_rate
    return low + (high - low) * height


@_rates.register
def _(schedule: WarmRestarts, steps: Array) -> Array:
    first, growth = schedule.first_period, schedule.growth
    if growth == 1:
        share = steps % first / first
    else:
        # Period k starts at first * (growth**k - 1) / (growth - 1); the small term keeps a step
        # that is exactly a start from falling into the period before through rounding.
        k = np.floor(np.log(steps * (growth - 1) / first + 1) / math.log(growth) + 1e-12)
        share = (steps - first * (growth**k - 1) / (growth - 1)) / (first * growth**k)
    low, high = schedule.min_learning_rate, schedule.max_learning_rate
    return low + (high - low) * _half_cosine(share)


@_rates.register
def _(schedule: OneCycle, steps: Array) -> Array:
    n = schedule.n_steps or 1
    top = schedule.max_learning_rate
    start, end = top / schedule.start_divisor, top / schedule.end_divisor
    last = max(n - 1, 1)
    peak = schedule.warmup_share * last
    up = np.minimum(steps / peak, 1) if peak > 0 else np.ones_like(steps)
    down = np.clip((steps - peak) / (last - peak), 0, 1) if last > peak else np.zeros_like(steps)
    rising = start + (top - start) * (1 - _half_cosine(up))
    falling = end + (top - end) * _half_cosine(down)
    return np.where(steps < peak, rising, falling)


@_rates.register
def _(schedule: Warmup, steps: Array) -> Array:
    n = schedule.n_steps
    later = rates(schedule.after, np.maximum(steps - n, 0))
    return np.where(steps < n, later * (steps + 1) / n, later)
