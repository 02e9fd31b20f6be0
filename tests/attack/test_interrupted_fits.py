"""Errors and Ctrl-C at every line of a call: afterwards the object is unchanged, unfitted, or in
the state after its last complete step, and the next call works."""

import copy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn

SOURCES = str(Path(fn.__file__).parent)
ERRORS = [KeyboardInterrupt, MemoryError]
pytestmark = pytest.mark.long


def call_with_error(call, at_line, error):
    """Call a function and raise an error before the n-th executed line of fastnn, n = `at_line`,
    counted from 1. Returns the number of lines that were started, and whether the call raised the
    error."""
    started = 0

    def trace(frame, event, _):
        nonlocal started
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        if event == "line":
            started += 1
            if started == at_line:
                raise error
        return trace

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.settrace(trace)
        try:
            call()
        except error:
            return started, True
        except AttributeError as hidden:  # scikit-learn's error for an unavailable method
            if not isinstance(hidden.__cause__, error):
                raise
            return started, True
        finally:
            sys.settrace(None)
    return started, False


def attack(make, call, check, rounds, error):
    """Raise the error at many lines of `call(make())`, then call `check(object, raised)`."""
    n_lines, _ = call_with_error(lambda: call(make()), 0, error)
    assert n_lines > 5
    n = min(n_lines, rounds(60, n_lines))
    for line in np.unique(np.linspace(1, n_lines, n).astype(int)):
        attacked = make()
        _, raised = call_with_error(lambda: call(attacked), line, error)  # noqa: B023
        try:
            check(attacked, raised)
        except BaseException as failure:
            failure.add_note(f"{error.__name__} at line {line} of {n_lines}")
            raise


def data(seed, n_features=3, n_classes=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((40, n_features)), np.arange(40) % n_classes


X, Y = data(0)
OTHER_X, OTHER_Y = data(1)
OPTIONS = {"epochs": 3, "batch_size": "full", "optimizer": fn.optimizers.Adam(0.1)}


def network():
    return fn.Sequential(fn.Dense(4, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)


def trained():
    net = network()
    net.fit(X, Y, **OPTIONS)
    return net


def after_each_step(net, call):
    """The parameters before and after each step of `call(net)`, which takes a callback."""
    seen = [net.parameters.copy()]
    call(net, lambda epoch: seen.append(epoch.network.parameters.copy()))
    return [parameters.tobytes() for parameters in seen]


@pytest.mark.parametrize("error", ERRORS)
def test_build(error, rounds):
    expected = network().build(3).parameters

    def check(net, _):
        assert (net.n_features_in is None) == (net.state.parameters is None)
        assert np.array_equal(net.build(3).parameters, expected)

    attack(network, lambda net: net.build(3), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_first_training(method, error, rounds):
    options = OPTIONS if method == "fit" else {"batch_size": "full"}
    expected = after_each_step(
        network().build(3), lambda net, see: net.fit(X, Y, callbacks=[see], **OPTIONS)
    )
    if method == "partial_fit":
        expected = [expected[0], network().partial_fit(X, Y, **options).parameters.tobytes()]

    def check(net, _):
        if net.n_features_in is not None:
            assert net.parameters.tobytes() in expected
        else:
            with pytest.raises(ValueError, match="without weights"):
                net.predict(X)
        before = net.n_steps
        net.fit(X, Y, **OPTIONS)
        assert net.n_steps == before + 3

    attack(network, lambda net: getattr(net, method)(X, Y, **options), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_more_training(method, error, rounds):
    first = trained()
    if method == "fit":
        options = OPTIONS | {"validation_data": (X, Y)}
        expected = after_each_step(
            trained(),
            lambda net, see: net.fit(OTHER_X, OTHER_Y, callbacks=[see], **options),
        )
    else:
        options = {"batch_size": "full"}
        more = trained().partial_fit(OTHER_X, OTHER_Y, **options)
        expected = [first.parameters.tobytes(), more.parameters.tobytes()]

    def check(net, _):
        assert net.parameters.tobytes() in expected
        if net.parameters.tobytes() == expected[0] and net.n_steps == first.n_steps:
            assert net.history.n_epochs == first.history.n_epochs
            assert np.array_equal(net.state.optimizer.slots, first.state.optimizer.slots)
        lengths = {len(column) for column in net.history.values()}
        assert len(lengths) <= 1
        net.partial_fit(X, Y)

    attack(
        trained, lambda net: getattr(net, method)(OTHER_X, OTHER_Y, **options), check, rounds, error
    )


@pytest.mark.parametrize("error", ERRORS)
def test_reset(error, rounds):
    first = trained()

    def check(net, _):
        if net.n_features_in is None:
            assert net.seed == 7
            assert net.n_steps == 0
            assert net.history is None
            with pytest.raises(ValueError, match="without weights"):
                net.predict(X)
        else:
            assert net.seed == 0
            assert np.array_equal(net.predict(X), first.predict(X))
            assert net.n_steps == first.n_steps
        net.fit(X, Y, **OPTIONS)

    attack(trained, lambda net: net.reset(7), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
def test_standardizer(error, rounds):
    old, new = fn.Standardizer().fit(X), fn.Standardizer().fit(OTHER_X * 3)
    expected = [fitted.transform(X).tobytes() for fitted in (old, new)]

    def check(standardizer, _):
        assert standardizer.transform(X).tobytes() in expected

    attack(lambda: copy.copy(old), lambda one: one.fit(OTHER_X * 3), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
def test_diverging_training(error, rounds):
    """The network does not keep infinite parameters."""
    options = {"epochs": 20, "batch_size": 8, "optimizer": fn.optimizers.SGD(1e20)}

    def linear():
        return fn.Sequential(fn.Dense(4), fn.Dense(1), random_state=0).build(3)

    def check(net, _):
        assert np.isfinite(net.parameters).all()
        if net.state.optimizer is not None:
            assert np.isfinite(net.state.optimizer.slots).all()

    attack(linear, lambda net: net.fit(X, Y, loss="squared_error", **options), check, rounds, error)
