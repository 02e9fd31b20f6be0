"""Successive halving that goes on with the survivors.

After each rung the best share of the candidates is trained further, from where it stands; all
others rest. K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and
hyperparameter optimization", 2016; it is the inner loop of Hyperband (L. Li et al., 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.estimators.search.fits import Limits, Net, train


def check(search: Any, settings: list[dict[str, Any]]) -> None:
    """An error where training in parts would not be what was asked for."""
    if search.backend is not None:
        raise ValueError(f"backend: expected None with halving; got {search.backend!r}")
    if isinstance(search.scoring, list | tuple | dict) and not isinstance(search.refit, str):
        raise ValueError(
            f"refit: expected the name of the score that halving looks at; got {search.refit!r:.80}"
        )
    for i, params in enumerate(settings):
        values = search.estimator.get_params() | params
        where = f"candidate {i}, {params}: with halving expected"
        if "max_iter" in params:
            raise ValueError(f"{where} no max_iter, as it divides the epochs itself; got one")
        if values["solver"] == "lbfgs":
            raise ValueError(f"{where} solver='adam' or 'sgd'; got 'lbfgs', which cannot go on")
        for name, usual in (("n_init", 1), ("max_time", None)):
            if values.get(name, usual) != usual:
                raise ValueError(f"{where} {name}={usual}; got {values[name]!r}")


def rungs(n_candidates: int, max_iter: int, factor: int) -> list[int]:
    """Epochs at the end of each rung, up to `max_iter`: as many rungs as it takes to come to the
    last few candidates, or to a single epoch.

    >>> rungs(12, 27, 3), rungs(2, 27, 3), rungs(100, 2, 2)
    ([3, 9, 27], [27], [1, 2])
    """
    n, epochs = n_candidates, [max_iter]
    while n >= factor and epochs[0] >= factor:
        n, epochs = n // factor, [math.ceil(epochs[0] / factor), *epochs]
    return epochs


def train_halving(
    candidates: list[list[Net]], max_iter: int, factor: int, limits: Limits,
    score: Callable[[list[Net]], float],
) -> dict[str, NDArray[np.intp]]:  # fmt: skip
    """Train the networks of each candidate; returns the last rung that each came to, `iter`, and
    the epochs at its end. It ends early where time is up."""
    reached = np.zeros(len(candidates), np.intp)
    living = list(range(len(candidates)))
    epochs = rungs(len(candidates), max_iter, factor)
    for rung, n_epochs in enumerate(epochs):
        reached[living] = rung
        # A network that failed stays failed.
        nets = [net for i in living for net in candidates[i] if net.result.error is None]
        if not all(result.finished or result.error for result in train(nets, limits, n_epochs)):
            break
        survivors = _best(living, [score(candidates[i]) for i in living], factor)
        for i in set(living) - set(survivors):
            for net in candidates[i]:
                net.forget()
        living = survivors
    return {"iter": reached, "n_epochs": np.array(epochs, np.intp)[reached]}


def _best(living: list[int], scores: list[float], factor: int) -> list[int]:
    """One of `factor`, rounded up; of equal ones the first."""
    values = np.nan_to_num(np.array(scores), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    kept = np.argsort(-values, kind="stable")[: math.ceil(len(living) / factor)]
    return [living[i] for i in np.sort(kept)]
