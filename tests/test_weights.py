"""Assignment to items of `weights`, `biases`, `coefs_` and `intercepts_`."""

import copy
import pickle
import warnings
from importlib.util import find_spec

import numpy as np
import pytest

import fastnn as fn


def network():
    """Weights (2, 3) and (3, 1); the second layer has no bias."""
    layers = fn.Dense(3, "tanh"), fn.Dense(1, use_bias=False)
    return fn.Sequential(*layers, random_state=0).build(2)


def test_assigning_an_item_changes_the_network():
    net, W = network(), np.arange(6.0).reshape(2, 3)
    X = np.ones((1, 2))
    before = net.predict(X)
    net.weights[0] = W
    net.weights[-1] = [[1], [2], [3]]
    net.biases[0] = [0.5, 0.0, -0.5]
    assert net.weights[0].tolist() == W.tolist()
    assert net.parameters.tolist()[:6] == W.ravel().tolist()
    expected = np.tanh(X @ W + [0.5, 0.0, -0.5]) @ [[1], [2], [3]]
    assert net.predict(X) == pytest.approx(expected, rel=1e-5)
    assert (net.predict(X) != before).all()
    W[:] = 0
    assert net.weights[0][1].tolist() == [3, 4, 5], "the array itself is not kept"


def test_items_can_be_changed_in_place():
    net = network()
    before = net.weights[1].copy()
    net.weights[1] *= 2
    assert (net.weights[1] == 2 * before).all()


def test_assigning_a_slice_changes_the_network():
    net, other = network(), fn.Sequential(*network().layers, random_state=5).build(2)
    net.weights[:] = other.weights
    net.biases[:] = [[1, 2, 3], None]
    assert all(map(np.array_equal, net.weights, other.weights))
    assert net.biases[0].tolist() == [1, 2, 3]
    assert net.biases[1] is None
    with pytest.raises(ValueError, match=r"^weights: expected 2 arrays; got 1$"):
        net.weights[:] = other.weights[:1]


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (np.zeros((3, 2)), ValueError, r"weights\[0\]: expected shape \(2, 3\); got \(3, 2\)"),
        (0.0, ValueError, r"weights\[0\]: expected shape \(2, 3\); got \(\)"),
        (np.full((2, 3), np.nan), ValueError, r"weights\[0\]: expected finite numbers .*float32"),
        (np.full((2, 3), 1e300), ValueError, r"weights\[0\]: expected finite numbers .*float32"),
        ([[1, 2, 3], [1, 2]], ValueError, r"weights\[0\]: expected an array of numbers"),
        (None, TypeError, r"weights\[0\]: expected real numbers"),
        (np.full((2, 3), "a"), TypeError, r"weights\[0\]: expected real numbers"),
    ],
)
def test_invalid_values_are_refused(value, error, message):
    net = network()
    before = net.parameters.copy()
    with pytest.raises(error, match=message):
        net.weights[0] = value
    with pytest.raises(error, match=message):
        net.weights[:] = [value, np.ones((3, 1))]
    assert (net.parameters == before).all()


def test_nothing_is_assigned_if_one_value_is_invalid():
    net = network()
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"weights\[1\]: expected shape"):
        net.weights[:] = [np.ones((2, 3)), np.ones((2, 3))]
    assert (net.parameters == before).all()


def test_views_of_a_network_can_be_swapped():
    net = fn.Sequential(fn.Dense(3), fn.Dense(3), random_state=0).build(3)
    first, second = (w.copy() for w in net.weights)
    net.weights[:] = net.weights[::-1]
    net.weights[0] = net.weights[0].T
    assert (net.weights[0] == second.T).all()
    assert (net.weights[1] == first).all()


def test_layer_without_bias():
    net = network()
    net.biases[1] = None
    with pytest.raises(ValueError, match=r"biases\[1\]: expected None, as .* no bias; got"):
        net.biases[1] = [1.0]
    with pytest.raises(TypeError, match=r"biases\[0\]: expected real numbers"):
        net.biases[0] = None
    with pytest.raises(IndexError):
        net.biases[2] = [1.0]


def test_other_list_operations():
    net = network()
    weights = net.weights
    assert isinstance(weights, list)
    assert len(weights) == 2
    assert [w.shape for w in weights] == [(2, 3), (3, 1)]
    assert [w.shape for w in weights[::-1]] == [(3, 1), (2, 3)]
    assert len(net.weights + net.biases) == len([*net.weights, *net.biases]) == 4
    assert [w.shape for w, _ in zip(net.weights, net.biases, strict=True)] == [(2, 3), (3, 1)]
    assert repr(weights) == repr(list(weights))
    for change in (
        lambda: weights.append(weights[0]),
        lambda: weights.extend([]),
        lambda: weights.insert(0, weights[0]),
        weights.pop,
        weights.clear,
        weights.reverse,
        weights.sort,
        lambda: weights.remove(None),
        lambda: weights.__delitem__(0),
        lambda: weights.__iadd__([1]),
        lambda: weights.__imul__(2),
    ):
        with pytest.raises(TypeError, match=r"weights: expected one array per layer"):
            change()
    assert len(weights) == 2


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), list.copy]
)
def test_copy_is_a_plain_list(copied):
    net = network()
    kept = copied(net.weights)
    assert type(kept) is list
    assert all(map(np.array_equal, kept, net.weights))


def test_copied_weights_can_be_restored():
    net = network()
    best = copy.deepcopy(net.weights)
    net.fit(np.ones((4, 2)), np.ones(4), epochs=2)
    assert not np.array_equal(net.weights[0], best[0])
    net.weights[:] = best
    assert all(map(np.array_equal, best, net.weights))


@pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")
def test_weights_of_an_estimator():
    model = fn.MLPRegressor(hidden_layer_sizes=(2,), activation="identity", max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit([[0.0], [1.0]], [0.0, 1.0])
    model.coefs_[0] = [[1.0, -1.0]]
    model.coefs_[1] = [[2.0], [3.0]]
    model.intercepts_[0] = [0.0, 4.0]
    model.intercepts_[1] = [10.0]
    assert model.predict([[2.0], [5.0]]) == pytest.approx([2 * 2 + 3 * 2 + 10, 2 * 5 - 3 + 10])
    model.intercepts_ = [np.zeros(2), np.zeros(1)]
    assert model.predict([[2.0]]) == pytest.approx([2 * 2 - 3 * 2])
    with pytest.raises(ValueError, match=r"coefs_\[0\]: expected shape \(1, 2\); got \(2, 1\)"):
        model.coefs_[0] = [[1.0], [1.0]]
    with pytest.raises(ValueError, match=r"intercepts_\[1\]: expected finite"):
        model.intercepts_ = [np.zeros(2), [np.inf]]
    with pytest.raises(ValueError, match=r"coefs_: expected 2 arrays; got 1"):
        model.coefs_ = [np.zeros((1, 2))]
    assert len(model.coefs_ + model.intercepts_) == 4
