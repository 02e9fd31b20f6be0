"""What happens between the epochs of a fit: records, patience, the best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from fastnn.callbacks import Epoch, Network

Score = Callable[[dict[str, float]], float]


@dataclass
class Progress:
    """What a continued fit has to know of all epochs before it."""

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    waited: int = 0
    """Consecutive epochs without improvement, over all fits, as scikit-learn counts them."""
    best: NDArray[Any] | None = None
    """The weights of the best validation score."""


@dataclass(frozen=True)
class Rule:
    """When to stop, as scikit-learn does: after more than `patience` epochs that improved by less
    than `tol`; a learning rate that is `adaptive` is divided by 5 then, down to 1e-6."""

    tol: float
    patience: float
    on_validation: bool
    adaptive: bool = False
    max_time: float | None = None


@dataclass
class Watch:
    """What runs after each epoch of one fit; see `fastnn.callbacks`."""

    progress: Progress
    rule: Rule
    reported: Callable[[float], float]
    score: Score | None = None
    """From what an epoch recorded to its validation score, None without validation data."""
    tell: Callable[[], bool] | None = None
    """Hears of each epoch; True stops."""
    verbose: bool = False
    """Whether to print scikit-learn's lines."""
    show: Callable[[dict[str, float]], None] | None = None
    """Shows an epoch in a progress bar."""
    rate_scale: float = 1.0
    """The engine's learning rate, over the estimator's."""
    began: float = field(default_factory=time.monotonic)
    n_iter: int = 0
    loss: float = math.inf
    """Of the last epoch."""

    @property
    def deadline(self) -> float:
        """When `max_time` is over, by `time.monotonic()`."""
        limit = self.rule.max_time
        return math.inf if limit is None else self.began + limit

    def after(self, epoch: Epoch) -> None:
        """Take note of an epoch, and decide whether it was the last."""
        self.n_iter += 1
        self.loss = loss = self.reported(epoch.logs["loss"])
        self.progress.loss_curve.append(loss)
        self._print("Iteration %d, loss = %.8f", self.n_iter, loss)
        improved = self._improved_loss(loss)
        if self.score is not None:
            # Outputs that overflowed have no score, as in scikit-learn.
            finite = math.isfinite(epoch.logs["val_loss"])
            score = self.score(epoch.logs) if finite else math.nan
            improved_score = self._improved_score(epoch, score)
            improved = improved_score if self.rule.on_validation else improved
        self.progress.waited = 0 if improved else self.progress.waited + 1
        if self.progress.waited > self.rule.patience:
            self._give_up(epoch)
        if self.show is not None:
            scores = self.progress.validation_scores
            self.show({"loss": loss} | ({"score": scores[-1]} if self.score else {}))
        if time.monotonic() >= self.deadline:
            epoch.stop(f"max_time of {self.rule.max_time:g} s reached")
        if self.tell is not None and self.tell():
            epoch.stop("a callback asked for it")

    def finish(self, network: Network) -> None:
        """Nothing: what was watched outlives the fit."""

    def quiet_epochs(self) -> float:
        """The patience that is left, as long as nothing but the training loss is watched. Less
        than 0 after a fit that patience ended: unless the next epoch improves, it is the last."""
        if self.score or self.tell or self.verbose or self.rule.max_time is not None:
            return 0
        return self.rule.patience - self.progress.waited

    def _improved_loss(self, loss: float) -> bool:
        improved = not loss > self.progress.best_loss - self.rule.tol
        self.progress.best_loss = min(self.progress.best_loss, loss)
        return improved

    def _improved_score(self, epoch: Epoch, score: float) -> bool:
        progress = self.progress
        progress.validation_scores.append(score)
        progress.validation_loss_curve.append(self.reported(epoch.logs["val_loss"]))
        self._print("Validation score: %f", score)
        improved = not score < progress.best_score + self.rule.tol
        if score > progress.best_score:
            progress.best_score = score
            progress.best = epoch.network.parameters.copy()
        return improved

    def _give_up(self, epoch: Epoch) -> None:
        what = "Validation score" if self.rule.on_validation else "Training loss"
        reason = (
            f"{what} did not improve more than tol={self.rule.tol:f} for {self.rule.patience} "
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
