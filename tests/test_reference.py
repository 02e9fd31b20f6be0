"""The reference against complex steps, central differences, and values computed by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from fastnn import losses, optimizers, schedules
from fastnn._engine.job import Steps, TrainingJob
from fastnn._util import prng
from fastnn.activations import PARAMETERS, elu, leaky_relu
from fastnn.layers import Dense, Dropout, Residual, Scale, iterate_dense_layers
from fastnn.reference import activations, network, training
from fastnn.reference import losses as reference_losses
from fastnn.reference import optimizers as reference_optimizers
from fastnn.reference import schedules as reference_schedules
from fastnn_ext import codes

ACTIVATIONS = [member.name.lower() for member in codes.Activation if member.name != "SOFTMAX"]
LOSSES = [member.name.lower() for member in codes.Loss]
OPTIMIZERS = [member.name.lower() for member in codes.Optimizer]
HEADS = [(name, head) for name in LOSSES for head in losses.HEADS[name]]


def central_differences(f, x, h=1e-6):
    """The derivatives of f(x), of any shape, with respect to each element of x."""
    x = x.copy()
    derivatives = []
    for i in np.ndindex(x.shape):
        value = x[i]
        x[i] = value + h
        above = f(x)
        x[i] = value - h
        derivatives.append((above - f(x)) / (2 * h))
        x[i] = value
    return np.array(derivatives)


# ---- activations ---------------------------------------------------------------------------------

POINTS = np.array([-25.0, -4.1, -2.9, -1.3, -0.2, -1e-3, 1e-3, 0.4, 1.7, 2.8, 3.2, 25.0])
PARAMETER = {"leaky_relu": 0.07, "elu": 1.3}


def erf_by_series(z):
    """Taylor series, accurate enough for |z| < 4."""
    k = np.arange(120)
    log_factorial = np.concatenate([[0], np.cumsum(np.log(k[1:]))])
    terms = (-1.0) ** k * np.exp(-log_factorial) / (2 * k + 1)
    return 2 / np.sqrt(np.pi) * np.sum(terms * z[:, np.newaxis] ** (2 * k + 1), axis=1)


ANALYTIC = {
    "linear": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu": lambda z: z * (1 + erf_by_series(z / np.sqrt(2))) / 2,
    "mish": lambda z: z * np.tanh(np.log(1 + np.exp(z))),
    "exp": np.exp,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_against_central_differences(name):
    f, derivative, _ = activations.FUNCTIONS[name]
    a, h = PARAMETER.get(name, 0.0), 1e-5
    z = POINTS[np.abs(POINTS) < 5]
    expected = (f(z + h, a) - f(z - h, a)) / (2 * h)
    np.testing.assert_allclose(derivative(z, a), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ANALYTIC)
def test_value_and_derivative_against_a_complex_step(name):
    f, derivative, _ = activations.FUNCTIONS[name]
    z = POINTS[np.abs(POINTS) < 4]
    stepped = ANALYTIC[name](z + 1e-30j)
    np.testing.assert_allclose(f(z, 0.0), stepped.real, rtol=1e-12)
    np.testing.assert_allclose(derivative(z, 0.0), stepped.imag / 1e-30, rtol=1e-12, atol=1e-14)


def test_every_activation_has_a_formula():
    assert list(activations.FUNCTIONS) == ACTIVATIONS
    assert set(PARAMETER) == set(PARAMETERS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_nan_and_large_inputs(name):
    f, derivative, _ = activations.FUNCTIONS[name]
    a = PARAMETER.get(name, 0.0)
    assert np.isnan(f(np.array([np.nan]), a)).all()
    far = np.array([-700.0, 700.0])
    assert np.isfinite(f(far, a)).all()
    assert np.isfinite(derivative(far, a)).all()


@pytest.mark.parametrize(
    ("name", "z", "expected"),
    [
        ("step", 0.0, 0.0),
        ("relu", 0.0, 0.0),
        ("leaky_relu", 0.0, 0.07),
        ("elu", 0.0, 1.3),
        ("selu", 0.0, 1.0507009873554805 * 1.6732632423543772),
        ("hard_sigmoid", 3.0, 0.0),
        ("hard_sigmoid", -3.0, 0.0),
    ],
)
def test_derivative_at_a_corner(name, z, expected):
    _, derivative, _ = activations.FUNCTIONS[name]
    assert derivative(np.array([z]), PARAMETER.get(name, 0.0))[0] == pytest.approx(expected)


def test_selu_keeps_mean_and_variance_of_a_standard_normal():
    z, dz = np.linspace(-12, 12, 200_001, retstep=True)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * dz
    y = activations.FUNCTIONS["selu"][0](z, 0.0)
    assert (y * density).sum() == pytest.approx(0, abs=1e-9)
    assert (y * y * density).sum() == pytest.approx(1, abs=1e-9)


def test_softmax():
    z = np.array([[0.0, np.log(3)], [1e4, 1e4]])
    np.testing.assert_allclose(activations.softmax(z), [[0.25, 0.75], [0.5, 0.5]], rtol=1e-15)


# ---- losses --------------------------------------------------------------------------------------


def make_outputs_and_targets(name, n=5, m=3):
    """Random raw outputs and valid targets for a loss; no output is at a corner of the loss."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(n, 2 * m if name == "gaussian_nll" else m)) * 2
    y = {
        "poisson": rng.integers(0, 5, (n, m)).astype(float),
        "binary_cross_entropy": rng.uniform(size=(n, m)),
        "cross_entropy": rng.integers(0, m, (n, 1)).astype(float),
        "hinge": rng.choice([0.0, 1.0], (n, m)),
        "perceptron": rng.choice([-1.0, 1.0], (n, m)),
    }.get(name, rng.normal(size=(n, m)))
    return z, y


