"""Means with their spread and count, and differences of settings that share seeds and folds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Estimate:
    """A mean, the standard deviation of what it is the mean of, and how many those are.

    Examples
    --------
    >>> print(estimate([0.9, 0.92, 0.94]))
    0.92 ± 0.02 (n = 3)
    """

    mean: float
    std: float
    """That of a sample (n - 1); NaN for a single number."""
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.std:.2g} (n = {self.count})"


def estimate(values: ArrayLike) -> Estimate:
    """Of the numbers that are not NaN."""
    given = np.asarray(values, dtype=np.float64).ravel()
    given = given[~np.isnan(given)]
    n = len(given)
    mean = float(given.mean()) if n else math.nan
    return Estimate(mean, float(given.std(ddof=1)) if n > 1 else math.nan, n)


@dataclass(frozen=True)
class Difference:
    """The mean difference of pairs, its standard error, and how many pairs there are.

    Pairs that share a seed and a fold differ by what is compared alone, so their difference has far
    less noise than the two means. Scores of folds of one cross-validation are not independent: each
    pair of training sets shares rows, and the standard error is somewhat too small for them
    (C. Nadeau and Y. Bengio, "Inference for the generalization error", 2003).

    Examples
    --------
    >>> print(paired_difference([0.95, 0.93, 0.96], [0.94, 0.91, 0.95]))
    0.01333 ± 0.0033 (standard error, n = 3)
    """

    mean: float
    standard_error: float
    """NaN for a single pair."""
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.standard_error:.2g} (standard error, n = {self.count})"


def paired_difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """first - second, pair by pair; pairs with a NaN are left out."""
    pairs = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    found = estimate(pairs)
    return Difference(found.mean, found.std / math.sqrt(max(found.count, 1)), found.count)
