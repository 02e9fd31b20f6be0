"""Learning-rate schedules: frozen descriptions, and one function that evaluates them, `rates`.

Notation: α(t) is the learning rate of step t. A step is one minibatch, counted from 0 when the
optimizer is started. Schedules with a parameter `n_steps`, written T, keep their last value after T
steps. If `n_steps` is None, T is the number of steps of the call of `fit`; `partial_fit` requires a
number, unless an earlier `fit` has set it.

`fastnn/reference/schedules.py` has the same formulas for a single step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._util import checks

__all__ = [
    "CLASSES", "Constant", "CosineDecay", "Cyclic", "ExponentialDecay", "FlatCosine",
    "InverseTimeDecay",
    "LinearDecay", "OneCycle", "Schedule", "StepDecay", "WarmRestarts", "Warmup", "rates",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


Array = NDArray[np.float64]


class Schedule:
    """Base class of all schedules. A schedule can be called on steps."""

    def __call__(self, steps: ArrayLike, n_steps: int | None = None) -> Array:
        """Return the learning rates of the given steps.

        `fastnn.plot.schedule` draws them.

        Parameters
        ----------
        steps : array-like of real numbers, shape (k,) or ()
            Steps, counted from 0.
        n_steps : int, optional
            Value of `n_steps` for a schedule whose own is None.

        Returns
        -------
        ndarray of float64, shape of `steps`

        Raises
        ------
        ValueError, TypeError
            If a step is negative or not a real number, or the schedule requires `n_steps` and it is
            None both in the schedule and here.

        Examples
        --------
        >>> import fastnn as fn
        >>> fn.schedules.CosineDecay(0.1)([0, 5, 10], n_steps=10)
        array([0.1 , 0.05, 0.  ])
        """
        _check_steps(n_steps)
        array = np.asarray(steps)
        if array.dtype.kind not in "iuf":
            raise TypeError(f"steps: expected real numbers; got {checks.describe(steps)}")
        if not (array >= 0).all():
            raise ValueError(f"steps: expected numbers of at least 0; got {array.min()}")
        return rates(self, array.astype(np.float64).ravel(), n_steps).reshape(array.shape)


def _check_steps(n_steps: int | None) -> None:
    if n_steps is not None:
        checks.whole("n_steps", n_steps, at_least=1)


@dataclass(frozen=True)
class Constant(Schedule):
    """A constant learning rate: α(t) = α₀.

    Parameters
    ----------
    learning_rate : float
        α₀ > 0.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.Constant(0.1)
    >>> fn.schedules.rates(schedule, np.array([0.0, 1.0, 100.0])).round(4)
    array([0.1, 0.1, 0.1])
    """

    learning_rate: float

    def __post_init__(self) -> None:
        checks.number("learning_rate", self.learning_rate, above=0)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Decay by a factor at regular intervals: α(t) = α₀ f^⌊t / s⌋.

    PyTorch has it as `StepLR`.

    Parameters
    ----------
    initial_learning_rate : float
        α₀ > 0, the learning rate of the first step.
    every : int
        s ≥ 1, the number of steps between two changes.
    factor : float, default 0.5
        f > 0, by which the learning rate is multiplied at each change.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.StepDecay(0.1, every=10)
    >>> fn.schedules.rates(schedule, np.array([0.0, 9.0, 10.0, 20.0])).round(4)
    array([0.1  , 0.1  , 0.05 , 0.025])
    """

    initial_learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.whole("every", self.every, at_least=1)
        checks.number("factor", self.factor, above=0)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """Exponential decay: α(t) = α₀ f^(t / s).

    Keras has it under the same name.

    Parameters
    ----------
    initial_learning_rate : float
        α₀ > 0, the learning rate of the first step.
    every : int
        s ≥ 1, the number of steps in which the learning rate decays by the factor f.
    factor : float, default 0.5
        f > 0.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.ExponentialDecay(0.1, every=10)
    >>> fn.schedules.rates(schedule, np.array([0.0, 5.0, 10.0, 20.0])).round(4)
    array([0.1   , 0.0707, 0.05  , 0.025 ])
    """

    initial_learning_rate: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.whole("every", self.every, at_least=1)
        checks.number("factor", self.factor, above=0)


