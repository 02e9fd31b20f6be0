"""The epochs of a fit: rates in, losses out, callbacks between, and a way back from divergence."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import schedules
from fastnn._engine import native
from fastnn._engine.job import Job, Steps, Trainer
from fastnn._parallel import limits
from fastnn._training import arrays
from fastnn._util.progress_bar import Progress
from fastnn.callbacks import Epoch, Running
from fastnn.history import History
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer

if TYPE_CHECKING:
    from fastnn.model import Sequential

# An engine returns this often, so that Python can handle a signal.
SECONDS_PER_CALL = 0.05

# Epochs between which nothing happens are trained together for about this long: each time in Python
# takes some 0.25 ms, much of it for misses of the caches, and more with more steps.
SECONDS_TOGETHER = 0.05


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

    @classmethod
    def fresh(
        cls,
        loss: Loss,
        optimizer: Optimizer,
        n_params: int,
        dtype: np.dtype[Any],
        horizon: int | None,
        rate_factor: float = 1.0,
    ) -> OptimizerState:
        """That of an optimizer which has gathered nothing yet."""
        slots = native.aligned(optimizer.n_slots * n_params, dtype)
        shape = (optimizer.n_slots, n_params)
        return cls(loss, optimizer, slots.reshape(shape), 0, horizon, rate_factor)


class _Diverged(Exception):  # noqa: N818 - never leaves this module
    """The objective of a step is not finite."""


def run_epochs(
    network: Sequential,
    job: Job,
    trainer: Trainer,
    state: OptimizerState,
    epochs: int,
    validate: Callable[[], dict[str, float]] | None,
    callbacks: list[Running],
    verbose: int,
    deadline: float = math.inf,
) -> History:
    """Train for a number of epochs and return what was recorded; it says whether training diverged,
    the caller warns. The epoch in which `time.monotonic()` passes the deadline ends after the step
    in progress, and is the last."""
    history = network.history = History()
    deadline = min(deadline, limits.deadline())
    index, together = 0, 1
    with Progress(epochs, verbose) as progress:
        one_by_one = validate is not None or deadline < math.inf
        before = network.parameters.copy()
        while index < epochs and history.stop_reason is None:
            began = time.perf_counter()
            n = 1 if one_by_one else _together(min(together, epochs - index), callbacks)
            before[:] = network.parameters
            slots_before = state.slots.copy() if n > 1 else 0
            steps = _steps(job, state, index, n)
            try:
                _make(steps, network, job, trainer, state, deadline)
            except _Diverged as diverged:
                # All is forgotten that the optimizer gathered; or, where epochs were trained
                # together, they are once more one by one, to keep the last finite one.
                network.parameters[:], state.slots[:] = before, slots_before
                state.n_steps = steps.optimizer_step if n > 1 else 0
                if n > 1:
                    one_by_one = True
                    continue
                history.diverged = True
                history.stop_reason = _explain(diverged, index, epochs)
                break
            except BaseException:
                whole = steps.done // job.steps_per_epoch
                values = network.parameters, steps.losses[: steps.done]
                if not all(map(arrays.all_finite, values)):  # it came before that was seen
                    network.parameters[:], state.slots[:], state.n_steps = before, 0, 0
                elif whole and not one_by_one:  # nothing else belongs to these epochs' records
                    records = _records(job, steps, whole, began, {})
                    _keep(history, callbacks, network, index, records, state)
                raise
            records = _records(job, steps, n, began, validate() if validate else {})
            progress.update({name: float(column[-1]) for name, column in records.items()}, n)
            epoch = _keep(history, callbacks, network, index, records, state)
            history.stop_reason, state.rate_factor = epoch.stop_reason, epoch.rate_factor
            if history.stop_reason is None and time.monotonic() >= deadline:
                history.stop_reason = "the time was up"
            index += n
            # A coarse clock may find that an epoch took no time.
            together = max(1, int(SECONDS_TOGETHER / max(epoch.logs["seconds"], 1e-9)))
    for callback in callbacks:
        callback.finish(network)
    return history


def warn_if_diverged(history: History) -> None:
    """What a fit of a single network tells its caller's caller."""
    if history.diverged:
        warnings.warn(str(history.stop_reason), DivergenceWarning, stacklevel=3)


