"""`Dataset`: what the functions of `fastnn.datasets` return."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)  # comparing arrays gives arrays, not a truth value
class Dataset:
    """A data set with features and a target; `X, y = dataset` unpacks the two arrays.

    Attributes
    ----------
    X : ndarray of float64, shape (n, n_features)
        Features, C-contiguous.
    y : ndarray, shape (n,)
        Class labels (int64, from 0) or a numerical target (float64).
    feature_names : tuple of str
        Names of the columns of X.
    target_names : tuple of str
        Names of the classes, by label; or the name of the numerical target.
    description : str
        Meaning of rows, features and target, with author and source.
    """

    X: NDArray[np.float64] = field(repr=False)
    y: NDArray[Any] = field(repr=False)
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Iterate over X and y."""
        yield self.X
        yield self.y
