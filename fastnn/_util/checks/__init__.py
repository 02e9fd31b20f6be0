"""Checks of parameters. Each raises a ValueError or TypeError of the form "name: expected ...; got
...".

Checks run before any work and return the checked value, so that a caller can write
`self.rate = number("rate", rate, at_least=0, below=1)`. Checks of arrays are in `checks.arrays`.
"""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from collections.abc import Collection
from typing import Any

# Names in other libraries, in lower case without underscores, and the names in fastnn.
OTHER_NAMES = {
    "heaviside": "step", "identity": "linear", "logistic": "sigmoid", "swish": "silu",
    "bce": "binary_cross_entropy", "bceloss": "binary_cross_entropy",
    "bcewithlogitsloss": "binary_cross_entropy",
    "binarylogloss": "binary_cross_entropy",
    "categoricalcrossentropy": "cross_entropy", "crossentropyloss": "cross_entropy",
    "logloss": "cross_entropy", "negativeloglikelihood": "cross_entropy",
    "nllloss": "cross_entropy", "softmaxcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy",
    "l2": "squared_error", "l2loss": "squared_error", "meansquarederror": "squared_error",
    "mseloss": "squared_error",
    "l1": "absolute_error", "l1loss": "absolute_error", "meanabsoluteerror": "absolute_error",
    "smoothl1": "huber", "smoothl1loss": "huber", "pinball": "quantile",
    "poissonnllloss": "poisson", "gaussiannllloss": "gaussian_nll",
    "momentum": "sgd", "nesterov": "sgd", "bfgs": "lbfgs", "lbfgsb": "lbfgs",
    "lm": "levenberg_marquardt", "trainlm": "levenberg_marquardt",
    "marquardt": "levenberg_marquardt",
    "kaimingnormal": "he_normal", "kaiminguniform": "he_uniform",
    "xaviernormal": "glorot_normal", "xavieruniform": "glorot_uniform",
}  # fmt: skip


def number(
    name: str,
    value: Any,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> float:
    """A finite real number within bounds."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:  # an integer beyond the range of float
        number = math.inf
    if (
        math.isfinite(number)
        and (at_least is None or number >= at_least)
        and (above is None or number > above)
        and (at_most is None or number <= at_most)
        and (below is None or number < below)
    ):
        return number
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    limits = " and ".join(f"{text} {bound}" for text, bound in bounds.items() if bound is not None)
    expected = f"a finite number {limits}".strip()
    if not is_number:
        raise TypeError(f"{name}: expected {expected}; got {describe(value)}")
    raise ValueError(f"{name}: expected {expected}; got {value!r}")


def whole(name: str, value: Any, *, at_least: int = 0, at_most: int = 2**63 - 1) -> int:
    """A whole number within bounds."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if is_whole and at_least <= int(value) <= at_most:
        return int(value)
    limit = "" if at_most == 2**63 - 1 else f" and at most {at_most}"
    expected = f"a whole number of at least {at_least}{limit}"
    if not is_whole:
        raise TypeError(f"{name}: expected {expected}; got {describe(value)}")
    raise ValueError(f"{name}: expected {expected}; got {value!r}")


def flag(name: str, value: Any) -> bool:
    """True or False; other truthy or falsy values are errors."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False; got {describe(value)}")
    return value


def verbosity(value: Any) -> int:
    """A value of `verbose`: True, False or a whole number."""
    expected = "verbose: expected True, False or a whole number of at least 0"
    if not isinstance(value, numbers.Integral):
        raise TypeError(f"{expected}; got {describe(value)}")
    if int(value) < 0:
        raise ValueError(f"{expected}; got {value!r}")
    return int(value)


def choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """One of the allowed names; the error message suggests the nearest one."""
    if isinstance(value, str) and value in allowed:
        return value
    names = sorted(allowed)
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected one of {names}; got {describe(value)}")
    near = _find_nearest(value, names)
    hint = f" Did you mean {near!r}?" if near else ""
    raise ValueError(f"{name}: expected one of {names}; got {value!r}.{hint}")


def _find_nearest(value: str, names: list[str]) -> str | None:
    """The name that was probably meant: one that differs only in case or punctuation, the
    equivalent of another library's name, or one of similar spelling; None if there is none."""
    key = _normalize(value)
    by_key = {_normalize(name): name for name in names}
    if key in by_key:
        return by_key[key]
    if OTHER_NAMES.get(key) in names:
        return OTHER_NAMES[key]
    near = difflib.get_close_matches(value.lower(), names, n=1, cutoff=0.5)
    return near[0] if near else None


def _normalize(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def instance(name: str, value: Any, kind: type | tuple[type, ...], expected: str) -> Any:
    """An object of a given class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {expected}; got {describe(value)}")
    return value


def function(name: str, value: Any, expected: str) -> Any:
    """A callable."""
    if not callable(value):
        raise TypeError(f"{name}: expected {expected}; got {describe(value)}")
    return value


def describe(value: Any) -> str:
    """A short description of a value, for error messages."""
    kind = "class" if inspect.isclass(value) else "function" if inspect.isfunction(value) else ""
    if kind and str(value.__module__).startswith("fastnn."):
        return f"the {kind} {value.__name__}: use {value.__name__}()"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
