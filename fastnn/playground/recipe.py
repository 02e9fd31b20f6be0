"""The network and the optimizer that settings describe."""

from __future__ import annotations

from fastnn import optimizers, schedules
from fastnn.layers import Dense, Dropout, Layer
from fastnn.optimizers import Optimizer
from fastnn.playground.settings import Settings
from fastnn.schedules import Schedule


def make_layers(settings: Settings, output: str) -> list[Layer]:
    """Return the layers of the network; `output` is the activation of the last one."""
    layers: list[Layer] = []
    for units, activation in zip(settings.units, settings.activations, strict=True):
        layers.append(_make_dense(settings, units, activation))
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
    return [*layers, _make_dense(settings, 1, output)]


def _make_dense(settings: Settings, units: int, activation: str) -> Dense:
    return Dense(units, activation, l1=float(settings.l1), l2=float(settings.l2))


def make_optimizer(settings: Settings, n_steps: int) -> Optimizer:
    """Return the optimizer; a schedule other than "constant" spans `n_steps`."""
    rate = _make_rate(settings, n_steps)
    match settings.optimizer:
        case "momentum":
            return optimizers.SGD(rate, momentum=0.9)
        case "nesterov":
            return optimizers.SGD(rate, momentum=0.9, nesterov=True)
        case name:
            optimizer: Optimizer = optimizers.CLASSES[name](rate)
            return optimizer


def _make_rate(settings: Settings, n_steps: int) -> float | Schedule:
    rate = float(settings.learning_rate)
    match settings.schedule:
        case "cosine":
            return schedules.CosineDecay(rate, n_steps=n_steps)
        case "one_cycle":
            return schedules.OneCycle(rate, n_steps=n_steps)
        case _:
            return rate
