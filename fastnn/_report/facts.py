"""The facts about a run from which findings are derived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """Facts about the training data, measured at the start of a fit on evenly spaced rows."""

    n_rows: int
    """Training rows."""
    batch_size: int
    """Rows per minibatch."""
    shuffled: bool
    """Whether the rows are shuffled."""
    feature: int
    """The column of X with the largest root mean square."""
    feature_rms: float
    """Root mean square of that column."""
    target_rms: float | None
    """Root mean square of the targets, the largest over the outputs; None unless the outputs are
    real numbers, such as in regression with a linear last layer."""
    target_std: float
    """Standard deviation of the targets, the largest over the outputs."""
    disorder: float
    """Mean squared difference of the targets of neighboring rows, divided by that of rows in random
    order: about 1 for random order, 0 for sorted rows."""
    class_counts: tuple[int, ...]
    """Rows of each class among those measured; empty unless y are class labels."""
    constant_loss: float | None
    """Loss of the best constant prediction; None for losses without a simple formula."""


@dataclass(frozen=True, kw_only=True)
class OutputFacts:
    """Facts about the predictions for the training rows, measured at the end of a fit on evenly
    spaced rows."""

    spread: float
    """Standard deviation of the predictions over the rows, the largest over the outputs."""
    recalls: tuple[float, ...]
    """Fraction of the rows of each class that are predicted as that class, NaN for a class without
    rows; empty unless y are class labels."""
    accuracy: float | None
    """Fraction of rows whose class is predicted; None unless y are class labels."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything that a rule may use. Curves have one value per epoch."""

    loss: Floats
    val_loss: Floats | None
    r2: Floats | None
    """R2 of the training rows if recorded, otherwise of the validation rows."""
    diverged: bool
    stop_reason: str | None
    layers: Mapping[str, list[Any]] | None
    """The columns of `History.layers`; None without diagnostics, as are the following facts."""
    data: DataFacts | None
    outputs: OutputFacts | None

    @property
    def n_epochs(self) -> int:
        """Number of complete epochs."""
        return len(self.loss)

    @property
    def constant_loss(self) -> float | None:
        """The loss of a constant prediction; None if unknown."""
        return None if self.data is None else self.data.constant_loss

    @property
    def loss_scale(self) -> float:
        """The loss that counts as large: that of a constant prediction if known, but at most that
        of the first epoch. 1 if neither is known."""
        known = [abs(float(self.loss[0]))] if self.n_epochs else []
        return min([*known, *([self.constant_loss] if self.constant_loss else [])], default=1.0)

    @property
    def explained(self) -> float | None:
        """Fraction of the loss of a constant prediction that the training has removed: R2 for
        squared_error, McFadden's pseudo-R2 for cross_entropy. Without diagnostics, R2 if
        recorded; otherwise None."""
        if self.constant_loss:
            return 1 - float(self.loss[-1]) / self.constant_loss
        return None if self.r2 is None else float(self.r2[-1])
