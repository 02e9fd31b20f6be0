"""Derivatives of a network: methods of `Sequential`.

They differentiate what `predict` returns, with dropout inactive. Where an activation has a corner,
they use the derivative from the left, as training does, and the second derivative 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine import differentiate
from fastnn._engine.plan import Plan, compile_plan
from fastnn._training import arguments
from fastnn._training.arrays import check_output, convert_features
from fastnn._training.source import make_source, prepare
from fastnn._training.state import (
    HasState,
    NetworkState,
    get_evaluation_plan,
    get_parameters,
)
from fastnn._util import checks
from fastnn._util.conversion import as_numeric, convert
from fastnn._util.conversion import check_finite as check_finite_array
from fastnn._util.sparse_rows import require_dense
from fastnn.losses import Loss
from fastnn_ext.codes import Derivative
from fastnn_ext.engine import Differentiator

Array = NDArray[Any]

MODES = ("auto", "forward", "reverse")


def jacobian(
    self: HasState,
    X: Any,
    *,
    mode: str = "auto",
    out: Array | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> Array:
    """Compute the derivatives of all outputs with respect to all features.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features.
    mode : "auto" (default), "forward" or "reverse"
        Forward mode follows a change of each feature to the outputs; its cost is proportional to
        the number of features. Reverse mode follows each output back to the features; its cost is
        proportional to the number of outputs. "auto" chooses forward mode if there are fewer
        features than outputs. Both give the same result up to rounding.
    out : ndarray, shape (n, n_outputs, n_features), optional
        Array for the result, C-contiguous, of the network's dtype, and sharing no memory with X or
        `parameters`.
    n_threads : int, optional
        Number of threads; by default chosen automatically. The result does not depend on it.
    check_finite : bool, default True
        Whether to raise an error if X contains NaN or infinity.

    Returns
    -------
    ndarray, shape (n, n_outputs, n_features)
        Element [r, k, i] is the derivative of output k with respect to feature i at row r.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or a parameter or an array is invalid.

    References
    ----------
    A. Griewank, A. Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008, chapter 3.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(2, "tanh"), fn.Dense(1), dtype="float64").build(2)
    >>> net.weights[0], net.weights[1] = [[1.0, 0.0], [0.0, 2.0]], [[3.0], [4.0]]
    >>> net.jacobian([[0.0, 0.0]])
    array([[[3., 8.]]])
    """
    state = self.state
    if out is None:
        found = state.differentiators.get(mode) if type(mode) is str else None
        if found is not None:
            result = found(X, None, 0, None, check_finite, n_threads)
            if result is not None:
                return result
    checks.choice("mode", mode, MODES)
    plan = _get_plan(state)
    forward = mode == "forward" or (mode == "auto" and plan.n_features < plan.n_outputs)
    name, kind = ("forward", Derivative.FORWARD) if forward else ("reverse", Derivative.REVERSE)
    features = _convert_features(state, X, check_finite, n_threads)
    differentiator = _get_differentiator(state, plan, name, kind)
    state.differentiators[mode] = differentiator  # "auto" is another name of the mode it chooses
    shape = (plan.n_outputs, plan.n_features)
    return _call(state, differentiator, features, shape, out, n_threads)


def jvp(
    self: HasState,
    X: Any,
    V: Any,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> Array:
    """Compute directional derivatives of the outputs: products of the Jacobian and a vector, by
    forward mode.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features.
    V : array-like, shape (n, n_features)
        A direction for each row.
    out : ndarray, shape (n, n_outputs), optional
        As for `jacobian`.
    n_threads : int, optional
        As for `jacobian`.
    check_finite : bool, default True
        Whether to raise an error if X or V contains NaN or infinity.

    Returns
    -------
    ndarray, shape (n, n_outputs)
        The sum over features i of V[r, i] times the derivative of each output by feature i.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or an array is invalid.

    References
    ----------
    A. Griewank, A. Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008, section 3.1.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1), dtype="float64").build(2)
    >>> net.weights[0] = [[3.0], [8.0]]
    >>> net.jvp([[0.0, 0.0]], [[1.0, 0.5]])
    array([[7.]])
    """
    return _differentiate_along(
        self.state, "jvp", Derivative.FORWARD, X, "V", V, out, n_threads, check_finite
    )


def vjp(
    self: HasState,
    X: Any,
    U: Any,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> Array:
    """Compute gradients of combinations of the outputs: products of a vector and the Jacobian, by
    reverse mode.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features.
    U : array-like, shape (n, n_outputs)
        For each row, the coefficients of the outputs.
    out : ndarray, shape (n, n_features), optional
        As for `jacobian`.
    n_threads : int, optional
        As for `jacobian`.
    check_finite : bool, default True
        Whether to raise an error if X or U contains NaN or infinity.

    Returns
    -------
    ndarray, shape (n, n_features)
        The sum over outputs k of U[r, k] times the derivative of output k by each feature.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or an array is invalid.

    References
    ----------
    A. Griewank, A. Walther, "Evaluating Derivatives", 2nd edition, SIAM 2008, section 3.2.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(2), dtype="float64").build(1)
    >>> net.weights[0] = [[3.0, 8.0]]
    >>> net.vjp([[0.0]], [[1.0, 0.5]])
    array([[7.]])
    """
    return _differentiate_along(
        self.state, "vjp", Derivative.REVERSE, X, "U", U, out, n_threads, check_finite
    )


def hessian(
    self: HasState,
    X: Any,
    *,
    output: int = 0,
    out: Array | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> Array:
    """Compute the second derivatives of one output with respect to the features.

    The Hessian is the sum over layers of J' diag(g f''(z)) J, where J is the Jacobian of the
    layer's preactivation z (forward mode) and g the gradient of the output with respect to the
    layer's output (reverse mode). It costs about as much as n_features predictions.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features.
    output : int, default 0
        Index of the output.
    out : ndarray, shape (n, n_features, n_features), optional
        As for `jacobian`.
    n_threads : int, optional
        As for `jacobian`.
    check_finite : bool, default True
        Whether to raise an error if X contains NaN or infinity.

    Returns
    -------
    ndarray, shape (n, n_features, n_features)
        Symmetric matrices. They are zero for a network of piecewise linear activations, such as
        relu, without a nonlinear output.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or a parameter or an array is invalid.

    References
    ----------
    C. Bishop, "Exact calculation of the Hessian matrix for the multilayer perceptron", Neural
    Computation 4 (1992), 494-501.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, "exp"), dtype="float64").build(2)
    >>> net.weights[0] = [[1.0], [2.0]]
    >>> net.hessian([[0.0, 0.0]])
    array([[[1., 2.],
            [2., 4.]]])
    """
    state = self.state
    found = state.differentiators.get("hessian")
    if found is not None and out is None and type(output) is int and output == 0:
        result = found(X, None, 0, None, check_finite, n_threads)
        if result is not None:
            return result
    plan = _get_plan(state)
    output = checks.whole("output", output, at_least=0)
    if output >= plan.n_outputs:
        raise ValueError(
            f"output: expected an index below {plan.n_outputs}, the number of outputs; got {output}"
        )
    features = _convert_features(state, X, check_finite, n_threads)
    differentiator = _get_differentiator(state, plan, "hessian", Derivative.HESSIAN)
    shape = (plan.n_features, plan.n_features)
    return _call(state, differentiator, features, shape, out, n_threads, output=output)


def parameter_jacobian(
    self: HasState,
    X: Any,
    *,
    out: Array | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> Array:
    """Compute the derivatives of all outputs with respect to all parameters, row by row.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features.
    out : ndarray, shape (n, n_outputs, n_parameters), optional
        As for `jacobian`.
    n_threads : int, optional
        As for `jacobian`.
    check_finite : bool, default True
        Whether to raise an error if X contains NaN or infinity.

    Returns
    -------
    ndarray, shape (n, n_outputs, n_parameters)
        The last axis has the order of `parameters`.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or an array is invalid.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1), dtype="float64").build(2)
    >>> net.parameter_jacobian([[5.0, 7.0]])
    array([[[5., 7., 1.]]])
    """
    state = self.state
    plan = _get_plan(state)
    features = _convert_features(state, X, check_finite, n_threads)
    differentiator = _get_differentiator(state, plan, "parameters", Derivative.PARAMETERS)
    shape = (plan.n_outputs, plan.n_params)
    return _call(state, differentiator, features, shape, out, n_threads)


def sample_gradients(
    self: HasState,
    X: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    sample_weight: Any = None,
    out: Array | None = None,
    n_threads: int | None = None,
    check_finite: bool = True,
) -> Array:
    """Compute the gradient of the loss of each row with respect to the parameters.

    Their weighted mean over the rows is the gradient that `loss_and_gradients` returns, if the
    layers have no penalties.

    Parameters
    ----------
    X : array-like, shape (n, n_features)
        Features.
    y : array-like, shape (n,) or (n, n_targets)
        Targets, as the loss requires them.
    loss : str or Loss, default "auto"
        As for `fit`.
    sample_weight : array-like, shape (n,), optional
        Factors of the rows' losses, at least 0; by default 1.
    out : ndarray, shape (n, n_parameters), optional
        As for `jacobian`.
    n_threads : int, optional
        As for `jacobian`.
    check_finite : bool, default True
        Whether to raise an error if X or y contains NaN or infinity.

    Returns
    -------
    ndarray, shape (n, n_parameters)
        The last axis has the order of `parameters`.

    Raises
    ------
    ValueError, TypeError
        If the network has not been built, or a parameter or an array is invalid.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, weight_init="zeros"), dtype="float64").build(1)
    >>> net.sample_gradients([[1.0], [2.0]], [1.0, 1.0])
    array([[-2., -2.],
           [-4., -2.]])
    """
    state = self.state
    get_parameters(state)
    arguments.check_engine("native", n_threads)
    resolved = arguments.resolve_loss(state.layers, loss)
    _, arrays = prepare(state, make_source(X, y, sample_weight, check_finite), resolved)
    features = require_dense(arrays.X, "sample_gradients")
    plan = get_evaluation_plan(state, resolved, arrays.y.shape[1])
    check_output(out, (len(features), plan.n_params), state.dtype, features, get_parameters(state))
    name = f"gradients of {resolved}, {arrays.y.shape[1]} targets"
    differentiator = _get_differentiator(state, plan, name, Derivative.PARAMETERS)
    return differentiate.compute_loss_gradients(
        differentiator, features, arrays.y, arrays.weights, out, n_threads
    )


def _differentiate_along(
    state: NetworkState, name: str, kind: Derivative, X: Any, seeds_name: str, seeds: Any,
    out: Array | None, n_threads: int | None, check_finite: bool,
) -> Array:  # fmt: skip
    """Derivatives in one direction for each row, given by `seeds`."""
    plan = _get_plan(state)
    features = _convert_features(state, X, check_finite, n_threads)
    widths = (plan.n_features, plan.n_outputs)
    width_in, width_out = widths if kind == Derivative.FORWARD else widths[::-1]
    directions = as_numeric(seeds_name, seeds)
    if directions.shape != (len(features), width_in):
        what = "n_features" if kind == Derivative.FORWARD else "n_outputs"
        raise ValueError(
            f"{seeds_name}: expected shape (n, {what}) = {(len(features), width_in)}; got "
            f"{directions.shape}"
        )
    directions = convert(directions, state.dtype)
    if check_finite:
        check_finite_array(seeds_name, directions)
    if isinstance(out, np.ndarray) and np.may_share_memory(out, directions):
        raise ValueError(f"out: expected an array that shares no memory with {seeds_name}; got "
                         "one that does")  # fmt: skip
    differentiator = _get_differentiator(state, plan, name, kind, takes_seeds=True)
    return _call(state, differentiator, features, (width_out,), out, n_threads, seeds=directions)


def _get_plan(state: NetworkState) -> Plan:
    """The plan for derivatives of predictions."""
    get_parameters(state)
    assert state.n_features_in is not None
    return compile_plan(state.layers, state.n_features_in, state.dtype, differentiates=True)


def _get_differentiator(
    state: NetworkState, plan: Plan, name: str, kind: Derivative, *, takes_seeds: bool = False
) -> Differentiator:
    """The differentiator of this name, made by the first call."""
    if name not in state.differentiators:
        state.differentiators[name] = differentiate.make_differentiator(
            plan, get_parameters(state), kind, takes_seeds=takes_seeds
        )
    return state.differentiators[name]


def _convert_features(
    state: NetworkState, X: Any, check_finite: bool, n_threads: int | None
) -> Array:
    arguments.check_engine("native", n_threads)
    checks.flag("check_finite", check_finite)
    return convert_features(
        X, state.dtype, n_features=state.n_features_in, names=state.feature_names_in,
        finite=check_finite,
    )  # fmt: skip


def _call(
    state: NetworkState, differentiator: Differentiator, X: Array, row_shape: tuple[int, ...],
    out: Array | None, n_threads: int | None, *, seeds: Array | None = None, output: int = 0,
) -> Array:  # fmt: skip
    """Call a differentiator, whose result for a row has this shape, with checked arrays; check
    `out`."""
    check_output(out, (len(X), *row_shape), state.dtype, X, get_parameters(state))
    result = differentiator(X, seeds, output, out, False, n_threads)
    assert result is not None
    return result
