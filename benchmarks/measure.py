"""Alternating rounds of measurements, and their evaluation."""

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

# A setting that is slower than the best one of its peer by this factor, in some trials, is dropped.
HOPELESS = 1.3
TRIALS = 2
# Cores in use by other programs above which results are not reliable.
CROWDED = 0.1
# Ratio of fastnn's median times next to two peers above which a disturbance is reported.
DISTURBED = 1.3
# Largest difference of outputs: float32 programs round differently; probabilities are below 1.
SAME_OUTPUT = 1e-3
# Largest relative difference of losses: orders of rows and scikit-learn's initial weights differ.
SAME_LOSS = 0.25
# Largest difference of accuracies, including the best one of a search.
SAME_SCORE = 0.02

Log = Callable[[str], None]


@dataclass
class Measured:
    """The times of one peer on one case with its best setting, and fastnn's time before each."""

    peer: str
    setting: str
    seconds: list[float]
    before: list[float]
    prepared: dict[str, float]
    """The worker's answer: the time of the first call, and values that show that peers agree."""

    @property
    def median(self) -> float:
        """Seconds per step or call."""
        return statistics.median(self.seconds)

    @property
    def ratios(self) -> list[float]:
        """How many times slower than fastnn the peer was, in each pair."""
        return [s / b for s, b in zip(self.seconds, self.before, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)


@dataclass
class Result:
    """The results of one case: fastnn and every peer that was measured."""

    case: Case
    seconds: list[float]
    prepared: dict[str, float]
    measured: list[Measured]
    notes: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """fastnn's seconds per step or call."""
        return statistics.median(self.seconds)


def start_workers(names: Iterable[str], log: Log) -> tuple[list[Worker], dict[str, str]]:
    """Start a process for every setting of every installed peer; returns them and the versions."""
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
                log(f"{name} is skipped: {error}")
                break
            workers.append(worker)
    return workers, versions


def measure_case(
    case: Case, workers: list[Worker], rounds: int, seconds: float, log: Log
) -> Result:
    """Measure one case on all workers, of which the first is fastnn's."""
    fastnn, *others = [w for w in workers if _supports(w.peer, case)]
    log(f"{case.name}: preparing")
    prepared = {fastnn: fastnn.prepare(case.name)}
    notes: list[str] = []
    for worker in others:
        try:
            prepared[worker] = worker.prepare(case.name)
        except WorkerError as error:
            notes.append(_describe_skip(worker, error))
    notes += _report_differences(prepared, fastnn)
    measured = [
        Measured(w.peer, w.setting, [], [], prepared[w])
        for w in _drop_slow_settings([w for w in others if w in prepared], seconds, notes)
    ]
    by_name = {(w.peer, w.setting): w for w in others}
    unpaired: list[float] = []
    others_before, began = _get_other_cpu_time(workers), time.perf_counter()
    for k in range(rounds):
        log(f"{case.name}: round {k + 1} of {rounds}")
        if not measured:
            unpaired.append(fastnn.measure(seconds))
        for m in list(measured):
            worker = by_name[m.peer, m.setting]
            m.before.append(fastnn.measure(seconds))
            try:
                m.seconds.append(worker.measure(seconds))
            except WorkerError as error:
                measured.remove(m)
                notes.append(_describe_skip(worker, error))
    notes += _report_load(
        (_get_other_cpu_time(workers) - others_before) / (time.perf_counter() - began)
    )
    fastnn_times = unpaired + [t for m in measured for t in m.before]
    return Result(
        case,
        fastnn_times,
        prepared[fastnn],
        _select_fastest(measured),
        notes + _report_disturbances(measured),
    )


def _describe_skip(worker: Worker, error: WorkerError) -> str:
    return f"{worker.peer} ({worker.setting}) is skipped: {error}"


def _report_load(cores: float) -> list[str]:
    if cores <= CROWDED:
        return []
    return [f"other programs used {cores:.1f} cores during the measurements: not reliable"]


def _get_other_cpu_time(workers: list[Worker]) -> float:
    """CPU time so far of all other programs, 0 if the system does not report it."""
    ours = time.process_time() + sum(w.processor_time_of_all() for w in workers)
    return (machine.get_busy_seconds() or ours) - ours


def _supports(name: str, case: Case) -> bool:
    module = peers.load(name)
    return case.kind in module.TAKES


def _drop_slow_settings(workers: list[Worker], seconds: float, notes: list[str]) -> list[Worker]:
    """Drop the settings that in two trials are far slower than their peer's best."""
    fastest: dict[Worker, float] = {}
    for worker in workers:
        try:
            fastest[worker] = min(worker.measure(seconds) for _ in range(TRIALS))
        except WorkerError as error:
            notes.append(_describe_skip(worker, error))
    limit: dict[str, float] = {}
    for worker, value in fastest.items():
        limit[worker.peer] = min(limit.get(worker.peer, math.inf), HOPELESS * value)
    return [w for w, value in fastest.items() if value <= limit[w.peer]]


def _report_disturbances(measured: list[Measured]) -> list[str]:
    """Describe peers next to which fastnn itself was slower than next to others."""
    medians = {f"{m.peer} ({m.setting})": statistics.median(m.before) for m in measured}
    least = min(medians.values(), default=0.0)
    return [
        f"fastnn was {value / least:.1f} times slower in its measurements before {name} than "
        "before another library"
        for name, value in medians.items()
        if value > DISTURBED * least
    ]


def _select_fastest(measured: list[Measured]) -> list[Measured]:
    """The fastest setting of each peer."""
    best: dict[str, Measured] = {}
    for m in measured:
        if m.peer not in best or m.median < best[m.peer].median:
            best[m.peer] = m
    return list(best.values())


def _report_differences(prepared: dict[Worker, dict[str, float]], fastnn: Worker) -> list[str]:
    """Describe peers that did not compute the same as fastnn."""
    notes = []
    for worker, answer in prepared.items():
        who = f"{worker.peer} ({worker.setting})"
        if "difference" in answer and not answer["difference"] < SAME_OUTPUT:
            notes.append(f"{who}: outputs differ by {answer['difference']:.2g}")
        if "score" in answer and not abs(answer["score"] - prepared[fastnn]["score"]) < SAME_SCORE:
            notes.append(f"{who}: score {answer['score']:.4g}, but fastnn "
                         f"{prepared[fastnn]['score']:.4g}")  # fmt: skip
        if "loss" in answer:
            ours, theirs = prepared[fastnn]["loss"], answer["loss"]
            if not abs(theirs / ours - 1) < SAME_LOSS:
                notes.append(f"{who}: loss {theirs:.4g}, but fastnn {ours:.4g}")
    return notes
