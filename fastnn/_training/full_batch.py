"""Fits with optimizers that read all rows at each step. An iteration counts as an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastnn._parallel import limits
from fastnn._training import lbfgs, levenberg_marquardt
from fastnn._training.jobs import make_full_batch_job
from fastnn._training.levenberg_marquardt import Iteration
from fastnn._training.loop import OUT_OF_TIME, NonFiniteLossError
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters
from fastnn._util.progress_bar import ProgressBar
from fastnn.callbacks import Epoch, Network, Running
from fastnn.history import History
from fastnn.losses import Loss, SquaredError
from fastnn.optimizers import LBFGS, FullBatch, LevenbergMarquardt

After = Callable[[float, dict[str, float]], bool]
"""Called after each iteration with the loss and further values to record; True ends the fit."""

STOPPED = "stopped by the caller"
CONVERGED = "converged: the next step is negligible"
NON_FINITE = (
    "training diverged: the loss was not finite at the weights from before this fit. Try inputs "
    "and targets of mean 0 and standard deviation 1 (fastnn.Standardizer)"
)


# ---- the fit of a Sequential ---------------------------------------------------------------------


@dataclass(kw_only=True)
class FullBatchRun:
    """The arguments and the progress of `run_iterations`."""

    network: Network  # for callbacks
    state: NetworkState
    optimizer: FullBatch
    loss: Loss
    arrays: Arrays
    epochs: int
    validate: Callable[[], dict[str, float]] | None = None
    callbacks: Sequence[Running] = ()
    verbose: int = 0
    engine: str = "native"
    n_threads: int | None = None
    history: History = field(default_factory=History)


def run_iterations(run: FullBatchRun) -> History:
    """Train for at most `epochs` iterations.

    Returns
    -------
    History
        As from `run_epochs`. The losses are those after each iteration.
    """
    history = run.state.history = run.history
    if run.epochs:
        with ProgressBar(run.epochs, run.verbose) as bar:
            try:
                reason = _minimize(run, _make_after(run, bar))
                if history.stop_reason is None and history.n_epochs < run.epochs:
                    history.stop_reason = reason
            except NonFiniteLossError:
                history.stop_reason, history.diverged = NON_FINITE, True
    for callback in run.callbacks:
        callback.finish(run.network)
    return history


def _minimize(run: FullBatchRun, after: After) -> str:
    """Call the optimizer; returns why it ended."""
    if isinstance(run.optimizer, LBFGS):
        options = make_lbfgs_options(run.optimizer, run.epochs)
        result = lbfgs.minimize(
            run.state, run.loss, run.arrays, options, lambda loss: after(loss, {}),
            engine=run.engine, n_threads=run.n_threads,
        )  # fmt: skip
        if not math.isfinite(result.fun):
            raise NonFiniteLossError(NON_FINITE)
        return str(result.message)
    return minimize_squares(
        run.state, run.arrays, run.optimizer, after, limits.get_deadline(), engine=run.engine,
        n_threads=run.n_threads,
    )  # fmt: skip


def _make_after(run: FullBatchRun, bar: ProgressBar) -> After:
    """A function that records an iteration and calls the callbacks."""
    start, deadline = time.perf_counter(), limits.get_deadline()

    def after(loss: float, columns: dict[str, float]) -> bool:
        nonlocal start
        state, history = run.state, run.history
        state.n_epochs += 1
        limits.check_cancelled()
        scores = run.validate() if run.validate else {}
        now = time.perf_counter()
        logs = {"loss": loss, **columns, **scores, "seconds": now - start}
        start = now
        history.append(logs)
        epoch = Epoch(run.network, history.n_epochs - 1, logs)
        for callback in run.callbacks:
            callback.after(epoch)
        bar.update(logs, 1)
        history.stop_reason = epoch.stop_reason
        if history.stop_reason is None and time.monotonic() >= deadline:
            history.stop_reason = OUT_OF_TIME
        return history.stop_reason is not None or history.n_epochs == run.epochs

    return after


def make_lbfgs_options(optimizer: LBFGS, iterations: int) -> dict[str, Any]:
    """scipy's options. A fit ends by the gradient, or if the loss no longer changes by more than
    rounding; the number of line-search steps is not limited in total."""
    return {
        "maxiter": iterations, "maxfun": 2**31 - 1, "maxcor": optimizer.memory,
        "gtol": optimizer.tol, "ftol": 64 * np.finfo(np.float64).eps, "maxls": 50,
    }  # fmt: skip


# ---- Levenberg-Marquardt -------------------------------------------------------------------------


class _DeadlinePassed(Exception):  # noqa: N818 - never leaves this module
    """The time limit was reached within an iteration."""


def minimize_squares(
    state: NetworkState, arrays: Arrays, optimizer: LevenbergMarquardt, after: After,
    deadline: float, *, engine: str = "native", n_threads: int | None = None,
) -> str:  # fmt: skip
    """Minimize by Levenberg-Marquardt until `after` returns True, the deadline passes or an
    iteration changes nothing; returns why it ended. After an error the network has the weights of
    the last complete iteration, which are the best ones.

    Raises
    ------
    NonFiniteLossError
        If the loss is not finite at the network's weights.
    """
    parameters, n_steps = get_parameters(state), state.n_steps

    def check() -> None:
        limits.check_cancelled()
        if state.n_steps > n_steps and time.monotonic() >= deadline:
            raise _DeadlinePassed

    try:
        for iteration in _iterate(state, arrays, optimizer, n_threads, check, engine):
            state.n_steps += 1
            parameters[:] = iteration.parameters
            if after(iteration.loss, iteration.columns):
                return STOPPED
    except _DeadlinePassed:
        return OUT_OF_TIME
    return CONVERGED


def _iterate(
    state: NetworkState, arrays: Arrays, optimizer: LevenbergMarquardt, n_threads: int | None,
    check: Callable[[], None], engine: str,
) -> Iterator[Iteration]:  # fmt: skip
    if engine == "native":
        return levenberg_marquardt.iterate(state, arrays, optimizer, n_threads, check)
    from fastnn import reference

    job = make_full_batch_job(state, SquaredError(), arrays)
    return (
        Iteration(parameters, loss, {"damping": damping})
        for parameters, loss, damping in reference.iterate_levenberg_marquardt(
            job, get_parameters(state), optimizer
        )
    )
