"""`MLPRegressor`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions

from fastnn._util.scaling import KINDS
from fastnn.estimators._fitting import objective
from fastnn.estimators._fitting.architecture import HiddenLayers
from fastnn.estimators._fitting.base import MultilayerPerceptron
from fastnn.estimators._fitting.objective import REGRESSION_LOSSES, Objective
from fastnn.estimators._fitting.parameters import (
    FULL_BATCH_SOLVERS,
    MINIBATCH_SOLVERS,
    Parameters,
)
from fastnn.estimators._fitting.samples import check_data

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, MultilayerPerceptron):  # type: ignore[misc]
    """Multilayer perceptron regressor with the interface of scikit-learn's `MLPRegressor`.

    Parameters and attributes are those of `MLPClassifier`, except `class_weight`, `label_smoothing`
    and `classes_`; `scoring` defaults to R2. The following are additional.

    Parameters
    ----------
    loss : "squared_error" (default), "absolute_error", "huber", "poisson", "quantile" or \
"gaussian_nll"
        As in scikit-learn, "squared_error" is half the squared error and "poisson" half the
        deviance; the loss "squared_error" of a `Sequential` is not halved. With "gaussian_nll" the
        network has two outputs per target, the mean and the logarithm of the variance.
    quantile : float, default 0.5
        The quantile that loss="quantile" predicts, between 0 and 1.
    delta : float, default 1.0
        The absolute error at which loss="huber" changes from quadratic to linear, in scaled units
        with `scale_target`.
    solver : "adam" (default), "sgd", "lbfgs" or "lm"
        "lm" is the Levenberg-Marquardt method (`fastnn.optimizers.LevenbergMarquardt`), for the
        squared error and at most 3,000 weights. It ends when a step is negligible, and does not use
        `tol`, except with `early_stopping`.
    scale_target : "standard", "robust" or None (default)
        Scaling of the targets inside the model. Predictions are in the units of y, losses in
        scaled units.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MLPRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> y = np.sin(3 * X[:, 0])
    >>> model = MLPRegressor(solver="lbfgs", activation="tanh", random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.99
    True
    """

    _OUTPUTS: ClassVar[tuple[str, ...]] = ("predict",)

    loss: str = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    quantile: float = 0.5
    delta: float = 1.0
    scale_target: str | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Parameters._parameter_constraints,
        "solver": [StrOptions({*MINIBATCH_SOLVERS, *FULL_BATCH_SOLVERS})],
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "scale_target": [StrOptions(set(KINDS)), None],
    }

    # ---- targets ----

    def _check_parameters(self, incremental: bool) -> HiddenLayers:
        if self.loss == "poisson" and self.scale_target is not None:
            raise ValueError(
                "scale_target: expected None with loss='poisson', whose targets are counts; got "
                f"{self.scale_target!r}"
            )
        if self.solver == "lm" and self.loss != "squared_error":
            raise ValueError(
                f"loss: expected 'squared_error' with solver='lm'; got {self.loss!r} (the solvers "
                "'lbfgs' and 'adam' minimize any loss)"
            )
        return super()._check_parameters(incremental)

    def _check_data(self, X: Any, y: Any, reset: bool) -> tuple[Any, Array]:
        return check_data(self, X, y, reset, y_numeric=True)

    def _check_range(self, y: Array) -> None:
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"y: expected counts of at least 0 with loss='poisson'; got {y.min()}")

    def _set_targets(self, y: Array, incremental: bool) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _encode(self, y: Array, dtype: Any) -> Array:
        return np.require(y.reshape(len(y), -1), dtype, ("C", "A"))

    def _make_objective(self, targets: Array, weights: Array | None) -> Objective:
        return objective.make_regression_objective(
            self.loss, self.quantile, self.delta, targets, weights
        )

    def _get_target_scaling(self) -> str | None:
        return self.scale_target

    def _get_output_matrix(self, of: str) -> Array | None:
        scaling, n = self._target_scaling, self.n_outputs_
        if scaling is None and self._n_outputs == n:
            return None
        spread = np.ones(n) if scaling is None else scaling.spread
        return spread[:, None] * np.eye(n, self._n_outputs)

    # ---- calls ----

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict targets, of shape (n,) for one target and otherwise (n, n_outputs).

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
        return_std : bool, default False
            With loss="gaussian_nll", return (means, standard deviations).
        """
        if return_std and self.loss != "gaussian_nll":
            raise ValueError(
                f"return_std: expected False unless loss='gaussian_nll'; got loss={self.loss!r}"
            )
        outputs = self._compute_outputs(X)
        means = outputs[:, : self.n_outputs_]
        scaling = self._target_scaling
        if not return_std:
            return _squeeze(means if scaling is None else scaling.undo(means))
        std = np.exp(outputs[:, self.n_outputs_ :] / 2)
        if scaling is not None:
            means, std = scaling.undo(means), (std * scaling.spread).astype(std.dtype)
        return _squeeze(means), _squeeze(std)


def _squeeze(values: Array) -> Array:
    """Reshape (n, 1) to (n,); the result is contiguous."""
    return np.ascontiguousarray(values[:, 0] if values.shape[1] == 1 else values)
