"""Training of the networks of an ensemble, each on all rows but one fold of them. The weights of
the epoch with the best score on the held-out rows are kept."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from fastnn._parallel.pool import INTERRUPTED
from fastnn.callbacks import Epoch
from fastnn.estimators.tables import recipe as recipes
from fastnn.estimators.tables.folds import Rows, split_fold
from fastnn.estimators.tables.recipe import Recipe
from fastnn.experiments.fit_many import fit_many
from fastnn.experiments.runs import Run
from fastnn.losses import Loss
from fastnn.model import Sequential

# scikit-learn's text.
INTERRUPTED_TEXT = "Training interrupted by user."

Array = NDArray[Any]
Score = Callable[[Sequential, Rows], float]


@dataclass(frozen=True)
class TrainingData:
    """What all members of an ensemble have in common."""

    X: Array
    """Features (n, n_features), float32."""
    y: Array
    """Targets as the loss takes them."""
    weights: Array | None
    folds: Rows
    loss: Loss
    n_outputs: int
    is_classifier: bool
    score: Score | None
    """The score of a network on rows, higher is better; None for the accuracy or minus the
    validation loss."""


@dataclass(frozen=True)
class Member:
    """A trained network and the record of its training."""

    network: Sequential
    held_out: Rows
    scores: list[float]
    """The score on the held-out rows after each epoch."""
    best_epoch: int
    """The number of the epoch whose weights were kept, from 1."""
    seconds: float


class BestEpoch:
    """A callback that keeps the weights of the best epoch; of several, the last."""

    def __init__(self, data: TrainingData, held_out: Rows) -> None:
        self.data = data
        self.held_out = held_out
        self.scores: list[float] = []
        self.best = 0
        self.weights: Array | None = None

    def __call__(self, epoch: Epoch) -> None:
        score = self._compute_score(epoch)
        self.scores.append(score)
        if self.weights is None or score >= self.scores[self.best]:
            self.best, self.weights = len(self.scores) - 1, epoch.network.parameters.copy()

    def _compute_score(self, epoch: Epoch) -> float:
        if self.data.score is not None:
            network: Any = epoch.network
            score = self.data.score(network, self.held_out)
        elif self.data.is_classifier:
            score = epoch.logs["val_accuracy"]
        else:
            score = -epoch.logs["val_loss"]
        return score if math.isfinite(score) else -math.inf


def train(
    data: TrainingData, recipe: Recipe, seeds: list[int], n_threads: int | None,
    deadline: float, verbose: int,
) -> tuple[list[Member], list[str]]:  # fmt: skip
    """Train the members of an ensemble side by side.

    Returns those that have weights, and warnings about the others.

    Raises
    ------
    ValueError
        If the training of every member diverged.
    KeyboardInterrupt
        If Ctrl-C came before the first epoch of a member ended.
    """
    n_members = recipe.n_members
    networks = [
        recipes.make_network(recipe, data.X.shape[1], data.n_outputs, data.is_classifier, seed)
        for seed in seeds[:n_members]
    ]
    splits = [split_fold(data.folds, member) for member in range(n_members)]
    callbacks = [BestEpoch(data, held_out) for _, held_out in splits]
    seconds = deadline - time.monotonic()
    with warnings.catch_warnings():  # they are reported below
        warnings.simplefilter("ignore", RuntimeWarning)
        runs = fit_many(
            networks, data.X, data.y, loss=data.loss, sample_weight=data.weights,
            optimizer=recipes.make_optimizer(data.is_classifier), epochs=recipe.epochs,
            batch_size=recipes.choose_batch_size(len(splits[0][0])),
            subsets=[rows for rows, _ in splits], validation_data="held out",
            callbacks=[[callback] for callback in callbacks], n_threads=n_threads,
            max_time=max(seconds, 1e-3) if math.isfinite(seconds) else None, verbose=verbose,
            check_finite=False,
        )  # fmt: skip
    members = [
        _make_member(run, callback)
        for run, callback in zip(runs, callbacks, strict=True) if callback.weights is not None
    ]  # fmt: skip
    return members, _describe_failures(list(runs), len(members))


def _make_member(run: Run, callback: BestEpoch) -> Member:
    network = run.network
    assert callback.weights is not None
    network.parameters[:] = callback.weights
    return Member(network, callback.held_out, callback.scores, callback.best + 1, run.seconds)


def _describe_failures(runs: list[Run], n_members: int) -> list[str]:
    """Warnings about members that were not trained to their last epoch; an error if there is no
    member at all."""
    errors = [run.error for run in runs if run.error is not None]
    if errors:
        raise errors[0]
    interrupted = any(run.stop_reason == INTERRUPTED for run in runs)
    if not n_members:
        if interrupted:
            raise KeyboardInterrupt
        raise ValueError(f"training failed: {runs[0].stop_reason}")
    texts = [INTERRUPTED_TEXT] if interrupted else []
    n_missing = len(runs) - n_members
    if n_missing:
        texts.append(f"{n_missing} of {len(runs)} networks are left out: they were not trained for "
                     "an epoch")  # fmt: skip
    return texts


def measure_epoch(data: TrainingData, recipe: Recipe, n_workers: int, deadline: float) -> float:
    """The seconds that an epoch of `n_workers` networks side by side takes, or less if the deadline
    passes."""
    one = replace(recipe, n_members=n_workers, epochs=1)
    start = time.perf_counter()
    train(data, one, list(range(n_workers)), n_workers, deadline, 0)
    return time.perf_counter() - start
