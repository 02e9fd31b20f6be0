"""What may run between epochs. A callback is a frozen description, or a plain function of an
`Epoch`; what it remembers lives for one fit only, so one object may serve many fits."""

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
    """What callbacks may use of the `Sequential` that is trained."""

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases, which callbacks may change."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Outputs for each row of X."""

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Loss and metric."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file."""


@dataclass
class Epoch:
    """The epoch that just ended, as callbacks see it."""

    network: Network
    index: int
    """Counted from 0 within this fit."""
    logs: dict[str, float]
    """What History records of it."""
    rate_factor: float = 1.0
    """Multiplies the learning rate of all later epochs of this fit."""
    stop_reason: str | None = None

    def stop(self, reason: str) -> None:
        """End the fit after this epoch."""
        self.stop_reason = reason


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs; at the
    end of the fit, restore the weights of the best epoch. L. Prechelt, "Early stopping - but
    when?", 1998.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Any name that History records. Names that contain "loss" and "seconds" shall fall, all
        others rise.
    patience : int, default 10
    min_delta : float, default 0.0
    restore_best : bool, default True
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
    """Multiply the learning rate by `factor` when `monitor` has not improved by more than
    `min_delta` for `patience` epochs, but not below `min_learning_rate`."""

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
    """Save the network after each epoch or, with `monitor`, after each one that improved.
    `{epoch}` in `path` becomes the epoch's number, from 1."""

    path: str | os.PathLike[str]
    monitor: str | None = None

    def __post_init__(self) -> None:
        checks.instance("path", self.path, (str, os.PathLike), "a path")
        if self.monitor is not None:
            checks.instance("monitor", self.monitor, str, "a name that History records")


Callback = EarlyStopping | ReduceOnPlateau | Checkpoint | Callable[[Epoch], Any]


class Running(Protocol):
    """A callback during one fit."""

    def after(self, epoch: Epoch) -> None:
        """Called after each epoch, or several times after several `quiet_epochs`."""

    def quiet_epochs(self) -> float:
        """Number of upcoming epochs on which `after` neither acts nor reads the network, whatever
        they record. They are trained together with the one that follows, then `after` is called
        for each. 0 or less: it may act on the next epoch."""

    def finish(self, network: Network) -> None:
        """Called when the fit ends, unless it was interrupted."""


class _Best:
    """Follows one number: whether it improved, and for how many epochs it has not."""

    def __init__(self, monitor: str, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.falls = "loss" in monitor or monitor == "seconds"
        self.min_delta = min_delta
        self.value = math.inf if self.falls else -math.inf
        self.waited = 0

    def improved(self, logs: dict[str, float]) -> bool:
        new = logs[self.monitor]
        gain = self.value - new if self.falls else new - self.value
        if gain > self.min_delta:
            self.value, self.waited = new, 0
            return True
        self.waited += 1
        return False


class _EveryEpoch:
    """What most callbacks have in common."""

    def quiet_epochs(self) -> float:
        return 0

    def finish(self, network: Network) -> None:
        pass


class _RunningEarlyStopping(_EveryEpoch):
    def __init__(self, options: EarlyStopping) -> None:
        self.options = options
        self.best = _Best(options.monitor, options.min_delta)
        self.weights: Any = None

    def after(self, epoch: Epoch) -> None:
        if self.best.improved(epoch.logs):
            if self.options.restore_best:
                self.weights = epoch.network.parameters.copy()
        elif self.best.waited >= max(1, self.options.patience):
            epoch.stop(
                f"{self.options.monitor} has not improved for {self.best.waited} epochs "
                f"(best {self.best.value:.6g})"
            )

    def finish(self, network: Network) -> None:
        if self.weights is not None:
            network.parameters[:] = self.weights


class _RunningReduceOnPlateau(_EveryEpoch):
    def __init__(self, options: ReduceOnPlateau) -> None:
        self.options = options
        self.best = _Best(options.monitor, options.min_delta)

    def after(self, epoch: Epoch) -> None:
        if self.best.improved(epoch.logs) or self.best.waited < max(1, self.options.patience):
            return
        self.best.waited = 0
        rate = epoch.logs["learning_rate"]
        lowest = min(1.0, self.options.min_learning_rate / rate) if rate > 0 else 1.0
        epoch.rate_factor *= max(self.options.factor, lowest)


class _RunningCheckpoint(_EveryEpoch):
    def __init__(self, options: Checkpoint) -> None:
        self.path = str(Path(options.path))
        self.best = _Best(options.monitor) if options.monitor else None

    def after(self, epoch: Epoch) -> None:
        if self.best is None or self.best.improved(epoch.logs):
            epoch.network.save(self.path.replace("{epoch}", str(epoch.index + 1)))


class _RunningFunction(_EveryEpoch):
    def __init__(self, function: Callable[[Epoch], Any]) -> None:
        self.function = function

    def after(self, epoch: Epoch) -> None:
        if self.function(epoch) is True and epoch.stop_reason is None:
            epoch.stop(f"{getattr(self.function, '__name__', 'a callback')} asked for it")


_RUNNING: dict[type, Callable[[Any], Running]] = {
    EarlyStopping: _RunningEarlyStopping,
    ReduceOnPlateau: _RunningReduceOnPlateau,
    Checkpoint: _RunningCheckpoint,
}


def start(callbacks: Iterable[Callback], recorded: list[str]) -> list[Running]:
    """The callbacks of one fit, each with a memory of its own.

    Raises
    ------
    TypeError
        If they are no list, or one is neither a callback of this module nor a function.
    ValueError
        If one monitors a name that this fit does not record.
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
        running.append(_RUNNING[type(callback)](callback))
    return running
