"""`MLPSearchCV`: the settings of a network, compared over folds and seeds."""

from __future__ import annotations

import math
import time
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import _fit_context, clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import indexable
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params, check_is_fitted

from fastnn.estimators._fitting.commit import whole_fit
from fastnn.estimators.search.candidates import (
    candidate_params,
    candidates_of,
    check_estimator,
    folds_of,
    seeds_of,
)
from fastnn.estimators.search.fits import (
    Common,
    Limits,
    Net,
    nets_of,
    train,
    train_by_joblib,
)
from fastnn.estimators.search.halving import check as check_halving
from fastnn.estimators.search.halving import train_halving
from fastnn.estimators.search.results import means, rank_by_rung, std_over_seeds, table, tell
from fastnn.estimators.search.scores import Judge, counts_right
from fastnn.statistics import Difference, paired_difference

Array = NDArray[Any]
Params = dict[str, Any]
Table = dict[str, Array]


class MLPSearchCV(BaseSearchCV):  # type: ignore[misc]
    """A search for the best parameters of `MLPClassifier`, `MLPRegressor` or `LogisticRegression`:
    scikit-learn's `GridSearchCV` and `RandomizedSearchCV`, with a network on every thread, and
    with several seeds for each setting.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or LogisticRegression
        It is never fitted itself.
    param_grid : dict of lists, or list of such dicts
        All combinations are tried. Exactly one of this and `param_distributions`.
    param_distributions : dict of lists and of distributions with `rvs`, or list of such dicts
        `n_iter` combinations are drawn.
    n_iter : int, default 10
    random_state : int, RandomState or None (default)
        Of these draws.
    scoring, refit, error_score, return_train_score
        As for `GridSearchCV`.
    cv : int, splitter or iterable of (train, test); default: 5 folds, stratified for classes
        Training rows must have all classes.
    n_seeds : int, default 1
        Fits of each candidate to each fold. All candidates have the same seeds and the same folds;
        the first seed is the `random_state` of the estimator, where it has one.
    halving : int, optional
        Successive halving: with 3, all candidates are trained for a share of `max_iter`, the best
        third goes on from where it stands for three times as many epochs, and so on. The result of
        those that come to the end is the same as without.
    n_threads : int, optional
        Networks in training at a time; by default as many as the process may use threads.
    max_time : float, optional
        Seconds after which no other network is trained; `refit` comes after it.
    backend : "joblib", optional
        Hands chunks of networks to joblib's active backend: processes, or a Dask or Ray cluster.
        Not with `halving`; Ctrl-C then keeps nothing.
    verbose : bool or int, default 0
        1 shows how many of the networks are done: see `Sequential.fit`.

    Attributes
    ----------
    cv_results_ : dict of arrays
        `GridSearchCV`'s, with means over the seeds, and `std_over_seeds_test_score`, the standard
        deviation (n - 1) over the seeds of the means over the folds; `n_seeds`; with `halving`
        `n_epochs` and `iter`, how far a candidate came.
    scores_ : array (n_candidates, n_splits, n_seeds), or dict of such arrays by scorer
    seeds_ : list of int
    best_estimator_, best_params_, best_score_, best_index_, scorer_, multimetric_, n_splits_, \
refit_time_, classes_, n_features_in_, feature_names_in_
        As of `GridSearchCV`.

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
        """Search, and fit the best candidate to all rows.

        Parameters
        ----------
        X, y, sample_weight
            As for the estimator's `fit`.
        groups : array-like, shape (n,), optional
            For the splitter.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter, a candidate (named by its position) or an array is not as described,
            before any work; or if every fit failed.

        Warns
        -----
        UserWarning
            If Ctrl-C or `max_time` left networks unfinished. Their candidates' scores are nan.
        FitFailedWarning
            If some fits failed; their scores are `error_score`.
        """
        with whole_fit(self) as own:
            check_estimator(
                own.estimator,
                "pipelines and other estimators are searched by "
                "sklearn.model_selection.GridSearchCV",
            )
            settings = candidate_params(
                own.estimator, own.param_grid, own.param_distributions, own.n_iter,
                own.random_state,
            )  # fmt: skip
            scorers, metric = own._get_scorers()
            X, y = indexable(X, y)
            given = {"sample_weight": sample_weight, "groups": groups}
            given = {name: value for name, value in given.items() if value is not None}
            routed = own._get_routed_params_for_fit(_check_method_params(X, params=given))
            candidates = candidates_of(
                own.estimator, settings, X, y, routed.estimator.fit.get("sample_weight")
            )
            if own.halving is not None:
                check_halving(own, settings)
            split_params = routed.splitter.split
            folds = folds_of(candidates[0], own.cv, X, y, split_params)
            own.n_splits_ = len(folds)
            score_params = routed.scorer.score
            judge = Judge(
                scorers, X, y, score_params, own.error_score,
                counts_right(own.estimator, own.scoring, score_params, candidates[0].given.sample),
            )  # fmt: skip
            common = Common(folds, judge, own.return_train_score, sklearn.get_config())
            own.seeds_ = seeds_of(own.estimator.random_state, own.n_seeds)
            nets = nets_of(common, candidates, own.seeds_)
            seconds = math.inf if own.max_time is None else own.max_time
            limits = Limits(own.n_threads, time.time() + seconds, int(own.verbose))
            reached = own._train(nets, limits)
            results = [net.result for net in nets]
            tell(results, len(candidates), limits.seconds, own.error_score)
            own._keep(nets, settings, reached, metric)
            for name in ("best_estimator_", "refit_time_", "feature_names_in_"):
                vars(own).pop(name, None)  # of an earlier search
            own.scorer_ = getattr(scorers, "_scorers", scorers)  # one that is several holds a dict
        if self.refit:  # where that fails, the search's results stay
            self._fit_best(X, y, routed.estimator.fit)
        return self

    def compare(self, i: Any, j: Any, metric: str | None = None) -> Difference:
        """The difference of the scores of two candidates, the first less the second, in pairs of
        the same fold and seed: its mean, standard error and count.

        Folds share training rows, so the standard error is somewhat too small (Y. Bengio and
        Y. Grandvalet, 2004).

        Parameters
        ----------
        i, j : int or dict
            Positions of candidates in `cv_results_["params"]`, or their parameters.
        metric : str, optional
            With several scorers, the name of one; by default that of `refit`.
        """
        check_is_fitted(self, "scores_")
        tables = self.scores_ if isinstance(self.scores_, dict) else {"score": self.scores_}
        if metric is None:
            metric = next(iter(tables)) if len(tables) == 1 else self.refit
        if metric not in tables:
            raise ValueError(f"metric: expected one of {list(tables)}; got {metric!r}")
        scores = tables[metric]
        first, second = scores[self._position("i", i)], scores[self._position("j", j)]
        return paired_difference(first.ravel(), second.ravel())

    def _position(self, name: str, at: Any) -> int:
        params = self.cv_results_["params"]
        if at in params:
            return int(params.index(at))
        whole = isinstance(at, Integral) and not isinstance(at, bool)
        if not whole or not 0 <= int(at) < len(params):
            raise ValueError(
                f"{name}: expected a position below {len(params)}, or the parameters of a candidate"
                f"; got {at!r:.80}"
            )
        return int(at)

    # ---- a search ----

    def _train(self, nets: list[Net], limits: Limits) -> Table:
        """Train the networks; returns how far each candidate came, if that differs."""
        if self.halving is not None:
            per_candidate = self.n_splits_ * self.n_seeds
            groups = [nets[i : i + per_candidate] for i in range(0, len(nets), per_candidate)]
            score = partial(_mean_score, self.refit)
            return train_halving(groups, self.estimator.max_iter, self.halving, limits, score)
        if self.backend is None:
            train(nets, limits)
        else:
            for net, result in zip(nets, train_by_joblib(nets, limits), strict=True):
                net.result = result
        return {}

    # ---- what is kept of it ----

    def _keep(self, nets: list[Net], settings: list[Params], reached: Table, metric: Any) -> None:
        """The attributes that every search has."""
        shape = len(settings), self.n_splits_, self.n_seeds
        self.multimetric_ = any(isinstance(net.result.test, dict) for net in nets)
        if self.multimetric_ and callable(self.scoring):
            first = next(net.result.test for net in nets if net.result.test)
            self._check_refit_for_multimetric(first)
            metric = self.refit
        tests = table(nets, shape, "test", self.error_score)
        trains = {}
        if self.return_train_score:
            trains = table(nets, shape, "train", self.error_score)
        spreads = {f"std_over_seeds_test_{name}": std_over_seeds(tests[name]) for name in tests}
        more = {"n_seeds": np.full(shape[0], self.n_seeds), **spreads, **reached}
        out = means(nets, shape, tests, trains, self.multimetric_)
        results = self._format_results(settings, self.n_splits_, out, more)
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

    def _fit_best(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        best = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        began = time.time()
        best.fit(X, y, **params)
        found = {"best_estimator_": best, "refit_time_": time.time() - began}
        if hasattr(best, "feature_names_in_"):
            found["feature_names_in_"] = best.feature_names_in_
        self.__dict__.update(found)  # in one call, as an interrupt may come between two


def _mean_score(refit: Any, nets: list[Net]) -> float:
    """What halving keeps the best of."""
    found = [net.result.test for net in nets if net.result.finished]
    if found and isinstance(found[0], dict) and refit not in found[0]:
        raise ValueError(f"refit: expected one of {list(found[0])} with halving; got {refit!r:.80}")
    values = [scores[refit] if isinstance(scores, dict) else scores for scores in found]
    return float(np.mean(np.array(values, np.float64))) if len(values) == len(nets) else math.nan
