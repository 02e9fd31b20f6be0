"""Training, evaluation and prediction on the compiled engine, with the reference's interface.

This module allocates the workspaces and chooses the number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine import cost_model
from fastnn._engine.job import Steps, TrainingJob
from fastnn._engine.plan import CACHE_LINE, Plan, compile_plan
from fastnn._parallel import limits
from fastnn._parallel.autotune import FixedNumber, ThreadTuner
from fastnn._util.sparse_rows import SparseRows, take_rows
from fastnn_ext import engine
from fastnn_ext.engine import CompiledRows, Predictor

Array = NDArray[Any]
Floats = NDArray[np.float64]


def aligned_zeros(size: int, dtype: np.dtype[Any]) -> Array:
    """Zeros (size,) that begin on a cache line and are followed by another readable line, because
    the kernels read whole vectors.

    NumPy requests huge pages from 4 MB on. Requesting them from 256 KB on, 2 MB each, made no
    difference from 784-128-10 to 28-300x5-1, and took 0.95 of the time for online SGD.
    """
    raw = np.zeros(size * dtype.itemsize + 2 * CACHE_LINE, np.uint8)
    start = -engine.get_address(raw) % CACHE_LINE
    return raw[start : start + size * dtype.itemsize].view(dtype)


def aligned_copy(array: Array) -> Array:
    """A copy of a flat array, with the alignment of `aligned_zeros`."""
    copy = aligned_zeros(len(array), array.dtype)
    copy[:] = array
    return copy


@dataclass
class _Buffers:
    """The arrays that a run writes to, besides parameters and slots."""

    work: Array
    permutation: NDArray[np.intp]  # (n_samples,)
    row_losses: Floats  # (batch_size,)
    row_sums: Floats  # (2 * n_parameter_rows,)


def _make_buffers(plan: Plan, job: TrainingJob, n_threads: int) -> _Buffers:
    return _Buffers(
        aligned_zeros(plan.work_size + (n_threads - 1) * plan.thread_stride, plan.dtype),
        np.arange(len(job.X), dtype=np.intp) if job.rows is None else job.rows.copy(),
        np.zeros(job.batch_size),
        np.zeros(2 * int(plan.settings["n_parameter_rows"][0])),
    )


def _compile_plan(job: TrainingJob) -> Plan:
    return compile_plan(
        job.layers, job.X.shape[1], job.X.dtype, loss=job.loss, optimizer=job.optimizer,
        n_targets=job.y.shape[1], batch_size=job.batch_size, gradient_weight=job.gradient_weight,
        sparse_inputs=isinstance(job.X, SparseRows),
    )  # fmt: skip


def _bind_inputs(job: TrainingJob, plan: Plan, n_threads: int) -> Array | CompiledRows:
    """X as the engine's trainer takes it. Sparse rows come with arrays to sort the entries of a
    microbatch by columns."""
    X = job.X
    if not isinstance(X, SparseRows):
        return X
    lengths = np.diff(X.starts) if job.rows is None else np.diff(X.starts)[job.rows]
    n_rows = plan.microbatch_rows
    longest = lengths if len(lengths) <= n_rows else np.partition(lengths, -n_rows)[-n_rows:]
    capacity = max(1, int(longest.sum()))
    return CompiledRows(
        X.values, X.columns, X.starts, np.zeros(n_rows, np.intp),
        np.zeros((n_threads, plan.n_features + 1), np.int32),
        np.zeros((n_threads, capacity), np.int32), np.zeros((n_threads, capacity), plan.dtype),
        np.zeros(plan.n_features, np.uint8),
    )  # fmt: skip


# The kernels for sparse inputs pay if at most this fraction of the inputs is not zero, and if there
# are many inputs and many units in the first layer: one-hot columns, images on black. With the 408
# columns of the census data set, a tenth of them not zero, a step on one thread took 0.51 of the
# time. The decision is based on a sample of the rows.
MOST_NONZERO_FRACTION = 0.25
FEWEST_SPARSE_FEATURES = 64
FEWEST_SPARSE_UNITS = 32
SAMPLED_ROWS = 64


def _has_many_zeros(plan: Plan, X: Array | SparseRows) -> bool:
    """Whether the kernels that search for zeros pay for X (n, n_features)."""
    if isinstance(X, SparseRows):
        return False
    n, width = X.shape
    if width < FEWEST_SPARSE_FEATURES or plan.layers["n_out"][0] < FEWEST_SPARSE_UNITS:
        return False
    sample = X[:: -(-n // SAMPLED_ROWS)]
    return bool(np.count_nonzero(sample) <= MOST_NONZERO_FRACTION * sample.size)


class Trainer:
    """A training run on the compiled engine.

    `params` (n_params,) and `slots`, flat, are changed in place. With `apply_update=False`,
    gradients are left in the workspace and no parameter changes. `n_threads=None` chooses the
    number of threads automatically.
    """

    def __init__(
        self, job: TrainingJob, params: Array, slots: Array, n_threads: int | None, *,
        apply_update: bool = True, dropout_active: bool = True,
    ) -> None:  # fmt: skip
        self.plan = plan = _compile_plan(job)
        rows = min(job.batch_size, plan.microbatch_rows)
        flops_per_step = plan.flops_per_row * job.batch_size
        self.most = limits.choose_n_threads(n_threads, plan.flops_per_row * rows, rows)
        self.buffers = buffers = _make_buffers(plan, job, self.most)
        self.tuner = (ThreadTuner if n_threads is None else FixedNumber)(plan, flops_per_step)
        if job.shuffle == "once":
            engine.fill_permutation(buffers.permutation, job.rows, job.seed, job.first_epoch)
        self._engine = engine.Trainer(
            plan.compiled, params, slots, buffers.work, _bind_inputs(job, plan, self.most), job.y,
            job.sample_weight, job.rows, buffers.permutation, buffers.row_losses, buffers.row_sums,
            job.gradient_targets,
            batch_size=job.batch_size, shuffle=job.shuffle == "epoch", seed=job.seed,
            epoch_offset=job.first_epoch, step_offset=job.first_step, apply_update=apply_update,
            dropout_active=dropout_active, sparse=_has_many_zeros(plan, job.X),
            clock_every=max(1, int(cost_model.CLOCK_FLOPS / flops_per_step)),
            check=limits.check_cancelled,
        )  # fmt: skip

    def run(self, steps: Steps, seconds: float) -> None:
        """See `job.Trainer`."""
        most = limits.get_available_threads(self.most)
        n_threads, limit = self.tuner.choose(most)
        began = time.perf_counter()
        done, trainer = steps.done, self._engine
        trainer.n_steps_done = 0
        try:
            trainer.run(
                steps.rates[done:], steps.losses[done:], steps.batch_weights[done:],
                steps.first + done, steps.optimizer_step + done, min(seconds, limit), n_threads,
            )  # fmt: skip
        finally:  # the exception of a signal handler is raised here, after a complete step
            steps.done = done + trainer.n_steps_done
        self.tuner.record(most, n_threads, trainer.n_steps_done, time.perf_counter() - began)


def make_objective(
    job: TrainingJob, params: Array, training: bool, n_threads: int | None
) -> Callable[[], tuple[float, Array]]:
    """A function that returns the objective of the whole job as one batch and its gradient
    (n_params,), at the current values of `params`; dropout is active only if `training`."""
    slots = np.zeros(0, params.dtype)
    trainer = Trainer(job, params, slots, n_threads, apply_update=False, dropout_active=training)
    start = int(trainer.plan.settings["gradients"][0])
    gradients = trainer.buffers.work[start : start + len(params)]

    def compute() -> tuple[float, Array]:
        step = Steps(0, 0, np.zeros(1))
        trainer.run(step, np.inf)
        return float(step.losses[0]), gradients.copy()

    return compute


def make_predictor(plan: Plan, params: Array) -> Predictor:
    """A function `predictor(X, out, check_finite, n_threads)` that returns predictions with these
    parameters; see `engine.Predictor`."""

    flops = plan.prediction_flops_per_row
    choose, record = make_thread_chooser(plan, flops)

    def allocate(n_threads: int) -> Array:
        return allocate_workspace(plan.work_size, plan.dtype, n_threads)

    return Predictor(
        plan.compiled, params, int(cost_model.SMALL_FLOPS / flops),
        _choose_slice_rows(plan), choose, record, limits.check_cancelled, allocate,
    )  # fmt: skip


def make_thread_chooser(
    work: Hashable, flops: float
) -> tuple[Callable[[int | None, int], int], Callable[[int, int, float], None]]:
    """Functions `choose(n_threads, n)`, which returns the number of threads for n rows, and
    `record(n_threads, n, seconds)`. `work` identifies what is done, `flops` is its cost per row."""
    tuners: dict[int, ThreadTuner] = {}

    def most_threads(n_threads: int | None, n: int) -> int:
        return limits.get_available_threads(limits.choose_n_threads(n_threads, flops * n, n))

    def get_tuner(n: int) -> ThreadTuner:
        size = n.bit_length()  # the time per row depends on the number of rows
        if size not in tuners:
            tuners[size] = ThreadTuner((work, size), flops)
        return tuners[size]

    def choose(n_threads: int | None, n: int) -> int:
        most = most_threads(n_threads, n)
        return most if n_threads is not None else get_tuner(n).choose(most)[0]

    def record(n_threads: int, n: int, seconds: float) -> None:
        get_tuner(n).record(most_threads(None, n), n_threads, n, seconds)

    return choose, record


# Selected rows are copied before they are evaluated, at most this many bytes per thread at a time.
COPIED_BYTES = 2**20


def evaluate(
    plan: Plan,
    params: Array,
    X: Array | SparseRows,
    y: Array,
    n_threads: int | None,
    rows: NDArray[np.intp] | None = None,
) -> tuple[Floats, Array]:
    """The loss of each row (n,) and predictions (n, n_outputs) for the targets y (n, n_targets).
    `rows` (n,) selects the rows of X to evaluate; None selects all."""
    n = len(y)
    out, row_losses = np.empty((n, plan.n_outputs), plan.dtype), np.empty(n)
    if isinstance(X, SparseRows):
        X = X if rows is None else take_rows(X, rows)
        predict_sparse(plan, params, X, out, n_threads, y, row_losses)
        return row_losses, out
    most = limits.choose_n_threads(n_threads, plan.prediction_flops_per_row * n, n)
    team = limits.get_available_threads(most)
    work = allocate_workspace(plan.work_size, plan.dtype, team)
    copied = n if rows is None else COPIED_BYTES // X[0].nbytes
    step = max(plan.microbatch_rows, min(_choose_slice_rows(plan), copied // team)) * team
    for start in range(0, n, step):
        limits.check_cancelled()
        part = slice(start, start + step)
        engine.evaluate(
            plan.compiled, params, work,
            X[part if rows is None else rows[part]], y[part], out[part], row_losses[part],
        )  # fmt: skip
    return row_losses, out


def predict_sparse(
    plan: Plan, params: Array, X: SparseRows, out: Array, n_threads: int | None,
    y: Array | None = None, row_losses: Floats | None = None,
) -> None:  # fmt: skip
    """Fill `out` (n, n_outputs) with predictions and, for targets y (n, n_targets), `row_losses`
    (n,) with the loss of each row."""
    n = len(X)
    zeros = plan.n_features - X.entries_per_row
    saved = 2 * zeros * float(plan.layers["n_out"][0])
    flops = plan.prediction_flops_per_row - saved + cost_model.ROW_FLOPS
    most = limits.choose_n_threads(n_threads, flops * n, n)
    team = limits.get_available_threads(most)
    work = allocate_workspace(plan.work_size, plan.dtype, team)
    rows = CompiledRows(X.values, X.columns, X.starts)
    step = _choose_slice_rows(plan, flops) * team
    for start in range(0, n, step):
        limits.check_cancelled()
        stop = min(start + step, n)
        engine.predict_sparse(plan.compiled, params, work, rows, y, start, stop, out, row_losses)


def _choose_slice_rows(plan: Plan, flops: float | None = None) -> int:
    """Rows that a thread predicts before signals are handled, at `flops` per row."""
    flops = plan.prediction_flops_per_row if flops is None else flops
    return max(plan.microbatch_rows, int(cost_model.SLICE_FLOPS / flops))


def allocate_workspace(work_size: int, dtype: np.dtype[Any], n_threads: int) -> Array:
    """A workspace of work_size elements for each thread, (n_threads, work_size). Threads share no
    cache line."""
    line = CACHE_LINE // dtype.itemsize
    size = -(-work_size // line) * line
    return aligned_zeros(n_threads * size, dtype).reshape(n_threads, size)
