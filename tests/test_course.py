"""Results that courses on neural networks teach, reproduced with fastnn.

If a result holds on average or for the best of several restarts, the test averages or restarts.
`SEED` determines all random numbers; the tests pass for any value.
"""

import math

import numpy as np
import pytest
from scipy import optimize, special

import fastnn as fn
from fastnn import initializers, losses, optimizers, schedules

SEED = 0

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([0, 1, 1, 0])
# name: (inputs, labels, a separating vector whose last element is the bias)
GATES = {
    "and": (CORNERS, np.array([0, 0, 0, 1]), [1.0, 1.0, -1.5]),
    "or": (CORNERS, np.array([0, 1, 1, 1]), [1.0, 1.0, -0.5]),
    "not": (np.array([[0.0], [1.0]]), np.array([1, 0]), [-1.0, 0.5]),
}


def make_rng(*salt):
    return np.random.default_rng([SEED, *salt])


def make_networks(n, *layers, dtype="float64"):
    """Return n networks with the same layers and different seeds."""
    return [fn.Sequential(*layers, random_state=SEED + i, dtype=dtype) for i in range(n)]


def train_best(nets, X, y, **options):
    """Train all networks; return the lowest final loss and its network."""
    results = []
    for net in nets:
        net.fit(X, y, **options)
        results.append((net.evaluate(X, y)["loss"], net))
    return min(results, key=lambda pair: pair[0])


def standardize(dataset):
    X, y = dataset
    return fn.Standardizer().fit_transform(X), y


# ---- expressive power of one layer and of two ----


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_two_hidden_units_learn_xor(activation):
    """A hidden layer of two units can represent XOR. Some initial weights lead to a local minimum,
    so the test takes the best of several restarts."""
    nets = make_networks(10, fn.Dense(2, activation), fn.Dense(1, "sigmoid"))
    adam = optimizers.Adam(0.1)
    loss, net = train_best(nets, CORNERS, XOR, optimizer=adam, epochs=1000, batch_size="full")
    assert loss < 0.02
    assert net.evaluate(CORNERS, XOR)["accuracy"] == 1


def test_a_single_layer_does_not_learn_xor():
    """No line separates XOR: at the minimum of the loss a single layer predicts 1/2 everywhere, and
    any line classifies at most three of the four corners correctly."""
    for net in make_networks(5, fn.Dense(1, "sigmoid")):
        net.fit(CORNERS, XOR, optimizer=optimizers.SGD(1.0), epochs=500, batch_size="full")
        scores = net.evaluate(CORNERS, XOR)
        assert scores["loss"] == pytest.approx(math.log(2), rel=1e-9)
        assert scores["accuracy"] <= 0.75
        assert np.allclose(net.predict(CORNERS), 0.5, atol=1e-5)


def perceptron():
    return make_networks(1, fn.Dense(1, "step", weight_init="zeros"))[0]


def make_recorder(seen):
    """Return a callback that stores the weights of each epoch in `seen`."""
    return lambda epoch: seen.append(epoch.network.parameters.copy())


RULE = {"loss": "perceptron", "optimizer": optimizers.SGD(1.0), "batch_size": 1}


@pytest.mark.parametrize("gate", GATES)
def test_the_perceptron_rule_converges_on_a_separable_gate(gate):
    """Rosenblatt's rule finds a separating line after finitely many corrections."""
    X, y, _ = GATES[gate]
    net = perceptron()
    seen = []
    history = net.fit(X, y, epochs=40, callbacks=[make_recorder(seen)], **RULE)
    settled = next(i for i in range(1, 40) if (seen[i] == seen[i - 1]).all())
    assert all((later == seen[settled]).all() for later in seen[settled:])
    assert (history["loss"][settled:] == 0).all()
    assert net.evaluate(X, y)["accuracy"] == 1
    assert (net.predict(X)[:, 0] == y).all()


