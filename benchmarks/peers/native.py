"""fastnn through its public API, with the number of threads chosen automatically."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import data
from cases import ManyCase, Net, PredictionCase, SearchCase, TrainingCase

LABEL = "fastnn"
SETTINGS: dict[str, dict[str, str]] = {"default": {}}
TAKES = ("training", "prediction", "many", "mixture", "search")

HEADS = {"squared": "linear", "binary": "sigmoid", "cross-entropy": "softmax"}
LOSSES = {
    "squared": "squared_error",
    "binary": "binary_cross_entropy",
    "cross-entropy": "cross_entropy",
}


def version() -> str:
    """Version of the library, and the instruction set in use."""
    from fastnn import config

    values = config.get_config()
    return f"{values['fastnn']}, engine {values['engine'].split()[0]}"


def make_unbuilt(net: Net, dtype: str, seed: int = 0) -> Any:
    """The network before its weights are drawn."""
    import fastnn as fn

    hidden = [fn.Dense(n, net.activation) for n in net.widths[1:-1]]
    return fn.Sequential(
        *hidden, fn.Dense(net.widths[-1], HEADS[net.loss]), random_state=seed, dtype=dtype
    )


def network(net: Net, dtype: str) -> Any:
    """The network with the initial weights that all peers share."""
    model = make_unbuilt(net, dtype)
    model.build(net.widths[0])
    for w, b, (initial_w, initial_b) in zip(
        model.weights, model.biases, data.make_weights(net, dtype), strict=True
    ):
        w[:], b[:] = initial_w, initial_b
    return model


class Fit:
    """One call of `fit` for all epochs."""

    engine = "native"

    def __init__(self, case: TrainingCase) -> None:
        self.case = case
        self.X, self.y = data.make_arrays(case)
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
        history = self.net.fit(
            self.X, self.y, loss=LOSSES[self.case.net.loss], optimizer=self._optimizer(),
            epochs=epochs, batch_size=self.case.batch, shuffle=self.case.shuffles,
            engine=self.engine,
        )  # fmt: skip
        assert not history.diverged, "training diverged, so its time means nothing"

    def outputs(self) -> data.Array:
        """See `Training`."""
        result: data.Array = self.net.predict(self.X)
        return result


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """A call of `predict`, including the checks of its input."""
    net, (X, _) = network(case.net, case.dtype), data.make_arrays(case)
    return lambda: net.predict(X)


class Many:
    """One call of `fit_many`, including drawing the initial weights."""

    n_threads: int | None = None

    def __init__(self, case: ManyCase) -> None:
        self.case = case
        self.X, self.y = data.make_arrays(case)
        self.reset()

    def reset(self) -> None:
        """See `Workload`."""
        self.nets = [
            make_unbuilt(net, self.case.dtype, seed) for seed, net in enumerate(self.case.nets)
        ]

    def fit(self, times: int) -> None:
        """See `Workload`."""
        for _ in range(times):
            self.train(self.nets)

    def train(self, nets: list[Any]) -> None:
        """Train these networks."""
        import fastnn as fn

        rate = data.LEARNING_RATE["adam"]
        fn.fit_many(
            nets, self.X, self.y, loss=LOSSES[self.case.nets[0].loss],
            optimizer=fn.optimizers.Adam(rate), epochs=self.case.epochs,
            batch_size=self.case.batch, n_threads=self.n_threads,
        )  # fmt: skip

    def score(self) -> float:
        """See `Workload`."""
        scores = [data.compute_score(net.predict(self.X), self.y) for net in self.nets]
        return sum(scores) / len(scores)


def many(case: ManyCase) -> Many:
    """See `Workload`."""
    return Many(case)


class Search:
    """`MLPSearchCV`, including the fit of the best candidate to all rows."""

    def __init__(self, case: SearchCase) -> None:
        self.case = case
        self.X, self.y = data.make_arrays(case)

    def reset(self) -> None:
        """See `Workload`; a search has no state."""

    def make_search(self) -> Any:
        """The search before its fit."""
        import fastnn as fn

        case = self.case
        estimator = fn.MLPClassifier(**data.make_estimator_parameters(case))
        return fn.MLPSearchCV(estimator, dict(case.grid), cv=case.folds)

    def fit(self, times: int) -> None:
        """See `Workload`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about ending at max_iter
            for _ in range(times):
                self.fitted = self.make_search().fit(self.X, self.y)

    def score(self) -> float:
        """See `Workload`."""
        return float(self.fitted.best_score_)


def search(case: SearchCase) -> Search:
    """See `Workload`."""
    return Search(case)
