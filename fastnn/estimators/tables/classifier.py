"""`TabularClassifier`."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _assert_all_finite, _num_samples

from fastnn.estimators._fitting.targets import Labels, find_classes
from fastnn.estimators.tables import recipe as recipes
from fastnn.estimators.tables.base import TabularEstimator
from fastnn.estimators.tables.calibration import find_temperature, scale_temperature
from fastnn.estimators.tables.folds import select
from fastnn.estimators.tables.members import Member
from fastnn.estimators.tables.recipe import Recipe
from fastnn.estimators.tables.scoring import make_classifier_score

Array = NDArray[Any]


class TabularClassifier(ClassifierMixin, TabularEstimator):  # type: ignore[misc]
    """Classifier for tables with numbers, categories, dates and missing values.

    The table is encoded by `fastnn.preprocessing.TableEncoder`. Several networks are trained side
    by side, each on all rows but one fold; the weights of the epoch with the best score on that
    fold are kept, and probabilities are the calibrated mean of the networks'. Nothing has to be
    tuned or scaled. The recipe follows RealMLP (D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better
    by default", NeurIPS 2024).

    Parameters
    ----------
    preset : {"default", "fast", "best"}, default "default"
        Number and size of the networks and length of the training: "fast" takes about as long as
        scikit-learn's HistGradientBoosting, "default" as CatBoost, "best" several times as long.
    categorical_features : "auto" or list, default "auto"
        Columns of numbers that are categories, see `TableEncoder`. Text, booleans and categorical
        dtypes always are.
    n_members : int, optional
        Number of networks; by default that of the preset.
    epochs : int, optional
        Passes over the rows; by default that of the preset.
    width, n_layers : int, optional
        Units of a hidden layer and number of hidden layers; by default those of the preset.
    numeric_encoding : {"scaled", "piecewise_linear"}, optional
        See `TableEncoder`; by default "piecewise_linear".
    label_smoothing : float, default 0.1
        The share of the target probability that is divided among all classes in training, in
        [0, 1).
    calibrate : bool, default True
        Whether probabilities are calibrated: their temperature minimizes the log loss of the
        held-out rows.
    class_weight : dict, "balanced" or None, default None
        Weights of the classes; "balanced" gives all classes the same total weight.
    scoring : str or callable, optional
        A scorer of scikit-learn that chooses the best epoch; by default the accuracy.
    max_time : float, optional
        Time limit of `fit` in seconds. If the recipe takes longer, epochs and then networks are
        left out.
    n_threads : int, optional
        Number of networks trained side by side; by default all processors available to the process.
    random_state : int, RandomState or None, default None
        Determines folds, initial weights and the order of the rows. Results do not depend on
        `n_threads`, unless `max_time` is set.
    verbose : bool or int, default False
        1 shows the progress in finished networks.

    Attributes
    ----------
    classes_ : ndarray
        The class labels.
    encoder_ : TableEncoder
        The fitted encoder.
    networks_ : list of list of Sequential
        The networks, as a single group.
    temperature_ : float
        The temperature of the calibration; 1 without it.
    report_ : TableReport
        What was done to each column, the scores of the networks, and the time of each part.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Column names, if X is a data frame whose column names are all strings.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> model = fn.TabularClassifier("fast", random_state=0).fit(X[:400], y[:400])
    >>> model.score(X[400:], y[400:]) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **TabularEstimator._parameter_constraints,
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "calibrate": ["boolean"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    classes_: Array
    temperature_: float

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
        label_smoothing: float = 0.1,
        calibrate: bool = True,
        class_weight: Any = None,
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
        self.label_smoothing = label_smoothing
        self.calibrate = calibrate
        self.class_weight = class_weight
        self.scoring = scoring
        self.max_time = max_time
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities of the classes, (n, n_classes), in the order of `classes_`.

        Parameters
        ----------
        X : data frame or array-like, shape (n, n_features)
            Columns as in `fit`. Unknown categories and new missing values are no error.
        """
        (mean,) = self._predict_groups(X)
        mean = mean[:, : len(self.classes_)]
        return scale_temperature(mean / mean.sum(axis=1, keepdims=True), self.temperature_)

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row, (n,). X as for `predict_proba`."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    # ---- fitting ----

    def _check_y(self, y: Any, n: int) -> Array:
        labels: Array = column_or_1d(y, warn=True)
        _assert_all_finite(labels, input_name="y", allow_nan=False)
        check_classification_targets(labels)
        if _num_samples(labels) != n:
            raise ValueError(f"y: expected {n} labels, one for each row of X; got {len(labels)}")
        self.classes_ = find_classes(labels)
        return labels

    def _train(
        self, X: Array, y: Array, weights: Array | None, recipe: Recipe, seeds: list[int],
        deadline: float,
    ) -> tuple[list[list[Member]], list[str]]:  # fmt: skip
        labels = Labels(self.classes_, "multiclass")
        codes = labels.encode(y, np.intp)[:, 0]
        factors = labels.compute_class_factors(self.class_weight, y, weights)
        if factors is not None:
            weights = factors if weights is None else weights * factors
        score = None
        if self.scoring is not None:
            score = make_classifier_score(self.scoring, X, y, weights, self.classes_)
        n_outputs = max(2, len(self.classes_))
        loss = recipes.make_loss(n_outputs, self.label_smoothing, None)
        data = self._make_data(
            X, codes, weights, recipe, seeds[-1], loss, n_outputs, score, strata=codes
        )
        group, texts = self._train_group(data, recipe, seeds[:-1], deadline)
        self.temperature_ = 1.0
        if self.calibrate and len(self.classes_) > 1:
            self.temperature_ = _calibrate(group, X, codes, weights)
        return [group], texts


def _calibrate(
    group: list[Member], X: Array, codes: NDArray[np.intp], weights: Array | None
) -> float:
    """The temperature for the probabilities of the rows that the members held out."""
    rows = np.concatenate([member.held_out for member in group])
    outputs = [member.network.predict(X[member.held_out]) for member in group]
    return find_temperature(
        np.concatenate(outputs).astype(np.float64), codes[rows], select(weights, rows)
    )
