"""The interface of both engines: a training job, the steps of a call, and the trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn._util.sparse_rows import SparseRows
from fastnn.layers import Layer
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A validated training run. Arrays have the network's dtype and are C-contiguous."""

    layers: tuple[Layer, ...]
    loss: Loss
    optimizer: Optimizer
    X: Array | SparseRows  # (n, n_features)
    y: Array  # (n, n_targets)
    sample_weight: Array | None  # (n,)
    batch_size: int
    shuffle: str  # "epoch", "once" or "never"
    seed: int
    first_epoch: int  # epochs and steps for which the network was trained before this job, so
    first_step: int  # that shuffles and dropout masks never repeat
    rows: NDArray[np.intp] | None = None  # rows of X to train on; None: all
    gradient_targets: Array | None = None  # (n, n_outputs, n_features)
    gradient_weight: float = 0.0  # of the mean squared error of the Jacobian

    @property
    def n_samples(self) -> int:
        """Rows in one epoch."""
        return len(self.X if self.rows is None else self.rows)

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches in one epoch."""
        return -(-self.n_samples // self.batch_size)


@dataclass
class Steps:
    """A sequence of n steps to make, and their results."""

    first: int  # counted from the start of the job
    optimizer_step: int  # updates that the optimizer had made before
    rates: Floats  # (n,): learning rates
    done: int = 0  # number of steps made

    def __post_init__(self) -> None:
        self.losses = np.empty(len(self.rates))
        """The objective before each update."""
        self.batch_weights = np.empty(len(self.rates))
        """The sum of the sample weights of each batch."""


class Trainer(Protocol):
    """The interface of `native.Trainer` and `reference.Trainer`."""

    def run(self, steps: Steps, seconds: float) -> None:
        """Make the remaining steps, changing parameters and slots in place.

        The call returns early when the time limit `seconds` is reached, or when an objective is not
        finite; that objective is the last, and no update follows it. `steps` is up to date even if
        the exception of a signal handler ends the call.
        """
        ...