@pytest.mark.parametrize("gate", GATES)
def test_the_perceptron_makes_fewer_corrections_than_novikoff_allows(gate):
    """A. Novikoff, 1962: there are at most (R / gamma)**2 corrections, where R is the largest norm
    of an input and gamma the margin of any separating vector, with the bias as an input of 1."""
    X, y, separating = GATES[gate]
    rows = np.column_stack([X, np.ones(len(X))])
    margins = (2 * y - 1) * (rows @ separating) / np.linalg.norm(separating)
    bound = (np.linalg.norm(rows, axis=1).max() / margins.min()) ** 2
    net = perceptron().build(X.shape[1])
    corrections = in_a_row = 0
    while in_a_row < 2 * len(X):
        for x, label in zip(X, y, strict=True):
            before = net.parameters.copy()
            net.partial_fit([x], [label], **RULE)
            changed = (net.parameters != before).any()
            corrections += changed
            in_a_row = 0 if changed else in_a_row + 1
        assert corrections <= bound
    assert corrections >= 1


def test_a_correction_of_the_perceptron_adds_or_subtracts_the_input():
    """A misclassified row is added to the weights, with the sign of its class."""
    net = perceptron().build(2)
    net.partial_fit([[2.0, -3.0]], [1], **RULE)
    assert net.weights[0].ravel().tolist() == [2.0, -3.0]
    assert net.biases[0].tolist() == [1.0]
    net.partial_fit([[1.0, 0.0]], [0], **RULE)
    assert net.weights[0].ravel().tolist() == [1.0, -3.0]
    assert net.biases[0].tolist() == [0.0]


def test_the_perceptron_never_converges_on_xor():
    """M. Minsky, S. Papert, 1969: on XOR the corrections never end; the weights are bounded."""
    net = perceptron()
    seen = []
    history = net.fit(CORNERS, XOR, epochs=200, callbacks=[make_recorder(seen)], **RULE)
    last = np.array(seen[-20:])
    assert (history["loss"][1:] > 0).sum() > 100
    assert len(np.unique(last, axis=0)) > 1
    assert np.abs(seen).max() < 10
    assert net.evaluate(CORNERS, XOR)["accuracy"] <= 0.75


@pytest.mark.parametrize("shape", ["square", "sine", "absolute", "step"])
def test_three_tanh_units_fit_a_curve(shape):
    """C. Bishop, "Pattern Recognition and Machine Learning", figure 5.3: three tanh units and a
    linear output, 50 points in [-1, 1], four functions."""
    x = np.linspace(-1, 1, 50)
    y = {
        "square": x**2,
        "sine": np.sin(math.pi * x),
        "absolute": np.abs(x),
        "step": (x > 0).astype(float),
    }[shape]
    nets = make_networks(
        6, fn.Dense(3, "tanh", weight_init=initializers.Normal(std=2.0)), fn.Dense(1)
    )
    adam = optimizers.Adam(schedules.CosineDecay(0.03))
    loss, net = train_best(nets, x[:, None], y, optimizer=adam, epochs=2000, batch_size=10)
    assert math.sqrt(loss) < 0.05
    straight = np.polyval(np.polyfit(x, y, 1), x)
    assert math.sqrt(loss) < math.sqrt(np.mean((straight - y) ** 2)) / 4
    assert np.mean((net.predict(x[:, None])[:, 0] - y) ** 2) == pytest.approx(loss)


def test_linear_layers_are_equivalent_to_one_layer():
    """A network of linear layers is a linear map, the product of its weight matrices: its minimum
    loss is that of least squares."""
    rng = make_rng(1)
    X = rng.normal(size=(80, 4))
    y = X @ [1.0, -2.0, 0.5, 0.0] + 0.3 + rng.normal(size=80)
    rows = np.column_stack([X, np.ones(80)])
    solution, squares, *_ = np.linalg.lstsq(rows, y)
    net = make_networks(1, fn.Dense(6), fn.Dense(5), fn.Dense(1))[0]
    adam = optimizers.Adam(schedules.CosineDecay(0.02))
    net.fit(X, y, optimizer=adam, epochs=2000, batch_size="full")
    a, b, c = net.weights
    assert (a @ b @ c)[:, 0] == pytest.approx(solution[:4], abs=1e-4)
    assert net.predict(np.zeros((1, 4)))[0, 0] == pytest.approx(solution[4], abs=1e-4)
    assert net.evaluate(X, y)["loss"] == pytest.approx(squares[0] / 80, rel=1e-6)


