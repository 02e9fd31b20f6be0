"""Standardization of columns, as part of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KINDS = ("standard", "robust")


@dataclass(frozen=True)
class Scaling:
    """`(values - center) / spread`, column by column."""

    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def from_fields(cls, value: Any) -> Scaling:
        """Construct from a dictionary of the fields, as read from a file, and check both arrays."""
        if not isinstance(value, dict) or set(value) != {"center", "spread"}:
            raise ValueError(f"expected the center and the spread of a scaling; got {value!r:.80}")
        center, spread = value["center"], value["spread"]
        if not all(isinstance(item, np.ndarray) for item in (center, spread)):
            raise ValueError(f"expected a scaling of arrays; got {value!r:.80}")
        if center.dtype != np.float64 or spread.dtype != np.float64 or center.ndim != 1 or (
            center.shape != spread.shape
        ):  # fmt: skip
            raise ValueError("expected center and spread of the same length, in float64")
        if not (np.isfinite(center).all() and np.isfinite(spread).all() and (spread > 0).all()):
            raise ValueError("expected a finite center, and finite spreads above 0")
        return cls(center, spread)

    def apply(self, values: Array) -> Array:
        """Scaled values (n, k), in the dtype of `values`."""
        scaled = values - self.center
        scaled /= self.spread
        return np.ascontiguousarray(scaled, dtype=values.dtype)

    def undo(self, values: Array) -> Array:
        """The inverse of `apply`, in the dtype of `values`."""
        restored = values * self.spread
        restored += self.center
        return restored.astype(values.dtype, copy=False)


def fit_scaling(kind: str | None, values: Array, weights: Array | None) -> Scaling | None:
    """Compute the scaling of each column.

    Parameters
    ----------
    kind : {"standard", "robust"} or None
        "standard": mean 0 and standard deviation 1. "robust": median 0 and interquartile range 1.
        None: no scaling.
    values : array of shape (n, k)
        A column whose spread is 0 is centered, but not scaled.
    weights : array of shape (n,) or None
        A row with an integer weight w is equivalent to w rows.
    """
    if kind is None:
        return None
    compute = {"standard": _compute_moments, "robust": _compute_quartiles}[kind]
    center, spread = compute(values, weights)
    return Scaling(center, np.where(spread > 0, spread, 1.0))


def _compute_moments(values: Array, weights: Array | None) -> tuple[Array, Array]:
    # Relative to the first row, so that the variance of a constant column is exactly 0.
    shifted = values.astype(np.float64) - values[0]
    mean = np.average(shifted, axis=0, weights=weights)
    variance = np.average((shifted - mean) ** 2, axis=0, weights=weights)
    return values[0] + mean, np.sqrt(variance)


def _compute_quartiles(values: Array, weights: Array | None) -> tuple[Array, Array]:
    low, median, high = (_compute_quantile(values, weights, q) for q in (0.25, 0.5, 0.75))
    return median, high - low


def _compute_quantile(values: Array, weights: Array | None, q: float) -> Array:
    """The weighted q-quantile of each column, without interpolation: the smallest value whose
    cumulative weight is at least q times the total weight."""
    order = np.argsort(values, axis=0, kind="stable")
    weight = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    below = np.cumsum(weight[order], axis=0)
    rank = (below < q * below[-1]).sum(axis=0)
    rows = order[rank, np.arange(values.shape[1])]
    return np.asarray(values[rows, np.arange(values.shape[1])], dtype=np.float64)
