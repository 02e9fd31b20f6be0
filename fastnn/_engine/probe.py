"""Gradients and activations at the current parameters, for diagnostics.

A probe is a training run of the compiled engine that makes no update. After each of its steps, the
outputs of all layers are read from the workspace. Its batches are so small that each is a single
microbatch without gradient shards, so that the workspace contains all their rows; and it uses one
thread, which is faster for small batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.job import Steps, TrainingJob
from fastnn._engine.lowering import NONE
from fastnn._engine.native import Trainer
from fastnn._engine.plan import FEWEST_MICROBATCH_ROWS
from fastnn.optimizers import SGD
from fastnn_ext.codes import Activation, Kind

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measurement:
    """The values at one point in training."""

    gradient: Floats  # (n_params,): of the mean loss of the rows, penalties included
    outputs: list[Array]  # for each Dense layer, (n_rows, units)


class Probe:
    """Measures a network on some rows of a training job.

    `params` (n_params,) are read at each measurement. `rows` (n_rows,) index job.X. No dropout is
    applied, and the loss is that of the values, also if the job trains on derivatives.
    """

    def __init__(self, job: TrainingJob, params: Array, rows: NDArray[np.intp]) -> None:
        self.job = replace(
            job, rows=rows, batch_size=min(FEWEST_MICROBATCH_ROWS, len(rows)), shuffle="never",
            optimizer=SGD(), gradient_targets=None, gradient_weight=0.0,
        )  # fmt: skip
        self._trainer = Trainer(
            self.job, params, np.zeros(0, params.dtype), 1, apply_update=False,
            dropout_active=False,
        )  # fmt: skip
        self.plan = plan = self._trainer.plan
        work = self._trainer.buffers.work
        start = int(plan.settings["gradients"][0])
        self._gradient = work[start : start + plan.n_params]
        self._values = [
            _view_buffer(work, plan.buffers[row["output"]], self.job.batch_size)
            for row in plan.layers if row["kind"] == Kind.DENSE
        ]  # fmt: skip
        codes = plan.layers["activation"][plan.layers["kind"] == Kind.DENSE]
        self.activations = [Activation(code).name.lower() for code in codes]
        """The activation that gives the measured outputs of each Dense layer: that of the last is
        linear if the loss is computed from raw outputs."""

    @property
    def parameter_slices(self) -> Iterator[slice]:
        """The parameters of each Dense layer, weights and bias, in the flat array."""
        for row in self.plan.layers:
            if row["kind"] == Kind.DENSE:
                start = int(row["weights"])
                n_rows = int(row["n_in"]) + (row["bias"] != NONE)
                yield slice(start, start + n_rows * int(row["n_out"]))

    def measure(self) -> Measurement:
        """The gradient and the outputs of the layers at the current parameters."""
        size, n_rows = self.job.batch_size, self.job.n_samples
        outputs = [np.empty((n_rows, view.shape[1]), view.dtype) for view in self._values]
        gradient, total = np.zeros(self.plan.n_params), 0.0
        for index in range(self.job.steps_per_epoch):
            step = Steps(index, 0, np.zeros(1))
            self._trainer.run(step, np.inf)
            weight = float(step.batch_weights[0])
            gradient += weight * self._gradient
            total += weight
            first = index * size
            for output, view in zip(outputs, self._values, strict=True):
                output[first : first + size] = view[: n_rows - first]
        return Measurement(gradient / total, outputs)


def _view_buffer(work: Array, buffer: Any, n_rows: int) -> Array:
    """The values (n_rows, width) of a buffer in the workspace."""
    start, stride, width = (int(buffer[name]) for name in ("values", "stride", "width"))
    return work[start : start + n_rows * stride].reshape(n_rows, stride)[:, :width]
