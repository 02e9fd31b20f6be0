"""From the results of single networks to the tables that a search shows."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures

from fastnn.estimators._fitting.estimator_fit import Note
from fastnn.estimators.search.fits import Net, Result
from fastnn.estimators.search.scores import Scores

Floats = NDArray[np.float64]
Tables = dict[str, Floats]
Shape = tuple[int, int, int]


def tell(
    results: Sequence[Result], n_candidates: int, seconds_left: float | None, error_score: Any
) -> None:
    """Warn, once for all networks, of what failed, was cut short or has not converged.

    Raises
    ------
    ValueError
        If every network failed; with error_score="raise", what the first one raised.
    KeyboardInterrupt
        If Ctrl-C left no candidate, of so many with as many networks each, to choose.
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
            f"{'max_time was over' if out_of_time else 'interrupted by the user'}; their "
            "candidates have the score nan",
            stacklevel=4,
        )
    for note, n in _counted(results):
        warnings.warn(f"{note.text} ({n} of {len(results)} fits)", note.category, stacklevel=4)


def _counted(results: Sequence[Result]) -> list[tuple[Note, int]]:
    """The first note of each category, and how many networks have one."""
    first: dict[type[Warning], Note] = {}
    counts: Counter[type[Warning]] = Counter()
    for result in results:
        notes = {note.category: note for note in result.notes}
        first = notes | first
        counts.update(notes.keys())
    return [(note, counts[category]) for category, note in first.items()]


def table(nets: Sequence[Net], shape: Shape, part: str, error_score: Any) -> Tables:
    """Scores by name, shape (n_candidates, n_splits, n_seeds): nan of networks that were not
    finished, `error_score` of those that failed. A single score is called "score"."""
    found = [_named(getattr(net.result, part)) for net in nets]
    names = next((scores for scores in found if scores), {"score": 0.0})
    tables = {}
    for name in names:
        values = np.full(shape, np.nan)
        for net, scores in zip(nets, found, strict=True):
            place = net.place.candidate, net.place.fold, net.place.seed
            if net.result.error is not None:
                values[place] = error_score
            elif net.result.finished:
                values[place] = scores[name]
        tables[name] = values
    return tables


def std_over_seeds(values: Floats) -> Floats:
    """The spread of each candidate's mean over folds, NaN for a single seed."""
    means = values.mean(axis=1)
    n_seeds = means.shape[1]
    return means.std(axis=1, ddof=1) if n_seeds > 1 else np.full(len(means), np.nan)


def means(
    nets: Sequence[Net], shape: Shape, tests: Tables, trains: Tables, several: bool
) -> list[dict[str, Any]]:
    """For each candidate and fold what scikit-learn's table is made of: means over the seeds."""
    seconds = np.array([(net.result.fit_seconds, net.result.score_seconds) for net in nets])
    times = seconds.reshape(*shape, 2).mean(axis=2)

    def scores(tables: Tables, i: int, k: int) -> Any:
        found = {name: float(values[i, k].mean()) for name, values in tables.items()}
        return found if several else found["score"]

    rows = []
    for i, k in np.ndindex(shape[:2]):
        row = {"fit_time": times[i, k, 0], "score_time": times[i, k, 1],
               "test_scores": scores(tests, i, k)}  # fmt: skip
        rows.append(row | ({"train_scores": scores(trains, i, k)} if trains else {}))
    return rows


def _named(scores: Scores | None) -> dict[str, float]:
    if scores is None:
        return {}
    return scores if isinstance(scores, dict) else {"score": scores}


def rank_by_rung(mean: Floats, reached: NDArray[np.intp]) -> NDArray[np.int32]:
    """Ranks from 1 on: who came to a later rung stands before all others."""
    behind = np.where(np.isnan(mean), -1, reached)
    ranks = np.zeros(len(mean), np.int32)
    for rung in np.unique(behind):
        here = behind == rung
        within = rankdata(-np.nan_to_num(mean[here]), method="min")
        ranks[here] = within + np.count_nonzero(behind > rung)
    return ranks
