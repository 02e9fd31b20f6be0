"""Sparse matrices as the engines read them, converted from `scipy.sparse`.

The arrays of a matrix in compressed sparse row format with the right dtype are used without a copy,
also if they are read-only or mapped from a file. The user's matrix is never modified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.conversion import check_finite, check_table, convert

Array = NDArray[Any]
Rows = NDArray[np.intp]

MOST_FEATURES = 2**31 - 1  # columns are 32-bit integers
CHUNK = 2**22  # entries whose order is checked at a time


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows in compressed sparse row format: row i has the entries starts[i]..starts[i + 1], whose
    columns increase. `values` and `columns` have at least one element."""

    values: Array
    columns: NDArray[np.int32]
    starts: NDArray[np.intp]  # (n + 1,)
    n_features: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and features."""
        return len(self), self.n_features

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values."""
        return self.values.dtype

    @property
    def entries_per_row(self) -> float:
        """The mean number of entries of a row."""
        return float(self.starts[-1] - self.starts[0]) / len(self)


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def convert_sparse(
    X: Any, dtype: np.dtype[Any], *, finite: bool = True, name: str = "X"
) -> SparseRows:
    """The rows of a sparse matrix, with values in the given dtype."""
    check_table(name, X.shape)
    if X.shape[1] > MOST_FEATURES:
        raise ValueError(
            f"{name}: expected at most {MOST_FEATURES} features of a sparse matrix; got "
            f"{X.shape[1]}"
        )
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers; got a sparse matrix of {X.dtype}")
    csr = X.tocsr()
    _check_structure(csr, name)
    if not _has_increasing_columns(csr.indices, csr.indptr):
        csr = csr.copy()
        csr.has_canonical_format = False  # a flag that may be wrong
        csr.sum_duplicates()
    n = int(csr.indptr[-1])
    values, columns = csr.data[:n], csr.indices[:n]
    if n == 0:
        values, columns = np.zeros(1, dtype), np.zeros(1, np.int32)
    values = convert(values, dtype)
    if finite:
        check_finite(name, values)
    starts = csr.indptr.astype(np.intp)  # always a copy: the engine does not check them again
    return SparseRows(values, convert(columns, np.dtype(np.int32)), starts, X.shape[1])


def _check_structure(csr: Any, name: str) -> None:
    """Raise an error for rows or columns that are out of range."""
    starts, columns = csr.indptr, csr.indices
    n_rows, n_features = csr.shape
    expected = f"{name}: expected a valid sparse matrix"
    if len(starts) != n_rows + 1 or starts[0] != 0 or (starts[1:] < starts[:-1]).any():
        raise ValueError(f"{expected}; got indptr that does not increase from 0 over its rows")
    n = int(starts[-1])
    if n > min(len(columns), len(csr.data)):
        raise ValueError(
            f"{expected}; got {min(len(columns), len(csr.data))} entries, where indptr has {n}"
        )
    low, high = (int(columns[:n].min()), int(columns[:n].max())) if n else (0, 0)
    if low < 0 or high >= n_features:
        bad = low if low < 0 else high
        raise ValueError(f"{expected} with columns from 0 to {n_features - 1}; got column {bad}")


def _has_increasing_columns(columns: Array, starts: Array) -> bool:
    """Whether the columns of each row increase, so that none occurs twice."""
    n = int(starts[-1])
    for first in range(0, n - 1, CHUNK):
        last = min(first + CHUNK, n - 1)
        falls = np.flatnonzero(columns[first + 1 : last + 1] <= columns[first:last]) + first + 1
        if len(falls) and not (starts[np.searchsorted(starts, falls)] == falls).all():
            return False
    return True


def take_rows(X: SparseRows, rows: Rows) -> SparseRows:
    """The given rows, as a copy."""
    lengths = (X.starts[1:] - X.starts[:-1])[rows]
    starts = np.concatenate([np.zeros(1, np.intp), np.cumsum(lengths)])
    places = np.arange(starts[-1]) + np.repeat(X.starts[rows] - starts[:-1], lengths)
    values, columns = X.values[places], X.columns[places]
    if not len(values):
        values, columns = np.zeros(1, X.dtype), np.zeros(1, np.int32)
    return SparseRows(values, columns, starts, X.n_features)


def get_dense_rows(X: Array | SparseRows, rows: Rows) -> Array:
    """The given rows as a dense array."""
    if not isinstance(X, SparseRows):
        part: Array = X[rows]
        return part
    taken = take_rows(X, rows)
    dense = np.zeros(taken.shape, X.dtype)
    n = int(taken.starts[-1])
    index = np.repeat(np.arange(len(taken)), np.diff(taken.starts))
    dense[index, taken.columns[:n]] = taken.values[:n]
    return dense


def require_dense(X: Array | SparseRows, what: str, name: str = "X") -> Array:
    """X; an error if it is sparse, which `what` does not take."""
    if isinstance(X, SparseRows):
        raise TypeError(
            f"{name}: expected a dense array for {what}; got a sparse one: use {name}.toarray()"
        )
    return X
