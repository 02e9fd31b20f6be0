"""`Curve`: the result of a learning curve or a validation curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.plotting import BLUE, VERMILLION, get_axes
from fastnn._util.table import Table
from fastnn.statistics import estimate

Floats = NDArray[np.float64]

# A logarithmic axis is used if the largest value exceeds this multiple of the smallest.
LOGARITHMIC_SPAN = 50


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Curve:
    """The result of `learning_curve` or `validation_curve`: scores at each of several values.

    Attributes
    ----------
    parameter : str
        The name of the parameter that varies; "rows" for a learning curve.
    values : sequence
        The values of the parameter, one per point.
    train_scores, test_scores : array, shape (n_points, n_splits, n_seeds)
        Scores on the training rows and on the test rows; NaN for a fit that was not finished.
    """

    parameter: str
    values: Sequence[Any]
    train_scores: Floats = field(repr=False)
    test_scores: Floats = field(repr=False)

    def table(self) -> Table:
        """A table with one row per point: means and standard deviations (with n - 1) over all folds
        and seeds, and the number of test scores."""
        rows = []
        for value, train_scores, test_scores in zip(
            self.values, self.train_scores, self.test_scores, strict=True
        ):
            train, test = estimate(train_scores), estimate(test_scores)
            rows.append({
                self.parameter: value, "train_mean": train.mean, "train_std": train.std,
                "test_mean": test.mean, "test_std": test.std, "count": test.count,
            })  # fmt: skip
        return Table.from_rows(rows)

    def __str__(self) -> str:
        return str(self.table())

    def plot(self, ax: Any = None) -> Any:
        """Plot the mean scores, with bands of one standard deviation to either side.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to plot; by default in a new figure.

        Returns
        -------
        matplotlib axes

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        """
        ax = get_axes(ax, "Curve.plot")
        positions = self._get_positions(ax)
        table = self.table()
        styles = (
            ("train", "training rows", BLUE, "-"),
            ("test", "held-out rows", VERMILLION, "--"),
        )
        for name, label, color, line in styles:
            mean, std = np.array(table[f"{name}_mean"]), np.array(table[f"{name}_std"])
            ax.fill_between(positions, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)
            ax.plot(positions, mean, line, color=color, marker="o", markersize=3, label=label)
        ax.set(xlabel=self.parameter, ylabel="score")
        ax.legend()
        return ax

    def _get_positions(self, ax: Any) -> Any:
        """Positions of the points on the x axis: numbers at their values, others evenly spaced."""
        if any(isinstance(value, bool) or not isinstance(value, Real) for value in self.values):
            ax.set_xticks(range(len(self.values)), [str(value) for value in self.values])
            return np.arange(len(self.values))
        positions = np.array(self.values, np.float64)
        if positions.min() > 0 and positions.max() > LOGARITHMIC_SPAN * positions.min():
            ax.set_xscale("log")
        return positions
