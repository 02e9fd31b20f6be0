"""`fit_many`: each network as if trained alone, the results, failures and interrupts."""

import math
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn as fn
from fastnn import callbacks, losses, optimizers, schedules
from fastnn._parallel import pool

N, N_FEATURES = 90, 5


def table_of_numbers():
    rng = np.random.default_rng(4)
    return rng.normal(size=(N, N_FEATURES)), rng.normal(size=(N, 2)), rng.integers(0, 2, N)


def nets_of(n=4, units=3, outputs=2, **options):
    return [
        fn.Sequential(fn.Dense(units, "tanh"), fn.Dense(outputs), random_state=seed, **options)
        for seed in range(n)
    ]


# ---- results equal training alone --------------------------------------------------------------

OPTIMIZERS = [
    optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    optimizers.Adagrad(0.02),
    optimizers.RMSprop(0.002, clip_value=0.5),
    optimizers.Adam(schedules.CosineDecay(0.01)),
    optimizers.AdamW(0.003, weight_decay=0.1, clip_norm=0.5),
]
WAYS_TO_STOP = [
    [],
    [callbacks.EarlyStopping(patience=1, min_delta=0.01)],
    [callbacks.ReduceOnPlateau(patience=1)],
]


@st.composite
def fits(draw):
    """Draw a network and the settings of its training."""
    units = draw(st.integers(1, 24))
    layers = [fn.Dense(units, draw(st.sampled_from(["tanh", "relu", "gelu"])), l2=0.01)]
    if draw(st.booleans()):
        layers.append(fn.Dropout(0.3))
    if draw(st.booleans()):
        layers.append(fn.Residual(fn.Dense(units, "tanh")))
    rows = draw(st.lists(st.integers(0, N - 11), min_size=1, max_size=80))
    how = {
        "loss": draw(st.sampled_from(["squared_error", losses.Huber(0.5)])),
        "optimizer": draw(st.sampled_from(OPTIMIZERS)),
        "epochs": draw(st.integers(1, 5)),
        "batch_size": draw(st.sampled_from([1, 7, 32, "full"])),
        "shuffle": draw(st.sampled_from([True, "once", False])),
        "callbacks": draw(st.sampled_from(WAYS_TO_STOP)),
    }
    dtype, seed = draw(st.sampled_from(["float32", "float64"])), draw(st.integers(0, 3))
    layers.append(fn.Dense(2))
    subset = draw(st.sampled_from([None, np.array(rows)]))
    # The callbacks monitor the validation loss.
    validation = np.arange(N - 10, N) if how["callbacks"] or draw(st.booleans()) else None
    if validation is not None and subset is None:
        subset = np.arange(N - 10)
    weighted = draw(st.booleans())
    return (
        (lambda: fn.Sequential(*layers, random_state=seed, dtype=dtype)),
        how,
        subset,
        validation,
        weighted,
    )


def assert_same(net, alone):
    assert (net.parameters == alone.parameters).all()
    assert list(net.history) == list(alone.history)
    for name in alone.history:
        if name != "seconds":
            assert (net.history[name] == alone.history[name]).all(), name
    assert net.history.stop_reason == alone.history.stop_reason
    assert (net.n_epochs, net.n_steps) == (alone.n_epochs, alone.n_steps)


@settings(max_examples=20)
@given(st.lists(fits(), min_size=2, max_size=6), st.integers(1, 4))
def test_each_network_is_bit_identical_to_training_alone(mixture, n_threads):
    X, y, _ = table_of_numbers()
    weight = np.random.default_rng(5).uniform(0.5, 2, N)
    nets = [make() for make, *_ in mixture]
    fn.fit_many(
        nets, X, y, **{name: [how[name] for _, how, *_ in mixture] for name in mixture[0][1]},
        subsets=[subset for *_, subset, _, _ in mixture],
        validation_data=[validation for *_, validation, _ in mixture],
        sample_weight=[weight if weighted else None for *_, weighted in mixture],
        n_threads=n_threads,
    )  # fmt: skip
    for net, (make, how, subset, validation, weighted) in zip(nets, mixture, strict=True):
        rows = slice(None) if subset is None else subset
        data = None if validation is None else (
            X[validation], y[validation], *([weight[validation]] if weighted else [])
        )  # fmt: skip
        alone = make()
        alone.fit(X[rows], y[rows], **how, validation_data=data,
                  sample_weight=weight[rows] if weighted else None)  # fmt: skip
        assert_same(net, alone)


