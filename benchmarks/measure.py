"""Rounds of measurements in alternation, and what they come to."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import machine
import peers
from cases import Case
from processes import Worker, WorkerError

# A setting this much slower than the best one of its peer, in some trials, does not take part.
HOPELESS = 1.3
TRIALS = 2
# Cores in use by other programs; from here on figures are not to be trusted.
CROWDED = 0.1
# fastnn's median time beside one peer over that beside another: more is a disturbance.
DISTURBED = 1.3
# The sums of different float32 programs differ in the last digits; probabilities are below 1.
SAME_OUTPUT = 1e-3
# Orders of rows and, for scikit-learn, initial weights differ.
SAME_LOSS = 0.25
# The same of accuracies, also of the best of a search.
SAME_SCORE = 0.02

Log = Callable[[str], None]


@dataclass
class Measured:
    """A peer's times on one case with its best setting, beside fastnn's taken just before each."""

    peer: str
    setting: str
    seconds: list[float]
    before: list[float]
    prepared: dict[str, float]
    """What the worker answered: the first call's seconds, and what shows that it did the same."""

    @property
    def median(self) -> float:
        """Seconds per step or call."""
        return statistics.median(self.seconds)

    @property
    def ratios(self) -> list[float]:
        """How many times faster fastnn was, pair by pair."""
        return [s / b for s, b in zip(self.seconds, self.before, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


@dataclass
class Result:
    """One case: fastnn and every peer that took part."""

    case: Case
    seconds: list[float]
    prepared: dict[str, float]
    measured: list[Measured]
    notes: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """fastnn's seconds per step or call."""
        return statistics.median(self.seconds)


def start(names: Iterable[str], log: Log) -> tuple[list[Worker], dict[str, str]]:
    """A process for every setting of every peer that is installed, and the versions."""
    workers: list[Worker] = []
    versions: dict[str, str] = {}
    for name in names:
        for setting, environment in peers.load(name).SETTINGS.items():
            worker = Worker(name, setting, environment)
            try:
                versions[name] = worker.hello()
            except WorkerError as error:
                worker.stop()
                if name == peers.FASTNN:
                    raise
                log(f"{name} is left out: {error}")
                break
            workers.append(worker)
    return workers, versions


def run(case: Case, workers: list[Worker], rounds: int, seconds: float, log: Log) -> Result:
    """All measurements of one case; the first worker is fastnn's."""
    own, *others = [w for w in workers if _takes(w.peer, case)]
    log(f"{case.name}: preparing")
    prepared = {own: own.prepare(case.name)}
    notes: list[str] = []
    for worker in others:
        try:
            prepared[worker] = worker.prepare(case.name)
        except WorkerError as error:
            notes.append(_left_out(worker, error))
    notes += _differences(prepared, own)
    measured = [
        Measured(w.peer, w.setting, [], [], prepared[w])
        for w in _promising([w for w in others if w in prepared], seconds, notes)
    ]
    by_name = {(w.peer, w.setting): w for w in others}
    alone: list[float] = []
    others_before, began = _used_by_others(workers), time.perf_counter()
    for k in range(rounds):
        log(f"{case.name}: round {k + 1} of {rounds}")
        if not measured:
            alone.append(own.measure(seconds))
        for m in list(measured):
            worker = by_name[m.peer, m.setting]
            m.before.append(own.measure(seconds))
            try:
                m.seconds.append(worker.measure(seconds))
            except WorkerError as error:
                measured.remove(m)
                notes.append(_left_out(worker, error))
    notes += _crowded((_used_by_others(workers) - others_before) / (time.perf_counter() - began))
    own_times = alone + [t for m in measured for t in m.before]
    return Result(case, own_times, prepared[own], _best(measured), notes + _disturbed(measured))


def _left_out(worker: Worker, error: WorkerError) -> str:
    return f"{worker.peer} ({worker.setting}) is left out: {error}"


def _crowded(cores: float) -> list[str]:
    if cores <= CROWDED:
        return []
    return [f"other programs kept {cores:.1f} cores busy meanwhile: not to be trusted"]


def _used_by_others(workers: list[Worker]) -> float:
    """Processor time so far of all programs but this one, 0 where the system does not say."""
    own = time.process_time() + sum(w.processor_time_of_all() for w in workers)
    return (machine.busy_seconds() or own) - own


def _takes(name: str, case: Case) -> bool:
    module = peers.load(name)
    return case.kind in module.TAKES


def _promising(workers: list[Worker], seconds: float, notes: list[str]) -> list[Worker]:
    """Without the settings that two trials show to be far from their peer's best."""
    fastest: dict[Worker, float] = {}
    for worker in workers:
        try:
            fastest[worker] = min(worker.measure(seconds) for _ in range(TRIALS))
        except WorkerError as error:
            notes.append(_left_out(worker, error))
    limit: dict[str, float] = {}
    for worker, value in fastest.items():
        limit[worker.peer] = min(limit.get(worker.peer, math.inf), HOPELESS * value)
    return [w for w, value in fastest.items() if value <= limit[w.peer]]


def _disturbed(measured: list[Measured]) -> list[str]:
    """Peers beside which fastnn itself was slower than beside the others."""
    medians = {f"{m.peer} ({m.setting})": statistics.median(m.before) for m in measured}
    least = min(medians.values(), default=0.0)
    return [
        f"fastnn was {value / least:.1f} times slower just before {name} than before another peer"
        for name, value in medians.items()
        if value > DISTURBED * least
    ]


def _best(measured: list[Measured]) -> list[Measured]:
    """The fastest setting of each peer."""
    best: dict[str, Measured] = {}
    for m in measured:
        if m.peer not in best or m.median < best[m.peer].median:
            best[m.peer] = m
    return list(best.values())


def _differences(prepared: dict[Worker, dict[str, float]], own: Worker) -> list[str]:
    """Where a peer did not compute the same thing."""
    notes = []
    for worker, answer in prepared.items():
        who = f"{worker.peer} ({worker.setting})"
        if "difference" in answer and not answer["difference"] < SAME_OUTPUT:
            notes.append(f"{who}: outputs differ by {answer['difference']:.2g}")
        if "score" in answer and not abs(answer["score"] - prepared[own]["score"]) < SAME_SCORE:
            notes.append(f"{who}: score {answer['score']:.4g} where fastnn has "
                         f"{prepared[own]['score']:.4g}")  # fmt: skip
        if "loss" in answer:
            ours, theirs = prepared[own]["loss"], answer["loss"]
            if not abs(theirs / ours - 1) < SAME_LOSS:
                notes.append(f"{who}: loss {theirs:.4g} where fastnn has {ours:.4g}")
    return notes
