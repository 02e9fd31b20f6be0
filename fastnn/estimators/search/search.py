"""`MLPSearchCV`: cross-validated search over the parameters of a network."""

from __future__ import annotations

import math
import time
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context, clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastnn.estimators._fitting.commit import atomic_fit
from fastnn.estimators.search.fits import (
    CandidateFit,
    SearchLimits,
    run_fits,
    run_fits_with_joblib,
)
from fastnn.estimators.search.halving import train_halving
from fastnn.estimators.search.preparation import PreparedSearch, prepare_search
from fastnn.estimators.search.results import (
    average_scores,
    average_test_score,
    compute_std_over_seeds,
    emit_warnings,
    rank_by_rung,
    tabulate_scores,
)
from fastnn.statistics import Difference, paired_difference

Table = dict[str, NDArray[Any]]


class MLPSearchCV(BaseSearchCV):  # type: ignore[misc]
    """Cross-validated search for the best parameters of `MLPClassifier`, `MLPRegressor` or
    `LogisticRegression`.

    It reproduces the scores of scikit-learn's `GridSearchCV` and `RandomizedSearchCV`, trains one
    network per thread, and can repeat each fit with several seeds.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or LogisticRegression
        The search fits copies of it.
    param_grid : dict of lists, or list of such dicts
        Parameters to search; all combinations are fitted. Pass either this or
        `param_distributions`.
    param_distributions : dict of lists and of distributions with `rvs`, or list of such dicts
        Parameters to sample from; `n_iter` combinations are drawn.
    n_iter : int, default 10
        Number of combinations to draw from `param_distributions`.
    random_state : int, RandomState or None (default)
        Seed for drawing these combinations.
    scoring, refit, error_score, return_train_score
        As for `GridSearchCV`.
    cv : int, splitter or iterable of (train, test); default: 5 folds, stratified for classes
        Cross-validation folds. The training rows of each fold must contain all classes.
    n_seeds : int, default 1
        Number of fits of each candidate to each fold. All candidates use the same seeds and folds.
        The first seed is the `random_state` of the estimator unless that is None.
    halving : int, optional
        The factor of successive halving. With 3, all candidates are trained for a fraction of
        `max_iter` epochs; the best third continues training for three times as many epochs, and so
        on. The results of the last candidates are the same as without halving.
    n_threads : int, optional
        Number of networks trained at the same time; by default all threads that the process may
        use.
    max_time : float, optional
        Time limit in seconds, after which no further network is trained. It does not include
        `refit`.
    backend : "joblib", optional
        Runs chunks of the fits on joblib's active backend: processes, or a Dask or Ray cluster.
        Not available with `halving`. Ctrl-C then discards all results.
    verbose : bool or int, default 0
        1 shows the number of finished networks; see `Sequential.fit`.

    Attributes
    ----------
    cv_results_ : dict of arrays
        As in `GridSearchCV`, with scores averaged over seeds. In addition:
        `std_over_seeds_test_score`, the standard deviation (with n - 1) over the seeds of the means
        over the folds; `n_seeds`; and with `halving` the last rung of each candidate, `iter`, and
        its number of epochs, `n_epochs`.
    scores_ : array (n_candidates, n_splits, n_seeds), or dict of such arrays by scorer
        The test score of each fit.
    seeds_ : list of int
        The seeds of the fits to each fold.
    best_estimator_, best_params_, best_score_, best_index_, scorer_, multimetric_, n_splits_, \
refit_time_, classes_, n_features_in_, feature_names_in_
        As in `GridSearchCV`.

    References
    ----------
    K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
    optimization", 2016.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> model = fn.MLPClassifier(solver="lbfgs", scale="standard", max_iter=999, random_state=0)
    >>> search = fn.MLPSearchCV(model, {"width": [4, 16], "alpha": [1.0, 10.0]}, n_seeds=2)
    >>> bool(search.fit(X, y).best_score_ > 0.97)
    True
    >>> search.scores_.shape
    (4, 5, 2)
    >>> search.compare(search.best_index_, 0).count
    10
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "param_grid": "no_validation",
        "param_distributions": "no_validation",
        **{name: BaseSearchCV._parameter_constraints[name]
           for name in ("scoring", "refit", "cv", "verbose", "error_score", "return_train_score")},
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "halving": [Interval(Integral, 2, None, closed="left"), None],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "backend": [StrOptions({"joblib"}), None],
    }  # fmt: skip

    def __init__(
        self,
        estimator: Any,
        param_grid: Any = None,
        *,
        param_distributions: Any = None,
        n_iter: int = 10,
        random_state: Any = None,
        scoring: Any = None,
        cv: Any = None,
        n_seeds: int = 1,
        refit: Any = True,
        halving: int | None = None,
        n_threads: int | None = None,
        max_time: float | None = None,
        backend: str | None = None,
        error_score: Any = math.nan,
        return_train_score: bool = False,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.scoring = scoring
        self.cv = cv
        self.n_seeds = n_seeds
        self.refit = refit
        self.halving = halving
        self.n_threads = n_threads
        self.max_time = max_time
        self.backend = backend
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.verbose = verbose

    # ---- calls ----

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        """Fit and score all candidates; with `refit`, fit the best one to all rows.

        Parameters
        ----------
        X, y, sample_weight
            As for the estimator's `fit`.
        groups : array-like, shape (n,), optional
            Group labels for the splitter.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter, a candidate (the message contains its position) or an array is not as
            described, before any training; or if every fit failed.

        Warns
        -----
        UserWarning
            If Ctrl-C or `max_time` left networks unfinished. Scores of their candidates are NaN.
        FitFailedWarning
            If some fits failed; their scores are `error_score`.
        """
        with atomic_fit(self) as search:
            X, y = indexable(X, y)
            prepared = prepare_search(search, X, y, sample_weight, groups)
            search.n_splits_, search.seeds_ = prepared.n_splits, prepared.seeds
            seconds = math.inf if search.max_time is None else search.max_time
            limits = SearchLimits(search.n_threads, time.time() + seconds, int(search.verbose))
            reached = search._run_fits(prepared.fits, limits)
            results = [fit.result for fit in prepared.fits]
            n_candidates = len(prepared.candidates)
            emit_warnings(results, n_candidates, limits.seconds, search.error_score)
            search._store_results(prepared, reached)
            for name in ("best_estimator_", "refit_time_", "feature_names_in_"):
                vars(search).pop(name, None)  # left from an earlier search
            # scikit-learn's scorer of several metrics holds a dict of scorers.
            search.scorer_ = getattr(prepared.scorers, "_scorers", prepared.scorers)
        if self.refit:  # if it fails, the results of the search are kept
            self._refit_best(X, y, prepared.fit_params)
        return self

    def compare(self, i: Any, j: Any, metric: str | None = None) -> Difference:
        """Compare two candidates by paired differences of their scores.

        Each pair of scores has the same fold and seed. Returns the mean, standard error and count
        of the differences, candidate `i` minus candidate `j`. The standard error is somewhat too
        small, because the folds share training rows (Y. Bengio and Y. Grandvalet, 2004).

        Parameters
        ----------
        i, j : int or dict
            The candidates: positions in `cv_results_["params"]`, or parameters.
        metric : str, optional
            The name of a scorer, if there are several; by default the one of `refit`.

        Returns
        -------
        Difference
        """
        check_is_fitted(self, "scores_")
        tables = self.scores_ if isinstance(self.scores_, dict) else {"score": self.scores_}
        if metric is None:
            metric = next(iter(tables)) if len(tables) == 1 else self.refit
        if metric not in tables:
            raise ValueError(f"metric: expected one of {list(tables)}; got {metric!r}")
        scores = tables[metric]
        first, second = scores[self._get_index("i", i)], scores[self._get_index("j", j)]
        return paired_difference(first.ravel(), second.ravel())

    def _get_index(self, name: str, candidate: Any) -> int:
        params = self.cv_results_["params"]
        if candidate in params:
            return int(params.index(candidate))
        is_integer = isinstance(candidate, Integral) and not isinstance(candidate, bool)
        if not is_integer or not 0 <= int(candidate) < len(params):
            raise ValueError(
                f"{name}: expected a position below {len(params)}, or the parameters of a candidate"
                f"; got {candidate!r:.80}"
            )
        return int(candidate)

    # ---- fits and results ----

    def _run_fits(self, fits: list[CandidateFit], limits: SearchLimits) -> Table:
        """Run all fits; with halving, returns the last rung and epoch of each candidate."""
        if self.halving is not None:
            per_candidate = self.n_splits_ * self.n_seeds
            groups = [fits[i : i + per_candidate] for i in range(0, len(fits), per_candidate)]
            score = partial(average_test_score, self.refit)
            return train_halving(groups, self.estimator.max_iter, self.halving, limits, score)
        if self.backend is None:
            run_fits(fits, limits)
        else:
            for fit, result in zip(fits, run_fits_with_joblib(fits, limits), strict=True):
                fit.result = result
        return {}

    def _store_results(self, prepared: PreparedSearch, reached: Table) -> None:
        """Set the attributes of every search, with or without `refit`."""
        fits, settings, metric = prepared.fits, prepared.settings, prepared.refit_metric
        shape = len(settings), self.n_splits_, self.n_seeds
        self.multimetric_ = any(isinstance(fit.result.test, dict) for fit in fits)
        if self.multimetric_ and callable(self.scoring):
            first = next(fit.result.test for fit in fits if fit.result.test)
            self._check_refit_for_multimetric(first)
            metric = self.refit
        tests = tabulate_scores(fits, shape, "test", self.error_score)
        trains = {}
        if self.return_train_score:
            trains = tabulate_scores(fits, shape, "train", self.error_score)
        stds = {
            f"std_over_seeds_test_{name}": compute_std_over_seeds(tests[name]) for name in tests
        }
        columns = {"n_seeds": np.full(shape[0], self.n_seeds), **stds, **reached}
        rows = average_scores(fits, shape, tests, trains, self.multimetric_)
        results = self._format_results(settings, self.n_splits_, rows, columns)
        for name in tests if reached else ():
            mean = results[f"mean_test_{name}"]
            results[f"rank_test_{name}"] = rank_by_rung(mean, reached["iter"])
        self.cv_results_ = results
        self.scores_ = tests if self.multimetric_ else tests["score"]
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = settings[self.best_index_]

    def _refit_best(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        """Fit the best candidate to all rows."""
        best = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        start_time = time.time()
        best.fit(X, y, **params)
        attributes = {"best_estimator_": best, "refit_time_": time.time() - start_time}
        if hasattr(best, "feature_names_in_"):
            attributes["feature_names_in_"] = best.feature_names_in_
        self.__dict__.update(attributes)  # one call, which an interrupt cannot divide
