"""Callbacks: actions after each epoch of `Sequential.fit`.

A callback is a frozen description from this module, or a function with one argument, an `Epoch`. A
function that returns True ends the fit. The state of a description (such as the best value) is
created for each fit, so one object can be used in many fits.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from fastnn._util import checks

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "Epoch", "Network", "ReduceOnPlateau"]


def __dir__() -> list[str]:
    return __all__


class Network(Protocol):
    """The part of the `Sequential` in training that callbacks may use."""

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases in one flat array, which callbacks may modify."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the outputs for each row of X."""

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Return the loss and the metric."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file."""


@dataclass
class Epoch:
    """The epoch that has just ended: the argument of callback functions.

    Examples
    --------
    >>> import fastnn as fn
    >>> def stop_at_small_loss(epoch):
    ...     if epoch.logs["loss"] < 1e-3:
    ...         epoch.stop("the loss is below 0.001")
    >>> net = fn.Sequential(fn.Dense(1), random_state=0)
    >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], optimizer=fn.optimizers.SGD(0.1),
    ...                   epochs=1000, callbacks=[stop_at_small_loss])
    >>> history.stop_reason
    'the loss is below 0.001'
    """

    network: Network
    """The network in training."""
    index: int
    """Number of the epoch within this fit, from 0."""
    logs: dict[str, float]
    """The values that History records for this epoch, by name."""
    rate_factor: float = 1.0
    """Factor on the learning rate of all later epochs of this fit; callbacks may change it."""
    stop_reason: str | None = None
    """Reason to end the fit after this epoch, None to continue; see `stop`."""

    def stop(self, reason: str) -> None:
        """End the fit after this epoch; `reason` becomes `History.stop_reason`."""
        self.stop_reason = reason


@dataclass(frozen=True)
class EarlyStopping:
    """Stop training when a monitored value no longer improves.

    L. Prechelt, "Early stopping - but when?", 1998.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Name of a value that History records. Lower is better for names that contain "loss" and for
        "seconds", higher is better for all others.
    patience : int, default 10
        Number of epochs without improvement after which training stops; 0 is the same as 1.
    min_delta : float, default 0.0
        Improvements up to this size do not count.
    restore_best : bool, default True
        Whether to restore the weights of the best epoch at the end of the fit.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> net = fn.Sequential(fn.Dense(16, "relu"), fn.Dense(1, "sigmoid"), random_state=0)
    >>> history = net.fit(X, y, epochs=200, validation_split=0.25,
    ...                   callbacks=[fn.EarlyStopping(patience=5)])
    >>> history.n_epochs < 200
    True
    """

    monitor: str = "val_loss"
    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        checks.instance("monitor", self.monitor, str, "a name that History records")
        checks.whole("patience", self.patience, at_least=0)
        checks.number("min_delta", self.min_delta, at_least=0)
        checks.flag("restore_best", self.restore_best)


@dataclass(frozen=True)
class ReduceOnPlateau:
    """Reduce the learning rate when a monitored value no longer improves.

    Parameters
    ----------
    monitor : str, default "val_loss"
        As for `EarlyStopping`.
    factor : float, default 0.5
        Factor on the learning rate, in (0, 1).
    patience : int, default 5
        Number of epochs without improvement after which the learning rate is reduced; 0 is the
        same as 1. Then counting starts again.
    min_delta : float, default 0.0
        Improvements up to this size do not count.
    min_learning_rate : float, default 0.0
        The learning rate is not reduced below this value.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> reduce = fn.ReduceOnPlateau("loss", factor=0.5, patience=2, min_delta=0.01)
    >>> net = fn.Sequential(fn.Dense(1, weight_init="zeros"))
    >>> history = net.fit([[0.0], [0.0]], [0.0, 1.0], optimizer=fn.optimizers.SGD(0.1), epochs=20,
    ...                   callbacks=[reduce])
    >>> bool(history["learning_rate"][-1] < 0.1)
    True
    """

    monitor: str = "val_loss"
    factor: float = 0.5
    patience: int = 5
    min_delta: float = 0.0
    min_learning_rate: float = 0.0

    def __post_init__(self) -> None:
        checks.instance("monitor", self.monitor, str, "a name that History records")
        checks.number("factor", self.factor, above=0, below=1)
        checks.whole("patience", self.patience, at_least=0)
        checks.number("min_delta", self.min_delta, at_least=0)
        checks.number("min_learning_rate", self.min_learning_rate, at_least=0)


@dataclass(frozen=True)
class Checkpoint:
    """Save the network after each epoch, or after each epoch that improved a monitored value.

    Parameters
    ----------
    path : str or path-like
        File to write. "{epoch}" in it is replaced by the number of the epoch, from 1.
    monitor : str, optional
        As for `EarlyStopping`; by default the network is saved after each epoch.

    Raises
    ------
    TypeError
        If a parameter is of another type.

    Examples
    --------
    >>> import fastnn as fn, os, tempfile
    >>> net = fn.Sequential(fn.Dense(1), random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net-{epoch}.safetensors")
    ...     history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=2, callbacks=[fn.Checkpoint(path)])
    ...     sorted(os.listdir(folder))
    ['net-1.safetensors', 'net-2.safetensors']
    """

    path: str | os.PathLike[str]
    monitor: str | None = None

    def __post_init__(self) -> None:
        checks.instance("path", self.path, (str, os.PathLike), "a path")
        if self.monitor is not None:
            checks.instance("monitor", self.monitor, str, "a name that History records")


