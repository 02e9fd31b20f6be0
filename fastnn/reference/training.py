"""Training: for each minibatch, one update of the parameters that decreases the objective

    J = sum_i w_i loss_i / sum_i w_i  +  sum over the Dense layers of l1 sum|W| + l2/2 sum W**2

where i runs over the rows of the minibatch and w_i are sample weights. An epoch is one pass over
all rows, in random order. With targets of the Jacobian, its weighted error is added to loss_i (see
sobolev.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import prng
from fastnn._util.sparse_rows import SparseRows, get_dense_rows, take_rows
from fastnn.layers import Layer, get_output_activation, iterate_weighted_layers
from fastnn.losses import Loss, check_head
from fastnn.optimizers import is_lazy
from fastnn.reference import losses, network, optimizers, sobolev
from fastnn.reference.parameters import (
    Arrays,
    join,
    locate_parameters,
    penalty,
    penalty_gradient,
    split,
)

if TYPE_CHECKING:
    from fastnn._engine.job import Steps, TrainingJob

Array = NDArray[np.float64]
AnyArray = NDArray[Any]

# Functions decorated with `errstate` ignore overflow: if a network diverges, its objective is not
# finite, which ends the training.


# ---- the objective and its gradient --------------------------------------------------------------


def select_loss_layers(layers: tuple[Layer, ...], loss: Loss) -> tuple[Layer, ...]:
    """The layers whose outputs are the argument of the loss. For some losses these are the raw
    outputs, before the last activation."""
    raw = check_head(loss, get_output_activation(layers).name) == "raw"
    return network.without_last_activation(layers) if raw else layers


@np.errstate(all="ignore")
def predict(layers: tuple[Layer, ...], flat: AnyArray, X: AnyArray) -> Array:
    """Predictions (n, n_outputs) for X (n, n_features) with the parameters `flat` (n_params,)."""
    parameters = split(layers, X.shape[1], flat.astype(np.float64))
    raw_layers = network.without_last_activation(layers)
    raw, _ = network.forward(raw_layers, *parameters, X.astype(np.float64))
    return network.predictions(layers, raw)


@np.errstate(all="ignore")
def evaluate(
    layers: tuple[Layer, ...],
    loss: Loss,
    flat: AnyArray,
    X: AnyArray,
    y: AnyArray,
    sample_weight: AnyArray | None = None,
) -> tuple[Array, Array]:
    """The loss of each row (n,), multiplied by its sample weight if given, and the predictions
    (n, n_outputs), for X (n, n_features) and y (n, n_targets)."""
    parameters = split(layers, X.shape[1], flat.astype(np.float64))
    z, _ = network.forward(select_loss_layers(layers, loss), *parameters, X.astype(np.float64))
    head = get_output_activation(layers).name
    row_losses, _ = losses.value_and_gradient(loss, head, z, y.astype(np.float64))
    weight = 1.0 if sample_weight is None else sample_weight.astype(np.float64)
    return weight * row_losses, predict(layers, flat, X)


def get_row_weights(job: TrainingJob, rows: NDArray[np.int64]) -> Array:
    """The sample weights of these rows (n,); ones if the job has none."""
    if job.sample_weight is None:
        return np.ones(len(rows))
    return np.asarray(job.sample_weight[rows], dtype=np.float64)


@np.errstate(all="ignore")
def loss_and_gradients(
    job: TrainingJob, flat: AnyArray, rows: NDArray[np.int64], step: int, training: bool
) -> tuple[float, Arrays]:
    """J over the given rows, and its derivatives with respect to weights and biases.

    `step`, counted from the start of the job, selects the dropout masks, which are active only if
    `training`. The derivative of J with respect to the outputs of row i is w_i / sum(w) times the
    derivative of the row's loss; backpropagation starts from there.
    """
    weights, biases = split(job.layers, job.X.shape[1], flat.astype(np.float64))
    X, y, w = (
        get_dense_rows(job.X, rows).astype(np.float64),
        job.y[rows].astype(np.float64),
        get_row_weights(job, rows),
    )
    keys = network.dropout_keys(job.seed, job.first_step + step) if training else None
    z, backward = network.forward(
        select_loss_layers(job.layers, job.loss), weights, biases, X, keys
    )

    head = get_output_activation(job.layers).name
    row_losses, dz = losses.value_and_gradient(job.loss, head, z, y)
    value = w @ row_losses / w.sum() + penalty(job.layers, weights)

    _, gradients = backward(dz * (w / w.sum())[:, np.newaxis])
    if job.gradient_targets is not None:
        targets = job.gradient_targets[rows].astype(np.float64)
        error, added = sobolev.jacobian_error(
            job.layers, weights, biases, X, targets, job.gradient_weight * w / w.sum()
        )
        value += error
        gradients = [
            (dW + dV, None if db is None or dc is None else db + dc)
            for (dW, db), (dV, dc) in zip(gradients, added, strict=True)
        ]
    layers_and_gradients = zip(iterate_weighted_layers(job.layers), weights, gradients, strict=True)
    d_weights = [dW + penalty_gradient(layer, W) for layer, W, (dW, _) in layers_and_gradients]
    return float(value), (d_weights, [db for _, db in gradients])


# ---- steps and epochs ----------------------------------------------------------------------------


def make_epoch_order(job: TrainingJob, epoch: int) -> NDArray[np.int64]:
    """The rows of X in the order of one epoch. Epochs count all training of the network."""
    rows = np.arange(len(job.X)) if job.rows is None else job.rows
    if job.shuffle == "never":
        return rows
    index = job.first_epoch if job.shuffle == "once" else epoch
    return rows[
        prng.draw_permutation(prng.make_key(job.seed, prng.Purpose.SHUFFLE, index), len(rows))
    ]


def apply_update(
    job: TrainingJob, params: Array, slots: Array, gradient: Array, rate: float, t: int,
    rows: NDArray[np.int64],
) -> tuple[Array, Array]:  # fmt: skip
    """Parameters (n_params,) and slots (n_slots, n_params) after update t, for a batch of the given
    rows of X. Weight matrices and biases are updated one by one, because biases do not decay, and
    each layer may have its own factors of the learning rate."""
    (gradient,) = optimizers.clip(job.optimizer, [gradient])
    params_after, slots_after = params.copy(), slots.copy()
    for layer, _, *parts in locate_parameters(job.layers, job.X.shape[1]):
        factors = layer.learning_rate_factor, layer.bias_rate_factor
        for part, factor, is_bias in zip(parts, factors, (False, True), strict=True):
            if part is None:
                continue
            params_after[part], new_slots = optimizers.update(
                job.optimizer, params[part], gradient[part],
                tuple(slot[part] for slot in slots), rate * factor, t, is_bias,
            )  # fmt: skip
            for slot, values in zip(slots_after, new_slots, strict=True):
                slot[part] = values
    if is_lazy(job.optimizer):
        kept = find_untouched_weights(job, rows)
        params_after[kept], slots_after[:, kept] = params[kept], slots[:, kept]
    return params_after, slots_after


def find_untouched_weights(job: TrainingJob, rows: NDArray[np.int64]) -> NDArray[np.intp]:
    """The weights of the first layer, as indices into the flat parameters, that belong to features
    without an entry in these rows of a sparse X."""
    _, shape, weights, _ = next(iter(locate_parameters(job.layers, job.X.shape[1])))
    assert isinstance(job.X, SparseRows)
    part = take_rows(job.X, rows)
    untouched = np.setdiff1d(np.arange(shape[0]), part.columns[: part.starts[-1]])
    return np.arange(weights.start, weights.stop).reshape(shape)[untouched].ravel()


class Trainer:
    """A training run in float64. `params` (n_params,) and `slots` (n_slots, n_params), of any
    floating-point dtype, are changed in place after each step."""

    def __init__(self, job: TrainingJob, params: AnyArray, slots: AnyArray) -> None:
        self.job = job
        self.params = params
        self.slots = slots
        self.epoch = -1
        self.permutation = np.arange(0)

    @np.errstate(all="ignore")
    def run(self, steps: Steps, seconds: float) -> None:
        """Make the remaining steps; see `fastnn._engine.job.Trainer`.

        For each step, `steps` records the objective before the update and the sum of the sample
        weights of the batch. The call returns early when the time limit `seconds` is reached, or
        when an objective is not finite: it is the last one, and no update follows it. A batch
        whose weights sum to 0 has the loss 0 and causes no update.
        """
        deadline = time.monotonic() + seconds
        params, slots = self.params.astype(np.float64), self.slots.astype(np.float64)
        for rows in self._iterate_batches(steps.first + steps.done, steps.first + len(steps.rates)):
            i = steps.done
            total, value = float(get_row_weights(self.job, rows).sum()), 0.0
            if total > 0:
                value, gradients = loss_and_gradients(
                    self.job, params, rows, steps.first + i, training=True
                )
            steps.losses[i], steps.batch_weights[i] = value, total
            if total > 0 and np.isfinite(value):
                params, slots = apply_update(
                    self.job, params, slots, join(*gradients), steps.rates[i],
                    steps.optimizer_step + i + 1, rows,
                )  # fmt: skip
                # One statement without a call: no signal is handled in between, so after an
                # interrupt parameters, slots and the number of steps belong to the same step.
                self.params[:], self.slots[:], steps.done = params, slots, i + 1
                params, slots = self.params.astype(np.float64), self.slots.astype(np.float64)
            steps.done = i + 1
            if not np.isfinite(value) or time.monotonic() > deadline:
                break

    def _iterate_batches(self, first: int, last: int) -> Iterator[NDArray[np.int64]]:
        """The rows of steps first..last, `batch_size` for each step; the last batch of an epoch may
        have fewer."""
        job = self.job
        for step in range(first, last):
            epoch, batch = divmod(step, job.steps_per_epoch)
            if epoch != self.epoch:
                self.epoch, self.permutation = epoch, make_epoch_order(job, job.first_epoch + epoch)
            yield self.permutation[batch * job.batch_size : (batch + 1) * job.batch_size]
