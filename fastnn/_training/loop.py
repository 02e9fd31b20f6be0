"""The training loop: epochs, callbacks, recorded values, and the restoration of finite weights
after divergence."""

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
from fastnn._util.progress_bar import ProgressBar
from fastnn.callbacks import Epoch, Network, Running
from fastnn.history import History

Floats = NDArray[np.float64]

# Maximum duration of a call of an engine, so that Python can handle signals.
SECONDS_PER_CALL = 0.05

# Target duration of the epochs that are trained in one go when no callback acts between them. Each
# return to Python takes about 0.25 ms, largely for cache misses, and more with more steps.
GROUP_SECONDS = 0.05

OUT_OF_TIME = "time limit reached"


class DivergenceWarning(RuntimeWarning):
    """The training loss became infinite or NaN; training stopped and restored finite weights."""


class NonFiniteLossError(ValueError):
    """The loss is infinite or NaN at the current weights, and no earlier ones can be restored."""


class _Diverged(Exception):  # noqa: N818 - never leaves this module
    """The objective of a step, or a parameter after it, is not finite."""

    def __init__(self, steps: Steps, index: int) -> None:
        self.step = steps.first + index + 1  # of this run, from 1
        super().__init__(f"step {self.step} (learning rate {steps.rates[index]:.3g})")


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """The arguments of `run_epochs`. `state.optimizer` has to be set."""

    network: Network  # for callbacks
    state: NetworkState
    job: TrainingJob
    trainer: Trainer
    epochs: int
    validate: Callable[[], dict[str, float]] | None = None  # values to record after an epoch
    callbacks: Sequence[Running] = ()
    verbose: int = 0
    deadline: float = math.inf  # by time.monotonic()


def run_epochs(run: TrainingRun) -> History:
    """Train for a number of epochs.

    If the deadline passes during an epoch, that epoch ends after the current step and is the last.

    Returns
    -------
    History
        Its attribute `diverged` is True if training diverged; the caller emits the warning.
    """
    loop = _LoopState(run)
    with ProgressBar(run.epochs, run.verbose) as bar:
        while loop.epoch < run.epochs and loop.history.stop_reason is None:
            _train_group(run, loop, bar)
    for callback in run.callbacks:
        callback.finish(run.network)
    return loop.history


def warn_if_diverged(history: History) -> None:
    """Emit a DivergenceWarning, attributed to the caller's caller, if training diverged."""
    if history.diverged:
        warnings.warn(str(history.stop_reason), DivergenceWarning, stacklevel=3)


class _LoopState:
    """The progress of a run, and a backup of the parameters in case the next epochs diverge."""

    def __init__(self, run: TrainingRun) -> None:
        assert run.state.optimizer is not None
        assert run.state.parameters is not None
        self.parameters = run.state.parameters
        self.optimizer: OptimizerState = run.state.optimizer
        self.history = run.state.history = History()
        self.deadline = min(run.deadline, limits.get_deadline())
        self.epoch = 0
        self.group_size = 1  # number of epochs to train next in one go
        self.single_epochs = run.validate is not None or self.deadline < math.inf
        self.saved_parameters = np.empty_like(self.parameters)
        self.saved_slots: NDArray[np.float64] | int = 0

    def save(self, n: int) -> None:
        """Back up the parameters, and the slots if more than one epoch follows."""
        self.saved_parameters[:] = self.parameters
        self.saved_slots = self.optimizer.slots.copy() if n > 1 else 0

    def restore(self, n_steps: int) -> None:
        """Restore the backup. After a single epoch, the slots are reset to 0: they were not backed
        up, and may be infinite."""
        self.parameters[:], self.optimizer.slots[:] = self.saved_parameters, self.saved_slots
        self.optimizer.n_steps = n_steps


def _train_group(run: TrainingRun, loop: _LoopState, bar: ProgressBar) -> None:
    """Train the epochs up to the next one at which a callback may act, then call the callbacks for
    each of them."""
    start = time.perf_counter()
    n = 1
    if not loop.single_epochs:
        n = _choose_group_size(min(loop.group_size, run.epochs - loop.epoch), run.callbacks)
    loop.save(n)
    steps = _make_steps(run.job, loop.optimizer, loop.epoch, n)
    try:
        _run_steps(steps, run, loop)
    except _Diverged as diverged:
        loop.restore(steps.optimizer_step if n > 1 else 0)
        if n > 1:  # train them again one by one, to keep the last finite one
            loop.single_epochs = True
            return
        loop.history.diverged = True
        loop.history.diverged_step = diverged.step
        loop.history.stop_reason = _describe_divergence(diverged, loop.epoch, run.epochs)
        return
    except BaseException:
        _record_complete_epochs(run, loop, steps, start)
        raise
    records = _make_records(run.job, steps, n, start, run.validate() if run.validate else {})
    epoch = _record(run, loop, records)
    bar.update(epoch.logs, n)
    history = loop.history
    history.stop_reason, loop.optimizer.rate_factor = epoch.stop_reason, epoch.rate_factor
    if history.stop_reason is None and time.monotonic() >= loop.deadline:
        history.stop_reason = OUT_OF_TIME
    loop.epoch += n
    # A coarse clock may find that an epoch took no time.
    loop.group_size = max(1, int(GROUP_SECONDS / max(epoch.logs["seconds"], 1e-9)))


