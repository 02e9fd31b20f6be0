"""The fits of a search: one network for each candidate, fold and seed."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import joblib
from sklearn import config_context

from fastnn._parallel import pool
from fastnn._parallel.pool import Task
from fastnn.estimators._fitting.outcome import DeferredWarning
from fastnn.estimators._fitting.parameters import shallow_copy
from fastnn.estimators._fitting.sklearn_callbacks import CallbackNotifier
from fastnn.estimators.search.candidates import Candidate, Fold
from fastnn.estimators.search.resumable import ResumableFit
from fastnn.estimators.search.scores import Scores, SearchScorer

# Chunks of fits per process of joblib.
CHUNKS_PER_PROCESS = 4


@dataclass(frozen=True)
class SharedInputs:
    """The inputs that all fits of a search share without copies."""

    folds: list[Fold]
    scorer: SearchScorer
    return_train_score: bool
    config: dict[str, Any]
    """scikit-learn's configuration, which is thread-local."""


@dataclass(frozen=True)
class FitIndex:
    """Positions of a fit's candidate, fold and seed."""

    candidate: int
    fold: int
    seed: int


@dataclass(kw_only=True)
class FitResult:
    """The scores, times and warnings of a fit so far; it can be pickled."""

    test: Scores | None = None
    train: Scores | None = None
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    finished: bool = False
    """Whether the training reached its end and was scored."""
    deferred_warnings: list[DeferredWarning] = field(default_factory=list)
    error: str | None = None
    """The traceback of the fit if it failed."""
    exception: BaseException | None = None


class CandidateFit:
    """The fit of one candidate to one fold with one seed. It allocates nothing before it runs."""

    def __init__(
        self, shared: SharedInputs, candidate: Candidate, index: FitIndex, seed: int
    ) -> None:
        self.shared = shared
        self.candidate = candidate
        self.index = index
        self.seed = seed
        self.result = FitResult()
        self._training: ResumableFit | None = None

    def make_task(self, work: Callable[[], FitResult]) -> Task:
        """A task for the thread pool, with the approximate FLOPs of all its epochs."""
        rows = len(self.shared.folds[self.index.fold].train)
        flops = 6.0 * self.candidate.n_weights * rows * self.candidate.estimator.max_iter
        return Task(work, flops, self.candidate.is_wide)

    def run(self) -> FitResult:
        """Fit as the estimator's `fit` would, and score."""
        result = self._advance(lambda training: training.run())
        self.free()
        return result

    def run_until(self, n_epochs: int) -> FitResult:
        """Continue training until `n_epochs` epochs in total, and score."""
        return self._advance(lambda training: training.run_until(n_epochs))

    def free(self) -> None:
        """Free the memory that only further training needs."""
        self._training = None

    def _advance(self, train: Callable[[ResumableFit], bool]) -> FitResult:
        result = self.result
        result.finished = False
        with config_context(**self.shared.config):
            start_time = time.perf_counter()
            if self._training is None:
                self._training = self._start()
            result.finished = train(self._training)
            result.fit_seconds += time.perf_counter() - start_time
            if result.finished:
                result.deferred_warnings = list(self._training.fit.deferred_warnings)
                self._score(self._training.estimator)
        return result

    def _start(self) -> ResumableFit:
        data = self.candidate.data
        estimator = shallow_copy(self.candidate.estimator, random_state=self.seed, verbose=False)
        rows = data.sample.select(self.shared.folds[self.index.fold].train)
        callbacks = CallbackNotifier(estimator, estimator, 0, {}, enabled=False)
        fit = estimator._start_fit(replace(data, sample=rows), callbacks)
        return ResumableFit(estimator, fit)

    def _score(self, estimator: Any) -> None:
        shared, result, start_time = self.shared, self.result, time.perf_counter()
        sample, fold = self.candidate.data.sample, shared.folds[self.index.fold]
        result.test, error = shared.scorer.compute_scores(estimator, sample, fold.test)
        result.score_seconds += time.perf_counter() - start_time
        if shared.return_train_score:
            result.train, train_error = shared.scorer.compute_scores(estimator, sample, fold.train)
            error = error or train_error
        if error:
            result.deferred_warnings.append(DeferredWarning(
                "Scoring failed. The score on this train-test partition for these parameters will "
                f"be set to {shared.scorer.error_score}. Details: \n{error}"
            ))  # fmt: skip


# ---- all fits of a search ------------------------------------------------------------------------


def make_fits(
    shared: SharedInputs, candidates: list[Candidate], seeds: list[int]
) -> list[CandidateFit]:
    """All fits, in the order of the scores' axes: candidates, folds, seeds."""
    return [
        CandidateFit(shared, candidate, FitIndex(i, k, s), seed)
        for i, candidate in enumerate(candidates)
        for k in range(len(shared.folds))
        for s, seed in enumerate(seeds)
    ]


@dataclass(frozen=True)
class SearchLimits:
    """The number of threads and the deadline of a search, and whether it shows its progress."""

    n_threads: int | None
    deadline: float = math.inf
    """By `time.time()`, which processes of a machine share."""
    verbose: int = 0

    @property
    def seconds(self) -> float | None:
        """The seconds left, None without a deadline."""
        return None if self.deadline == math.inf else self.deadline - time.time()


def run_fits(
    fits: Sequence[CandidateFit], limits: SearchLimits, n_epochs: int | None = None
) -> list[FitResult]:
    """Run and score all fits; with `n_epochs`, up to this number of epochs each."""
    tasks = [
        fit.make_task(fit.run if n_epochs is None else partial(fit.run_until, n_epochs))
        for fit in fits
    ]
    done = pool.run_tasks(tasks, limits.n_threads, limits.seconds, limits.verbose)
    for fit, one in zip(fits, done, strict=True):
        if one.error is not None:
            fit.free()
            fit.result.finished, fit.result.exception = False, one.error
            fit.result.error = "".join(traceback.format_exception(one.error))
    return [fit.result for fit in fits]


def run_fits_with_joblib(fits: Sequence[CandidateFit], limits: SearchLimits) -> list[FitResult]:
    """Run and score all fits in the processes, or on the machines, of joblib's active backend. Each
    process gets several chunks of similar FLOPs, which balances the load."""
    n_chunks = min(len(fits), CHUNKS_PER_PROCESS * joblib.effective_n_jobs(None))
    order = sorted(range(len(fits)), key=lambda i: -fits[i].make_task(fits[i].run).flops)
    chunks = [order[first::n_chunks] for first in range(n_chunks)]
    parts = joblib.Parallel(verbose=10 if limits.verbose else 0)(
        joblib.delayed(run_fits)([fits[i] for i in chunk], replace(limits, verbose=0))
        for chunk in chunks
    )
    by_position = {
        i: result
        for chunk, results in zip(chunks, parts, strict=True)
        for i, result in zip(chunk, results, strict=True)
    }
    return [by_position[i] for i in range(len(fits))]
