"""Mean and standard deviation of scores, and paired differences of settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Estimate:
    """A mean with the sample standard deviation and the number of values.

    Examples
    --------
    >>> print(estimate([0.9, 0.92, 0.94]))
    0.92 ± 0.02 (n = 3)
    """

    mean: float
    """Mean of the values; NaN if there are none."""
    std: float
    """Sample standard deviation, with divisor n - 1; NaN for a single value."""
    count: int
    """Number n of values."""

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.std:.2g} (n = {self.count})"


def estimate(values: ArrayLike) -> Estimate:
    """Return mean, standard deviation and count of the values that are not NaN."""
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[~np.isnan(array)]
    n = len(array)
    mean = float(array.mean()) if n else math.nan
    return Estimate(mean, float(array.std(ddof=1)) if n > 1 else math.nan, n)


@dataclass(frozen=True)
class Difference:
    """The mean difference of pairs of scores, its standard error, and the number of pairs.

    The two scores of a pair have the same seed and the same fold, so the mean of their differences
    has far less noise than the two means. The folds of a cross-validation are not independent,
    because their training sets overlap; for them the standard error is somewhat too small
    (C. Nadeau and Y. Bengio, "Inference for the generalization error", 2003).

    Examples
    --------
    >>> print(paired_difference([0.95, 0.93, 0.96], [0.94, 0.91, 0.95]))
    0.01333 ± 0.0033 (standard error, n = 3)
    """

    mean: float
    """Mean difference."""
    standard_error: float
    """Standard error of the mean; NaN for a single pair."""
    count: int
    """Number of pairs."""

    def __str__(self) -> str:
        return f"{self.mean:.4g} ± {self.standard_error:.2g} (standard error, n = {self.count})"


def paired_difference(first: ArrayLike, second: ArrayLike) -> Difference:
    """Return the mean of `first - second` over pairs; pairs with a NaN are left out."""
    pairs = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    difference = estimate(pairs)
    standard_error = difference.std / math.sqrt(max(difference.count, 1))
    return Difference(difference.mean, standard_error, difference.count)
