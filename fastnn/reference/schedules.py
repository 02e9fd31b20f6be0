"""Learning-rate schedules: the rate of one step, written as a case distinction.

Large steps find the valley, small ones its floor: nearly all schedules fall. Some rise first,
because a fresh network bears no large steps; some rise again, to leave a narrow valley. Steps
count from 0, and past its end a schedule keeps its last value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastnn.schedules import (
    Constant,
    CosineDecay,
    Cyclic,
    ExponentialDecay,
    InverseTimeDecay,
    LinearDecay,
    OneCycle,
    Schedule,
    StepDecay,
    WarmRestarts,
    Warmup,
)

Steps = int | None


def half_cosine(start: float, end: float, share: float) -> float:
    """From start at share 0 to end at share 1, level at both."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def length(schedule: LinearDecay | CosineDecay | OneCycle, n_steps: Steps) -> int:
    """The schedule's own number of steps, otherwise that of the training."""
    own = n_steps if schedule.n_steps is None else schedule.n_steps
    if own is None:
        raise ValueError(f"n_steps: expected a number of steps for {schedule!r}; got None")
    return own


def constant(s: Constant, step: int, n_steps: Steps) -> float:
    """Always the same."""
    return s.learning_rate


def step_decay(s: StepDecay, step: int, n_steps: Steps) -> float:
    """Multiplied by `factor` after every `every` steps."""
    return float(s.initial_learning_rate * s.factor ** (step // s.every))


def exponential_decay(s: ExponentialDecay, step: int, n_steps: Steps) -> float:
    """The same, smoothly: initial * factor**(step / every)."""
    return float(s.initial_learning_rate * s.factor ** (step / s.every))


def inverse_time_decay(s: InverseTimeDecay, step: int, n_steps: Steps) -> float:
    """initial / (1 + decay * floor(step / every))**power."""
    return float(s.initial_learning_rate / (1 + s.decay * (step // s.every)) ** s.power)


def linear_decay(s: LinearDecay, step: int, n_steps: Steps) -> float:
    """A straight line from initial to final."""
    n = length(s, n_steps)
    if step >= n:
        return s.final_learning_rate
    fall = s.initial_learning_rate - s.final_learning_rate
    return s.initial_learning_rate - fall * step / n


def cosine_decay(s: CosineDecay, step: int, n_steps: Steps) -> float:
    """Half a cosine from initial to final."""
    n = length(s, n_steps)
    if step >= n:
        return s.final_learning_rate
    return half_cosine(s.initial_learning_rate, s.final_learning_rate, step / n)


def cyclic(s: Cyclic, step: int, n_steps: Steps) -> float:
    """Up for `half_cycle` steps, down for as many; "triangular2" halves the height each cycle."""
    cycle, position = divmod(step, 2 * s.half_cycle)
    height = min(position, 2 * s.half_cycle - position) / s.half_cycle
    if s.mode == "triangular2":
        height *= 0.5**cycle
    return s.min_learning_rate + (s.max_learning_rate - s.min_learning_rate) * height


def warm_restarts(s: WarmRestarts, step: int, n_steps: Steps) -> float:
    """Half a cosine from max to min; then again from max, `growth` times longer."""
    position, period = step, s.first_period
    while position >= period:
        position, period = position - period, period * s.growth
    return half_cosine(s.max_learning_rate, s.min_learning_rate, position / period)


def one_cycle(s: OneCycle, step: int, n_steps: Steps) -> float:
    """Half a cosine up to max, half a cosine down; the last step, n - 1, has the last rate."""
    last = max(length(s, n_steps) - 1, 1)
    top = s.max_learning_rate
    peak = s.warmup_share * last
    step = min(step, last)
    if step < peak:
        return half_cosine(top / s.start_divisor, top, step / peak)
    if peak == last:
        return top
    return half_cosine(top, top / s.end_divisor, (step - peak) / (last - peak))


def warmup(s: Warmup, step: int, n_steps: Steps) -> float:
    """A straight line up to the first rate of `after`, then `after`, for the steps that remain."""
    remaining = None if n_steps is None else max(n_steps - s.n_steps, 1)
    if step < s.n_steps:
        return rate(s.after, 0, remaining) * (step + 1) / s.n_steps
    return rate(s.after, step - s.n_steps, remaining)


RULES: dict[type, Callable[[Any, int, Steps], float]] = {
    Constant: constant,
    StepDecay: step_decay,
    ExponentialDecay: exponential_decay,
    InverseTimeDecay: inverse_time_decay,
    LinearDecay: linear_decay,
    CosineDecay: cosine_decay,
    Cyclic: cyclic,
    WarmRestarts: warm_restarts,
    OneCycle: one_cycle,
    Warmup: warmup,
}


def rate(schedule: float | Schedule, step: int, n_steps: Steps = None) -> float:
    """The learning rate of one step; `n_steps` serves schedules without an end of their own."""
    if not isinstance(schedule, Schedule):
        return float(schedule)
    return RULES[type(schedule)](schedule, step, n_steps)
