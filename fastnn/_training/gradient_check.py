"""Gradients compared with central differences: a method of `Sequential`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._training import arguments
from fastnn._training.gradients import make_objective
from fastnn._training.source import make_source, prepare
from fastnn._training.state import HasState, NetworkState, copy_state, get_parameters, get_views
from fastnn._util import checks
from fastnn.losses import Loss

Floats = NDArray[np.float64]
Objective = Callable[[], tuple[float, Floats]]

FLOAT64 = np.dtype(np.float64)

# The error of a central difference is about epsilon**2 from the Taylor series and 1e-16 / epsilon
# from rounding; their sum is smallest near the cube root of the spacing of float64.
EPSILON = float(np.finfo(np.float64).eps ** (1 / 3))

# The one-sided differences of a smooth loss differ by about epsilon times its second derivative. A
# difference above this fraction of the largest derivative is taken for a corner.
CORNER = 1e-4


@dataclass(frozen=True)
class GradientDifference:
    """The differences between analytic and numeric derivatives in one array of parameters.

    Attributes
    ----------
    layer : int
        Index of the Dense layer in `Sequential.weights`.
    parameter : str
        "weights" or "bias".
    n_checked : int
        Number of elements that were compared.
    absolute : float
        Largest absolute difference.
    relative : float
        `absolute`, divided by the largest derivative of the array; 0 if all derivatives are 0.
    """

    layer: int
    parameter: str
    n_checked: int
    absolute: float
    relative: float


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The result of `Sequential.check_gradients`; printing it shows a table.

    Attributes
    ----------
    rows : tuple of GradientDifference
        Differences of each array of parameters, in the order of the layers.
    epsilon : float
        Step of the central differences.
    """

    rows: tuple[GradientDifference, ...]
    epsilon: float

    @property
    def max_absolute(self) -> float:
        """Largest absolute difference of all arrays."""
        return max(row.absolute for row in self.rows)

    @property
    def max_relative(self) -> float:
        """Largest relative difference of all arrays."""
        return max(row.relative for row in self.rows)

    def __repr__(self) -> str:
        lines = ["layer  parameter  checked  absolute  relative"]
        lines += [
            f"{row.layer:5}  {row.parameter:9}  {row.n_checked:7}  {row.absolute:8.1e}  "
            f"{row.relative:8.1e}"
            for row in self.rows
        ]
        return "\n".join(lines)


