"""Bit-identical results for any number of threads; forks, signals, limits and small stacks."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn as fn
from fastnn import optimizers
from fastnn._engine import cost_model
from fastnn._parallel import autotune, limits
from fastnn._parallel.autotune import ThreadTuner
from fastnn.activations import NAMES
from fastnn_ext import engine

HIDDEN = [name for name in NAMES if name not in ("softmax", "exp")]
OPTIMIZERS = [
    optimizers.SGD(0.01),
    optimizers.SGD(0.01, momentum=0.9, nesterov=True, clip_value=0.1),
    optimizers.Adagrad(0.01),
    optimizers.RMSprop(0.001),
    optimizers.Adam(0.001, clip_norm=0.5),
    optimizers.AdamW(0.001),
]


@st.composite
def runs(draw):
    """Random layers, with dropout and skip connections, and options of a training run."""
    layers = [fn.Scale(learning_rate_factor=2)] if draw(st.booleans()) else []
    for units in draw(st.lists(st.integers(1, 40), min_size=0, max_size=3)):
        activation = draw(st.sampled_from(HIDDEN))
        layers.append(fn.Dense(
            units, activation, l2=draw(st.sampled_from([0.0, 0.01])),
            learning_rate_factor=draw(st.sampled_from([0.0, 0.5, 1.0])),
            bias_learning_rate_factor=draw(st.sampled_from([None, 0.1])),
        ))  # fmt: skip
        if draw(st.booleans()):
            layers.append(fn.Dropout(0.3))
        if draw(st.booleans()):
            layers.append(fn.Residual(fn.Dense(units, activation, use_bias=False), fn.Scale(0.5)))
    layers.append(fn.Dense(draw(st.integers(1, 5)), draw(st.sampled_from(["linear", "tanh"]))))
    return {
        "layers": layers,
        "n": draw(st.integers(1, 70)),
        "n_features": draw(st.integers(1, 20)),
        "batch_size": draw(st.one_of(st.integers(1, 40), st.just("full"))),
        "optimizer": draw(st.sampled_from(OPTIMIZERS)),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "weighted": draw(st.booleans()),
    }


def trained(run, n_threads):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(run["n"], run["n_features"]))
    y = rng.normal(size=(run["n"], run["layers"][-1].units))
    weight = rng.uniform(size=run["n"]) if run["weighted"] else None
    net = fn.Sequential(*run["layers"], random_state=1, dtype=run["dtype"])
    history = net.fit(X, y, epochs=2, batch_size=run["batch_size"], optimizer=run["optimizer"],
                      sample_weight=weight, loss="squared_error", n_threads=n_threads)  # fmt: skip
    return net.parameters, history["loss"], net.predict(X, n_threads=n_threads)


@given(runs())
def test_bit_identical_for_1_to_4_threads(run):
    one = trained(run, 1)
    assert np.isfinite(one[0]).all()
    for n_threads in (2, 3, 4):
        for got, expected in zip(trained(run, n_threads), one, strict=True):
            assert (got == expected).all()


@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_bit_identical_with_several_microbatches(n_threads):
    """A batch larger than a microbatch."""
    run = {
        "layers": [fn.Dense(17, "gelu"), fn.Dropout(0.2), fn.Dense(2)], "n": 9001, "n_features": 3,
        "batch_size": "full", "optimizer": optimizers.Adam(clip_norm=0.1), "dtype": "float32",
        "weighted": True,
    }  # fmt: skip
    for got, expected in zip(trained(run, n_threads), trained(run, 1), strict=True):
        assert (got == expected).all()


def test_bit_identical_on_a_busy_machine():
    """With more threads than processors, waiting at a barrier ends in sleep."""
    run = {
        "layers": [fn.Dense(64, "tanh"), fn.Dense(1)], "n": 500, "n_features": 30, "dtype": "f4",
        "batch_size": 50, "optimizer": optimizers.Adam(), "weighted": False,
    }  # fmt: skip
    many = 4 * (os.cpu_count() or 1)
    for got, expected in zip(trained(run, many), trained(run, 1), strict=True):
        assert (got == expected).all()


def test_number_of_threads(monkeypatch):
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    assert limits.choose_n_threads(None, flops=1, rows=1000) == 1
    assert limits.choose_n_threads(None, flops=1e12, rows=1000) == limits.get_thread_limit()
    assert limits.choose_n_threads(3, flops=1, rows=1000) == (3 if engine.has_openmp() else 1)
    assert limits.choose_n_threads(3, flops=1, rows=2) <= 2
    monkeypatch.setenv("FASTNN_NUM_THREADS", "1")
    assert limits.choose_n_threads(None, flops=1e12, rows=1000) == 1
    assert limits.choose_n_threads(10**9, flops=1, rows=10**9) == limits.count_processors()
    monkeypatch.setenv("FASTNN_NUM_THREADS", "1000000000")
    assert limits.get_thread_limit() == limits.count_processors()
    monkeypatch.setenv("FASTNN_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="FASTNN_NUM_THREADS: expected a whole number"):
        limits.get_thread_limit()


STARTED = """
    import os
    import sys
    import numpy as np
    import fastnn as fn
    X = np.random.default_rng(0).normal(size=(4000, 50))
    net = fn.Sequential(fn.Dense(300, "tanh"), fn.Dense(1), random_state=0)
    before = len(os.listdir("/proc/self/task"))
    n_threads = eval(sys.argv[1])
    net.fit(X, X[:, 0], epochs=3, batch_size=1000, n_threads=n_threads)
    net.predict(X, n_threads=n_threads)
    net.evaluate(X, X[:, 0], n_threads=n_threads)
    print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.process
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs /proc")
@pytest.mark.skipif(not engine.has_openmp(), reason="a build without OpenMP")
@pytest.mark.parametrize(("n_threads", "started"), [(None, "0"), (2, "1")])
def test_one_thread_starts_no_other(monkeypatch, n_threads, started):
    monkeypatch.setenv("FASTNN_NUM_THREADS", "1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    out, err = run_script(STARTED, str(n_threads)).communicate(timeout=60)
    assert out.strip() == started, err


def fit_small_network(n_threads=2):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256, 20)), rng.normal(size=256)
    net = fn.Sequential(fn.Dense(64, "tanh"), fn.Dense(1), random_state=0)
    net.fit(X, y, epochs=3, n_threads=n_threads)
    return net.parameters.copy()


