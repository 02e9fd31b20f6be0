"""The schema of a fitted estimator's state in a file: a closed list of names, with the type, length
and range of each value. An estimator with a valid state can predict and continue its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from fastnn._io.snapshot import CURVES
from fastnn._training.state import NetworkState
from fastnn._util.scaling import Scaling
from fastnn.layers import Dense, get_output_activation

State = dict[str, Any]
ValueRule = tuple[str, Callable[[Any], bool]]
"""A description of the expected value, and a function that tests a value."""

# Upper bound, exclusive, for counts and other whole numbers in a file.
_LARGEST = 2**63


def check_names(kind: type, names: set[str], params: set[str]) -> None:
    """Raise an error if the names are not the class's parameters and fitted attributes."""
    needed = params | _ATTRIBUTES.keys()
    if issubclass(kind, ClassifierMixin):
        needed = needed | {"classes_", "_label_kind"}
    missing, unknown = needed - names, names - needed - {"feature_names_in_"}
    for what, wrong in (("missing", missing), ("unknown", unknown)):
        if wrong:
            raise ValueError(
                f"expected the parameters and attributes of a fitted {kind.__name__}; {what}: "
                f"{sorted(wrong)!r:.200}"
            )


def check_attributes(state: State, network: NetworkState) -> None:
    """Raise an error if an attribute is not valid; `check_names` comes first."""
    _check("", _ATTRIBUTES, state)
    _check("_progress: ", _PROGRESS, state["_progress"])
    n_features, last = network.n_features_in or 0, network.layers[-1]
    if not isinstance(last, Dense):
        raise ValueError(f"expected a network that ends in a Dense layer; got {last!r:.60}")
    _check("", {
        "n_features_in_": (str(n_features), lambda value: value == n_features),
        "feature_names_in_": (
            f"{n_features} names", lambda value: value is None or _is_array(value, "O", n_features)
        ),
    }, {"feature_names_in_": None} | state)  # fmt: skip
    if "classes_" in state:
        _check_classes(state, last)
    elif last.units not in (state["n_outputs_"], 2 * state["n_outputs_"]):
        raise ValueError(f"n_outputs_: got {state['n_outputs_']} for a network of {last.units}")
    for name, n in (("_scaling", n_features), ("_target_scaling", state["n_outputs_"])):
        if state[name] is not None and len(Scaling.from_fields(state[name]).center) != n:
            raise ValueError(f"{name}: expected {n} columns; got another number of columns")


def _check(where: str, rules: Mapping[str, ValueRule], values: Mapping[str, Any]) -> None:
    for name, (expected, is_right) in rules.items():
        if not is_right(values[name]):
            raise ValueError(f"{where}{name}: expected {expected}; got {values[name]!r:.60}")


def _check_classes(state: State, last: Dense) -> None:
    """Raise an error if classes and outputs do not match, as `targets.Labels` defines it."""
    kind, classes = state["_label_kind"], state["classes_"]
    n, head = last.units, get_output_activation((last,)).name
    counts = {
        ("binary", "sigmoid"): (1, 2) if n == 1 else (),
        ("multilabel", "sigmoid"): (n,),
        ("multiclass", "softmax"): (n,),
    }  # fmt: skip
    allowed = counts.get((kind, head), ())
    is_array = any(_is_array(classes, "biufUmM", count) for count in allowed)
    if not is_array or not (classes[:-1] < classes[1:]).all() or state["n_outputs_"] != n:
        raise ValueError(
            f"classes_: expected the labels, in sorted order, of {n} outputs of {head}; got "
            f"{classes!r:.60} ({kind!r:.20})"
        )


# ---- rules ---------------------------------------------------------------------------------------


def _is_array(value: Any, kinds: str, length: int) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds and value.shape == (length,)


def _is_number(value: Any) -> bool:
    """Whether a value is a number, including infinity and NaN: losses of a fit that diverged."""
    return type(value) is float or (type(value) is int and abs(value) < _LARGEST)


def _is_dict(names: set[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and set(value) == names


_COUNT: ValueRule = ("a count", lambda value: type(value) is int and 0 <= value < _LARGEST)
_NUMBER: ValueRule = ("a number", _is_number)
_NUMBER_OR_NONE: ValueRule = ("a number or None", lambda value: value is None or _is_number(value))
_NUMBERS: ValueRule = (
    "a list of numbers", lambda value: isinstance(value, list) and all(map(_is_number, value))
)  # fmt: skip
_TEXT: ValueRule = ("text", lambda value: type(value) is str)
_FLAG: ValueRule = ("True or False", lambda value: type(value) is bool)

# The fields of `early_stopping.FitProgress`; `best` is a flag for whether there are best weights.
_PROGRESS: dict[str, ValueRule] = {
    **dict.fromkeys(CURVES, _NUMBERS),
    "best_loss": _NUMBER, "best_score": _NUMBER, "waited": _COUNT, "best": _FLAG,
}  # fmt: skip

_SCALING: ValueRule = ("a scaling or None", lambda value: value is None or isinstance(value, dict))

# Attributes that every fit sets, except the curves, which are in `_progress`.
_ATTRIBUTES: dict[str, ValueRule] = {
    "n_features_in_": _COUNT, "n_outputs_": _COUNT, "n_layers_": _COUNT, "n_iter_": _COUNT,
    "t_": _COUNT, "loss_": _NUMBER, "best_loss_": _NUMBER_OR_NONE,
    "best_validation_score_": _NUMBER_OR_NONE, "restarts_": _NUMBERS, "stop_reason_": _TEXT,
    "out_activation_": _TEXT,
    "_progress": ("the records of a fit", _is_dict(set(_PROGRESS))),
    "_scaling": _SCALING, "_target_scaling": _SCALING,
}  # fmt: skip
