"""Estimators for tables in files: parameters, the encoder, and the networks."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._io import json_values, serialize
from fastnn._io.snapshot import EstimatorData
from fastnn._util.table import Table
from fastnn.estimators.tables.report import TableReport
from fastnn.model import Sequential, make_sequential
from fastnn.preprocessing import RobustScaler, TableEncoder
from fastnn.preprocessing.table_columns import CATEGORY, DATE, DATE_PARTS, NUMBER, Column

Array = NDArray[Any]

# Fitted attributes of one kind of estimator, with what they have to be.
_ATTRIBUTES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "classes_": ("sorted labels", lambda value: _is_array(value, "biufUmM") and _ascends(value)),
    "temperature_": ("a number above 0", lambda value: type(value) is float and 0 < value < np.inf),
    "target_center_": ("finite numbers", lambda value: _is_array(value, "f")),
    "target_scale_": ("numbers above 0", lambda value: _is_array(value, "f") and (value > 0).all()),
    "residuals_": ("a list of numbers for each target", lambda value: isinstance(value, list)),
    "_n_dimensions": ("1 or 2", lambda value: value in (1, 2)),
}


# ---- writing -------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], estimator: Any) -> None:
    """Write a fitted estimator to a file."""
    state = {
        name: value for name, value in vars(estimator).items()
        if name in _ATTRIBUTES or name in ("n_features_in_", "feature_names_in_")
    }  # fmt: skip
    if "residuals_" in state:
        state["residuals_"] = list(state["residuals_"].T)
    data = {
        "estimator": type(estimator).__name__,
        "params": _to_json(estimator.get_params(deep=False)),
        "state": _to_json(state),
        "encoder": _to_json(_describe_encoder(estimator.encoder_)),
        "report": _to_json(_describe_report(estimator.report_)),
        "groups": [len(group) for group in estimator.networks_],
    }
    records = [(network.state, EstimatorData({})) for group in estimator.networks_
               for network in group]  # fmt: skip
    serialize.write_members(path, records, data)


def _to_json(values: dict[str, Any]) -> dict[str, Any]:
    return {name: json_values.to_json(name, value) for name, value in values.items()}


def _describe_encoder(encoder: TableEncoder) -> dict[str, Any]:
    return {
        "params": encoder.get_params(),
        "columns": [tuple(vars(column).values()) for column in encoder.columns_],
        "center": encoder.scaler_.center_, "scale": encoder.scaler_.scale_,
        "edges": encoder.edges_, "has_gaps": encoder.has_gaps_,
    }  # fmt: skip


def _describe_report(report: TableReport) -> dict[str, Any]:
    return {
        "columns": dict(report.columns), "members": dict(report.members),
        "scores": report.scores, "seconds": dict(report.seconds),
    }  # fmt: skip


# ---- reading -------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str], kind: Any) -> Any:
    """Read an estimator of class `kind` from a file that `save` wrote."""
    records, data = serialize.read_members(path)
    with serialize.wrap_read_errors(path):
        names = {"estimator", "params", "state", "encoder", "report", "groups"}
        if set(data) != names or data["estimator"] != kind.__name__:
            raise ValueError(f"expected an estimator of class {kind.__name__}; got "
                             f"{data.get('estimator')!r:.80}")  # fmt: skip
        params, state, encoder, report = (
            _from_json(data[name]) for name in ("params", "state", "encoder", "report")
        )
        if set(params) != set(kind._get_param_names()):
            raise ValueError(f"expected the parameters of {kind.__name__}; got {params!r:.200}")
        estimator = kind(**params)
        estimator._validate_params()
        networks = [make_sequential(network) for network, _ in records]
        estimator.networks_ = _group(networks, data["groups"])
        estimator.encoder_ = _make_encoder(encoder, state)
        estimator.report_ = _make_report(report)
        _set_state(estimator, state)
        return estimator


def _from_json(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected names and values; got {value!r:.80}")
    return {name: json_values.from_json(item) for name, item in value.items()}


def _group(networks: list[Sequential], sizes: Any) -> list[list[Sequential]]:
    is_right = isinstance(sizes, list) and all(type(n) is int and n > 0 for n in sizes)
    if not is_right or sum(sizes) != len(networks):
        raise ValueError(f"groups: expected sizes that sum to {len(networks)}; got {sizes!r:.80}")
    ends = np.cumsum([0, *sizes])
    return [networks[start:end] for start, end in pairwise(ends)]


def _make_encoder(data: dict[str, Any], state: dict[str, Any]) -> TableEncoder:
    encoder = TableEncoder(**data["params"])
    columns = tuple(_make_column(fields) for fields in data["columns"])
    n = sum(len(DATE_PARTS) if column.kind == DATE else column.kind == NUMBER for column in columns)
    scaler, edges = RobustScaler(), data["edges"]
    for name in ("center", "scale"):
        if not _is_array(data[name], "f") or len(data[name]) != n:
            raise ValueError(f"{name}: expected {n} numbers; got {data[name]!r:.80}")
    if not _is_array(data["has_gaps"], "b") or len(data["has_gaps"]) != n:
        raise ValueError(f"has_gaps: expected {n} flags; got {data['has_gaps']!r:.80}")
    is_right = isinstance(edges, list) and all(_is_array(one, "f") for one in edges)
    if not is_right or len(edges) not in (0, n) or not all(map(_ascends, edges)):
        raise ValueError(f"edges: expected ascending numbers for {n} columns; got {edges!r:.80}")
    vars(scaler).update(center_=data["center"], scale_=data["scale"], n_features_in_=n)
    names = state.get("feature_names_in_")
    vars(encoder).update(
        columns_=columns, scaler_=scaler, edges_=edges, has_gaps_=data["has_gaps"],
        n_features_in_=len(columns), **({} if names is None else {"feature_names_in_": names}),
    )  # fmt: skip
    return encoder


def _make_column(fields: Any) -> Column:
    name, kind, n_gaps, levels, n_rare = fields
    texts = (name, kind, *levels)
    counts = type(n_gaps) is int and type(n_rare) is int
    if (
        kind not in (NUMBER, CATEGORY, DATE)
        or not counts
        or not all(type(text) is str for text in texts)
    ):
        raise ValueError(f"columns: expected the description of a column; got {fields!r:.80}")
    return Column(name, kind, n_gaps, tuple(levels), n_rare)


def _make_report(data: dict[str, Any]) -> TableReport:
    return TableReport(Table(data["columns"]), Table(data["members"]), data["scores"],
                       data["seconds"])  # fmt: skip


def _set_state(estimator: Any, state: dict[str, Any]) -> None:
    """Set the fitted attributes; an error unless they fit the networks."""
    encoder = estimator.encoder_
    n_columns, n_features = len(encoder.columns_), max(1, len(encoder.get_feature_names_out()))
    if state.pop("n_features_in_", None) != n_columns:
        raise ValueError(f"n_features_in_: expected {n_columns}")
    names = state.pop("feature_names_in_", None)
    if names is not None and not (_is_array(names, "O") and len(names) == n_columns):
        raise ValueError(f"feature_names_in_: expected {n_columns} names; got {names!r:.80}")
    if hasattr(estimator, "calibrate"):
        needed, n_outputs = {"classes_", "temperature_"}, max(2, len(state.get("classes_", ())))
    else:
        needed = {"target_center_", "target_scale_", "residuals_", "_n_dimensions"}
        n_outputs = len(state.get("target_center_", ()))
    if set(state) != needed:
        raise ValueError(f"expected the attributes {sorted(needed)}; got {sorted(state)!r:.200}")
    for name, value in state.items():
        expected, is_right = _ATTRIBUTES[name]
        if not is_right(value):
            raise ValueError(f"{name}: expected {expected}; got {value!r:.80}")
    if "residuals_" in state:
        state["residuals_"] = _make_residuals(state["residuals_"], n_outputs)
        if len(state["target_scale_"]) != n_outputs:
            raise ValueError(f"target_scale_: expected {n_outputs} numbers")
    for group in estimator.networks_:
        for network in group:
            shapes = network.n_features_in, network.weights[-1].shape[1]
            if shapes != (n_features, n_outputs):
                raise ValueError(f"expected networks of {n_features} features and {n_outputs} "
                                 f"outputs; got {shapes}")  # fmt: skip
    vars(estimator).update(state, n_features_in_=n_columns)
    if names is not None:
        estimator.feature_names_in_ = names


def _make_residuals(columns: list[Any], n_targets: int) -> Array:
    is_right = all(_is_array(column, "f") and _ascends(column, strictly=False)
                   for column in columns)  # fmt: skip
    if not is_right or len(columns) != n_targets or len(set(map(len, columns))) > 1:
        raise ValueError(f"residuals_: expected ascending numbers for {n_targets} targets")
    return np.column_stack(columns)


def _is_array(value: Any, kinds: str) -> bool:
    """Whether a value is an array (n,) of one of these kinds of dtypes, without NaN or infinity."""
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in kinds:
        return False
    return value.dtype.kind != "f" or bool(np.isfinite(value).all())


def _ascends(values: Array, strictly: bool = True) -> bool:
    ascends = values[:-1] < values[1:] if strictly else values[:-1] <= values[1:]
    return bool(ascends.all())
