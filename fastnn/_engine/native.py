"""The compiled engine behind the same calls as the reference: buffers, threads and positions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.job import Steps, TrainingJob
from fastnn._engine.plan import CACHE_LINE, Plan, compile_plan
from fastnn._parallel import limits
from fastnn._parallel.autotune import ThreadTuner
from fastnn_ext import engine
from fastnn_ext.engine import Predictor

Array = NDArray[Any]
Floats = NDArray[np.float64]

# The engine looks at its clock whenever about this much arithmetic is done: some microseconds.
CLOCK_FLOPS = 1e6


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Zeros that begin on a cache line, with another line readable behind them: the kernels read
    whole vectors. NumPy requests huge pages from 4 MB on; to request them from 256 KB on, 2 MB
    each, took as long at 784-128-10 to 28-300x5-1, and 0.95 of the time for online SGD."""
    raw = np.zeros(size * dtype.itemsize + 2 * CACHE_LINE, np.uint8)
    start = -engine.address(raw) % CACHE_LINE
    return raw[start : start + size * dtype.itemsize].view(dtype)


def aligned_copy(array: Array) -> Array:
    """A copy of a flat array, aligned like `aligned_zeros`."""
    copy = aligned_zeros(len(array), array.dtype)
    copy[:] = array
    return copy


@dataclass
class _Buffers:
    """Workspace of one run."""

    work: Array
    order: NDArray[np.intp]
    row_losses: Floats
    row_sums: Floats


def _make_buffers(plan: Plan, job: TrainingJob, n_threads: int) -> _Buffers:
    return _Buffers(
        aligned_zeros(plan.work_size + (n_threads - 1) * plan.panel_stride, plan.dtype),
        np.arange(len(job.X), dtype=np.intp) if job.rows is None else job.rows.copy(),
        np.zeros(job.batch_size),
        np.zeros(2 * int(plan.settings["n_rows"][0])),
    )


def _compile_plan(job: TrainingJob) -> Plan:
    return compile_plan(
        job.layers, job.X.shape[1], job.X.dtype, loss=job.loss, optimizer=job.optimizer,
        n_targets=job.y.shape[1], batch_size=job.batch_size,
    )  # fmt: skip


# Looking for zeros among the inputs pays where no more than this part of them is anything else, and
# where they are many and go to many units: one-hot columns of categories, images on black. Of 408
# columns of the census, of which a tenth is not zero, a step on one thread took 0.51 of the time.
SPARSE = 0.25
FEWEST_SPARSE_FEATURES = 64
FEWEST_SPARSE_UNITS = 32
ROWS_SEEN = 64


