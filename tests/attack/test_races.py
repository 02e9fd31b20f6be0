"""All kinds of networks on several threads. In every build, results are bit-identical to those of
one thread; under the thread sanitizer (`make tsan`), a data race ends the run.
"""

import threading

import numpy as np
import pytest

import fastnn as fn
from fastnn import losses, optimizers

N_FEATURES, N_OUTPUTS = 12, 3

HIDDEN = [fn.Dense(24, "tanh", l2=0.01), fn.Dense(9, "gelu", l1=0.001)]
NETWORKS = {
    "no hidden layer": [],
    "plain": HIDDEN,
    "dropout": [fn.Dense(30, "relu"), fn.Dropout(0.3), fn.Dense(8, "silu"), fn.Dropout(0.2)],
    "residual": [fn.Dense(16, "relu"), fn.Residual(fn.Dense(16, "tanh", use_bias=False))],
    "wide": [fn.Dense(700, "relu"), fn.Dense(40, "softplus")],
}
OPTIMIZERS = {
    "sgd": optimizers.SGD(0.001),
    "nesterov": optimizers.SGD(0.001, momentum=0.9, nesterov=True, clip_value=0.1),
    "adagrad": optimizers.Adagrad(0.001),
    "rmsprop": optimizers.RMSprop(0.0001),
    "adam, clipped": optimizers.Adam(0.001, clip_norm=0.1),
    "adamw": optimizers.AdamW(0.001),
}
# Rows and batch size: batches of one row; batches shared by all threads, the last with fewer rows
# than threads; batches of several gradient shards; batches of several microbatches.
BATCHES = {
    "one": (9, 1), "few": (50, 16), "shards": (900, "full"), "microbatches": (17_000, "full"),
}  # fmt: skip


def make_targets(rng, loss, n):
    """Random y with the shape and values that a loss expects."""
    if loss == "cross_entropy":
        return rng.integers(N_OUTPUTS, size=n)
    if loss in ("hinge", "perceptron"):
        return rng.choice([-1.0, 1.0], size=(n, N_OUTPUTS))
    if loss in ("binary_cross_entropy", "poisson"):
        return rng.integers(2, size=(n, N_OUTPUTS)).astype(float)
    return rng.normal(size=(n, N_OUTPUTS))


def train_and_predict(network, optimizer, batch, n_threads, loss="squared_error", **options):
    """Parameters, losses and predictions of a small training run."""
    rng = np.random.default_rng(0)
    n, batch_size = BATCHES[batch]
    X, y = rng.normal(size=(n, N_FEATURES)), make_targets(rng, loss, n)
    units = 2 * N_OUTPUTS if loss == "gaussian_nll" else N_OUTPUTS
    net = fn.Sequential(*NETWORKS[network], fn.Dense(units), random_state=1)
    history = net.fit(
        X, y, loss=loss, optimizer=OPTIMIZERS[optimizer], epochs=3, batch_size=batch_size,
        n_threads=n_threads, **options,
    )  # fmt: skip
    return net.parameters.copy(), history["loss"], net.predict(X, n_threads=n_threads)


def assert_same_for_any_n_threads(*arguments, **options):
    one = train_and_predict(*arguments, 1, **options)
    assert np.isfinite(one[0]).all()
    for n_threads in (2, 3, 4):
        for got, expected in zip(
            train_and_predict(*arguments, n_threads, **options), one, strict=True
        ):
            assert (got == expected).all()


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("network", NETWORKS)
def test_networks_and_batches(network, batch):
    if network == "wide" and batch == "microbatches":
        batch = "few"
    assert_same_for_any_n_threads(network, "adam, clipped" if batch == "few" else "sgd", batch)