def make_losses(name):
    """Losses of one name with different parameters."""
    return {
        "huber": [losses.Huber(), losses.Huber(0.3)],
        "quantile": [losses.Quantile(0.2), losses.Quantile(0.9)],
        "cross_entropy": [losses.CrossEntropy(), losses.CrossEntropy(0.1)],
    }.get(name, [losses.CLASSES[name]()])


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_loss_gradient_against_central_differences(name, head):
    z, y = make_outputs_and_targets(name)
    for loss in make_losses(name):
        values, dz = reference_losses.value_and_gradient(loss, head, z, y)
        assert values.shape == (len(z),)
        derivatives = central_differences(
            lambda z, loss=loss: reference_losses.value_and_gradient(loss, head, z, y)[0].sum(), z
        )
        np.testing.assert_allclose(dz.ravel(), derivatives, rtol=1e-7, atol=1e-8)


def test_every_loss_has_a_formula():
    assert list(reference_losses.FUNCTIONS) == LOSSES


# Textbook formulas for two outputs, 1 and -2 (gaussian_nll: mean 1, log variance -2).
P = 1 / (1 + np.exp(-np.array([1.0, -2.0])))
RATE = np.log(1 + np.exp(np.array([1.0, -2.0])))
BY_HAND = [
    ("squared_error", "linear", [0.0, 0.5], (1 + 6.25) / 2),
    ("absolute_error", "linear", [0.0, 0.5], (1 + 2.5) / 2),
    ("huber", "linear", [0.5, 0.5], (0.125 + 2.0) / 2),
    ("log_cosh", "linear", [0.0, 0.5], (np.log(np.cosh(1)) + np.log(np.cosh(2.5))) / 2),
    ("quantile", "linear", [0.0, 0.5], (0.5 + 1.25) / 2),
    ("poisson", "linear", [3.0, 1.0], (np.e - 3 + np.exp(-2) + 2) / 2),
    ("poisson", "exp", [3.0, 1.0], (np.e - 3 + np.exp(-2) + 2) / 2),
    ("poisson", "softplus", [3.0, 1.0], np.mean(RATE - [3, 1] * np.log(RATE))),
    ("gaussian_nll", "linear", [0.0], (-2 + np.e**2) / 2),
    ("binary_cross_entropy", "sigmoid", [1.0, 0.3],
     (-np.log(P[0]) - 0.3 * np.log(P[1]) - 0.7 * np.log(1 - P[1])) / 2),
    ("cross_entropy", "softmax", [1.0], 3 + np.log(1 + np.exp(-3))),
    ("cross_entropy", "softmax", [0.0, 1.0], 3 + np.log(1 + np.exp(-3))),
    ("hinge", "linear", [1.0, 1.0], (0 + 3) / 2),
    ("hinge", "linear", [0.0, -1.0], (2 + 0) / 2),
    ("perceptron", "linear", [1.0, 1.0], (0 + 2) / 2),
    ("perceptron", "step", [0.0, -1.0], (1 + 0) / 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "head", "y", "value"), BY_HAND)
