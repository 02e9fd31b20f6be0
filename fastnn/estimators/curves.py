"""Learning curves and validation curves: scores against the number of training rows or against a
parameter, over folds and seeds, with one fit per thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.model_selection._validation import _translate_train_sizes
from sklearn.utils import check_random_state, indexable

from fastnn._parallel import pool
from fastnn._util import checks
from fastnn.estimators._fitting.samples import Index
from fastnn.estimators.score_curve import Curve
from fastnn.estimators.search.candidates import (
    Candidate,
    Fold,
    check_classes,
    check_estimator,
    make_candidates,
    make_folds,
    make_seeds,
)
from fastnn.estimators.search.fits import SearchLimits, SharedInputs, make_fits, run_fits
from fastnn.estimators.search.results import emit_warnings, tabulate_scores
from fastnn.estimators.search.scores import SearchScorer, is_plain_accuracy

Floats = NDArray[np.float64]


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
    """Scores against the number of training rows: scikit-learn's `learning_curve`, with several
    seeds for each fold and one fit per thread.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or LogisticRegression
        The function fits copies of it.
    X, y, sample_weight
        As for the estimator's `fit`.
    train_sizes : array-like, default (0.1, 0.325, 0.55, 0.775, 1.0)
        Fractions of the first fold's training rows, or numbers of rows.
    cv : int, splitter or iterable of (train, test); default: 5 folds, stratified for classes
        Cross-validation folds.
    n_seeds : int, default 3
        Number of fits to each training set. The first seed is the `random_state` of the estimator
        unless that is None. With one seed, the scores are those of scikit-learn.
    scoring : scorer or its name; default: accuracy or R2
    groups : array-like, shape (n,), optional
        Group labels for the splitter.
    shuffle : bool, default False
        Shuffles the training rows of each fold before the first rows are taken.
    random_state : int, RandomState or None (default)
        Seed for `shuffle`.
    n_threads : int, optional
        Number of fits at the same time; by default all threads that the process may use.
    verbose : bool or int, default 0
        1 shows the number of finished fits; see `Sequential.fit`.
    error_score : "raise" or number, default NaN
        The score if fitting or scoring fails.

    Returns
    -------
    Curve
        Its `values` are the numbers of training rows.

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
    (candidate,), folds, scorer = _check_inputs(
        estimator, [{}], X, y, sample_weight, cv, scoring, groups, error_score
    )
    sizes = _translate_train_sizes(train_sizes, len(folds[0].train)).tolist()
    if shuffle:
        rng = check_random_state(random_state)
        folds = [Fold(rng.permutation(fold.train), fold.test) for fold in folds]
    shape = len(sizes), len(folds)
    folds = [_truncate_fold(fold, size, candidate) for size in sizes for fold in folds]
    scores = _compute_scores([candidate], folds, scorer, n_seeds, n_threads, verbose)
    return _make_curve("rows", sizes, shape, scores)


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
    seeds for each fold and one fit per thread.

    Parameters
    ----------
    param_name : str
        The name of a parameter of the estimator.
    param_range : list
        The values of this parameter.
    estimator, X, y, cv, n_seeds, scoring, groups, sample_weight, n_threads, verbose, error_score
        As for `learning_curve`.

    Returns
    -------
    Curve
        Its `values` are those of `param_range`.

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
    check_estimator(estimator, _suggest_sklearn("validation_curve"))
    checks.choice("param_name", param_name, estimator.get_params())
    if param_name == "random_state":
        raise ValueError(
            "param_name: expected a parameter other than random_state, which n_seeds varies; got it"
        )
    if isinstance(param_range, str) or not hasattr(param_range, "__len__"):
        raise TypeError(f"param_range: expected a list of values; got {param_range!r:.80}")
    values = list(param_range)
    if not values:
        raise ValueError("param_range: expected at least one value; got none")
    candidates, folds, scorer = _check_inputs(
        estimator, [{param_name: value} for value in values], X, y, sample_weight, cv, scoring,
        groups, error_score,
    )  # fmt: skip
    shape = len(values), len(folds)
    scores = _compute_scores(candidates, folds, scorer, n_seeds, n_threads, verbose)
    return _make_curve(param_name, values, shape, scores)


# ---- shared by both functions --------------------------------------------------------------------


def _suggest_sklearn(name: str) -> str:
    return f"pipelines and other estimators have sklearn.model_selection.{name}"


def _check_inputs(
    estimator: Any, settings: list[dict[str, Any]], X: Any, y: Any, sample_weight: Any, cv: Any,
    scoring: Any, groups: Any, error_score: Any,
) -> tuple[list[Candidate], list[Fold], SearchScorer]:  # fmt: skip
    """Check the estimator and the data; returns candidates, folds and scorer."""
    check_estimator(estimator, _suggest_sklearn("learning_curve"))
    X, y, groups = indexable(X, y, groups)
    candidates = make_candidates(estimator, settings, X, y, sample_weight)
    sample = candidates[0].data.sample
    folds = make_folds(candidates[0], cv, X, y, {"groups": groups})
    return (
        candidates,
        folds,
        SearchScorer(
            scorer=check_scoring(estimator, scoring),
            X=X,
            y=y,
            params={},
            error_score=error_score,
            is_plain_accuracy=is_plain_accuracy(estimator, scoring, {}, sample),
        ),
    )


def _truncate_fold(fold: Fold, size: int, candidate: Candidate) -> Fold:
    """The fold with its first `size` training rows, which must contain every class."""
    rows: Index = fold.train[:size]
    where = f"train_sizes: the first {size} rows"
    check_classes(where, rows, candidate, "take more rows, or shuffle=True")
    return Fold(rows, fold.test)


def _compute_scores(
    candidates: list[Candidate], folds: list[Fold], scorer: SearchScorer, n_seeds: int,
    n_threads: int | None, verbose: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Fit every candidate to every fold with every seed; returns the training and the test scores,
    (n_candidates, n_folds, n_seeds) each."""
    checks.whole("n_seeds", n_seeds, at_least=1)
    pool.check_limits(n_threads, None, verbose)
    shared = SharedInputs(folds, scorer, True, sklearn.get_config())
    seeds = make_seeds(candidates[0].estimator.random_state, n_seeds)
    fits = make_fits(shared, candidates, seeds)
    results = run_fits(fits, SearchLimits(n_threads, verbose=verbose))
    emit_warnings(results, len(results), None, scorer.error_score)
    shape = len(candidates), len(folds), n_seeds
    train = tabulate_scores(fits, shape, "train", scorer.error_score)
    test = tabulate_scores(fits, shape, "test", scorer.error_score)
    return train["score"], test["score"]


def _make_curve(
    parameter: str, values: Sequence[Any], shape: tuple[int, int], scores: tuple[Floats, Floats]
) -> Curve:
    """A curve of shape (n_points, n_splits); candidates and folds are in this order."""
    train_scores, test_scores = (part.reshape(*shape, -1) for part in scores)
    return Curve(parameter, values, train_scores, test_scores)
