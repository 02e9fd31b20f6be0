"""Settings of a run: everything that the page can choose, validated in one place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from fastnn import activations, optimizers
from fastnn.playground import data

# All but those of outputs, and the step, whose derivative is zero.
ACTIVATIONS = tuple(name for name in activations.NAMES if name not in ("exp", "softmax", "step"))
OPTIMIZERS = ("momentum", "nesterov", *optimizers.CLASSES)
SCHEDULES = ("constant", "cosine", "one_cycle")
MAX_LAYERS = 6
MAX_UNITS = 16
MAX_SEED = 2**31 - 1

CHOICES = {
    "data": (*data.DATA_SETS, "csv"), "optimizer": OPTIMIZERS, "schedule": SCHEDULES,
}  # fmt: skip
RANGES = {
    "noise": (0, 1), "test_share": (0.1, 0.9), "learning_rate": (1e-6, 10), "l1": (0, 1),
    "l2": (0, 1), "dropout": (0, 0.9),
}  # fmt: skip
INTEGERS = {"batch_size": (1, 5000), "schedule_epochs": (1, 100_000), "seed": (0, MAX_SEED)}


@dataclass(frozen=True)
class Settings:
    """Data, features, network and training of one run.

    `units` and `activations` describe the hidden layers. `csv` is the text of a table, used if
    `data` is "csv". The rate of a schedule other than "constant" spans `schedule_epochs`.
    """

    data: str = "spiral"
    noise: float = 0.0
    test_share: float = 0.3
    batch_size: int = 10
    features: tuple[str, ...] = ("x", "y")
    units: tuple[int, ...] = (8, 8)
    activations: tuple[str, ...] = ("tanh", "tanh")
    learning_rate: float = 0.01
    schedule: str = "constant"
    schedule_epochs: int = 500
    optimizer: str = "adam"
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    seed: int = 0
    csv: str = ""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name, (low, high) in RANGES.items():
            _check_number(name, getattr(self, name), low, high)
        for name, (low, high) in INTEGERS.items():
            _check_integer(name, getattr(self, name), low, high)
        for name in ("features", "units", "activations"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise ValueError(f"{name}: expected a list; got {value!r}")
            object.__setattr__(self, name, tuple(value))
        for feature in self.features:
            _check_choice("features", feature, data.FEATURES)
        if not self.features or len(set(self.features)) < len(self.features):
            raise ValueError(f"features: expected distinct names; got {list(self.features)}")
        if len(self.units) > MAX_LAYERS or len(self.units) != len(self.activations):
            raise ValueError(
                f"units: expected at most {MAX_LAYERS} hidden layers, each with an activation; "
                f"got {len(self.units)} and {len(self.activations)} activations"
            )
        for units in self.units:
            _check_integer("units", units, 1, MAX_UNITS)
        for activation in self.activations:
            _check_choice("activations", activation, ACTIVATIONS)
        if not isinstance(self.csv, str):
            raise ValueError("csv: expected text")
        if self.data == "csv":
            data.read_csv(self.csv)


def describe_settings() -> dict[str, Any]:
    """Return the defaults and what can be chosen, for the page."""
    return {
        "defaults": dataclasses.asdict(Settings()), "choices": CHOICES,
        "ranges": RANGES, "integers": INTEGERS, "activations": ACTIVATIONS,
        "features": list(data.FEATURES), "max_units": MAX_UNITS, "max_layers": MAX_LAYERS,
        "max_csv_bytes": data.MAX_CSV_BYTES,
    }  # fmt: skip


def make_settings(values: Any) -> Settings:
    """Return the settings of a dictionary, as the page sends it.

    Raises
    ------
    ValueError
        If a name is unknown or a value is invalid.
    """
    if not isinstance(values, dict):
        raise ValueError(f"settings: expected an object; got {type(values).__name__}")
    unknown = values.keys() - {field.name for field in dataclasses.fields(Settings)}
    if unknown:
        raise ValueError(f"settings: expected known names; got {sorted(unknown)}")
    return Settings(**values)


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {list(choices)}; got {value!r}")


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # also true for NaN
        raise ValueError(f"{name}: expected a number from {low} to {high}; got {value!r}")


def _check_integer(name: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}: expected an integer from {low} to {high}; got {value!r}")
