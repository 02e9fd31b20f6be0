"""A signal at a random time during a call, in a subprocess: Ctrl-C, Ctrl-C twice, or a time limit
whose handler raises another exception. Afterwards no thread continues training, and the model is
usable, in the state after a complete step."""

import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.process

START = """
    import random, signal, sys, threading, time, warnings
    import numpy as np
    import fastnn as fn

    warnings.simplefilter("ignore")
    n_rounds, rng = int(sys.argv[1]), random.Random(0)
    X = np.random.default_rng(0).standard_normal((64, 8)).astype("f4")
    Y = (np.arange(64) % 2).astype("f4")
    OTHER = np.random.default_rng(1).standard_normal((64, 8)).astype("f4")

    class TimeLimit(Exception):
        pass

    kind, left = "once", 0
    ERRORS = {"once": KeyboardInterrupt, "twice": KeyboardInterrupt, "time limit": TimeLimit}

    def attacked(call):
        return call()

    def handler(number, frame):
        global left
        while frame is not None and frame.f_code is not attacked.__code__:
            frame = frame.f_back
        if frame is None:  # not within a call of `attacked`
            return
        left -= 1
        if left <= 0:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if left >= 0:
            raise ERRORS[kind]

    signal.signal(signal.SIGALRM, handler)

    def interrupted(call, seconds):
        # Send one or two signals at a random time; returns the result of the call, or None.
        global left
        answer = None
        left = 2 if kind == "twice" else 1
        try:
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, seconds), 1e-4)
            answer = attacked(call)
        except ERRORS[kind]:
            pass
        left = 0
        signal.setitimer(signal.ITIMER_REAL, 0)
        for thread in threading.enumerate():
            if thread.name == "fastnn worker":
                thread.join(0.2)  # a thread that has just started ends immediately
                assert not thread.is_alive(), "a thread outlived its call"
        return answer

    def timed(call):
        call()
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def attack(make, call, check):
        global kind
        seconds = timed(lambda: call(make()))
        for i in range(n_rounds):
            kind, model = list(ERRORS)[i % 3], make()
            answer = interrupted(lambda: call(model), 1.2 * seconds)
            check(model, answer)
"""

NETWORK = """
    # A call has to take longer than the interval at which the engine checks for signals.
    X, Y = np.tile(X, (64, 1)), np.tile(Y, 64)
    OPTIONS = dict(epochs=2000, batch_size="full")

    def make(seed=0):
        return fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)

    def steps(net):
        seen = [net.build(8).parameters.tobytes()]
        see = lambda epoch: seen.append(epoch.network.parameters.tobytes())
        net.fit(X, Y, callbacks=[see], **OPTIONS)
        return seen
"""

CALLS = {
    "fit": NETWORK
    + """
    expected = steps(make())
    stopped = set()

    def check(net, history):
        if net.n_features_in is not None:
            step = expected.index(net.parameters.tobytes())
            # A second signal may come before the steps are counted.
            assert net.n_steps == step or (kind == "twice" and net.n_steps < step)
            stopped.add(step)
        net.fit(X, Y, epochs=1)

    attack(make, lambda net: net.fit(X, Y, **OPTIONS), check)
    assert len(stopped) > 2  # the signals came during training
    """,
    "fit_many": NETWORK
    + """
    expected = [steps(make(seed)) for seed in range(4)]

    def check(nets, runs):
        before = [net.n_steps for net in nets]
        time.sleep(0.002)
        assert [net.n_steps for net in nets] == before
        for net, seen, n in zip(nets, expected, before, strict=True):
            if net.n_features_in is not None:
                assert net.parameters.tobytes() == seen[n]
        fn.fit_many(nets, X, Y, epochs=1, n_threads=2)

    attack(lambda: [make(seed) for seed in range(4)],
           lambda nets: fn.fit_many(nets, X, Y, n_threads=2, **OPTIONS), check)
    """,
    "predict": NETWORK
    + """
    net = make()
    net.fit(X, Y, epochs=1)
    many = np.tile(X, (30, 1))
    expected = net.predict(many)

    def check(_, answer):
        assert answer is None or np.array_equal(answer, expected)
        assert np.array_equal(net.predict(many), expected)

    attack(lambda: None, lambda _: net.predict(many), check)
    """,
    "MLPClassifier": """
    def make(n=60):
        return fn.MLPClassifier((8,), max_iter=n, batch_size=64, tol=0, n_iter_no_change=1000,
                                random_state=0, scale="standard")

    def answers(model):
        return model.predict_proba(X).tobytes()

    old = answers(make().fit(X, Y))
    expected = [None] + [answers(make(n).fit(OTHER, Y)) for n in range(1, 61)]

    def check(model, _):
        predictions = answers(model)
        assert predictions == old or model.n_iter_ <= expected.index(predictions)
        model.fit(OTHER, Y)
        assert answers(model) == expected[-1]

    attack(lambda: make().fit(X, Y), lambda model: model.fit(OTHER, Y), check)
    """,
    "MLPEnsemble": """
    base = fn.MLPClassifier((8,), max_iter=60, tol=0, n_iter_no_change=1000, random_state=0)

    def make():
        return fn.MLPEnsemble(base, n_estimators=4, n_threads=2).fit(X, Y)

    old = make().predict_proba(X)
    of_other = [one.predict_proba(X).tobytes() for one in make().fit(OTHER, Y).estimators_]

    def check(model, _):
        if len(model.estimators_) == 4 and np.array_equal(model.predict_proba(X), old):
            return
        assert all(one.predict_proba(X).tobytes() in of_other for one in model.estimators_)
        model.predict(X)

    attack(make, lambda model: model.fit(OTHER, Y), check)
    """,
    "MLPSearchCV": """
    base = fn.MLPClassifier((8,), max_iter=20, tol=0, n_iter_no_change=1000, random_state=0)

    def make():
        return fn.MLPSearchCV(base, {"width": [2, 3]}, cv=2, n_threads=2).fit(X, Y)

    def check(search, _):
        if hasattr(search, "best_estimator_"):
            assert search.best_params_["width"] == search.best_estimator_.width
            search.predict(X)
        assert search.scores_.shape == (2, 2, 1)

    attack(make, lambda search: search.fit(OTHER, Y), check)
    """,
}


@pytest.mark.parametrize("name", CALLS)
def test_signal_at_a_random_time(name, rounds):
    if name.startswith("MLP"):
        pytest.importorskip("sklearn")
    script = textwrap.dedent(START) + textwrap.dedent(CALLS[name])
    done = subprocess.run(
        [sys.executable, "-c", script, str(rounds(9, 1200))],
        check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
