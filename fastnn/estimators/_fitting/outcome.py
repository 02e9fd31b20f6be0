"""Results of training runs, and warnings that wait until the fit has ended."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fastnn.estimators._fitting.early_stopping import FitProgress
from fastnn.estimators._fitting.solvers import TrainedNetwork


@dataclass(kw_only=True)
class TrainingOutcome:
    """The result of one training run."""

    trained: TrainedNetwork
    progress: FitProgress
    n_iter: int
    loss: float
    """Loss of the last epoch."""
    stop_reason: str | None
    interrupted: bool = False

    @property
    def score(self) -> float:
        """The criterion for the best of several restarts: the best validation score, or minus the
        last training loss without validation data; minus infinity for NaN."""
        score = self.progress.best_score if self.progress.validation_scores else -self.loss
        return -math.inf if math.isnan(score) else score


@dataclass(frozen=True)
class DeferredWarning:
    """A warning that a training thread records and the caller's thread emits after the fit."""

    text: str
    category: type[Warning] = UserWarning
