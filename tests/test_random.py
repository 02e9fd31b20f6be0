"""The compiled random numbers against those of `fastnn._util.prng`, and their distributions."""

import numpy as np
import pytest

import fastnn as fn
from fastnn._util import prng
from fastnn_ext import engine


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_engine_shuffles_like_prng(n, seed):
    permutation = np.empty(n, np.intp)
    for epoch in (0, 1, 5):
        engine.fill_permutation(permutation, None, seed, epoch)
        key = prng.make_key(seed, prng.Purpose.SHUFFLE, epoch)
        assert (permutation == prng.draw_permutation(key, n)).all()


def test_permutations_are_uniform():
    """Each of the 24 orders of 4 rows is about equally frequent."""
    orders = [
        tuple(prng.draw_permutation(prng.make_key(seed, prng.Purpose.SHUFFLE, 0), 4))
        for seed in range(4800)
    ]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 200) ** 2 / 200).sum() < 49.7  # chi-squared, 23 degrees, 0.999


def test_streams_differ():
    keys = [
        prng.make_key(seed, purpose, index)[0]
        for seed in range(10) for purpose in prng.Purpose for index in range(10)
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


def test_uniform_and_normal():
    u = prng.draw_uniform(prng.make_key(1, prng.Purpose.WEIGHTS), (100_000,))
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * len(u))
    z = prng.draw_normal(prng.make_key(2, prng.Purpose.WEIGHTS), (100_000,))
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / len(z))


@pytest.mark.parametrize("draw", [prng.draw_uniform, prng.draw_normal])
def test_drawing_in_pieces_gives_the_same_values(draw, monkeypatch):
    key = prng.make_key(3, prng.Purpose.WEIGHTS)
    whole = draw(key, (100, 7))
    monkeypatch.setattr(prng, "CHUNK_SIZE", 16)
    assert (draw(key, (100, 7)) == whole).all()


def test_same_seed_same_weights_in_both_dtypes():
    nets = [
        fn.Sequential(fn.Dense(7, "tanh"), random_state=3, dtype=d).build(5) for d in ("f4", "f8")
    ]
    assert (nets[0].weights[0] == nets[1].weights[0].astype(np.float32)).all()
    other = fn.Sequential(fn.Dense(7, "tanh"), random_state=4).build(5)
    assert (nets[0].weights[0] != other.weights[0]).all()


def test_random_seed_is_stored():
    first, second = fn.Sequential(fn.Dense(1)), fn.Sequential(fn.Dense(1))
    assert first.seed != second.seed
    again = fn.Sequential(fn.Dense(1), random_state=first.seed).build(3)
    assert (again.parameters == first.build(3).parameters).all()


@pytest.mark.parametrize(
    ("name", "variance"),
    [("glorot_uniform", 2 / 500), ("glorot_normal", 2 / 500), ("he_uniform", 2 / 300),
     ("he_normal", 2 / 300), ("lecun_uniform", 1 / 300), ("lecun_normal", 1 / 300),
     ("normal", 0.05**2), ("uniform", 0.1**2 / 12)],
)  # fmt: skip
def test_variance_of_initializers(name, variance):
    net = fn.Sequential(fn.Dense(200, weight_init=name), random_state=0, dtype="float64").build(300)
    w = net.weights[0]
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 0.03


def test_orthogonal_constant_and_zeros():
    tall = fn.Sequential(fn.Dense(4, weight_init="orthogonal"), random_state=0, dtype="f8").build(9)
    np.testing.assert_allclose(tall.weights[0].T @ tall.weights[0], np.eye(4), atol=1e-14)
    wide = fn.Sequential(fn.Dense(9, weight_init="orthogonal"), random_state=0, dtype="f8").build(4)
    np.testing.assert_allclose(wide.weights[0] @ wide.weights[0].T, np.eye(4), atol=1e-14)
    constant = fn.initializers.Constant(0.5)
    net = fn.Sequential(
        fn.Dense(2, weight_init=constant, bias_init=1.5), fn.Dense(1, weight_init="zeros")
    ).build(3)
    assert (net.weights[0] == 0.5).all()
    assert (net.biases[0] == 1.5).all()
    assert not net.weights[1].any()


def test_auto_follows_the_activation():
    choose_initializer = fn.initializers.choose_initializer
    activation = fn.activations.Activation
    assert choose_initializer(activation("relu")).rule == "he"
    assert choose_initializer(activation("selu")).rule == "lecun"
    assert choose_initializer(activation("tanh")).rule == "glorot"