# ---- all methods find the same minimum of a convex loss ----


def logistic_objective(flat, X, y, l2):
    z = X @ flat[:-1] + flat[-1]
    return np.mean(np.logaddexp(0, z) - y * z) + l2 / 2 * flat[:-1] @ flat[:-1]


def through_scipy(net, X, y, **options):
    """Minimize a network's own loss with scipy's L-BFGS."""

    def objective(flat):
        net.parameters[:] = flat
        value, gradients = net.loss_and_gradients(X, y, **options)
        pairs = zip(gradients["weights"], gradients["biases"], strict=True)
        return value, np.concatenate([np.r_[w.ravel(), b] for w, b in pairs])

    found = optimize.minimize(
        objective, net.parameters.copy(), jac=True, method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    net.parameters[:] = found.x
    return found.fun


def test_logistic_regression_converges_to_the_minimum():
    """One sigmoid unit with a penalty is logistic regression: gradient descent, L-BFGS with the
    network's gradients and L-BFGS with the formula find the same weights."""
    X, y = standardize(fn.datasets.load_breast_cancer())
    l2 = 0.05
    truth = optimize.minimize(
        logistic_objective, np.zeros(31), (X, y, l2), method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9, "maxfun": 10**6},
    )  # fmt: skip
    by_scipy, by_descent = make_networks(2, fn.Dense(1, "sigmoid", l2=l2))
    assert through_scipy(by_scipy.build(30), X, y) == pytest.approx(truth.fun, rel=1e-9)
    nesterov = optimizers.SGD(0.2, momentum=0.9, nesterov=True)
    by_descent.fit(X, y, optimizer=nesterov, epochs=1000, batch_size="full")
    assert by_descent.evaluate(X, y)["loss"] == pytest.approx(truth.fun, rel=1e-9)
    assert by_descent.parameters == pytest.approx(by_scipy.parameters, abs=1e-6)
    assert by_descent.weights[0][:, 0] == pytest.approx(truth.x[:-1], abs=1e-4)


def test_softmax_regression_converges_to_the_minimum():
    """One softmax layer on the digits 0 to 4: gradient descent and L-BFGS converge to a point where
    the gradient of the formula is zero, which for a convex loss is the minimum."""
    X, y = fn.datasets.load_digits()
    X, y, l2 = X[y < 5][:200] / 16, y[y < 5][:200], 0.02
    by_scipy, by_descent = make_networks(2, fn.Dense(5, "softmax", l2=l2))
    lowest = through_scipy(by_scipy.build(64), X, y)
    w, b = by_scipy.weights[0], by_scipy.biases[0]
    log_p = special.log_softmax(X @ w + b, axis=1)
    truth = -log_p[np.arange(200), y].mean() + l2 / 2 * (w * w).sum()
    assert lowest == pytest.approx(truth, rel=1e-12)
    slope = (np.exp(log_p) - fn.one_hot(y, 5)) / 200
    assert np.abs(X.T @ slope + l2 * w).max() < 1e-6
    assert np.abs(slope.sum(axis=0)).max() < 1e-6
    nesterov = optimizers.SGD(0.5, momentum=0.9, nesterov=True)
    by_descent.fit(X, y, optimizer=nesterov, epochs=1000, batch_size="full")
    assert by_descent.evaluate(X, y)["loss"] == pytest.approx(lowest, rel=1e-8)
    assert by_descent.weights[0] == pytest.approx(w, abs=1e-4)


# ---- maximum likelihood: the statistic that each loss fits ----

SKEWED = np.random.default_rng(7).gamma(1.5, 2.0, size=301)
NOTHING = np.zeros((301, 1))


def fit_constant(loss, y, units=1, activation="linear"):
    """Return the outputs of a network with constant inputs, which learns its biases only."""
    net = make_networks(1, fn.Dense(units, activation, weight_init="zeros"))[0]
    adam = optimizers.Adam(schedules.LinearDecay(0.05))
    net.fit(NOTHING, y, loss=loss, optimizer=adam, epochs=1500, batch_size="full")
    return net.predict(NOTHING[:1])[0]


