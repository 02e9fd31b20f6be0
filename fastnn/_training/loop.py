"""The epochs of a fit: rates in, losses out, callbacks between, and a way back from divergence."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastnn import schedules
from fastnn._engine.job import Steps, Trainer, TrainingJob
from fastnn._parallel import limits
from fastnn._training.state import NetworkState, OptimizerState
from fastnn._util.conversion import all_finite
from fastnn._util.progress_bar import Progress
from fastnn.callbacks import Epoch, Network, Running
from fastnn.history import History

Floats = NDArray[np.float64]

# An engine returns this often, so that Python can handle a signal.
SECONDS_PER_CALL = 0.05

# Epochs between which no callback acts are trained together for about this long: each return to
# Python takes some 0.25 ms, much of it for cache misses, and more with more steps.
SECONDS_TOGETHER = 0.05

OUT_OF_TIME = "time limit reached"


class DivergenceWarning(RuntimeWarning):
    """The training loss became infinite or NaN; training stopped and restored finite weights."""


class _Diverged(Exception):  # noqa: N818 - never leaves this module
    """The objective of a step is not finite."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What `run_epochs` trains. `state.optimizer` is the optimizer's state."""

    network: Network  # for callbacks
    state: NetworkState
    job: TrainingJob
    trainer: Trainer
    epochs: int
    validate: Callable[[], dict[str, float]] | None = None  # values to record after each epoch
    callbacks: Sequence[Running] = ()
    verbose: int = 0
    deadline: float = math.inf  # by time.monotonic()


def run_epochs(run: TrainingRun) -> History:
    """Train for a number of epochs.

    The epoch in which the deadline passes ends after the step in position, and is the last.

    Returns
    -------
    History
        Its attribute `diverged` tells whether training diverged; the caller emits the warning.
    """
    position = _Position(run)
    with Progress(run.epochs, run.verbose) as bar:
        while position.epoch < run.epochs and position.history.stop_reason is None:
            _train_together(run, position, bar)
    for callback in run.callbacks:
        callback.finish(run.network)
    return position.history


def warn_if_diverged(history: History) -> None:
    """Emit the warning of a fit of a single network, in the name of the caller's caller."""
    if history.diverged:
        warnings.warn(str(history.stop_reason), DivergenceWarning, stacklevel=3)


class _Position:
    """How far a run has come, and the parameters to return to if the next epochs diverge."""

    def __init__(self, run: TrainingRun) -> None:
        assert run.state.optimizer is not None
        assert run.state.parameters is not None
        self.parameters = run.state.parameters
        self.optimizer: OptimizerState = run.state.optimizer
        self.history = run.state.history = History()
        self.deadline = min(run.deadline, limits.deadline())
        self.epoch = 0
        self.together = 1  # epochs to train in the next call of the engine
        self.one_by_one = run.validate is not None or self.deadline < math.inf
        self.before = np.empty_like(self.parameters)
        self.slots_before: NDArray[np.float64] | int = 0

    def keep(self, n: int) -> None:
        """Copy what `restore` needs, before n epochs."""
        self.before[:] = self.parameters
        self.slots_before = self.optimizer.slots.copy() if n > 1 else 0

    def restore(self, n_steps: int) -> None:
        """Return to the parameters of the last `keep`; after a single epoch, reset the optimizer's
        slots, which may no longer be finite."""
        self.parameters[:], self.optimizer.slots[:] = self.before, self.slots_before
        self.optimizer.n_steps = n_steps


def _train_together(run: TrainingRun, position: _Position, bar: Progress) -> None:
    """Train the epochs up to the next one after which a callback may act."""
    began = time.perf_counter()
    n = 1
    if not position.one_by_one:
        n = _count_quiet(min(position.together, run.epochs - position.epoch), run.callbacks)
    position.keep(n)
    steps = _make_steps(run.job, position.optimizer, position.epoch, n)
    try:
        _make(steps, run, position)
    except _Diverged as diverged:
        position.restore(steps.optimizer_step if n > 1 else 0)
        if n > 1:  # train them again one by one, to keep the last finite one
            position.one_by_one = True
            return
        position.history.diverged = True
        position.history.stop_reason = _explain(diverged, position.epoch, run.epochs)
        return
    except BaseException:
        _keep_whole_epochs(run, position, steps, began)
        raise
    records = _make_records(run.job, steps, n, began, run.validate() if run.validate else {})
    epoch = _record(run, position, records)
    bar.update(epoch.logs, n)
    history = position.history
    history.stop_reason, position.optimizer.rate_factor = epoch.stop_reason, epoch.rate_factor
    if history.stop_reason is None and time.monotonic() >= position.deadline:
        history.stop_reason = OUT_OF_TIME
    position.epoch += n
    # A coarse clock may find that an epoch took no time.
    position.together = max(1, int(SECONDS_TOGETHER / max(epoch.logs["seconds"], 1e-9)))


