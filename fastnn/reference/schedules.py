"""Learning-rate schedules: the learning rate of a step, as a function of the step.

Large steps approach a minimum quickly, small steps converge to it: nearly all schedules decrease.
Some increase first, because a newly initialized network diverges with large steps; some increase
again, to leave a narrow minimum. Steps count from 0, and after its end a schedule keeps its last
value.
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
    FlatCosine,
    InverseTimeDecay,
    LinearDecay,
    OneCycle,
    Schedule,
    StepDecay,
    WarmRestarts,
    Warmup,
)

StepCount = int | None


def half_cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine from start at progress 0 to end at progress 1, flat at both ends."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def resolve_length(
    schedule: LinearDecay | CosineDecay | FlatCosine | OneCycle, n_steps: StepCount
) -> int:
    """The schedule's `n_steps` or, if that is None, the number of steps of the training."""
    length = n_steps if schedule.n_steps is None else schedule.n_steps
    if length is None:
        raise ValueError(f"n_steps: expected a number of steps for {schedule!r}; got None")
    return length


def constant(s: Constant, step: int, n_steps: StepCount) -> float:
    """learning_rate."""
    return s.learning_rate


def step_decay(s: StepDecay, step: int, n_steps: StepCount) -> float:
    """initial * factor**floor(step / every): multiplied by `factor` every `every` steps."""
    return float(s.initial_learning_rate * s.factor ** (step // s.every))


def exponential_decay(s: ExponentialDecay, step: int, n_steps: StepCount) -> float:
    """initial * factor**(step / every): the continuous form of step decay."""
    return float(s.initial_learning_rate * s.factor ** (step / s.every))


def inverse_time_decay(s: InverseTimeDecay, step: int, n_steps: StepCount) -> float:
    """initial / (1 + decay * floor(step / every))**power."""
    return float(s.initial_learning_rate / (1 + s.decay * (step // s.every)) ** s.power)


def linear_decay(s: LinearDecay, step: int, n_steps: StepCount) -> float:
    """Linear from initial to final."""
    n = resolve_length(s, n_steps)
    if step >= n:
        return s.final_learning_rate
    fall = s.initial_learning_rate - s.final_learning_rate
    return s.initial_learning_rate - fall * step / n


def cosine_decay(s: CosineDecay, step: int, n_steps: StepCount) -> float:
    """Half a cosine from initial to final."""
    n = resolve_length(s, n_steps)
    if step >= n:
        return s.final_learning_rate
    return half_cosine(s.initial_learning_rate, s.final_learning_rate, step / n)


def flat_cosine(s: FlatCosine, step: int, n_steps: StepCount) -> float:
    """Constant for a share of the steps, then half a cosine from initial to final."""
    n = resolve_length(s, n_steps)
    start = s.flat_share * n
    if step < start:
        return s.initial_learning_rate
    if step >= n:
        return s.final_learning_rate
    fraction = (step - start) / (n - start)
    return half_cosine(s.initial_learning_rate, s.final_learning_rate, fraction)


def cyclic(s: Cyclic, step: int, n_steps: StepCount) -> float:
    """Increases for `half_cycle` steps, then decreases for `half_cycle` steps. With mode
    "triangular2", each cycle has half the height of the one before."""
    cycle, position = divmod(step, 2 * s.half_cycle)
    height = min(position, 2 * s.half_cycle - position) / s.half_cycle
    if s.mode == "triangular2":
        height *= 0.5**cycle
    return s.min_learning_rate + (s.max_learning_rate - s.min_learning_rate) * height


def warm_restarts(s: WarmRestarts, step: int, n_steps: StepCount) -> float:
    """Half a cosine from max to min, then again from max; each period is `growth` times as long as
    the one before."""
    position, period = step, s.first_period
    while position >= period:
        position, period = position - period, period * s.growth
    return half_cosine(s.max_learning_rate, s.min_learning_rate, position / period)


def one_cycle(s: OneCycle, step: int, n_steps: StepCount) -> float:
    """Half a cosine up to max, then half a cosine down. Step n - 1, the last, has the final
    rate."""
    last = max(resolve_length(s, n_steps) - 1, 1)
    top = s.max_learning_rate
    peak = s.warmup_share * last
    step = min(step, last)
    if step < peak:
        return half_cosine(top / s.start_divisor, top, step / peak)
    if peak == last:
        return top
    return half_cosine(top, top / s.end_divisor, (step - peak) / (last - peak))


def warmup(s: Warmup, step: int, n_steps: StepCount) -> float:
    """Linear up to the first rate of `after`, then `after` for the remaining steps."""
    remaining = None if n_steps is None else max(n_steps - s.n_steps, 1)
    if step < s.n_steps:
        return rate(s.after, 0, remaining) * (step + 1) / s.n_steps
    return rate(s.after, step - s.n_steps, remaining)


RULES: dict[type, Callable[[Any, int, StepCount], float]] = {
    Constant: constant,
    StepDecay: step_decay,
    ExponentialDecay: exponential_decay,
    InverseTimeDecay: inverse_time_decay,
    LinearDecay: linear_decay,
    CosineDecay: cosine_decay,
    FlatCosine: flat_cosine,
    Cyclic: cyclic,
    WarmRestarts: warm_restarts,
    OneCycle: one_cycle,
    Warmup: warmup,
}


def rate(schedule: float | Schedule, step: int, n_steps: StepCount = None) -> float:
    """The learning rate of one step. `n_steps`, the number of steps of the training, is the length
    of schedules whose own `n_steps` is None."""
    if not isinstance(schedule, Schedule):
        return float(schedule)
    return RULES[type(schedule)](schedule, step, n_steps)
