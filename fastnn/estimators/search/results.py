"""The results of a search: warnings about its fits, and tables of their scores."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures

from fastnn.estimators._fitting.outcome import DeferredWarning
from fastnn.estimators.search.fits import CandidateFit, FitResult
from fastnn.estimators.search.scores import Scores

Floats = NDArray[np.float64]
Tables = dict[str, Floats]
Shape = tuple[int, int, int]


def emit_warnings(
    results: Sequence[FitResult], n_candidates: int, seconds_left: float | None, error_score: Any
) -> None:
    """Emit one warning of each kind: fits that failed, were not finished or did not converge.

    Raises
    ------
    ValueError
        If every fit failed; with error_score="raise", the exception of the first failed fit is
        raised instead.
    KeyboardInterrupt
        If Ctrl-C left no candidate with all of its fits finished.
    """
    if error_score == "raise":
        for result in results:
            if result.exception is not None:
                raise result.exception
    failures = [{"fit_error": result.error} for result in results]
    _warn_or_raise_about_fit_failures(failures, error_score)
    out_of_time = seconds_left is not None and seconds_left <= 0
    unfinished = sum(not result.finished and result.error is None for result in results)
    ended = np.array([result.finished or result.error is not None for result in results])
    if not ended.reshape(n_candidates, -1).all(axis=1).any():
        if not out_of_time:
            raise KeyboardInterrupt
        raise ValueError("max_time: expected time for at least one candidate; none was finished")
    if unfinished:
        warnings.warn(
            f"{unfinished} of {len(results)} networks were not finished: "
            f"{'max_time was reached' if out_of_time else 'interrupted by the user'}; their "
            "candidates have the score nan",
            stacklevel=4,
        )
    for warning, n in _count_warnings(results):
        text = f"{warning.text} ({n} of {len(results)} fits)"
        warnings.warn(text, warning.category, stacklevel=4)


def _count_warnings(results: Sequence[FitResult]) -> list[tuple[DeferredWarning, int]]:
    """The first warning of each category, and the number of fits with one."""
    first: dict[type[Warning], DeferredWarning] = {}
    counts: Counter[type[Warning]] = Counter()
    for result in results:
        by_category = {warning.category: warning for warning in result.deferred_warnings}
        first = by_category | first
        counts.update(by_category.keys())
    return [(warning, counts[category]) for category, warning in first.items()]


def tabulate_scores(
    fits: Sequence[CandidateFit], shape: Shape, part: str, error_score: Any
) -> Tables:
    """Arrays of scores (n_candidates, n_splits, n_seeds) by name: NaN for fits that were not
    finished, `error_score` for fits that failed. A single score has the name "score"."""
    all_scores = [_to_dict(getattr(fit.result, part)) for fit in fits]
    names = next((scores for scores in all_scores if scores), {"score": 0.0})
    tables = {}
    for name in names:
        values = np.full(shape, np.nan)
        for fit, scores in zip(fits, all_scores, strict=True):
            position = fit.index.candidate, fit.index.fold, fit.index.seed
            if fit.result.error is not None:
                values[position] = error_score
            elif fit.result.finished:
                values[position] = scores[name]
        tables[name] = values
    return tables


def compute_std_over_seeds(values: Floats) -> Floats:
    """The standard deviation over seeds of each candidate's mean over folds; NaN for one seed."""
    means = values.mean(axis=1)
    n_seeds = means.shape[1]
    return means.std(axis=1, ddof=1) if n_seeds > 1 else np.full(len(means), np.nan)


def average_scores(
    fits: Sequence[CandidateFit], shape: Shape, tests: Tables, trains: Tables, multimetric: bool
) -> list[dict[str, Any]]:
    """Scores and times averaged over seeds: one dict per candidate and fold, as scikit-learn's
    `_format_results` expects."""
    seconds = np.array([(fit.result.fit_seconds, fit.result.score_seconds) for fit in fits])
    times = seconds.reshape(*shape, 2).mean(axis=2)

    def scores(tables: Tables, i: int, k: int) -> Any:
        averages = {name: float(values[i, k].mean()) for name, values in tables.items()}
        return averages if multimetric else averages["score"]

    rows = []
    for i, k in np.ndindex(shape[:2]):
        row = {"fit_time": times[i, k, 0], "score_time": times[i, k, 1],
               "test_scores": scores(tests, i, k)}  # fmt: skip
        rows.append(row | ({"train_scores": scores(trains, i, k)} if trains else {}))
    return rows


def _to_dict(scores: Scores | None) -> dict[str, float]:
    if scores is None:
        return {}
    return scores if isinstance(scores, dict) else {"score": scores}


def average_test_score(refit: Any, fits: Sequence[CandidateFit]) -> float:
    """The mean test score of a candidate, by which halving selects; NaN if a fit is missing."""
    finished = [fit.result.test for fit in fits if fit.result.finished]
    if finished and isinstance(finished[0], dict) and refit not in finished[0]:
        names = list(finished[0])
        raise ValueError(f"refit: expected one of {names} with halving; got {refit!r:.80}")
    values = [scores[refit] if isinstance(scores, dict) else scores for scores in finished]
    return float(np.mean(np.array(values, np.float64))) if len(values) == len(fits) else math.nan


def rank_by_rung(mean: Floats, reached: NDArray[np.intp]) -> NDArray[np.int32]:
    """Ranks from 1; candidates that reached a later rung rank before all others."""
    rungs = np.where(np.isnan(mean), -1, reached)
    ranks = np.zeros(len(mean), np.int32)
    for rung in np.unique(rungs):
        here = rungs == rung
        within = rankdata(-np.nan_to_num(mean[here]), method="min")
        ranks[here] = within + np.count_nonzero(rungs > rung)
    return ranks