def test_a_wide_network_on_all_threads(monkeypatch):
    monkeypatch.setattr("fastnn._training.fit.WIDE_BYTES", 500)
    X, y, _ = table_of_numbers()
    nets = [*nets_of(2, units=3), *nets_of(2, units=60)]
    fn.fit_many(nets, X, y, epochs=3, n_threads=2)
    for net, alone in zip(nets, [*nets_of(2, units=3), *nets_of(2, units=60)], strict=True):
        alone.fit(X, y, epochs=3)
        assert_same(net, alone)


def test_networks_continue_from_their_current_weights():
    X, y, _ = table_of_numbers()
    nets, alone = nets_of(), nets_of()
    for _ in range(2):
        fn.fit_many(nets, X, y, epochs=2)
    for net, other in zip(nets, alone, strict=True):
        other.fit(X, y, epochs=2)
        other.fit(X, y, epochs=2)
        assert (net.parameters == other.parameters).all()


def test_training_can_be_continued_and_saved(tmp_path):
    X, y, _ = table_of_numbers()
    (net,), (alone,) = nets_of(1), nets_of(1)
    fn.fit_many([net], X, y, subsets=range(50), epochs=2)
    alone.fit(X[:50], y[:50], epochs=2)
    net.save(tmp_path / "net")
    for one in (net, alone, again := fn.load(tmp_path / "net")):
        one.partial_fit(X, y)
    assert (net.parameters == alone.parameters).all()
    assert (again.parameters == alone.parameters).all()


def test_a_list_of_targets_has_one_item_per_network(rng):
    X, _, _ = table_of_numbers()
    targets = [rng.normal(size=(N, 2)) for _ in range(4)]
    nets = nets_of()
    fn.fit_many(nets, X, targets, epochs=2)
    for alone, net, own in zip(nets_of(), nets, targets, strict=True):
        alone.fit(X, own, epochs=2)
        assert (net.parameters == alone.parameters).all()


@pytest.mark.parametrize("form", ["mask", "range", "tuple"])
def test_types_of_a_subset(form):
    X, y, _ = table_of_numbers()
    rows = {"mask": np.arange(N) < 40, "range": range(40), "tuple": tuple(range(40))}[form]
    (net,), (alone,) = nets_of(1), nets_of(1)
    fn.fit_many([net], X, y, subsets=rows, epochs=2)
    alone.fit(X[:40], y[:40], epochs=2)
    assert (net.parameters == alone.parameters).all()


def test_input_arrays_are_not_modified():
    X, y, _ = table_of_numbers()
    rows = np.arange(40)
    copies = [array.copy() for array in (X, y, rows)]
    for array in (X, y, rows):
        array.flags.writeable = False
    fn.fit_many(nets_of(dtype="float64"), X, y, subsets=rows, validation_data="held out", epochs=2)
    for array, copy in zip((X, y, rows), copies, strict=True):
        assert (array == copy).all()


# ---- tables and scores ---------------------------------------------------------------------------