@pytest.mark.parametrize(
    ("loss", "number"),
    [
        ("squared_error", SKEWED.mean()),
        ("absolute_error", np.median(SKEWED)),
        (losses.Quantile(0.1), np.quantile(SKEWED, 0.1)),
        (losses.Quantile(0.5), np.median(SKEWED)),
        (losses.Quantile(0.9), np.quantile(SKEWED, 0.9)),
    ],
    ids=str,
)
def test_a_loss_fits_its_statistic(loss, number):
    """Squared error fits the mean, absolute error the median, and the quantile loss a quantile;
    these are different in a skewed sample."""
    assert fit_constant(loss, SKEWED)[0] == pytest.approx(number, abs=0.03)


@pytest.mark.parametrize("loss", [losses.Huber(2.0), losses.LogCosh()], ids=str)
def test_huber_and_log_cosh_fit_a_value_between_median_and_mean(loss):
    """Losses that are squared near zero and absolute elsewhere fit a value between the two."""

    def mean_loss(c):
        e = np.abs(SKEWED - c)
        if isinstance(loss, losses.LogCosh):
            return np.log(np.cosh(e)).mean()
        return np.where(e <= 2, e**2 / 2, 2 * (e - 1)).mean()

    lowest = optimize.minimize_scalar(mean_loss, bounds=(0, 10), method="bounded").x
    assert fit_constant(loss, SKEWED)[0] == pytest.approx(lowest, abs=1e-3)
    assert np.median(SKEWED) < lowest < SKEWED.mean()


@pytest.mark.parametrize("activation", ["linear", "exp", "softplus"])
def test_poisson_fits_the_mean_rate(activation):
    """The maximum-likelihood rate of a Poisson sample is its mean; a linear output is its log."""
    counts = np.random.default_rng(8).poisson(2.3, size=301)
    out = fit_constant("poisson", counts, activation=activation)[0]
    rate = math.exp(out) if activation == "linear" else out
    assert rate == pytest.approx(counts.mean(), rel=1e-3)


def test_gaussian_likelihood_fits_mean_and_variance():
    """The two outputs are the mean and the log variance of the sample."""
    mean, log_variance = fit_constant("gaussian_nll", SKEWED, units=2)
    assert mean == pytest.approx(SKEWED.mean(), rel=1e-3)
    assert math.exp(log_variance) == pytest.approx(SKEWED.var(), rel=1e-3)


def test_cross_entropy_fits_the_frequencies():
    """For constant inputs, the maximum-likelihood probabilities are the class frequencies."""
    labels = np.random.default_rng(9).choice(4, size=301, p=[0.5, 0.25, 0.2, 0.05])
    shares = np.bincount(labels) / 301
    assert fit_constant("cross_entropy", labels, 4, "softmax") == pytest.approx(shares, abs=1e-3)
    share = fit_constant("binary_cross_entropy", labels == 0, 1, "sigmoid")
    assert share == pytest.approx(shares[:1], abs=1e-3)


def test_label_smoothing_lowers_confidence():
    """With smoothing e and k classes, the optimal probability of the label is 1 - e + e / k instead
    of 1: predictions are less confident and almost as accurate."""
    X, y = fn.datasets.load_digits()
    X = X[:400] / 16
    means, right = [], []
    for e in (0.0, 0.2):
        net = make_networks(1, fn.Dense(32, "relu"), fn.Dense(10, "softmax"))[0]
        net.fit(X, y[:400], loss=losses.CrossEntropy(label_smoothing=e), epochs=80,
                optimizer=optimizers.Adam(0.01))  # fmt: skip
        means.append(net.predict(X).max(axis=1).mean())
        right.append(net.evaluate(X, y[:400])["accuracy"])
    assert means[0] > 0.97
    assert means[1] == pytest.approx(1 - 0.2 + 0.2 / 10, abs=0.03)
    assert min(right) > 0.98


# ---- gradients ----