@pytest.mark.parametrize("batch", ["one", "few", "shards"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer, batch):
    assert_same_for_any_n_threads("plain", optimizer, batch)


@pytest.mark.parametrize("loss", losses.CLASSES)
def test_losses(loss):
    assert_same_for_any_n_threads("plain", "adamw", "few", loss=loss)


@pytest.mark.parametrize("batch", ["one", "few", "shards"])
def test_batches_without_weight(batch):
    """Batches whose sample weights are all 0 are skipped."""
    n, _ = BATCHES[batch]
    weight = np.where(np.arange(n) < 5, 1.0, 0.0)
    for shuffle in (True, False):
        assert_same_for_any_n_threads("plain", "sgd", batch, sample_weight=weight, shuffle=shuffle)


@pytest.mark.parametrize("batch", ["few", "shards"])
def test_sparse_inputs(batch, rng):
    n, batch_size = BATCHES[batch]
    X = np.where(rng.uniform(size=(n, 100)) < 0.05, 1.0, 0.0)
    y = rng.normal(size=n)
    results = []
    for n_threads in (1, 2, 4):
        net = fn.Sequential(fn.Dense(40, "relu"), fn.Dense(1), random_state=0)
        net.fit(X, y, epochs=3, batch_size=batch_size, n_threads=n_threads)
        results.append(net.parameters.copy())
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_divergence_ends_every_thread(rng):
    """A loss that is not finite ends the run at the same step on all threads."""
    X = rng.normal(size=(400, N_FEATURES))
    for n_threads in (1, 2, 4):
        net = fn.Sequential(fn.Dense(20, "relu"), fn.Dense(1), random_state=0)
        with pytest.warns(fn.DivergenceWarning):
            net.fit(X, X[:, 0], optimizer=optimizers.SGD(1e6), batch_size=20, epochs=50,
                    n_threads=n_threads)  # fmt: skip


def test_prediction_of_inputs_that_are_not_finite(rng):
    """Every thread finds NaN among its own rows."""
    net = fn.Sequential(*HIDDEN, fn.Dense(2), random_state=0).build(N_FEATURES)
    X = rng.normal(size=(4000, N_FEATURES)).astype("f4")
    net.predict(X)  # from now on the engine checks the inputs
    X[::7] = np.nan
    for n_threads in (1, 2, 4):
        with pytest.raises(ValueError, match="X: "):
            net.predict(X, n_threads=n_threads)


def test_one_network_predicts_in_many_threads(rng, rounds):
    """Several Python threads predict and evaluate with one network at the same time."""
    net = fn.Sequential(*HIDDEN, fn.Dense(2), random_state=0).build(N_FEATURES)
    X = rng.normal(size=(3000, N_FEATURES)).astype("f4")
    y = rng.normal(size=(3000, 2))
    expected, failures = net.predict(X), []

    def predict(thread):
        for i in range(rounds(10, 300)):
            n = (1, 50, 3000)[i % 3]
            answer = net.predict(X[:n], n_threads=(None, 1, 2)[(i + thread) % 3])
            if not (answer == expected[:n]).all():
                failures.append((thread, i))
        net.evaluate(X, y)

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_networks_trained_in_parallel(rng):
    """Four networks on two threads, which share X. Each result is bit-identical to training that
    network alone."""
    X = rng.normal(size=(300, N_FEATURES))
    y = rng.normal(size=300)
    nets = [fn.Sequential(fn.Dense(5 + i, "tanh"), fn.Dense(1), random_state=i) for i in range(4)]
    fn.fit_many(nets, X, y, epochs=3, n_threads=2)
    for i, net in enumerate(nets):
        alone = fn.Sequential(fn.Dense(5 + i, "tanh"), fn.Dense(1), random_state=i)
        alone.fit(X, y, epochs=3, n_threads=1)
        assert (net.parameters == alone.parameters).all()


def test_networks_of_any_seed(rounds):
    """Layers, batches and optimizers drawn at random."""
    rng = np.random.default_rng(0)
    for _ in range(rounds(5, 300)):
        assert_same_for_any_n_threads(
            rng.choice(list(NETWORKS)), rng.choice(list(OPTIMIZERS)),
            rng.choice(["one", "few", "shards"]), shuffle=bool(rng.integers(2)),
        )  # fmt: skip