def test_table_and_summary():
    X, _, y = table_of_numbers()
    nets = [
        fn.Sequential(
            fn.Dense(units, "relu"), fn.Dropout(0.2), fn.Dense(1, "sigmoid"), random_state=seed)
        for units in (2, 30) for seed in range(3)
    ]  # fmt: skip
    rates = [0.01] * 3 + [0.1] * 3
    runs = fn.fit_many(nets, X, y, epochs=2, optimizer=[optimizers.Adam(r) for r in rates],
                       subsets=range(60), validation_data="held out")  # fmt: skip
    table = runs.table()
    assert table["layers"][0] == "2 relu, dropout 0.2, 1 sigmoid"
    assert table["learning_rate"] == rates
    assert table["seed"] == [0, 1, 2] * 2
    assert table["n_epochs"] == [2] * 6
    assert table["stop_reason"] == [None] * 6
    assert "batch_size" not in table, "all have the same"
    held_out = X[60:], y[60:]
    assert table["score"] == [net.evaluate(*held_out)["accuracy"] for net in nets]
    summary = runs.summary(by="learning_rate")
    assert summary["learning_rate"] == [0.01, 0.1]
    assert summary["mean"] == pytest.approx([np.mean(table["score"][:3]),
                                             np.mean(table["score"][3:])])  # fmt: skip
    assert summary["std"] == pytest.approx([np.std(table["score"][:3], ddof=1),
                                            np.std(table["score"][3:], ddof=1)])  # fmt: skip
    assert summary["count"] == [3, 3]
    assert runs.summary()["count"] == [3, 3]
    assert runs.summary(by=["seed"])["count"] == [2, 2, 2]
    gain = runs.compare({"learning_rate": 0.1}, {"learning_rate": 0.01})
    pairs = np.subtract(table["score"][3:], table["score"][:3])
    assert gain.mean == pytest.approx(pairs.mean())
    assert gain.standard_error == pytest.approx(pairs.std(ddof=1) / math.sqrt(3))
    assert gain.count == 3
    assert runs.best.evaluate(*held_out)["accuracy"] == max(table["score"])
    assert all(run.network is net for run, net in zip(runs, nets, strict=True))
    assert str(table) in repr(runs)


def test_subsets_are_numbered_and_paired():
    X, y, _ = table_of_numbers()
    folds = [range(45), np.arange(45, 90)]
    nets = [*nets_of(2), *nets_of(2)]
    runs = fn.fit_many(nets, X, y, epochs=1, subsets=[folds[0], folds[0], folds[1], folds[1]],
                       batch_size=[1, 2, 1, 2], validation_data="held out")  # fmt: skip
    assert runs.table()["subset"] == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="second: expected runs with the seed and subset"):
        runs.compare({"batch_size": 1}, {"batch_size": 2})  # their seeds differ
    with pytest.raises(ValueError, match="by: expected one of"):
        runs.summary(by="width")
    with pytest.raises(ValueError, match=r"first: expected one of .* Did you mean 'batch_size'"):
        runs.compare({"batchsize": 1}, {"batch_size": 2})


def test_scores_without_validation_data_are_minus_the_loss():
    X, y, _ = table_of_numbers()
    runs = fn.fit_many(nets_of(), X, y, epochs=3)
    assert [run.score for run in runs] == [-run.history["loss"][-1] for run in runs]
    assert runs.best is max(runs, key=lambda run: run.score).network


def test_an_ensemble_of_the_best():
    X, y, _ = table_of_numbers()
    runs = fn.fit_many(nets_of(6), X, y, epochs=3, subsets=range(60), validation_data="held out")
    ranked = sorted(runs, key=lambda run: -run.score)
    assert runs.ensemble(top=2).networks == (ranked[0].network, ranked[1].network)
    assert len(runs.ensemble()) == 6
    with pytest.raises(
        ValueError, match="top: expected a whole number of at least 1 and at most 6"
    ):
        runs.ensemble(top=7)


# ---- failures, time limits, Ctrl-C ---------------------------------------------------------------