def test_loss_by_hand(name, head, y, value):
    z, y = np.array([[1.0, -2.0]]), np.array([y])
    losses_by_row, _ = reference_losses.value_and_gradient(losses.CLASSES[name](), head, z, y)
    assert losses_by_row[0] == pytest.approx(value, rel=1e-14)


def test_every_loss_is_computed_by_hand():
    assert {name for name, *_ in BY_HAND} == set(LOSSES)


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_loss_of_large_outputs_is_finite(name, head):
    _, y = make_outputs_and_targets(name, n=2)
    width = 6 if name == "gaussian_nll" else 3
    z = np.array([[-300.0] * width, [300.0] * width])
    for values in reference_losses.value_and_gradient(losses.CLASSES[name](), head, z, y):
        assert np.isfinite(values).all()


def test_softplus_rate_is_continuous_where_the_formula_changes():
    z = np.array([[-30 - 1e-9, -30 + 1e-9]]).T
    for values in reference_losses.value_and_gradient(
        losses.Poisson(), "softplus", z, np.ones((2, 1))
    ):
        assert values.ravel()[0] == pytest.approx(values.ravel()[1], abs=1e-8)


def test_target_probabilities_that_do_not_sum_to_one():
    z, t = np.array([[0.3, -1.0, 2.0]]), np.array([[0.5, 0.2, 0.1]])
    loss = losses.CrossEntropy()
    (value,), _ = reference_losses.value_and_gradient(loss, "softmax", z, t)
    p = np.exp(z) / np.exp(z).sum()
    assert value == pytest.approx(-(t * np.log(p)).sum(), rel=1e-14)
    derivatives = central_differences(
        lambda z: reference_losses.value_and_gradient(loss, "softmax", z, t)[0].sum(), z
    )
    _, dz = reference_losses.value_and_gradient(loss, "softmax", z, t)
    np.testing.assert_allclose(dz.ravel(), derivatives, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "z", "y", "expected"),
    [
        ("absolute_error", 1.0, 1.0, 0.0),
        ("quantile", 1.0, 1.0, 0.0),
        ("hinge", 1.0, 1.0, 0.0),
        ("perceptron", 0.0, 1.0, -1.0),
        ("perceptron", 0.0, 0.0, 1.0),
    ],
)
def test_loss_gradient_at_a_corner(name, z, y, expected):
    _, dz = reference_losses.value_and_gradient(
        losses.CLASSES[name](), "linear", np.array([[z]]), np.array([[y]])
    )
    assert dz[0, 0] == expected


# ---- optimizers ----------------------------------------------------------------------------------

