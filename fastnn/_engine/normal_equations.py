"""Least squares on the compiled engine: the squared error of a network and its normal equations.

The Jacobian J of the residuals is computed in blocks of rows, and only J'J is kept. The engine's
matrix product and factorization give the same bits for any number of threads; those of OpenBLAS do
not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine import differentiate, native
from fastnn._engine.plan import CACHE_LINE, PAGE, PANEL_BYTES, compile_plan
from fastnn.layers import Layer
from fastnn_ext import engine
from fastnn_ext.codes import Derivative

Floats = NDArray[np.float64]

FLOAT64 = np.dtype(np.float64)

# A block of the Jacobian: at most this much memory, so that it stays in the outer caches, but at
# least this many residuals, because each block reads and writes all of J'J.
BLOCK_BYTES = 2**20
FEWEST_RESIDUALS = 256


class LeastSquares:
    """Half the sum of squared errors of a network, and its normal equations.

    The value is 1/2 the sum over rows and outputs of s (f(x) - y)**2, plus 1/2 the sum over the
    parameters w of `penalty` w**2, where s are the sample weights (n,), or ones if they are None.
    It is evaluated at `parameters` (n_params,), which the caller changes; so is `penalty`.
    `check()` is called between parts of the work.
    """

    def __init__(
        self, layers: tuple[Layer, ...], X: Floats, y: Floats, sample_weight: Floats | None,
        penalty: Floats, n_threads: int | None, check: Callable[[], object],
    ) -> None:  # fmt: skip
        (n, n_outputs), width, p = y.shape, X.shape[1], len(penalty)
        self.X, self.y, self.penalty = X, y, penalty
        self.roots = None if sample_weight is None else np.sqrt(sample_weight)[:, np.newaxis]
        self.n_threads, self.check = n_threads, check
        self.parameters = native.aligned_zeros(p, FLOAT64)
        self._predict = native.make_predictor(compile_plan(layers, width, FLOAT64), self.parameters)
        plan = compile_plan(layers, width, FLOAT64, differentiates=True)
        self._differentiate = differentiate.make_differentiator(
            plan, self.parameters, Derivative.PARAMETERS
        )
        self.residuals = np.empty((n, n_outputs))
        self.block_rows = _choose_block_rows(n, n_outputs, p)
        self.jacobian = native.aligned_zeros(
            self.block_rows * n_outputs * p, FLOAT64
        ).reshape(self.block_rows, n_outputs, p)  # fmt: skip
        self.matrix, self.factor = _allocate_matrix(p), _allocate_matrix(p)
        self.gradient = native.aligned_zeros(self.matrix.shape[1], FLOAT64)
        self.negated = np.empty(engine.FACTOR_ROWS * p)
        self._products = _Team("products", float(p) ** 2, n_threads)
        self._factorization = _Team("factorization", float(p) ** 2 / 3, n_threads)
        self._panels = np.empty((0, 0))

    def evaluate(self) -> float:
        """The value at `parameters`; not finite if outputs overflow."""
        predictions = self._predict(self.X, None, False, self.n_threads)
        assert predictions is not None
        with np.errstate(over="ignore", invalid="ignore"):
            np.subtract(predictions, self.y, out=self.residuals)
            if self.roots is not None:
                self.residuals *= self.roots
            return 0.5 * (self.compute_squares() + self.compute_penalty())

    def compute_squares(self) -> float:
        """The sum of squared errors of the last call of `evaluate`."""
        return float(np.square(self.residuals).sum())

    def compute_penalty(self) -> float:
        """Twice the penalty at `parameters`."""
        return float((self.penalty * np.square(self.parameters)).sum())

    def linearize(self) -> None:
        """Compute J'J and J'r at `parameters`, after a call of `evaluate` there."""
        p = len(self.parameters)
        self.matrix[:] = 0
        self.gradient[:] = 0
        for start in range(0, len(self.X), self.block_rows):
            rows = slice(start, start + self.block_rows)
            X, residuals = self.X[rows], self.residuals[rows].reshape(-1)
            J = self.jacobian[: len(X)]
            self._differentiate(X, None, 0, J, False, self.n_threads)
            if self.roots is not None:
                J *= self.roots[rows, :, np.newaxis]
            self._accumulate(J.reshape(-1, p), residuals)
            self.check()

    def get_gradient(self) -> Floats:
        """The gradient of the value, as of the last call of `linearize`."""
        gradient: Floats = self.gradient[: len(self.parameters)] + self.penalty * self.parameters
        return gradient

    def _accumulate(self, J: Floats, residuals: Floats) -> None:
        """Add a block to J'J and J'r."""
        self._products.run(
            lambda n_threads: engine.accumulate_normal_equations(
                J, residuals, self.matrix, self.gradient, self._get_panels(n_threads, len(J))
            ),
            len(J),
        )

    def get_diagonal(self) -> Floats:
        """The diagonal of J'J plus the penalties, as of the last call of `linearize`."""
        diagonal: Floats = np.diagonal(self.matrix) + self.penalty
        return diagonal

    def solve(self, damping: float, gradient: Floats) -> Floats | None:
        """The step h with (J'J + diag(penalty) + damping I) h = -gradient; None if the matrix is
        not positive definite."""
        if not self._factorize(damping):
            return None
        step = -gradient
        engine.solve(self.factor, step)
        return step

    def compute_inverse_trace(self) -> float:
        """The trace of the inverse of J'J + diag(penalty); NaN if it is not positive definite."""
        if not self._factorize(0.0):
            return float("nan")
        inverse = np.empty_like(self.factor)
        diagonal = engine.compute_inverse_diagonal(self.factor, inverse, self.check)
        return float(sum(diagonal))

    def _factorize(self, damping: float) -> bool:
        diagonal = self.penalty + damping
        is_definite: bool = self._factorization.run(
            lambda n_threads: engine.factorize(
                self.matrix, diagonal, self.factor, self.negated, self._get_panels(n_threads, 0),
                self.check,
            ),
            len(diagonal),
        )  # fmt: skip
        return is_definite

    def _get_panels(self, n_threads: int, n_residuals: int) -> Floats:
        """Memory for the packed factors of matrix products, one row for each thread."""
        width = engine.FACTOR_ROWS * n_residuals + PANEL_BYTES // FLOAT64.itemsize
        if len(self._panels) < n_threads or self._panels.shape[1] < width:
            self._panels = native.allocate_workspace(width, FLOAT64, n_threads)
        return self._panels[:n_threads]


