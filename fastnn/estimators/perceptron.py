"""`Perceptron`: Rosenblatt's learning rule."""

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
    """The perceptron of F. Rosenblatt.

    For each misclassified row x with the label t = -1 or 1, a row on the decision boundary
    included, the weights are corrected by `w += eta0 * t * x` and the bias by `b += eta0 * t`.
    Training stops after a pass over all rows without a correction. Such a pass is reached if and
    only if a hyperplane separates the classes (Novikoff's theorem).

    More than two classes are learned one-versus-rest. The loop is written in Python to be readable;
    it takes a few microseconds per row.

    Parameters
    ----------
    eta0 : float, default 1.0
        Step size. As training starts from zero weights, it only scales the weights.
    max_iter : int, default 1000
        Maximum number of passes over the rows.
    shuffle : bool, default False
        Whether to shuffle the rows before each pass.
    random_state : int, RandomState or None (default)
        Seed for shuffling.

    Attributes
    ----------
    classes_ : array
        The class labels.
    coef_ : array, shape (1, n_features) for two classes, otherwise (n_classes, n_features)
        Weights.
    intercept_ : array, shape (1,) for two classes, otherwise (n_classes,)
        Biases.
    corrections_ : list of int
        Number of corrections in each pass.
    n_corrections_ : int
        Number of corrections in all passes.
    n_iter_ : int
        Number of passes.

    References
    ----------
    F. Rosenblatt, "The perceptron: a probabilistic model for information storage and organization
    in the brain", 1958.

    A. Novikoff, "On convergence proofs on perceptrons", 1962.

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
        """Fit the model to data.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
        y : array-like, shape (n,)
            Class labels.

        Returns
        -------
        self

        Warns
        -----
        ConvergenceWarning
            If the last pass made corrections.
        """
        with atomic_fit(self) as fitted:
            fitted._train(X, y)
        if fitted.corrections_[-1]:
            warnings.warn(
                f"Perceptron: the last of {self.max_iter} passes made {fitted.corrections_[-1]} "
                "corrections; the classes may not be linearly separable", ConvergenceWarning,
                stacklevel=3,
            )  # fmt: skip
        return self

    def _train(self, X: Any, y: Any) -> None:
        """Make passes over the rows until one makes no correction."""
        check_unmasked("X", X)
        check_unmasked("y", y)
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        units = np.arange(len(self.classes_)) if len(self.classes_) > 2 else np.array([1])
        signs = np.where(codes[:, np.newaxis] == units, 1.0, -1.0)
        self.coef_ = np.zeros((len(units), X.shape[1]))
        self.intercept_ = np.zeros(len(units))
        self.corrections_: list[int] = []
        order, rng = np.arange(len(X)), check_random_state(self.random_state)
        for _ in range(self.max_iter):
            if self.shuffle:
                rng.shuffle(order)
            self.corrections_.append(self._correct_weights(X[order], signs[order]))
            if not self.corrections_[-1]:
                break
        self.n_iter_ = len(self.corrections_)
        self.n_corrections_ = sum(self.corrections_)

    def _correct_weights(self, X: Array, signs: Array) -> int:
        """Make one pass over the rows; returns the number of corrections."""
        corrections = 0
        for x, t in zip(X, signs, strict=True):
            wrong = t * (self.coef_ @ x + self.intercept_) <= 0
            if wrong.any():
                step = self.eta0 * t * wrong
                self.coef_ += np.outer(step, x)
                self.intercept_ += step
                corrections += int(wrong.sum())
        return corrections

    def decision_function(self, X: Any) -> Array:
        """Weighted sums, of shape (n,) for two classes and otherwise (n, n_classes)."""
        check_is_fitted(self)
        check_unmasked("X", X)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        sums = X @ self.coef_.T + self.intercept_
        return np.asarray(sums[:, 0] if len(self.classes_) <= 2 else sums)

    def predict(self, X: Any) -> Array:
        """Predict class labels (n,)."""
        sums = self.decision_function(X)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(sums))
        chosen = sums > 0 if sums.ndim == 1 else sums.argmax(axis=1)
        return np.asarray(self.classes_[chosen.astype(np.intp)])
