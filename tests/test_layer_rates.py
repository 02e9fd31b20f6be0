"""Learning-rate factors of layers, and the layer Scale, in training."""

import numpy as np
import pytest
import scipy.sparse

import fastnn as fn

X = np.random.default_rng(0).normal(size=(67, 5))
Y = np.tanh(X[:, :2] @ [[1.0, 2.0], [-1.0, 0.5]])
OPTIMIZERS = [
    fn.optimizers.SGD(0.05),
    fn.optimizers.SGD(0.02, momentum=0.9),
    fn.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    fn.optimizers.Adagrad(0.05),
    fn.optimizers.RMSprop(0.005),
    fn.optimizers.Adam(0.01),
    fn.optimizers.AdamW(0.01, weight_decay=0.3),
    fn.optimizers.AdamW(0.01, weight_decay=0.3, clip_norm=0.1, clip_value=0.05),
]
NETWORKS = {
    "factors": [
        fn.Dense(7, "tanh", learning_rate_factor=0.3, bias_learning_rate_factor=2),
        fn.Dense(1, "tanh", learning_rate_factor=2),
        fn.Dense(2, bias_learning_rate_factor=0),
    ],
    "scale": [
        fn.Scale(learning_rate_factor=2),
        fn.Dense(7, "tanh", learning_rate_factor=0.5),
        fn.Residual(fn.Scale(0.5), fn.Dense(7, "relu"), fn.Scale(0.5)),
        fn.Dropout(0.2),
        fn.Dense(2),
    ],
    "scale last": [fn.Dense(2, "tanh"), fn.Scale()],
}


def train(layers, X=X, y=Y, epochs=4, dtype="float64", **options):
    net = fn.Sequential(*layers, dtype=dtype, random_state=1)
    net.fit(X, y, epochs=epochs, **options)
    return net


