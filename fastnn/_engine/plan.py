"""Rows of layers into a plan: every size and offset, fixed before anything is allocated."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses, optimizers
from fastnn._engine.lowering import NONE, Fold, fold_layers, gradient_buffers
from fastnn.layers import Layer
from fastnn.losses import Loss
from fastnn.optimizers import SGD, Optimizer
from fastnn_ext.codes import BUFFER, LAYER, SETTINGS, Activation, Kind
from fastnn_ext.engine import CompiledPlan

# Other activations take as long as so many operations of a product, 0.2 to 0.4 ns (simd.h); what a
# row takes besides, to be picked and for its loss, as so many: 20 ns.
PIECEWISE_LINEAR = (Activation.LINEAR, Activation.STEP, Activation.RELU, Activation.LEAKY_RELU)
ACTIVATION_FLOPS = 30
ROW_FLOPS = 1500

CACHE_LINE = 64  # bytes; rows of buffers begin on one
PAGE = 4096

# A batch goes through the network in blocks of at most this many rows and this much workspace:
# what fits the outer caches. The size depends on the network alone, as the results must. A batch of
# 4,096 took as long in blocks of 4, 8 and 32 MB at 784-128-10, and in 2 MB 5 to 10 % longer than in
# 8 at 784-1024-1024-10; but a fit begins by touching its workspace for the first time, 9 ms for
# 32 MB, as long as a step.
BLOCK_ROWS = 16384
BLOCK_BYTES = 8 * 2**20
FEWEST_BLOCK_ROWS = 32

# A batch is cut into 2, 4, 8 or 16 chunks (fastnn_ext/parameters.pxd), as long as each has so many
# rows, and its rows are so many times as many numbers as its gradient. Measured on two threads, in
# us a step with and without: 15 and 21 at 10-100-1 (batch 200), 25 and 30 at 30-100-1, 412 and 490
# at 4-32-16-4 (10,000 rows); as long either way with 5 times as many numbers, and longer on one
# thread: 96 and 92 at 30-128-64-2 (batch 128).
FEWEST_CHUNK_ROWS = 64
ROWS_OVER_GRADIENT = 8
MOST_CHUNKS = 16

# Weights that are packed for a product are packed into panels of this many bytes (tile.h, decision
# b), one for each thread.
PANEL_BYTES = 64 * 1024

# Without training nothing is kept for a way back, so a block need only fill whole tiles: from 24 to
# 384 rows it took the same time. Every network keeps a workspace of so many.
PREDICTION_ROWS = 96


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the engine knows of a network, and where its numbers lie."""

    layers: NDArray[Any]
    buffers: NDArray[Any]
    settings: NDArray[Any]
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
    def block_rows(self) -> int:
        """Rows that go through the network at a time."""
        return int(self.settings["block_rows"][0])

    @cached_property
    def compiled(self) -> CompiledPlan:
        """The same for the engine."""
        return CompiledPlan(self.layers, self.buffers, self.settings)

    @cached_property
    def work_size(self) -> int:
        """Numbers in the workspace of one thread; each other thread needs a panel more."""
        return int(self.settings["panels"][0]) + self.panel_stride

    @property
    def panel_stride(self) -> int:
        """Numbers in the panel that a thread packs weights into; 0 where none are packed."""
        return int(self.settings["panel_stride"][0])

    @cached_property
    def flops_per_row(self) -> float:
        """Arithmetic of a training step per row: three products of each weight matrix, less the
        input gradient where none is needed. All else is counted as if it were products."""
        dense = self.layers[self._is_dense]
        back = self.buffers["gradient"][dense["input"]] != NONE
        products = dense["n_out"] * dense["n_in"] * np.where(back, 6, 4)
        return float(np.sum(products)) + self._activation_flops + ROW_FLOPS

    @cached_property
    def prediction_flops_per_row(self) -> float:
        """Arithmetic of a prediction per row, activations counted as if they were products."""
        dense = self.layers[self._is_dense]
        return float(np.sum(2 * dense["n_out"] * dense["n_in"])) + self._activation_flops

    @property
    def _activation_flops(self) -> float:
        dense = self.layers[self._is_dense]
        curved = ~np.isin(dense["activation"], PIECEWISE_LINEAR)
        return float(np.sum(ACTIVATION_FLOPS * dense["n_out"] * curved))

    @cached_property
    def places(self) -> tuple[tuple[int, int, int, int], ...]:
        """For each dense layer its inputs, its outputs, and where weights and bias begin."""
        dense = self.layers[self._is_dense]
        columns = (dense[name].tolist() for name in ("n_in", "n_out", "weights", "bias"))
        return tuple(zip(*columns, strict=True))

    @property
    def _is_dense(self) -> NDArray[np.bool_]:
        return np.asarray(self.layers["kind"] == Kind.DENSE)

    def __str__(self) -> str:
        rows = [
            f"{Kind(row['kind']).name:8}{row['n_in']:>7} -> {row['n_out']:<7}"
            f"{Activation(row['activation']).name.lower():13}weights at {row['weights']:<10}"
            f"buffer {row['input']} -> {row['output']}"
            for row in self.layers
        ]
        total = (
            f"{self.n_params} parameters, {self.work_size} numbers of workspace, "
            f"blocks of {self.block_rows} rows, {self.dtype}"
        )
        return "\n".join([*rows, total])


