"""Training runs of the native engine against the reference in float64: every optimizer, schedule
and regularizer over 200 steps. They detect, for example, a wrong bias correction or permutation."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastnn as fn
from fastnn import optimizers, reference, schedules
from fastnn._engine import native
from fastnn.losses import HEADS

N = 50
EPOCHS, BATCH = 29, 8  # 7 batches an epoch, the last one ragged: 203 steps

ALL_OPTIMIZERS = [
    optimizers.SGD(0.05),
    optimizers.SGD(0.02, momentum=0.9),
    optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    optimizers.Adagrad(0.05),
    optimizers.RMSprop(0.005),
    optimizers.Adam(0.01),
    optimizers.AdamW(0.01, weight_decay=0.1),
    optimizers.Adam(0.01, clip_norm=0.3),
    optimizers.SGD(0.05, clip_value=0.02),
    optimizers.SGD(0.05, momentum=0.5, clip_value=0.1, clip_norm=0.2),
]
ALL_SCHEDULES = [
    schedules.Constant(0.02),
    schedules.StepDecay(0.03, every=40),
    schedules.ExponentialDecay(0.03, every=50),
    schedules.InverseTimeDecay(0.03, decay=0.02),
    schedules.LinearDecay(0.03, 0.001, n_steps=150),
    schedules.LinearDecay(0.03),
    schedules.CosineDecay(0.03),
    schedules.FlatCosine(0.03),
    schedules.Cyclic(0.001, 0.03, half_cycle=25),
    schedules.Cyclic(0.001, 0.03, half_cycle=25, mode="triangular2"),
    schedules.WarmRestarts(0.03, first_period=20),
    schedules.OneCycle(0.05),
    schedules.Warmup(schedules.CosineDecay(0.03), n_steps=20),
]
REGULARIZERS = {
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.1},
    "both": {"l1": 0.003, "l2": 0.02},
}


def data(rng):
    X = rng.normal(size=(N, 3))
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2]


def network(dtype="float64", **dense):
    return fn.Sequential(
        fn.Dense(8, "tanh", **dense), fn.Residual(fn.Dense(8, "silu", **dense)), fn.Dense(1),
        random_state=1, dtype=dtype,
    )  # fmt: skip


def assert_same_training(make, X, y, **options):
    """Check that parameters, losses and optimizer state agree to 1e-10, and that training had an
    effect."""
    options = {"epochs": EPOCHS, "batch_size": BATCH} | options
    nets = {engine: make() for engine in ("native", "reference")}
    histories = {engine: net.fit(X, y, engine=engine, **options) for engine, net in nets.items()}
    native, other = nets["native"], nets["reference"]
    np.testing.assert_allclose(native.parameters, other.parameters, rtol=1e-10, atol=1e-12)
    losses = [histories[engine]["loss"] for engine in ("native", "reference")]
    np.testing.assert_allclose(*losses, rtol=1e-10)
    assert native.n_steps == other.n_steps
    assert not np.allclose(native.parameters, make().build(X.shape[1]).parameters)
    return native


@pytest.mark.parametrize("optimizer", ALL_OPTIMIZERS, ids=str)
def test_optimizer(optimizer, rng):
    net = assert_same_training(network, *data(rng), optimizer=optimizer)
    assert net.n_steps == 203


def test_every_optimizer_is_tested():
    assert {type(one) for one in ALL_OPTIMIZERS} == set(optimizers.CLASSES.values())


@pytest.mark.parametrize("schedule", ALL_SCHEDULES, ids=str)
def test_schedule(schedule, rng):
    assert_same_training(network, *data(rng), optimizer=optimizers.SGD(schedule, momentum=0.5))


def test_every_schedule_is_tested():
    assert {type(one) for one in ALL_SCHEDULES} == set(schedules.CLASSES)


@pytest.mark.parametrize("penalties", REGULARIZERS.values(), ids=REGULARIZERS)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_penalty(penalties, optimizer, rng):
    assert_same_training(lambda: network(**penalties), *data(rng), optimizer=optimizer)


@pytest.mark.parametrize("shuffle", [True, "once", False])
@pytest.mark.parametrize("batch_size", [1, 7, 50, "full"])
def test_shuffle_and_batch_size(shuffle, batch_size, rng):
    assert_same_training(network, *data(rng), shuffle=shuffle, batch_size=batch_size, epochs=4)


@pytest.mark.parametrize("penalty", [0, 0.01])
@pytest.mark.parametrize("optimizer", ALL_OPTIMIZERS, ids=str)
def test_batch_of_one(optimizer, penalty, dtype, rng):
    """A batch of one row has separate kernels, which prefetch the next row; a batch of one row and
    a row of weight 0 uses the general kernels."""
    X = rng.normal(size=(20, 70)).astype(dtype)
    y = rng.normal(size=20)
    weight = np.ones(20)
    weight[[0, 7, 19]] = 0  # no step
    weight[3] = 2
    pairs = np.repeat(X, 2, axis=0), np.repeat(y, 2), np.stack([weight, 0 * weight], 1).ravel()
    nets = []
    for batch_size, (inputs, targets, weights) in enumerate([(X, y, weight), pairs], start=1):
        net = fn.Sequential(
            fn.Dense(64, "silu", l2=penalty), fn.Dense(5, "tanh", use_bias=False), fn.Dense(1),
            random_state=1, dtype=dtype,
        )  # fmt: skip
        net.fit(inputs, targets, sample_weight=weights, optimizer=optimizer, epochs=3,
                batch_size=batch_size, shuffle=False)  # fmt: skip
        nets.append(net)
    assert (nets[0].parameters == nets[1].parameters).all()
    assert (nets[0].history["loss"] == nets[1].history["loss"]).all()
    assert nets[0].n_steps == nets[1].n_steps


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_features", [3, 64, 1100])
@pytest.mark.parametrize("units", [1, 7, 100])
def test_skipping_zeros_is_bit_identical(units, n_features, n_threads, dtype, rng, monkeypatch):
    """With columns and rows of zeros, and batch sizes that are not multiples of a tile."""
    X = rng.normal(size=(61, n_features)) * (rng.random((61, n_features)) < 0.1)
    X[:, 1:3] = 0
    X[5:20] = 0
    y = rng.normal(size=61)
    monkeypatch.setattr(native, "FEWEST_SPARSE_FEATURES", 0)
    monkeypatch.setattr(native, "FEWEST_SPARSE_UNITS", 0)
    nets = []
    for limit in (-1, 1):
        monkeypatch.setattr(native, "MOST_NONZERO_FRACTION", limit)
        net = fn.Sequential(fn.Dense(units, "gelu"), fn.Dense(1), random_state=1, dtype=dtype)
        net.fit(X, y, epochs=3, batch_size=37, n_threads=n_threads)
        nets.append(net)
    assert (nets[0].parameters == nets[1].parameters).all()
    assert (nets[0].history["loss"] == nets[1].history["loss"]).all()


def test_zeros_are_skipped_only_in_sparse_inputs(rng, monkeypatch):
    """In one-hot columns, but not in dense columns or narrow layers."""
    results = []
    look = native._has_many_zeros
    monkeypatch.setattr(
        native,
        "_has_many_zeros",
        lambda *arguments: results.append(look(*arguments)) or results[-1],
    )
    one_hot = np.eye(80)[rng.integers(0, 80, size=200)]
    for X, units in ((one_hot, 32), (one_hot, 31), (one_hot[:, :63], 32), (1 + one_hot, 32)):
        fn.Sequential(fn.Dense(units, "relu"), fn.Dense(1), random_state=0).fit(
            X, X[:, 0], epochs=1
        )
    assert results == [True, False, False, False]


def test_dropout_and_sample_weight(rng):
    X, y = data(rng)
    weight = rng.integers(0, 3, size=N).astype(float)
    assert_same_training(
        lambda: fn.Sequential(
            fn.Dropout(0.1), fn.Dense(9, "elu"), fn.Residual(fn.Dropout(0.5), fn.Dense(9, "gelu")),
            fn.Dense(1), random_state=5, dtype="float64"),
        X, y, sample_weight=weight, optimizer=optimizers.Adam(0.003),
    )  # fmt: skip


def test_batch_of_zero_weight_makes_no_step(rng):
    X, y = data(rng)
    weight = np.ones(N)
    weight[:BATCH] = 0
    net = assert_same_training(network, X, y, sample_weight=weight, shuffle=False, epochs=2)
    once = network().build(3)
    before = once.parameters.copy()
    once.fit(X[:BATCH + 1], y[:BATCH + 1], sample_weight=[0.0] * BATCH + [1.0], batch_size=BATCH,
             shuffle=False, epochs=1, optimizer="sgd")  # fmt: skip
    just_last = network().build(3)
    just_last.fit(X[BATCH : BATCH + 1], y[BATCH : BATCH + 1], epochs=1, optimizer="sgd")
    assert (once.parameters == just_last.parameters).all()
    assert (once.parameters != before).any()
    assert np.isfinite(net.history["loss"]).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "hinge", "perceptron"])
def test_classification(loss, rng):
    X, y = data(rng)
    outputs = 2 if loss == "cross_entropy" else 1
    assert_same_training(
        lambda: fn.Sequential(
            fn.Dense(6, "relu"), fn.Dense(outputs), random_state=1, dtype="float64"),
        X, y > 0, loss=loss,
    )  # fmt: skip


@pytest.mark.parametrize("outputs", [2, 256, 257])
def test_many_outputs(outputs, rng):
    """Element-wise losses process 256 outputs at a time."""
    X, _ = data(rng)
    y = rng.standard_normal((N, outputs))
    make = lambda: fn.Sequential(fn.Dense(outputs), random_state=1, dtype="float64")  # noqa: E731
    assert_same_training(make, X, y, loss="huber", epochs=3)


def test_float32_follows_float64(rng):
    """The results are not equal, but similar."""
    X, y = data(rng)
    nets = [network(dtype) for dtype in ("float32", "float64")]
    losses = [net.fit(X, y, epochs=10, batch_size=BATCH)["loss"] for net in nets]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_fit_continues_with_fresh_optimizer_and_new_shuffles(rng):
    X, y = data(rng)
    net = network()
    net.fit(X, y, epochs=3)
    first = net.parameters.copy()
    net.fit(X, y, epochs=3)
    again = network()
    again.fit(X, y, epochs=3)
    assert (again.parameters == first).all()
    again.state.n_epochs = 0  # the same shuffles once more: not what the second fit above had
    again.fit(X, y, epochs=3)
    assert (again.parameters != net.parameters).any()


def test_partial_fit_equals_fit(rng):
    """Optimizer, schedule, permutations and dropout continue."""
    X, y = data(rng)
    make = lambda: fn.Sequential(  # noqa: E731
        fn.Dense(8, "tanh"), fn.Dropout(0.2), fn.Dense(1), random_state=1
    )
    options = {"optimizer": optimizers.Adam(schedules.CosineDecay(0.01, n_steps=21))}
    single, pieces = make(), make()
    single.fit(X, y, epochs=3, batch_size=BATCH, **options)
    for _ in range(3):
        pieces.partial_fit(X, y, batch_size=BATCH, **options)
    assert (single.parameters == pieces.parameters).all()


def test_partial_fit_after_fit_keeps_its_loss_and_optimizer(rng):
    X, y = data(rng)
    net, one = network(), network()
    net.fit(X, y, epochs=2, loss="huber", optimizer=optimizers.Adam(0.01))
    net.partial_fit(X, y)
    one.fit(X, y, epochs=3, loss="huber", optimizer=optimizers.Adam(0.01))
    assert (net.parameters == one.parameters).all()


def test_reset_starts_over(rng):
    X, y = data(rng)
    net = network()
    net.fit(X, y, epochs=2)
    first = net.parameters.copy()
    net.reset().fit(X, y, epochs=2)
    assert (net.parameters == first).all()
    net.reset(random_state=9).fit(X[:, :2], y, epochs=2)
    assert net.n_features_in == 2


def test_weights_and_biases_are_views():
    net = fn.Sequential(fn.Dense(4), fn.Dense(2, use_bias=False), random_state=0).build(3)
    assert [w.shape for w in net.weights] == [(3, 4), (4, 2)]
    assert net.biases[1] is None
    net.weights[0][:] = 0
    net.biases[0][:] = [1, 2, 3, 4]
    net.weights[1][:] = 1
    assert (net.predict(np.ones((1, 3))) == [[10, 10]]).all()
    assert net.n_parameters == 3 * 4 + 4 + 4 * 2


def test_prediction_of_a_row_does_not_depend_on_the_others(rng, dtype):
    X = rng.normal(size=(5000, 7))
    net = fn.Sequential(
        fn.Dense(33, "gelu"), fn.Dense(5, "softmax"), random_state=0, dtype=dtype
    ).build(7)
    together = net.predict(X, n_threads=2)
    for row in (0, 1, 17, 4095, 4096, 4999):
        assert (net.predict(X[row : row + 1]) == together[row]).all()


def test_evaluate_equals_loss_of_predictions(rng, dtype):
    X, y = data(rng)
    net = fn.Sequential(
        fn.Dense(4, "tanh", l2=0.1), fn.Dense(1), random_state=0, dtype=dtype
    ).build(3)
    weight = rng.uniform(size=N)
    errors = (net.predict(X)[:, 0] - y) ** 2
    expected = np.average(errors, weights=weight) + 0.05 * (net.weights[0] ** 2).sum()
    scores = net.evaluate(X, y, sample_weight=weight)
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)
    assert set(scores) == {"loss", "r2"}
    assert net.loss_and_gradients(X, y, sample_weight=weight)[0] == pytest.approx(
        scores["loss"], rel=1e-5
    )


@pytest.mark.parametrize("n_threads", [1, 2, 3, None])
@pytest.mark.parametrize(("loss", "head"), [(loss, head) for loss in HEADS for head in HEADS[loss]])
def test_evaluate_equals_the_objective_for_many_rows_and_targets(loss, head, n_threads, rng):
    """Each row has its own targets, in every slice of every thread; the objective of a full batch
    and the reference give the same loss."""
    net = fn.Sequential(fn.Dense(5, "tanh"), fn.Dense(4, head), random_state=0, dtype="float64")
    X = rng.normal(size=(700, 3))
    y = {
        "cross_entropy": rng.dirichlet(np.ones(4), 700),
        "gaussian_nll": rng.normal(size=(700, 2)),
        "poisson": rng.poisson(2.0, size=(700, 4)),
    }.get(loss, rng.integers(2, size=(700, 4)))
    weight = rng.uniform(0.1, 2, 700)
    net.build(3)
    options = {"loss": loss, "sample_weight": weight}
    found = net.evaluate(X, y, **options, n_threads=n_threads)["loss"]
    for engine in ("native", "reference"):
        expected, _ = net.loss_and_gradients(X, y, **options, engine=engine)
        assert found == pytest.approx(expected, rel=1e-12)
    history = net.fit(X, y, loss=loss, epochs=1, validation_data=(X, y, weight))
    expected, _ = net.loss_and_gradients(X, y, **options)
    assert history["val_loss"][0] == pytest.approx(expected, rel=1e-12)


def test_predictor_is_bound_to_the_network(rng, dtype):
    """The compiled predictor reads arrays without conversion, uses changed weights, refuses invalid
    arrays, and is not pickled."""
    net = fn.Sequential(
        fn.Dense(9, "tanh"), fn.Dense(2, "softmax"), random_state=0, dtype=dtype
    ).build(4)
    X = rng.normal(size=(3, 4)).astype(dtype)
    first = net.predict(X)
    assert net.state.predictor is not None
    assert (net.state.predictor(X, None, True, None) == first).all()
    for other in (X[:, ::-1], X[:, :3].copy(), np.asfortranarray(X), X.astype("f2"), X.tolist()):
        assert net.state.predictor(other, None, True, None) is None
    X[1, 2] = np.nan
    assert net.state.predictor(X, None, True, None) is None
    with pytest.raises(ValueError, match="X: expected finite numbers"):
        net.predict(X)
    assert np.isnan(net.predict(X, check_finite=False)[1]).all()
    net.parameters[:] = 0
    assert (net.predict(np.ones((1, 4), dtype)) == 0.5).all()
    again = pickle.loads(pickle.dumps(net))
    assert (again.predict(np.ones((1, 4), dtype)) == 0.5).all()


@pytest.mark.parametrize("head", [fn.Dense(2, "softmax"), fn.Dense(1)])
@pytest.mark.parametrize("n", [1, 7, 8, 95, 96, 97, 1000])
def test_predictions_are_independent_of_rows_and_threads(rng, dtype, n, head):
    net = fn.Sequential(
        fn.Dropout(0.5), fn.Residual(fn.Dense(7, "tanh")), fn.Dense(33, "silu"), head,
        random_state=0, dtype=dtype,
    ).build(7)  # fmt: skip
    X = rng.normal(size=(n, 7)).astype(dtype)
    together = net.predict(X)
    for n_threads in (1, 2, 3, 4):
        assert net.predict(X, n_threads=n_threads).tobytes() == together.tobytes()
    for row in {0, n // 2, n - 1}:
        assert (net.predict(X[row : row + 1]) == together[row]).all()
    expected = reference.predict(net.layers, net.parameters, X)
    rtol = 1e-4 if dtype == "float32" else 1e-12
    atol = rtol if head.activation.name == "linear" else 0  # such outputs may be near zero
    np.testing.assert_allclose(together, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("n", [1, 1000])
def test_predict_writes_into_out(rng, dtype, n):
    net = fn.Sequential(fn.Dense(9, "tanh"), fn.Dense(2), random_state=0, dtype=dtype).build(4)
    X = rng.normal(size=(n, 4)).astype(dtype)
    for features in (X, X.tolist(), np.asfortranarray(X)):
        out = np.full((n, 2), 7, dtype)
        assert net.predict(features, out=out) is out
        assert (out == net.predict(X)).all()


def test_out_must_not_share_memory_with_x(rng, dtype):
    net = fn.Sequential(fn.Dense(4, "tanh"), random_state=0, dtype=dtype).build(4)
    memory = rng.normal(size=(4, 4)).astype(dtype)
    before = memory.copy()
    for _ in range(2):  # before and after a predictor is bound
        with pytest.raises(ValueError, match=r"out: expected .* no memory with X"):
            net.predict(memory[:3], out=memory[1:])
        assert (memory == before).all()
        net.predict(memory)


def test_predictions_from_many_threads(rng):
    net = fn.Sequential(fn.Dense(64, "gelu"), fn.Dense(3), random_state=0).build(20)
    X = rng.normal(size=(200, 20)).astype(np.float32)
    expected = net.predict(X)
    with ThreadPoolExecutor(4) as pool:
        rows = pool.map(lambda i: net.predict(X[i % 200 : i % 200 + 1]), range(2000))
        assert all((row == expected[i % 200]).all() for i, row in enumerate(rows))
