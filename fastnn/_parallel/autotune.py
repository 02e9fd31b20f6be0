"""One thread or several: measured while the work runs.

What a second thread gains depends on the network and on the machine, and that changes. Beside a
busy process, a step that takes 25 us on two free cores took 397 on two threads and 32 on one. Where
a virtual machine's host had moved its two processors apart (a message between them took 170 ns
instead of 30), one of 20 us took 40, and 29 on one thread. Results do not depend on the number of
threads, so it may change between any two calls.

Both ways are measured in turn, never by a call that touches memory for the first time or wakes
sleeping threads. What was learned is kept for each shape of network and batch; what is known of
the machine, that another program occupies a processor, holds for all of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache

# A measurement takes this long, or one unit of work; one that follows a change of the number of
# threads is preceded by a shorter call, which wakes threads and fills caches, and is not counted.
TRIAL_SECONDS = 0.0005
WARM_UP_SECONDS = 0.0001
# A call that takes this long is counted without a warm-up: to wake a thread takes some 0.05 ms.
LONG_SECONDS = 0.002

# Measuring the other way costs at most this share of the time, and comes at most this often.
SHARE_OF_TRIALS = 0.01
SECONDS_BETWEEN_TRIALS = 0.1

# A difference that one pair of measurements settles.
CLEAR = 1.25

# A difference that is worth a change.
NOTABLE = 0.97

# A team returns this often, so that it is noticed soon if another program slows it down.
SECONDS_PER_CALL = 0.01

# A team that takes this many times as long as one thread, and so many seconds more in a call, waits
# for a processor: the threads of a BLAS go on spinning for a tenth of a second after a product.
# Everything then uses one thread for a while: briefly at first, as Linux sometimes wakes a team on
# a single processor and moves it apart after some milliseconds; twice as long each time that it is
# found again.
BLOCKED_RATIO = 2.0
BLOCKED_SECONDS = 0.001
FIRST_SECONDS_ALONE = 0.02
MOST_SECONDS_ALONE = 0.5
SECONDS_UNTIL_FREE = 1.0

# What one thread does at least in a second: where it has not been measured yet.
FLOPS_ALONE = 2e10


@dataclass
class Occupancy:
    """What is known of the machine: that another program occupies a processor."""

    alone_until: float = 0.0  # by time.perf_counter()
    seconds: float = FIRST_SECONDS_ALONE  # that one thread is used the next time

    def found_blocked(self) -> None:
        """A team waited for a processor."""
        self.alone_until = time.perf_counter() + self.seconds
        self.seconds = min(2 * self.seconds, MOST_SECONDS_ALONE)

    def found_free(self) -> None:
        """A team did not. Beside a busy program that happens now and then, so it counts only when
        none was blocked for a while."""
        if time.perf_counter() > self.alone_until + SECONDS_UNTIL_FREE:
            self.seconds = FIRST_SECONDS_ALONE


occupancy = Occupancy()

_BOTH = (True, False, True, False)


@dataclass
class Measurements:
    """What is known of work of one shape. Keys are whether several threads were used."""

    flops: float
    seconds: dict[bool, float] = field(default_factory=dict)
    """Of a unit of work, the last time that it was measured."""
    several: bool = True
    """Whether several threads are faster."""
    trials: tuple[bool, ...] = _BOTH
    """What is still to be measured before the next decision."""
    next_trial: float = math.inf
    regret: float = 0.0
    """Seconds that the measurements since the last decision cost."""

    def add(self, several: bool, seconds: float, units: int) -> None:
        """A measurement that was asked for."""
        found = seconds / units
        self.seconds[several] = min(found, self.seconds.get(several, math.inf))
        self.trials = self.trials[1:]
        one, other = self.both()
        if max(one, other) < math.inf:
            self.regret += max(0.0, seconds - units * min(one, other))
            if max(one, other) > CLEAR * min(one, other):
                self.trials = ()
        if not self.trials:
            self.decide()

    def both(self) -> tuple[float, float]:
        """The times of one thread and of several; infinite where not measured, as other threads of
        Python may train networks of this shape and begin to measure anew at any time."""
        return self.seconds.get(False, math.inf), self.seconds.get(True, math.inf)

    def decide(self) -> None:
        """Take what is notably faster, otherwise leave it at what was used before."""
        one, other = self.both()
        if max(one, other) == math.inf:
            self.measure_again()
            return
        used, unused = (other, one) if self.several else (one, other)
        if unused < NOTABLE * used:
            self.several = not self.several
        wait = max(SECONDS_BETWEEN_TRIALS, self.regret / SHARE_OF_TRIALS)
        self.next_trial = time.perf_counter() + wait
        self.regret = 0.0

    def follow(self, several: bool, seconds_per_unit: float) -> None:
        """How long a unit took in a call that was no measurement."""
        self.seconds[several] = seconds_per_unit
        if seconds_per_unit > CLEAR * self.seconds.get(not several, math.inf):
            self.several = not several
            self.measure_again()
        elif time.perf_counter() >= self.next_trial:
            self.seconds.pop(not several, None)
            self.trials = (not several,)

    def measure_again(self) -> None:
        """Forget both times and measure them anew."""
        self.seconds.clear()
        self.trials = _BOTH


@lru_cache(maxsize=512)
def measurements(shape: Hashable, most: int, flops: float) -> Measurements:
    """Those of a shape and a number of threads, shared by all who ask."""
    return Measurements(flops)


class ThreadTuner:
    """Chooses the number of threads for calls of one fit, or of one network's predictions."""

    def __init__(self, shape: Hashable, flops: float) -> None:
        """`flops`: the arithmetic of one unit of the work."""
        self._shape = shape
        self._flops = flops
        self._warm: bool | None = None  # the way of the call before
        self._measures = False

    def choose(self, most: int) -> tuple[int, float]:
        """Threads for the next call, `most` or one, and how long it may take at most."""
        self._measures = False
        if most == 1:
            return 1, math.inf
        if time.perf_counter() < occupancy.alone_until:
            return 1, SECONDS_PER_CALL
        known = measurements(self._shape, most, self._flops)
        trials = known.trials
        self._measures = bool(trials)
        way = trials[0] if trials else known.several
        limit = SECONDS_PER_CALL
        if self._measures:
            limit = TRIAL_SECONDS if way is self._warm else WARM_UP_SECONDS
        return most if way else 1, limit

    def record(self, most: int, n_threads: int, units: int, seconds: float) -> None:
        """What a call on so many threads took."""
        if most == 1 or not units:
            return
        way, known = n_threads > 1, measurements(self._shape, most, self._flops)
        first, warm = self._warm is None, way is self._warm
        self._warm = way
        if first or not (warm or seconds >= LONG_SECONDS):
            return
        if way and _is_blocked(known, units, seconds):
            occupancy.found_blocked()
            return
        if way:
            occupancy.found_free()
        if self._measures:
            known.add(way, seconds, units)
        elif not known.trials:
            known.follow(way, seconds / units)


def _is_blocked(known: Measurements, units: int, seconds: float) -> bool:
    """Whether a team waited for a processor that another program has."""
    alone = known.seconds.get(False, known.flops / FLOPS_ALONE) * units
    return seconds >= max(BLOCKED_RATIO * alone, alone + BLOCKED_SECONDS)
