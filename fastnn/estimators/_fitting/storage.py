"""Fitted estimators as plain data, and as records of files.

The plain state is an estimator's attributes with its own objects replaced by numbers, text, arrays
and the bytes of a network's file; pickle, joblib and skops keep that. A file of `save` is a
network's file (`fastnn._io.serialize`) that holds the rest of the state besides; it is checked
against a schema, before it is written and when it is read.
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
from fastnn.estimators._fitting.early_stopping import Progress
from fastnn.estimators._fitting.solvers import Trained
from fastnn.model import make_sequential

Array = NDArray[Any]
State = dict[str, Any]

# Attributes that only live during a fit.
_PASSING = ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown")

# Attributes that show what `_progress` has.
_SHOWN_CURVES = tuple(f"{name}_" for name in CURVES)


# ---- plain state ---------------------------------------------------------------------------------


def state_of(attributes: State) -> State:
    """Plain data for an estimator's attributes."""
    state = {name: value for name, value in attributes.items() if name not in _PASSING}
    if "_trained" not in state:
        return state
    trained = state.pop("_trained")
    network = {"network": serialize.to_bytes(trained.network.state), "last": trained.last}
    return _plain(state) | {"_trained": network}


def _plain(state: State) -> State:
    """The state of a fit, but for its network, without objects of fastnn's."""
    progress = state["_progress"]
    scalings = {
        name: None if state[name] is None else asdict(state[name])
        for name in ("_scaling", "_target_scaling")
    }
    return state | scalings | {"_progress": vars(progress) | {"best": progress.best is not None}}


def from_state(state: State) -> State:
    """The attributes that `state_of` was given."""
    if "_trained" not in state:
        return state
    network, _ = serialize.from_bytes(state["_trained"]["network"])
    return _attributes(state, _trained(network, state["_trained"]["last"]))


def _attributes(state: State, trained: Trained) -> State:
    attributes = dict(state)
    progress = Progress(**state["_progress"])
    # The network shows the best weights, where there are any.
    progress.best = trained.network.parameters.copy() if progress.best else None
    attributes |= {"_trained": trained, "_progress": progress}
    validated = bool(progress.validation_scores)
    attributes["loss_curve_"] = progress.loss_curve
    attributes["validation_scores_"] = progress.validation_scores if validated else None
    attributes["validation_loss_curve_"] = progress.validation_loss_curve if validated else None
    for name in ("_scaling", "_target_scaling"):
        attributes[name] = None if state[name] is None else Scaling(**state[name])
    return attributes


def network_of(trained: Trained, feature_names: Array | None) -> NetworkState:
    """The network of an estimator, which knows the names of its features then; for scaled data."""
    state = copy_shallow(trained.network.state)
    state.feature_names_in = None if feature_names is None else tuple(feature_names.tolist())
    return state


def _trained(state: NetworkState, last: Array | None) -> Trained:
    return Trained(make_sequential(state), None if last is None else last.copy())


# ---- files ---------------------------------------------------------------------------------------


def record_of(estimator: Any) -> Record:
    """What a file holds of a fitted estimator.

    Raises
    ------
    ValueError
        If a parameter or an attribute is something that only pickle can hold.
    """
    attributes = {name: value for name, value in vars(estimator).items() if name not in _PASSING}
    trained = attributes.pop("_trained")
    for name in _SHOWN_CURVES:
        del attributes[name]
    state = _plain(attributes)
    arrays = {name: np.array(state["_progress"].pop(name), np.float64) for name in CURVES}
    if trained.last is not None:
        arrays["last"] = trained.last
    data = {name: json_values.to_json(name, value) for name, value in state.items()}
    network = network_of(trained, attributes.get("feature_names_in_"))
    extra = EstimatorData({"estimator": type(estimator).__name__, "state": data}, arrays)
    _checked_state(type(estimator), network, extra)  # or no `load` would read it again
    return network, extra


def estimator_of(kind: type, network: NetworkState, extra: EstimatorData | None) -> Any:
    """The estimator of this class that a record is of.

    Raises
    ------
    ValueError, TypeError
        If it is of something else, or damaged.
    """
    state = _checked_state(kind, network, extra)
    assert extra is not None
    estimator = kind()
    last = extra.arrays.get("last")
    network.feature_names_in = None  # the estimator has them
    attributes = _attributes(state, _trained(network, last))
    vars(estimator).update(attributes)
    estimator._validate_params()
    return estimator


def _checked_state(kind: Any, network: NetworkState, extra: EstimatorData | None) -> State:
    """The state in a record, once it is one of a fitted estimator of this class."""
    if extra is None or extra.data.get("estimator") != kind.__name__:
        found = "a bare network" if extra is None else f"{extra.data.get('estimator')!r:.80}"
        raise ValueError(f"expected an estimator of class {kind.__name__}; got {found}")
    if extra.data.keys() != {"estimator", "state"} or not isinstance(extra.data["state"], dict):
        raise ValueError(f"expected the state of an estimator; got {sorted(extra.data)!r:.80}")
    state = {name: json_values.from_json(value) for name, value in extra.data["state"].items()}
    progress = state.get("_progress")
    for name in _SHOWN_CURVES:  # files without arrays for them have each curve twice
        state.pop(name, None)
    if isinstance(progress, dict):
        progress |= {name: extra.arrays[name].tolist() for name in CURVES if name in extra.arrays}
    schema.check_names(kind, set(state), set(kind._get_param_names()))
    schema.check_attributes(state, network)
    return state
