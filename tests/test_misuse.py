"""Misuse that would otherwise give wrong results without an error: output written over parameters,
masked arrays, initial values beyond the range of the dtype, and training in two threads."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pytest

import fastnn as fn
from fastnn import metrics
from fastnn._training.exclusive import lock_model

X = np.random.default_rng(0).standard_normal((40, 3))
Y = np.arange(40) % 2


def network(dtype="float64", **options):
    return fn.Sequential(fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid"), dtype=dtype, **options)


# ---- out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True])
def test_out_must_not_share_memory_with_parameters(warm, dtype):
    net = network(dtype, random_state=0).build(3)
    before, rows = net.parameters.copy(), X[:5].astype(dtype)
    if warm:  # the way of a bound predictor
        net.predict(rows)
    for out in (net.parameters[:5].reshape(5, 1), net.parameters[-5:].reshape(5, 1)):
        with pytest.raises(ValueError, match=r"out: expected .* memory with the network's"):
            net.predict(rows, out=out)
    assert np.array_equal(net.parameters, before)


# ---- masks ---------------------------------------------------------------------------------------


def masked(values):
    return np.ma.masked_array(values, mask=np.arange(np.size(values)).reshape(values.shape) == 7)


REFUSED = r"expected values without a mask; got 1 masked.*filled"


def test_networks_refuse_masked_values():
    net, weights = network().build(3), np.ones(40)
    for call, name in [
        (lambda: net.fit(masked(X), Y), "X"),
        (lambda: net.fit(X, masked(Y)), "y"),
        (lambda: net.fit(X, Y, sample_weight=masked(weights)), "sample_weight"),
        (lambda: net.fit(X, Y, validation_data=(masked(X), Y)), "X of validation_data"),
        (lambda: net.partial_fit(masked(X), Y), "X"),
        (lambda: net.fit(list(masked(X)), Y), "X"),
        (lambda: net.predict(masked(X)), "X"),
        (lambda: net.evaluate(X, masked(Y)), "y"),
        (lambda: fn.fit_many([net], X, Y, subsets=masked(np.arange(40))), "subsets"),
        (lambda: fn.Standardizer().fit(masked(X)), "X"),
        (lambda: fn.one_hot(masked(Y)), "labels"),
        (lambda: metrics.accuracy(masked(Y), Y), "y_true"),
    ]:
        with pytest.raises(ValueError, match=f"{name}: {REFUSED}"):
            call()
    assert net.n_steps == 0


@pytest.mark.usefixtures("recwarn")
def test_estimators_refuse_masked_values():
    pytest.importorskip("sklearn")
    warnings.simplefilter("ignore")  # that max_iter was reached
    model = fn.MLPClassifier((4,), max_iter=2).fit(X, Y)
    ensemble = fn.MLPEnsemble(model, n_estimators=2).fit(X, Y)
    perceptron = fn.Perceptron(max_iter=1)
    for call, name in [
        (lambda: model.fit(masked(X), Y), "X"),
        (lambda: model.fit(X, masked(Y)), "y"),
        (lambda: model.fit(X, Y, sample_weight=masked(np.ones(40))), "sample_weight"),
        (lambda: model.fit(X, Y, X_val=masked(X), y_val=Y), "X"),
        (lambda: model.partial_fit(X, masked(Y)), "y"),
        (lambda: model.predict(masked(X)), "X"),
        (lambda: model.predict_log_proba(masked(X)), "X"),
        (lambda: ensemble.fit(masked(X), Y), "X"),
        (lambda: ensemble.predict(masked(X)), "X"),
        (lambda: fn.MLPSearchCV(model, {"width": [2]}).fit(X, masked(Y)), "y"),
        (lambda: perceptron.fit(masked(X), Y), "X"),
    ]:
        with pytest.raises(ValueError, match=f"{name}: {REFUSED}"):
            call()


def test_masked_array_without_masked_values_is_accepted():
    plain = network(random_state=0)
    plain.fit(X, Y, epochs=1)
    same = network(random_state=0)
    same.fit(np.ma.masked_array(X), np.ma.masked_array(Y, mask=False), epochs=1)
    assert np.array_equal(same.parameters, plain.parameters)


# ---- initial values ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bias_init", 1e300),
        ("weight_init", fn.initializers.Constant(-1e300)),
        ("weight_init", fn.initializers.Uniform(0.0, 1e300)),
        ("weight_init", fn.initializers.Normal(std=1e300)),
    ],
)
def test_initial_values_beyond_the_range_of_the_dtype(name, value):
    net = fn.Sequential(fn.Dense(4), fn.Dense(1, **{name: value}))
    for call in (lambda: net.build(3), lambda: net.fit(X, Y)):
        with pytest.raises(ValueError, match=rf"{name}: .*range of float32.*layer 1"):
            call()
        assert net.n_features_in is None
    fn.Sequential(fn.Dense(4), fn.Dense(1, **{name: value}), dtype="float64").build(3)


# ---- two threads ---------------------------------------------------------------------------------


class FitInThread:
    """A fit in another thread, which waits in its first epoch until the block ends."""

    def __init__(self, fit):
        self.fit = fit
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        self.fit(self.wait)

    def wait(self, _):
        self.begun.set()
        assert self.go_on.wait(30)

    def __enter__(self):
        self.thread.start()
        assert self.begun.wait(30)

    def __exit__(self, *_):
        self.go_on.set()
        self.thread.join()


REFUSED_THREAD = "expected a model that no other thread is training"


def test_second_thread_cannot_train_a_network():
    net, expected = (network(random_state=0) for _ in range(2))
    with FitInThread(lambda wait: net.fit(X, Y, epochs=3, callbacks=[wait])):
        before = net.parameters.copy()
        for call in (net.fit, net.partial_fit):
            with pytest.raises(RuntimeError, match=REFUSED_THREAD):
                call(X, Y)
        with pytest.warns(RuntimeWarning, match="no other thread"):
            fn.fit_many([net], X, Y)
        assert np.array_equal(net.parameters, before)
        assert len(net.predict(X)) == 40
        copy.deepcopy(net).fit(X, Y)
        pickle.loads(pickle.dumps(net)).fit(X, Y)
    expected.fit(X, Y, epochs=3)
    assert np.array_equal(net.parameters, expected.parameters)
    net.fit(X, Y)


def test_second_thread_cannot_fit_an_estimator():
    pytest.importorskip("sklearn")

    def slow(wait):
        def scorer(model, X, y):
            wait(None)
            return model.predict(X).mean()

        model.set_params(scoring=scorer).fit(X, Y, X_val=X, y_val=Y)

    model = fn.MLPClassifier((4,), max_iter=3, tol=10, n_iter_no_change=1, random_state=0)
    model.fit(X, Y)
    expected = model.predict_proba(X)
    with FitInThread(slow):
        for call in (model.fit, model.partial_fit):
            with pytest.raises(RuntimeError, match=REFUSED_THREAD):
                call(X, Y)
        assert np.array_equal(model.predict_proba(X), expected)  # as before the other fit
    model.fit(X, Y, X_val=X, y_val=Y)


def test_callback_can_use_its_network():
    net = network(random_state=0)
    net.fit(X, Y, epochs=2, callbacks=[lambda epoch: epoch.network.evaluate(X, Y) and None])
    net.partial_fit(X, Y)


def test_lock_of_an_ended_thread_is_ignored():
    net = network()
    left = lock_model(net)
    thread = threading.Thread(target=left.__enter__)  # as one that was interrupted at its end
    thread.start()
    thread.join()
    net.fit(X, Y, epochs=1)
