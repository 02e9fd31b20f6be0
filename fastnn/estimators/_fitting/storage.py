"""Conversion of fitted estimators to plain data and to file records, and back.

In the plain state of an estimator, fastnn's objects are replaced by numbers, strings, arrays and
the bytes of a network's file; pickle, joblib and skops store this state. `save` writes a network's
file (`fastnn._io.serialize`) with the rest of the state as extra data, which are checked against a
schema both before writing and after reading.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._io import json_values, serialize
from fastnn._io.snapshot import CURVES, EstimatorData, Record
from fastnn._training.state import NetworkState, copy_shallow
from fastnn._util.scaling import Scaling
from fastnn.estimators._fitting import schema
from fastnn.estimators._fitting.early_stopping import FitProgress
from fastnn.estimators._fitting.solvers import TrainedNetwork, make_trained

Array = NDArray[Any]
State = dict[str, Any]

# Attributes that exist only during a fit.
_TRANSIENT = ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown")

# Public attributes for the curves that `_progress` holds.
_CURVE_ATTRIBUTES = tuple(f"{name}_" for name in CURVES)


# ---- plain state ---------------------------------------------------------------------------------


def to_state(attributes: State) -> State:
    """Convert an estimator's attributes to plain data."""
    state = {name: value for name, value in attributes.items() if name not in _TRANSIENT}
    if "_trained" not in state:
        return state
    trained = state.pop("_trained")
    network = {"network": serialize.to_bytes(trained.network.state), "last": trained.last}
    return _to_plain(state) | {"_trained": network}


def _to_plain(state: State) -> State:
    """Convert the state of a fit, without its network, to plain data."""
    progress = state["_progress"]
    scalings = {
        name: None if state[name] is None else asdict(state[name])
        for name in ("_scaling", "_target_scaling")
    }
    return state | scalings | {"_progress": vars(progress) | {"best": progress.best is not None}}


def from_state(state: State) -> State:
    """Convert plain data from `to_state` back to attributes."""
    if "_trained" not in state:
        return state
    network, _ = serialize.from_bytes(state["_trained"]["network"])
    return _to_attributes(state, make_trained(network, state["_trained"]["last"]))


def _to_attributes(state: State, trained: TrainedNetwork) -> State:
    """Convert the plain state of a fit to attributes, with its network."""
    attributes = dict(state)
    progress = FitProgress(**state["_progress"])
    # After validation, the network holds the best weights.
    progress.best = trained.network.parameters.copy() if progress.best else None
    attributes |= {"_trained": trained, "_progress": progress}
    validated = bool(progress.validation_scores)
    attributes["loss_curve_"] = progress.loss_curve
    attributes["validation_scores_"] = progress.validation_scores if validated else None
    attributes["validation_loss_curve_"] = progress.validation_loss_curve if validated else None
    for name in ("_scaling", "_target_scaling"):
        attributes[name] = None if state[name] is None else Scaling(**state[name])
    return attributes


def attach_feature_names(trained: TrainedNetwork, feature_names: Array | None) -> NetworkState:
    """The network of an estimator, which takes scaled data, with the names of the features."""
    state = copy_shallow(trained.network.state)
    state.feature_names_in = None if feature_names is None else tuple(feature_names.tolist())
    return state


# ---- files ---------------------------------------------------------------------------------------


def to_record(estimator: Any) -> Record:
    """Convert a fitted estimator to the record that a file holds.

    Raises
    ------
    ValueError
        If only pickle can hold a parameter or an attribute.
    """
    attributes = {name: value for name, value in vars(estimator).items() if name not in _TRANSIENT}
    trained = attributes.pop("_trained")
    for name in _CURVE_ATTRIBUTES:
        del attributes[name]
    state = _to_plain(attributes)
    arrays = {name: np.array(state["_progress"].pop(name), np.float64) for name in CURVES}
    if trained.last is not None:
        arrays["last"] = trained.last
    data = {name: json_values.to_json(name, value) for name, value in state.items()}
    network = attach_feature_names(trained, attributes.get("feature_names_in_"))
    extra = EstimatorData({"estimator": type(estimator).__name__, "state": data}, arrays)
    _check_state(type(estimator), network, extra)  # otherwise `load` would reject the file
    return network, extra


def from_record(kind: type, network: NetworkState, extra: EstimatorData | None) -> Any:
    """Make the estimator of this class that a record describes.

    Raises
    ------
    ValueError, TypeError
        If the record describes something else or is damaged.
    """
    state = _check_state(kind, network, extra)
    assert extra is not None
    estimator = kind()
    last = extra.arrays.get("last")
    network.feature_names_in = None  # they are an attribute of the estimator
    attributes = _to_attributes(state, make_trained(network, last))
    vars(estimator).update(attributes)
    estimator._validate_params()
    return estimator


def _check_state(kind: Any, network: NetworkState, extra: EstimatorData | None) -> State:
    """The state in a record; an error unless it is that of a fitted estimator of this class."""
    if extra is None or extra.data.get("estimator") != kind.__name__:
        got = (
            "a network without an estimator"
            if extra is None
            else f"{extra.data.get('estimator')!r:.80}"
        )
        raise ValueError(f"expected an estimator of class {kind.__name__}; got {got}")
    if extra.data.keys() != {"estimator", "state"} or not isinstance(extra.data["state"], dict):
        raise ValueError(f"expected the state of an estimator; got {sorted(extra.data)!r:.80}")
    state = {name: json_values.from_json(value) for name, value in extra.data["state"].items()}
    progress = state.get("_progress")
    for name in _CURVE_ATTRIBUTES:  # older files, without arrays for curves, have each twice
        state.pop(name, None)
    if isinstance(progress, dict):
        progress |= {name: extra.arrays[name].tolist() for name in CURVES if name in extra.arrays}
    schema.check_names(kind, set(state), set(kind._get_param_names()))
    schema.check_attributes(state, network)
    return state
