"""The data of a call, checked and converted for one or more networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._engine.plan import Plan, compile_plan
from fastnn._training.arrays import (
    convert_gradient_targets,
    convert_inputs,
    convert_targets,
    convert_weights,
)
from fastnn._training.restrictions import check_inputs
from fastnn._training.state import NetworkState
from fastnn._util import checks
from fastnn._util.conversion import read_feature_names
from fastnn._util.sparse_rows import SparseRows, require_dense
from fastnn.losses import Loss

Array = NDArray[Any]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Arrays:
    """Arrays as the engines read them. If `rows` is given, only these rows are used."""

    X: Array | SparseRows  # (n, n_features)
    y: Array  # (n, n_targets)
    weights: Array | None  # (n,)
    rows: Rows | None = None  # indices (m,)
    gradients: Array | None = None  # targets of the Jacobian (n, n_outputs, n_features)

    def __len__(self) -> int:
        return len(self.X if self.rows is None else self.rows)

    def select(self, rows: Rows) -> Arrays:
        """The same arrays with other rows."""
        return replace(self, rows=rows)


@dataclass(frozen=True)
class Source:
    """The user's arrays. They are checked and converted when the dtype, number of features and loss
    of a network are known."""

    feature_names: tuple[str, ...] | None
    features: Callable[..., Array | SparseRows]  # (dtype, n_features, names)
    targets: Callable[..., Array]  # (loss, n_rows, n_outputs, dtype)
    weights: Callable[..., Array | None]  # (n_rows, dtype)


def make_source(X: Any, y: Any, sample_weight: Any, check_finite: bool, suffix: str = "") -> Source:
    """A source for the user's arrays. In messages, `suffix` follows X, y and sample_weight."""
    checks.flag("check_finite", check_finite)
    return Source(
        read_feature_names(X),
        partial(convert_inputs, X, finite=check_finite, name=f"X{suffix}"),
        partial(convert_targets, y, finite=check_finite, name=f"y{suffix}"),
        partial(convert_weights, sample_weight, name=f"sample_weight{suffix}"),
    )


def make_validation_source(validation_data: Any, check_finite: bool) -> Source:
    """A source for (X, y) or (X, y, sample_weight)."""
    expected = "(X, y) or (X, y, sample_weight)"
    checks.instance("validation_data", validation_data, (tuple, list), expected)
    if len(validation_data) not in (2, 3):
        raise ValueError(f"validation_data: expected {expected}; got {len(validation_data)} items")
    X, y, *weight = validation_data
    return make_source(X, y, weight[0] if weight else None, check_finite, " of validation_data")


def cache_conversions(source: Source) -> Source:
    """A source for many networks, which converts each array only once per dtype and loss."""
    return Source(
        source.feature_names, cache(source.features), cache(source.targets), cache(source.weights)
    )


def prepare(state: NetworkState, source: Source, loss: Loss) -> tuple[Plan, Arrays]:
    """Convert the arrays for a network; also returns its plan, compiled if it is not built yet."""
    features = source.features(
        state.dtype, n_features=state.n_features_in, names=state.feature_names_in
    )
    plan = state.plans.get(None)
    if plan is None:
        plan = compile_plan(state.layers, features.shape[1], state.dtype)
    check_inputs(state.layers, features)
    n = len(features)
    targets = source.targets(loss, n, plan.n_outputs, state.dtype)
    return plan, Arrays(features, targets, source.weights(n, state.dtype))


def add_gradient_targets(arrays: Arrays, plan: Plan, values: Any, check_finite: bool) -> Arrays:
    """The arrays with targets of the Jacobian."""
    require_dense(arrays.X, "gradient_targets")
    shape = (len(arrays.X), plan.n_outputs, plan.n_features)
    gradients = convert_gradient_targets(values, shape, plan.dtype, finite=check_finite)
    return replace(arrays, gradients=gradients)


def prepare_validation(
    state: NetworkState, source: Source, names: tuple[str, ...] | None, loss: Loss, plan: Plan
) -> Arrays:
    """Convert validation data. `plan` and `names` (of features) are those of the training data, as
    the network may not be built yet."""
    features = source.features(state.dtype, names=state.feature_names_in or names)
    check_inputs(state.layers, features)
    n, width = features.shape
    if width != plan.n_features:
        raise ValueError(
            f"X of validation_data: expected {plan.n_features} features, as in X; got {width}"
        )
    targets = source.targets(loss, n, plan.n_outputs, state.dtype)
    return Arrays(features, targets, source.weights(n, state.dtype))
