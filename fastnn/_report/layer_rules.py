"""Findings about gradients and units of the layers. They need diagnostics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._report.facts import RunFacts
from fastnn._report.finding import Finding

Array = NDArray[Any]

# Ratio between the gradients (root mean square over the parameters) of a layer and of the last
# layer.
VANISHED, EXPLODED = 1e-3, 1e3

# Fractions of dead units, and of saturated outputs.
DEAD, ALL_DEAD = 0.5, 0.95
SATURATED = 0.5


def find_vanishing_gradients(facts: RunFacts) -> Finding | None:
    """Gradients that decrease from the last layer to the first."""
    ratios = _compute_gradient_ratios(facts)
    if ratios is None or not (small := np.flatnonzero(ratios < VANISHED)).size:
        return None
    return Finding(
        "vanishing gradients", "problem",
        f"The gradient of {_name_layers(small)} is {ratios.min():.1g} times that of the last layer "
        "(root mean square over the parameters, median over the measurements).",
        'Use relu in the hidden layers (Dense(units, "relu")) with the default weight_init, fewer '
        "layers, or Residual blocks.",
    )  # fmt: skip


def find_exploding_gradients(facts: RunFacts) -> Finding | None:
    """Gradients that increase from the last layer to the first."""
    ratios = _compute_gradient_ratios(facts)
    if ratios is None or not (large := np.flatnonzero(ratios > EXPLODED)).size:
        return None
    return Finding(
        "exploding gradients", "problem",
        f"The gradient of {_name_layers(large)} is {ratios.max():.1g} times that of the last layer "
        "(root mean square over the parameters, median over the measurements).",
        'Use the default weight_init="auto", scaled inputs, and clip_norm=1.0 in the optimizer.',
    )  # fmt: skip


def find_dead_units(facts: RunFacts) -> Finding | None:
    """Units of relu that are 0 for every row, at the end of training."""
    dead = _get_last(facts, "dead")
    if dead is None or not (layers := np.flatnonzero(dead >= DEAD)).size:
        return None
    worst = float(dead[layers].max())
    return Finding(
        "dead units", "problem" if worst >= ALL_DEAD else "warning",
        f"{worst:.0%} of the units of {_name_layers(layers)} are 0 for every measured row, so "
        "their weights do not change.",
        "Try a learning_rate 3 to 10 times lower, bias_init=0.0 and scaled inputs; or leaky_relu.",
    )  # fmt: skip


def find_saturated_units(facts: RunFacts) -> Finding | None:
    """Outputs of sigmoid or tanh in hidden layers at which the derivative is almost 0, at the end
    of training."""
    saturated = _get_last(facts, "saturated")
    if saturated is None or not (layers := np.flatnonzero(saturated[:-1] >= SATURATED)).size:
        return None
    return Finding(
        "saturated units", "warning",
        f"{saturated[layers].max():.0%} of the outputs of {_name_layers(layers)} are where the "
        "derivative of the activation is below 5 % of its maximum.",
        "Scale X (fastnn.Standardizer), keep the default weight_init, try a learning_rate 3 to 10 "
        "times lower, or l2 in the layer.",
    )  # fmt: skip


def _compute_gradient_ratios(facts: RunFacts) -> Array | None:
    """For each layer but the last, the median over the measurements of the ratio of its gradient to
    that of the last layer; None without layers or gradients."""
    if facts.layers is None:
        return None
    n_layers = max(facts.layers["layer"]) + 1
    norms, sizes = (
        np.array(facts.layers[name], dtype=np.float64).reshape(-1, n_layers)
        for name in ("gradient_norm", "parameters")
    )
    size = norms / np.sqrt(sizes)
    size = size[np.isfinite(size).all(axis=1) & (size[:, -1] > 0)]
    return np.median(size[:, :-1] / size[:, -1:], axis=0) if len(size) and n_layers > 1 else None


def _get_last(facts: RunFacts, column: str) -> Array | None:
    """The last measurement of each layer in a column."""
    if facts.layers is None:
        return None
    n_layers = max(facts.layers["layer"]) + 1
    return np.array(facts.layers[column][-n_layers:], dtype=np.float64)


def _name_layers(indices: Array) -> str:
    """The indices of Dense layers as text."""
    numbers = ", ".join(map(str, indices.tolist()))
    return f"Dense layer{'s' if len(indices) > 1 else ''} {numbers}"