def _record_complete_epochs(run: TrainingRun, loop: _LoopState, steps: Steps, start: float) -> None:
    """After an interrupt, record the epochs that were completed; restore finite parameters if
    training had diverged already."""
    n_complete = steps.done // run.job.steps_per_epoch
    if not all(map(all_finite, (loop.parameters, steps.losses[: steps.done]))):
        loop.saved_slots = 0
        loop.restore(0)
    elif n_complete and not loop.single_epochs:  # otherwise the record would lack validation
        _record(run, loop, _make_records(run.job, steps, n_complete, start, {}))


def _choose_group_size(most: int, callbacks: Sequence[Running]) -> int:
    """Number of epochs to train in one go, from 1 to `most`: no callback acts before the last."""
    quiet = min((callback.quiet_epochs() for callback in callbacks), default=math.inf)
    return int(min(most, 1 + max(0, quiet)))


def _record(run: TrainingRun, loop: _LoopState, records: dict[str, Floats]) -> Epoch:
    """Record epochs and call the callbacks for each. Returns the last epoch, in which callbacks may
    have set a stop reason and the factor of the learning rate."""
    loop.history.extend(records)
    n, factor = len(records["loss"]), loop.optimizer.rate_factor
    for i in range(n) if run.callbacks else (n - 1,):
        logs = {name: float(column[i]) for name, column in records.items()}
        epoch = Epoch(run.network, loop.epoch + i, logs, factor)
        for callback in run.callbacks:
            callback.after(epoch)
    return epoch


def _make_steps(job: TrainingJob, optimizer: OptimizerState, epoch: int, n_epochs: int) -> Steps:
    """The steps of n epochs, starting with the given one."""
    first, n = optimizer.n_steps, n_epochs * job.steps_per_epoch
    rates = optimizer.rate_factor * schedules.rates(
        job.optimizer.learning_rate, np.arange(first, first + n, dtype=np.float64),
        optimizer.horizon,
    )  # fmt: skip
    return Steps(epoch * job.steps_per_epoch, first, rates)


def _run_steps(steps: Steps, run: TrainingRun, loop: _LoopState) -> None:
    """Run the steps, or those before the deadline, at least one. Counters are updated even if a
    signal ends the call early."""
    try:
        seconds_left = loop.deadline - time.monotonic()
        while steps.done < len(steps.rates) and (seconds_left > 0 or not steps.done):
            done = steps.done
            run.trainer.run(steps, max(0.0, min(SECONDS_PER_CALL, seconds_left)))
            limits.check_cancelled()
            seconds_left = loop.deadline - time.monotonic()
            finite = np.isfinite(steps.losses[done : steps.done])
            if not finite.all():
                raise _Diverged(steps, done + int(finite.argmin()))
        if not all_finite(loop.parameters):
            raise _Diverged(steps, steps.done - 1)
    finally:
        n_done = steps.first + steps.done
        loop.optimizer.n_steps = steps.optimizer_step + steps.done
        run.state.n_steps = run.job.first_step + n_done
        # An interrupted epoch counts, so that its permutation is not used again.
        run.state.n_epochs = run.job.first_epoch + -(-n_done // run.job.steps_per_epoch)


def _make_records(
    job: TrainingJob, steps: Steps, n: int, start: float, extra: dict[str, float]
) -> dict[str, Floats]:
    """The values of n epochs for the history: mean losses, learning rates, `extra` (if n is 1) and
    the mean time. A single epoch may be incomplete."""
    length = min(steps.done, job.steps_per_epoch)
    losses, weights, rates = (
        values[: n * length].reshape(n, length)
        for values in (steps.losses, steps.batch_weights, steps.rates)
    )
    # The weights are normalized first, so that the sum cannot overflow.
    mean = np.einsum("es,es->e", losses, weights / weights.sum(axis=1, keepdims=True))
    added = {name: np.array([value]) for name, value in extra.items()}
    seconds = np.full(n, (time.perf_counter() - start) / n)
    return {"loss": mean, "learning_rate": rates[:, -1], **added, "seconds": seconds}


def _describe_divergence(diverged: _Diverged, index: int, epochs: int) -> str:
    origin = f"from the end of epoch {index}" if index else "from before this fit"
    return (
        f"training diverged: the loss was not finite at {diverged}; stopped in epoch {index + 1} "
        f"of {epochs} and restored the weights {origin}. Try a learning rate 3 to 10 times lower, "
        "clip_norm=1.0 in the optimizer, or inputs and targets of mean 0 and standard deviation 1 "
        "(fastnn.Standardizer)"
    )