def test_the_batch_gradient_is_the_mean_of_the_online_gradients():
    """The gradient of a batch is the weighted mean of the gradients of its rows."""
    rng = make_rng(2)
    X, y, weight = rng.normal(size=(20, 3)), rng.integers(0, 4, 20), rng.uniform(0.1, 2, 20)
    net = make_networks(1, fn.Dense(5, "tanh"), fn.Dense(4, "softmax"))[0].build(3)
    value, whole = net.loss_and_gradients(X, y, sample_weight=weight)
    rows = [net.loss_and_gradients(X[i : i + 1], y[i : i + 1]) for i in range(20)]
    assert value == pytest.approx(np.average([v for v, _ in rows], weights=weight), rel=1e-12)
    for kind in ("weights", "biases"):
        for layer in range(2):
            online = [g[kind][layer] for _, g in rows]
            mean = np.average(online, axis=0, weights=weight)
            np.testing.assert_allclose(whole[kind][layer], mean, rtol=1e-10, atol=1e-14)


def compute_gradient_norms(net, X, y):
    gradients = net.loss_and_gradients(X, y)[1]["weights"]
    return [float(np.linalg.norm(g)) for g in gradients]


def compute_gradient_ratio(activation, depth):
    """Return the ratio of the gradient norms of the first and the last hidden layer, as a geometric
    mean over 5 seeds."""
    X = make_rng(3).normal(size=(100, 20))
    y = make_rng(4).integers(0, 2, size=100)
    hidden = [fn.Dense(20, activation)] * depth
    ratios = []
    for net in make_networks(5, *hidden, fn.Dense(1, "sigmoid")):
        norms = compute_gradient_norms(net.build(20), X, y)
        ratios.append(norms[0] / norms[-2])
    return float(np.exp(np.mean(np.log(ratios))))


def test_gradients_vanish_through_sigmoids_and_not_through_relu():
    """The derivative of the sigmoid is at most 1/4: after ten layers the gradient is almost zero.
    Relu with He's initialization preserves its norm. (S. Hochreiter, 1991; K. He and others, 2015)
    """
    assert compute_gradient_ratio("sigmoid", 10) < 1e-4
    assert compute_gradient_ratio("sigmoid", 10) < compute_gradient_ratio("sigmoid", 5) / 20
    assert 0.05 < compute_gradient_ratio("relu", 10) < 20


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_gradients_explode_with_large_weights_and_clipping_bounds_the_step(activation):
    """Each layer multiplies the gradient by its weights; clip_norm limits the norm of the step."""
    X = make_rng(5).normal(size=(50, 16))
    y = make_rng(6).normal(size=50)

    def first_norm(std):
        layers = [fn.Dense(16, activation, weight_init=initializers.Normal(std=std))] * 10
        net = make_networks(1, *layers, fn.Dense(1))[0].build(16)
        return compute_gradient_norms(net, X, y)[0], net

    usual, _ = first_norm(0.3)
    huge, net = first_norm(1.5)
    assert huge > 1e6 * max(1.0, usual)
    before = net.parameters.copy()
    net.fit(X, y, optimizer=optimizers.SGD(0.1, clip_norm=2.0), epochs=1, batch_size="full")
    assert np.linalg.norm(net.parameters - before) == pytest.approx(0.1 * 2.0, rel=1e-6)


def test_dead_relu_units_have_no_gradient():
    """If a relu unit is inactive for all rows, its weights have no gradient and never change."""
    X, y = make_rng(7).normal(size=(60, 5)), make_rng(8).normal(size=60)
    net = make_networks(1, fn.Dense(6, "relu"), fn.Dense(1))[0].build(5)
    net.biases[0][:3] = -100
    gradients = net.loss_and_gradients(X, y)[1]
    assert (gradients["weights"][0][:, :3] == 0).all()
    assert (gradients["biases"][0][:3] == 0).all()
    assert (gradients["weights"][1][:3] == 0).all()
    assert (gradients["weights"][0][:, 3:] != 0).any()
    before = net.parameters.copy()
    dead = net.weights[0][:, :3].copy()
    net.fit(X, y, epochs=20)
    assert (net.weights[0][:, :3] == dead).all()
    assert (net.parameters != before).any()


