"""Ensembles in files: their parameters and the records of their members."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fastnn._io import json_values, serialize
from fastnn._io.snapshot import Record
from fastnn.estimators._fitting import storage
from fastnn.estimators.classifier import MLPClassifier
from fastnn.estimators.logistic import LogisticRegression
from fastnn.estimators.regressor import MLPRegressor

# The classes of members that a file may contain.
_KINDS = {kind.__name__: kind for kind in (LogisticRegression, MLPClassifier, MLPRegressor)}

_NAME = "MLPEnsemble"


def save(path: str | os.PathLike[str], ensemble: Any) -> None:
    """Write a fitted ensemble to a file."""
    params = ensemble.get_params(deep=False)
    base = params.pop("estimator")
    for estimator in (base, *ensemble.estimators_):
        if _KINDS.get(type(estimator).__name__) is not type(estimator):
            raise ValueError(
                f"estimator: expected one of {sorted(_KINDS)} in a file; got "
                f"{type(estimator).__name__}, which only pickle supports"
            )
    names = getattr(ensemble, "feature_names_in_", None)
    data = {
        "estimator": _NAME,
        "params": _to_json(params),
        "base": {"estimator": type(base).__name__, "params": _to_json(base.get_params(deep=False))},
        "feature_names_in_": json_values.to_json("feature_names_in_", names),
    }
    serialize.write_members(
        path, [storage.to_record(member) for member in ensemble.estimators_], data
    )


def load(path: str | os.PathLike[str], kind: Any) -> Any:
    """Read an ensemble of class `kind` from a file that `save` wrote."""
    records, data = serialize.read_members(path)
    with serialize.wrap_read_errors(path):
        if set(data) != {"estimator", "params", "base", "feature_names_in_"}:
            raise ValueError(f"expected the description of an ensemble; got {sorted(data)!r:.200}")
        base = _make_estimator(_get_class(data["base"]["estimator"]), data["base"]["params"])
        ensemble = _make_estimator(kind, data["params"], estimator=base)
        ensemble.estimators_ = _make_members(records)
        first = ensemble.estimators_[0]
        for name in ("n_features_in_", "n_outputs_", "classes_"):
            if hasattr(first, name):
                setattr(ensemble, name, getattr(first, name))
        names = json_values.from_json(data["feature_names_in_"])
        if names is not None:
            if not isinstance(names, np.ndarray) or names.shape != (first.n_features_in_,):
                raise ValueError(f"feature_names_in_: expected {first.n_features_in_} names")
            ensemble.feature_names_in_ = names
        return ensemble


def _to_json(params: dict[str, Any]) -> dict[str, Any]:
    return {name: json_values.to_json(name, value) for name, value in params.items()}


def _get_class(name: Any) -> Any:
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(f"expected an estimator of {sorted(_KINDS)}; got {name!r:.80}")
    return _KINDS[name]


def _make_estimator(kind: Any, data: Any, **others: Any) -> Any:
    """Make an estimator from the parameters that `_to_json` wrote and from other parameters."""
    if not isinstance(data, dict) or set(data) != set(kind._get_param_names()) - set(others):
        raise ValueError(f"expected the parameters of {kind.__name__}; got {data!r:.200}")
    params = {name: json_values.from_json(value) for name, value in data.items()}
    estimator = kind(**params, **others)
    estimator._validate_params()
    return estimator


def _make_members(records: list[Record]) -> list[Any]:
    """Make the members; an error if they differ in class, features or targets."""
    members = [
        storage.from_record(_get_class(extra.data.get("estimator")), snapshot, extra)
        for snapshot, extra in records if extra is not None
    ]  # fmt: skip
    first = _get_signature(members[0])
    if any(_get_signature(member) != first for member in members):
        raise ValueError("expected members of the same class, features and targets")
    return members


def _get_signature(member: Any) -> tuple[Any, ...]:
    classes = getattr(member, "classes_", np.array([]))
    return (
        type(member), member.n_features_in_, member.n_outputs_, getattr(member, "_label_kind", ""),
        classes.dtype, classes.tolist(),
    )  # fmt: skip