@lru_cache(maxsize=256)
def compile_plan(
    layers: tuple[Layer, ...],
    n_features: int,
    dtype: np.dtype[Any],
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    n_targets: int = 1,
    batch_size: int = PREDICTION_ROWS,
) -> Plan:
    """The plan of a network; without a loss, one that can only predict. Whoever asks again gets
    the same plan: the folds of a search, and an estimator from its initial weights to its scores,
    have equal layers.

    Raises
    ------
    ValueError
        If the layers do not fit together, the loss does not fit the last activation, or the sizes
        exceed what the machine can address.
    """
    fold = fold_layers(layers, n_features, loss)
    needed = gradient_buffers(fold) if loss is not None else set()
    line = CACHE_LINE // dtype.itemsize
    strides = [_stride(width, line) for width in fold.widths]
    per_row = sum(strides) + sum(strides[index] for index in needed)
    # Python's integers do not overflow: sizes are known to be addressable before any is stored.
    _check_addressable(fold, (FEWEST_BLOCK_ROWS * per_row + 4 * fold.n_params) * dtype.itemsize)
    block = _block_rows(per_row * dtype.itemsize, batch_size)
    chunk = _chunk_rows(per_row, fold.n_params, batch_size, block) if optimizer else 0
    n_chunks = -(-batch_size // chunk) if chunk else 0
    block = max(block, n_chunks * chunk)  # a place for each
    buffers, chunks = _buffers(fold.widths, strides, needed, block, reads_in_place=loss is None)
    chunk_stride = -(-fold.n_params // line) * line
    gradients = chunks + n_chunks * chunk_stride
    panels = gradients if loss is None else gradients + chunk_stride
    packs = any(
        row["kind"] == Kind.DENSE
        and (row["input"] in needed or row["n_out"] * dtype.itemsize % PAGE == 0)
        for row in fold.rows
    )

    names = LAYER.names or ()
    rows = np.array([tuple(row.get(name, 0) for name in names) for row in fold.rows], LAYER)
    settings = _settings(loss, optimizer)
    for name, value in {
        "n_features": n_features, "n_outputs": fold.widths[fold.outputs], "n_targets": n_targets,
        "n_params": fold.n_params, "n_rows": fold.n_rows, "block_rows": block, "chunk_rows": chunk,
        "chunks": chunks, "chunk_stride": chunk_stride,
        "gradients": gradients, "panels": panels,
        "panel_stride": PANEL_BYTES // dtype.itemsize if packs else 0, "link": fold.link,
        "penalized": any(row.get("l1") or row.get("l2") for row in fold.rows),
    }.items():  # fmt: skip
        settings[name] = value
    return Plan(rows, buffers, settings, dtype, loss is None)


def _buffers(
    widths: list[int], strides: list[int], needed: set[int], block: int, reads_in_place: bool
) -> tuple[NDArray[Any], int]:
    """Where the values of a block lie, and the gradients of those buffers where they are needed;
    and where all of them end. Inputs that are read in place have no buffer."""
    buffers = np.zeros(len(strides), BUFFER)
    position = 0
    for index, (width, stride) in enumerate(zip(widths, strides, strict=True)):
        if index == 0 and reads_in_place:
            buffers[index] = (width, stride, NONE, NONE)
            continue
        gradient = position + block * stride if index in needed else NONE
        buffers[index] = (width, stride, position, gradient)
        position += block * stride * (2 if index in needed else 1)
    return buffers, position


def _stride(width: int, line: int) -> int:
    """Numbers from a row of a buffer to the next: whole cache lines, but not whole pages, which
    would put the same columns of all rows into the same few sets of a cache."""
    lines = -(-width // line)
    return (lines + (lines * CACHE_LINE % PAGE == 0)) * line


def _block_rows(bytes_per_row: int, batch_size: int) -> int:
    fitting = min(BLOCK_BYTES // bytes_per_row, BLOCK_ROWS)
    return min(max(fitting, FEWEST_BLOCK_ROWS), batch_size)


def _chunk_rows(per_row: int, n_params: int, batch_size: int, block: int) -> int:
    """Rows of a chunk at most; 0 where a batch is not cut, as where it is more than one block."""
    fewest = max(FEWEST_CHUNK_ROWS, -(-ROWS_OVER_GRADIENT * n_params // per_row))
    n_chunks = 1
    while 2 * n_chunks <= min(MOST_CHUNKS, batch_size // fewest):
        n_chunks *= 2
    rows = -(-batch_size // n_chunks)
    return rows if n_chunks > 1 and block == batch_size else 0


def _check_addressable(fold: Fold, n_bytes: int) -> None:
    if n_bytes > sys.maxsize // 2:
        widest = max(fold.widths)
        raise ValueError(
            f"layers: expected a network that fits into memory; got {fold.n_params} parameters "
            f"(widest layer {widest}), whose buffers take {n_bytes} bytes"
        )


def _settings(loss: Loss | None, optimizer: Optimizer | None) -> NDArray[Any]:
    """The numbers of loss and optimizer: dataclass fields that bear the name of a setting."""
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
    """Weights (n_in, n_out) and biases (n_out,), None where a layer has none: parts of `flat`."""
    weights: list[NDArray[Any]] = []
    biases: list[NDArray[Any] | None] = []
    for n_in, n_out, start, bias in plan.places:
        weights.append(flat[start : start + n_in * n_out].reshape(n_in, n_out))
        biases.append(None if bias == NONE else flat[bias : bias + n_out])
    return weights, biases


def format_table(plan: Plan) -> str:
    """A table of the layers, as `Sequential.summary` prints it."""
    lines = [f"{'layer':<10}{'activation':<14}{'output shape':<16}{'parameters':>12}", "-" * 52]
    lines.append(f"{'input':<10}{'':<14}{f'(n, {plan.n_features})':<16}{0:>12,}")
    for index, row in enumerate(plan.layers):
        dense = row["kind"] == Kind.DENSE
        name = "Residual +" if row["kind"] == Kind.ADD else Kind(row["kind"]).name.title()
        last = index + 1 == len(plan.layers)
        split_off = last and plan.settings["link"][0] != Activation.LINEAR
        code = plan.settings["link"][0] if split_off else row["activation"]
        kind = Activation(code).name.lower() if dense else ""
        count = row["n_in"] * row["n_out"] + (row["n_out"] if row["bias"] != NONE else 0)
        shape = f"(n, {row['n_out']})"
        lines.append(f"{name:<10}{kind:<14}{shape:<16}{count if dense else 0:>12,}")
    size = plan.n_params * plan.dtype.itemsize
    lines += ["-" * 52, f"{plan.n_params:,} parameters, {size:,} bytes of {plan.dtype}"]
    return "\n".join(lines)
