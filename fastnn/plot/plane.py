"""The plane of two features, on which a model with any number of features is evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_numbers
from fastnn._util.conversion import read_feature_names

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """A grid of points that differ in two features."""

    names: tuple[str, str]
    points: Floats  # (n, 2), the data, as seen in this plane
    xx: Floats  # (resolution, resolution), coordinates of the grid
    yy: Floats
    rows: Any  # (resolution**2, n_features): the grid as input of a model


def make_plane(X: Any, features: Any, fixed: Any, grid_resolution: int, eps: float) -> Plane:
    """Check the arguments and make a grid around the data."""
    data = check_numbers("X", X, ndims=(2,)).astype(np.float64)
    names = read_feature_names(X) or tuple(f"feature {i}" for i in range(data.shape[1]))
    resolution = checks.whole("grid_resolution", grid_resolution, at_least=2, at_most=2000)
    eps = checks.number("eps", eps, at_least=0)
    i, j = _check_features(features, names)
    center = _check_fixed(fixed, names, (i, j), data)
    low, high = data[:, [i, j]].min(axis=0) - eps, data[:, [i, j]].max(axis=0) + eps
    high = np.where(high > low, high, low + 1)  # of a constant feature, without eps
    xx, yy = np.meshgrid(*np.linspace(low, high, resolution).T)
    rows = np.tile(center, (xx.size, 1))
    rows[:, i], rows[:, j] = xx.ravel(), yy.ravel()
    return Plane((names[i], names[j]), data[:, [i, j]], xx, yy, _convert_like(X, rows))


def _check_features(features: Any, names: Sequence[str]) -> tuple[int, int]:
    n = len(names)
    if features is None:
        if n != 2:
            raise ValueError(
                f"X: expected 2 features; got {n}: choose two, features=(0, 1); the others have "
                "their mean, or the values of fixed={feature: value}"
            )
        return 0, 1
    pair = list(features) if isinstance(features, tuple | list) else [features]
    if len(pair) != 2:
        raise ValueError(f"features: expected two features; got {checks.describe(features)}")
    i, j = (_find_feature("features", feature, names) for feature in pair)
    if i == j:
        raise ValueError(f"features: expected two different features; got {features!r}")
    return i, j


def _find_feature(where: str, feature: Any, names: Sequence[str]) -> int:
    """The index of a feature that is given by index or name."""
    if isinstance(feature, str):
        return names.index(checks.choice(where, feature, names))
    return checks.whole(where, feature, at_most=len(names) - 1)


def _check_fixed(fixed: Any, names: Sequence[str], pair: tuple[int, int], data: Floats) -> Floats:
    """The values of all features; those of the pair are not used."""
    center: Floats = data.mean(axis=0)
    if fixed is None:
        return center
    checks.instance("fixed", fixed, Mapping, "a dictionary {feature: value}")
    for feature, value in fixed.items():
        index = _find_feature("fixed", feature, names)
        if index in pair:
            raise ValueError(f"fixed: expected features other than {pair}; got {feature!r}")
        center[index] = checks.number(f"fixed[{feature!r}]", value)
    return center


def _convert_like(X: Any, rows: Floats) -> Any:
    """The rows as a data frame if X is one of pandas, as models fitted on names expect them."""
    return type(X)(rows, columns=X.columns) if hasattr(X, "iloc") else rows
