"""The content of a file: a network as metadata in JSON and named arrays.

When reading, every name has to be in a fixed list, and shapes are computed from the layers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fastnn import losses, optimizers
from fastnn._engine import native
from fastnn._engine.plan import compile_plan
from fastnn._io.description import from_data, to_data
from fastnn._io.safetensors_file import parse_json
from fastnn._training.state import NetworkState, OptimizerState, get_parameters
from fastnn._util import checks
from fastnn.layers import Layer, check_layers, get_output_activation

Array = NDArray[Any]

# Schedules convert step counts to float64, which represents integers exactly up to this value.
MAX_COUNT = 2**53

# Curves with a value for each epoch. They are stored as arrays, as they may be too long for the
# metadata after many calls of partial_fit.
CURVES = ("loss_curve", "validation_scores", "validation_loss_curve")
MAX_CURVE_LENGTH = 2**24

_PREFIX = "extra."


@dataclass(frozen=True)
class EstimatorData:
    """Data of an estimator in addition to its network. The estimator checks `data` when reading.
    Possible arrays are "last", the parameters from which training continues, and `CURVES`."""

    data: dict[str, Any]
    arrays: dict[str, Array] = field(default_factory=dict)


Record = tuple[NetworkState, EstimatorData | None]


@dataclass(frozen=True)
class ArraySpec:
    """Expected shape and dtype of an array; `shape` is None for a curve of any length."""

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]
    required: bool = True

    def check(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Raise an error about the array `name` unless shape and dtype are as expected."""
        matches = shape == self.shape if self.shape is not None else (
            len(shape) == 1 and shape[0] <= MAX_CURVE_LENGTH
        )  # fmt: skip
        if not matches or dtype != self.dtype:
            expected = "one dimension" if self.shape is None else f"shape {self.shape}"
            raise ValueError(f"{name}: expected {expected} of {self.dtype}; got {shape} of {dtype}")


@dataclass(frozen=True, kw_only=True)
class RecordPlan:
    """The parsed metadata of a record, and the arrays that belong to it."""

    specs: dict[str, ArraySpec]
    state: NetworkState
    """The network without parameters and optimizer."""
    training: dict[str, Any] | None
    """The fields of `OptimizerState` except its slots; None for an untrained network."""
    data: dict[str, Any] | None
    """`EstimatorData.data`; None for a network without estimator."""

    def make(self, arrays: Mapping[str, Array]) -> Record:
        """Construct the record from its arrays; their shapes and dtypes have been checked."""
        for name in ("parameters", "slots", f"{_PREFIX}last"):
            if name in self.specs and name in arrays and not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name}: expected finite numbers; got NaN or infinity")
        optimizer = None
        if self.training is not None:
            optimizer = OptimizerState(**self.training, slots=arrays["slots"].copy())
        parameters = native.aligned_copy(arrays["parameters"])
        state = replace(self.state, parameters=parameters, optimizer=optimizer)
        if self.data is None:
            return state, None
        extras = {name.removeprefix(_PREFIX): array for name, array in arrays.items()
                  if name.startswith(_PREFIX)}  # fmt: skip
        return state, EstimatorData(self.data, extras)


# ---- writing -----------------------------------------------------------------------------------


def describe_record(state: NetworkState, extra: EstimatorData | None) -> dict[str, str]:
    """The metadata of a network, and of an estimator's data: JSON by name."""
    optimizer = state.optimizer
    config = {
        "layers": to_data(state.layers),
        "dtype": state.dtype.name,
        "n_features_in": state.n_features_in,
        "feature_names_in": to_data(state.feature_names_in),
        "seed": state.seed,
        "n_epochs": state.n_epochs,
        "n_steps": state.n_steps,
        "training": optimizer and {
            "loss": to_data(optimizer.loss),
            "optimizer": to_data(optimizer.optimizer),
            "n_steps": optimizer.n_steps,
            "horizon": optimizer.horizon,
            "rate_factor": optimizer.rate_factor,
        },
    }  # fmt: skip
    metadata = {"config": json.dumps(config)}
    return metadata if extra is None else metadata | {"extra": json.dumps(extra.data)}


def collect_arrays(state: NetworkState, extra: EstimatorData | None) -> dict[str, Array]:
    """The arrays of a network, and of an estimator's data, by name."""
    arrays = {"parameters": get_parameters(state)}
    if state.optimizer is not None:
        arrays["slots"] = state.optimizer.slots
    if extra is not None:
        arrays |= {_PREFIX + name: array for name, array in extra.arrays.items()}
    return arrays


# ---- reading -----------------------------------------------------------------------------------


def make_record_plan(metadata: Mapping[str, str]) -> RecordPlan:
    """Parse and check the metadata from `describe_record`.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the metadata is damaged.
    """
    config = read_object(metadata["config"])
    state = _read_state(config)
    assert state.n_features_in is not None
    dtype, layers = state.dtype, state.layers
    n_params = compile_plan(layers, state.n_features_in, dtype).n_params
    state.feature_names_in = _read_names(config["feature_names_in"], state.n_features_in)
    training = None if config["training"] is None else _read_training(config["training"], layers)
    data = read_object(metadata["extra"]) if "extra" in metadata else None
    specs = {"parameters": ArraySpec((n_params,), dtype)}
    if training is not None:
        specs["slots"] = ArraySpec((training["optimizer"].n_slots, n_params), dtype)
    if data is not None:
        specs[f"{_PREFIX}last"] = ArraySpec((n_params,), dtype, required=False)
        curve = ArraySpec(None, np.dtype(np.float64), required=False)
        specs |= {_PREFIX + name: curve for name in CURVES}
    return RecordPlan(specs=specs, state=state, training=training, data=data)


def read_object(text: str) -> dict[str, Any]:
    """Parse a JSON object."""
    data = parse_json(text)
    if not isinstance(data, dict):
        raise ValueError("expected a JSON object; got another value")
    return data


def _read_state(config: dict[str, Any]) -> NetworkState:
    """The network without parameters, optimizer and feature names."""
    if not isinstance(config["layers"], list):
        raise ValueError("layers: expected a list; got another value")
    layers = tuple(from_data(item, get_args(Layer)) for item in config["layers"])
    return NetworkState(
        layers=check_layers("layers", layers),
        seed=checks.whole("seed", config["seed"]),
        dtype=np.dtype(checks.choice("dtype", config["dtype"], ("float32", "float64"))),
        n_features_in=checks.whole("n_features_in", config["n_features_in"], at_least=1),
        n_epochs=checks.whole("n_epochs", config["n_epochs"], at_most=MAX_COUNT),
        n_steps=checks.whole("n_steps", config["n_steps"], at_most=MAX_COUNT),
    )


def _read_training(config: dict[str, Any], layers: tuple[Layer, ...]) -> dict[str, Any]:
    """The fields of `OptimizerState`, except its slots."""
    loss = from_data(config["loss"], tuple(losses.CLASSES.values()))
    losses.check_head(loss, get_output_activation(layers).name)
    horizon = config["horizon"]
    return {
        "loss": loss,
        "optimizer": from_data(config["optimizer"], tuple(optimizers.ALL_CLASSES.values())),
        "n_steps": checks.whole("n_steps", config["n_steps"], at_most=MAX_COUNT),
        "horizon": None if horizon is None else checks.whole("horizon", horizon, at_least=1),
        "rate_factor": checks.number("rate_factor", config["rate_factor"], above=0),
    }


def _read_names(names: Any, n_features: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != n_features:
        raise ValueError(f"feature_names_in: expected {n_features} names")
    return tuple(checks.instance("feature_names_in", name, str, "a string") for name in names)
