"""The record of a fit: losses, metrics and learning rates by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._report.facts import DataFacts, OutputFacts, RunFacts
from fastnn._report.finding import Report
from fastnn._report.rules import find_all
from fastnn._util.columns import Columns
from fastnn._util.plotting import BLUE, VERMILLION, get_axes, split_axes
from fastnn._util.table import Table

Floats = NDArray[np.float64]


class History(Columns[Floats]):
    """A read-only mapping from names to arrays with one value per epoch.

    - `loss`: mean loss of the training rows, penalties included, computed at each step before its
      update, or with `LBFGS` and `LevenbergMarquardt` after each iteration;
    - `learning_rate`: that of the last step of the epoch, not with these two;
    - `damping`, with `LevenbergMarquardt`: the damping of the accepted step; with
      `regularization="bayesian"` also `effective_parameters`, `alpha` and `beta`;
    - `seconds`: training time;
    - `val_loss`, and `val_accuracy` or `val_r2`: loss and metric of the validation data, if given;
    - `accuracy` or `r2`: metric of the training rows, with `train_metrics=True`.

    `pandas.DataFrame(history)` returns a data frame with one row per epoch.

    Examples
    --------
    >>> history = History()
    >>> history.append({"loss": 0.5, "seconds": 0.1})
    >>> list(history)
    ['loss', 'seconds']
    >>> history["loss"]
    array([0.5])
    >>> history.n_epochs
    1
    """

    def __init__(self, columns: Mapping[str, Floats] | None = None) -> None:
        super().__init__({name: np.array(column) for name, column in (columns or {}).items()})
        self.stop_reason: str | None = None
        """Reason why training ended before the last epoch; None if it did not."""
        self.diverged = False
        """Whether training ended because the loss became infinite or NaN."""
        self.diverged_step: int | None = None
        """Step of this fit, from 1, at which the loss or a parameter was found to be infinite or
        NaN; None if training did not diverge."""
        self.layer_rows: list[dict[str, Any]] = []
        """The rows of `layers`."""
        self.data: DataFacts | None = None
        """Facts about the training data with `fit(diagnostics=True)`, otherwise None."""
        self.outputs: OutputFacts | None = None
        """Facts about the predictions for training rows with `fit(diagnostics=True)`, otherwise
        None."""

    def append(self, logs: dict[str, float]) -> None:
        """Append one epoch: one value per name."""
        self.extend({name: np.array([value]) for name, value in logs.items()})

    def extend(self, records: dict[str, Floats]) -> None:
        """Append several epochs: arrays of equal length by name."""
        columns = {name: _extend(self.get(name), values) for name, values in records.items()}
        dict.update(self, columns)  # in one call, so that an interrupt cannot split it

    @property
    def layers(self) -> Table | None:
        """Measurements of each Dense layer with `fit(diagnostics=True)`, otherwise None. The
        columns are described there."""
        return Table.from_rows(self.layer_rows) if self.layer_rows else None

    @property
    def n_epochs(self) -> int:
        """Number of epochs."""
        return len(self.get("loss", ()))

    # Compared by identity: comparing arrays gives arrays, not a truth value.
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.items())
        why = f", stopped: {self.stop_reason}" if self.stop_reason else ""
        return f"History({self.n_epochs} epochs; last: {last or 'none'}{why})"

    def report(self) -> Report:
        """List what the record shows about the training: its problems, and how to solve them.

        A finding is reported only if the recorded values show it, and a run without problems has
        none, apart from infos. Most findings need `fit(..., diagnostics=True)`. See
        docs/when-training-goes-badly.md for an example of each.

        From the curves of losses and metrics: "diverged", "learning rate too high", "learning rate
        too low", "overfitting", "underfitting", "stopped too early" and "converged". With
        diagnostics also "vanishing gradients", "exploding gradients", "dead units", "saturated
        units", "unscaled inputs", "unscaled targets", "sorted rows", "constant predictions" and
        "class imbalance".

        Returns
        -------
        Report
            A list of findings, the most severe first, each with the attributes `kind`, `severity`
            ("problem", "warning" or "info"), `evidence` and `remedy`.

        Examples
        --------
        >>> import fastnn as fn
        >>> X, y = fn.datasets.load_breast_cancer()              # columns up to 4,000
        >>> net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
        >>> history = net.fit(X, y, epochs=30, diagnostics=True)
        >>> "unscaled inputs" in history.report().kinds
        True
        """
        return Report(find_all(RunFacts(
            loss=self.get("loss", np.empty(0)), val_loss=self.get("val_loss"),
            r2=self.get("r2", self.get("val_r2")), diverged=self.diverged,
            stop_reason=self.stop_reason, layers=self.layers, data=self.data, outputs=self.outputs,
        )))  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Plot loss, metric and learning rate against epochs.

        Training rows have solid lines and validation data dashed ones; the epoch with the lowest
        validation loss is marked. The metric, and the learning rate if it varies, have panels of
        their own below the losses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on, of which the panels take a part; by default those of a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes of the losses.

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        TypeError
            If `ax` is not axes of matplotlib.
        """
        ax = get_axes(ax, "History.plot")
        from matplotlib.ticker import MaxNLocator

        heights = {"loss": 1.0}
        for metric in ("accuracy", "r2"):
            if metric in self or f"val_{metric}" in self:
                heights[metric] = 0.6
        rates = self.get("learning_rate", np.empty(0))
        if (rates != rates[:1]).any():
            heights["learning_rate"] = 0.35
        panels = split_axes(ax, tuple(heights.values())) if len(heights) > 1 else [ax]
        for panel, name in zip(panels, heights, strict=True):
            self._draw(panel, name)
        self._mark_lowest(ax)
        ax.legend(fontsize="small")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panels[-1].set_xlabel("epoch")
        return ax

    def _draw(self, ax: Any, name: str) -> None:
        """Draw the values of a name, and those of the validation data; a single epoch is drawn as
        a point."""
        epochs, marker = np.arange(1, self.n_epochs + 1), "o" if self.n_epochs == 1 else None
        for label, color, line in ((name, BLUE, "-"), (f"val_{name}", VERMILLION, "--")):
            if label in self:
                ax.plot(epochs, self[label], line, color=color, marker=marker, label=label)
        ax.set_ylabel(name.replace("_", "\n"))

    def _mark_lowest(self, ax: Any) -> None:
        """Mark the epoch with the lowest validation loss."""
        values = self.get("val_loss", np.empty(0))
        if np.isfinite(values).any():
            best = int(np.nanargmin(values))
            label = f"lowest val_loss, epoch {best + 1}"
            style = {"marker": "o", "facecolor": "none", "edgecolor": "black", "zorder": 3}
            ax.scatter([best + 1], [values[best]], label=label, **style)


def _extend(column: Floats | None, values: Floats) -> Floats:
    """Return a read-only array of `column` followed by `values`.

    It is a view of a buffer whose size doubles when it is full, so that epochs can be appended one
    by one in constant amortized time.
    """
    n, buffer = (0, None) if column is None else (len(column), column.base)
    if not isinstance(buffer, np.ndarray) or len(buffer) < n + len(values):
        buffer = np.empty(2 * max(8, n + len(values)))
        if column is not None:
            buffer[:n] = column
    buffer[n : n + len(values)] = values
    view = buffer[: n + len(values)]
    view.flags.writeable = False
    return view
