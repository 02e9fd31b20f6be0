"""Between the epochs of a fit: records of losses and scores, early stopping, the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from fastnn.callbacks import Epoch, Network

Score = Callable[[dict[str, float]], float]


@dataclass(kw_only=True)
class FitProgress:
    """The history that a continued fit needs of all earlier epochs."""

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    waited: int = 0
    """Consecutive epochs without improvement, counted across continued fits as in scikit-learn."""
    best: NDArray[Any] | None = None
    """The weights with the best validation score."""


@dataclass(frozen=True)
class StoppingRule:
    """scikit-learn's rule for early stopping: training stops after more than `patience` consecutive
    epochs that improve by less than `tol`. With `adaptive`, the learning rate is divided by 5
    instead, until it is at most 1e-6."""

    tol: float
    patience: float
    on_validation: bool
    adaptive: bool = False
    max_time: float | None = None


@dataclass(kw_only=True)
class EpochMonitor:
    """A callback that runs after each epoch of one fit; see `fastnn.callbacks`."""

    progress: FitProgress
    rule: StoppingRule
    convert_loss: Callable[[float], float]
    """From the engine's loss to the estimator's."""
    score: Score | None = None
    """From an epoch's logs to its validation score; None without validation data."""
    notify: Callable[[], bool] | None = None
    """Called after each epoch; training stops if it returns True."""
    verbose: bool = False
    """Whether to print scikit-learn's messages."""
    show: Callable[[dict[str, float]], None] | None = None
    """Updates a progress bar with an epoch's loss and score."""
    rate_scale: float = 1.0
    """The engine's learning rate divided by the estimator's."""
    start_time: float = field(default_factory=time.monotonic)
    n_iter: int = 0
    loss: float = math.inf
    """Loss of the last epoch."""

    @property
    def deadline(self) -> float:
        """The time, by `time.monotonic()`, at which `max_time` is reached."""
        limit = self.rule.max_time
        return math.inf if limit is None else self.start_time + limit

    def after(self, epoch: Epoch) -> None:
        """Record an epoch and decide whether to stop."""
        self.n_iter += 1
        self.loss = loss = self.convert_loss(epoch.logs["loss"])
        self.progress.loss_curve.append(loss)
        self._print("Iteration %d, loss = %.8f", self.n_iter, loss)
        improved = self._improved_loss(loss)
        if self.score is not None:
            # If outputs overflowed, the score is NaN, as in scikit-learn.
            finite = math.isfinite(epoch.logs["val_loss"])
            score = self.score(epoch.logs) if finite else math.nan
            improved_score = self._improved_score(epoch, score)
            improved = improved_score if self.rule.on_validation else improved
        self.progress.waited = 0 if improved else self.progress.waited + 1
        if self.progress.waited > self.rule.patience:
            self._handle_no_improvement(epoch)
        if self.show is not None:
            scores = self.progress.validation_scores
            self.show({"loss": loss} | ({"score": scores[-1]} if self.score else {}))
        if time.monotonic() >= self.deadline:
            epoch.stop(f"max_time of {self.rule.max_time:g} s reached")
        if self.notify is not None and self.notify():
            epoch.stop("stopped by a callback")

    def finish(self, network: Network) -> None:
        """Do nothing: `progress` stays in use after the fit."""

    def quiet_epochs(self) -> float:
        """Number of epochs that may run before the next call of `after`: the remaining patience if
        only the training loss is monitored, otherwise 0. It is negative after a fit that patience
        ended: the next epoch is then the last unless it improves the loss."""
        if self.score or self.notify or self.verbose or self.rule.max_time is not None:
            return 0
        return self.rule.patience - self.progress.waited

    def _improved_loss(self, loss: float) -> bool:
        improved = not loss > self.progress.best_loss - self.rule.tol
        self.progress.best_loss = min(self.progress.best_loss, loss)
        return improved

    def _improved_score(self, epoch: Epoch, score: float) -> bool:
        progress = self.progress
        progress.validation_scores.append(score)
        progress.validation_loss_curve.append(self.convert_loss(epoch.logs["val_loss"]))
        self._print("Validation score: %f", score)
        improved = not score < progress.best_score + self.rule.tol
        if score > progress.best_score:
            progress.best_score = score
            progress.best = epoch.network.parameters.copy()
        return improved

    def _handle_no_improvement(self, epoch: Epoch) -> None:
        quantity = "Validation score" if self.rule.on_validation else "Training loss"
        reason = (
            f"{quantity} did not improve more than tol={self.rule.tol:f} for {self.rule.patience} "
            "consecutive epochs."
        )
        rate = epoch.logs["learning_rate"] / self.rate_scale
        if not self.rule.adaptive:
            epoch.stop(reason)
            self._print("%s Stopping.", reason)
        elif rate <= 1e-6:
            epoch.stop(f"{reason} Learning rate too small.")
            self._print("%s Learning rate too small. Stopping.", reason)
        else:
            epoch.rate_factor /= 5
            self.progress.waited = 0
            self._print("%s Setting learning rate to %f", reason, rate / 5)

    def _print(self, text: str, *values: Any) -> None:
        if self.verbose:
            print(text % values)
