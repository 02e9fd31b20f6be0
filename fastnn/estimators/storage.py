"""Fitted estimators as plain data, and as files.

The plain state is an estimator's attributes with its own objects replaced by numbers, text, arrays
and the bytes of a network's file; pickle, joblib and skops keep that. A file of `save` is a
network's file (`fastnn.files`) that holds the rest of the state besides.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import Any

from numpy.typing import NDArray

from fastnn import files, plain
from fastnn.estimators.progress import Progress
from fastnn.estimators.solvers import Trained
from fastnn.files import Extra, Snapshot, Training
from fastnn.model import restored
from fastnn.scaling import Scaling

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
        "network": files.to_bytes(snapshot_of(trained)), "last": trained.last,
    }  # fmt: skip
    state["_progress"] = vars(progress) | {"best": progress.best is not None}
    for name in ("_scaling", "_target_scaling"):
        state[name] = None if state[name] is None else asdict(state[name])
    return state


def from_state(state: State) -> State:
    """The attributes that `state_of` was given."""
    if "_trained" not in state:
        return state
    snapshot, _ = files.from_bytes(state["_trained"]["network"])
    return _attributes(state, _trained(snapshot, state["_trained"]["last"]))


def _attributes(state: State, trained: Trained) -> State:
    attributes = dict(state)
    progress = Progress(**state["_progress"])
    # The network shows the best weights, where there are any.
    progress.best = trained.network.parameters.copy() if progress.best else None
    attributes |= {"_trained": trained, "_progress": progress}
    if "loss_curve_" in state:
        attributes["loss_curve_"] = progress.loss_curve
    for name in ("_scaling", "_target_scaling"):
        attributes[name] = None if state[name] is None else Scaling(**state[name])
    return attributes


def snapshot_of(trained: Trained, names: Array | None = None) -> Snapshot:
    """The network of an estimator, for scaled data."""
    network, state = trained.network, trained.state
    assert network.n_features_in is not None
    return Snapshot(
        network.layers, network.n_features_in, None if names is None else tuple(names.tolist()),
        network.seed, network.n_epochs, network.n_steps, network.parameters,
        Training(**vars(state)) if state else None,
    )  # fmt: skip


def _trained(snapshot: Snapshot, last: Array | None) -> Trained:
    network = restored(snapshot)
    return Trained(network, network._state, None if last is None else last.copy())


# ---- files ---------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], kind: str, attributes: State) -> None:
    """Write a fitted estimator."""
    trained = attributes["_trained"]
    state = state_of(attributes)
    del state["_trained"]
    data = {name: plain.to_json(name, value) for name, value in state.items()}
    tensors = {} if trained.last is None else {"last": trained.last}
    snapshot = snapshot_of(trained, attributes.get("feature_names_in_"))
    files.write(path, snapshot, Extra({"estimator": kind, "state": data}, tensors))


def load(path: str | os.PathLike[str], kind: str, params: set[str]) -> State:
    """The attributes that `save` wrote for an estimator of this class and these parameters."""
    snapshot, extra = files.read_all(path)
    with files.readable(path):
        if extra is None or extra.data.get("estimator") != kind:
            found = "a bare network" if extra is None else f"{extra.data.get('estimator')!r:.80}"
            raise ValueError(f"expected an estimator of class {kind}; got {found}")
        state = {name: plain.from_json(value) for name, value in extra.data["state"].items()}
        missing = params - set(state)
        if missing:
            raise ValueError(f"expected the parameters {sorted(params)}; {sorted(missing)} missing")
        foreign = {name for name in set(state) - params if not name.endswith("_")} - _PRIVATE
        if foreign:
            raise ValueError(f"expected parameters and attributes; got {sorted(foreign)}")
        last = extra.tensors.get("last")
        if last is not None and last.shape != snapshot.parameters.shape:
            raise ValueError(f"last: expected shape {snapshot.parameters.shape}; got {last.shape}")
        trained = _trained(replace(snapshot, feature_names_in=None), last)
        return _attributes(state, trained)
