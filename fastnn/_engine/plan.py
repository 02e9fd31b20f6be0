"""The plan of a network: the size and offset of every array, fixed before anything is allocated.

The terms microbatch and gradient shard are defined in fastnn_ext/plan.pxd.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses, optimizers
from fastnn._engine import cost_model
from fastnn._engine.lowering import NONE, Lowering, find_gradient_buffers, lower_layers
from fastnn.layers import Layer
from fastnn.losses import Loss
from fastnn.optimizers import SGD, Optimizer
from fastnn_ext.codes import BUFFER, LAYER, SETTINGS, Activation, Kind
from fastnn_ext.engine import CompiledPlan

CACHE_LINE = 64  # bytes; rows of buffers begin on one
PAGE = 4096

# A microbatch has at most this many rows and this much workspace, which fits into L2 and L3. Its
# size depends on the network alone, because results depend on it. A batch of 4,096 took the same
# time in microbatches of 4, 8 and 32 MB at 784-128-10; at 784-1024-1024-10, 2 MB took 5 to 10 %
# longer than 8 MB. But a fit begins by touching its workspace for the first time: for 32 MB that
# takes 9 ms, as long as a step.
MICROBATCH_ROWS = 16384
MICROBATCH_BYTES = 8 * 2**20
FEWEST_MICROBATCH_ROWS = 32

# A batch is split into 2, 4, 8 or 16 gradient shards (fastnn_ext/parameters.pxd) if each has at
# least FEWEST_SHARD_ROWS rows, and the workspace of its rows is at least ROWS_OVER_GRADIENT times
# the size of the gradient. Measured on two threads, in us per step with and without shards: 15 and
# 21 at 10-100-1 (batch 200), 25 and 30 at 30-100-1, 412 and 490 at 4-32-16-4 (10,000 rows). At a
# ratio of 5 there was no difference, and on one thread shards took longer: 96 and 92 at 30-128-64-2
# (batch 128).
FEWEST_SHARD_ROWS = 64
ROWS_OVER_GRADIENT = 8
MOST_SHARDS = 16

# Training on derivatives splits a batch into shards of at least this many rows, and a thread
# compares the Jacobians of as many of them at a time as fit into this many bytes.
FEWEST_DERIVATIVE_ROWS = 8
DERIVATIVE_BYTES = 256 * 1024

# Weights are packed for a matrix multiplication into panels of this many bytes (tile.h, decision
# b), one per thread.
PANEL_BYTES = 64 * 1024

# Prediction keeps nothing for a backward pass, so a microbatch need only fill whole tiles: from 24
# to 384 rows it took the same time. Every network keeps a workspace of this many rows.
PREDICTION_ROWS = 96


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """The memory layout of a network, as the engine reads it."""

    layers: NDArray[Any]  # (n_layers,), dtype LAYER
    buffers: NDArray[Any]  # (n_buffers,), dtype BUFFER
    settings: NDArray[Any]  # (1,), dtype SETTINGS
    dtype: np.dtype[Any]
    predicts_only: bool

    @property
    def n_params(self) -> int:
        """Number of weights and biases."""
        return int(self.settings["n_params"][0])

    @property
    def n_features(self) -> int:
        """Columns of X."""
        return int(self.settings["n_features"][0])

    @property
    def n_outputs(self) -> int:
        """Columns of a prediction."""
        return int(self.settings["n_outputs"][0])

    @property
    def microbatch_rows(self) -> int:
        """Most rows of a microbatch."""
        return int(self.settings["microbatch_rows"][0])

    @cached_property
    def compiled(self) -> CompiledPlan:
        """The plan in the form that the engine's calls take."""
        parts = (self.layers, self.buffers, self.settings)
        return CompiledPlan(*(part.view(np.uint8) for part in parts))

    @cached_property
    def work_size(self) -> int:
        """Elements of the workspace for one thread; each further thread adds a region."""
        return int(self.settings["panels"][0]) + self.thread_stride

    @property
    def thread_stride(self) -> int:
        """Elements of the region of the workspace that a thread has for itself."""
        return int(self.settings["thread_stride"][0])

    @cached_property
    def flops_per_row(self) -> float:
        """Estimated FLOP of a training step per row of the batch."""
        flops = cost_model.estimate_training_flops(self.layers, self.buffers)
        return flops * (1 + self.n_features) if self.settings["gradient_weight"][0] else flops

    @cached_property
    def prediction_flops_per_row(self) -> float:
        """Estimated FLOP of a prediction per row."""
        return cost_model.estimate_prediction_flops(self.layers)

    @cached_property
    def parameter_offsets(self) -> tuple[tuple[int, int, int, int], ...]:
        """(rows, columns and offset of the weights, offset of the bias) for each layer that has
        weights."""
        weighted = self.layers[self.layers["weights"] != NONE]
        columns = (weighted[name].tolist() for name in ("n_in", "n_out", "weights", "bias"))
        return tuple(zip(*columns, strict=True))

    def __str__(self) -> str:
        rows = [
            f"{Kind(row['kind']).name:8}{row['n_in']:>7} -> {row['n_out']:<7}"
            f"{Activation(row['activation']).name.lower():13}weights at {row['weights']:<10}"
            f"buffer {row['input']} -> {row['output']}"
            for row in self.layers
        ]
        total = (
            f"{self.n_params} parameters, {self.work_size} elements of workspace, "
            f"microbatches of {self.microbatch_rows} rows, {self.dtype}"
        )
        return "\n".join([*rows, total])


