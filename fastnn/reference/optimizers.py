"""Optimizers: from a gradient to an update of the parameters.

All optimizers descend along the gradient g, w' = w - rate * (a function of g). They differ in what
they keep of earlier gradients: momentum keeps their direction, Adagrad and RMSprop their magnitude,
Adam both. These values are kept per parameter in arrays called slots, which start at zero.

Each update is a pure function that returns new parameters and slots and changes nothing in place.
In the formulas, a prime marks the new value.
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
    """w' = w - rate g. With momentum mu, v' = mu v - rate g and w' = w + v'. Nesterov momentum
    looks one step ahead: w' = w + mu v' - rate g."""
    if o.momentum == 0:
        return w - rate * g, ()
    (v,) = slots
    v = o.momentum * v - rate * g
    step = o.momentum * v - rate * g if o.nesterov else v
    return w + step, (v,)


def adagrad(o: Adagrad, w: Array, g: Array, slots: Slots, rate: float) -> tuple[Array, Slots]:
    """s' = s + g**2; w' = w - rate g / (sqrt(s') + epsilon). Parameters with large past gradients
    get small steps."""
    (s,) = slots
    s = s + g**2
    return w - rate * g / (np.sqrt(s) + o.epsilon), (s,)


def rmsprop(o: RMSprop, w: Array, g: Array, slots: Slots, rate: float) -> tuple[Array, Slots]:
    """s' = rho s + (1 - rho) g**2; w' = w - rate g / (sqrt(s') + epsilon): Adagrad with an
    exponentially decaying memory."""
    (s,) = slots
    s = o.rho * s + (1 - o.rho) * g**2
    return w - rate * g / (np.sqrt(s) + o.epsilon), (s,)


def adam(
    o: Adam | AdamW, w: Array, g: Array, slots: Slots, rate: float, t: int
) -> tuple[Array, Slots]:
    """Exponential moving averages of the gradient and of its square, m' = b1 m + (1 - b1) g and
    v' = b2 v + (1 - b2) g**2. They start at zero and are therefore too small at first; dividing by
    1 - b1**t and 1 - b2**t corrects this bias. Then w' = w - rate m' / (sqrt(v') + epsilon), with
    the corrected m' and v'."""
    m, v = slots
    m = o.beta_1 * m + (1 - o.beta_1) * g
    v = o.beta_2 * v + (1 - o.beta_2) * g**2
    m_corrected = m / (1 - o.beta_1**t)
    v_corrected = v / (1 - o.beta_2**t)
    return w - rate * m_corrected / (np.sqrt(v_corrected) + o.epsilon), (m, v)


def adamw(
    o: AdamW, w: Array, g: Array, slots: Slots, rate: float, t: int, is_bias: bool
) -> tuple[Array, Slots]:
    """Adam's update, minus rate * weight_decay * w for weights. Unlike an l2 penalty in the
    gradient, the decay is not divided by Adam's sqrt(v')."""
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
    """Parameters and slots after update t, which counts from 1. Biases do not decay."""
    return RULES[type(optimizer)](optimizer, w, g, slots, rate, t, is_bias)


def clip(optimizer: Optimizer, gradients: Sequence[Array]) -> list[Array]:
    """Clipped gradients: each element to [-clip_value, clip_value], then all arrays together to the
    Euclidean norm clip_norm, which keeps their direction."""
    clipped = list(gradients)
    if optimizer.clip_value is not None:
        clipped = [np.clip(g, -optimizer.clip_value, optimizer.clip_value) for g in clipped]
    if optimizer.clip_norm is not None:
        norm = np.sqrt(sum(np.sum(g**2) for g in clipped))
        if norm > optimizer.clip_norm:
            clipped = [g * (optimizer.clip_norm / norm) for g in clipped]
    return clipped
