"""Training of the members of an `MLPEnsemble`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn import config_context, get_config

from fastnn._parallel import pool
from fastnn._parallel.pool import Task
from fastnn.estimators._fitting import architecture, restarts
from fastnn.estimators._fitting.checking import CheckedData
from fastnn.estimators._fitting.outcome import DeferredWarning
from fastnn.estimators._fitting.parameters import shallow_copy
from fastnn.estimators._fitting.samples import share
from fastnn.estimators._fitting.sklearn_callbacks import CallbackNotifier
from fastnn.estimators._fitting.solvers import NonFiniteError


def train_members(
    model: Any, seeds: list[int], data: CheckedData, bootstrap: bool, n_threads: int | None,
    verbose: int,
) -> tuple[list[Any], list[pool.TaskResult]]:  # fmt: skip
    """Train a copy of the model with each seed, one per thread.

    Returns the members that were finished, and the results of all trainings.

    Raises
    ------
    ValueError
        If the training of every member diverged.
    KeyboardInterrupt
        If Ctrl-C came before a member was finished.
    """
    X = share(data.sample.X)
    data = replace(data, sample=replace(data.sample, X=X))
    members = [shallow_copy(model, random_state=seed) for seed in seeds]
    size = architecture.count_weights(data.hidden, X.shape[1], data.n_targets)
    wide = architecture.is_wide(size, X.dtype)
    config = get_config()
    tasks = [Task(partial(_fit_member, member, data, bootstrap, config), wide=wide)
             for member in members]  # fmt: skip
    done = pool.run_tasks(tasks, n_threads, verbose=verbose)
    errors = [one.error for one in done if one.error is not None]
    for error in errors:
        if not isinstance(error, NonFiniteError) or len(errors) == len(done):
            raise error
    finished = [member for member, one in zip(members, done, strict=True) if one.value is not None]
    if not finished:
        raise KeyboardInterrupt
    for member in finished:  # the ensemble passes arrays to them, without column names
        vars(member).pop("feature_names_in_", None)
    return finished, done


def emit_warnings(done: list[pool.TaskResult]) -> None:
    """Emit one warning for diverged members, one for interrupted members, and each different
    warning of the members once."""
    diverged = sum(one.error is not None for one in done)
    interrupted = sum(one.error is None and one.value is None for one in done)
    for n, what in ((diverged, "diverged"), (interrupted, "was interrupted by the user")):
        if n:
            text = f"the training of {n} of {len(done)} members {what}; they are left out"
            warnings.warn(text, stacklevel=4)
    for warning in dict.fromkeys(warning for one in done for warning in one.value or ()):
        warnings.warn(warning.text, warning.category, stacklevel=4)


def _fit_member(
    member: Any, data: CheckedData, bootstrap: bool, config: dict[str, Any]
) -> list[DeferredWarning] | None:
    """Train a member; returns its warnings, or None if Ctrl-C interrupted it."""
    with config_context(**config):  # scikit-learn's configuration is thread-local
        if bootstrap:
            data = _draw_bootstrap(data, member)
        callbacks = CallbackNotifier(member, member, 0, {}, enabled=False)
        fit = member._start_fit(data, callbacks)
        outcomes = restarts.run_restarts(fit, None)
        if any(outcome.interrupted for outcome in outcomes):
            return None
        member._finish_fit(fit, outcomes)
    deferred_warnings: list[DeferredWarning] = fit.deferred_warnings
    return deferred_warnings


def _draw_bootstrap(data: CheckedData, member: Any) -> CheckedData:
    """Draw n of n rows with replacement; with early stopping, the rows not drawn are the validation
    data."""
    n = len(data.sample)
    rows = np.sort(np.random.default_rng(member.random_state).integers(n, size=n))
    validation = None
    if member.early_stopping:
        validation = data.sample.select(np.setdiff1d(np.arange(n), rows)).gather()
    return replace(data, sample=data.sample.select(rows), validation=validation)
