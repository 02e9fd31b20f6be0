"""Fitted estimators as plain data, and as files.

The plain state is an estimator's attributes with its own objects replaced by numbers, text, arrays
and the bytes of a network's file; pickle, joblib and skops keep that. A file of `save` is a
network's file (`fastnn.files`) that holds the rest of the state besides.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import files
from fastnn.activations import Activation
from fastnn.description import from_data, to_data
from fastnn.estimators.progress import Progress
from fastnn.estimators.scaling import Scaling
from fastnn.estimators.solvers import Trained
from fastnn.files import Extra, Snapshot, Training
from fastnn.model import restored
from fastnn.schedules import CLASSES, Schedule

Array = NDArray[Any]
State = dict[str, Any]

# Attributes that only live during a fit.
_PASSING = ("_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown")

_PRIVATE = {"_progress", "_scaling", "_target_scaling", "_label_kind", "_sklearn_version"}


# ---- plain state ---------------------------------------------------------------------------------


def state_of(attributes: State) -> State:
    """Plain data for an estimator's attributes."""
    state = {name: value for name, value in attributes.items() if name not in _PASSING}
    if "_trained" not in state:
        return state
    trained, progress = state["_trained"], state["_progress"]
    state["_trained"] = {
        "network": files.to_bytes(_snapshot(trained)), "last": trained.last,
    }  # fmt: skip
    state["_progress"] = vars(progress) | {"best": progress.best is not None}
    for name in ("_scaling", "_target_scaling"):
        state[name] = None if state[name] is None else asdict(state[name])
    return state


def from_state(state: State) -> State:
    """The attributes that `state_of` was given."""
    if "_trained" not in state:
        return state
    attributes = dict(state)
    snapshot, _ = files.from_bytes(state["_trained"]["network"])
    trained = _trained(snapshot, state["_trained"]["last"])
    progress = Progress(**state["_progress"])
    # The network shows the best weights, where there are any.
    progress.best = trained.network.parameters.copy() if progress.best else None
    attributes |= {"_trained": trained, "_progress": progress}
    if "loss_curve_" in state:
        attributes["loss_curve_"] = progress.loss_curve
    for name in ("_scaling", "_target_scaling"):
        attributes[name] = None if state[name] is None else Scaling(**state[name])
    return attributes


def _snapshot(trained: Trained, names: tuple[str, ...] | None = None) -> Snapshot:
    network, state = trained.network, trained.state
    assert network.n_features_in is not None
    return Snapshot(
        network.layers, network.n_features_in, names, network.seed, network.n_epochs,
        network.n_steps, network.parameters, Training(**vars(state)) if state else None,
    )  # fmt: skip


def _trained(snapshot: Snapshot, last: Array | None) -> Trained:
    network = restored(snapshot)
    return Trained(network, network._state, None if last is None else last.copy())


# ---- files ---------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], kind: str, state: State) -> None:
    """Write an estimator's plain state."""
    tensors: dict[str, Array] = {}
    trained = state["_trained"]
    snapshot, _ = files.from_bytes(trained["network"])
    if trained["last"] is not None:
        tensors["last"] = trained["last"]
    data = {
        name: _to_json(name, value) for name, value in state.items() if name != "_trained"
    }  # fmt: skip
    files.write(path, snapshot, Extra({"estimator": kind, "state": data}, tensors))


def load(path: str | os.PathLike[str], kind: str, params: set[str]) -> State:
    """The attributes that `save` wrote for an estimator of this class and these parameters."""
    snapshot, extra = files.read_all(path)
    with files.readable(path):
        if extra is None or extra.data.get("estimator") != kind:
            found = "a bare network" if extra is None else f"{extra.data.get('estimator')!r:.80}"
            raise ValueError(f"expected an estimator of class {kind}; got {found}")
        state = {name: _from_json(value) for name, value in extra.data["state"].items()}
        missing = params - set(state)
        if missing:
            raise ValueError(f"expected the parameters {sorted(params)}; {sorted(missing)} missing")
        foreign = {name for name in set(state) - params if not name.endswith("_")} - _PRIVATE
        if foreign:
            raise ValueError(f"expected parameters and attributes; got {sorted(foreign)}")
        last = extra.tensors.get("last")
        if last is not None and last.shape != snapshot.parameters.shape:
            raise ValueError(f"last: expected shape {snapshot.parameters.shape}; got {last.shape}")
        state["_trained"] = {"network": files.to_bytes(snapshot), "last": last}
        return from_state(state)


def _to_json(name: str, value: Any) -> Any:
    """JSON for plain data and descriptions; containers say what they are."""
    if isinstance(value, Schedule | Activation):
        return to_data(value)
    if isinstance(value, np.ndarray):
        return {"array": value.dtype.str, "values": value.tolist()}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        pairs = [[_to_json(name, key), _to_json(name, item)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_to_json(name, item) for item in value]}
    raise ValueError(
        f"{name}: expected numbers, text, lists or a description of fastnn's in a file; got "
        f"{value!r:.60} ({type(value).__name__}), which pickle can hold"
    )


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "type" in value:
        return from_data(value, (*CLASSES, Activation))
    if "array" in value:
        dtype = np.dtype(value["array"])
        if dtype.kind not in "biufUO":
            raise ValueError(f"expected an array of numbers or text; got {dtype}")
        return np.array(value["values"], dtype=dtype)
    ((kind, items),) = value.items()
    if kind == "dict":
        return {_from_json(key): _from_json(item) for key, item in items}
    made: type = {"list": list, "tuple": tuple}[kind]
    return made(_from_json(item) for item in items)