@pytest.mark.parametrize("label", [1e9, 5.0, 50.0, -3.0, np.nan])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_label_that_changes_during_a_fit_is_never_an_index(dtype, label, smoothing):
    """y is read in place: a callback, a thread or another process may change it during the fit."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 4)).astype(dtype), rng.integers(0, 3, (64, 1)).astype(dtype)
    net = fn.Sequential(fn.Dense(3, "softmax"), random_state=0, dtype=dtype)

    def change(epoch):
        y[7] = label

    loss = fn.losses.CrossEntropy(label_smoothing=smoothing)
    with pytest.warns(fn.DivergenceWarning, match="epoch 2 of 9"):
        history = net.fit(X, y, loss=loss, epochs=9, callbacks=[change])
    assert len(history["loss"]) == 1
    assert np.isfinite(net.parameters).all()


class StopError(Exception):
    """Raised in the middle of a step."""


@pytest.fixture
def cancelled(monkeypatch):
    """The check that long calls make between two parts of their work raises StopError."""

    def stop():
        raise StopError

    monkeypatch.setattr(limits, "check_cancelled", stop)


def make_deep_network():
    layers = [fn.Dense(512, "relu") for _ in range(3)]
    return fn.Sequential(*layers, fn.Dense(1), random_state=0).build(64)


@pytest.mark.usefixtures("cancelled")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_long_step_is_abandoned_between_microbatches(n_threads):
    """A step of about a second ends early; the parameters are those from before the step."""
    X, net = np.ones((100_000, 64), "f4"), make_deep_network()
    before = net.parameters.copy()
    with pytest.raises(StopError):
        net.fit(X, X[:, 0], batch_size="full", n_threads=n_threads)
    assert net.n_steps == 0
    assert (net.parameters == before).all()


@pytest.mark.usefixtures("cancelled")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_long_prediction_stops_between_slices(n_threads):
    X, net = np.ones((20_000, 64), "f4"), make_deep_network()
    out = np.full((20_000, 1), np.nan, "f4")
    with pytest.raises(StopError):
        net.predict(X, out=out, n_threads=n_threads)
    assert np.isfinite(out[:100]).all()
    assert np.isnan(out[-100:]).all()
    with pytest.raises(StopError):
        net.evaluate(X, X[:, 0], n_threads=n_threads)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_slices_do_not_change_predictions(n_threads, rng, monkeypatch):
    checks = []
    monkeypatch.setattr(cost_model, "SLICE_FLOPS", 1.0)
    monkeypatch.setattr(limits, "check_cancelled", lambda: checks.append(1))
    X = rng.normal(size=(5000, 7)).astype("f4")
    net = fn.Sequential(fn.Dense(9, "tanh"), fn.Dense(2), random_state=0).build(7)
    parts = [net.predict(part, n_threads=1) for part in np.array_split(X, 60)]
    assert not checks
    assert (net.predict(X, n_threads=n_threads) == np.concatenate(parts)).all()
    assert len(checks) > 10


def _in_child(queue):
    queue.put(fit_small_network(n_threads=None))


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_after_fork_never_hangs():
    """OpenMP's threads exist only in the parent; a child that waits for them would hang."""
    expected = fit_small_network(n_threads=2)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    got = queue.get(timeout=30)
    child.join(timeout=30)
    assert child.exitcode == 0
    assert (got == expected).all()


