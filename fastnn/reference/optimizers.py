"""Optimizers: from a gradient to a step.

All walk downhill, w - rate * something like g; they differ in what they remember of earlier
gradients. Momentum remembers their direction, Adagrad and RMSprop their size, Adam both. What is
remembered of each parameter are its slots, which start at zero.

An update is a function of what was to what is; it changes nothing in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

Array = NDArray[np.float64]
Slots = tuple[Array, ...]


def sgd(o: SGD, w: Array, g: Array, slots: Slots, rate: float) -> tuple[Array, Slots]:
    """w - rate g; with momentum mu, v' = mu v - rate g and w + v'; Nesterov looks one step ahead,
    w + mu v' - rate g."""
    if o.momentum == 0:
        return w - rate * g, ()
    (v,) = slots
    v = o.momentum * v - rate * g
    step = o.momentum * v - rate * g if o.nesterov else v
    return w + step, (v,)


def adagrad(o: Adagrad, w: Array, g: Array, slots: Slots, rate: float) -> tuple[Array, Slots]:
    """s' = s + g**2; w - rate g / (sqrt(s') + epsilon): much-used parameters get small steps."""
    (s,) = slots
    s = s + g**2
    return w - rate * g / (np.sqrt(s) + o.epsilon), (s,)


def rmsprop(o: RMSprop, w: Array, g: Array, slots: Slots, rate: float) -> tuple[Array, Slots]:
    """s' = rho s + (1 - rho) g**2; w - rate g / (sqrt(s') + epsilon): Adagrad that forgets."""
    (s,) = slots
    s = o.rho * s + (1 - o.rho) * g**2
    return w - rate * g / (np.sqrt(s) + o.epsilon), (s,)


def adam(
    o: Adam | AdamW, w: Array, g: Array, slots: Slots, rate: float, t: int
) -> tuple[Array, Slots]:
    """Running means of the gradient and of its square, m' = b1 m + (1 - b1) g and
    v' = b2 v + (1 - b2) g**2. They start at zero and so are too small at first; dividing by
    1 - b1**t and 1 - b2**t corrects that. Then w - rate m / (sqrt(v) + epsilon)."""
    m, v = slots
    m = o.beta_1 * m + (1 - o.beta_1) * g
    v = o.beta_2 * v + (1 - o.beta_2) * g**2
    m_corrected = m / (1 - o.beta_1**t)
    v_corrected = v / (1 - o.beta_2**t)
    return w - rate * m_corrected / (np.sqrt(v_corrected) + o.epsilon), (m, v)


def adamw(
    o: AdamW, w: Array, g: Array, slots: Slots, rate: float, t: int, is_bias: bool
) -> tuple[Array, Slots]:
    """Adam, and besides w - rate * weight_decay * w for weights. The decay does not pass through
    Adam's division, as an l2 penalty in the gradient would."""
    after_adam, slots = adam(o, w, g, slots, rate, t)
    decay = 0.0 if is_bias else rate * o.weight_decay
    return after_adam - decay * w, slots


RULES: dict[type, Callable[[Any, Array, Array, Slots, float, int, bool], tuple[Array, Slots]]] = {
    SGD: lambda o, w, g, slots, rate, t, is_bias: sgd(o, w, g, slots, rate),
    Adagrad: lambda o, w, g, slots, rate, t, is_bias: adagrad(o, w, g, slots, rate),
    RMSprop: lambda o, w, g, slots, rate, t, is_bias: rmsprop(o, w, g, slots, rate),
    Adam: lambda o, w, g, slots, rate, t, is_bias: adam(o, w, g, slots, rate, t),
    AdamW: adamw,
}


def update(
    optimizer: Optimizer, w: Array, g: Array, slots: Slots, rate: float, t: int, is_bias: bool
) -> tuple[Array, Slots]:
    """Parameters and slots after step t, which counts from 1."""
    return RULES[type(optimizer)](optimizer, w, g, slots, rate, t, is_bias)


def clip(optimizer: Optimizer, gradients: Sequence[Array]) -> list[Array]:
    """Gradients cut to a bearable size: each element to [-clip_value, clip_value], then all
    arrays together to the Euclidean length clip_norm, which keeps their direction."""
    clipped = list(gradients)
    if optimizer.clip_value is not None:
        clipped = [np.clip(g, -optimizer.clip_value, optimizer.clip_value) for g in clipped]
    if optimizer.clip_norm is not None:
        norm = np.sqrt(sum(np.sum(g**2) for g in clipped))
        if norm > optimizer.clip_norm:
            clipped = [g * (optimizer.clip_norm / norm) for g in clipped]
    return clipped
