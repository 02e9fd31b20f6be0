"""The solvers of the estimators: SGD and Adam on minibatches; L-BFGS and Levenberg-Marquardt on all
rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import optimizers
from fastnn._training import full_batch, lbfgs
from fastnn._training.jobs import make_job, make_trainer
from fastnn._training.loop import NonFiniteLossError, TrainingRun, run_epochs
from fastnn._training.state import (
    NetworkState,
    OptimizerState,
    get_parameters,
    initialize_optimizer,
)
from fastnn.estimators._fitting.early_stopping import EpochMonitor
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.samples import EncodedRows
from fastnn.history import History
from fastnn.layers import Dense, Layer
from fastnn.model import Sequential, make_sequential, replace_layers
from fastnn.optimizers import SGD, Adam, AdamW, LevenbergMarquardt, Optimizer
from fastnn.schedules import InverseTimeDecay, Schedule

Array = NDArray[Any]


@dataclass
class TrainedNetwork:
    """A network in training. Between fits it holds its best weights. If these are not the weights
    of the last step, `last` holds the latter, to continue training from."""

    network: Sequential
    last: Array | None = None
    _linear: tuple[tuple[Layer, ...], Sequential] | None = None
    """The network without its last activation, and the layers from which it was built."""

    def get_network(self, linear: bool) -> Sequential:
        """The network, or with `linear` one that shares its parameters and has no activation in the
        last layer."""
        if not linear:
            return self.network
        layers = self.network.layers
        if self._linear is None or self._linear[0] is not layers:
            *before, last = layers
            assert isinstance(last, Dense)
            outputs = replace(last, activation="linear")
            self._linear = layers, replace_layers(self.network, (*before, outputs))
        return self._linear[1]

    def restore_last(self) -> None:
        """Restore the weights of the last step."""
        if self.last is not None:
            self.network.parameters[:] = self.last
            self.last = None

    def show_best(self, best: Array | None) -> None:
        """Put the best weights into the network, and keep those of the last step in `last`."""
        if best is not None and not np.array_equal(best, self.network.parameters):
            self.last = self.network.parameters.copy()
            self.network.parameters[:] = best


def make_trained(state: NetworkState, last: Array | None) -> TrainedNetwork:
    """A network with this state, which it keeps, and a copy of its last weights."""
    return TrainedNetwork(make_sequential(state), None if last is None else last.copy())


@dataclass(frozen=True, kw_only=True)
class SolverRun:
    """The arguments of one run of SGD or Adam."""

    objective: Objective
    optimizer: Optimizer
    rate_factor: float
    """The engine's learning rate divided by the estimator's."""
    batch_size: int
    shuffle: bool
    epochs: int
    horizon: int | None
    """Number of steps for a schedule without one of its own; None if unknown."""


def make_optimizer(params: Any, objective: Objective, rate: float | Schedule) -> Optimizer:
    """The optimizer that an estimator's parameters describe, converted to the engine's gradients;
    `SolverRun.rate_factor` converts SGD's learning rate."""
    scale = objective.gradient_scale
    clip = None if params.clip_norm is None else params.clip_norm / scale
    if params.solver == "sgd":
        return SGD(rate, params.momentum, params.nesterovs_momentum, clip_norm=clip)
    moments = {
        "beta_1": params.beta_1, "beta_2": params.beta_2, "epsilon": params.epsilon / scale,
        "clip_norm": clip,
    }  # fmt: skip
    if params.weight_decay:
        return AdamW(rate, params.weight_decay, **moments)
    return Adam(rate, **moments)


def make_learning_rate(params: Any, n_rows: int, steps_per_epoch: int) -> float | Schedule:
    """The learning rate or the schedule of a fit. As in scikit-learn, "invscaling" decays once per
    epoch with the number of rows seen, and applies to SGD only."""
    if isinstance(params.learning_rate, Schedule):
        return params.learning_rate
    rate: float = params.learning_rate_init
    if params.solver == "sgd" and params.learning_rate == "invscaling":
        return InverseTimeDecay(rate, n_rows, params.power_t, every=steps_per_epoch)
    return rate


def get_current_rate(params: Any, rows_seen: int) -> float | Schedule:
    """The learning rate of a single epoch after `rows_seen` rows."""
    rate = make_learning_rate(params, rows_seen, 1)
    if isinstance(rate, InverseTimeDecay) and rate is not params.learning_rate:
        return float(rate.initial_learning_rate / (1 + rows_seen) ** rate.power)
    return rate


def _continue_optimizer(state: NetworkState, run: SolverRun) -> OptimizerState:
    """The optimizer's state for this run: the state of the previous run if it minimized the same
    loss with an optimizer of the same class, otherwise a new one."""
    loss, optimizer, last = run.objective.loss, run.optimizer, state.optimizer
    parameters = get_parameters(state)
    shape = (optimizer.n_slots, len(parameters))
    if last is None or last.loss != loss or last.slots.shape != shape or (
        type(last.optimizer) is not type(optimizer)
    ):  # fmt: skip
        last = initialize_optimizer(loss, optimizer, parameters, run.horizon, run.rate_factor)
    horizon = run.horizon if last.horizon is None else last.horizon
    optimizers.check_horizon(optimizer, horizon)
    return replace(last, optimizer=optimizer, horizon=horizon)


def train(
    trained: TrainedNetwork,
    run: SolverRun,
    rows: EncodedRows,
    validate: Callable[[], dict[str, float]] | None,
    monitor: EpochMonitor,
) -> History:
    """Train by minibatches; returns the history of losses and metrics."""
    state = trained.network.state
    state.optimizer = _continue_optimizer(state, run)
    shuffle = "epoch" if run.shuffle else "never"
    job = make_job(state, run.objective.loss, run.optimizer, rows.arrays, run.batch_size, shuffle)
    trainer = make_trainer(state, job)
    trained.restore_last()
    return run_epochs(TrainingRun(
        network=trained.network, state=state, job=job, trainer=trainer, epochs=run.epochs,
        validate=validate, callbacks=[monitor], deadline=monitor.deadline,
    ))  # fmt: skip


def minimize(
    trained: TrainedNetwork, objective: Objective, rows: EncodedRows, options: dict[str, Any],
    after: Callable[[float], bool],
) -> Any:  # fmt: skip
    """Train by L-BFGS on all rows; returns scipy's result. See `lbfgs.minimize`."""
    trained.restore_last()
    try:
        return lbfgs.minimize(
            trained.network.state, objective.loss, rows.arrays, options, after,
            scale=objective.gradient_scale,
        )  # fmt: skip
    except NonFiniteLossError as error:
        raise make_non_finite_error(str(error)) from None


def minimize_squares(
    trained: TrainedNetwork, rows: EncodedRows, after: Callable[[float, dict[str, float]], bool],
    deadline: float,
) -> str:  # fmt: skip
    """Train by Levenberg-Marquardt on all rows; returns why it ended."""
    trained.restore_last()
    try:
        return full_batch.minimize_squares(
            trained.network.state, rows.arrays, LevenbergMarquardt(), after, deadline
        )
    except NonFiniteLossError as error:
        raise make_non_finite_error(str(error)) from None


class NonFiniteError(ValueError):
    """Training diverged, and no earlier weights can be kept."""


def make_non_finite_error(reason: str) -> NonFiniteError:
    """Make an error with scikit-learn's message and a reason."""
    return NonFiniteError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        f"and need to be preprocessed. ({reason})"
    )
