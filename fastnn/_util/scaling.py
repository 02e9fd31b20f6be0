"""Columns shifted and scaled, as a part of a model."""

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
    def checked(cls, value: Any) -> Scaling:
        """From a dict of its fields, as a file has them: finite, with spreads above 0."""
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
        """Scaled values, of the same dtype."""
        scaled = values - self.center
        scaled /= self.spread
        return np.ascontiguousarray(scaled, dtype=values.dtype)

    def undo(self, values: Array) -> Array:
        """What `apply` made the values from, of their dtype."""
        restored = values * self.spread
        restored += self.center
        return restored.astype(values.dtype, copy=False)


def fit_scaling(kind: str | None, values: Array, weights: Array | None) -> Scaling | None:
    """The scaling of rows (n, k), where a row of weight k counts as k rows: "standard" to mean 0
    and standard deviation 1, "robust" to median 0 and quartiles 1 apart. A column without spread
    is only shifted."""
    if kind is None:
        return None
    center, spread = {"standard": _moments, "robust": _quartiles}[kind](values, weights)
    return Scaling(center, np.where(spread > 0, spread, 1.0))


def _moments(values: Array, weights: Array | None) -> tuple[Array, Array]:
    # Relative to the first row, so that rounding cannot give a constant column a spread.
    shifted = values.astype(np.float64) - values[0]
    mean = np.average(shifted, axis=0, weights=weights)
    variance = np.average((shifted - mean) ** 2, axis=0, weights=weights)
    return values[0] + mean, np.sqrt(variance)


def _quartiles(values: Array, weights: Array | None) -> tuple[Array, Array]:
    low, median, high = (_quantile(values, weights, q) for q in (0.25, 0.5, 0.75))
    return median, high - low


def _quantile(values: Array, weights: Array | None, q: float) -> Array:
    """The inverse of each column's distribution function, which is the same for a row of weight k
    as for k rows."""
    order = np.argsort(values, axis=0, kind="stable")
    weight = np.ones(len(values)) if weights is None else weights.astype(np.float64)
    below = np.cumsum(weight[order], axis=0)
    rank = (below < q * below[-1]).sum(axis=0)
    rows = order[rank, np.arange(values.shape[1])]
    return np.asarray(values[rows, np.arange(values.shape[1])], dtype=np.float64)
