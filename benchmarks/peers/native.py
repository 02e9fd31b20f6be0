"""fastnn through its public API; it chooses its threads itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import data
from cases import Net, PredictionCase, TrainingCase

LABEL = "fastnn"
SETTINGS: dict[str, dict[str, str]] = {"default": {}}
TRAINS = PREDICTS = True

HEADS = {"squared": "linear", "binary": "sigmoid", "cross-entropy": "softmax"}
LOSSES = {
    "squared": "squared_error",
    "binary": "binary_cross_entropy",
    "cross-entropy": "cross_entropy",
}


def version() -> str:
    """Of the library, with the instruction set in use."""
    from fastnn import config

    values = config.config()
    return f"{values['fastnn']}, engine {values['engine'].split()[0]}"


def network(net: Net, dtype: str) -> Any:
    """The network with the initial weights that all peers share."""
    import fastnn as fn

    hidden = [fn.Dense(n, net.activation) for n in net.widths[1:-1]]
    made = fn.Sequential(*hidden, fn.Dense(net.widths[-1], HEADS[net.loss]), seed=0, dtype=dtype)
    made.build(net.widths[0])
    for w, b, (given_w, given_b) in zip(
        made.weights, made.biases, data.initial_weights(net, dtype), strict=True
    ):
        w[:], b[:] = given_w, given_b
    return made


class Fit:
    """One call of `fit` for all epochs."""

    engine = "native"

    def __init__(self, case: TrainingCase) -> None:
        self.case = case
        self.X, self.y = data.arrays(case)
        self.reset()

    def _optimizer(self) -> Any:
        from fastnn import optimizers

        rate = data.LEARNING_RATE[self.case.optimizer]
        if self.case.optimizer == "adam":
            return optimizers.Adam(rate)
        return optimizers.SGD(rate, data.MOMENTUM if self.case.optimizer == "momentum" else 0.0)

    def reset(self) -> None:
        """See `Training`."""
        self.net = network(self.case.net, self.case.dtype)

    def fit(self, epochs: int) -> None:
        """See `Training`."""
        self.net.fit(
            self.X, self.y, loss=LOSSES[self.case.net.loss], optimizer=self._optimizer(),
            epochs=epochs, batch_size=self.case.batch, shuffle=self.case.shuffles,
            engine=self.engine,
        )  # fmt: skip

    def outputs(self) -> data.Array:
        """See `Training`."""
        result: data.Array = self.net.predict(self.X)
        return result


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """A call of `predict`, checks of its input included."""
    net, (X, _) = network(case.net, case.dtype), data.arrays(case)
    return lambda: net.predict(X)