@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """Inverse-time decay: α(t) = α₀ / (1 + d ⌊t / s⌋)^p.

    With d > 0 and 0.5 < p ≤ 1, the sum of the learning rates is infinite and the sum of their
    squares is finite, the conditions of H. Robbins, S. Monro, "A stochastic approximation method",
    Annals of Mathematical Statistics 22, 1951.

    Parameters
    ----------
    initial_learning_rate : float
        α₀ > 0, the learning rate of the first step.
    decay : float
        d ≥ 0, the rate of the decay.
    power : float, default 1.0
        p ≥ 0, the exponent.
    every : int, default 1
        s ≥ 1, the number of steps between two changes.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.InverseTimeDecay(0.1, decay=1.0)
    >>> fn.schedules.rates(schedule, np.array([0.0, 1.0, 3.0])).round(4)
    array([0.1  , 0.05 , 0.025])
    """

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
    """Linear decay: α(t) = (1 - t / T) α₀ + (t / T) α₁ for t < T, then α₁.

    I. Goodfellow, Y. Bengio, A. Courville, "Deep learning", 2016, equation 8.14.

    Parameters
    ----------
    initial_learning_rate : float
        α₀ > 0, the learning rate of the first step.
    final_learning_rate : float, default 0.0
        α₁ ≥ 0, the learning rate from step T on.
    n_steps : int, optional
        T ≥ 1, the number of steps of the decay; by default, all steps of `fit`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.LinearDecay(0.1, n_steps=10)
    >>> fn.schedules.rates(schedule, np.array([0.0, 5.0, 10.0])).round(4)
    array([0.1 , 0.05, 0.  ])
    """

    initial_learning_rate: float
    final_learning_rate: float = 0.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.number("final_learning_rate", self.final_learning_rate, at_least=0)
        _check_steps(self.n_steps)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Cosine decay: α(t) = α₁ + (α₀ - α₁) (1 + cos(π t / T)) / 2 for t < T, then α₁.

    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5, a single period.

    Parameters
    ----------
    initial_learning_rate : float
        α₀ > 0, the learning rate of the first step.
    final_learning_rate : float, default 0.0
        α₁ ≥ 0, the learning rate from step T on.
    n_steps : int, optional
        T ≥ 1, the number of steps of the decay; by default, all steps of `fit`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.CosineDecay(0.1, n_steps=10)
    >>> fn.schedules.rates(schedule, np.array([0.0, 5.0, 10.0])).round(4)
    array([0.1 , 0.05, 0.  ])
    """

    initial_learning_rate: float
    final_learning_rate: float = 0.0
    n_steps: int | None = None

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.number("final_learning_rate", self.final_learning_rate, at_least=0)
        _check_steps(self.n_steps)


@dataclass(frozen=True)
class FlatCosine(Schedule):
    """A constant learning rate, then a cosine decay: α(t) = α₀ for t < q T, then
    α(t) = α₁ + (α₀ - α₁) (1 + cos(π (t - q T) / (T - q T))) / 2 for t < T, then α₁.

    D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", NeurIPS 2024, section 3.3, with q = 1/2.

    Parameters
    ----------
    initial_learning_rate : float
        α₀ > 0, the learning rate of the first steps.
    final_learning_rate : float, default 0.0
        α₁ ≥ 0, the learning rate from step T on.
    n_steps : int, optional
        T ≥ 1, the number of steps of both parts; by default, all steps of `fit`.
    flat_share : float, default 0.5
        q, the fraction of the steps with a constant learning rate, in [0, 1).

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.FlatCosine(0.1, n_steps=8)
    >>> fn.schedules.rates(schedule, np.array([0.0, 4.0, 6.0, 8.0])).round(4)
    array([0.1 , 0.1 , 0.05, 0.  ])
    """

    initial_learning_rate: float
    final_learning_rate: float = 0.0
    n_steps: int | None = None
    flat_share: float = 0.5

    def __post_init__(self) -> None:
        checks.number("initial_learning_rate", self.initial_learning_rate, above=0)
        checks.number("final_learning_rate", self.final_learning_rate, at_least=0)
        _check_steps(self.n_steps)
        checks.number("flat_share", self.flat_share, at_least=0, below=1)


@dataclass(frozen=True)
class Cyclic(Schedule):
    """Cyclical learning rate: linear up and down between two bounds, repeatedly.

    In cycle k = ⌊t / (2 h)⌋::

        α(t) = α_min + (α_max - α_min) (1 - |t / h - 2 k - 1|) cₖ

    with cₖ = 1, or cₖ = 1 / 2ᵏ for `mode="triangular2"`. L. Smith, "Cyclical learning rates for
    training neural networks", WACV 2017, section 3.

    Parameters
    ----------
    min_learning_rate : float
        α_min ≥ 0, the lower bound, at which each cycle starts.
    max_learning_rate : float
        α_max > α_min, the upper bound. See `fastnn.lr_range_test`, which suggests both bounds.
    half_cycle : int
        h ≥ 1, the number of steps from one bound to the other.
    mode : "triangular" (default) or "triangular2"
        "triangular2" halves the height of the cycles after each cycle.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.Cyclic(0.0, 0.1, half_cycle=10)
    >>> fn.schedules.rates(schedule, np.array([0.0, 5.0, 10.0, 15.0, 20.0])).round(4)
    array([0.  , 0.05, 0.1 , 0.05, 0.  ])
    """

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
    """Cosine decays with warm restarts.

    In period k, which starts at step tₖ and has Tₖ = T₀ gᵏ steps::

        α(t) = α_min + (α_max - α_min) (1 + cos(π (t - tₖ) / Tₖ)) / 2

    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5.

    Parameters
    ----------
    max_learning_rate : float
        α_max > α_min, the learning rate at the start of each period.
    first_period : int
        T₀ ≥ 1, the number of steps of the first period.
    growth : int, default 2
        g ≥ 1, the ratio of the lengths of consecutive periods.
    min_learning_rate : float, default 0.0
        α_min ≥ 0, the limit at the end of each period.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.WarmRestarts(0.1, first_period=10)
    >>> fn.schedules.rates(schedule, np.array([0.0, 5.0, 10.0, 20.0])).round(4)
    array([0.1 , 0.05, 0.1 , 0.05])
    """

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
    """One-cycle policy: a rise to a maximum, then a fall to almost zero, each along half a cosine.

    With the peak at step P = q (T - 1)::

        α(t) = α_max / a + (α_max - α_max / a) (1 - cos(π t / P)) / 2                    t < P
        α(t) = α_max / b + (α_max - α_max / b) (1 + cos(π (t - P) / (T - 1 - P))) / 2    t ≥ P

    L. Smith, N. Topin, "Super-convergence", 2019 (arXiv 1708.07120).

    Parameters
    ----------
    max_learning_rate : float
        α_max > 0, the learning rate at the peak.
    n_steps : int, optional
        T ≥ 1, the number of steps of the cycle; by default, all steps of `fit`.
    warmup_share : float, default 0.3
        q, the fraction of the steps in which the learning rate rises, in [0, 1].
    start_divisor : float, default 25.0
        a ≥ 1, the ratio of the maximum to the first learning rate.
    end_divisor : float, default 1e4
        b ≥ 1, the ratio of the maximum to the last learning rate, that of step T - 1.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.OneCycle(0.1, n_steps=11)
    >>> fn.schedules.rates(schedule, np.array([0.0, 3.0, 10.0])).round(4)
    array([0.004, 0.1  , 0.   ])
    """

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
    """Linear warmup, followed by another schedule.

    With the other schedule β::

        α(t) = β(0) (t + 1) / n        for t < n
        α(t) = β(t - n)                otherwise

    P. Goyal and others, "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017
    (arXiv 1706.02677), section 2.2.

    Parameters
    ----------
    after : Schedule
        β, the schedule after the warmup. If its `n_steps` is None, it has the steps of `fit` that
        remain after the warmup.
    n_steps : int
        n ≥ 1, the number of warmup steps.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> schedule = fn.schedules.Warmup(fn.schedules.Constant(0.1), n_steps=4)
    >>> fn.schedules.rates(schedule, np.array([0.0, 1.0, 3.0, 4.0])).round(4)
    array([0.025, 0.05 , 0.1  , 0.1  ])
    """

    after: Schedule
    n_steps: int

    def __post_init__(self) -> None:
        checks.instance("after", self.after, Schedule, "a schedule of fastnn.schedules")
        checks.whole("n_steps", self.n_steps, at_least=1)


CLASSES = (
    Constant, StepDecay, ExponentialDecay, InverseTimeDecay, LinearDecay, CosineDecay, FlatCosine,
    Cyclic,
    WarmRestarts, OneCycle, Warmup,
)  # fmt: skip


def rates(schedule: float | Schedule, steps: Array, n_steps: int | None = None) -> Array:
    """Return the learning rates of the given steps.

    Parameters
    ----------
    schedule : float or Schedule
        A float is a constant learning rate.
    steps : ndarray of float64, shape (k,)
        Steps, counted from 0.
    n_steps : int, optional
        Value of `n_steps` for a schedule whose own is None.

    Returns
    -------
    ndarray of float64, shape (k,)

    Raises
    ------
    ValueError
        If the schedule requires `n_steps` and it is None both in the schedule and here.

    Examples
    --------
    >>> rates(LinearDecay(0.1, n_steps=2), np.arange(4.0))
    array([0.1 , 0.05, 0.  , 0.  ])
    """
    if not isinstance(schedule, Schedule):
        return np.full(len(steps), float(schedule))
    return _compute_rates(_fill_in_steps(schedule, n_steps), steps)


def _fill_in_steps(schedule: Schedule, n_steps: int | None) -> Schedule:
    """Return the schedule with `n_steps` filled in where it is None."""
    if isinstance(schedule, Warmup):
        remaining = None if n_steps is None else max(1, n_steps - schedule.n_steps)
        return replace(schedule, after=_fill_in_steps(schedule.after, remaining))
    to_the_end = LinearDecay | CosineDecay | FlatCosine | OneCycle
    if isinstance(schedule, to_the_end) and schedule.n_steps is None:
        if n_steps is None:
            raise ValueError(
                f"n_steps: expected {type(schedule).__name__}(n_steps=...) if the number of "
                "steps is not known in advance, as in partial_fit; got None"
            )
        return replace(schedule, n_steps=n_steps)
    return schedule


def _half_cosine(fraction: Array) -> Array:
    """Half a period of a cosine: 1 at fraction 0, 0 at fraction 1."""
    return (1 + np.cos(math.pi * fraction)) / 2


@singledispatch
def _compute_rates(schedule: Schedule, steps: Array) -> Array:
    raise TypeError(f"schedule: expected one of fastnn.schedules; got {schedule!r}")


@_compute_rates.register
def _(schedule: Constant, steps: Array) -> Array:
    return np.full(len(steps), float(schedule.learning_rate))


@_compute_rates.register
def _(schedule: StepDecay, steps: Array) -> Array:
    return schedule.initial_learning_rate * schedule.factor ** np.floor(steps / schedule.every)


@_compute_rates.register
def _(schedule: ExponentialDecay, steps: Array) -> Array:
    return schedule.initial_learning_rate * schedule.factor ** (steps / schedule.every)


@_compute_rates.register
def _(schedule: InverseTimeDecay, steps: Array) -> Array:
    count = np.floor(steps / schedule.every)
    return schedule.initial_learning_rate / (1 + schedule.decay * count) ** schedule.power


@_compute_rates.register
def _(schedule: LinearDecay, steps: Array) -> Array:
    fraction = np.minimum(steps / (schedule.n_steps or 1), 1)
    return (1 - fraction) * schedule.initial_learning_rate + fraction * schedule.final_learning_rate


@_compute_rates.register
def _(schedule: CosineDecay, steps: Array) -> Array:
    return _decay_by_cosine(schedule, 0.0, steps)


@_compute_rates.register
def _(schedule: FlatCosine, steps: Array) -> Array:
    return _decay_by_cosine(schedule, schedule.flat_share, steps)


def _decay_by_cosine(schedule: CosineDecay | FlatCosine, flat_share: float, steps: Array) -> Array:
    low, high = schedule.final_learning_rate, schedule.initial_learning_rate
    n_steps = schedule.n_steps or 1
    start = flat_share * n_steps
    fraction = (steps - start) / (n_steps - start)
    return low + (high - low) * _half_cosine(np.clip(fraction, 0, 1))


@_compute_rates.register
def _(schedule: Cyclic, steps: Array) -> Array:
    cycle = np.floor(steps / (2 * schedule.half_cycle))
    height: Array = 1 - np.abs(steps / schedule.half_cycle - 2 * cycle - 1)
    if schedule.mode == "triangular2":
        height *= 0.5**cycle
    low, high = schedule.min_learning_rate, schedule.max_learning_rate
    return low + (high - low) * height


@_compute_rates.register
def _(schedule: WarmRestarts, steps: Array) -> Array:
    first, growth = schedule.first_period, schedule.growth
    if growth == 1:
        fraction = steps % first / first
    else:
        # Period k starts at step first * (growth**k - 1) / (growth - 1). Without the small term,
        # rounding could assign the first step of a period to the period before it.
        k = np.floor(np.log(steps * (growth - 1) / first + 1) / math.log(growth) + 1e-12)
        fraction = (steps - first * (growth**k - 1) / (growth - 1)) / (first * growth**k)
    low, high = schedule.min_learning_rate, schedule.max_learning_rate
    return low + (high - low) * _half_cosine(fraction)


@_compute_rates.register
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


@_compute_rates.register
def _(schedule: Warmup, steps: Array) -> Array:
    n = schedule.n_steps
    later = rates(schedule.after, np.maximum(steps - n, 0))
    return np.where(steps < n, later * (steps + 1) / n, later)
