"""The networks of the estimators for tables, and how they are trained.

The parts come from RealMLP (D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong
pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024) and were kept where they lowered
the error on ten tables; `docs/tables.md` has the measurements. A network is a Scale layer, whose
factors learn fast, and Dense layers whose weights start with the standard deviation 1 / √n_in and
whose learning rates have the same factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fastnn.initializers import Normal
from fastnn.layers import Dense, Layer, Scale
from fastnn.losses import CrossEntropy, Loss, Quantile, SquaredError
from fastnn.model import Sequential
from fastnn.optimizers import AdamW
from fastnn.schedules import FlatCosine

SCALE_RATE_FACTOR = 6.0
BIAS_RATE_FACTOR = 0.1
BETA_2 = 0.95

# Fewest epochs to which training is shortened before networks are left out, see `fit_into_time`.
FEWEST_EPOCHS = 12

# Rows up to which batches have a size. A table of 4,000 rows needs more steps than its 16 batches
# of 256 rows would give it in an epoch: with 128 the error on phoneme fell from 0.109 to 0.081.
BATCH_SIZES = ((2_800, 64), (7_000, 128), (40_000, 256), (200_000, 512))
LARGEST_BATCH = 1024


@dataclass(frozen=True)
class Recipe:
    """How many networks, how large, and trained for how long."""

    n_members: int
    n_folds: int
    """A member holds out one of this many parts of the rows."""
    n_layers: int
    width: int
    epochs: int
    activation: str
    n_bins: int
    numeric_encoding: str = "piecewise_linear"


PRESETS = {
    "fast": Recipe(2, 20, 2, 128, 16, "relu", 24),
    "default": Recipe(4, 8, 3, 128, 48, "auto", 32),
    "best": Recipe(10, 10, 3, 256, 80, "auto", 48),
}


def choose_batch_size(n_rows: int) -> int:
    """The batch size for a number of training rows."""
    for most, size in BATCH_SIZES:
        if n_rows < most:
            return min(size, n_rows)
    return LARGEST_BATCH


def make_loss(n_classes: int, label_smoothing: float, quantile: float | None) -> Loss:
    """The loss for this many classes, for a quantile, or for numbers."""
    if n_classes:
        return CrossEntropy(label_smoothing)
    return SquaredError() if quantile is None else Quantile(quantile)


def make_network(
    recipe: Recipe, n_features: int, n_outputs: int, is_classifier: bool, seed: int
) -> Sequential:
    """A network with initial weights. Its outputs start at 0."""
    hidden = recipe.activation
    if hidden == "auto":
        hidden = "selu" if is_classifier else "mish"
    layers: list[Layer] = [Scale(learning_rate_factor=SCALE_RATE_FACTOR)]
    n_in = n_features
    for _ in range(recipe.n_layers):
        layers.append(_make_dense(recipe.width, hidden, n_in, Normal(0.0, 1 / math.sqrt(n_in))))
        n_in = recipe.width
    head = "softmax" if is_classifier else "linear"
    layers.append(_make_dense(n_outputs, head, n_in, "zeros"))
    network = Sequential(*layers, random_state=seed).build(n_features)
    rng = np.random.default_rng(seed)
    for bias in network.biases[1:-1]:
        assert bias is not None
        bias[:] = rng.standard_normal(bias.shape)
    return network


def _make_dense(units: int, activation: str, n_in: int, weight_init: Normal | str) -> Dense:
    return Dense(
        units, activation, weight_init=weight_init, learning_rate_factor=1 / math.sqrt(n_in),
        bias_learning_rate_factor=BIAS_RATE_FACTOR,
    )  # fmt: skip


def make_optimizer(is_classifier: bool) -> AdamW:
    """Adam with a constant rate for half of the training, then a cosine decay."""
    return AdamW(FlatCosine(0.04 if is_classifier else 0.07), weight_decay=0.0, beta_2=BETA_2)


def fit_into_time(
    recipe: Recipe, seconds: float, seconds_per_epoch: float, n_workers: int
) -> Recipe:
    """The recipe with fewer epochs, and then fewer members, for training in this time. An epoch of
    `n_workers` networks side by side takes `seconds_per_epoch`."""
    affordable = seconds / seconds_per_epoch  # epochs of `n_workers` networks
    n_waves = max(1, min(-(-recipe.n_members // n_workers), int(affordable / FEWEST_EPOCHS)))
    return replace(
        recipe,
        n_members=min(recipe.n_members, n_waves * n_workers),
        epochs=max(1, min(recipe.epochs, int(affordable / n_waves))),
    )
