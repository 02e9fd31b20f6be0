"""What a fit recorded, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.figures import axes_or_new


class History:
    """Arrays with one number per epoch, by name: `loss` (mean over the epoch's rows, each as its
    step met it, penalties included), `learning_rate` (of its last step), `seconds`, and with
    validation data `val_loss` and the metric of the loss (`val_accuracy` or `val_r2`).

    Examples
    --------
    >>> history = History()
    >>> history.append({"loss": 0.5, "seconds": 0.1})
    >>> history["loss"]
    array([0.5])
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {}
        self.stop_reason: str | None = None
        """Why training ended before the last epoch, None if it did not."""
        self.diverged = False
        """Whether that was because the loss became infinite or NaN."""

    def append(self, logs: dict[str, float]) -> None:
        """Add one epoch."""
        self.extend({name: np.array([value]) for name, value in logs.items()})

    def extend(self, records: dict[str, NDArray[np.float64]]) -> None:
        """Add several epochs, one number each in every array."""
        for name in records:
            self._columns.setdefault(name, [])
        for name, values in records.items():
            self._columns[name].extend(values.tolist())

    def names(self) -> list[str]:
        """What was recorded."""
        return list(self._columns)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self._columns:
            raise KeyError(f"expected one of {self.names()}; got {name!r}")
        return np.array(self._columns[name][: len(self)])

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __len__(self) -> int:
        """Number of epochs that were recorded whole: an interrupt may come between two columns."""
        return min(map(len, self._columns.values()), default=0)

    def as_dict(self) -> dict[str, NDArray[np.float64]]:
        """All arrays, ready for `pandas.DataFrame(history.as_dict())`."""
        return {name: self[name] for name in self._columns}

    def __repr__(self) -> str:
        columns = self.as_dict() if len(self) else {}
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in columns.items())
        why = f", stopped: {self.stop_reason}" if self.stop_reason else ""
        return f"History({len(self)} epochs; last: {last or 'none'}{why})"

    def plot(self, axes: Any = None) -> Any:
        """Losses against epochs, metrics on a second axis; returns matplotlib's axes.

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        """
        axes = axes_or_new(axes, "History.plot")
        epochs = np.arange(1, len(self) + 1)
        for name in ("loss", "val_loss"):
            if name in self:
                axes.plot(epochs, self[name], label=name)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.legend(loc="upper left")
        metrics = [name for name in ("val_accuracy", "val_r2") if name in self]
        if metrics:
            right = axes.twinx()
            right.plot(epochs, self[metrics[0]], color="tab:green", label=metrics[0])
            right.set_ylabel(metrics[0])
            right.legend(loc="upper right")
        return axes