def test_a_network_that_diverges_or_fails_does_not_affect_the_others():
    X, y, _ = table_of_numbers()

    def failing(epoch):
        raise ZeroDivisionError("on purpose")

    nets = nets_of(4)
    with pytest.warns(
        RuntimeWarning, match="1 of 4 networks failed, .* on purpose; 3 of 4 .* finished"
    ):
        runs = fn.fit_many(
            nets, X, y, epochs=3, callbacks=[[], [failing], [], []],
            optimizer=["adam", "adam", optimizers.SGD(1e30), "adam"],
        )  # fmt: skip
    alone = nets_of(4)
    for i in (0, 3):
        alone[i].fit(X, y, epochs=3)
        assert_same(nets[i], alone[i])
    reasons = runs.table()["stop_reason"]
    assert reasons[0] is reasons[3] is None
    assert reasons[1] == "failed: ZeroDivisionError: on purpose"
    assert isinstance(runs[1].error, ZeroDivisionError)
    assert reasons[2].startswith("training diverged")
    assert runs[2].history.diverged
    assert math.isnan(runs[1].score)
    assert math.isnan(runs[2].score)
    assert np.isfinite(nets[2].parameters).all()
    assert runs.summary(by="epochs")["count"] == [2]
    assert len(runs.ensemble()) == 2


def test_time_limit():
    X, y, _ = table_of_numbers()
    nets = nets_of(3)
    began = time.monotonic()
    runs = fn.fit_many(nets, X, y, epochs=10**9, max_time=1.0, n_threads=2)
    assert time.monotonic() - began < 10
    assert [run.stop_reason for run in runs] == [
        "time limit reached", "time limit reached", "time limit reached before it started"
    ]  # fmt: skip
    assert runs[0].score == -runs[0].history["loss"][-1]
    assert math.isnan(runs[2].score)
    assert nets[0].predict(X).shape == (N, 2)
    nets[2].fit(X, y, epochs=1)


INTERRUPTED = """
    import sys, warnings
    import numpy as np
    import fastnn as fn
    warnings.simplefilter("always")
    X, y = np.ones((64, 3)), np.ones(64)
    nets = [fn.Sequential(fn.Dense(4, "tanh"), fn.Dense(1), random_state=s) for s in range(5)]
    def say(epoch):
        if epoch.index == 0:
            print("begun\\n", end="", flush=True)  # in one call, because there are two threads
    runs = fn.fit_many(nets, X, y, epochs=[1, *[10**9] * 4], callbacks=[say], n_threads=2)
    print([run.stop_reason for run in runs])
    print(all(np.isfinite(net.predict(X)).all() for net in nets[1:3]), nets[0].n_epochs)
    print(fn.fit_many(nets, X, y, epochs=1).table()["stop_reason"])
"""


