"""fastnn through its public API; it chooses its threads itself."""

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
    """Of the library, with the instruction set in use."""
    from fastnn import config

    values = config.get_config()
    return f"{values['fastnn']}, engine {values['engine'].split()[0]}"


def unbuilt(net: Net, dtype: str, seed: int = 0) -> Any:
    """The network without weights."""
    import fastnn as fn

    hidden = [fn.Dense(n, net.activation) for n in net.widths[1:-1]]
    return fn.Sequential(
        *hidden, fn.Dense(net.widths[-1], HEADS[net.loss]), random_state=seed, dtype=dtype
    )


def network(net: Net, dtype: str) -> Any:
    """The network with the initial weights that all peers share."""
    made = unbuilt(net, dtype)
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
        history = self.net.fit(
            self.X, self.y, loss=LOSSES[self.case.net.loss], optimizer=self._optimizer(),
            epochs=epochs, batch_size=self.case.batch, shuffle=self.case.shuffles,
            engine=self.engine,
        )  # fmt: skip
        assert not history.diverged, "a fit that ends early takes no time"

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


class Many:
    """One call of `fit_many`, which draws the initial weights too."""

    n_threads: int | None = None

    def __init__(self, case: ManyCase) -> None:
        self.case = case
        self.X, self.y = data.arrays(case)
        self.reset()

    def reset(self) -> None:
        """See `Whole`."""
        self.nets = [unbuilt(net, self.case.dtype, seed) for seed, net in enumerate(self.case.nets)]

    def fit(self, times: int) -> None:
        """See `Whole`."""
        for _ in range(times):
            self.train(self.nets)

    def train(self, nets: list[Any]) -> None:
        """All of these."""
        import fastnn as fn

        rate = data.LEARNING_RATE["adam"]
        fn.fit_many(
            nets, self.X, self.y, loss=LOSSES[self.case.nets[0].loss],
            optimizer=fn.optimizers.Adam(rate), epochs=self.case.epochs,
            batch_size=self.case.batch, n_threads=self.n_threads,
        )  # fmt: skip

    def score(self) -> float:
        """See `Whole`."""
        scores = [data.score(net.predict(self.X), self.y) for net in self.nets]
        return sum(scores) / len(scores)


def many(case: ManyCase) -> Many:
    """See `Whole`."""
    return Many(case)


class Search:
    """`MLPSearchCV`, which trains the best once more on all rows as scikit-learn's does."""

    def __init__(self, case: SearchCase) -> None:
        self.case = case
        self.X, self.y = data.arrays(case)

    def reset(self) -> None:
        """See `Whole`; a search begins afresh."""

    def search(self) -> Any:
        """That is not begun."""
        import fastnn as fn

        case = self.case
        estimator = fn.MLPClassifier(**data.estimator_parameters(case))
        return fn.MLPSearchCV(estimator, dict(case.grid), cv=case.folds)

    def fit(self, times: int) -> None:
        """See `Whole`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that max_iter was reached
            for _ in range(times):
                self.made = self.search().fit(self.X, self.y)

    def score(self) -> float:
        """See `Whole`."""
        return float(self.made.best_score_)


def search(case: SearchCase) -> Search:
    """See `Whole`."""
    return Search(case)
