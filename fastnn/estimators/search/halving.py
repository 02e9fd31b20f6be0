"""Successive halving that continues the training of the best candidates.

After each rung, the best candidates resume their training and the others stop. K. Jamieson and
A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016; it is
the inner loop of Hyperband (L. Li et al., 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.estimators._fitting.parameters import FULL_BATCH_SOLVERS
from fastnn.estimators.search.fits import CandidateFit, SearchLimits, run_fits


def check_halving(search: Any, settings: list[dict[str, Any]]) -> None:
    """Raise an error for parameters that training in parts does not support."""
    if search.backend is not None:
        raise ValueError(f"backend: expected None with halving; got {search.backend!r}")
    if isinstance(search.scoring, list | tuple | dict) and not isinstance(search.refit, str):
        raise ValueError(
            f"refit: expected the name of the score for halving; got {search.refit!r:.80}"
        )
    for i, params in enumerate(settings):
        values = search.estimator.get_params() | params
        where = f"candidate {i}, {params}: with halving expected"
        if "max_iter" in params:
            raise ValueError(f"{where} no max_iter, as halving sets the number of epochs; got one")
        if values["solver"] in FULL_BATCH_SOLVERS:
            raise ValueError(
                f"{where} solver='adam' or 'sgd'; got {values['solver']!r}, which cannot resume"
            )
        for name, default in (("n_init", 1), ("max_time", None)):
            if values.get(name, default) != default:
                raise ValueError(f"{where} {name}={default}; got {values[name]!r}")


def list_rungs(n_candidates: int, max_iter: int, factor: int) -> list[int]:
    """The total number of epochs at the end of each rung, up to `max_iter`. Rungs are added until
    fewer than `factor` candidates remain, or the first rung has fewer than `factor` epochs.

    >>> list_rungs(12, 27, 3), list_rungs(2, 27, 3), list_rungs(100, 2, 2)
    ([3, 9, 27], [27], [1, 2])
    """
    n, epochs = n_candidates, [max_iter]
    while n >= factor and epochs[0] >= factor:
        n, epochs = n // factor, [math.ceil(epochs[0] / factor), *epochs]
    return epochs


def train_halving(
    candidates: list[list[CandidateFit]], max_iter: int, factor: int, limits: SearchLimits,
    score: Callable[[list[CandidateFit]], float],
) -> dict[str, NDArray[np.intp]]:  # fmt: skip
    """Train the networks of each candidate; returns the last rung of each candidate, `iter`, and
    the number of epochs at its end. Stops early if the time limit is reached."""
    reached = np.zeros(len(candidates), np.intp)
    remaining = list(range(len(candidates)))
    epochs = list_rungs(len(candidates), max_iter, factor)
    for rung, n_epochs in enumerate(epochs):
        reached[remaining] = rung
        # Fits that failed are not repeated.
        fits = [fit for i in remaining for fit in candidates[i] if fit.result.error is None]
        if not all(result.finished or result.error for result in run_fits(fits, limits, n_epochs)):
            break
        survivors = _select_best(remaining, [score(candidates[i]) for i in remaining], factor)
        for i in set(remaining) - set(survivors):
            for fit in candidates[i]:
                fit.free()
        remaining = survivors
    return {"iter": reached, "n_epochs": np.array(epochs, np.intp)[reached]}


def _select_best(remaining: list[int], scores: list[float], factor: int) -> list[int]:
    """The best 1 / `factor` of the remaining candidates, rounded up; ties keep the first."""
    values = np.nan_to_num(np.array(scores), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    kept = np.argsort(-values, kind="stable")[: math.ceil(len(remaining) / factor)]
    return [remaining[i] for i in np.sort(kept)]
