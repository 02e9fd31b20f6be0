"""The networks of a search: one for each candidate, fold and seed."""

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

from fastnn._parallel import limits, pool
from fastnn._parallel.pool import Task
from fastnn.estimators._fitting.early_stopping import Progress, Watch
from fastnn.estimators._fitting.parameters import twin
from fastnn.estimators._fitting.session import Note, Outcome, Session
from fastnn.estimators._fitting.sklearn_callbacks import Trace
from fastnn.estimators.search.candidates import Candidate, Fold
from fastnn.estimators.search.scores import Judge, Scores

# Chunks of networks that a process of joblib's gets in turn.
CHUNKS_PER_PROCESS = 4


@dataclass(frozen=True)
class Common:
    """What all networks of a search share, without copies."""

    folds: list[Fold]
    judge: Judge
    return_train_score: bool
    config: dict[str, Any]
    """scikit-learn's, which each thread has its own of."""


@dataclass(frozen=True)
class Place:
    """Positions of a network's candidate, fold and seed."""

    candidate: int
    fold: int
    seed: int


@dataclass
class Result:
    """What came of a network up to now; a process can send it."""

    test: Scores | None = None
    train: Scores | None = None
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    finished: bool = False
    """Whether it was trained as long as it was to be, and scored."""
    notes: list[Note] = field(default_factory=list)
    error: str | None = None
    """The traceback of the fit, where it failed."""
    exception: BaseException | None = None


class Net:
    """A network in training. Nothing is allocated before it begins."""

    def __init__(self, common: Common, candidate: Candidate, place: Place, seed: int) -> None:
        self.common = common
        self.candidate = candidate
        self.place = place
        self.seed = seed
        self.result = Result()
        self._fit: _Fit | None = None

    def task(self, work: Callable[[], Result]) -> Task:
        """What trains it, with the arithmetic of all its epochs, roughly."""
        rows = len(self.common.folds[self.place.fold].train)
        flops = 6.0 * self.candidate.n_weights * rows * self.candidate.estimator.max_iter
        return Task(work, flops, self.candidate.is_wide)

    def whole(self) -> Result:
        """Fit as the estimator itself would, and score."""
        result = self._advance(lambda fit: fit.whole())
        self.forget()
        return result

    def until(self, n_epochs: int) -> Result:
        """Train up to so many of the fit's epochs, from where it stands, and score."""
        return self._advance(lambda fit: fit.until(n_epochs))

    def forget(self) -> None:
        """Free what only further training needs."""
        self._fit = None

    def _advance(self, train: Callable[[_Fit], bool]) -> Result:
        result = self.result
        result.finished = False
        with config_context(**self.common.config):
            began = time.perf_counter()
            if self._fit is None:
                self._fit = self._begin()
            result.finished = train(self._fit)
            result.fit_seconds += time.perf_counter() - began
            if result.finished:
                result.notes = list(self._fit.session.notes)
                self._score(self._fit.estimator)
        return result

    def _begin(self) -> _Fit:
        given = self.candidate.given
        own = twin(self.candidate.estimator, random_state=self.seed, verbose=False)
        rows = given.sample.part(self.common.folds[self.place.fold].train)
        trace = Trace(own, own, 0, {}, listens=False)
        return _Fit(own, own._open(replace(given, sample=rows), trace))

    def _score(self, estimator: Any) -> None:
        common, result, began = self.common, self.result, time.perf_counter()
        sample, fold = self.candidate.given.sample, common.folds[self.place.fold]
        result.test, failed = common.judge.scores(estimator, sample, fold.test)
        result.score_seconds += time.perf_counter() - began
        if common.return_train_score:
            result.train, train_failed = common.judge.scores(estimator, sample, fold.train)
            failed = failed or train_failed
        if failed:
            result.notes.append(Note(
                "Scoring failed. The score on this train-test partition for these parameters will "
                f"be set to {common.judge.error_score}. Details: \n{failed}"
            ))  # fmt: skip


