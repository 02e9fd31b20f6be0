"""The Levenberg-Marquardt method; see `optimizers.LevenbergMarquardt`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.normal_equations import FLOAT64, LeastSquares
from fastnn._training.loop import NonFiniteLossError
from fastnn._training.source import Arrays
from fastnn._training.state import NetworkState, get_parameters, get_plan, get_views
from fastnn._util.conversion import convert
from fastnn._util.sparse_rows import require_dense
from fastnn.layers import iterate_dense_layers
from fastnn.optimizers import LevenbergMarquardt

Array = NDArray[Any]
Floats = NDArray[np.float64]

# The damping of an accepted step is divided by at most 3 (equation 2.21); it does not fall below
# this fraction of the diagonal, at which it is without effect in float64.
LEAST_DAMPING = 1e-20


@dataclass(frozen=True)
class Iteration:
    """The result of one iteration: an accepted step."""

    parameters: Floats  # (n_params,), valid until the next iteration
    loss: float
    columns: dict[str, float]
    """Further values for the history."""


def iterate(
    state: NetworkState, arrays: Arrays, optimizer: LevenbergMarquardt, n_threads: int | None,
    check: Callable[[], object],
) -> Iterator[Iteration]:  # fmt: skip
    """Iterate from the network's weights, which remain unchanged, until convergence.

    `check()` is called between parts of the work of an iteration.

    Raises
    ------
    NonFiniteLossError
        If the loss is not finite at these weights.
    """
    X, y, weights = _convert(arrays)
    total = float(len(y) if weights is None else weights.sum()) * y.shape[1]
    penalty = compute_penalties(state) * (total / 2)
    problem = LeastSquares(state.layers, X, y, weights, penalty, n_threads, check)
    problem.parameters[:] = get_parameters(state)
    for damping, evidence in _iterate_problem(problem, optimizer):
        squares = problem.compute_squares()
        if evidence is None:
            squares += problem.compute_penalty()
        columns = {"damping": damping} | ({} if evidence is None else asdict(evidence))
        yield Iteration(problem.parameters, squares / total, columns)


def compute_penalties(state: NetworkState) -> Floats:
    """The coefficient of w**2 / 2 in the loss for each parameter, (n_params,): `l2` for weights, 0
    for biases."""
    flat = np.zeros(get_plan(state).n_params)
    for layer, weights in zip(
        iterate_dense_layers(state.layers), get_views(state, flat)[0], strict=True
    ):
        weights[:] = layer.l2
    return flat


def _convert(arrays: Arrays) -> tuple[Floats, Floats, Floats | None]:
    """The selected rows of the features, targets and sample weights, in float64."""
    X, y, weights = (
        array if array is None or arrays.rows is None else array[arrays.rows]
        for array in (require_dense(arrays.X, "LevenbergMarquardt"), arrays.y, arrays.weights)
    )
    assert X is not None
    assert y is not None
    return (
        convert(X, FLOAT64), convert(y, FLOAT64),
        None if weights is None else convert(weights, FLOAT64),
    )  # fmt: skip


# ---- the method ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """An accepted step, which `problem.parameters` include."""

    value: float
    damping: float
    gain: float
    """The decrease of the value divided by the decrease that the quadratic model predicts."""


def _iterate_problem(
    problem: LeastSquares, optimizer: LevenbergMarquardt
) -> Iterator[tuple[float, Evidence | None]]:
    """Algorithm 3.16, in which rejected steps belong to the iteration of the next accepted one.
    Yields its damping, and the evidence of the penalty in it."""
    evidence = None
    value = problem.evaluate()
    if not math.isfinite(value):
        raise NonFiniteLossError("the loss was not finite at the initial weights")
    damping = least = math.nan
    while True:
        problem.linearize()
        if optimizer.regularization is not None:
            evidence = estimate_evidence(problem, evidence)
            problem.penalty[:] = evidence.alpha / evidence.beta
            value = 0.5 * (problem.compute_squares() + problem.compute_penalty())
        if math.isnan(damping):
            largest = float(problem.get_diagonal().max())
            damping, least = optimizer.damping * largest, LEAST_DAMPING * largest
        step = _find_step(problem, value, damping, optimizer.tol)
        if step is None:
            return
        yield step.damping, evidence
        value = step.value
        damping = max(least, step.damping * max(1 / 3, 1 - (2 * step.gain - 1) ** 3))


def _find_step(problem: LeastSquares, value: float, damping: float, tol: float) -> _Step | None:
    """Increase the damping until a step decreases the value; None if the step is negligible."""
    parameters, gradient = problem.parameters.copy(), problem.get_gradient()
    least, growth = tol * (_norm(parameters) + tol), 2.0
    while math.isfinite(damping) and gradient.any():
        step = problem.solve(damping, gradient)
        if step is not None:
            if _norm(step) <= least:
                return None
            np.add(parameters, step, out=problem.parameters)
            trial = problem.evaluate()
            predicted = 0.5 * float((step * (damping * step - gradient)).sum())
            if trial < value and predicted > 0:  # false if the trial is NaN
                return _Step(trial, damping, (value - trial) / predicted)
        damping *= growth
        growth *= 2
    return None


@dataclass(frozen=True)
class Evidence:
    """The hyperparameters of the objective beta E_D + alpha E_W."""

    effective_parameters: float
    alpha: float
    beta: float


def estimate_evidence(problem: LeastSquares, last: Evidence | None) -> Evidence:
    """Re-estimate the hyperparameters after a linearization; `last` is None before the first step,
    where all parameters count as effective."""
    p, n = len(problem.parameters), problem.residuals.size
    squares = problem.compute_squares()
    norm = float(np.square(problem.parameters).sum())
    gamma = float(p)
    if last is not None:
        gamma -= last.alpha / last.beta * problem.compute_inverse_trace()
    if not (0 <= gamma <= p and squares > 0 and norm > 0):  # rounding, or a perfect fit
        return last or Evidence(gamma, 1.0, 1.0)
    beta = (n - gamma) / squares
    return Evidence(gamma, gamma / norm, beta if beta > 0 else 1.0)


def _norm(x: Floats) -> float:
    """The Euclidean norm. BLAS's would depend on its number of threads."""
    return math.sqrt(float(np.square(x).sum()))