def _together(most: int, callbacks: list[Running]) -> int:
    """Number of epochs to train together, from 1 to `most`: no callback acts before the last."""
    quiet = min((callback.quiet_epochs() for callback in callbacks), default=math.inf)
    return int(min(most, 1 + max(0, quiet)))


def _keep(
    history: History,
    callbacks: list[Running],
    network: Sequential,
    first: int,
    records: dict[str, NDArray[np.float64]],
    state: OptimizerState,
) -> Epoch:
    """Record epochs and tell the callbacks of each; returns the last, with what they made of it."""
    history.extend(records)
    epoch = Epoch(network, first, {}, state.rate_factor)
    n = len(records["loss"])
    for i in range(n) if callbacks else range(max(n - 1, 0), n):
        logs = {name: float(column[i]) for name, column in records.items()}
        epoch = Epoch(network, first + i, logs, state.rate_factor)
        for callback in callbacks:
            callback.after(epoch)
    return epoch


def _steps(job: Job, state: OptimizerState, index: int, n_epochs: int) -> Steps:
    """The steps of some epochs from the given one on."""
    n = n_epochs * job.steps_per_epoch
    counted = np.arange(state.n_steps, state.n_steps + n, dtype=np.float64)
    rates = state.rate_factor * schedules.rates(
        state.optimizer.learning_rate, counted, state.horizon
    )
    return Steps(index * job.steps_per_epoch, state.n_steps, rates)


def _make(
    steps: Steps, network: Sequential, job: Job, trainer: Trainer, state: OptimizerState,
    deadline: float,
) -> None:  # fmt: skip
    """Make the steps, and count those that were made also where a signal or the deadline cuts them
    short; at least one is made."""
    try:
        left = deadline - time.monotonic()
        while steps.done < len(steps.rates) and (left > 0 or not steps.done):
            done = steps.done
            trainer.run(steps, max(0.0, min(SECONDS_PER_CALL, left)))
            limits.check_cancelled()
            left = deadline - time.monotonic()
            finite = np.isfinite(steps.losses[done : steps.done])
            if not finite.all():
                raise _Diverged(_place(steps, done + int(finite.argmin())))
        if not arrays.all_finite(network.parameters):
            raise _Diverged(_place(steps, steps.done - 1))
    finally:
        made = steps.first + steps.done
        state.n_steps = steps.optimizer_step + steps.done
        network.n_steps = job.first_step + made
        # Begun counts: an interrupted epoch's shuffle is not used again.
        network.n_epochs = job.first_epoch + -(-made // job.steps_per_epoch)


def _place(steps: Steps, step: int) -> str:
    return f"step {steps.first + step + 1} (learning rate {steps.rates[step]:.3g})"


def _records(
    job: Job, steps: Steps, n: int, began: float, extra: dict[str, float]
) -> dict[str, NDArray[np.float64]]:
    """What History keeps of each of n epochs, the time that it took on average, and `extra`. A
    single epoch may have been cut short."""
    length = min(steps.done, job.steps_per_epoch)
    losses, totals, rates = (
        values[: n * length].reshape(n, length)
        for values in (steps.losses, steps.totals, steps.rates)
    )
    # Shares first: in this order the sum cannot overflow.
    mean = np.einsum("es,es->e", losses, totals / totals.sum(axis=1, keepdims=True))
    added = {name: np.array([value]) for name, value in extra.items()}
    seconds = np.full(n, (time.perf_counter() - began) / n)
    return {"loss": mean, "learning_rate": rates[:, -1], **added, "seconds": seconds}


def _explain(diverged: _Diverged, index: int, epochs: int) -> str:
    back = f"from the end of epoch {index}" if index else "from before this fit"
    return (
        f"training diverged: the loss was not finite at {diverged}; stopped in epoch {index + 1} "
        f"of {epochs} and restored the weights {back}. Try a learning rate 3 to 10 times lower, "
        "clip_norm=1.0 in the optimizer, or inputs and targets of mean 0 and standard deviation 1 "
        "(fastnn.Standardizer)"
    )
