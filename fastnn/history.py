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
from fastnn._util.plotting import get_axes
from fastnn._util.table import Table

Floats = NDArray[np.float64]


class History(Columns[Floats]):
    """A read-only mapping from names to arrays with one value per epoch.

    - `loss`: mean loss of the training rows, penalties included, computed at each step before its
      update;
    - `learning_rate`: that of the last step of the epoch;
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

    def plot(self, axes: Any = None) -> Any:
        """Plot losses against epochs, and metrics on a second y-axis.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        """
        axes = get_axes(axes, "History.plot")
        from matplotlib.ticker import MaxNLocator

        axes.set(xlabel="epoch", ylabel="loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        lines = self._draw(axes, {"loss": "tab:blue", "val_loss": "tab:orange"})
        for metric in ("accuracy", "r2"):
            if metric in self or f"val_{metric}" in self:
                top = axes.twinx()
                top.set_ylabel(metric)
                lines += self._draw(top, {metric: "tab:red", f"val_{metric}": "tab:green"})
                top.legend(handles=lines)  # lists the lines of both axes, and is drawn above them
                return axes
        axes.legend(handles=lines)
        return axes

    def _draw(self, axes: Any, colors: Mapping[str, str]) -> list[Any]:
        """Draw the recorded values of these names; a single epoch is drawn as a point."""
        epochs, marker = np.arange(1, self.n_epochs + 1), "o" if self.n_epochs == 1 else None
        return [
            line for name, color in colors.items() if name in self
            for line in axes.plot(epochs, self[name], color=color, marker=marker, label=name)
        ]  # fmt: skip


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