# Two steps from w = 1 with gradients 2 and -1 and rate 0.1, computed by hand.
TWO_STEPS = {
    "sgd": [
        (optimizers.SGD(), 0.8, 0.9),
        (optimizers.SGD(momentum=0.5), 0.8, 0.8),
        (optimizers.SGD(momentum=0.5, nesterov=True), 0.7, 0.8),
    ],
    "adagrad": [
        (optimizers.Adagrad(epsilon=0.5), 1 - 0.2 / 2.5, 0.92 + 0.1 / (np.sqrt(5) + 0.5)),
    ],
    "rmsprop": [
        (optimizers.RMSprop(rho=0.75, epsilon=0.5), 1 - 0.2 / 1.5, 13 / 15 + 0.1 / 1.5),
    ],
    "adam": [
        (optimizers.Adam(beta_1=0.5, beta_2=0.75, epsilon=0.5), 0.92, 0.92),
    ],
    "adamw": [
        (optimizers.AdamW(weight_decay=0.3, beta_1=0.5, beta_2=0.75, epsilon=0.5),
         0.92 - 0.03, 0.89 * 0.97),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_steps_by_hand(name):
    for optimizer, first, second in TWO_STEPS[name]:
        w = np.array([1.0])
        slots = (np.zeros(1),) * optimizer.n_slots
        for t, (g, expected) in enumerate([(2.0, first), (-1.0, second)], 1):
            w, slots = reference_optimizers.update(
                optimizer, w, np.array([g]), slots, 0.1, t, False
            )
            assert w[0] == pytest.approx(expected, rel=1e-14), (optimizer, t)
            assert len(slots) == optimizer.n_slots


def test_an_update_changes_nothing_in_place():
    for kind in optimizers.CLASSES.values():
        optimizer = kind()
        w, g = np.ones(2), np.full(2, 3.0)
        slots = (np.zeros(2),) * optimizer.n_slots
        reference_optimizers.update(optimizer, w, g, slots, 0.1, 1, False)
        assert (w == 1).all()
        assert all((slot == 0).all() for slot in slots)


def test_biases_do_not_decay():
    decayed, plain = optimizers.AdamW(weight_decay=0.3), optimizers.Adam()
    w, g, slots = np.array([1.0]), np.array([2.0]), (np.zeros(1), np.zeros(1))
    assert reference_optimizers.update(
        decayed, w, g, slots, 0.1, 1, True
    ) == reference_optimizers.update(plain, w, g, slots, 0.1, 1, True)


def test_clip():
    g = [np.array([[3.0, -10.0]]), np.array([4.0])]
    by_norm = reference_optimizers.clip(optimizers.SGD(clip_norm=1.0), [g[0] * [1, 0], g[1]])
    np.testing.assert_allclose(by_norm[0], [[0.6, 0.0]], rtol=1e-15)
    np.testing.assert_allclose(by_norm[1], [0.8], rtol=1e-15)
    by_value = reference_optimizers.clip(optimizers.SGD(clip_value=3.5), g)
    assert [a.tolist() for a in by_value] == [[[3.0, -3.5]], [3.5]]
    both = reference_optimizers.clip(optimizers.SGD(clip_value=3.0, clip_norm=1.0), g)
    np.testing.assert_allclose(
        np.concatenate([a.ravel() for a in both]), np.array([1, -1, 1]) / 3**0.5
    )
    untouched = reference_optimizers.clip(optimizers.SGD(clip_norm=100.0), g)
    assert all((a == b).all() for a, b in zip(untouched, g, strict=True))


# ---- schedules -----------------------------------------------------------------------------------

s = schedules
SCHEDULES = [
    0.1,
    s.Constant(0.2),
    *(s.StepDecay(0.1, every, factor) for every, factor in [(1, 0.99), (7, 0.5), (100, 1.5)]),
    *(s.ExponentialDecay(0.1, every, factor) for every, factor in [(1, 0.99), (7, 0.5)]),
    *(s.InverseTimeDecay(0.1, decay, power) for decay, power in [(0, 1), (0.01, 1), (2.0, 0.5)]),
    s.InverseTimeDecay(0.1, 2.0, 0.5, every=7),
    *(s.LinearDecay(0.1, end, n) for end, n in [(0, None), (0.05, 200), (0.3, 1)]),
    *(s.CosineDecay(0.1, end, n) for end, n in [(0, None), (0.05, 200), (0.3, 1)]),
    *(s.FlatCosine(0.1, end, n, q)
      for end, n, q in [(0, None, 0.5), (0.05, 200, 0), (0.3, 1, 0.3)]),
    *(s.Cyclic(0.01, 0.1, half, mode) for half in (1, 7, 300)
      for mode in ("triangular", "triangular2")),
    *(s.WarmRestarts(0.1, first, growth, 0.01) for first in (1, 7, 10) for growth in (1, 2, 3)),
    *(s.OneCycle(0.1, n, share) for n in (None, 1, 2, 200) for share in (0, 0.3, 0.5)),
    s.OneCycle(0.1, 500, 1.0),
    *(s.Warmup(after, n) for n in (1, 30) for after in (
        s.Constant(0.1), s.LinearDecay(0.1), s.CosineDecay(0.1, n_steps=50), s.OneCycle(0.1),
        s.WarmRestarts(0.1, 10))),
]  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedule_scalar_and_vectorised(schedule):
    steps = np.arange(500)
    one_by_one = [reference_schedules.rate(schedule, int(step), 400) for step in steps[:400]]
    together = schedules.rates(schedule, steps[:400].astype(float), 400)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-12, atol=1e-17)
    one_by_one = [reference_schedules.rate(schedule, int(step), 120) for step in steps]
    together = schedules.rates(schedule, steps.astype(float), 120)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-12, atol=1e-17)


def test_every_schedule_is_compared():
    assert {type(schedule) for schedule in SCHEDULES} == {float, *schedules.CLASSES}
    assert set(reference_schedules.RULES) == set(schedules.CLASSES)