def run_script(text, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


FORKED = """
    import ctypes, os, sys, warnings
    import numpy as np
    import fastnn as fn
    X = np.random.default_rng(0).normal(size=(512, 20)).astype("f4")
    net = fn.Sequential(fn.Dense(64, "tanh"), fn.Dense(1), random_state=0)
    children = []

    def fork_once(epoch):
        if not children:
            children.append({fork}())

    net.fit(X, X[:, 0], epochs=4, n_threads=2, callbacks=[fork_once])
    if children[0] == 0:
        net.predict(X)
        net.fit(X, X[:, 0], epochs=1)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""


@pytest.mark.process
@pytest.mark.parametrize("fork", ["os.fork", "ctypes.CDLL(None).fork"])
def test_a_child_forked_during_a_fit_continues(fork):
    """Forks by C code, which Python's own hook does not see, are detected too."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = run_script(FORKED.replace("{fork}", fork), env=environment)
    out, err = done.communicate(timeout=60)
    assert out == "7\n", err


NO_THREADS = """
    import resource, sys, warnings
    import numpy as np
    import fastnn as fn
    from fastnn._parallel import limits

    def trained(n_threads):
        X = np.random.default_rng(0).normal(size=(4096, 64)).astype("f4")
        net = fn.Sequential(fn.Dense(128, "relu"), fn.Dense(1), random_state=0)
        net.fit(X, X[:, 0], epochs=2, n_threads=n_threads)
        return net.parameters.copy(), net.predict(X, n_threads=n_threads)

    limits.count_processors = lambda: 8
    expected = trained(1)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    resource.setrlimit(resource.RLIMIT_AS, (used + stack // 2,) * 2)
    for n_threads in (2, 8):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = trained(n_threads)
        print({str(one.message) for one in caught}, all(map(np.array_equal, got, expected)))
    warnings.simplefilter("ignore")
    print(all(map(np.array_equal, trained(None), expected)))
"""


@pytest.mark.process
def test_one_thread_is_used_if_threads_cannot_be_started():
    """OpenMP itself would end the process."""
    out, err = run_script(NO_THREADS, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}).communicate(
        timeout=60
    )
    message = "could not start {} threads, because of a limit on processes or memory; one"
    first, second, last = out.splitlines() or [err, "", ""]
    assert message.format(1) in first
    assert message.format(7) in second
    assert first.endswith("True")
    assert second.endswith("True")
    assert last == "True"


@pytest.mark.process
@pytest.mark.parametrize("size", ["16384B", "48", "64k"])
def test_small_stacks_are_enough(size):
    """Stacks of OpenMP's threads. If they are too small to start a thread, one thread is used."""
    text = """
        import numpy as np
        import fastnn as fn
        X = np.random.default_rng(0).normal(size=(300, 700))
        X[X < 1.5] = 0  # mostly zeros: uses the kernels for sparse inputs
        for dtype in ("float32", "float64"):
            layers = [fn.Dense(1024, "gelu"), fn.Residual(fn.Dense(1024, "elu")), fn.Dense(3)]
            net = fn.Sequential(*layers, random_state=0, dtype=dtype)
            net.fit(X, X[:, :3], epochs=1, batch_size=100, n_threads=2)
            net.predict(X, n_threads=2)
        print("done")
    """
    out, err = run_script(text, env=os.environ | {"OMP_STACKSIZE": size}).communicate(timeout=60)
    assert out == "done\n", err
    assert ("OMP_STACKSIZE leaves its threads less than 64 KB" in err) == (size != "64k")


