"""Scores against the number of training rows, or against a parameter: means with their spread over
folds and seeds, every fit on a thread of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.model_selection._validation import _translate_train_sizes
from sklearn.utils import check_random_state, indexable

from fastnn._parallel import pool
from fastnn._util import checks
from fastnn._util.plotting import get_axes
from fastnn.estimators._fitting.samples import Index
from fastnn.estimators.search.candidates import (
    Candidate,
    Fold,
    candidates_of,
    check_classes,
    check_estimator,
    folds_of,
    seeds_of,
)
from fastnn.estimators.search.fits import Common, Limits, nets_of, train
from fastnn.estimators.search.results import table, tell
from fastnn.estimators.search.scores import Judge, counts_right
from fastnn.experiments.table import Table
from fastnn.statistics import estimate

Floats = NDArray[np.float64]

# Values that span so much are shown on a logarithmic axis.
LOGARITHMIC_SPAN = 50


@dataclass(frozen=True, eq=False)  # arrays have no single truth value to compare by
class Curve:
    """Scores of an estimator, one point for each of `values`.

    Attributes
    ----------
    parameter : what varies: a parameter's name, or "rows".
    values : of it, one for each point.
    train_scores, test_scores : (n_points, n_splits, n_seeds)
        On the rows trained on, and on those held out; NaN of a fit that was not finished.
    """

    parameter: str
    values: Sequence[Any]
    train_scores: Floats = field(repr=False)
    test_scores: Floats = field(repr=False)

    def table(self) -> Table:
        """A row for each point: means and standard deviations (n - 1) over all folds and seeds, and
        how many test scores there are."""
        rows = []
        for value, training, test in zip(
            self.values, self.train_scores, self.test_scores, strict=True
        ):
            of_train, of_test = estimate(training), estimate(test)
            rows.append({
                self.parameter: value, "train_mean": of_train.mean, "train_std": of_train.std,
                "test_mean": of_test.mean, "test_std": of_test.std, "count": of_test.count,
            })  # fmt: skip
        return Table.from_rows(rows)

    def __str__(self) -> str:
        return str(self.table())

    def plot(self, axes: Any = None) -> Any:
        """Means with bands of one standard deviation to either side; returns matplotlib's axes.

        Raises
        ------
        ImportError
            If matplotlib is not installed (`pip install matplotlib`).
        """
        axes = get_axes(axes, "Curve.plot")
        places = self._places(axes)
        table = self.table()
        for name, label in (("train", "training rows"), ("test", "held-out rows")):
            mean, std = np.array(table[f"{name}_mean"]), np.array(table[f"{name}_std"])
            axes.fill_between(places, mean - std, mean + std, alpha=0.2)
            axes.plot(places, mean, marker="o", markersize=3, label=label)
        axes.set(xlabel=self.parameter, ylabel="score")
        axes.legend()
        return axes

    def _places(self, axes: Any) -> Any:
        """Where the points stand: numbers at their values, all else one after another."""
        if any(isinstance(value, bool) or not isinstance(value, Real) for value in self.values):
            axes.set_xticks(range(len(self.values)), [str(value) for value in self.values])
            return np.arange(len(self.values))
        places = np.array(self.values, np.float64)
        if places.min() > 0 and places.max() > LOGARITHMIC_SPAN * places.min():
            axes.set_xscale("log")
        return places


def learning_curve(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    train_sizes: Any = (0.1, 0.325, 0.55, 0.775, 1.0),
    cv: Any = None,
    n_seeds: int = 3,
    scoring: Any = None,
    groups: Any = None,
    shuffle: bool = False,
    random_state: Any = None,
    sample_weight: Any = None,
    n_threads: int | None = None,
    verbose: int = 0,
    error_score: Any = np.nan,
) -> Curve:
    """Scores after training on more and more rows: scikit-learn's `learning_curve`, with several
    seeds for each fold and all fits side by side.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or LogisticRegression
        It is not fitted itself.
    X, y, sample_weight : as for its `fit`
    train_sizes : array-like of shares of the first fold's training rows, or of numbers of rows
    cv : int, splitter or iterable of (train, test); default: 5 folds, stratified for classes
    n_seeds : int, default 3
        Fits to each of these; the first seed is the `random_state` of the estimator, where it has
        one. With a single one the scores are scikit-learn's.
    scoring : scorer or its name; default: accuracy or R2
    groups : array-like, shape (n,), optional
        For the splitter.
    shuffle : bool, default False
        Takes the training rows in an order drawn by `random_state`, not as the folds have them.
    n_threads : int, optional
        Fits at the same time; by default as many as the process may use threads.
    verbose : bool or int, default 0
        1 shows how many of the fits are done: see `Sequential.fit`.
    error_score : "raise" or number, default NaN
        The score where fitting or scoring fails.

    Returns
    -------
    Curve
        With `values`, the numbers of rows.

    Raises
    ------
    TypeError, ValueError
        If a parameter or an array is not as described, before any work; or if every fit failed.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> model = fn.MLPClassifier((8,), scale="standard", solver="lbfgs", max_iter=999,
    ...                          random_state=0)
    >>> curve = fn.learning_curve(model, X, y, train_sizes=[50, 400], shuffle=True, random_state=0)
    >>> curve.test_scores.shape
    (2, 5, 3)
    >>> small, large = curve.table()["test_mean"]
    >>> large > small
    True
    """
    checks.flag("shuffle", shuffle)
    (candidate,), folds, judge = _checked(
        estimator, [{}], X, y, sample_weight, cv, scoring, groups, error_score
    )
    sizes = _translate_train_sizes(train_sizes, len(folds[0].train)).tolist()
    if shuffle:
        rng = check_random_state(random_state)
        folds = [Fold(rng.permutation(fold.train), fold.test) for fold in folds]
    parts = [_first(fold, size, candidate) for size in sizes for fold in folds]
    shape = len(sizes), len(folds)
    return _curve("rows", sizes, shape, [candidate], parts, judge, n_seeds, n_threads, verbose)


def validation_curve(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    param_name: str,
    param_range: Any,
    cv: Any = None,
    n_seeds: int = 3,
    scoring: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    n_threads: int | None = None,
    verbose: int = 0,
    error_score: Any = np.nan,
) -> Curve:
    """Scores for several values of one parameter: scikit-learn's `validation_curve`, with several
    seeds for each fold and all fits side by side.

    Parameters
    ----------
    param_name : str
        A parameter of the estimator.
    param_range : list of its values
    estimator, X, y and the others : as for `learning_curve`

    Returns
    -------
    Curve

    Raises
    ------
    TypeError, ValueError
        If a parameter or an array is not as described, before any work; or if every fit failed.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> model = fn.MLPClassifier((8,), scale="standard", solver="lbfgs", max_iter=9999,
    ...                          max_fun=99999, random_state=0)
    >>> curve = fn.validation_curve(model, X, y, param_name="alpha", param_range=[1.0, 1000.0])
    >>> right, too_strong = curve.table()["test_mean"]
    >>> right > too_strong
    True
    """
    check_estimator(estimator, _of_others("validation_curve"))
    checks.choice("param_name", param_name, estimator.get_params())
    if param_name == "random_state":
        raise ValueError("param_name: expected another than random_state; n_seeds varies it")
    if isinstance(param_range, str) or not hasattr(param_range, "__len__"):
        raise TypeError(f"param_range: expected a list of values; got {param_range!r:.80}")
    values = list(param_range)
    if not values:
        raise ValueError("param_range: expected at least one value; got none")
    candidates, folds, judge = _checked(
        estimator, [{param_name: value} for value in values], X, y, sample_weight, cv, scoring,
        groups, error_score,
    )  # fmt: skip
    shape = len(values), len(folds)
    return _curve(param_name, values, shape, candidates, folds, judge, n_seeds, n_threads, verbose)


# ---- what both share -----------------------------------------------------------------------------


def _of_others(name: str) -> str:
    return f"pipelines and other estimators have sklearn.model_selection.{name}"


def _checked(
    estimator: Any, settings: list[dict[str, Any]], X: Any, y: Any, sample_weight: Any, cv: Any,
    scoring: Any, groups: Any, error_score: Any,
) -> tuple[list[Candidate], list[Fold], Judge]:  # fmt: skip
    check_estimator(estimator, _of_others("learning_curve"))
    X, y, groups = indexable(X, y, groups)
    candidates = candidates_of(estimator, settings, X, y, sample_weight)
    sample = candidates[0].given.sample
    folds = folds_of(candidates[0], cv, X, y, {"groups": groups})
    scorer = check_scoring(estimator, scoring)
    fast = counts_right(estimator, scoring, {}, sample)
    return candidates, folds, Judge(scorer, X, y, {}, error_score, fast)


def _first(fold: Fold, size: int, candidate: Candidate) -> Fold:
    """The fold with its first training rows only, among which each class has to be."""
    rows: Index = fold.train[:size]
    where = f"train_sizes: the first {size} rows"
    check_classes(where, rows, candidate, "take more rows, or shuffle=True")
    return Fold(rows, fold.test)


def _curve(
    parameter: str, values: Sequence[Any], shape: tuple[int, int], candidates: list[Candidate],
    folds: list[Fold], judge: Judge, n_seeds: int, n_threads: int | None, verbose: int,
) -> Curve:  # fmt: skip
    """Fit every candidate to every fold with every seed. `shape` is (n_points, n_splits), and what
    each candidate and fold stands for in this order."""
    checks.whole("n_seeds", n_seeds, at_least=1)
    pool.check_limits(n_threads, None, verbose)
    common = Common(folds, judge, True, sklearn.get_config())
    seeds = seeds_of(candidates[0].estimator.random_state, n_seeds)
    nets = nets_of(common, candidates, seeds)
    results = train(nets, Limits(n_threads, verbose=verbose))
    tell(results, len(results), None, judge.error_score)
    train_scores, test_scores = (
        table(nets, (len(candidates), len(folds), n_seeds), part, judge.error_score)[
            "score"
        ].reshape(*shape, n_seeds)
        for part in ("train", "test")
    )
    return Curve(parameter, values, train_scores, test_scores)
