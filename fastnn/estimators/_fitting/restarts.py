"""The restarts of an estimator's fit (`n_init`): one after another, or one per thread."""

from __future__ import annotations

from functools import partial

from sklearn import config_context, get_config

from fastnn._parallel import pool
from fastnn._parallel.pool import Task
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.early_stopping import FitProgress
from fastnn.estimators._fitting.estimator_fit import INTERRUPTED, EstimatorFit
from fastnn.estimators._fitting.outcome import TrainingOutcome
from fastnn.estimators._fitting.solvers import NonFiniteError, TrainedNetwork


def run_restarts(fit: EstimatorFit, before: TrainedNetwork | None) -> list[TrainingOutcome]:
    """Continue training `before`, or train from the initial weights of each seed.

    Returns the outcomes of the runs that did not diverge: fewer than seeds if the time limit is
    reached, and with interrupted runs last.
    """
    if before is not None:
        return [fit.run(fit.take_over(before), fit.make_monitor(fit.estimator._progress))]
    reports_epochs = fit.estimator.verbose or fit.callbacks.context is not None
    return (
        _run_sequentially(fit) if reports_epochs or len(fit.seeds) == 1 else _run_in_parallel(fit)
    )


def _run_sequentially(fit: EstimatorFit) -> list[TrainingOutcome]:
    """Train in this thread, so that callbacks and printed lines come in order."""
    outcomes: list[TrainingOutcome] = []
    for seed in fit.seeds:
        try:
            outcomes.append(fit.run(fit.draw_network(seed), fit.make_monitor(FitProgress())))
        except NonFiniteError:
            if seed == fit.seeds[-1] and not outcomes:
                raise
            continue
        except KeyboardInterrupt:
            if not outcomes:
                raise
            fit.defer_warning(INTERRUPTED)
            break
        if outcomes[-1].interrupted or fit.is_time_up():
            break
    return outcomes


def _run_in_parallel(fit: EstimatorFit) -> list[TrainingOutcome]:
    """Train one restart per thread."""
    copies = [fit.copy_for_thread() for _ in fit.seeds]
    config = get_config()  # scikit-learn's configuration is thread-local, and scorers read it

    def restart(i: int) -> TrainingOutcome | None:
        if i > 0 and fit.is_time_up():
            return None
        with config_context(**config):
            network = copies[i].draw_network(fit.seeds[i])
            return copies[i].run(network, copies[i].make_monitor(FitProgress()))

    X = fit.rows.X
    size = architecture.count_weights(fit.hidden, X.shape[1], fit.objective.n_outputs)
    wide = architecture.is_wide(size, X.dtype)
    done = pool.run_tasks([Task(partial(restart, i), wide=wide) for i in range(len(copies))])
    outcomes = [one.value for one in done if one.value is not None]
    errors = [one.error for one in done if one.error is not None]
    for error in errors:
        if not (outcomes and isinstance(error, NonFiniteError)):
            raise error
    if not outcomes:
        raise KeyboardInterrupt
    if any(one.stop_reason == pool.INTERRUPTED for one in done):
        fit.defer_warning(INTERRUPTED)
    for copy in copies:
        fit.deferred_warnings += copy.deferred_warnings
    fit.deferred_warnings[:] = dict.fromkeys(fit.deferred_warnings)  # without duplicates
    return sorted(outcomes, key=lambda outcome: outcome.interrupted)
