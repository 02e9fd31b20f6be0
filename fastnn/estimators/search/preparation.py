"""Preparation of a search: checked candidates, folds and fits, before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sklearn
from sklearn.utils.validation import _check_method_params

from fastnn.estimators.search.candidates import (
    Candidate,
    Params,
    check_estimator,
    make_candidates,
    make_folds,
    make_seeds,
    make_settings,
)
from fastnn.estimators.search.fits import CandidateFit, SharedInputs, make_fits
from fastnn.estimators.search.halving import check_halving
from fastnn.estimators.search.scores import SearchScorer, is_plain_accuracy


@dataclass(frozen=True, kw_only=True)
class PreparedSearch:
    """The fits of a search, and what its results and the final fit need."""

    settings: list[Params]
    candidates: list[Candidate]
    fits: list[CandidateFit]
    n_splits: int
    seeds: list[int]
    scorers: Any
    refit_metric: Any
    """The name of the score that selects the best candidate."""
    fit_params: dict[str, Any]
    """Arguments of the best estimator's `fit` in addition to X and y."""


def prepare_search(search: Any, X: Any, y: Any, sample_weight: Any, groups: Any) -> PreparedSearch:
    """Check all parameters and data of an `MLPSearchCV`, and make its fits."""
    check_estimator(
        search.estimator,
        "pipelines and other estimators are searched by sklearn.model_selection.GridSearchCV",
    )
    settings = make_settings(
        search.estimator, search.param_grid, search.param_distributions, search.n_iter,
        search.random_state,
    )  # fmt: skip
    scorers, refit_metric = search._get_scorers()
    arguments = {"sample_weight": sample_weight, "groups": groups}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    routed = search._get_routed_params_for_fit(_check_method_params(X, params=arguments))
    fit_params, score_params = routed.estimator.fit, routed.scorer.score
    candidates = make_candidates(search.estimator, settings, X, y, fit_params.get("sample_weight"))
    if search.halving is not None:
        check_halving(search, settings)
    folds = make_folds(candidates[0], search.cv, X, y, routed.splitter.split)
    scorer = SearchScorer(
        scorer=scorers,
        X=X,
        y=y,
        params=score_params,
        error_score=search.error_score,
        is_plain_accuracy=is_plain_accuracy(
            search.estimator, search.scoring, score_params, candidates[0].data.sample
        ),
    )
    shared = SharedInputs(folds, scorer, search.return_train_score, sklearn.get_config())
    seeds = make_seeds(search.estimator.random_state, search.n_seeds)
    return PreparedSearch(
        settings=settings,
        candidates=candidates,
        fits=make_fits(shared, candidates, seeds),
        n_splits=len(folds),
        seeds=seeds,
        scorers=scorers,
        refit_metric=refit_metric,
        fit_params=fit_params,
    )
