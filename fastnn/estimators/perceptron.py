"""`Perceptron`: the rule of 1958."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn._util.checks.arrays import check_unmasked
from fastnn.estimators._fitting.commit import atomic_fit

Array = NDArray[Any]


class Perceptron(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The perceptron of F. Rosenblatt, 1958: a row on the wrong side, or on the border, is added
    to the weights, or subtracted from them. It stops when a whole pass needs no correction, which
    comes for classes that a plane separates (A. Novikoff, 1962) and for no others.

    Several classes are learned one against the rest. The loop stands in Python, to be read:
    some microseconds a row.

    Parameters
    ----------
    eta0 : float, default 1.0
        The step; from weights of zero it changes only their length.
    max_iter : int, default 1000
        Passes over the rows at most.
    shuffle : bool, default False
        Draw another order for each pass.
    random_state : int, RandomState or None (default)

    Attributes
    ----------
    coef_ : (1, n_features) for two classes, otherwise (n_classes, n_features)
    intercept_ : (1,) or (n_classes,)
    corrections_ : list of the number of corrections in each pass
    n_corrections_, n_iter_ : int

    Examples
    --------
    >>> from fastnn import Perceptron
    >>> gate = Perceptron().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1])
    >>> gate.predict([[1, 1], [1, 0]]).tolist(), gate.n_corrections_
    ([1, 0], 18)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        eta0: float = 1.0,
        max_iter: int = 1000,
        shuffle: bool = False,
        random_state: Any = None,
    ) -> None:
        self.eta0 = eta0
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows X (n, n_features) and their classes y (n,).

        Warns
        -----
        ConvergenceWarning
            If the last pass still made corrections.
        """
        with atomic_fit(self) as own:
            own._train(X, y)
        if own.corrections_[-1]:
            warnings.warn(
                f"Perceptron: the last of {self.max_iter} passes made {own.corrections_[-1]} "
                "corrections: no plane may separate the classes", ConvergenceWarning, stacklevel=3,
            )  # fmt: skip
        return self

    def _train(self, X: Any, y: Any) -> None:
        """Pass over the rows until none needs a correction."""
        check_unmasked("X", X)
        check_unmasked("y", y)
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        units = np.arange(len(self.classes_)) if len(self.classes_) > 2 else np.array([1])
        sides = np.where(codes[:, np.newaxis] == units, 1.0, -1.0)
        self.coef_ = np.zeros((len(units), X.shape[1]))
        self.intercept_ = np.zeros(len(units))
        self.corrections_: list[int] = []
        order, rng = np.arange(len(X)), check_random_state(self.random_state)
        for _ in range(self.max_iter):
            if self.shuffle:
                rng.shuffle(order)
            self.corrections_.append(self._pass(X[order], sides[order]))
            if not self.corrections_[-1]:
                break
        self.n_iter_ = len(self.corrections_)
        self.n_corrections_ = sum(self.corrections_)

    def _pass(self, X: Array, sides: Array) -> int:
        """Correct the weights row by row; returns how often."""
        corrections = 0
        for x, t in zip(X, sides, strict=True):
            wrong = t * (self.coef_ @ x + self.intercept_) <= 0
            if wrong.any():
                step = self.eta0 * t * wrong
                self.coef_ += np.outer(step, x)
                self.intercept_ += step
                corrections += int(wrong.sum())
        return corrections

    def decision_function(self, X: Any) -> Array:
        """Sums before the step: (n,) for two classes, otherwise (n, n_classes)."""
        check_is_fitted(self)
        check_unmasked("X", X)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        sums = X @ self.coef_.T + self.intercept_
        return np.asarray(sums[:, 0] if len(self.classes_) <= 2 else sums)

    def predict(self, X: Any) -> Array:
        """Classes (n,)."""
        sums = self.decision_function(X)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(sums))
        chosen = sums > 0 if sums.ndim == 1 else sums.argmax(axis=1)
        return np.asarray(self.classes_[chosen.astype(np.intp)])
