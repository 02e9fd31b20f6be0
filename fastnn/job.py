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


@dataclass(frozen=True)
class Job:
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

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches in one pass."""
        return -(-len(self.X) // self.batch_size)


class Trainer(Protocol):
    """What both engines offer: `native.Trainer` and `reference.Trainer`."""

    @property
    def done(self) -> int:
        """Steps made by the last call of `run`, also by one that a signal cut short."""
        ...

    def run(
        self, first_step: int, rates: NDArray[np.float64], optimizer_step: int, seconds: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Make up to len(rates) steps from step `first_step` of this job on, changing parameters
        and slots in place. Returns, for each step made, the objective before its update and the
        sum of its batch's weights. Fewer are made when `seconds` have passed or an objective is
        not finite, which then is the last and was not followed by an update."""
        ...
