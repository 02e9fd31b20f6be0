"""`TabularRegressor`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted

from fastnn._util import checks
from fastnn.estimators.tables import recipe as recipes
from fastnn.estimators.tables.base import TabularEstimator
from fastnn.estimators.tables.calibration import find_half_width, summarize_residuals
from fastnn.estimators.tables.members import INTERRUPTED_TEXT, Member
from fastnn.estimators.tables.recipe import Recipe
from fastnn.estimators.tables.scoring import make_regressor_score

Array = NDArray[Any]
Floats = NDArray[np.float64]


class TabularRegressor(RegressorMixin, TabularEstimator):  # type: ignore[misc]
    """Regressor for tables with numbers, categories, dates and missing values.

    Encoding and training are those of `TabularClassifier`; the networks minimize the squared error
    of standardized targets.

    Parameters
    ----------
    preset, categorical_features, n_members, epochs, width, n_layers, numeric_encoding, max_time, \
n_threads, random_state, verbose
        As for `TabularClassifier`.
    quantiles : list of float, optional
        Quantiles to predict, between 0 and 1 and ascending, in place of the mean. The networks of
        each minimize its pinball loss; predictions of a row are sorted, so that quantiles do not
        cross (V. Chernozhukov, I. Fernández-Val, A. Galichon, "Quantile and probability curves
        without crossing", Econometrica 78, 2010). For a single target.
    scoring : str or callable, optional
        A scorer of scikit-learn that chooses the best epoch; by default the loss.

    Attributes
    ----------
    encoder_, report_, n_features_in_, feature_names_in_
        As for `TabularClassifier`.
    networks_ : list of list of Sequential
        The networks; with `quantiles`, one group for each.
    target_center_, target_scale_ : ndarray of float64, shape (n_targets,)
        Mean and standard deviation of the targets.
    residuals_ : ndarray of float64, shape (n_residuals, n_targets)
        Absolute errors of held-out rows, ascending; without `quantiles`.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_concrete()
    >>> model = fn.TabularRegressor("fast", random_state=0).fit(X[:800], y[:800])
    >>> lower, upper = model.predict_interval(X[800:], coverage=0.9).T
    >>> bool((lower < model.predict(X[800:])).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TabularEstimator._parameter_constraints,
        "quantiles": ["array-like", None],
    }

    target_center_: Floats
    target_scale_: Floats
    residuals_: Floats

    def __init__(
        self,
        preset: str = "default",
        *,
        categorical_features: Any = "auto",
        n_members: int | None = None,
        epochs: int | None = None,
        width: int | None = None,
        n_layers: int | None = None,
        numeric_encoding: str | None = None,
        quantiles: Any = None,
        scoring: Any = None,
        max_time: float | None = None,
        n_threads: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
    ) -> None:
        self.preset = preset
        self.categorical_features = categorical_features
        self.n_members = n_members
        self.epochs = epochs
        self.width = width
        self.n_layers = n_layers
        self.numeric_encoding = numeric_encoding
        self.quantiles = quantiles
        self.scoring = scoring
        self.max_time = max_time
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    # ---- predicting ----

    def predict(self, X: Any) -> Floats:
        """Predict the targets.

        Parameters
        ----------
        X : data frame or array-like, shape (n, n_features)
            Columns as in `fit`. Unknown categories and new missing values are no error.

        Returns
        -------
        ndarray, shape (n,), (n, n_targets) or, with `quantiles`, (n, n_quantiles)
        """
        values = [self._to_units(outputs) for outputs in self._predict_groups(X)]
        if self.quantiles is not None:
            return np.asarray(np.sort(np.hstack(values), axis=1))
        return np.asarray(values[0][:, 0] if self._n_dimensions == 1 else values[0])

    def predict_interval(self, X: Any, coverage: float = 0.9) -> Floats:
        """Predict intervals that contain this share of new targets.

        Their half width is that of the absolute errors of held-out rows, and the same for all rows:
        split conformal prediction (J. Lei and others, "Distribution-free predictive inference for
        regression", JASA 113, 2018).

        Parameters
        ----------
        X : data frame or array-like, shape (n, n_features)
            As for `predict`.
        coverage : float, default 0.9
            The share, between 0 and 1.

        Returns
        -------
        ndarray, shape (n, 2) or (n, n_targets, 2)
            Lower and upper ends. They are infinite if there are too few held-out rows for the
            coverage.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or the estimator has `quantiles`.
        """
        checks.number("coverage", coverage, above=0, below=1)
        check_is_fitted(self, "networks_")
        if self.quantiles is not None:
            raise ValueError("quantiles: expected None for predict_interval, as predict returns "
                             f"quantiles already; got {self.quantiles}")  # fmt: skip
        center = self.predict(X)
        width = find_half_width(self.residuals_, coverage)
        width = width[0] if self._n_dimensions == 1 else width
        return np.stack([center - width, center + width], axis=-1)

    def _to_units(self, outputs: Array) -> Floats:
        """Outputs (n, n_targets) in the units of the targets."""
        return np.asarray(outputs * self.target_scale_ + self.target_center_)

    # ---- fitting ----

    def _check_y(self, y: Any, n: int) -> Array:
        target: Array = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if target.ndim == 2 and target.shape[1] == 1:
            target = target[:, 0]
        if len(target) != n:
            raise ValueError(f"y: expected {n} targets, one for each row of X; got {len(target)}")
        if self.quantiles is not None:
            _check_quantiles(self.quantiles)
            if target.ndim > 1:
                raise ValueError(f"y: expected one target with quantiles; got {target.shape[1]}")
        self._n_dimensions = target.ndim
        return target

    def _train(
        self, X: Array, y: Array, weights: Array | None, recipe: Recipe, seeds: list[int],
        deadline: float,
    ) -> tuple[list[list[Member]], list[str]]:  # fmt: skip
        targets = y.reshape(len(y), -1)
        self.target_center_ = np.average(targets, axis=0, weights=weights)
        spread = np.sqrt(np.average((targets - self.target_center_) ** 2, axis=0, weights=weights))
        self.target_scale_ = np.where(spread > 0, spread, 1.0)
        scaled = (targets - self.target_center_) / self.target_scale_
        score = None
        if self.scoring is not None:
            score = make_regressor_score(
                self.scoring, X, y, weights, self.target_center_, self.target_scale_
            )
        quantiles = [None] if self.quantiles is None else list(map(float, self.quantiles))
        groups, texts = [], []
        for i, quantile in enumerate(quantiles):
            loss = recipes.make_loss(0, 0.0, quantile)
            data = self._make_data(
                X, scaled.astype(np.float32), weights, recipe, seeds[-1], loss, targets.shape[1],
                score,
            )  # fmt: skip
            share = 1 / (len(quantiles) - i)
            group, group_texts = self._train_group(data, recipe, seeds[:-1], deadline, share)
            groups.append(group)
            texts += group_texts
            if INTERRUPTED_TEXT in group_texts and len(groups) < len(quantiles):
                raise KeyboardInterrupt  # without networks for the other quantiles
        self.residuals_ = np.empty((0, targets.shape[1]))
        if self.quantiles is None:
            errors = [
                self._to_units(member.network.predict(X[member.held_out]))
                - targets[member.held_out]
                for member in groups[0]
            ]
            self.residuals_ = summarize_residuals(np.concatenate(errors))
        return groups, list(dict.fromkeys(texts))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _check_quantiles(quantiles: Any) -> None:
    values = [checks.number("quantiles", value, above=0, below=1) for value in quantiles]
    if not values or sorted(set(values)) != values:
        raise ValueError(f"quantiles: expected ascending numbers; got {list(quantiles)}")