# ---- networks ------------------------------------------------------------------------------------


def make_job(layers, loss="squared_error", n=7, n_features=3, **changes):
    """A small job with valid targets for the loss."""
    rng = np.random.default_rng(3)
    n_outputs = [layer.units for layer in iterate_dense_layers(layers)][-1]
    loss = losses.resolve(loss)
    _, y = make_outputs_and_targets(losses.get_name(loss), n, n_outputs)
    fields = {
        "layers": layers, "loss": loss, "optimizer": optimizers.SGD(0.1), "y": y,
        "X": rng.normal(size=(n, n_features)), "sample_weight": None, "batch_size": 3,
        "shuffle": "epoch", "seed": 5, "first_epoch": 0, "first_step": 0,
    }  # fmt: skip
    return TrainingJob(**fields | changes)


def make_parameters(job, seed=1):
    located = training.locate_parameters(job.layers, job.X.shape[1])
    *_, (_, _, weights, bias) = located
    sizes = (weights if bias is None else bias).stop
    return np.random.default_rng(seed).normal(size=sizes) * 0.7


WEIGHT = np.array([1.0, 0.0, 2.5, 0.3, 1.0, 4.0, 0.5])
NETWORKS = {
    "one layer": (Dense(2),),
    "not square": (Dense(5, "tanh"), Dense(4, "gelu", use_bias=False), Dense(2, "softplus")),
    "penalties": (Dense(4, "silu", l1=0.1), Dense(2, l2=0.3), Dense(2, l1=0.2, l2=0.1)),
    "dropout": (Dropout(0.2), Dense(6, "tanh"), Dropout(0.5), Dense(2)),
    "residual first": (Residual(Dense(4, "tanh"), Dense(3)), Dense(2)),
    "residual last": (Dense(4, "sigmoid"), Residual(Dense(3, "mish"), Dense(4, "tanh"))),
    "nested": (
        Residual(
            Dense(5, "tanh"),
            Residual(Dropout(0.3), Dense(5, elu(0.7)), Residual(Dense(5, "selu"))),
            Dense(3, leaky_relu(0.1)),
        ),
        Dropout(0.4),
        Dense(2, "sigmoid", l2=0.1),
    ),
    "scale": (Scale(), Dense(4, "tanh"), Residual(Scale(), Dense(4, "gelu")), Scale(), Dense(2)),
    "scale last": (Dense(2), Scale()),
    "residual of dropout": (Residual(Dropout(0.5)), Dense(2, "tanh"), Dropout(0.1)),
}