INTERRUPTED = """
    import sys, time
    import numpy as np
    import fastnn as fn
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20000, 50)).astype("f4"), rng.normal(size=20000)
    net = fn.Sequential(fn.Dense(300, "tanh"), fn.Dense(300, "tanh"), fn.Dense(1), random_state=0)
    net.build(50)
    print("ready", flush=True)
    try:
        net.fit(X, y, epochs=10**6, n_threads=int(sys.argv[1]), batch_size=eval(sys.argv[2]))
    except KeyboardInterrupt:
        print("late", time.time(), flush=True)
    steps = net.n_steps
    whole = fn.Sequential(*net.layers, random_state=0)
    batch = eval(sys.argv[2])
    n = 1 if batch == "full" else -(-20000 // batch)
    whole.fit(X, y, epochs=steps // n, batch_size=batch)
    assert np.isfinite(net.parameters).all()
    assert steps > 0
    if steps % n == 0:
        assert (whole.parameters == net.parameters).all()
    net.partial_fit(X, y, batch_size=batch)
    print("usable", net.evaluate(X, y)["loss"] < 2)
"""


@pytest.mark.process
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", ["100", "'full'"])
def test_ctrl_c_stops_soon_after_a_complete_step(n_threads, batch_size):
    """Within 0.1 s on an idle machine; the limit here allows for delays on a shared one. After
    complete epochs, the parameters are those of an uninterrupted run of the same length."""
    child = run_script(INTERRUPTED, str(n_threads), batch_size)
    assert child.stdout.readline() == "ready\n"
    time.sleep(2 if batch_size == "'full'" else 0.5)  # at least one step
    sent = time.time()
    child.send_signal(signal.SIGINT)
    word, when = child.stdout.readline().split()
    out, err = child.communicate(timeout=60)
    assert word == "late"
    assert float(when) - sent < 1
    assert out == "usable True\n", err


WITHOUT_WEIGHT = """
    import numpy as np
    import fastnn as fn
    X = np.random.default_rng(0).normal(size=(4000, 1))
    weight = np.zeros(4000)
    weight[0] = 1
    for _ in range(20):
        net = fn.Sequential(fn.Dense(1), random_state=0)
        net.fit(X, X[:, 0], sample_weight=weight, epochs=2, batch_size=4, shuffle=False,
                n_threads=2)
    print("done")
"""


@pytest.mark.process
def test_batches_without_weight_never_hang():
    """All threads skip them, and must agree at which step the run ends. A thread that set this flag
    before another had read its value of the previous step made the first fit hang."""
    child = run_script(WITHOUT_WEIGHT)
    try:
        assert child.communicate(timeout=60) == ("done\n", "")
    finally:
        child.kill()


@pytest.mark.process
def test_import_loads_no_optional_package():
    """The modules listed take longer to import than fastnn itself."""
    text = """
        import fastnn, sys
        heavy = ("scipy", "safetensors", "matplotlib", "pandas", "sklearn", "tqdm", "asyncio")
        print([name for name in heavy if name in sys.modules])
    """
    out, err = run_script(text).communicate(timeout=60)
    assert out.strip() == "[]", err


def test_bit_identical_while_the_number_of_threads_changes(monkeypatch):
    """The tuner is made to try one and two threads all the time."""
    run = {
        "layers": [fn.Dense(64, "tanh"), fn.Dense(1)], "n": 3000, "n_features": 30, "dtype": "f4",
        "batch_size": 300, "optimizer": optimizers.Adam(), "weighted": False,
    }  # fmt: skip
    expected = trained(run, 1)
    used = set()
    choose = ThreadTuner.choose

    def chosen(tuner, most):
        n, _ = choose(tuner, most)
        used.add(n)
        return n, 1e-5

    monkeypatch.setattr(ThreadTuner, "choose", chosen)
    monkeypatch.setattr(autotune.Measurements, "decide", lambda self: self.measure_again())
    monkeypatch.setattr(autotune, "DECISIVE_RATIO", np.inf)
    monkeypatch.setattr(autotune, "BLOCKED_RATIO", np.inf)
    monkeypatch.setattr(limits, "FLOPS_PER_THREAD", 1.0)
    monkeypatch.setattr(limits, "get_thread_limit", lambda: 2)
    for got, reference in zip(trained(run, None), expected, strict=True):
        assert (got == reference).all()
    assert used == {1, 2}
