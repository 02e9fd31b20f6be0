"""Findings about gradients and units of the layers. They need diagnostics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._report.data_rules import find_unscaled_inputs, find_unscaled_targets
from fastnn._report.facts import RunFacts
from fastnn._report.finding import Finding

Array = NDArray[Any]

# Ratio between the gradients (root mean square over the parameters) of a layer and of the last
# layer. In 33 healthy runs it was at least 0.05; in a network with six hidden layers of sigmoid,
# 0.0001.
VANISHED = 5e-3

# Relative change of the loss per relative change of the weights of a layer, to first order:
# gradient_norm * weight_norm / loss of a constant prediction. In 33 healthy runs it was at most 150
# (inputs from 0 to 16), and at most 20 with scaled inputs and one hidden layer.
EXPLODED = 1e3

# Fraction of dead units: at most 0.24 in 33 healthy runs. A layer with less than a twentieth of its
# units left passes on almost nothing.
DEAD, ALL_DEAD = 0.5, 0.95

# Fraction of saturated outputs: at most 0.47 in healthy runs, for 16 units of sigmoid.
SATURATED = 0.6


def find_vanishing_gradients(facts: RunFacts) -> Finding | None:
    """Gradients that decrease from the last layer to the first. Where unscaled inputs saturate the
    units, those are reported as such."""
    table = _read_gradients(facts)
    causes = (find_unscaled_inputs, find_exploding_gradients, find_dead_units)
    if table is None or any(find(facts) for find in causes):
        return None
    sizes = table["gradient_norm"] / np.sqrt(table["parameters"])
    ratios = sizes[:, :-1] / sizes[:, -1:]
    ratios[ratios == 0] = 1  # behind a layer whose units are all dead
    lowest = ratios.min(axis=0, initial=1)
    if not (small := np.flatnonzero(lowest < VANISHED)).size:
        return None
    return Finding(
        "vanishing gradients", "problem",
        f"The gradient of {_name_layers(small)} is at least once as small as {lowest.min():.1g} "
        "times that of the last layer (root mean square over the parameters).",
        'Use relu in the hidden layers (Dense(units, "relu")) with the default weight_init, fewer '
        "layers, or Residual blocks.",
    )  # fmt: skip


def find_exploding_gradients(facts: RunFacts) -> Finding | None:
    """Gradients so large that a tiny change of the weights changes the loss completely. Unscaled
    data are reported as such."""
    table = _read_gradients(facts)
    if table is None:
        return None
    if find_unscaled_inputs(facts) or find_unscaled_targets(facts):
        return None
    effects = (table["gradient_norm"] * table["weight_norm"]).max(axis=0, initial=0)
    effects /= facts.constant_loss or facts.loss_scale
    if not (large := np.flatnonzero(effects > EXPLODED)).size:
        return None
    return Finding(
        "exploding gradients", "problem",
        f"A change of the weights of {_name_layers(large)} by 1 % changes the loss, linearly, "
        f"by up to {effects.max() / 100:.1g} times the loss of a constant prediction.",
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


def _read_gradients(facts: RunFacts) -> dict[str, Array] | None:
    """Columns of numbers, shape (n_measurements, n_layers), without measurements at which a
    gradient is not finite or that of the last layer is 0; None without diagnostics."""
    if facts.layers is None:
        return None
    n_layers = max(facts.layers["layer"]) + 1
    columns = {
        name: np.array(facts.layers[name], dtype=np.float64).reshape(-1, n_layers)
        for name in ("gradient_norm", "weight_norm", "parameters")
    }
    norms = columns["gradient_norm"]
    usable = np.isfinite(norms).all(axis=1) & (norms[:, -1] > 0)
    return {name: column[usable] for name, column in columns.items()}


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