def check_gradient(job, step=0, is_training=True):
    rows = np.arange(len(job.X))
    flat = make_parameters(job)
    _, gradients = training.loss_and_gradients(job, flat, rows, step, is_training)
    derivatives = central_differences(
        lambda p: training.loss_and_gradients(job, p, rows, step, is_training)[0], flat, 1e-5
    )
    np.testing.assert_allclose(training.join(*gradients), derivatives, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_of_a_network(name, weight, is_training):
    check_gradient(make_job(NETWORKS[name], sample_weight=weight), 2, is_training)


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_gradient_through_every_head(name, head):
    units = 4 if name == "gaussian_nll" else 3
    job = make_job((Dense(4, "tanh"), Dense(units, head)), name)
    if name == "gaussian_nll":
        job = replace(job, y=job.y[:, :2])
    check_gradient(job)


def test_predictions_apply_the_last_activation():
    X, flat = np.array([[1.0, -2.0]]), np.array([1.0, 0, 0, 0, 1, 0])
    z = np.array([[1.0, -2.0, 0.0]])
    for head in ("linear", "softmax", "sigmoid", "step", "exp"):
        layers = (Dense(3, head, use_bias=False),)
        expected = {
            "linear": z, "softmax": np.exp(z) / np.exp(z).sum(), "sigmoid": 1 / (1 + np.exp(-z)),
            "step": z > 0, "exp": np.exp(z),
        }[head]  # fmt: skip
        np.testing.assert_allclose(training.predict(layers, flat, X), expected, rtol=1e-14)


def test_evaluate_returns_the_loss_of_each_row():
    job = make_job(NETWORKS["not square"])
    flat = make_parameters(job)
    values, outputs = training.evaluate(job.layers, job.loss, flat, job.X, job.y)
    np.testing.assert_allclose(values, ((outputs - job.y) ** 2).mean(axis=1))
    weighted, _ = training.evaluate(job.layers, job.loss, flat, job.X, job.y, WEIGHT)
    np.testing.assert_allclose(weighted, WEIGHT * values)
    job = replace(job, sample_weight=WEIGHT)
    value, _ = training.loss_and_gradients(job, flat, np.arange(7), 0, False)
    assert value == pytest.approx(weighted.sum() / WEIGHT.sum())


def test_split_returns_views_and_join_is_its_inverse():
    layers = NETWORKS["nested"]
    flat = make_parameters(make_job(layers)).astype(np.float32)
    weights, biases = training.split(layers, 3, flat)
    assert [W.shape for W in weights] == [(3, 5), (5, 5), (5, 5), (5, 3), (3, 2)]
    assert (training.join(weights, biases) == flat).all()
    assert all(np.shares_memory(a, flat) for a in (*weights, *biases))
    assert weights[0].dtype == np.float32


def test_dropout_rate_and_expectation():
    key = prng.make_key(1, codes.Purpose.DROPOUT_MASK, 0, 0)
    kept = network.dropout_mask(0.3, key, (400, 500))
    assert kept.mean() == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / kept.size))
    assert kept[2, 7] == prng.draw_dropout_mask(key, 2 * 500 + 7, 1, 0.3)[0]
    y, backward = network.dropout(Dropout(0.3), key, np.ones((400, 500)))
    assert (y == np.where(kept, 1 / 0.7, 0.0)).all()
    assert y.mean() == pytest.approx(1, abs=0.01)
    assert (backward(np.ones((400, 500)))[0] == y).all()


def test_dropout_masks_differ_between_layers_and_steps():
    layers = (Residual(Dropout(0.5)), Residual(Residual(Dropout(0.5))), Dropout(0.5))
    X = np.ones((4, 30))
    outputs, _ = network.forward(layers, [], [], X, network.dropout_keys(9, 4))
    masks = [
        2.0 * network.dropout_mask(0.5, prng.make_key(9, codes.Purpose.DROPOUT_MASK, k, 4), X.shape)
        for k in range(3)
    ]
    np.testing.assert_allclose(outputs, (1 + masks[0]) * (2 + masks[1]) * masks[2])
    later, _ = network.forward(layers, [], [], X, network.dropout_keys(9, 5))
    assert (later != outputs).any()


# ---- training ------------------------------------------------------------------------------------


def make_trainer(job, dtype=np.float64, seed=1):
    params = make_parameters(job, seed).astype(dtype)
    slots = np.zeros((job.optimizer.n_slots, len(params)), dtype)
    return training.Trainer(job, params, slots)


def run_steps(trainer, first, rates, optimizer_step, seconds):
    """The losses and batch weights of the steps that were made."""
    steps = Steps(first, optimizer_step, rates)
    trainer.run(steps, seconds)
    return steps.losses[: steps.done], steps.batch_weights[: steps.done]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_step_is_one_update(name):
    job = make_job(
        NETWORKS["dropout"], optimizer=optimizers.CLASSES[name](clip_norm=0.5),
        batch_size=7, shuffle="never", first_step=11,
    )  # fmt: skip
    run = make_trainer(job)
    before = training.split(job.layers, 3, run.params.copy())
    value, gradients = training.loss_and_gradients(job, run.params, np.arange(7), 4, True)
    (losses_made, batch_weights) = run_steps(run, 4, np.array([0.1]), 2, np.inf)
    assert (losses_made.tolist(), batch_weights.tolist()) == ([value], [7.0])
    clipped = reference_optimizers.clip(job.optimizer, [*gradients[0], *gradients[1]])
    after = training.split(job.layers, 3, run.params)
    for i, (w, now) in enumerate(
        zip([*before[0], *before[1]], [*after[0], *after[1]], strict=True)
    ):
        slots = (np.zeros_like(w),) * job.optimizer.n_slots
        expected, _ = reference_optimizers.update(
            job.optimizer, w, clipped[i], slots, 0.1, 3, i >= len(before[0])
        )
        np.testing.assert_allclose(now, expected, rtol=1e-14)


