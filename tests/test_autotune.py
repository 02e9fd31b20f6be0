"""The choice between one thread and several, on a simulated machine with a clock of its own."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
from fastnn._parallel import autotune
from fastnn._parallel.autotune import Measurements, Occupancy, ThreadTuner

MOST = 4
COLD = 0.005  # seconds that the first touch of memory takes
WAKING = 0.00005  # seconds that it takes to wake threads
PAUSE = 0.02


class Machine:
    """Takes `seconds[several]` for a unit of work."""

    def __init__(self, monkeypatch, one, several):
        self.now, self.tuner = 100.0, None
        self.seconds = {False: one, True: several}
        self.flops = 1.5 * autotune.FLOPS_ALONE * one
        self.several = []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(autotune, "occupancy", Occupancy())
        autotune.measurements.cache_clear()

    def call(self, units, cold=0.0):
        """At most so many units; returns how many were made."""
        n, limit = self.tuner.choose(MOST)
        several = n > 1
        each = self.seconds[several]
        made = int(min(units, max(1, np.ceil(limit / each))))
        taken = cold + WAKING * (several and self.several[-1:] != [True]) + made * each
        self.several.append(several)
        self.now += taken
        self.tuner.record(MOST, n, made, taken)
        return made

    def fit(self, units, cold=0.0):
        """A fit, after a pause; returns its seconds, but for the first touch of memory."""
        self.tuner = ThreadTuner("shape", self.flops)
        self.now += PAUSE
        self.several.append(False)  # threads are asleep
        began, left = self.now, units
        while left:
            left -= self.call(left, cold)
            cold = 0.0
        return self.now - began

    def fits(self, seconds, total):
        """Fits of this length, as many as take `total`; returns the seconds of each over what the
        better number takes."""
        units = max(1, round(seconds / min(self.seconds.values())))
        best = units * min(self.seconds.values())
        self.fit(units, COLD)
        return np.array([self.fit(units) / best for _ in range(max(1, round(total / best)))])


# Seconds of a unit on one thread and on several.
PAIRS = [
    (2e-6, 3e-6), (1e-5, 2e-5), (2e-4, 1.2e-4), (2e-4, 2.2e-4), (1e-3, 0.6e-3), (1e-5, 0.97e-5),
    (0.03, 0.016), (0.3, 0.17),
]  # fmt: skip


@pytest.mark.parametrize("seconds", [0.02, 0.2, 2.0])
@pytest.mark.parametrize(("one", "several"), PAIRS)
def test_as_fast_as_the_better_number(monkeypatch, one, several, seconds):
    """Over two seconds of fits, the first of them aside, where both are measured."""
    taken = Machine(monkeypatch, one, several).fits(seconds, total=2.0)
    assert np.median(taken) < 1.03
    assert taken.mean() < 1.06


@pytest.mark.parametrize(("one", "several"), PAIRS[:6])
def test_the_first_fit_of_a_shape_costs_little_more(monkeypatch, one, several):
    """Than the better number: of 20 ms that measure both, and begin on memory never touched."""
    machine = Machine(monkeypatch, one, several)
    best = min(one, several)
    units = round(0.02 / best)
    assert machine.fit(units, COLD) - COLD < 1.25 * units * best


@pytest.mark.parametrize("before", [(2e-4, 1e-4), (1e-4, 2e-4)])
def test_a_machine_that_changes_is_noticed(monkeypatch, before):
    machine = Machine(monkeypatch, *before)
    machine.fits(0.2, total=1.0)
    machine.seconds = dict(zip((False, True), reversed(before), strict=True))
    machine.fits(0.2, total=1.0)
    assert np.median(machine.fits(0.2, total=1.0)) < 1.03


@pytest.mark.parametrize("seconds", [0.02, 0.2, 2.0])
def test_a_busy_processor_costs_little(monkeypatch, seconds):
    """A team that waits 4 ms at each unit, where one thread takes 30 us."""
    machine = Machine(monkeypatch, 3e-5, 2e-5)
    machine.fits(0.2, total=1.0)
    machine.seconds[True] = 0.004
    machine.fits(seconds, total=0.1)
    assert machine.fits(seconds, total=4.0).mean() < 1.15
    machine.seconds[True] = 2e-5
    machine.fits(seconds, total=4.0)
    assert machine.fits(seconds, total=2.0).mean() < 1.06


def test_other_shapes_are_spared_a_busy_processor(monkeypatch):
    machine = Machine(monkeypatch, 3e-5, 0.004)
    machine.fits(0.02, total=0.1)
    machine.several.clear()
    machine.tuner = ThreadTuner("another shape", 1.0)
    assert machine.tuner.choose(MOST)[0] == 1


def test_a_cold_start_is_no_reason_to_leave_the_others(monkeypatch):
    """The first touch of memory and the waking of threads are not measured."""
    machine = Machine(monkeypatch, 2e-4, 1.2e-4)
    machine.fit(100, COLD)
    assert autotune.occupancy.alone_until == 0.0
    assert autotune.measurements("shape", MOST, machine.flops).several


def test_shapes_are_measured_apart():
    autotune.measurements.cache_clear()
    first = autotune.measurements("a", 2, 1.0)
    assert autotune.measurements("a", 2, 1.0) is first
    assert autotune.measurements("a", 4, 1.0) is not first
    assert autotune.measurements("b", 2, 1.0) is not first


def test_one_thread_asks_for_nothing():
    tuner = ThreadTuner("one thread", 1.0)
    assert tuner.choose(1) == (1, np.inf)
    tuner.record(1, 1, 5, 0.1)
    assert autotune.measurements("one thread", 1, 1.0) == Measurements(1.0)


def test_long_steps_are_measured_once(monkeypatch):
    """Steps of a minute: the other number is not tried for hours."""
    machine = Machine(monkeypatch, 60.0, 35.0)
    machine.fit(5)
    assert machine.several[1:] == [True, True, False, True, True]
    known = autotune.measurements("shape", MOST, machine.flops)
    assert known.next_trial - machine.now > 1000


def test_a_hiccup_costs_less_than_a_busy_processor(monkeypatch):
    machine = Machine(monkeypatch, 3e-5, 2e-5)
    machine.fits(0.2, total=1.0)
    waits = []
    for _ in range(8):
        autotune.occupancy.found_blocked()
        waits.append(autotune.occupancy.alone_until - machine.now)
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(autotune.FIRST_SECONDS_ALONE)
    assert waits[-1] == pytest.approx(autotune.MOST_SECONDS_ALONE)
    machine.now += 2
    machine.fit(10_000)
    autotune.occupancy.found_blocked()
    assert autotune.occupancy.alone_until - machine.now == pytest.approx(waits[0])


def test_threads_may_share_what_is_measured():
    """One thread of Python ends its measurement while another has begun to measure anew."""
    known = Measurements(1.0, trials=(True,))
    known.add(True, 0.1, 1)
    assert known.trials == (True, False, True, False)
    known.add(False, 0.1, 1)
    known.measure_again()
    known.decide()
    assert known.trials == (True, False, True, False)


@pytest.mark.parametrize("n_threads", [None, 2])
def test_networks_of_one_shape_train_in_many_threads(n_threads, rng):
    X = rng.normal(size=(512, 20)).astype("f4")

    def train(_):
        net = fn.Sequential(fn.Dense(64, "tanh"), fn.Dense(1), random_state=0)
        net.fit(X, X[:, 0], epochs=40, n_threads=n_threads)
        return net.parameters.tobytes()

    alone = train(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(train, range(12))) == {alone}
