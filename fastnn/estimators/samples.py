"""The rows of a fit: as the user gave them, and as the network reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

Array = NDArray[Any]


@dataclass(frozen=True)
class Sample:
    """Checked data in the user's terms: X (n, n_features), y as given, weights (n,) or None."""

    X: Any
    y: Array
    weights: Array | None


@dataclass(frozen=True)
class Rows:
    """Encoded data: C-contiguous, of the network's dtype; y is (n, n_targets)."""

    X: Array
    y: Array
    weights: Array | None

    def __len__(self) -> int:
        return len(self.X)


def dense(values: Any) -> Array:
    """An array, of a sparse matrix too."""
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


def checked(estimator: Any, X: Any, y: Any, reset: bool, y_numeric: bool) -> tuple[Any, Array]:
    """X and y, checked by scikit-learn's rules; a single column of targets becomes (n,)."""
    X, y = validate_data(
        estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=y_numeric,
        dtype=(np.float64, np.float32), reset=reset,
    )  # fmt: skip
    y = dense(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def split(
    sample: Sample, fraction: float, seed: int, stratify: Array | None
) -> tuple[Sample, Sample]:
    """Training rows and validation rows."""
    arrays = [part for part in (sample.X, sample.y, sample.weights) if part is not None]
    parts = train_test_split(*arrays, random_state=seed, test_size=fraction, stratify=stratify)
    training, held_out = (
        Sample(X, y, weights[0] if weights else None)
        for X, y, *weights in (parts[::2], parts[1::2])
    )
    if held_out.X.shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    return training, held_out


def encoded(sample: Sample, y: Array, weights: Array | None) -> Rows:
    """Rows with these targets and weights."""
    if weights is not None and not weights.any():
        raise ValueError(
            "sample_weight: expected weights above 0, times those of class_weight, among the rows "
            "to train on and among those to validate on; got none"
        )
    return Rows(np.require(dense(sample.X), requirements=("C", "A")), y, weights)


def without_weightless(rows: Rows) -> Rows:
    """Without rows of weight 0, which would make batches smaller than they look."""
    if rows.weights is None or rows.weights.all():
        return rows
    kept = rows.weights > 0
    return Rows(rows.X[kept], rows.y[kept], rows.weights[kept])