def _is_sparse(plan: Plan, X: Array) -> bool:
    """Whether it pays, by a look at some rows."""
    n, width = X.shape
    if width < FEWEST_SPARSE_FEATURES or plan.layers["n_out"][0] < FEWEST_SPARSE_UNITS:
        return False
    seen = X[:: -(-n // ROWS_SEEN)]
    return bool(np.count_nonzero(seen) <= SPARSE * seen.size)


class Trainer:
    """A training run on the compiled engine; `params` and `slots` are changed in place. Without
    `updates`, gradients are left in the workspace and no parameter changes."""

    def __init__(
        self, job: TrainingJob, params: Array, slots: Array, n_threads: int | None, *,
        updates: bool = True, dropout: bool = True,
    ) -> None:  # fmt: skip
        self.plan = plan = _compile_plan(job)
        rows = min(job.batch_size, plan.block_rows)
        flops_per_step = plan.flops_per_row * job.batch_size
        self.most = limits.choose_n_threads(n_threads, plan.flops_per_row * rows, rows)
        self.buffers = buffers = _make_buffers(plan, job, self.most)
        self.tuner = ThreadTuner(plan, flops_per_step) if n_threads is None else None
        if job.shuffle == "once":
            engine.shuffled(buffers.order, job.rows, job.seed, job.first_epoch)
        self._engine = engine.Trainer(
            plan.compiled, params, slots, buffers.work, job.X, job.y,
            job.sample_weight, job.rows, buffers.order, buffers.row_losses, buffers.row_sums,
            batch_size=job.batch_size, shuffles=job.shuffle == "epoch", seed=job.seed,
            life_epoch=job.first_epoch, life_step=job.first_step, updates=updates, drops=dropout,
            sparse=_is_sparse(plan, job.X), clock_every=max(1, int(CLOCK_FLOPS / flops_per_step)),
            check=limits.check_cancelled,
        )  # fmt: skip

    def run(self, steps: Steps, seconds: float) -> None:
        """See `job.Trainer`."""
        most = limits.get_available_threads(self.most)
        n_threads, limit = self.tuner.choose(most) if self.tuner else (most, math.inf)
        began = time.perf_counter()
        done, bound = steps.done, self._engine
        bound.n_made = 0
        try:
            bound.run(
                steps.rates[done:], steps.losses[done:], steps.batch_weights[done:],
                steps.first + done, steps.optimizer_step + done, min(seconds, limit), n_threads,
            )  # fmt: skip
        finally:  # a signal's exception is raised here, after whole steps
            steps.done = done + bound.n_made
        if self.tuner:
            self.tuner.record(most, n_threads, bound.n_made, time.perf_counter() - began)


def make_objective(
    job: TrainingJob, params: Array, training: bool, n_threads: int | None
) -> Callable[[], tuple[float, Array]]:
    """A function that returns the objective of the whole job as one batch and its gradient, flat,
    for what `params` hold when it is called; dropout is active in training only."""
    slots = np.zeros(0, params.dtype)
    trainer = Trainer(job, params, slots, n_threads, updates=False, dropout=training)
    start = int(trainer.plan.settings["gradients"][0])
    gradients = trainer.buffers.work[start : start + len(params)]

    def compute() -> tuple[float, Array]:
        step = Steps(0, 0, np.zeros(1))
        trainer.run(step, np.inf)
        return float(step.losses[0]), gradients.copy()

    return compute


# Work of a call that is made at once, on one thread: as long as starting a second one pays.
SMALL_FLOPS = 2e6

# Work of a thread after which a prediction looks for signals: some 10 ms.
SLICE_FLOPS = 5e8


def make_predictor(plan: Plan, params: Array) -> Predictor:
    """Predictions with these parameters: `predictor(X, out, check_finite, n_threads)`."""

    flops = plan.prediction_flops_per_row
    tuners: dict[int, ThreadTuner] = {}

    def most_threads(n_threads: int | None, n: int) -> int:
        return limits.get_available_threads(limits.choose_n_threads(n_threads, flops * n, n))

    def tuner_of(n: int) -> ThreadTuner:
        size = n.bit_length()  # how long a row takes depends on their number
        if size not in tuners:
            tuners[size] = ThreadTuner((plan, size), flops)
        return tuners[size]

    def choose(n_threads: int | None, n: int) -> int:
        most = most_threads(n_threads, n)
        return most if n_threads is not None else tuner_of(n).choose(most)[0]

    def record(n_threads: int, n: int, seconds: float) -> None:
        tuner_of(n).record(most_threads(None, n), n_threads, n, seconds)

    def workspace(n_threads: int) -> Array:
        return _workspace(plan, n_threads)

    return Predictor(
        plan.compiled, params, int(SMALL_FLOPS / flops),
        _slice_rows(plan), choose, record, limits.check_cancelled, workspace,
    )  # fmt: skip


# Rows that do not stand one after another are copied, so many bytes at a time, before they are
# evaluated.
COPIED_BYTES = 2**20


def evaluate(
    plan: Plan,
    params: Array,
    X: Array,
    y: Array,
    n_threads: int | None,
    rows: NDArray[np.intp] | None = None,
) -> tuple[Floats, Array]:
    """The loss of each row, shape (n,), and predictions, shape (n, n_outputs). Where there are
    `rows`, they say which of X the targets belong to."""
    n = len(y)
    out, row_losses = np.empty((n, plan.n_outputs), plan.dtype), np.empty(n)
    most = limits.choose_n_threads(n_threads, plan.prediction_flops_per_row * n, n)
    team = limits.get_available_threads(most)
    work = _workspace(plan, team)
    copied = n if rows is None else COPIED_BYTES // X[0].nbytes
    step = max(plan.block_rows, min(_slice_rows(plan), copied // team)) * team
    for start in range(0, n, step):
        limits.check_cancelled()
        part = slice(start, start + step)
        engine.evaluate(
            plan.compiled, params, work,
            X[part if rows is None else rows[part]], y[part], out[part], row_losses[part],
        )  # fmt: skip
    return row_losses, out


def _slice_rows(plan: Plan) -> int:
    """Rows that a thread predicts between two looks for signals."""
    return max(plan.block_rows, int(SLICE_FLOPS / plan.prediction_flops_per_row))


def _workspace(plan: Plan, n_threads: int) -> Array:
    """For each thread the workspace of a plan that only predicts, in cache lines of its own."""
    line = CACHE_LINE // plan.dtype.itemsize
    size = -(-plan.work_size // line) * line
    return aligned_zeros(n_threads * size, plan.dtype).reshape(n_threads, size)