@pytest.mark.parametrize("shuffle", ["epoch", "once", "never"])
def test_epochs_see_each_row_once(shuffle):
    job = make_job(
        NETWORKS["one layer"], shuffle=shuffle, first_epoch=4, sample_weight=2.0 ** np.arange(7)
    )
    run = make_trainer(job)
    _, batch_weights = run_steps(run, 0, np.full(9, 0.01), 0, np.inf)
    epochs = batch_weights.reshape(3, 3)
    assert (epochs.sum(axis=1) == 127).all()
    assert (epochs[0] == epochs[1]).all() == (shuffle != "epoch")
    order = {
        "epoch": prng.draw_permutation(prng.make_key(5, codes.Purpose.SHUFFLE, 5), 7),
        "once": prng.draw_permutation(prng.make_key(5, codes.Purpose.SHUFFLE, 4), 7),
        "never": np.arange(7),
    }[shuffle]
    assert epochs[1].tolist() == [(2.0 ** order[i : i + 3]).sum() for i in (0, 3, 6)]


def test_several_calls_are_equivalent_to_one():
    job = make_job(NETWORKS["nested"], optimizer=optimizers.Adam())
    whole, parts = make_trainer(job), make_trainer(job)
    rates = np.linspace(0.1, 0.01, 8)
    losses_whole, _ = run_steps(whole, 0, rates, 0, np.inf)
    first, _ = run_steps(parts, 0, rates[:4], 0, np.inf)
    done = len(first)
    second = [run_steps(parts, i, rates[i:], i, 0.0)[0] for i in range(done, 8)]
    assert [len(losses_made) for losses_made in second] == [1] * 4
    assert losses_whole.tolist() == [*first.tolist(), *itertools.chain(*second)]
    assert (whole.params == parts.params).all()
    assert (whole.slots == parts.slots).all()


def test_a_new_trainer_resumes_within_an_epoch():
    job = make_job(NETWORKS["dropout"])
    whole, first = make_trainer(job), make_trainer(job)
    run_steps(whole, 0, np.full(5, 0.1), 0, np.inf)
    run_steps(first, 0, np.full(2, 0.1), 0, np.inf)
    second = training.Trainer(job, first.params, first.slots)
    run_steps(second, 2, np.full(3, 0.1), 2, np.inf)
    assert (whole.params == second.params).all()


def test_masks_depend_on_all_steps_of_a_network():
    rows, values = np.arange(7), []
    for first_step, step in [(11, 0), (0, 11), (0, 0)]:
        job = make_job(NETWORKS["dropout"], first_step=first_step)
        flat = make_parameters(job)
        values.append(training.loss_and_gradients(job, flat, rows, step, True)[0])
    assert values[0] == values[1] != values[2]


def test_training_decreases_the_loss():
    job = make_job((Dense(8, "tanh"), Dense(2)), optimizer=optimizers.Adam())
    run = make_trainer(job, np.float32)
    losses_made, _ = run_steps(run, 0, np.full(900, 0.02), 0, np.inf)
    assert run.params.dtype == np.float32
    assert losses_made[-3:].mean() < 0.01 * losses_made[:3].mean()


def test_batch_without_weight_makes_no_update():
    job = make_job(
        NETWORKS["penalties"], shuffle="never", sample_weight=np.array([0, 0, 0, 1, 1, 1, 0.0])
    )
    run = make_trainer(job)
    before = run.params.copy()
    losses_made, batch_weights = run_steps(run, 0, np.array([0.1]), 0, np.inf)
    assert (losses_made.tolist(), batch_weights.tolist()) == ([0.0], [0.0])
    assert (run.params == before).all()
    _, batch_weights = run_steps(run, 1, np.array([0.1, 0.1]), 1, np.inf)
    assert batch_weights.tolist() == [3.0, 0.0]
    assert (run.params != before).any()


def test_diverged_run_ends_before_the_update():
    run = make_trainer(make_job((Dense(3, "exp"), Dense(2))))
    losses_made, batch_weights = run_steps(run, 0, np.full(50, 1e3), 0, np.inf)
    assert len(losses_made) == len(batch_weights) < 50
    assert np.isfinite(losses_made[:-1]).all()
    assert not np.isfinite(losses_made[-1])
    before = run.params.copy()
    again, _ = run_steps(run, len(losses_made) - 1, np.full(5, 1e3), 0, np.inf)
    assert len(again) == 1
    assert (run.params == before).all()
