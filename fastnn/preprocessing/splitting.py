"""Random splits into training and test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.checks.arrays import check_n_rows, check_seed, check_strata, check_test_size

Integers = NDArray[np.int64]


def _count_test_rows(counts: Integers, n_test: int, rng: np.random.Generator) -> Integers:
    """Return the number of test rows of each class, in proportion to its size.

    Rounded by the method of largest remainders (A. Hamilton, 1792). Ties are broken at random, so
    that no class is favoured.
    """
    n_rows, remainder = np.divmod(counts * n_test, counts.sum())
    permutation = rng.permutation(len(counts))
    permutation = permutation[np.argsort(-remainder[permutation], kind="stable")]
    n_rows[permutation[: n_test - n_rows.sum()]] += 1
    return n_rows


def _take(array: Any, rows: Integers) -> Any:
    if isinstance(array, list | tuple):
        return [array[i] for i in rows]
    return array.iloc[rows] if hasattr(array, "iloc") else array[rows]


def train_test_split(
    *arrays: Any,
    test_size: float = 0.25,
    random_state: int | np.random.Generator | None = None,
    stratify: Any = None,
) -> list[Any]:
    """Split arrays at random into training and test rows, the same rows for every array.

    Parameters
    ----------
    *arrays : arrays of shape (n, ...), lists, tuples or pandas objects
        Data with n rows each.
    test_size : float or int, default 0.25
        Fraction of the rows in the test set, between 0 and 1, rounded up; or number of rows.
    random_state : int or numpy.random.Generator, optional
        An int gives the same split at each call; by default each call gives another split.
    stratify : array-like, shape (n,), optional
        Labels whose proportions are preserved in both sets, up to rounding (J. Neyman, Journal of
        the Royal Statistical Society 97, 1934).

    Returns
    -------
    list
        a_train, a_test, b_train, b_test, ...: shuffled copies. Lists and tuples become lists.

    Raises
    ------
    ValueError, TypeError
        If the arrays differ in length, a set would be empty, a class has a single row, or there
        are more classes than rows in a set.

    Examples
    --------
    >>> [len(rows) for rows in train_test_split(np.arange(8), list("abcdefgh"), random_state=0)]
    [6, 2, 6, 2]
    """
    n = check_n_rows(arrays)
    n_test = check_test_size(test_size, n)
    rng = check_seed(random_state)
    strata = np.zeros(n, np.int64) if stratify is None else check_strata(stratify, n, n_test)
    sides = split_rows(strata, n_test, rng)
    return [_take(array, rows) for array in arrays for rows in sides]


def split_rows(
    strata: Integers, n_test: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return the shuffled indices of the training rows and of the `n_test` test rows.

    `strata` are class numbers from 0, shape (n,), which are not checked.
    """
    n = len(strata)
    shuffled = rng.permutation(n)
    codes, counts = strata[shuffled], np.bincount(strata)
    rank = np.empty(n, np.int64)  # of each row within its class, in shuffled order
    rank[np.argsort(codes, kind="stable")] = np.concatenate([np.arange(c) for c in counts])
    in_test = rank < _count_test_rows(counts, n_test, rng)[codes]
    return shuffled[~in_test], shuffled[in_test]