class _Fit:
    """A fit that can be made in parts. Each says whether it came to its end: neither Ctrl-C nor the
    search's time cut it short."""

    def __init__(self, estimator: Any, session: Session) -> None:
        self.estimator = estimator
        self.session = session
        self.watch: Watch | None = None
        self.outcome: Outcome | None = None

    def whole(self) -> bool:
        """All of it, restarts included."""
        outcomes = self.session.outcomes(None)
        late = time.monotonic() >= limits.get_deadline()
        if any(map(_cut_short, outcomes)) or (late and len(outcomes) < len(self.session.seeds)):
            return False
        self.estimator._finish(self.session, outcomes)
        return True

    def until(self, n_epochs: int) -> bool:
        """Go on up to so many epochs, unless it has ended by itself."""
        session, estimator = self.session, self.estimator
        if self.outcome is None or self.watch is None:
            self.watch = session.watch(Progress())
            self.outcome = session.run(session.drawn(session.seeds[0]), self.watch, n_epochs)
        elif self.outcome.stop_reason is None:
            left = n_epochs - self.watch.n_iter
            self.outcome = session.run(self.outcome.trained, self.watch, left)
        if _cut_short(self.outcome):
            return False
        estimator.t_ = 0
        estimator._adopt(self.outcome, len(session.rows))
        if n_epochs == estimator.max_iter:
            session.finish(self.outcome)
        return True


def _cut_short(outcome: Outcome) -> bool:
    out_of_time = outcome.stop_reason is not None and time.monotonic() >= limits.get_deadline()
    return outcome.interrupted or out_of_time


# ---- all of them ---------------------------------------------------------------------------------


def nets_of(common: Common, candidates: list[Candidate], seeds: list[int]) -> list[Net]:
    """In the order of the scores' axes: candidates, folds, seeds."""
    return [
        Net(common, candidate, Place(i, k, s), seed)
        for i, candidate in enumerate(candidates)
        for k in range(len(common.folds))
        for s, seed in enumerate(seeds)
    ]


@dataclass(frozen=True)
class Limits:
    """What `pool.run_tasks` is told."""

    n_threads: int | None
    deadline: float = math.inf
    """By `time.time()`, which is the same in other processes."""
    verbose: int = 0

    @property
    def seconds(self) -> float | None:
        """That are left."""
        return None if self.deadline == math.inf else self.deadline - time.time()


def train(nets: Sequence[Net], limits: Limits, n_epochs: int | None = None) -> list[Result]:
    """Fit and score every network: wholly, or up to so many epochs."""
    tasks = [
        net.task(net.whole if n_epochs is None else partial(net.until, n_epochs)) for net in nets
    ]
    done = pool.run_tasks(tasks, limits.n_threads, limits.seconds, limits.verbose)
    for net, one in zip(nets, done, strict=True):
        if one.error is not None:
            net.forget()
            net.result.finished, net.result.exception = False, one.error
            net.result.error = "".join(traceback.format_exception(one.error))
    return [net.result for net in nets]


def train_by_joblib(nets: Sequence[Net], limits: Limits) -> list[Result]:
    """The same in the processes, or on the machines, of joblib's active backend: several chunks for
    each, so that none waits long for the last one."""
    n_chunks = min(len(nets), CHUNKS_PER_PROCESS * joblib.effective_n_jobs(None))
    order = sorted(range(len(nets)), key=lambda i: -nets[i].task(nets[i].whole).flops)
    chunks = [order[first::n_chunks] for first in range(n_chunks)]
    parts = joblib.Parallel(verbose=10 if limits.verbose else 0)(
        joblib.delayed(train)([nets[i] for i in chunk], replace(limits, verbose=0))
        for chunk in chunks
    )
    found = {
        i: result
        for chunk, results in zip(chunks, parts, strict=True)
        for i, result in zip(chunk, results, strict=True)
    }
    return [found[i] for i in range(len(nets))]
