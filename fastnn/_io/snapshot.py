"""What a file holds of a network: descriptions as JSON texts, and named arrays.

Every name comes from a closed list and every shape from the plan of the layers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses, optimizers
from fastnn._engine import native
from fastnn._engine.plan import compile_plan
from fastnn._io.description import from_data, to_data
from fastnn._io.safetensors_file import strict_json
from fastnn._training.state import NetworkState, OptimizerState, get_parameters
from fastnn._util import checks
from fastnn.layers import Dense, Dropout, Layer, Residual, check_layers, get_output_activation

Array = NDArray[Any]

# Schedules compute with steps as float64, which counts no further.
LARGEST_COUNT = 2**53

# One number for each epoch: after many calls of partial_fit too long for a description.
CURVES = ("loss_curve", "validation_scores", "validation_loss_curve")
LONGEST_CURVE = 2**24

_PREFIX = "extra."


@dataclass(frozen=True)
class Extra:
    """What is kept besides a network. Whoever put the data there checks them; the arrays may be
    "last", parameters to continue from, and the `CURVES`."""

    data: dict[str, Any]
    arrays: dict[str, Array] = field(default_factory=dict)


Record = tuple[NetworkState, Extra | None]


@dataclass(frozen=True)
class Form:
    """What an array has to be; `shape` is None for a curve of any length."""

    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]
    required: bool = True

    def check(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """An error that calls the array `name`, unless it is of this form."""
        fits = shape == self.shape if self.shape is not None else (
            len(shape) == 1 and shape[0] <= LONGEST_CURVE
        )  # fmt: skip
        if not fits or dtype != self.dtype:
            expected = "one dimension" if self.shape is None else f"shape {self.shape}"
            raise ValueError(f"{name}: expected {expected} of {self.dtype}; got {shape} of {dtype}")


@dataclass(frozen=True)
class RecordPlan:
    """What descriptions say of a record: its arrays, and how it is made of them."""

    forms: dict[str, Form]
    make: Callable[[Mapping[str, Array]], Record]


# ---- writing -----------------------------------------------------------------------------------


def texts_of(state: NetworkState, extra: Extra | None) -> dict[str, str]:
    """The descriptions."""
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
    texts = {"config": json.dumps(config)}
    return texts if extra is None else texts | {"extra": json.dumps(extra.data)}


def arrays_of(state: NetworkState, extra: Extra | None) -> dict[str, Array]:
    """The arrays by name."""
    arrays = {"parameters": get_parameters(state)}
    if state.optimizer is not None:
        arrays["slots"] = state.optimizer.slots
    if extra is not None:
        arrays |= {_PREFIX + name: array for name, array in extra.arrays.items()}
    return arrays


# ---- reading -----------------------------------------------------------------------------------


def plan_of(texts: Mapping[str, str]) -> RecordPlan:
    """What `texts_of` wrote, checked.

    Raises
    ------
    ValueError, TypeError, KeyError
        If a description is damaged.
    """
    config = read_object(texts["config"])
    if not isinstance(config["layers"], list):
        raise ValueError("got layers that are no list")
    layers = check_layers(
        "layers", tuple(from_data(item, (Dense, Dropout, Residual)) for item in config["layers"])
    )
    dtype = np.dtype(checks.choice("dtype", config["dtype"], ("float32", "float64")))
    n_features = checks.whole("n_features_in", config["n_features_in"], at_least=1)
    seed = checks.whole("seed", config["seed"])
    n_epochs = checks.whole("n_epochs", config["n_epochs"], at_most=LARGEST_COUNT)
    n_steps = checks.whole("n_steps", config["n_steps"], at_most=LARGEST_COUNT)
    n_params = compile_plan(layers, n_features, dtype).n_params
    names = _names(config["feature_names_in"], n_features)
    training = None if config["training"] is None else _training(config["training"], layers)
    data = read_object(texts["extra"]) if "extra" in texts else None

    forms = {"parameters": Form((n_params,), dtype)}
    if training is not None:
        forms["slots"] = Form((training["optimizer"].n_slots, n_params), dtype)
    if data is not None:
        forms[f"{_PREFIX}last"] = Form((n_params,), dtype, required=False)
        curve = Form(None, np.dtype(np.float64), required=False)
        forms |= {_PREFIX + name: curve for name in CURVES}

    def make(arrays: Mapping[str, Array]) -> Record:
        for name in forms.keys() & {"parameters", "slots", f"{_PREFIX}last"} & arrays.keys():
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name}: expected finite numbers; got NaN or infinity")
        optimizer = None
        if training is not None:
            optimizer = OptimizerState(**training, slots=arrays["slots"].copy())
        state = NetworkState(
            layers=layers, seed=seed, dtype=dtype, n_features_in=n_features,
            feature_names_in=names, parameters=native.aligned_copy(arrays["parameters"]),
            n_epochs=n_epochs, n_steps=n_steps, optimizer=optimizer,
        )  # fmt: skip
        if data is None:
            return state, None
        extras = {name.removeprefix(_PREFIX): array for name, array in arrays.items()
                  if name.startswith(_PREFIX)}  # fmt: skip
        return state, Extra(data, extras)

    return RecordPlan(forms, make)


def read_object(text: str) -> dict[str, Any]:
    """JSON data that are an object."""
    data = strict_json(text)
    if not isinstance(data, dict):
        raise ValueError("got a description that is no object")
    return data


def _training(config: dict[str, Any], layers: tuple[Layer, ...]) -> dict[str, Any]:
    """The fields of `OptimizerState` except its arrays."""
    loss = from_data(config["loss"], tuple(losses.CLASSES.values()))
    losses.check_head(loss, get_output_activation(layers).name)
    horizon = config["horizon"]
    return {
        "loss": loss,
        "optimizer": from_data(config["optimizer"], tuple(optimizers.CLASSES.values())),
        "n_steps": checks.whole("n_steps", config["n_steps"], at_most=LARGEST_COUNT),
        "horizon": None if horizon is None else checks.whole("horizon", horizon, at_least=1),
        "rate_factor": checks.number("rate_factor", config["rate_factor"], above=0),
    }


def _names(names: Any, n_features: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != n_features:
        raise ValueError(f"feature_names_in: expected {n_features} names")
    return tuple(checks.instance("feature_names_in", name, str, "a string") for name in names)
