"""A fit of one network, with checked arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from fastnn import callbacks, optimizers
from fastnn._engine.plan import Plan
from fastnn._training import class_weights, full_batch, restrictions, scoring
from fastnn._training.arguments import Options, limit_batch_size
from fastnn._training.diagnostics import Diagnostics
from fastnn._training.exclusive import lock_model
from fastnn._training.jobs import make_job, make_trainer
from fastnn._training.loop import TrainingRun, run_epochs
from fastnn._training.source import Arrays
from fastnn._training.state import (
    HasState,
    NetworkState,
    OptimizerState,
    build,
    copy_shallow,
    get_parameters,
    initialize_optimizer,
)
from fastnn._util.sparse_rows import require_dense
from fastnn.callbacks import Network, Running
from fastnn.history import History
from fastnn.losses import Loss
from fastnn.optimizers import FullBatch, LevenbergMarquardt, Optimizer

# When several networks are trained, one whose parameters, gradients and slots exceed this size is
# trained alone on all threads instead of next to others on one thread each. Measured for two
# networks on two cores, ratio of the times of one after another to next to each other: 1.12 at 2 MB
# per network, 1.26 at 4, 1.07 at 10, 1.13 at 28, 0.93 at 89 MB, where both exceed the L3 cache.
WIDE_BYTES = 48 * 2**20

Validate = Callable[[], dict[str, float]] | None
"""A function that returns the values to record after an epoch, if there are any."""


class Model(Network, HasState, Protocol):
    """The part of `Sequential` that training uses."""


@contextmanager
def train_exclusively(model: Model) -> Iterator[NetworkState]:
    """A context in which only the calling thread can train the model; yields its state. After an
    error before the first training step, the previous state is restored."""
    with lock_model(model):
        state = model.state
        before = copy_shallow(state)
        try:
            yield state
        except BaseException:
            if state.n_steps == before.n_steps:
                model.state = before
            raise


# ---- one fit -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A prepared fit. It can be run once, as callbacks keep state."""

    model: Model
    plan: Plan
    feature_names: tuple[str, ...] | None
    arrays: Arrays
    options: Options
    callbacks: list[Running]
    validation: Arrays | None = None
    scored: Arrays | None = None
    """Training rows whose metric is recorded after each epoch."""

    def run(self) -> History:
        """Build the network if necessary, and train it."""
        with train_exclusively(self.model) as state:
            return self._train(state)

    def _train(self, state: NetworkState) -> History:
        build_for(state, self.plan, self.feature_names)
        evaluated = self.validation is not None or self.scored is not None
        validate = self._evaluate if evaluated else None
        optimizer = self.options.optimizer
        if isinstance(optimizer, FullBatch):
            return self._train_on_all_rows(state, optimizer, validate)
        return self._train_on_minibatches(state, optimizer, validate)

    def _train_on_all_rows(
        self, state: NetworkState, optimizer: FullBatch, validate: Validate
    ) -> History:
        options = self.options
        state.optimizer = initialize_optimizer(
            options.loss, optimizer, get_parameters(state), horizon=None
        )
        return full_batch.run_iterations(full_batch.FullBatchRun(
            network=self.model, state=state, optimizer=optimizer, loss=options.loss,
            arrays=self.arrays, epochs=options.epochs, validate=validate,
            callbacks=self.callbacks, verbose=options.verbose, engine=options.engine,
            n_threads=options.n_threads,
        ))  # fmt: skip

    def _train_on_minibatches(
        self, state: NetworkState, optimizer: Optimizer, validate: Validate
    ) -> History:
        options, arrays = self.options, self.arrays
        size = limit_batch_size(options.batch_size, len(arrays))
        if options.reset_optimizer or state.optimizer is None:
            horizon = max(1, options.epochs * -(-len(arrays) // size))
            state.optimizer = initialize_optimizer(
                options.loss, optimizer, get_parameters(state), horizon
            )
        job = make_job(
            state, options.loss, optimizer, arrays, size, options.shuffle,
            options.gradient_weight,
        )  # fmt: skip
        diagnostics = [Diagnostics(state, job, options.epochs)] if options.diagnostics else []
        history = run_epochs(TrainingRun(
            network=self.model, state=state, job=job,
            trainer=make_trainer(state, job, options.engine, options.n_threads),
            epochs=options.epochs, validate=validate,
            callbacks=[*self.callbacks, *diagnostics], verbose=options.verbose,
        ))  # fmt: skip
        for one in diagnostics:
            one.complete(history)
        return history

    def _compute_scores(self, arrays: Arrays) -> dict[str, float]:
        options = self.options
        return scoring.evaluate(self.model.state, options.loss, arrays, options.n_threads)

    def _evaluate(self) -> dict[str, float]:
        """The values to record after an epoch, in addition to its training loss."""
        scores = {} if self.scored is None else self._compute_scores(self.scored)
        scores.pop("loss", None)  # History has the loss of the training steps
        if self.validation is not None:
            validation = self._compute_scores(self.validation)
            scores |= {f"val_{name}": value for name, value in validation.items()}
        return scores

    def compute_score(self, history: History) -> float:
        """The score of the trained network, higher is better: the metric on the validation data, or
        the negative loss there if the loss has no metric; without validation data, the negative
        training loss of the last epoch."""
        if self.validation is None:
            return -float(history["loss"][-1]) if history.n_epochs else math.nan
        scores = self._compute_scores(self.validation)
        metric = scoring.get_metric_name(self.options.loss)
        return scores[metric] if metric else -scores["loss"]

    @property
    def is_wide(self) -> bool:
        """Whether the fit is faster on all threads than next to another fit; see `WIDE_BYTES`."""
        arrays_per_weight = 2 + self.options.optimizer.n_slots  # parameters, gradients, slots
        itemsize = self.model.state.dtype.itemsize
        return arrays_per_weight * self.plan.n_params * itemsize > WIDE_BYTES

    @property
    def flops(self) -> float:
        """An estimate of the number of FLOPs of the fit."""
        return 3 * self.plan.prediction_flops_per_row * len(self.arrays) * self.options.epochs


def make_fit(
    model: Model, options: Options, plan: Plan, feature_names: tuple[str, ...] | None,
    arrays: Arrays, validation: Arrays | None, scored: Arrays | None = None,
) -> Fit:  # fmt: skip
    """Prepare a fit, and check the names that callbacks monitor."""
    optimizer = options.optimizer
    recorded = ["loss", "learning_rate", "seconds"]
    if isinstance(optimizer, FullBatch):
        restrictions.check_size(optimizer, plan.n_params)
        if isinstance(optimizer, LevenbergMarquardt):
            require_dense(arrays.X, "LevenbergMarquardt")
        recorded = restrictions.get_columns(optimizer)
    metrics = [name for name in (scoring.get_metric_name(options.loss),) if name is not None]
    if scored is not None:
        if not metrics:
            expected = "train_metrics: expected False for a loss without metric"
            raise ValueError(f"{expected}; got True for {options.loss}")
        recorded += metrics
    if validation is not None:
        recorded += ["val_loss", *(f"val_{name}" for name in metrics)]
    running = callbacks.start(options.callbacks, recorded)
    return Fit(
        model=model, plan=plan, feature_names=feature_names, arrays=arrays, options=options,
        callbacks=running, validation=validation, scored=scored,
    )  # fmt: skip


# ---- the parts of a fit --------------------------------------------------------------------------


def split_validation(
    state: NetworkState, arrays: Arrays, validation_split: Any, loss: Loss
) -> tuple[Arrays, Arrays]:
    """Split into training and validation rows."""
    parts = class_weights.draw_validation_rows(arrays.y, loss, validation_split, state.seed)
    for rows in parts:
        if arrays.weights is not None and not arrays.weights[rows].any():
            raise ValueError(
                "sample_weight: expected weights above 0 in both the training rows and the "
                "validation rows; got none"
            )
    return arrays.select(parts[0]), arrays.select(parts[1])


def apply_class_weight(arrays: Arrays, class_weight: Any, loss: Loss, plan: Plan) -> Arrays:
    """The arrays with sample weights multiplied by the weights of the classes."""
    weights = class_weights.compute_row_weights(
        class_weight, arrays.y, loss, plan.n_outputs, arrays.weights, arrays.rows
    )
    return replace(arrays, weights=weights)


def build_for(state: NetworkState, plan: Plan, feature_names: tuple[str, ...] | None) -> None:
    """Build the network if necessary, and set its feature names unless they are set."""
    build(state, plan.n_features)
    if state.feature_names_in is None:
        state.feature_names_in = feature_names


def continue_optimizer(state: NetworkState, loss: Loss, optimizer: Optimizer) -> OptimizerState:
    """The optimizer state of the last training if it had the same loss and optimizer, otherwise a
    new one."""
    last = state.optimizer
    continues = last is not None and (last.loss, last.optimizer) == (loss, optimizer)
    optimizers.check_horizon(optimizer, last.horizon if continues and last else None)
    if continues and last:
        return last
    return initialize_optimizer(loss, optimizer, get_parameters(state), None)