def _keep_whole_epochs(run: TrainingRun, position: _Position, steps: Steps, began: float) -> None:
    """After an interrupt: record the epochs that were finished, or return to finite parameters if
    the interrupt came before their divergence was noticed."""
    whole = steps.done // run.job.steps_per_epoch
    if not all(map(all_finite, (position.parameters, steps.losses[: steps.done]))):
        position.slots_before = 0
        position.restore(0)
    elif whole and not position.one_by_one:  # nothing else belongs to these epochs' records
        _record(run, position, _make_records(run.job, steps, whole, began, {}))


def _count_quiet(most: int, callbacks: Sequence[Running]) -> int:
    """Number of epochs to train together, from 1 to `most`: no callback acts before the last."""
    quiet = min((callback.quiet_epochs() for callback in callbacks), default=math.inf)
    return int(min(most, 1 + max(0, quiet)))


def _record(run: TrainingRun, position: _Position, records: dict[str, Floats]) -> Epoch:
    """Record epochs and call the callbacks for each; returns the last epoch, on which they may
    have set a reason to stop and another learning rate."""
    position.history.extend(records)
    n, factor = len(records["loss"]), position.optimizer.rate_factor
    for i in range(n) if run.callbacks else (n - 1,):
        logs = {name: float(column[i]) for name, column in records.items()}
        epoch = Epoch(run.network, position.epoch + i, logs, factor)
        for callback in run.callbacks:
            callback.after(epoch)
    return epoch


def _make_steps(job: TrainingJob, optimizer: OptimizerState, epoch: int, n_epochs: int) -> Steps:
    """The steps of n epochs from the given one on."""
    first, n = optimizer.n_steps, n_epochs * job.steps_per_epoch
    rates = optimizer.rate_factor * schedules.rates(
        optimizer.optimizer.learning_rate, np.arange(first, first + n, dtype=np.float64),
        optimizer.horizon,
    )  # fmt: skip
    return Steps(epoch * job.steps_per_epoch, first, rates)


def _make(steps: Steps, run: TrainingRun, position: _Position) -> None:
    """Make the steps, at least one, and count those that were made also where a signal or the
    deadline cuts them short."""
    try:
        left = position.deadline - time.monotonic()
        while steps.done < len(steps.rates) and (left > 0 or not steps.done):
            done = steps.done
            run.trainer.run(steps, max(0.0, min(SECONDS_PER_CALL, left)))
            limits.check_cancelled()
            left = position.deadline - time.monotonic()
            finite = np.isfinite(steps.losses[done : steps.done])
            if not finite.all():
                raise _Diverged(_describe_step(steps, done + int(finite.argmin())))
        if not all_finite(position.parameters):
            raise _Diverged(_describe_step(steps, steps.done - 1))
    finally:
        made = steps.first + steps.done
        position.optimizer.n_steps = steps.optimizer_step + steps.done
        run.state.n_steps = run.job.first_step + made
        # Begun counts: an interrupted epoch's shuffle is not used again.
        run.state.n_epochs = run.job.first_epoch + -(-made // run.job.steps_per_epoch)


def _describe_step(steps: Steps, step: int) -> str:
    return f"step {steps.first + step + 1} (learning rate {steps.rates[step]:.3g})"


def _make_records(
    job: TrainingJob, steps: Steps, n: int, began: float, extra: dict[str, float]
) -> dict[str, Floats]:
    """What History keeps of each of n epochs, the mean time of an epoch, and `extra`. A single
    epoch may have been cut short."""
    length = min(steps.done, job.steps_per_epoch)
    losses, weights, rates = (
        values[: n * length].reshape(n, length)
        for values in (steps.losses, steps.batch_weights, steps.rates)
    )
    # The weights are normalized first: in this order the sum cannot overflow.
    mean = np.einsum("es,es->e", losses, weights / weights.sum(axis=1, keepdims=True))
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