Callback = EarlyStopping | ReduceOnPlateau | Checkpoint | Callable[[Epoch], Any]


class Running(Protocol):
    """A callback with its state during one fit."""

    def after(self, epoch: Epoch) -> None:
        """Called for each epoch after it has ended, see `quiet_epochs`."""

    def quiet_epochs(self) -> float:
        """Return the number of upcoming epochs for which `after` neither acts nor reads the
        network, whatever values they record. These epochs and the one after them are trained
        without a break, then `after` is called for each. If the number is 0 or less, `after` may
        act on the next epoch."""

    def finish(self, network: Network) -> None:
        """Called when the fit ends, unless it was interrupted."""


class _BestValue:
    """Tracks the best value of a monitored quantity and the epochs since it was reached."""

    def __init__(self, monitor: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.lower_is_better = "loss" in monitor or monitor == "seconds"
        self.min_delta = min_delta
        self.value = math.inf if self.lower_is_better else -math.inf
        self.epochs_since = 0

    def update(self, logs: dict[str, float]) -> bool:
        """Take the value of one more epoch; return whether it improved."""
        new = logs[self.monitor]
        gain = self.value - new if self.lower_is_better else new - self.value
        if gain > self.min_delta:
            self.value, self.epochs_since = new, 0
            return True
        self.epochs_since += 1
        return False


class _EveryEpoch:
    """Base class of callbacks that may act on every epoch."""

    def quiet_epochs(self) -> float:
        return 0

    def finish(self, network: Network) -> None:
        pass


class _RunningEarlyStopping(_EveryEpoch):
    def __init__(self, options: EarlyStopping) -> None:
        self.options = options
        self.best = _BestValue(options.monitor, options.min_delta)
        self.weights: Any = None

    def after(self, epoch: Epoch) -> None:
        if self.best.update(epoch.logs):
            if self.options.restore_best:
                self.weights = epoch.network.parameters.copy()
        elif self.best.epochs_since >= max(1, self.options.patience):
            epoch.stop(
                f"{self.options.monitor} has not improved for {self.best.epochs_since} epochs "
                f"(best {self.best.value:.6g})"
            )

    def finish(self, network: Network) -> None:
        if self.weights is not None:
            network.parameters[:] = self.weights


class _RunningReduceOnPlateau(_EveryEpoch):
    def __init__(self, options: ReduceOnPlateau) -> None:
        self.options = options
        self.best = _BestValue(options.monitor, options.min_delta)

    def after(self, epoch: Epoch) -> None:
        if self.best.update(epoch.logs) or self.best.epochs_since < max(1, self.options.patience):
            return
        self.best.epochs_since = 0
        rate = epoch.logs["learning_rate"]
        lowest = min(1.0, self.options.min_learning_rate / rate) if rate > 0 else 1.0
        epoch.rate_factor *= max(self.options.factor, lowest)


class _RunningCheckpoint(_EveryEpoch):
    def __init__(self, options: Checkpoint) -> None:
        self.path = str(Path(options.path))
        self.best = _BestValue(options.monitor) if options.monitor else None

    def after(self, epoch: Epoch) -> None:
        if self.best is None or self.best.update(epoch.logs):
            epoch.network.save(self.path.replace("{epoch}", str(epoch.index + 1)))


class _RunningFunction(_EveryEpoch):
    def __init__(self, function: Callable[[Epoch], Any]) -> None:
        self.function = function

    def after(self, epoch: Epoch) -> None:
        if self.function(epoch) is True and epoch.stop_reason is None:
            name = getattr(self.function, "__name__", "a callback")
            epoch.stop(f"stopped by {name}")


_RUNNING: dict[type, Callable[[Any], Running]] = {
    EarlyStopping: _RunningEarlyStopping,
    ReduceOnPlateau: _RunningReduceOnPlateau,
    Checkpoint: _RunningCheckpoint,
}


def start(callbacks: Iterable[Callback], recorded: list[str]) -> list[Running]:
    """Return the callbacks of one fit, each with new state; `recorded` are the recorded names.

    Raises
    ------
    TypeError
        If `callbacks` is not iterable, or an item is neither a callback of this module nor a
        function.
    ValueError
        If a callback monitors a name that is not recorded, or reduces a learning rate that the
        optimizer does not have.
    """
    running: list[Running] = []
    checks.instance("callbacks", callbacks, Iterable, "a list of callbacks")
    for callback in callbacks:
        if isinstance(callback, type):
            raise TypeError(
                f"callbacks: expected a callback or a function of an Epoch; got the class "
                f"{callback.__name__}: use {callback.__name__}()"
            )
        monitor = getattr(callback, "monitor", None)
        if type(callback) not in _RUNNING:
            running.append(_RunningFunction(
                checks.function("callbacks", callback, "a callback or a function of an Epoch")
            ))  # fmt: skip
            continue
        if monitor is not None:
            hint = "" if "val_loss" in recorded else " (val_ names need validation_data)"
            if monitor in ("accuracy", "r2"):
                hint = " (accuracy and r2 need train_metrics=True)"
            if monitor not in recorded:
                raise ValueError(
                    f"monitor: expected one of {recorded}{hint}; got {monitor!r} in "
                    f"{type(callback).__name__}"
                )
        if isinstance(callback, ReduceOnPlateau) and "learning_rate" not in recorded:
            raise ValueError(
                "callbacks: expected no ReduceOnPlateau with an optimizer that has no learning "
                "rate; got one"
            )
        running.append(_RUNNING[type(callback)](callback))
    return running
