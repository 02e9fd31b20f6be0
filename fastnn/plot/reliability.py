"""Calibration curves: predicted probabilities compared with the frequencies of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_classes, check_numbers
from fastnn._util.plotting import BLUE, check_axes, get_axes

Floats = NDArray[np.float64]


def calibration(
    y_true: Any,
    y_prob: Any,
    *,
    n_bins: int = 5,
    strategy: str = "uniform",
    pos_label: Any = None,
    name: str | None = None,
    ref_line: bool = True,
    ax: Any = None,
) -> Any:
    """Plot a calibration curve, also called reliability diagram.

    Predicted probabilities are divided into bins; for each bin, the fraction of rows of the
    positive class is plotted against the mean probability. M. DeGroot, S. Fienberg, "The comparison
    and evaluation of forecasters", The Statistician 32, 1983. Parameters are named as those of
    scikit-learn's `CalibrationDisplay.from_predictions`, which is not needed.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels.
    y_prob : array-like, shape (n,), (n, 1) or (n, k)
        Probabilities of the positive class; or of the classes 0 to k - 1, as a network predicts
        them.
    n_bins : int, default 5
        Number of bins; empty ones are left out.
    strategy : "uniform" (default) or "quantile"
        Bins of equal width, or with equal numbers of rows.
    pos_label : label, optional
        The positive class; by default 1, if all labels are 0 and 1, or -1 and 1. For more than two
        columns of `y_prob`, the index of the column.
    name : str, optional
        Name of the model in the legend.
    ref_line : bool, default True
        Whether to draw the diagonal, on which a perfectly calibrated model lies.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure. Several models can share axes.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If a parameter or an array is invalid.

    Examples
    --------
    >>> import fastnn as fn
    >>> ax = fn.plot.calibration([0, 0, 1, 1, 1], [0.1, 0.3, 0.3, 0.7, 0.9], n_bins=2)
    >>> ax.get_lines()[-1].get_ydata().round(2).tolist()
    [0.33, 1.0]
    """
    check_axes(ax, "plot.calibration")
    n_bins = checks.whole("n_bins", n_bins, at_least=1)
    checks.choice("strategy", strategy, ("uniform", "quantile"))
    checks.flag("ref_line", ref_line)
    probabilities, column_label = _check_probabilities(y_prob, pos_label)
    label = column_label if pos_label is None else pos_label
    positive = _check_positive(y_true, label, len(probabilities))
    mean, fraction = compute_calibration(positive, probabilities, n_bins, strategy)
    ax = get_axes(ax, "plot.calibration")
    reference = "perfectly calibrated"
    if ref_line and reference not in [line.get_label() for line in ax.get_lines()]:
        ax.plot([0, 1], [0, 1], color="black", linestyle=":", label=reference)
    first = not any(line.get_marker() != "None" for line in ax.get_lines())
    style = {"color": BLUE} if first else {}
    ax.plot(mean, fraction, marker="s", label=name or "model", **style)
    suffix = f" (positive class: {1 if label is None else label})"
    ax.set(xlabel="mean predicted probability" + suffix, ylabel="fraction of positives")
    ax.legend(loc="upper left")
    return ax


def _check_probabilities(y_prob: Any, pos_label: Any) -> tuple[Floats, Any]:
    """Probabilities of the positive class (n,), and its label if the columns determine it."""
    values = check_numbers("y_prob", y_prob).astype(np.float64)
    if values.min() < 0 or values.max() > 1:
        wrong = values[(values < 0) | (values > 1)][0]
        raise ValueError(f"y_prob: expected numbers from 0 to 1; got {wrong}")
    if values.ndim == 1 or values.shape[1] == 1:
        return values.ravel(), None
    n_classes = values.shape[1]
    if pos_label is None and n_classes == 2:
        return values[:, 1], None
    if pos_label is None:
        raise ValueError(f"pos_label: expected a class from 0 to {n_classes - 1}; got None")
    return values[:, checks.whole("pos_label", pos_label, at_most=n_classes - 1)], pos_label


def _check_positive(y_true: Any, pos_label: Any, n: int) -> NDArray[np.bool_]:
    """Whether each row is of the positive class."""
    true = check_classes("y_true", y_true)
    true = true[:, 0] if true.ndim == 2 and true.shape[1] == 1 else true
    if true.shape != (n,):
        raise ValueError(f"y_true: expected shape ({n},), as y_prob; got shape {true.shape}")
    labels = set(true.tolist())
    if pos_label is None:
        if not (labels <= {0, 1} or labels <= {-1, 1}):
            got = checks.describe(sorted(labels))
            raise ValueError(f"pos_label: expected one of the labels; got None with labels {got}")
        pos_label = 1
    elif pos_label not in labels:
        raise ValueError(f"pos_label: expected a label of y_true; got {pos_label!r}")
    return np.asarray(true == pos_label)


def compute_calibration(
    positive: NDArray[np.bool_], probabilities: Floats, n_bins: int, strategy: str
) -> tuple[Floats, Floats]:
    """Mean probability and fraction of positives of each bin with rows. A probability on an edge
    belongs to the bin below."""
    edges = np.linspace(0, 1, n_bins + 1)
    if strategy == "quantile":
        edges = np.quantile(probabilities, edges)
    bins = np.searchsorted(edges[1:-1], probabilities)
    counts = np.bincount(bins, minlength=n_bins)
    used = counts > 0
    sums = [np.bincount(bins, weights, n_bins) for weights in (probabilities, positive)]
    return sums[0][used] / counts[used], sums[1][used] / counts[used]