@pytest.mark.parametrize("batch_size", [1, 8, "full"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_training_equals_the_reference(name, optimizer, batch_size):
    options = {"optimizer": optimizer, "batch_size": batch_size}
    got = train(NETWORKS[name], **options)
    expected = train(NETWORKS[name], engine="reference", **options)
    np.testing.assert_allclose(got.parameters, expected.parameters, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:-1], ids=str)
def test_a_factor_for_all_layers_is_a_learning_rate(optimizer):
    rate = optimizer.learning_rate
    with_factor = [fn.Dense(6, "tanh", learning_rate_factor=0.25),
                   fn.Dense(2, learning_rate_factor=0.25)]  # fmt: skip
    lower = type(optimizer)(**vars(optimizer) | {"learning_rate": rate / 4})
    got = train(with_factor, optimizer=optimizer)
    expected = train([fn.Dense(6, "tanh"), fn.Dense(2)], optimizer=lower)
    np.testing.assert_allclose(got.parameters, expected.parameters, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_a_factor_of_zero_keeps_the_parameters(optimizer, batch_size):
    layers = [fn.Scale(learning_rate_factor=0), fn.Dense(4, "tanh", learning_rate_factor=0),
              fn.Dense(2, bias_learning_rate_factor=0)]  # fmt: skip
    before = fn.Sequential(*layers, dtype="float64", random_state=1).build(5)
    after = train(layers, optimizer=optimizer, batch_size=batch_size)
    assert (after.weights[0] == before.weights[0]).all()
    assert (after.weights[1] == before.weights[1]).all()
    assert (after.biases[1] == before.biases[1]).all()
    assert (after.biases[2] == before.biases[2]).all()
    assert (after.weights[2] != before.weights[2]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "batch_size"), [(300, 1), (20_000, 256), (20_000, "full")])
def test_bits_are_equal_for_1_to_4_threads(n, batch_size, dtype):
    """A batch of one row; gradient shards, as the network is narrow; several microbatches."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(n, 30)), rng.normal(size=(n, 2))
    layers = [fn.Scale(learning_rate_factor=6), *NETWORKS["scale"][1:]]
    one, *others = (
        train(layers, X, y, 2, dtype, batch_size=batch_size, n_threads=n_threads).parameters
        for n_threads in (1, 2, 3, 4)
    )
    assert np.isfinite(one).all()
    assert all((other == one).all() for other in others)


def test_scale_reads_any_layout_of_features():
    expected = train(NETWORKS["scale"]).predict(X)
    fortran, frozen = np.asfortranarray(X), X.copy()
    frozen.flags.writeable = False
    for same in (fortran, frozen, np.repeat(X, 2, axis=1)[:, ::2]):
        assert (train(NETWORKS["scale"], same).predict(same) == expected).all()


def test_predictions_of_a_row_do_not_depend_on_the_others():
    net = train(NETWORKS["scale"])
    rows = np.concatenate([net.predict(row[None]) for row in X])
    assert (rows == net.predict(X)).all()


def test_scale_selects_the_relevant_feature():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(500, 10))
    layers = [fn.Scale(learning_rate_factor=6), fn.Dense(16, "tanh"), fn.Dense(1)]
    net = train(layers, X, np.sin(2 * X[:, 3]), 60, optimizer=fn.optimizers.Adam(0.003))
    factors = np.abs(net.weights[0][0])
    assert factors.argmax() == 3
    assert factors[3] > 2 * np.sort(factors)[-2]


def test_weights_of_scale_can_be_set():
    net = fn.Sequential(fn.Scale(), dtype="float64")
    with pytest.raises(ValueError, match="expected at least one Dense layer"):
        net.build(3)
    net = fn.Sequential(fn.Scale(), fn.Dense(1, use_bias=False), dtype="float64").build(3)
    net.weights[0] = [[1.0, 2.0, 3.0]]
    net.weights[1] = np.ones((3, 1))
    assert net.predict([[1.0, 1.0, 1.0]]).tolist() == [[6.0]]
    assert list(net.biases) == [None, None]


def test_files_without_factors_have_the_default(tmp_path):
    from fastnn._io import description

    data = description.to_data(fn.Dense(3))
    del data["learning_rate_factor"], data["bias_learning_rate_factor"]
    assert description.from_data(data, (fn.Dense,)) == fn.Dense(3)


def test_what_has_no_learning_rate_or_no_scale():
    frozen = fn.Sequential(fn.Dense(2, learning_rate_factor=0.0))
    for optimizer in ("lbfgs", "levenberg_marquardt"):
        with pytest.raises(ValueError, match="learning_rate_factor: expected 1 with L"):
            frozen.fit(X, Y, optimizer=optimizer)
    net = fn.Sequential(fn.Scale(), fn.Dense(2)).build(5)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match="layers: expected no Scale with LevenbergMarquardt"):
        net.fit(X, Y, optimizer="levenberg_marquardt")
    with pytest.raises(ValueError, match="expected a network without Scale"):
        net.fit(X, Y, gradient_targets=np.zeros((67, 2, 5)))
    sparse = scipy.sparse.csr_array(X)
    with pytest.raises(ValueError, match="begins with Scale; got a sparse one"):
        net.fit(sparse, Y)
    with pytest.raises(ValueError, match="expected a network without Scale"):
        fn.trace(net, X[:1], Y[:1])
    assert (net.parameters == before).all()
    net.fit(X, Y, optimizer="lbfgs", epochs=3)
    assert (net.parameters != before).any()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: fn.Dense(2, learning_rate_factor=-1), "learning_rate_factor: expected .* got -1"),
    (lambda: fn.Dense(2, bias_learning_rate_factor=np.inf), "bias_learning_rate_factor: expected"),
    (lambda: fn.Scale(np.nan), "scale_init: expected .* got nan"),
    (lambda: fn.Scale(1, -0.5), "learning_rate_factor: expected .* got -0.5"),
])  # fmt: skip
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
