"""The Levenberg-Marquardt method: damped Gauss-Newton steps for the squared error.

With the residuals r, their Jacobian J with respect to the parameters w, and D, which contains the
`l2` penalties, half the sum of squares and its quadratic approximation at w are

    F(w) = 1/2 r^T r + 1/2 w^T D w
    F(w + h) ~ F(w) + g^T h + 1/2 h^T (J^T J + D) h,    g = J^T r + D w

The step h minimizes the approximation plus 1/2 damping h^T h. K. Madsen, H. Nielsen, O. Tingleff,
"Methods for non-linear least squares problems", 2004, algorithm 3.16.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.sparse_rows import require_dense
from fastnn.optimizers import LevenbergMarquardt
from fastnn.reference.derivatives import parameter_jacobian
from fastnn.reference.parameters import locate_parameters, split
from fastnn.reference.training import get_row_weights, predict

if TYPE_CHECKING:
    from fastnn._engine.job import TrainingJob

Array = NDArray[np.float64]


def penalties(job: TrainingJob) -> Array:
    """The `l2` of each parameter, (n_params,); 0 for biases."""
    located = list(locate_parameters(job.layers, job.X.shape[1]))
    _, _, weights, bias = located[-1]
    diagonal = np.zeros((bias or weights).stop)
    for layer, _, weights, _ in located:
        diagonal[weights] = layer.l2
    return diagonal


@np.errstate(all="ignore")
def iterate_levenberg_marquardt(
    job: TrainingJob, start: NDArray[Any], optimizer: LevenbergMarquardt
) -> Iterator[tuple[Array, float, float]]:
    """Yields the parameters after each accepted step, their loss, and the damping of the step,
    until a step is negligible."""
    rows = np.arange(len(job.X)) if job.rows is None else job.rows
    X, y = (
        require_dense(job.X, "LevenbergMarquardt")[rows].astype(np.float64),
        job.y[rows].astype(np.float64),
    )
    roots = np.sqrt(get_row_weights(job, rows))[:, np.newaxis]
    scale = 2 / (np.sum(roots**2) * y.shape[1])  # the loss is scale * F
    D = penalties(job) / scale
    w = start.astype(np.float64)

    def residuals(w: Array) -> Array:
        return (roots * (predict(job.layers, w, X) - y)).ravel()

    def jacobian(w: Array) -> Array:
        J = parameter_jacobian(job.layers, *split(job.layers, X.shape[1], w), X)
        return (roots[:, np.newaxis] * J).reshape(y.size, -1)

    def half_squares(w: Array) -> float:
        return float(np.sum(residuals(w) ** 2) + D @ w**2) / 2

    r, J = residuals(w), jacobian(w)
    damping = optimizer.damping * np.max(np.sum(J**2, axis=0) + D)
    growth = 2.0
    while True:
        A, g, F = J.T @ J + np.diag(D), J.T @ r + D * w, half_squares(w)
        h = np.linalg.solve(A + damping * np.eye(len(w)), -g)
        if np.linalg.norm(h) <= optimizer.tol * (np.linalg.norm(w) + optimizer.tol):
            return
        predicted = h @ (damping * h - g) / 2
        gain = (F - half_squares(w + h)) / predicted
        if gain > 0:
            w = w + h
            yield w, scale * half_squares(w), damping
            r, J = residuals(w), jacobian(w)
            damping *= max(1 / 3, 1 - (2 * gain - 1) ** 3)
            growth = 2.0
        else:
            damping *= growth
            growth *= 2
