"""What a training run is given: everything that both engines need besides the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn.layers import Layer
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A checked training run. Arrays are of the network's dtype and C-contiguous."""

    layers: tuple[Layer, ...]
    loss: Loss
    optimizer: Optimizer
    X: Array  # (n, n_features)
    y: Array  # (n, n_targets)
    sample_weight: Array | None  # (n,)
    batch_size: int
    shuffle: str  # "epoch", "once" or "never"
    seed: int
    first_epoch: int  # epochs and steps that the network had been trained for before:
    first_step: int  # no shuffle and no dropout mask comes twice in its life
    rows: NDArray[np.intp] | None = None  # which rows of X are trained on; None: all

    @property
    def n_rows(self) -> int:
        """Rows in one pass."""
        return len(self.X if self.rows is None else self.rows)

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches in one pass."""
        return -(-self.n_rows // self.batch_size)


@dataclass
class Steps:
    """Steps to make, and what came of those that were made."""

    first: int  # of this job
    optimizer_step: int  # updates that the optimizer had made before
    rates: Floats  # (n,): learning rates
    done: int = 0

    def __post_init__(self) -> None:
        self.losses = np.empty(len(self.rates))
        """The objective before each update."""
        self.batch_weights = np.empty(len(self.rates))
        """The sum of each batch's sample weights."""


class Trainer(Protocol):
    """What both engines offer: `native.Trainer` and `reference.Trainer`."""

    def run(self, steps: Steps, seconds: float) -> None:
        """Go on with these steps, changing parameters and slots in place. The call ends early when
        `seconds` have passed, and when an objective is not finite, which then is the last and was
        not followed by an update. `steps` are up to date also where a signal ends it."""
        ...
