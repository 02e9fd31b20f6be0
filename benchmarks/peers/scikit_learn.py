"""scikit-learn: `MLPClassifier` and `MLPRegressor` by their own `fit`, never stopping early."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import data
import numpy as np
from cases import Net, PredictionCase, SearchCase, TrainingCase

from peers import blas_settings, thread_counts

LABEL = "scikit-learn"
SETTINGS = blas_settings()
TAKES = ("training", "prediction", "search")

NEVER = 10**9


def version() -> str:
    """Of the library."""
    import sklearn

    return str(sklearn.__version__)


def estimator(net: Net, **settings: Any) -> Any:
    """The estimator of a net; its regressor is linear at the end, its classifier logistic or
    softmax."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if net.loss == "squared" else MLPClassifier
    return kind(
        hidden_layer_sizes=net.widths[1:-1], activation=net.activation, alpha=0.0, tol=0.0,
        early_stopping=False, n_iter_no_change=NEVER, random_state=0, **settings,
    )  # fmt: skip


def _labels(net: Net, y: data.Array) -> data.Array:
    """y as scikit-learn wants it: one target is a flat array, classes are whole numbers."""
    flat = y.ravel() if net.loss != "squared" or net.widths[-1] == 1 else y
    return flat if net.loss == "squared" else flat.astype(int)


class Fit:
    """One call of `fit` with that many iterations. It draws its own initial weights."""

    def __init__(self, case: TrainingCase) -> None:
        self.case = case
        self.X, y = data.arrays(case)
        self.y = _labels(case.net, y)

    def reset(self) -> None:
        """See `Training`; `fit` of scikit-learn starts afresh."""

    def fit(self, epochs: int) -> None:
        """See `Training`."""
        case = self.case
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.made = estimator(
                case.net, solver="adam" if case.optimizer == "adam" else "sgd",
                batch_size=case.batch, shuffle=case.shuffles, max_iter=epochs,
                learning_rate_init=data.LEARNING_RATE[case.optimizer],
                momentum=data.MOMENTUM if case.optimizer == "momentum" else 0.0,
                nesterovs_momentum=False,
                beta_1=data.BETA_1, beta_2=data.BETA_2, epsilon=data.EPSILON,
            ).fit(self.X, self.y)  # fmt: skip
        assert self.made.n_iter_ == epochs, "scikit-learn stopped early"

    def outputs(self) -> data.Array:
        """See `Training`."""
        if self.case.net.loss == "squared":
            result: data.Array = self.made.predict(self.X)
            return result
        probabilities: data.Array = self.made.predict_proba(self.X)
        return probabilities[:, 1:] if self.case.net.loss == "binary" else probabilities


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """`predict` for numbers, `predict_proba` for classes, of an estimator with our weights."""
    net, (X, y) = case.net, data.arrays(case)
    made = _fitted(net, X, y)
    weights = data.initial_weights(net, case.dtype)
    made.coefs_, made.intercepts_ = [w for w, _ in weights], [b for _, b in weights]
    made.n_outputs_ = net.widths[-1]
    if net.loss == "cross-entropy":  # of two classes scikit-learn would make one logistic output
        made.out_activation_ = "softmax"
    call = made.predict if net.loss == "squared" else made.predict_proba
    return lambda: call(X)


def _fitted(net: Net, X: data.Array, y: data.Array) -> Any:
    """An estimator that has seen every class, with weights that do not matter."""
    classes = max(2, net.widths[-1])
    few, some = X[:1].repeat(2 * classes, axis=0), y[:1].repeat(2 * classes, axis=0)
    if net.loss != "squared":
        some = np.arange(2 * classes) % classes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(net, max_iter=1).fit(few, _labels(net, some))


class Search:
    """`GridSearchCV` with a process for each processor, which joblib keeps from one to the next;
    each computes on one thread."""

    def __init__(self, case: SearchCase) -> None:
        self.case = case
        self.X, self.y = data.arrays(case)

    def reset(self) -> None:
        """See `Whole`; a search begins afresh."""

    def fit(self, times: int) -> None:
        """See `Whole`."""
        from sklearn.model_selection import GridSearchCV
        from sklearn.neural_network import MLPClassifier

        case = self.case
        estimator = MLPClassifier(**data.estimator_parameters(case))
        grid = {name: list(values) for name, values in case.grid}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(times):
                made = GridSearchCV(estimator, grid, cv=case.folds, n_jobs=thread_counts()[-1])
                self.made = made.fit(self.X, self.y)

    def score(self) -> float:
        """See `Whole`."""
        return float(self.made.best_score_)


def search(case: SearchCase) -> Search:
    """See `Whole`."""
    return Search(case)