def test_leaky_relu_units_do_not_die():
    """Leaky relu has a small gradient where relu has none."""
    X, y = make_rng(7).normal(size=(60, 5)), make_rng(8).normal(size=60)
    hidden = fn.Dense(6, fn.activations.leaky_relu(0.01), bias_init=-100)
    net = make_networks(1, hidden, fn.Dense(1))[0].build(5)
    assert (net.loss_and_gradients(X, y)[1]["weights"][0] != 0).all()


# ---- generalization ----


def cancer():
    return *standardize(fn.datasets.load_breast_cancer()), "sigmoid"


def concrete():
    X, y = standardize(fn.datasets.load_concrete())
    return X, fn.Standardizer().fit_transform(y), "linear"


def compute_gap(data, rate=0.0, l2=0.0, callbacks=(), seeds=4):
    """Return the mean over seeds of validation loss minus training loss, trained on 60 rows."""
    X, y, activation = data()
    dropout = [fn.Dropout(rate)] if rate else []
    hidden = [fn.Dense(64, "relu", l2=l2), *dropout]
    found = []
    for seed in range(SEED, SEED + seeds):
        order = np.random.default_rng([seed, 11]).permutation(len(X))
        train, held = order[:60], order[60:360]
        net = fn.Sequential(*hidden, *hidden, fn.Dense(1, activation, l2=l2), random_state=seed)
        net.fit(X[train], y[train], validation_data=(X[held], y[held]), epochs=100,
                optimizer=optimizers.Adam(0.01), callbacks=callbacks)  # fmt: skip
        losses = [net.evaluate(X[rows], y[rows])["loss"] for rows in (held, train)]
        found.append(losses[0] - losses[1])
    return float(np.mean(found))


@pytest.fixture(scope="module")
def plain_gaps():
    return {data: compute_gap(data) for data in (cancer, concrete)}


def test_a_large_network_overfits_a_small_set(plain_gaps):
    """Without regularization the validation loss is far above the training loss."""
    assert plain_gaps[cancer] > 0.15
    assert plain_gaps[concrete] > 0.25


@pytest.mark.parametrize(
    ("data", "restraint"),
    [
        (concrete, {"rate": 0.5}),
        (concrete, {"l2": 0.1}),
        (cancer, {"l2": 0.1}),
        (cancer, {"callbacks": [fn.EarlyStopping(patience=5)]}),
    ],
    ids=["dropout", "l2, concrete", "l2, cancer", "early stopping"],
)
def test_regularization_narrows_the_gap(data, restraint, plain_gaps):
    """Dropout, a weight penalty and early stopping each reduce the difference between validation
    and training loss."""
    assert compute_gap(data, **restraint) < 0.8 * plain_gaps[data]


# ---- optimizers ----


def make_scaled_regression(scales, coefficients, n=100):
    """Return data of a linear regression without noise, with features of very different scales."""
    X = make_rng(9).normal(size=(n, len(scales))) * scales
    return X, X @ coefficients


def train_linear(X, y, optimizer, epochs):
    net = make_networks(1, fn.Dense(1, weight_init="zeros"))[0]
    net.fit(X, y, optimizer=optimizer, epochs=epochs, batch_size="full")
    return net.evaluate(X, y)["loss"]


def choose_learning_rate(X):
    """Return 1 / the largest eigenvalue of the Hessian: stable, and almost the fastest."""
    rows = np.column_stack([X, np.ones(len(X))])
    return 1 / np.linalg.eigvalsh(2 * rows.T @ rows / len(X)).max()


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_faster_on_an_ill_conditioned_loss(nesterov):
    """On an ill-conditioned quadratic, momentum needs far fewer steps than gradient descent with
    the same learning rate. (B. Polyak, 1964)"""
    X, y = make_scaled_regression([1.0, 0.1], [1.0, 10.0])
    rate = choose_learning_rate(X)
    plain = train_linear(X, y, optimizers.SGD(rate), 200)
    fast = train_linear(X, y, optimizers.SGD(rate, momentum=0.9, nesterov=nesterov), 200)
    assert fast < plain / 10


