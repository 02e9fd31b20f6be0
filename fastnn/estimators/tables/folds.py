"""The rows that each member of an ensemble is trained on, and those that it holds out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


def assign_folds(strata: NDArray[np.intp] | None, n: int, n_folds: int, seed: int) -> Rows:
    """The fold of each of n rows, from 0. Folds have equal sizes up to one row, and with strata
    (n,) about equal shares of each. The only row of its stratum has fold -1: it is never held out.

    Raises
    ------
    ValueError
        If each row is the only one of its stratum.
    """
    rows = np.random.default_rng(seed).permutation(n)
    if strata is not None:
        rows = rows[np.argsort(strata[rows], kind="stable")]
        rows = rows[np.bincount(strata)[strata[rows]] > 1]
        if not len(rows):
            raise ValueError(f"y: expected at least two rows of some class; got {n} classes with "
                             "one row each")  # fmt: skip
    folds = np.full(n, -1, np.intp)
    folds[rows] = np.arange(len(rows)) % min(n_folds, len(rows))
    return folds


def split_fold(folds: Rows, member: int) -> tuple[Rows, Rows]:
    """The training rows and the held-out rows of a member."""
    held_out = folds == member % (int(folds.max()) + 1)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def select(values: Any, rows: Rows) -> Any:
    """The values of these rows; None for None."""
    return None if values is None else values[rows]
