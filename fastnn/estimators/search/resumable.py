"""The training of one network of a search, in one call or epoch by epoch (successive halving)."""

from __future__ import annotations

import time
from typing import Any

from fastnn._parallel import limits
from fastnn.estimators._fitting import restarts
from fastnn.estimators._fitting.early_stopping import EpochMonitor, FitProgress
from fastnn.estimators._fitting.estimator_fit import EstimatorFit
from fastnn.estimators._fitting.outcome import TrainingOutcome


class ResumableFit:
    """A fit that can be trained in parts. Each method returns True if training reached its end, and
    False if Ctrl-C or the time limit of the search cut it short."""

    def __init__(self, estimator: Any, fit: EstimatorFit) -> None:
        self.estimator = estimator
        self.fit = fit
        self.monitor: EpochMonitor | None = None
        self.outcome: TrainingOutcome | None = None

    def run(self) -> bool:
        """Train to the end, including restarts."""
        outcomes = restarts.run_restarts(self.fit, None)
        late = time.monotonic() >= limits.get_deadline()
        if any(map(_was_cut_short, outcomes)) or (late and len(outcomes) < len(self.fit.seeds)):
            return False
        self.estimator._finish_fit(self.fit, outcomes)
        return True

    def run_until(self, n_epochs: int) -> bool:
        """Continue training until `n_epochs` epochs in total, unless it has already stopped."""
        fit, estimator = self.fit, self.estimator
        if self.outcome is None or self.monitor is None:
            self.monitor = fit.make_monitor(FitProgress())
            self.outcome = fit.run(fit.draw_network(fit.seeds[0]), self.monitor, n_epochs)
        elif self.outcome.stop_reason is None:
            remaining = n_epochs - self.monitor.n_iter
            self.outcome = fit.run(self.outcome.trained, self.monitor, remaining)
        if _was_cut_short(self.outcome):
            return False
        estimator.t_ = 0
        estimator._set_fit_attributes(self.outcome, len(fit.rows))
        if n_epochs == estimator.max_iter:
            fit.finish(self.outcome)
        return True


def _was_cut_short(outcome: TrainingOutcome) -> bool:
    out_of_time = outcome.stop_reason is not None and time.monotonic() >= limits.get_deadline()
    return outcome.interrupted or out_of_time
