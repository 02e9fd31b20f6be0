"""The process of one peer: `python worker.py PEER`. It reads one JSON request per line from
standard input and writes one JSON answer per line to standard output. Between requests it is
blocked in a read.

{"do": "hello"} -> {"version": ...}
{"do": "prepare", "case": name} -> {"first_call": seconds, "loss" or "difference": ...}
{"do": "measure", "seconds": shortest duration} -> {"seconds": per step or per call}
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import data
import numpy as np
import peers
from cases import BY_NAME, Case, PredictionCase, SearchCase, TrainingCase

WARM = 0.05  # seconds of work whose time is accurate enough to choose the number of repetitions
CHECKED_STEPS = 200  # number of steps, approximately, after which losses are compared


class Timer:
    """Measures `run(n)`, with n chosen for a given duration."""

    def __init__(self, run: Callable[[int], None], reset: Callable[[], None], units: int) -> None:
        self.run, self.reset, self.units = run, reset, units
        began = time.perf_counter()
        self._time(1)
        self.first_call = time.perf_counter() - began
        n, seconds = 1, self._time(1)
        while seconds < WARM:
            n *= 2
            seconds = self._time(n)
        self.each = seconds / n

    def _time(self, n: int) -> float:
        self.reset()
        began = time.perf_counter()
        self.run(n)
        return time.perf_counter() - began

    def measure(self, seconds: float) -> float:
        """Time per unit in seconds, measured for at least about the given seconds."""
        n = max(1, round(seconds / self.each))
        self.each = self._time(n) / n
        return self.each / self.units


def _prepare_training(peer: ModuleType, case: TrainingCase) -> tuple[Timer, dict[str, Any]]:
    training: peers.Training = peer.train(case)
    timer = Timer(training.fit, training.reset, case.batches)
    training.reset()
    training.fit(max(1, CHECKED_STEPS // case.batches))
    _, y = data.make_arrays(case)
    value = data.compute_loss(case.net, training.outputs(), y)
    return timer, {"first_call": timer.first_call, "loss": value}


def _prepare_prediction(peer: ModuleType, case: PredictionCase) -> tuple[Timer, dict[str, Any]]:
    call = peer.predict(case)

    def run(n: int) -> None:
        for _ in range(n):
            call()

    timer = Timer(run, lambda: None, 1)
    X, _ = data.make_arrays(case)
    expected = data.forward(case.net, data.make_weights(case.net, case.dtype), X)
    outputs = np.asarray(call()).reshape(expected.shape)
    return timer, {
        "first_call": timer.first_call,
        "difference": float(np.abs(outputs - expected).max()),
    }


def _prepare(peer: ModuleType, case: Case) -> tuple[Timer, dict[str, Any]]:
    if isinstance(case, TrainingCase):
        return _prepare_training(peer, case)
    if isinstance(case, PredictionCase):
        return _prepare_prediction(peer, case)
    workload: peers.Workload = (
        peer.search(case) if isinstance(case, SearchCase) else peer.many(case)
    )
    timer = Timer(workload.fit, workload.reset, 1)
    return timer, {"first_call": timer.first_call, "score": workload.score()}


def serve(peer: ModuleType) -> None:
    """Answer requests until the end of standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output printed by libraries must not mix with answers
    timer: Timer | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            if request["do"] == "hello":
                answer = {"version": peer.version()}
            elif request["do"] == "prepare":
                timer = None  # free the arrays of the previous case first
                timer, answer = _prepare(peer, BY_NAME[request["case"]])
            else:
                assert timer is not None, "measure before prepare"
                answer = {"seconds": timer.measure(request["seconds"])}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(peers.load(sys.argv[1]))
