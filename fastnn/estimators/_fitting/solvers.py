"""The solvers of the estimators: SGD and Adam on minibatches, L-BFGS on all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import optimizers
from fastnn._engine import native
from fastnn._training.fit import make_job, make_trainer
from fastnn._training.gradients import make_full_batch_job
from fastnn._training.loop import TrainingRun, run_epochs
from fastnn._training.state import (
    NetworkState,
    OptimizerState,
    get_parameters,
    initialize_optimizer,
)
from fastnn._util.conversion import all_finite
from fastnn.estimators._fitting.early_stopping import EpochMonitor
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.samples import EncodedRows
from fastnn.history import History
from fastnn.layers import Dense, Layer
from fastnn.model import Sequential, replace_layers
from fastnn.optimizers import SGD, Adam, AdamW, Optimizer
from fastnn.schedules import InverseTimeDecay, Schedule

Array = NDArray[Any]

# The workspace that OpenBLAS, which scipy calls, allocates at its first call: 32 MiB and a page. If
# that allocation fails, OpenBLAS retries forever (0.3.30) or ends the process (later versions).
# Allocating the same amount beforehand raises MemoryError instead; the memory is not touched.
BLAS_WORKSPACE_BYTES = 2**25 + 2**16


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
    """Train by scipy's L-BFGS-B on all rows; returns scipy's result.

    `after` is called with the engine's loss after each iteration, which counts as one step;
    training stops if it returns True. After an error the network has the weights of the last
    completed iteration."""
    from scipy.optimize import minimize as scipy_minimize

    state = trained.network.state
    parameters = get_parameters(state)
    trained.restore_last()
    scale = objective.gradient_scale
    job = make_full_batch_job(state, objective.loss, rows.arrays)
    evaluate = native.make_objective(job, parameters, training=False, n_threads=None)

    def value_and_gradient(x: Array) -> tuple[float, Array]:
        parameters[:] = x
        value, gradient = evaluate()
        return scale * value, scale * gradient.astype(np.float64)

    accepted = parameters.copy()

    def after_iteration(intermediate_result: Any) -> None:
        accepted[:] = intermediate_result.x
        parameters[:], state.n_steps = accepted, state.n_steps + 1
        if after(intermediate_result.fun / scale):
            raise StopIteration

    np.empty(BLAS_WORKSPACE_BYTES, np.uint8)
    start, n_steps = parameters.astype(np.float64), state.n_steps
    try:
        result = scipy_minimize(
            value_and_gradient, start, method="L-BFGS-B", jac=True, options=options,
            callback=after_iteration,
        )  # fmt: skip
    except BaseException:
        parameters[:] = accepted
        raise
    parameters[:] = result.x
    if not all_finite(parameters):
        parameters[:], state.n_steps = start, n_steps
        raise make_non_finite_error("the loss became non-finite in L-BFGS")
    return result


class NonFiniteError(ValueError):
    """Training diverged, and no earlier weights can be kept."""


def make_non_finite_error(reason: str) -> NonFiniteError:
    """Make an error with scikit-learn's message and a reason."""
    return NonFiniteError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        f"and need to be preprocessed. ({reason})"
    )
