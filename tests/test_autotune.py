"""The choice between one thread and several, on a simulated machine with a simulated clock."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
from fastnn._parallel import autotune
from fastnn._parallel.autotune import FixedNumber, Measurements, Occupancy, ThreadTuner

MOST = 4
COLD = 0.005  # seconds for the first touch of memory
WAKING = 0.00005  # seconds for waking threads
PAUSE = 0.02


class Machine:
    """A machine on which a unit of work takes `seconds[multithreaded]`."""

    def __init__(self, monkeypatch, single, multi, make_tuner=ThreadTuner):
        self.now, self.tuner, self.make_tuner = 100.0, None, make_tuner
        self.seconds = {False: single, True: multi}
        self.flops = 1.5 * autotune.SINGLE_THREAD_FLOPS * single
        self.calls = []  # whether each call used several threads
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(autotune, "occupancy", Occupancy())
        autotune.get_measurements.cache_clear()

    def call(self, units, cold=0.0):
        """One call that may do up to `units` units of work; returns how many it did."""
        n, limit = self.tuner.choose(MOST)
        multithreaded = n > 1
        each = self.seconds[multithreaded]
        done = int(min(units, max(1, np.ceil(limit / each))))
        wakes = multithreaded and self.calls[-1:] != [True]
        seconds = cold + WAKING * wakes + done * each
        self.calls.append(multithreaded)
        self.now += seconds
        self.tuner.record(MOST, n, done, seconds)
        return done

    def fit(self, units, cold=0.0):
        """A fit after a pause; returns its duration. Its first call takes `cold` seconds more."""
        self.tuner = self.make_tuner("shape", self.flops)
        self.now += PAUSE
        self.calls.append(False)  # threads are asleep
        start, left = self.now, units
        while left:
            left -= self.call(left, cold)
            cold = 0.0
        return self.now - start

    def fits(self, seconds, total):
        """Repeat a fit of the given duration for `total` seconds; returns the duration of each fit
        divided by that with the faster number of threads."""
        units = max(1, round(seconds / min(self.seconds.values())))
        best = units * min(self.seconds.values())
        self.fit(units, COLD)
        return np.array([self.fit(units) / best for _ in range(max(1, round(total / best)))])


# Seconds per unit on one thread and on several.
PAIRS = [
    (2e-6, 3e-6), (1e-5, 2e-5), (2e-4, 1.2e-4), (2e-4, 2.2e-4), (1e-3, 0.6e-3), (1e-5, 0.97e-5),
    (0.03, 0.016), (0.3, 0.17),
]  # fmt: skip


@pytest.mark.parametrize("seconds", [0.02, 0.2, 2.0])
@pytest.mark.parametrize(("single", "multi"), PAIRS)
def test_speed_is_close_to_that_of_the_faster_choice(monkeypatch, single, multi, seconds):
    """Averaged over two seconds of fits, after a first one in which both are measured."""
    ratios = Machine(monkeypatch, single, multi).fits(seconds, total=2.0)
    assert np.median(ratios) < 1.03
    assert ratios.mean() < 1.06


@pytest.mark.parametrize(("single", "multi"), PAIRS[:6])
def test_first_fit_of_a_shape_is_at_most_a_quarter_slower(monkeypatch, single, multi):
    """A fit of 20 ms that measures both numbers of threads and touches memory for the first
    time."""
    machine = Machine(monkeypatch, single, multi)
    best = min(single, multi)
    units = round(0.02 / best)
    assert machine.fit(units, COLD) - COLD < 1.25 * units * best


@pytest.mark.parametrize("before", [(2e-4, 1e-4), (1e-4, 2e-4)])
def test_tuner_adapts_to_a_change_of_the_machine(monkeypatch, before):
    machine = Machine(monkeypatch, *before)
    machine.fits(0.2, total=1.0)
    machine.seconds = dict(zip((False, True), reversed(before), strict=True))
    machine.fits(0.2, total=1.0)
    assert np.median(machine.fits(0.2, total=1.0)) < 1.03


@pytest.mark.parametrize("seconds", [0.02, 0.2, 2.0])
def test_busy_processor_costs_little(monkeypatch, seconds):
    """Several threads wait 4 ms in each unit; one thread takes 30 us."""
    machine = Machine(monkeypatch, 3e-5, 2e-5)
    machine.fits(0.2, total=1.0)
    machine.seconds[True] = 0.004
    machine.fits(seconds, total=0.1)
    assert machine.fits(seconds, total=4.0).mean() < 1.15
    machine.seconds[True] = 2e-5
    machine.fits(seconds, total=4.0)
    assert machine.fits(seconds, total=2.0).mean() < 1.06


def test_busy_processor_is_known_to_all_shapes(monkeypatch):
    machine = Machine(monkeypatch, 3e-5, 0.004)
    machine.fits(0.02, total=0.1)
    machine.calls.clear()
    machine.tuner = ThreadTuner("another shape", 1.0)
    assert machine.tuner.choose(MOST)[0] == 1


def test_cold_start_is_not_mistaken_for_a_busy_processor(monkeypatch):
    """The first touch of memory and the waking of threads are not measured."""
    machine = Machine(monkeypatch, 2e-4, 1.2e-4)
    machine.fit(100, COLD)
    assert autotune.occupancy.single_thread_until == 0.0
    assert autotune.get_measurements("shape", MOST, machine.flops).multithreaded


def test_each_shape_has_its_own_measurements():
    autotune.get_measurements.cache_clear()
    first = autotune.get_measurements("a", 2, 1.0)
    assert autotune.get_measurements("a", 2, 1.0) is first
    assert autotune.get_measurements("a", 4, 1.0) is not first
    assert autotune.get_measurements("b", 2, 1.0) is not first


def test_nothing_is_measured_with_a_maximum_of_one_thread():
    tuner = ThreadTuner("one thread", 1.0)
    assert tuner.choose(1) == (1, np.inf)
    tuner.record(1, 1, 5, 0.1)
    assert autotune.get_measurements("one thread", 1, 1.0) == Measurements(flops=1.0)


def test_long_steps_are_measured_once(monkeypatch):
    """With steps of a minute, the slower alternative is not tried again soon."""
    machine = Machine(monkeypatch, 60.0, 35.0)
    machine.fit(5)
    assert machine.calls[1:] == [True, True, False, True, True]
    measurements = autotune.get_measurements("shape", MOST, machine.flops)
    assert measurements.next_trial - machine.now > 1000


def test_back_off_doubles_and_is_reset(monkeypatch):
    machine = Machine(monkeypatch, 3e-5, 2e-5)
    machine.fits(0.2, total=1.0)
    waits = []
    for _ in range(8):
        autotune.occupancy.record_blocked()
        waits.append(autotune.occupancy.single_thread_until - machine.now)
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(autotune.MIN_BACKOFF_SECONDS)
    assert waits[-1] == pytest.approx(autotune.MAX_BACKOFF_SECONDS)
    machine.now += 2
    machine.fit(10_000)
    autotune.occupancy.record_blocked()
    assert autotune.occupancy.single_thread_until - machine.now == pytest.approx(waits[0])


@pytest.mark.parametrize("seconds", [0.02, 0.2, 2.0])
@pytest.mark.parametrize("multi", [4e-5, 1e-4, 1e-3])
def test_fixed_number_costs_at_most_three_times_as_much_as_one_thread(monkeypatch, seconds, multi):
    """Next to a busy program, two threads take up to fifty times as long as one."""
    machine = Machine(monkeypatch, 2e-5, multi, FixedNumber)
    assert machine.fits(seconds, total=2.0).max() < 3
    assert True in machine.calls


@pytest.mark.parametrize("multi", [1e-5, 3.9e-5])
def test_fixed_number_is_used_unless_it_takes_twice_as_long(monkeypatch, multi):
    machine = Machine(monkeypatch, 2e-5, multi, FixedNumber)
    machine.fits(0.2, total=1.0)
    assert machine.calls.count(False) == 1 + 1 + round(1.0 / 0.2)  # one trial; pauses


def test_fixed_number_is_used_again_when_the_processor_is_free(monkeypatch):
    machine = Machine(monkeypatch, 2e-5, 1e-3, FixedNumber)
    machine.fit(10_000)
    machine.seconds[True] = 1e-5
    machine.fit(100_000)
    machine.calls.clear()
    machine.fit(100_000)
    assert not any(called is False for called in machine.calls[1:])


def test_fixed_number_is_not_compared_for_long_steps(monkeypatch):
    machine = Machine(monkeypatch, 0.01, 0.05, FixedNumber)
    machine.fit(20)
    assert machine.calls[1:] == [True] * 20


def test_threads_may_share_measurements():
    """One Python thread ends its measurement after another has started to measure again."""
    measurements = Measurements(flops=1.0, trials=(True,))
    measurements.add(True, 0.1, 1)
    assert measurements.trials == (True, False, True, False)
    measurements.add(False, 0.1, 1)
    measurements.measure_again()
    measurements.decide()
    assert measurements.trials == (True, False, True, False)


@pytest.mark.parametrize("n_threads", [None, 2])
def test_networks_of_one_shape_train_in_many_threads(n_threads, rng):
    X = rng.normal(size=(512, 20)).astype("f4")

    def train(_):
        net = fn.Sequential(fn.Dense(64, "tanh"), fn.Dense(1), random_state=0)
        net.fit(X, X[:, 0], epochs=40, n_threads=n_threads)
        return net.parameters.tobytes()

    expected = train(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(train, range(12))) == {expected}