def count_bytes(n_params: int) -> int:
    """Bytes of J'J and its factor."""
    return 2 * n_params**2 * FLOAT64.itemsize


def _choose_block_rows(n: int, n_outputs: int, n_params: int) -> int:
    residuals = max(FEWEST_RESIDUALS, BLOCK_BYTES // (n_params * FLOAT64.itemsize))
    return min(n, max(1, residuals // n_outputs))


def _allocate_matrix(p: int) -> Floats:
    """Zeros (p, p), in rows of whole cache lines but not whole pages, see `plan`."""
    line = CACHE_LINE // FLOAT64.itemsize
    stride = -(-p // line) * line
    stride += line * (stride * FLOAT64.itemsize % PAGE == 0)
    return native.aligned_zeros(p * stride, FLOAT64).reshape(p, stride)


class _Team:
    """Runs one kind of work on a number of threads that is chosen by the times of earlier runs,
    unless the user has set it."""

    def __init__(self, name: str, flops: float, n_threads: int | None) -> None:
        self._choose, self._record = native.make_thread_chooser((name, flops), flops)
        self.n_threads = n_threads

    def run(self, work: Callable[[int], Any], n: int) -> Any:
        """The result of `work(n_threads)`, for n units of work."""
        n_threads, start = self._choose(self.n_threads, n), time.perf_counter()
        result = work(n_threads)
        if self.n_threads is None:
            self._record(n_threads, n, time.perf_counter() - start)
        return result