@pytest.mark.process
def test_ctrl_c_keeps_finished_networks(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for _ in range(2):  # the long fits start first
            assert child.stdout.readline() == "begun\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()  # otherwise it would run forever
        child.communicate()
    assert child.returncode == 0, err
    lines = [line for line in out.splitlines() if line != "begun"]
    assert lines[0] == str(["interrupted by the user"] * 5)
    assert lines[1] == "True 0"
    assert lines[2] == str([None] * 5)
    assert "RuntimeWarning: interrupted by the user" in err


# ---- workers -------------------------------------------------------------------------------------


def test_the_longest_tasks_start_first_and_results_keep_their_order():
    begun = []
    tasks = [
        pool.Task(lambda i=i: begun.append(i) or i, flops=flops)
        for i, flops in enumerate([1, 5, 3])
    ]  # fmt: skip
    done = pool.run_tasks(tasks, n_threads=1)
    assert [one.value for one in done] == [0, 1, 2]
    assert begun == [1, 2, 0]


def test_nested_calls_use_no_more_threads():
    seen = []

    def inner():
        from fastnn._parallel import limits

        seen.append(limits.get_current_pool().n_threads)

    outer = pool.Task(lambda: pool.run_tasks([pool.Task(inner)] * 2))
    pool.run_tasks([outer] * 2, n_threads=2)
    assert max(seen) <= 2


def test_numpy_error_state_reaches_workers():
    def divide():
        return np.array([1.0]) / 0

    with np.errstate(divide="raise"):
        (done,) = pool.run_tasks([pool.Task(divide)])
    assert isinstance(done.error, FloatingPointError)


def test_the_last_task_gets_all_threads():
    from fastnn._parallel import limits

    seen = []

    def last():
        while limits.get_current_pool().n_active > 1:
            time.sleep(0.001)
        seen.append(limits.get_available_threads(4))

    pool.run_tasks([pool.Task(lambda: None, flops=1), pool.Task(last)], n_threads=2)
    assert seen == [2]


# ---- bad input -----------------------------------------------------------------------------------

SHARED = fn.Sequential(fn.Dense(2), random_state=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": []}, "networks: expected at least one network; got none"),
        ({"networks": SHARED}, "networks: expected a list of Sequential; got Sequential"),
        ({"networks": [SHARED, 3]}, r"networks\[1\]: expected a Sequential; got 3 \(int\)"),
        ({"networks": [SHARED, nets_of(1)[0], SHARED]},
         r"networks\[2\]: expected a different object for each network; got networks\[0\] again"),
        ({"epochs": [1, 2]}, "epochs: expected one value, or a list of 3, one per network; got a "
                             "list of 2"),
        ({"epochs": [1, 2, -1]}, r"networks\[2\]: epochs: expected a whole number of at least 0"),
        ({"loss": ["auto", "hinges", "auto"]}, r"networks\[1\]: loss: expected one of"),
        ({"optimizer": "adan"},
         r"networks\[0\]: optimizer: expected one of .* Did you mean 'adam'"),
        ({"subsets": [range(9), range(9), [0, N]]},
         rf"networks\[2\]: subsets: expected row indices .* to {N - 1}, or a mask; got {N}"),
        ({"subsets": np.array([-1, 3])}, r"networks\[0\]: subsets: expected row indices"),
        ({"subsets": np.array([0.5])}, r"networks\[0\]: subsets: expected row indices"),
        ({"subsets": np.zeros(N, bool)}, "subsets: expected row indices .* got none"),
        ({"subsets": np.ones(N + 1, bool)}, f"or a mask of {N}; got a mask of {N + 1}"),
        ({"subsets": range(9), "validation_data": range(8, 12)},
         r"networks\[0\]: validation_data: expected rows that are not trained on; got 1 that are"),
        ({"validation_data": range(8)},
         "validation_data: expected rows that are not trained on; got 8"),
        ({"validation_data": "held out"}, "validation_data: expected rows outside the subset"),
        ({"validation_data": "held-out"}, "Did you mean 'held out'"),
        ({"validation_data": (np.ones((2, 3)), np.ones((2, 2)))},
         r"networks\[0\]: X of validation_data: expected 5 features"),
        ({"n_threads": 0}, "n_threads: expected a whole number of at least 1"),
        ({"max_time": 0}, "max_time: expected a finite number above 0"),
        ({"X": np.full((N, N_FEATURES), np.nan)}, "X: expected finite numbers"),
        ({"sample_weight": np.r_[np.zeros(50), np.ones(N - 50)], "subsets": range(50)},
         r"networks\[0\]: sample_weight: expected one above 0 in the subset; got none"),
        ({"callbacks": [callbacks.Checkpoint("same")]},
         r"callbacks: expected a Checkpoint with a different path for each network; got 'same'"),
        ({"callbacks": [callbacks.EarlyStopping()]}, r"networks\[0\]: monitor: expected one of"),
    ],
)  # fmt: skip
def test_bad_input(changes, message):
    X, y, _ = table_of_numbers()
    nets = nets_of(3)
    arguments = {"networks": nets, "X": X, "y": y} | changes
    with pytest.raises((ValueError, TypeError), match=message):
        fn.fit_many(arguments.pop("networks"), arguments.pop("X"), arguments.pop("y"), **arguments)
    assert all(net.n_features_in is None and net.n_epochs == 0 for net in nets)


@pytest.mark.parametrize("one_hot", [False, True])
def test_a_subset_without_a_class_is_an_error(one_hot):
    X, _, _ = table_of_numbers()
    y = np.arange(N) // 30
    nets = [fn.Sequential(fn.Dense(3, "softmax"), random_state=seed) for seed in range(2)]
    with pytest.raises(ValueError, match=r"networks\[1\]: subsets: .* got none of class 2"):
        fn.fit_many(nets, X, fn.one_hot(y) if one_hot else y, subsets=[range(90), range(60)])
