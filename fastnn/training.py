"""The epochs of a fit: rates in, losses out, callbacks between, and a way back from divergence."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import schedules
from fastnn.callbacks import Epoch, Running
from fastnn.history import History
from fastnn.job import Job, Trainer
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn.progress import Progress

if TYPE_CHECKING:
    from fastnn.model import Sequential

# An engine returns this often, so that Python can handle a signal.
SECONDS_PER_CALL = 0.05


class DivergenceWarning(RuntimeWarning):
    """Training met a loss that is not finite, stopped, and went back to finite weights."""


@dataclass
class OptimizerState:
    """What `partial_fit` continues, and what a file keeps."""

    loss: Loss
    optimizer: Optimizer
    slots: NDArray[Any]  # (n_slots, n_params)
    n_steps: int  # updates made: where schedule and Adam stand
    horizon: int | None  # steps for a schedule that names none; None where unknown
    rate_factor: float = 1.0  # what callbacks made of the learning rate


class _Diverged(Exception):  # noqa: N818 - never leaves this module
    """The objective of a step is not finite."""


def run_epochs(
    network: Sequential,
    job: Job,
    trainer: Trainer,
    state: OptimizerState,
    epochs: int,
    validate: Callable[[], dict[str, float]],
    callbacks: list[Running],
    verbose: int,
) -> History:
    """Train for a number of epochs and return what was recorded."""
    history = network.history = History()
    factor = state.rate_factor
    with Progress(epochs, verbose) as progress:
        for index in range(epochs):
            began = time.perf_counter()
            before = network.parameters.copy()
            try:
                logs = _run_epoch(network, job, trainer, state, index, factor)
            except _Diverged as diverged:
                network.parameters[:] = before
                state.slots[:], state.n_steps = 0, 0  # a fresh optimizer, the same loss
                history.stop_reason = _explain(diverged, index, epochs)
                warnings.warn(history.stop_reason, DivergenceWarning, stacklevel=3)
                break
            logs |= validate()
            logs["seconds"] = time.perf_counter() - began
            history.append(logs)
            progress.update(logs)
            epoch = Epoch(network, index, logs, factor)
            for callback in callbacks:
                callback.after(epoch)
            factor = state.rate_factor = epoch.rate_factor
            if epoch.stop_reason is not None:
                history.stop_reason = epoch.stop_reason
                break
    for callback in callbacks:
        callback.finish(network)
    return history


def _run_epoch(
    network: Sequential,
    job: Job,
    trainer: Trainer,
    state: OptimizerState,
    index: int,
    factor: float,
) -> dict[str, float]:
    first, n_steps = index * job.steps_per_epoch, job.steps_per_epoch
    steps = np.arange(state.n_steps, state.n_steps + n_steps, dtype=np.float64)
    rates = factor * schedules.rates(state.optimizer.learning_rate, steps, state.horizon)
    losses, totals = np.empty(n_steps), np.empty(n_steps)
    done = 0
    network.n_epochs += 1  # begun counts: an interrupted epoch's shuffle is not used again
    while done < n_steps:
        now = slice(done, n_steps)
        try:
            some_losses, some_totals = trainer.run(
                first + done, rates[now], state.n_steps, SECONDS_PER_CALL
            )
        finally:  # also where a signal cut the call short: its whole steps were made
            made = trainer.done
            state.n_steps += made
            network.n_steps += made
        losses[done : done + made], totals[done : done + made] = some_losses, some_totals
        done += made
        finite = np.isfinite(some_losses)
        if not finite.all():
            bad = done - made + int(finite.argmin())
            raise _Diverged(f"step {first + bad + 1} (learning rate {rates[bad]:.3g})")
    if not np.isfinite(network.parameters).all():
        raise _Diverged(f"step {first + n_steps} (learning rate {rates[-1]:.3g})")
    mean = float(losses @ (totals / totals.sum()))  # in this order it cannot overflow
    return {"loss": mean, "learning_rate": float(rates[-1])}


def _explain(diverged: _Diverged, index: int, epochs: int) -> str:
    back = f"from the end of epoch {index}" if index else "from before this fit"
    return (
        f"training diverged: the loss was not finite at {diverged}; stopped in epoch {index + 1} "
        f"of {epochs} and restored the weights {back}. Try a learning rate 3 to 10 times lower, "
        "clip_norm=1.0 in the optimizer, or inputs and targets of mean 0 and standard deviation 1 "
        "(fastnn.Standardizer)"
    )
