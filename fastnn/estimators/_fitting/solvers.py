"""Training a network for an estimator: by minibatches, or by L-BFGS on all rows."""

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
from fastnn.estimators._fitting.early_stopping import Watch
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.samples import Rows
from fastnn.history import History
from fastnn.layers import Dense, Layer
from fastnn.model import Sequential, replace_layers
from fastnn.optimizers import SGD, Adam, AdamW, Optimizer
from fastnn.schedules import InverseTimeDecay, Schedule

Array = NDArray[Any]

# The workspace that OpenBLAS, which scipy calls, allocates at its first call: 32 MiB and a page. If
# that fails, it tries again for ever (0.3.30) or ends the process (later versions); so the same
# amount is asked for first, which raises MemoryError. It is not touched.
BYTES_OF_BLAS = 2**25 + 2**16


@dataclass
class Trained:
    """A network in training. It holds its best weights between fits, and `last` those to go on
    from, where they are others."""

    network: Sequential
    last: Array | None = None
    _linear: tuple[tuple[Layer, ...], Sequential] | None = None
    """The network without its last activation, and the layers that it was made of."""

    def network_for(self, linear: bool) -> Sequential:
        """The network, or one on the same parameters without the activation of its last layer."""
        if not linear:
            return self.network
        layers = self.network.layers
        if self._linear is None or self._linear[0] is not layers:
            *before, last = layers
            assert isinstance(last, Dense)
            outputs = replace(last, activation="linear")
            self._linear = layers, replace_layers(self.network, (*before, outputs))
        return self._linear[1]

    def resume(self) -> None:
        """Take up the weights of the last step."""
        if self.last is not None:
            self.network.parameters[:] = self.last
            self.last = None

    def settle(self, best: Array | None) -> None:
        """Show the best weights, and keep the last."""
        if best is not None and not np.array_equal(best, self.network.parameters):
            self.last = self.network.parameters.copy()
            self.network.parameters[:] = best


@dataclass(frozen=True)
class Run:
    """One call of a stochastic solver."""

    objective: Objective
    optimizer: Optimizer
    rate_factor: float
    batch_size: int
    shuffle: bool
    epochs: int
    horizon: int | None
    """Steps for a schedule that names none; None where unknown."""


def make_optimizer(params: Any, objective: Objective, rate: float | Schedule) -> Optimizer:
    """The optimizer of an estimator's parameters, for the engine's gradients; SGD's learning rate
    is converted by `Run.rate_factor`."""
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


def rates(params: Any, n_rows: int, steps_per_epoch: int) -> float | Schedule:
    """The learning rate, or the schedule, of a fit. scikit-learn's "invscaling" falls once per
    epoch, by the number of rows seen; its Adam knows no schedule."""
    if isinstance(params.learning_rate, Schedule):
        return params.learning_rate
    rate: float = params.learning_rate_init
    if params.solver == "sgd" and params.learning_rate == "invscaling":
        return InverseTimeDecay(rate, n_rows, params.power_t, every=steps_per_epoch)
    return rate


def rate_now(params: Any, rows_seen: int) -> float | Schedule:
    """The same for a single epoch after so many rows."""
    rate = rates(params, rows_seen, 1)
    if isinstance(rate, InverseTimeDecay) and rate is not params.learning_rate:
        return float(rate.initial_learning_rate / (1 + rows_seen) ** rate.power)
    return rate


def _continue_optimizer(state: NetworkState, run: Run) -> OptimizerState:
    """The optimizer's state for this run: that of the last one, where it minimized the same loss
    with an optimizer of the same kind."""
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
    trained: Trained, run: Run, rows: Rows, validate: Callable[[], dict[str, float]] | None,
    watch: Watch,
) -> History:  # fmt: skip
    """Train by minibatches; returns what was recorded."""
    state = trained.network.state
    state.optimizer = _continue_optimizer(state, run)
    shuffle = "epoch" if run.shuffle else "never"
    job = make_job(state, state.optimizer, rows.arrays, run.batch_size, shuffle)
    trainer = make_trainer(state, job)
    trained.resume()
    return run_epochs(TrainingRun(
        network=trained.network, state=state, job=job, trainer=trainer, epochs=run.epochs,
        validate=validate, callbacks=[watch], deadline=watch.deadline,
    ))  # fmt: skip


def minimize(
    trained: Trained, objective: Objective, rows: Rows, options: dict[str, Any],
    after: Callable[[float], bool],
) -> Any:  # fmt: skip
    """Train by scipy's L-BFGS-B on all rows at once; returns scipy's result. `after` hears the
    engine's loss after each iteration, which is a step on all rows; True stops. An error leaves the
    weights of the last one."""
    from scipy.optimize import minimize as scipy_minimize

    state = trained.network.state
    parameters = get_parameters(state)
    trained.resume()
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

    np.empty(BYTES_OF_BLAS, np.uint8)
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
        raise not_finite("L-BFGS met a loss that is not finite")
    return result


class NonFiniteError(ValueError):
    """Training diverged, and there are no earlier weights to keep."""


def not_finite(reason: str) -> NonFiniteError:
    """The error in scikit-learn's words, with a reason."""
    return NonFiniteError(
        "Solver produced non-finite parameter weights. The input data may contain large values "
        f"and need to be preprocessed. ({reason})"
    )
