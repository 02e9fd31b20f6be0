"""Edges of the bins of a feature: of equal numbers of rows, or by a decision tree."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

# A value that is repeated very often is counted less until no value fills more than one bin; each
# round brings the counts closer to that.
CAPPING_ROUNDS = 20

# The inverse of a smaller width is out of range, so that a position in the bin cannot be computed.
SMALLEST_WIDTH = 1e-300

# A tree chooses its thresholds between groups of rows with about equal numbers of rows.
MAX_CELLS = 256

# A split has to reduce the sum of squares by this share; rounding alone reduces it by less.
SMALLEST_GAIN = 1e-9


def compute_quantile_edges(column: Floats, n_bins: int) -> Floats:
    """The sorted edges of at most `n_bins` bins with about equal numbers of rows."""
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(values) <= n_bins + 1:
        return values
    weights = counts.astype(np.float64)
    for _ in range(CAPPING_ROUNDS):
        most = weights.sum() / n_bins
        if weights.max() <= most:
            break
        weights = np.minimum(weights, most)
    positions = np.cumsum(weights) - weights / 2
    # Of halves, because the distance of two values may be out of range.
    edges = 2 * np.interp(np.linspace(0, weights.sum(), n_bins + 1), positions, values / 2)
    edges[0], edges[-1] = values[0], values[-1]
    return np.unique(edges)


def merge_close_edges(edges: Floats) -> Floats:
    """The edges without those that make a bin too narrow to compute with."""
    with np.errstate(over="ignore"):
        return edges[np.diff(edges, prepend=-np.inf) >= SMALLEST_WIDTH]


@dataclass(frozen=True)
class Cells:
    """Groups of rows with neighbouring values of one feature, in ascending order."""

    thresholds: Floats
    """Values between each cell and the next, (n_cells - 1,)."""
    n_rows: Integers
    """Rows before each cell, and all rows, (n_cells + 1,)."""
    sums: Floats
    """Sums of the targets over these rows, (n_cells + 1, n_targets)."""


def compute_tree_edges(
    column: Floats, targets: Floats | Integers, n_bins: int, min_samples_leaf: int
) -> Floats:
    """The sorted thresholds of a decision tree on one feature, between its smallest and its largest
    value.

    The tree is grown best first: the next split is the one that reduces the sum of squares of the
    targets most. For classes that is the sum of squares of their indicators, which is the Gini
    impurity times the number of rows.

    Parameters
    ----------
    column : (n,)
        NaN are left out.
    targets : floats (n, n_targets) or integers (n,)
        Numbers with a mean near 0, or classes from 0.
    """
    known = ~np.isnan(column)
    column, targets = column[known], targets[known]
    if not column.size or column.min() == column.max():
        return np.unique(column)
    cells = _make_cells(column, targets)
    total = float(np.square(targets).sum()) if targets.ndim == 2 else len(column)
    leaves = [(0, len(cells.n_rows) - 1)]
    # The best split of each leaf, with the largest gain first.
    splits = [_find_split(cells, *leaves[0], min_samples_leaf)]
    chosen: list[int] = []
    while splits and len(chosen) < n_bins - 1:
        negative_gain, middle, start, end = heapq.heappop(splits)
        if -negative_gain <= SMALLEST_GAIN * total:
            break
        chosen.append(middle)
        for part in ((start, middle), (middle, end)):
            heapq.heappush(splits, _find_split(cells, *part, min_samples_leaf))
    thresholds = cells.thresholds[np.array(chosen, np.intp) - 1]
    return np.unique([column.min(), *thresholds, column.max()])


def _make_cells(column: Floats, targets: Floats | Integers) -> Cells:
    order = np.argsort(column)
    values = column[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    if len(starts) > MAX_CELLS:
        # The first rows of new values nearest after the quantiles.
        quantiles = np.arange(MAX_CELLS) * len(values) // MAX_CELLS
        positions = np.searchsorted(starts, quantiles)
        starts = starts[np.unique(positions[positions < len(starts)])]
    thresholds = values[starts[1:] - 1] / 2 + values[starts[1:]] / 2
    sums = _sum_targets(targets[order], starts)
    return Cells(thresholds, np.r_[starts, len(values)], np.vstack([0 * sums[:1], sums.cumsum(0)]))


def _sum_targets(targets: Floats | Integers, starts: Integers) -> Floats:
    """Sums of the targets from each start to the next, (n_cells, n_targets); of classes, the
    numbers of rows of each."""
    if targets.ndim == 2:
        return np.add.reduceat(targets.astype(np.float64), starts)
    n_classes = int(targets.max()) + 1
    cell = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(targets)]))
    counts = np.bincount(cell * n_classes + targets, minlength=len(starts) * n_classes)
    return counts.reshape(len(starts), n_classes).astype(np.float64)


def _find_split(
    cells: Cells, start: int, end: int, min_samples_leaf: int
) -> tuple[float, int, int, int]:
    """Minus the gain of the best split of the cells start..end, the first cell after it, and both
    ends. The gain is 0 if there is none."""
    n_left = cells.n_rows[start + 1 : end] - cells.n_rows[start]
    n_right = cells.n_rows[end] - cells.n_rows[start + 1 : end]
    allowed = np.flatnonzero((n_left >= min_samples_leaf) & (n_right >= min_samples_leaf))
    if not allowed.size:
        return 0.0, start, start, end
    n_left, n_right = n_left[allowed], n_right[allowed]
    left = cells.sums[start + 1 + allowed] - cells.sums[start]
    whole = cells.sums[end] - cells.sums[start]
    right = whole - left
    squares = np.square(left).sum(1) / n_left + np.square(right).sum(1) / n_right
    best = int(squares.argmax())
    gain = squares[best] - np.square(whole).sum() / (n_left[best] + n_right[best])
    return -float(gain), start + 1 + int(allowed[best]), start, end