def check_gradients(
    self: HasState,
    X: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    sample_weight: Any = None,
    epsilon: float | None = None,
    n_checked: int = 50,
    random_state: int = 0,
    engine: str = "native",
) -> GradientCheck:
    """Compare the gradient of the loss with central differences.

    The derivative with respect to a parameter w is compared with (L(w + h) - L(w - h)) / (2 h),
    where L is the loss of all rows, penalties included, with inactive dropout, and
    `h = epsilon * max(1, |w|)`. A copy of the network in float64 computes both; the network itself
    does not change.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features. A few rows suffice: each checked parameter costs two passes over all rows.
    y : array-like, shape (n,) or (n, n_targets)
        Targets, as the loss requires them.
    loss : str or Loss, default "auto"
        As for `fit`.
    sample_weight : array-like, shape (n,), optional
        Weights of the rows, at least 0; by default 1.
    epsilon : float, optional
        Relative size of the step, above 0; by default 6.1e-6, the cube root of the spacing of
        float64.
    n_checked : int, default 50
        Number of parameters to check in each array of weights or biases, at least 1. In larger
        arrays a random sample of this size is checked.
    random_state : int, default 0
        Seed of the sample.
    engine : "native" (default) or "reference"
        The gradient to be checked: of the compiled kernels or of the NumPy reference.

    Returns
    -------
    GradientCheck
        A table with a row for each array of parameters.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or a parameter or an array is invalid.

    Notes
    -----
    Relative differences of correct gradients are about 1e-8 or less. They are larger, without an
    error in the gradient, if the gradient is as small as the rounding error of the differences,
    about 1e-10 times the loss.

    At a corner of the loss, for example where relu has z = 0, the left and right differences
    (L(w) - L(w - h)) / h and (L(w + h) - L(w)) / h are not equal. If they differ by more than 1e-4
    of the largest derivative of the array, the gradient is correct between them, and its difference
    is the distance from that interval.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> net = fn.Sequential(fn.Dense(8, "tanh"), fn.Dense(1, "sigmoid"), random_state=0).build(30)
    >>> check = net.check_gradients(X[:20], y[:20])
    >>> [(row.layer, row.parameter, row.n_checked) for row in check.rows]
    [(0, 'weights', 50), (0, 'bias', 8), (1, 'weights', 8), (1, 'bias', 1)]
    >>> check.max_relative < 1e-7
    True
    """
    get_parameters(self.state)
    resolved = arguments.resolve_loss(self.state.layers, loss)
    step = EPSILON if epsilon is None else checks.number("epsilon", epsilon, above=0)
    n_checked = checks.whole("n_checked", n_checked, at_least=1)
    rng = np.random.default_rng(checks.whole("random_state", random_state))
    arguments.check_engine(engine, None)
    state = copy_in_float64(self.state)
    _, arrays = prepare(state, make_source(X, y, sample_weight, True), resolved)
    objective = make_objective(state, resolved, arrays, engine=engine)
    _, gradient = objective()
    rows = []
    for layer, parameter, indices in locate_arrays(state):
        sample = indices
        if len(indices) > n_checked:
            sample = rng.choice(indices, n_checked, replace=False)
        left, right = compute_differences(objective, get_parameters(state), sample, step)
        rows.append(compare(layer, parameter, gradient[sample], left, right))
    return GradientCheck(tuple(rows), step)


def copy_in_float64(state: NetworkState) -> NetworkState:
    """A copy of a built network that computes in float64, without optimizer."""
    parameters = get_parameters(state).astype(FLOAT64)
    return copy_state(state, dtype=FLOAT64, parameters=parameters, optimizer=None)


def locate_arrays(state: NetworkState) -> Iterator[tuple[int, str, NDArray[np.intp]]]:
    """For each array of parameters: the index of its layer, its name, and the indices of its
    elements in the flat array."""
    positions = np.arange(len(get_parameters(state)))
    for layer, arrays in enumerate(zip(*get_views(state, positions), strict=True)):
        for name, array in zip(("weights", "bias"), arrays, strict=True):
            if array is not None:
                yield layer, name, array.ravel()


def compute_differences(
    objective: Objective, parameters: Floats, indices: NDArray[np.intp], epsilon: float
) -> tuple[Floats, Floats]:
    """The one-sided differences of the objective, which reads `parameters`, to the left and to the
    right of the elements at `indices`."""
    here, _ = objective()
    left, right = np.empty(len(indices)), np.empty(len(indices))
    for i, index in enumerate(indices):
        value = parameters[index]
        below, above = value + np.array([-1, 1]) * epsilon * max(1.0, abs(value))
        parameters[index] = below
        left[i] = (here - objective()[0]) / (value - below)
        parameters[index] = above
        right[i] = (objective()[0] - here) / (above - value)
        parameters[index] = value
    return left, right


def compare(
    layer: int, parameter: str, analytic: Floats, left: Floats, right: Floats
) -> GradientDifference:
    """The differences in one array. NaN propagates."""
    central = (left + right) / 2
    scale = float(np.maximum(np.abs(analytic), np.abs(central)).max())
    has_corner = np.abs(right - left) > CORNER * scale
    between = np.clip(analytic, np.minimum(left, right), np.maximum(left, right))
    absolute = float(np.abs(analytic - np.where(has_corner, between, central)).max())
    relative = absolute if absolute == 0 else absolute / scale
    return GradientDifference(layer, parameter, len(analytic), absolute, relative)