@lru_cache(maxsize=256)
def compile_plan(
    layers: tuple[Layer, ...],
    n_features: int,
    dtype: np.dtype[Any],
    *,
    loss: Loss | None = None,
    n_targets: int | None = None,
    optimizer: Optimizer | None = None,
    batch_size: int = PREDICTION_ROWS,
    differentiates: bool = False,
    gradient_weight: float = 0.0,
    sparse_inputs: bool = False,
) -> Plan:
    """The plan of a network for a loss with `n_targets` targets; without both, a plan that can only
    predict, or if `differentiates`, compute derivatives of its predictions. With a
    `gradient_weight`, it also trains on derivatives. `sparse_inputs` have no buffer.

    Plans are cached, because the same layers come again: in the folds of a search, and in an
    estimator from its initial weights to its scores.

    Raises
    ------
    ValueError
        If the layers do not fit together, the loss does not fit the last activation, or the sizes
        exceed what the machine can address.
    """
    assert (loss is None) == (n_targets is None)
    lowering = lower_layers(layers, n_features, loss)
    needed = find_gradient_buffers(lowering) if loss is not None else set()
    line = CACHE_LINE // dtype.itemsize
    strides = [_compute_stride(width, line) for width in lowering.widths]
    per_row = sum(strides) + sum(strides[index] for index in needed)
    n_params = lowering.n_params
    # Python's integers do not overflow: sizes are checked before they are stored in 64 bits.
    _check_addressable(lowering, (FEWEST_MICROBATCH_ROWS * per_row + 4 * n_params) * dtype.itemsize)
    rows = _choose_microbatch_rows(per_row * dtype.itemsize, batch_size)
    shard_rows = 0
    if optimizer and not optimizers.is_lazy(optimizer):  # shards do not know which rows changed
        shard_rows = _choose_shard_rows(per_row, n_params, batch_size, rows)
    if gradient_weight:
        shard_rows = max(FEWEST_DERIVATIVE_ROWS, -(-batch_size // MOST_SHARDS))
    n_shards = -(-batch_size // shard_rows) if shard_rows else 0
    rows = bias_rows = max(rows, n_shards * shard_rows)  # room for all shards
    if sparse_inputs:  # more rows fit; shards and sums of biases as for dense inputs: the same bits
        rows = _choose_microbatch_rows((per_row - strides[0]) * dtype.itemsize, batch_size)
        rows = max(bias_rows, rows if rows == batch_size else rows // bias_rows * bias_rows)
    buffers, shards = _lay_out_buffers(
        lowering.widths, strides, needed, rows, reads_in_place=loss is None or sparse_inputs
    )
    shard_stride = -(-n_params // line) * line
    gradients = shards + n_shards * shard_stride
    panels = gradients if loss is None else gradients + shard_stride
    derivative_rows, derivative_size = 0, 0
    if gradient_weight:  # three arrays for directions, three for values (fastnn_ext/sobolev.pxd)
        per_derivative_row = 3 * (n_features + 1) * sum(strides)
        fitting = DERIVATIVE_BYTES // (per_derivative_row * dtype.itemsize)
        derivative_rows = min(max(1, fitting), FEWEST_DERIVATIVE_ROWS)
        derivative_size = derivative_rows * per_derivative_row
    packs = (
        differentiates
        or bool(gradient_weight)
        or any(
            layer["kind"] == Kind.DENSE
            and (layer["input"] in needed or layer["n_out"] * dtype.itemsize % PAGE == 0)
            for layer in lowering.layers
        )
    )

    panel_stride = PANEL_BYTES // dtype.itemsize if packs else 0

    names = LAYER.names or ()
    table = [tuple(layer.get(name, 0) for name in names) for layer in lowering.layers]
    settings = _make_settings(loss, optimizer)
    for name, value in {
        "n_features": n_features, "n_outputs": lowering.widths[lowering.output_buffer],
        "n_targets": n_targets or 0, "n_params": n_params,
        "n_parameter_rows": lowering.n_parameter_rows, "microbatch_rows": rows,
        "bias_rows": bias_rows,
        "shard_rows": shard_rows, "gradient_shards": shards, "shard_stride": shard_stride,
        "gradients": gradients, "panels": panels,
        "panel_stride": panel_stride, "thread_stride": panel_stride + derivative_size,
        "derivative_rows": derivative_rows, "gradient_weight": gradient_weight,
        "output_activation": lowering.output_activation,
        "penalized": any(layer.get("l1") or layer.get("l2") for layer in lowering.layers),
    }.items():  # fmt: skip
        settings[name] = value
    return Plan(
        layers=np.array(table, LAYER), buffers=buffers, settings=settings, dtype=dtype,
        predicts_only=loss is None,
    )  # fmt: skip


def _lay_out_buffers(
    widths: list[int], strides: list[int], needed: set[int], rows: int, reads_in_place: bool
) -> tuple[NDArray[Any], int]:
    """The offsets of all buffers of a microbatch of `rows` rows, and the offset behind them.

    The buffers in `needed` have a gradient. The inputs have no buffer if they are read in place.
    """
    buffers = np.zeros(len(strides), BUFFER)
    position = 0
    for index, (width, stride) in enumerate(zip(widths, strides, strict=True)):
        column = sum(strides[:index])
        if index == 0 and reads_in_place:
            buffers[index] = (width, stride, NONE, NONE, column)
            continue
        gradient = position + rows * stride if index in needed else NONE
        buffers[index] = (width, stride, position, gradient, column)
        position += rows * stride * (2 if index in needed else 1)
    return buffers, position


def _compute_stride(width: int, line: int) -> int:
    """Elements from one row of a buffer to the next: whole cache lines, but not whole pages, which
    would map the same column of all rows to the same few sets of a cache."""
    lines = -(-width // line)
    return (lines + (lines * CACHE_LINE % PAGE == 0)) * line


def _choose_microbatch_rows(bytes_per_row: int, batch_size: int) -> int:
    fitting = min(MICROBATCH_BYTES // bytes_per_row, MICROBATCH_ROWS)
    return min(max(fitting, FEWEST_MICROBATCH_ROWS), batch_size)


def _choose_shard_rows(per_row: int, n_params: int, batch_size: int, microbatch_rows: int) -> int:
    """Most rows of a gradient shard; 0 if a batch is not split into shards, as when it has several
    microbatches."""
    fewest = max(FEWEST_SHARD_ROWS, -(-ROWS_OVER_GRADIENT * n_params // per_row))
    n_shards = 1
    while 2 * n_shards <= min(MOST_SHARDS, batch_size // fewest):
        n_shards *= 2
    rows = -(-batch_size // n_shards)
    return rows if n_shards > 1 and microbatch_rows == batch_size else 0


def _check_addressable(lowering: Lowering, n_bytes: int) -> None:
    if n_bytes > sys.maxsize // 2:
        widest = max(lowering.widths)
        raise ValueError(
            f"layers: expected a network that fits into memory; got {lowering.n_params} parameters "
            f"(widest layer {widest}), whose buffers take {n_bytes} bytes"
        )


def _make_settings(loss: Loss | None, optimizer: Optimizer | None) -> NDArray[Any]:
    """Settings (1,) with the codes and hyperparameters of loss and optimizer. The optimizer's
    dataclass fields have the names of the settings."""
    settings = np.zeros(1, SETTINGS)
    optimizer = SGD() if optimizer is None else optimizer
    settings["optimizer"] = optimizers.get_code(optimizer)
    for name, value in vars(optimizer).items():
        if name != "learning_rate":
            settings[name] = value or 0
    if loss is not None:
        settings["loss"] = losses.get_code(loss)
        settings["loss_parameter"] = losses.get_parameter(loss)
    return settings


def split_parameters(
    plan: Plan, flat: NDArray[Any]
) -> tuple[list[NDArray[Any]], list[NDArray[Any] | None]]:
    """Weights (n_in, n_out) and biases (n_out,) of the layers that have weights, as views of
    `flat` (n_params,). A layer without bias has None."""
    weights: list[NDArray[Any]] = []
    biases: list[NDArray[Any] | None] = []
    for n_in, n_out, start, bias in plan.parameter_offsets:
        weights.append(flat[start : start + n_in * n_out].reshape(n_in, n_out))
        biases.append(None if bias == NONE else flat[bias : bias + n_out])
    return weights, biases


def format_table(plan: Plan) -> str:
    """The table of layers that `Sequential.summary` prints."""
    lines = [f"{'layer':<10}{'activation':<14}{'output shape':<16}{'parameters':>12}", "-" * 52]
    lines.append(f"{'input':<10}{'':<14}{f'(n, {plan.n_features})':<16}{0:>12,}")
    for index, row in enumerate(plan.layers):
        dense, has_weights = row["kind"] == Kind.DENSE, row["weights"] != NONE
        name = "Residual +" if row["kind"] == Kind.ADD else Kind(row["kind"]).name.title()
        last = index + 1 == len(plan.layers)
        output_activation = plan.settings["output_activation"][0]
        is_split = last and output_activation != Activation.LINEAR
        code = output_activation if is_split else row["activation"]
        kind = Activation(code).name.lower() if dense else ""
        count = row["n_in"] * row["n_out"] + (row["n_out"] if row["bias"] != NONE else 0)
        shape = f"(n, {row['n_out']})"
        lines.append(f"{name:<10}{kind:<14}{shape:<16}{count if has_weights else 0:>12,}")
    size = plan.n_params * plan.dtype.itemsize
    lines += ["-" * 52, f"{plan.n_params:,} parameters, {size:,} bytes of {plan.dtype}"]
    return "\n".join(lines)
