"""scikit-learn: `fit` of `MLPClassifier` and `MLPRegressor`, without early stopping."""

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
    """Version of the library."""
    import sklearn

    return str(sklearn.__version__)


def estimator(net: Net, **settings: Any) -> Any:
    """The estimator of a network. The last activation is linear for the regressor, logistic or
    softmax for the classifier."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPRegressor if net.loss == "squared" else MLPClassifier
    return kind(
        hidden_layer_sizes=net.widths[1:-1], activation=net.activation, alpha=0.0, tol=0.0,
        early_stopping=False, n_iter_no_change=NEVER, random_state=0, **settings,
    )  # fmt: skip


def _convert_targets(net: Net, y: data.Array) -> data.Array:
    """y as scikit-learn expects it: a single target is a flat array, classes are integers."""
    flat = y.ravel() if net.loss != "squared" or net.widths[-1] == 1 else y
    return flat if net.loss == "squared" else flat.astype(int)


class Fit:
    """One call of `fit` with a given number of epochs. It draws its own initial weights."""

    def __init__(self, case: TrainingCase) -> None:
        self.case = case
        self.X, y = data.make_arrays(case)
        self.y = _convert_targets(case.net, y)

    def reset(self) -> None:
        """See `Training`; scikit-learn's `fit` always starts anew."""

    def fit(self, epochs: int) -> None:
        """See `Training`."""
        case = self.case
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.fitted = estimator(
                case.net, solver="adam" if case.optimizer == "adam" else "sgd",
                batch_size=case.batch, shuffle=case.shuffles, max_iter=epochs,
                learning_rate_init=data.LEARNING_RATE[case.optimizer],
                momentum=data.MOMENTUM if case.optimizer == "momentum" else 0.0,
                nesterovs_momentum=False,
                beta_1=data.BETA_1, beta_2=data.BETA_2, epsilon=data.EPSILON,
            ).fit(self.X, self.y)  # fmt: skip
        assert self.fitted.n_iter_ == epochs, "scikit-learn stopped early"

    def outputs(self) -> data.Array:
        """See `Training`."""
        if self.case.net.loss == "squared":
            result: data.Array = self.fitted.predict(self.X)
            return result
        probabilities: data.Array = self.fitted.predict_proba(self.X)
        return probabilities[:, 1:] if self.case.net.loss == "binary" else probabilities


def train(case: TrainingCase) -> Fit:
    """See `Training`."""
    return Fit(case)


def predict(case: PredictionCase) -> Callable[[], data.Array]:
    """`predict` in regression, `predict_proba` in classification, with the shared weights."""
    net, (X, y) = case.net, data.make_arrays(case)
    model = _fit_few_rows(net, X, y)
    weights = data.make_weights(net, case.dtype)
    model.coefs_, model.intercepts_ = [w for w, _ in weights], [b for _, b in weights]
    model.n_outputs_ = net.widths[-1]
    if net.loss == "cross-entropy":  # for two classes scikit-learn has one logistic output
        model.out_activation_ = "softmax"
    call = model.predict if net.loss == "squared" else model.predict_proba
    return lambda: call(X)


def _fit_few_rows(net: Net, X: data.Array, y: data.Array) -> Any:
    """An estimator fitted to a few rows with every class; its weights are replaced."""
    classes = max(2, net.widths[-1])
    few_X, few_y = X[:1].repeat(2 * classes, axis=0), y[:1].repeat(2 * classes, axis=0)
    if net.loss != "squared":
        few_y = np.arange(2 * classes) % classes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(net, max_iter=1).fit(few_X, _convert_targets(net, few_y))


class Search:
    """`GridSearchCV` with one process per core, each on one thread. joblib keeps the processes from
    one search to the next."""

    def __init__(self, case: SearchCase) -> None:
        self.case = case
        self.X, self.y = data.make_arrays(case)

    def reset(self) -> None:
        """See `Workload`; a search has no state."""

    def fit(self, times: int) -> None:
        """See `Workload`."""
        from sklearn.model_selection import GridSearchCV
        from sklearn.neural_network import MLPClassifier

        case = self.case
        estimator = MLPClassifier(**data.make_estimator_parameters(case))
        grid = {name: list(values) for name, values in case.grid}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(times):
                search = GridSearchCV(estimator, grid, cv=case.folds, n_jobs=thread_counts()[-1])
                self.fitted = search.fit(self.X, self.y)

    def score(self) -> float:
        """See `Workload`."""
        return float(self.fitted.best_score_)


def search(case: SearchCase) -> Search:
    """See `Workload`."""
    return Search(case)
