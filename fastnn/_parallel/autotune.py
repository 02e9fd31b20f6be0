"""The choice between one thread and several, by measurements during the work itself.

The benefit of a second thread depends on the network and on the machine, and it changes over time.
A step that takes 25 us on two free cores took 397 us on two threads and 32 us on one while another
process used one of the cores. On a virtual machine whose two processors the host had moved apart (a
message between them took 170 ns instead of 30), a step of 20 us took 40 us on two threads and 29 us
on one. Results do not depend on the number of threads, so it may change between any two calls.

One thread and several are measured alternately. Calls that touch memory for the first time or wake
sleeping threads are not counted. Measurements are kept for each combination of network and batch
size; whether another program occupies a processor is tracked once for the whole machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache

# Duration of a measurement (at least one unit of work), and of the shorter call before it when the
# number of threads has changed; that call wakes threads and fills caches and is not counted.
TRIAL_SECONDS = 0.0005
WARM_UP_SECONDS = 0.0001
# A call of this duration is counted without a warm-up: waking a thread takes about 0.05 ms.
LONG_SECONDS = 0.002

# Maximum fraction of the time spent on measuring the slower alternative, and the minimum interval
# between such measurements.
TRIAL_FRACTION = 0.01
SECONDS_BETWEEN_TRIALS = 0.1

# A ratio of times at which a single pair of measurements is sufficient for a decision.
DECISIVE_RATIO = 1.25

# The alternative replaces the current choice if its time is below this fraction of the other.
SWITCH_RATIO = 0.97

# A call on several threads returns after this time, so that a slowdown by another program is
# noticed soon.
SECONDS_PER_CALL = 0.01

# A call on several threads that takes BLOCKED_RATIO times longer than on one thread, and at least
# BLOCKED_SECONDS longer, is considered blocked: one of its threads waits for a processor, for
# instance because the threads of a BLAS spin for a tenth of a second after a matrix
# multiplication. All calls then use one thread for a while. The period is short at first, as Linux
# sometimes wakes all threads on the same processor and moves them apart after some milliseconds;
# it doubles each time that a call is blocked again, and is reset after SECONDS_UNTIL_RESET.
BLOCKED_RATIO = 2.0
BLOCKED_SECONDS = 0.001
MIN_BACKOFF_SECONDS = 0.02
MAX_BACKOFF_SECONDS = 0.5
SECONDS_UNTIL_RESET = 1.0

# A number of threads that the user chose is compared with one thread only where that takes at most
# this time: longer steps spend little of it on waiting. Next to a busy program, two threads took
# 1.1 times as long as one with steps of 12 ms, 4 times with steps of 30 us, and 16 times with steps
# of 1 us.
FIXED_NUMBER_SECONDS = 0.002

# FLOPs per second of one thread, a lower bound; used until it has been measured.
SINGLE_THREAD_FLOPS = 2e10


@dataclass
class Occupancy:
    """Whether another program occupies a processor of this machine."""

    single_thread_until: float = 0.0
    """Until when one thread is used, by time.perf_counter()."""
    backoff_seconds: float = MIN_BACKOFF_SECONDS
    """How long one thread will be used when a call is blocked the next time."""

    def record_blocked(self) -> None:
        """A call on several threads was blocked."""
        self.single_thread_until = time.perf_counter() + self.backoff_seconds
        self.backoff_seconds = min(2 * self.backoff_seconds, MAX_BACKOFF_SECONDS)

    def record_unblocked(self) -> None:
        """A call on several threads was not blocked. This happens occasionally even while another
        program is busy, so it counts only if no call was blocked for SECONDS_UNTIL_RESET."""
        if time.perf_counter() > self.single_thread_until + SECONDS_UNTIL_RESET:
            self.backoff_seconds = MIN_BACKOFF_SECONDS


occupancy = Occupancy()

_ALTERNATING = (True, False, True, False)


@dataclass(kw_only=True)
class Measurements:
    """Measurements of one kind of work. Dictionary keys and trials are True for several threads
    and False for one."""

    flops: float
    """FLOPs of a unit of work."""
    seconds: dict[bool, float] = field(default_factory=dict)
    """Seconds per unit of work, by the latest measurement."""
    multithreaded: bool = True
    """Whether several threads are faster, by the latest decision."""
    trials: tuple[bool, ...] = _ALTERNATING
    """Measurements to make before the next decision."""
    next_trial: float = math.inf
    """When to measure the slower alternative again, by time.perf_counter()."""
    overhead: float = 0.0
    """Seconds lost to measurements of the slower alternative since the last decision."""

    def add(self, multithreaded: bool, seconds: float, units: int) -> None:
        """Record a measurement that was among `trials`."""
        per_unit = seconds / units
        self.seconds[multithreaded] = min(per_unit, self.seconds.get(multithreaded, math.inf))
        self.trials = self.trials[1:]
        single, multi = self.get_times()
        if max(single, multi) < math.inf:
            self.overhead += max(0.0, seconds - units * min(single, multi))
            if max(single, multi) > DECISIVE_RATIO * min(single, multi):
                self.trials = ()
        if not self.trials:
            self.decide()

    def get_times(self) -> tuple[float, float]:
        """Seconds per unit on one thread and on several. Infinity if not measured, which may be
        the case at any time: another Python thread may train a network of the same shape and have
        reset the measurements."""
        return self.seconds.get(False, math.inf), self.seconds.get(True, math.inf)

    def decide(self) -> None:
        """Switch to the alternative if it is clearly faster, and schedule the next trial."""
        single, multi = self.get_times()
        if max(single, multi) == math.inf:
            self.measure_again()
            return
        current, alternative = (multi, single) if self.multithreaded else (single, multi)
        if alternative < SWITCH_RATIO * current:
            self.multithreaded = not self.multithreaded
        wait = max(SECONDS_BETWEEN_TRIALS, self.overhead / TRIAL_FRACTION)
        self.next_trial = time.perf_counter() + wait
        self.overhead = 0.0

    def follow(self, multithreaded: bool, seconds_per_unit: float) -> None:
        """Record the time of a call that was not among `trials`."""
        self.seconds[multithreaded] = seconds_per_unit
        if seconds_per_unit > DECISIVE_RATIO * self.seconds.get(not multithreaded, math.inf):
            self.multithreaded = not multithreaded
            self.measure_again()
        elif time.perf_counter() >= self.next_trial:
            self.seconds.pop(not multithreaded, None)
            self.trials = (not multithreaded,)

    def measure_again(self) -> None:
        """Discard both times, so that both are measured again."""
        self.seconds.clear()
        self.trials = _ALTERNATING


@lru_cache(maxsize=512)
def get_measurements(shape: Hashable, most: int, flops: float) -> Measurements:
    """The measurements of work of a given shape on at most `most` threads. All callers with the
    same arguments share one object."""
    return Measurements(flops=flops)


class ThreadTuner:
    """Chooses the number of threads for the calls of one fit, or of one network's predictions.

    Parameters
    ----------
    shape : hashable
        Identifies the work; tuners with equal shapes share their measurements.
    flops : float
        FLOPs of a unit of work, such as a training step.
    """

    def __init__(self, shape: Hashable, flops: float) -> None:
        self._shape = shape
        self._flops = flops
        self._last: bool | None = None  # whether the previous call used several threads
        self._measuring = False

    def choose(self, most: int) -> tuple[int, float]:
        """The number of threads for the next call, either `most` or 1, and the maximum duration of
        the call in seconds."""
        self._measuring = False
        if most == 1:
            return 1, math.inf
        if time.perf_counter() < occupancy.single_thread_until:
            return 1, SECONDS_PER_CALL
        measurements = get_measurements(self._shape, most, self._flops)
        trials = measurements.trials
        self._measuring = bool(trials)
        multithreaded = trials[0] if trials else measurements.multithreaded
        limit = SECONDS_PER_CALL
        if self._measuring:
            limit = TRIAL_SECONDS if multithreaded is self._last else WARM_UP_SECONDS
        return most if multithreaded else 1, limit

    def record(self, most: int, n_threads: int, units: int, seconds: float) -> None:
        """Record the duration of a call on `n_threads` threads that did `units` units of work."""
        if most == 1 or not units:
            return
        measurements = get_measurements(self._shape, most, self._flops)
        multithreaded = n_threads > 1
        is_first, is_warm = self._last is None, multithreaded is self._last
        self._last = multithreaded
        if is_first or not (is_warm or seconds >= LONG_SECONDS):
            return
        if multithreaded and _is_blocked(measurements, units, seconds):
            occupancy.record_blocked()
            return
        if multithreaded:
            occupancy.record_unblocked()
        if self._measuring:
            measurements.add(multithreaded, seconds, units)
        elif not measurements.trials:
            measurements.follow(multithreaded, seconds / units)


class FixedNumber:
    """Uses the number of threads that the user chose, or one thread for a while after a call that
    took more than BLOCKED_RATIO times longer than on one thread, as happens to short steps while
    another program occupies a processor. Has the methods of `ThreadTuner`, and shares its
    measurements of one thread.
    """

    def __init__(self, shape: Hashable, flops: float) -> None:
        self._shape = shape
        self._flops = flops
        self._occupancy = Occupancy()  # other work may take any number of threads
        self._measuring = False

    def choose(self, most: int) -> tuple[int, float]:
        """See `ThreadTuner.choose`."""
        if most == 1:
            return 1, math.inf
        if self._measuring:
            return 1, TRIAL_SECONDS
        alone = time.perf_counter() < self._occupancy.single_thread_until
        return 1 if alone else most, SECONDS_PER_CALL

    def record(self, most: int, n_threads: int, units: int, seconds: float) -> None:
        """See `ThreadTuner.record`."""
        if most == 1 or not units:
            return
        measured = get_measurements(self._shape, most, self._flops).seconds
        per_unit = seconds / units
        if n_threads == 1:
            measured[False] = per_unit
            self._measuring = False
        elif seconds < BLOCKED_SECONDS or per_unit > FIXED_NUMBER_SECONDS:
            return
        elif False not in measured:
            self._measuring = True
        elif per_unit > BLOCKED_RATIO * measured[False]:
            self._occupancy.record_blocked()
        else:
            self._occupancy.record_unblocked()


def _is_blocked(measurements: Measurements, units: int, seconds: float) -> bool:
    """Whether a call on several threads was so slow that one of them must have waited for a
    processor that another program uses."""
    estimate = measurements.flops / SINGLE_THREAD_FLOPS
    single = measurements.seconds.get(False, estimate) * units
    return seconds >= max(BLOCKED_RATIO * single, single + BLOCKED_SECONDS)