ADAPTIVE = [optimizers.Adam(0.1), optimizers.RMSprop(0.03), optimizers.Adagrad(1.0)]


@pytest.mark.parametrize("optimizer", ADAPTIVE, ids=str)
def test_adaptive_optimizers_handle_features_of_different_scales(optimizer):
    """A learning rate per weight compensates for features of different scales."""
    X, y = make_scaled_regression([10.0, 0.1], [0.1, 10.0])
    plain = train_linear(X, y, optimizers.SGD(choose_learning_rate(X)), 600)
    assert train_linear(X, y, optimizer, 600) < plain / 10


def train_first_output(optimizer, outputs):
    """Return the weights of the first of several outputs. The others are exact from the start; as
    the loss is a mean over outputs, they only divide it by the number of outputs."""
    X = make_rng(10).normal(size=(40, 3))
    y = np.zeros((40, outputs))
    y[:, 0] = X @ [1.0, -1.0, 2.0]
    net = make_networks(1, fn.Dense(outputs, weight_init="zeros"))[0]
    net.fit(X, y, optimizer=optimizer, epochs=30, batch_size=10)
    return net.weights[0][:, 0]


@pytest.mark.parametrize("optimizer", ADAPTIVE, ids=str)
def test_the_path_of_an_adaptive_optimizer_does_not_depend_on_the_scale_of_the_loss(optimizer):
    """Dividing the loss by 100 does not change the weights of Adam, RMSprop and Adagrad."""
    whole, hundredth = train_first_output(optimizer, 1), train_first_output(optimizer, 100)
    assert np.abs(whole).max() > 0.3
    np.testing.assert_allclose(hundredth, whole, rtol=1e-3, atol=1e-4)


def test_the_path_of_gradient_descent_depends_on_the_scale_of_the_loss():
    """Dividing the loss by 100 makes the steps of gradient descent 100 times shorter."""
    whole, hundredth = (train_first_output(optimizers.SGD(0.01), n) for n in (1, 100))
    assert np.linalg.norm(hundredth) < np.linalg.norm(whole) / 10


@pytest.mark.parametrize(
    "schedule",
    [schedules.InverseTimeDecay(0.1, decay=0.02), schedules.CosineDecay(0.1)],
    ids=["inverse time", "cosine"],
)
def test_a_decaying_learning_rate_ends_with_a_lower_loss_than_a_constant_one(schedule):
    """SGD with a constant learning rate fluctuates around the minimum; with a decaying one it
    converges. (H. Robbins, S. Monro, 1951)"""
    rng = make_rng(12)
    X = rng.normal(size=(200, 3))
    y = X @ [1.0, 2.0, -1.0] + rng.normal(size=200)
    rows = np.column_stack([X, np.ones(200)])
    lowest = np.linalg.lstsq(rows, y)[1][0] / 200

    def excess(rate):
        nets = make_networks(6, fn.Dense(1))
        for net in nets:
            net.fit(X, y, optimizer=optimizers.SGD(rate), epochs=20, batch_size=1)
        return np.mean([net.evaluate(X, y)["loss"] for net in nets]) - lowest

    assert 0 < excess(schedule) < excess(0.1) / 4


def test_skip_connections_let_a_deep_network_train():
    """Thirty tanh layers learn almost nothing in a few epochs; with skip connections they do learn.
    (K. He and others, 2016)"""
    X, y = standardize(fn.datasets.load_breast_cancer())

    def mean_loss(*blocks):
        nets = make_networks(4, fn.Dense(16, "tanh"), *blocks, fn.Dense(1, "sigmoid"))
        for net in nets:
            net.fit(X, y, optimizer=optimizers.SGD(0.02), epochs=5)
        return np.mean([net.evaluate(X, y)["loss"] for net in nets])

    layer = fn.Dense(16, "tanh")
    plain = mean_loss(*[layer] * 30)
    skipping = mean_loss(*[fn.Residual(layer)] * 30)
    assert skipping < 0.7 * plain
