"""Training: minibatch after minibatch, a step against the gradient of the objective

    J = sum_i w_i loss_i / sum_i w_i  +  sum over the Dense layers of l1 sum|W| + l2/2 sum W**2

over the rows i of the batch with sample weights w_i. An epoch is one pass over all rows, in a
random order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import prng
from fastnn.layers import Layer, get_output_activation, iterate_dense_layers
from fastnn.losses import Loss, check_head
from fastnn.reference import losses, network, optimizers
from fastnn.reference.parameters import Arrays, join, penalty, penalty_gradient, places, split

if TYPE_CHECKING:
    from fastnn._engine.job import Steps, TrainingJob

Array = NDArray[np.float64]
AnyArray = NDArray[Any]

# Functions marked `errstate` let overflow pass in silence: a diverged network shows it in the
# objective, which ends the training.


# ---- the objective and its gradient --------------------------------------------------------------


def loss_layers(layers: tuple[Layer, ...], loss: Loss) -> tuple[Layer, ...]:
    """The layers whose outputs the loss is computed from: some losses take them raw."""
    raw = check_head(loss, get_output_activation(layers).name) == "raw"
    return network.without_last_activation(layers) if raw else layers


@np.errstate(all="ignore")
def predict(layers: tuple[Layer, ...], flat: AnyArray, X: AnyArray) -> Array:
    """The network's outputs, (n, n_outputs)."""
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
    """The loss of each row, times its weight where there are weights, and the predictions."""
    parameters = split(layers, X.shape[1], flat.astype(np.float64))
    z, _ = network.forward(loss_layers(layers, loss), *parameters, X.astype(np.float64))
    head = get_output_activation(layers).name
    row_losses, _ = losses.value_and_gradient(loss, head, z, y.astype(np.float64))
    weight = 1.0 if sample_weight is None else sample_weight.astype(np.float64)
    return weight * row_losses, predict(layers, flat, X)


def row_weights(job: TrainingJob, rows: NDArray[np.int64]) -> Array:
    """The sample weights of some rows, 1 where there are none."""
    if job.sample_weight is None:
        return np.ones(len(rows))
    return np.asarray(job.sample_weight[rows], dtype=np.float64)


@np.errstate(all="ignore")
def loss_and_gradients(
    job: TrainingJob, flat: AnyArray, rows: NDArray[np.int64], step: int, training: bool
) -> tuple[float, Arrays]:
    """J over some rows, and its derivatives by weights and biases. Step `step` of this job draws
    the dropout masks, which are active in training only.

    The derivative of J by the outputs of row i is w_i / sum(w) times that of the row's loss; from
    there the network carries it back.
    """
    weights, biases = split(job.layers, job.X.shape[1], flat.astype(np.float64))
    X, y, w = job.X[rows].astype(np.float64), job.y[rows].astype(np.float64), row_weights(job, rows)
    keys = network.dropout_keys(job.seed, job.first_step + step) if training else None
    z, backward = network.forward(loss_layers(job.layers, job.loss), weights, biases, X, keys)

    head = get_output_activation(job.layers).name
    row_losses, dz = losses.value_and_gradient(job.loss, head, z, y)
    value = w @ row_losses / w.sum() + penalty(job.layers, weights)

    _, gradients = backward(dz * (w / w.sum())[:, np.newaxis])
    layers_and_gradients = zip(iterate_dense_layers(job.layers), weights, gradients, strict=True)
    d_weights = [dW + penalty_gradient(layer, W) for layer, W, (dW, _) in layers_and_gradients]
    return float(value), (d_weights, [db for _, db in gradients])


# ---- steps and epochs ----------------------------------------------------------------------------


def epoch_order(job: TrainingJob, epoch: int) -> NDArray[np.int64]:
    """The order of the rows in one epoch of the network's life."""
    rows = np.arange(len(job.X)) if job.rows is None else job.rows
    if job.shuffle == "never":
        return rows
    counted = job.first_epoch if job.shuffle == "once" else epoch
    key = prng.make_key(job.seed, prng.Purpose.SHUFFLE, counted)
    return rows[prng.draw_permutation(key, len(rows))]


def step_of_optimizer(
    job: TrainingJob, params: Array, slots: Array, gradient: Array, rate: float, t: int
) -> tuple[Array, Array]:
    """All parameters and slots after one update, each weight matrix and bias for itself."""
    (gradient,) = optimizers.clip(job.optimizer, [gradient])
    params_after, slots_after = params.copy(), slots.copy()
    for _, _, *parts in places(job.layers, job.X.shape[1]):
        for part, is_bias in zip(parts, (False, True), strict=True):
            if part is None:
                continue
            params_after[part], kept = optimizers.update(
                job.optimizer, params[part], gradient[part],
                tuple(slot[part] for slot in slots), rate, t, is_bias,
            )  # fmt: skip
            for slot, values in zip(slots_after, kept, strict=True):
                slot[part] = values
    return params_after, slots_after


class Trainer:
    """A training run in float64; `params` (n_params,) and `slots` (n_slots, n_params), of any
    precision, are changed in place after each step."""

    def __init__(self, job: TrainingJob, params: AnyArray, slots: AnyArray) -> None:
        self.job = job
        self.params = params
        self.slots = slots
        self.epoch = -1
        self.order = np.arange(0)

    @np.errstate(all="ignore")
    def run(self, steps: Steps, seconds: float) -> None:
        """Go on with these minibatch steps.

        Written down for each: the objective before its update and the sum of its batch's weights.
        The call ends early when `seconds` have passed, or when an objective is not finite: that
        one is the last, and no update follows it. Neither does one follow a batch of total
        weight 0, whose loss counts as 0.
        """
        deadline = time.monotonic() + seconds
        params, slots = self.params.astype(np.float64), self.slots.astype(np.float64)
        for rows in self._batches(steps.first + steps.done, steps.first + len(steps.rates)):
            i = steps.done
            total, value = float(row_weights(self.job, rows).sum()), 0.0
            if total > 0:
                value, gradients = loss_and_gradients(
                    self.job, params, rows, steps.first + i, training=True
                )
            steps.losses[i], steps.batch_weights[i] = value, total
            if total > 0 and np.isfinite(value):
                params, slots = step_of_optimizer(
                    self.job, params, slots, join(*gradients), steps.rates[i],
                    steps.optimizer_step + i + 1,
                )  # fmt: skip
                # One statement without a call: no signal comes between, so an interrupt leaves
                # parameters, slots and their count of the same step.
                self.params[:], self.slots[:], steps.done = params, slots, i + 1
                params, slots = self.params.astype(np.float64), self.slots.astype(np.float64)
            steps.done = i + 1
            if not np.isfinite(value) or time.monotonic() > deadline:
                break

    def _batches(self, first: int, last: int) -> Iterator[NDArray[np.int64]]:
        """The rows of steps first..last: `batch_size` of them, the last batch of an epoch what is
        left."""
        job = self.job
        for step in range(first, last):
            epoch, batch = divmod(step, job.steps_per_epoch)
            if epoch != self.epoch:
                self.epoch, self.order = epoch, epoch_order(job, job.first_epoch + epoch)
            yield self.order[batch * job.batch_size : (batch + 1) * job.batch_size]
