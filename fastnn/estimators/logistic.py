"""`LogisticRegression`: a network without hidden layers."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from fastnn.estimators.classifier import MLPClassifier


class LogisticRegression(MLPClassifier):
    """Logistic regression as a network with one layer and initial weights of zero.

    It minimizes the objective of scikit-learn's `LogisticRegression`: `C` times the sum of the
    losses plus half the squared norm of the weights. With solver="lbfgs" it reaches the same
    coefficients; "sgd" and "adam" show how gradient descent approaches them.

    Parameters
    ----------
    C : float, default 1.0
        Inverse of the strength of the L2 penalty.
    solver : "lbfgs" (default), "sgd" or "adam"
        The optimizer.
    learning_rate, learning_rate_init, batch_size, max_iter, tol, n_iter_no_change, class_weight, \
random_state
        As for `MLPClassifier`; the defaults of `learning_rate_init`, `max_iter` and `tol` are 0.01,
        1000 and 1e-6.

    Attributes
    ----------
    coef_ : array, shape (1, n_features) for two classes, otherwise (n_classes, n_features)
        Weights.
    intercept_ : array, shape (1,) for two classes, otherwise (n_classes,)
        Biases.

    Examples
    --------
    >>> from fastnn import LogisticRegression
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> LogisticRegression().fit(X, y).coef_.shape
    (3, 4)
    """

    hidden_layer_sizes = ()
    alpha_scaling = "samples"
    _weight_init: ClassVar[str] = "zeros"
    # scipy's default `ftol` would stop the optimization a few digits earlier.
    _lbfgs_options: ClassVar[dict[str, Any]] = {"ftol": 64 * np.finfo(float).eps, "maxls": 50}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "C": [Interval(Real, 0, None, closed="neither")],
        **{name: MLPClassifier._parameter_constraints[name] for name in (
            "solver", "learning_rate", "learning_rate_init", "batch_size", "max_iter", "tol",
            "n_iter_no_change", "class_weight", "random_state",
        )},
    }  # fmt: skip

    def __init__(
        self,
        C: float = 1.0,
        *,
        solver: str = "lbfgs",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.01,
        batch_size: int | str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        n_iter_no_change: float = 10,
        class_weight: Any = None,
        random_state: Any = None,
    ) -> None:
        self.C = C
        self.solver = solver
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.random_state = random_state

    @property
    def alpha(self) -> float:  # type: ignore[override]
        """The strength of the penalty as `MLPClassifier` defines it."""
        return 1 / self.C

    @property
    def coef_(self) -> NDArray[Any]:
        """Weights, (1, n_features) for two classes, otherwise (n_classes, n_features)."""
        check_is_fitted(self)
        return self.coefs_[0].T

    @property
    def intercept_(self) -> NDArray[Any]:
        """Biases, (1,) for two classes, otherwise (n_classes,)."""
        check_is_fitted(self)
        return self.intercepts_[0]
