"""`History.report` and `fit(diagnostics=True)`: bad runs and the finding of each, healthy runs, and
the measured values against the reference."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

import fastnn as fn
from fastnn import initializers, reference
from fastnn._report.facts import RunFacts
from fastnn._report.finding import Finding, Report
from fastnn._report.rules import RULES, find_all
from fastnn._training.fit import make_job
from fastnn._training.source import Arrays
from fastnn.history import History
from fastnn.optimizers import SGD, Adam

KINDS = {
    "diverged", "learning rate too high", "learning rate too low", "overfitting", "underfitting",
    "stopped too early", "converged", "vanishing gradients", "exploding gradients", "dead units",
    "saturated units", "unscaled inputs", "unscaled targets", "sorted rows",
    "constant predictions", "class imbalance",
}  # fmt: skip


# ---- data and networks ---------------------------------------------------------------------------


def standardize(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


def make_data():
    """Real and artificial data, by name: (X, y)."""
    rng = np.random.default_rng(0)
    digits, cancer, concrete = (
        load() for load in (fn.datasets.load_digits, fn.datasets.load_breast_cancer,
                            fn.datasets.load_concrete)
    )  # fmt: skip
    pixels, cells, mix = digits.X / 16, standardize(cancer.X), standardize(concrete.X)
    strength = standardize(concrete.y)
    normal, noise = rng.normal(size=(500, 5)), rng.normal(size=500)
    by_digit, by_class, by_strength = (
        np.argsort(y, kind="stable") for y in (digits.y, cancer.y, concrete.y)
    )
    flipped = (cancer.y + (rng.random(len(cancer.y)) < 0.2)) % 2
    return {
        "digits": (pixels, digits.y),
        "digits, 0 to 16": (digits.X, digits.y),
        "digits, sorted": (pixels[by_digit], digits.y[by_digit]),
        "is it a 3": (pixels, (digits.y == 3).astype(int)),
        "cancer": (cells, cancer.y),
        "cancer, raw": (cancer.X, cancer.y),
        "cancer, sorted": (cells[by_class], cancer.y[by_class]),
        "cancer, wrong labels": (cells, flipped),
        "concrete": (mix, strength),
        "concrete, raw X": (concrete.X, strength),
        "concrete, raw y": (mix, concrete.y),
        "concrete, raw": (concrete.X, concrete.y),
        "concrete, small y": (mix, 1e-4 * strength),
        "concrete, large": (10 * mix, 10 * strength),
        "concrete, sorted": (mix[by_strength], strength[by_strength]),
        "xor": (normal[:, :2], (normal[:, 0] * normal[:, 1] > 0).astype(int)),
        "wave": (normal[:, :1], np.cos(3 * normal[:, 0])),
        "curved": (normal, standardize(np.sin(2 * normal[:, 0]) + normal[:, 1] ** 2 + 0.1 * noise)),
        "noise": (normal, noise),
        "noisy line": (normal, normal[:, 0] + noise),
        "noisy classes": (normal, (normal[:, 0] + noise > 0).astype(int)),
        "rare class": (normal, (normal[:, 0] + 1.5 * noise > 2.6).astype(int)),
        "counts": (normal, rng.poisson(np.exp(0.5 * normal[:, 0]))),
    }  # fmt: skip


DATA = make_data()
TEN, BINARY, REAL = fn.Dense(10, "softmax"), fn.Dense(1, "sigmoid"), fn.Dense(1)


def hidden(*units, activation="relu", **options):
    return [fn.Dense(n, activation, **options) for n in units]


def train(data, layers, diagnostics=True, **options):
    net = fn.Sequential(*layers, random_state=0)
    return net.fit(*DATA[data], diagnostics=diagnostics, **options)


def cosine(rate):
    return Adam(fn.schedules.CosineDecay(rate))


# ---- bad runs ------------------------------------------------------------------------------------

DEAD_BIAS = hidden(32, bias_init=-10.0)
WIDE_INIT, NORMAL = initializers.Normal(10.0), initializers.Normal(1.0)
BAD = {
    "SGD on unscaled data": (
        "diverged", "concrete, raw", [*hidden(32), REAL], {"optimizer": SGD(0.1)}),
    "SGD at a rate of 1": (
        "diverged", "concrete, large", [*hidden(32), REAL], {"optimizer": SGD(1.0)}),
    "digits, tanh, at a rate of 0.3": (
        "learning rate too high", "digits", [*hidden(64, activation="tanh"), TEN],
        {"optimizer": Adam(0.3), "epochs": 20}),
    "concrete at a rate of 0.3": (
        "learning rate too high", "concrete", [*hidden(64, activation="tanh"), REAL],
        {"optimizer": Adam(0.3), "epochs": 30}),
    "digits at a tiny rate": (
        "learning rate too low", "digits", [*hidden(64), TEN],
        {"optimizer": Adam(3e-6), "epochs": 20}),
    "cancer at a tiny rate": (
        "learning rate too low", "cancer", [*hidden(16), BINARY],
        {"optimizer": SGD(1e-4), "epochs": 20}),
    "concrete at a tiny rate": (
        "learning rate too low", "concrete", [*hidden(16), REAL],
        {"optimizer": SGD(1e-5), "epochs": 20}),
    "noise": (
        "overfitting", "noise", [*hidden(128), REAL],
        {"optimizer": Adam(5e-3), "epochs": 100, "validation_split": 0.3}),
    "wrong labels": (
        "overfitting", "cancer, wrong labels", [*hidden(128, 128), BINARY],
        {"epochs": 60, "validation_split": 0.3}),
    "xor without hidden layer": (
        "underfitting", "xor", [BINARY], {"optimizer": Adam(0.03), "epochs": 60}),
    "wave without hidden layer": (
        "underfitting", "wave", [REAL], {"optimizer": Adam(0.01), "epochs": 60}),
    "large penalty": (
        "underfitting", "concrete", [*hidden(32, l2=5.0), fn.Dense(1, l2=5.0)], {"epochs": 60}),
    "digits for 6 epochs": ("stopped too early", "digits", [*hidden(16), TEN], {"epochs": 6}),
    "concrete for 8 epochs": ("stopped too early", "concrete", [*hidden(32), REAL], {"epochs": 8}),
    "six layers of sigmoid": (
        "vanishing gradients", "digits", [*hidden(*[32] * 6, activation="sigmoid"), TEN], {}),
    "eight layers of sigmoid": (
        "vanishing gradients", "cancer", [*hidden(*[16] * 8, activation="sigmoid"), BINARY],
        {"optimizer": SGD(0.1)}),
    "large initial weights": (
        "exploding gradients", "concrete", [*hidden(*[64] * 6, weight_init=NORMAL), REAL],
        {"optimizer": Adam(1e-4)}),
    "large initial weights, classes": (
        "exploding gradients", "digits", [*hidden(*[64] * 4, weight_init=NORMAL), TEN], {}),
    "negative bias": ("dead units", "concrete", [*DEAD_BIAS, REAL], {}),
    "two layers at a rate of 0.3": (
        "dead units", "digits", [*hidden(64, 64), TEN], {"optimizer": Adam(0.3)}),
    "tanh on unscaled inputs": (
        "saturated units", "cancer, raw", [*hidden(32, activation="tanh"), BINARY], {"epochs": 20}),
    "sigmoid with large initial weights": (
        "saturated units", "concrete",
        [*hidden(32, activation="sigmoid", weight_init=WIDE_INIT), REAL], {"epochs": 20}),
    "cancer, raw": ("unscaled inputs", "cancer, raw", [*hidden(16), BINARY], {}),
    "concrete, raw X": ("unscaled inputs", "concrete, raw X", [*hidden(16), REAL], {}),
    "concrete, raw y": ("unscaled targets", "concrete, raw y", [*hidden(16), REAL], {}),
    "concrete, small y": ("unscaled targets", "concrete, small y", [*hidden(16), REAL], {}),
    "digits, sorted": ("sorted rows", "digits, sorted", [*hidden(32), TEN], {"shuffle": False}),
    "cancer, sorted": (
        "sorted rows", "cancer, sorted", [*hidden(32), BINARY],
        {"shuffle": "never"}),
    "concrete, sorted": (
        "sorted rows", "concrete, sorted", [*hidden(32), REAL],
        {"shuffle": False}),
    "all units dead": ("constant predictions", "concrete", [*DEAD_BIAS, REAL], {"epochs": 30}),
    "sigmoid output for targets up to 82": (
        "constant predictions", "concrete, raw y", [*hidden(16), BINARY],
        {"loss": "squared_error", "epochs": 20}),
    "rare class": ("class imbalance", "rare class", [*hidden(8), BINARY], {"epochs": 60}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::fastnn.DivergenceWarning")
@pytest.mark.parametrize("name", BAD)
def test_bad_run(name):
    kind, data, layers, options = BAD[name]
    report = train(data, layers, **options).report()
    assert kind in report.kinds
    (finding,) = (one for one in report if one.kind == kind)
    assert finding.severity != "info"
    assert any(letter.isdigit() for letter in finding.evidence)


def test_every_kind_has_a_bad_run():
    assert {kind for kind, *_ in BAD.values()} == KINDS - {"converged"}
    assert len(RULES) == len(KINDS)


# ---- healthy runs --------------------------------------------------------------------------------

VALIDATED = {"validation_split": 0.25}
HEALTHY = {
    "digits": ("digits", [*hidden(64), TEN], {"epochs": 40}),
    "digits, validated": ("digits", [*hidden(64), TEN], {"epochs": 25, **VALIDATED}),
    "digits, Dropout": (
        "digits", [*hidden(128), fn.Dropout(0.2), TEN], {"epochs": 30, **VALIDATED}),
    "digits, tanh": ("digits", [*hidden(64, activation="tanh"), TEN], {"epochs": 40}),
    "digits, gelu": ("digits", [*hidden(64, activation="gelu"), TEN], {"epochs": 40}),
    "digits, three layers": ("digits", [*hidden(64, 64, 64), TEN], {"epochs": 25}),
    "digits, 0 to 16": ("digits, 0 to 16", [*hidden(64), TEN], {"epochs": 25}),
    "digits, Residual": (
        "digits", [*hidden(64), fn.Residual(fn.Dense(64, "relu")), TEN], {"epochs": 25}),
    "digits, momentum": (
        "digits", [*hidden(64), TEN], {"epochs": 40, "optimizer": SGD(0.1, momentum=0.9)}),
    "digits, OneCycle": (
        "digits", [*hidden(64), TEN],
        {"epochs": 20, "optimizer": Adam(fn.schedules.OneCycle(max_learning_rate=1e-2)),
         **VALIDATED}),
    "digits, softmax regression": ("digits", [TEN], {"epochs": 60, "optimizer": Adam(1e-2)}),
    "digits, sorted and shuffled": ("digits, sorted", [*hidden(32), TEN], {"epochs": 40}),
    "digits, in random order": ("digits", [*hidden(32), TEN], {"epochs": 40, "shuffle": False}),
    "digits, three epochs": ("digits", [*hidden(16), TEN], {"epochs": 3}),
    "one digit of ten": ("is it a 3", [*hidden(32), BINARY], {"epochs": 40}),
    "cancer": ("cancer", [*hidden(16), BINARY], {"epochs": 60, **VALIDATED}),
    "cancer, EarlyStopping": (
        "cancer", [*hidden(16), BINARY],
        {"epochs": 300, "callbacks": [fn.EarlyStopping()], **VALIDATED}),
    "cancer, logistic regression": (
        "cancer", [BINARY], {"epochs": 100, "optimizer": Adam(1e-2), **VALIDATED}),
    "cancer, sigmoid": (
        "cancer", [*hidden(16, activation="sigmoid"), BINARY],
        {"epochs": 120, "optimizer": Adam(3e-3)}),
    "cancer, balanced": (
        "cancer", [*hidden(16), BINARY],
        {"epochs": 60, "class_weight": "balanced"}),
    "concrete": ("concrete", [*hidden(32), REAL], {"epochs": 150, **VALIDATED}),
    "concrete, tanh": (
        "concrete", [*hidden(32, activation="tanh"), REAL],
        {"epochs": 150, "optimizer": Adam(3e-3), **VALIDATED}),
    "concrete, huber": ("concrete", [*hidden(32), REAL], {"epochs": 150, "loss": "huber"}),
    "concrete, cosine": (
        "concrete", [*hidden(64, 64), REAL],
        {"epochs": 80, "optimizer": cosine(3e-3)}),
    "concrete, l2": ("concrete", [*hidden(32, l2=1e-3), REAL], {"epochs": 150, **VALIDATED}),
    "concrete, sorted, full batch": (
        "concrete, sorted", [*hidden(16, activation="tanh"), REAL],
        {"epochs": 500, "batch_size": "full", "shuffle": False, "optimizer": Adam(1e-2)}),
    "xor": ("xor", [*hidden(16), BINARY], {"epochs": 150, "optimizer": Adam(1e-2)}),
    "curved": ("curved", [*hidden(32), REAL], {"epochs": 150, "optimizer": Adam(3e-3)}),
    "noisy line": ("noisy line", [REAL], {"epochs": 60, "optimizer": Adam(1e-2), **VALIDATED}),
    "noisy classes": (
        "noisy classes", [BINARY],
        {"epochs": 60, "optimizer": Adam(1e-2), **VALIDATED}),
    "counts": (
        "counts", [*hidden(16), fn.Dense(1, "exp")], {"epochs": 80, "optimizer": Adam(3e-3)}),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_run(name):
    data, layers, options = HEALTHY[name]
    report = train(data, layers, **options).report()
    assert [finding for finding in report if finding.severity != "info"] == []


# ---- findings from curves alone ------------------------------------------------------------------

EPOCHS = np.arange(40)


def make_facts(loss, **facts):
    known = {
        "val_loss": None, "r2": None, "diverged": False, "stop_reason": None, "layers": None,
        "data": None, "outputs": None,
    }  # fmt: skip
    return RunFacts(loss=np.asarray(loss, dtype=float), **known | facts)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("learning rate too high", {"loss": 1 + 0.2 * (-1.0) ** EPOCHS}),
        ("learning rate too low", {"loss": 1 - 1e-4 * EPOCHS}),
        ("overfitting", {"loss": 0.9**EPOCHS, "val_loss": 0.3 + (EPOCHS / 20 - 0.5) ** 2}),
        ("underfitting", {"loss": 1 + 0.5**EPOCHS, "r2": 0.1 - 0.1 * 0.5**EPOCHS}),
        ("stopped too early", {"loss": 0.98**EPOCHS}),
        ("converged", {"loss": 0.5**EPOCHS}),
    ],
)
def test_curves_alone(kind, facts):
    assert kind in [finding.kind for finding in find_all(make_facts(**facts))]


def test_overfitting_begins_after_the_lowest_validation_loss():
    validation = 0.3 + (EPOCHS / 20 - 0.5) ** 2
    (finding,) = find_all(make_facts(0.95**EPOCHS, val_loss=validation))
    assert finding.kind == "overfitting"
    assert finding.evidence.startswith("Since epoch 11 the validation loss has risen from 0.3 to")


def test_overfitting_is_an_info_if_training_was_stopped():
    facts = make_facts(
        0.95**EPOCHS, val_loss=0.3 + (EPOCHS / 20 - 0.5) ** 2, stop_reason="val_loss has risen"
    )
    (finding,) = find_all(facts)
    assert (finding.kind, finding.severity) == ("overfitting", "info")


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_validation_loss_that_is_not_finite_shows_nothing(value):
    validation = np.where(EPOCHS < 30, 1 + EPOCHS, value)
    assert find_all(make_facts(0.98**EPOCHS, val_loss=validation)) == []


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_findings_do_not_depend_on_the_scale_of_the_loss(scale):
    loss = np.linspace(1, 0.5, 40)
    (finding,) = find_all(make_facts(scale * loss))
    assert finding.kind == "stopped too early"


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_few_epochs_show_nothing(n):
    assert find_all(make_facts(1 - 0.01 * np.arange(n), val_loss=np.ones(n))) == []


def test_a_report_without_diagnostics():
    history = train("concrete", [*hidden(32), REAL], diagnostics=False, epochs=8)
    assert history.report().kinds == ("stopped too early",)
    assert (history.layers, history.data, history.outputs) == (None, None, None)


@pytest.mark.parametrize("epochs", [0, 1])
def test_report_of_almost_no_epochs(epochs):
    history = train("digits", [*hidden(16), TEN], epochs=epochs)
    assert len(history.report()) == 0
    assert (history.layers is None) == (epochs == 0)


def make_layers(**columns):
    """The columns of one measurement of three layers."""
    norms = {"gradient_norm": [1.0] * 3, "weight_norm": [1.0] * 3, "parameters": [9] * 3}
    units = {"dead": [np.nan] * 3, "saturated": [np.nan] * 3}
    return {"layer": [0, 1, 2], **norms, **units, **columns}


@pytest.mark.parametrize(
    ("kinds", "columns"),
    [
        ([], {}),
        (["vanishing gradients"], {"gradient_norm": [1e-5, 0.1, 1.0]}),
        (["exploding gradients"], {"gradient_norm": [1e5, 1e5, 1.0]}),
        (["exploding gradients"], {"gradient_norm": [1.0, 1.0, 1e5]}),
        (["dead units"], {"dead": [0.9, 0.0, np.nan], "gradient_norm": [1e-5, 0.1, 1.0]}),
        (["saturated units"], {"saturated": [0.0, 0.9, np.nan]}),
        ([], {"saturated": [0.0, 0.0, 0.9]}),
        ([], {"gradient_norm": [0.0, 0.0, 1.0]}),
        ([], {"gradient_norm": [np.inf, np.nan, 1.0]}),
    ],
    ids=str,
)
def test_layers_alone(kinds, columns):
    found = find_all(make_facts([1.0], layers=make_layers(**columns)))
    assert [finding.kind for finding in found] == kinds


def test_the_evidence_names_the_layers():
    layers = make_layers(dead=[0.75, 0.5, np.nan])
    (finding,) = find_all(make_facts([1.0], layers=layers))
    assert finding.evidence.startswith("75% of the units of Dense layers 0, 1 are 0")


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("concrete, raw X", "exploding gradients"),
        ("digits, tanh, at a rate of 0.3", "converged"),
        ("wrong labels", "converged"),
        ("digits at a tiny rate", "stopped too early"),
        ("digits for 6 epochs", "learning rate too low"),
    ],
)
def test_findings_that_a_bad_run_does_not_have(name, absent):
    _, data, layers, options = BAD[name]
    assert absent not in train(data, layers, **options).report().kinds


# ---- the report ----------------------------------------------------------------------------------


def test_a_report_is_a_read_only_list_that_prints():
    low = Finding("converged", "info", "It is flat.", "Stop.")
    high = Finding("diverged", "problem", "It is infinite.", "Lower it.")
    report = Report([low, high])
    assert list(report) == [high, low]
    assert report[-1] is low
    assert str(report).splitlines()[:2] == ["problem: diverged", "    It is infinite."]
    assert not Report([])
    assert str(Report([])) == "no findings"
    with pytest.raises(FrozenInstanceError):
        low.kind = "overfitting"


# ---- the measurements ----------------------------------------------------------------------------

LAYERS = [
    fn.Dense(12, "relu"), fn.Dropout(0.3), fn.Residual(fn.Dense(7, "gelu"), fn.Dense(12, "tanh")),
    fn.Dense(3, "softmax"),
]  # fmt: skip
X = np.random.default_rng(1).normal(size=(60, 5))
Y = np.random.default_rng(2).integers(3, size=60)


def fit_small(n_threads=1, diagnostics=True, dtype="float64", **options):
    net = fn.Sequential(*LAYERS, random_state=3, dtype=dtype)
    settings = {"epochs": 5, "batch_size": 16, "n_threads": n_threads} | options
    return net, net.fit(X, Y, diagnostics=diagnostics, **settings)


def read_last(history, name, n_layers=4):
    return history.layers[name][-n_layers:]


def join_layers(weights, biases):
    """The weights and the bias of each layer in one array."""
    return [np.append(w, b) for w, b in zip(weights, biases, strict=True)]


def test_gradients_and_outputs_equal_the_reference():
    """The rows are few enough that all are measured."""
    net, history = fit_small()
    _, gradients = net.loss_and_gradients(X, Y, engine="reference")
    norms = [np.linalg.norm(values) for values in join_layers(*gradients.values())]
    assert read_last(history, "gradient_norm") == pytest.approx(norms, rel=1e-10)
    sizes = [
        np.sqrt((w**2).sum() + (b**2).sum()) for w, b in zip(net.weights, net.biases, strict=True)
    ]
    assert read_last(history, "weight_norm") == pytest.approx(list(sizes), rel=1e-12)
    f = reference.activations.FUNCTIONS
    (w1, w2, w3, w4), (b1, b2, b3, b4) = net.weights, net.biases
    one = f["relu"][0](X @ w1 + b1, 0.0)
    two = f["gelu"][0](one @ w2 + b2, 0.0)
    three = np.tanh(two @ w3 + b3)
    outputs = [one, two, three, (one + three) @ w4 + b4]
    assert read_last(history, "mean") == pytest.approx([y.mean() for y in outputs], rel=1e-9)
    assert read_last(history, "std") == pytest.approx([y.std() for y in outputs], rel=1e-9)
    assert read_last(history, "dead")[0] == np.mean((one == 0).all(axis=0))
    assert read_last(history, "saturated")[2] == np.mean(1 - three**2 < 0.05)
    assert np.isnan(read_last(history, "dead")[1:]).all()


def test_sample_weights_and_penalties_belong_to_the_gradient():
    weight = np.random.default_rng(4).uniform(0, 2, 60)
    weight[:7] = 0
    net = fn.Sequential(fn.Dense(4, "tanh", l2=0.3, l1=0.1), fn.Dense(1), random_state=0)
    history = net.fit(X, X[:, 0], sample_weight=weight, epochs=2, diagnostics=True)
    _, gradients = net.loss_and_gradients(X, X[:, 0], sample_weight=weight)
    norms = [
        np.hypot(np.linalg.norm(w), np.linalg.norm(b))
        for w, b in zip(*gradients.values(), strict=True)
    ]
    assert read_last(history, "gradient_norm", 2) == pytest.approx(norms, rel=1e-4)


def test_dead_and_saturated_units_are_counted():
    net = fn.Sequential(
        fn.Dense(4, "relu", weight_init="zeros"), fn.Dense(2, "sigmoid"), fn.Dense(1)
    ).build(5)  # fmt: skip
    net.biases[0] = [-1.0, 1.0, 0.0, 1.0]
    net.biases[1] = [50.0, 0.0]
    net.weights[1] = np.zeros((4, 2))
    history = net.fit(X, X[:, 0], optimizer=SGD(1e-30), epochs=1, diagnostics=True)
    assert history.layers["dead"][:1] == [0.5]
    assert history.layers["saturated"][1] == 0.5


def test_the_update_ratio_of_one_step():
    net = fn.Sequential(fn.Dense(3), fn.Dense(1), random_state=0, dtype="float64").build(5)
    before = join_layers(net.weights, net.biases)
    history = net.fit(X, X[:, 0], batch_size="full", epochs=1, diagnostics=True)
    after = join_layers(net.weights, net.biases)
    ratios = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(after, before, strict=True)]
    assert np.isnan(history.layers["update_ratio"][:2]).all()
    assert history.layers["update_ratio"][2:] == pytest.approx(ratios, rel=1e-12)


def test_the_update_ratio_is_per_step():
    net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64").build(1)
    net.weights[0] = [[1.0]]
    history = net.fit([[1.0]] * 10, [0.0] * 10, loss="squared_error", optimizer=SGD(1e-4),
                      batch_size=2, epochs=1, diagnostics=True)  # fmt: skip
    assert history.layers["update_ratio"][1] == pytest.approx(2e-4, rel=1e-2)


def test_measurements_are_of_the_epoch_that_they_name():
    def get_norms(epochs):
        layers = train("digits", [*hidden(64), TEN], epochs=epochs).layers
        return dict(zip(layers["epoch"][::2], layers["weight_norm"][::2], strict=True))

    norms = get_norms(50)
    measured = [epoch for epoch in norms if 0 < epoch < 50]
    assert measured
    assert {epoch: get_norms(epoch)[epoch] for epoch in measured} == {
        epoch: norms[epoch] for epoch in measured
    }


def test_the_first_the_last_and_every_kth_epoch_is_measured():
    measured = train("digits", [*hidden(64), TEN], epochs=150).layers["epoch"][::2]
    assert measured[0] == 0
    assert measured[-1] == 150
    assert 4 <= len(measured) < 25
    assert set(np.diff(measured[:-1])) == {measured[1]}
    X = np.zeros((160_000, 30), np.float32)
    net = fn.Sequential(fn.Dense(300, "relu"), fn.Dense(1), random_state=0)
    history = net.fit(X, X[:, 0], epochs=3, batch_size=512, diagnostics=True)
    assert history.layers["epoch"] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_an_early_end_is_measured():
    _, history = fit_small(
        epochs=1000, callbacks=[lambda epoch: epoch.stop("enough") if epoch.index == 4 else None]
    )
    assert history.layers["epoch"][-1] == 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"validation_split": 0.2}], ids=str)
def test_the_trained_weights_are_the_same(dtype, options):
    measured, _ = fit_small(dtype=dtype, **options)
    plain, _ = fit_small(dtype=dtype, diagnostics=False, **options)
    assert (measured.parameters == plain.parameters).all()


def test_any_number_of_threads_gives_the_same_values():
    def collect(n_threads):
        net = fn.Sequential(*hidden(96, 96), TEN, random_state=0)
        history = net.fit(
            *DATA["digits"], epochs=2, batch_size=256, n_threads=n_threads, diagnostics=True
        )
        return np.array([column for column in history.layers.values() if column[0] != "relu"])

    first = collect(1)
    for n_threads in (2, 3, 4):
        np.testing.assert_array_equal(collect(n_threads), first)


def test_the_reference_engine_gives_the_same_values_up_to_rounding():
    _, native = fit_small()
    _, slow = fit_small(engine="reference")
    for name in ("gradient_norm", "weight_norm", "update_ratio", "mean", "std"):
        assert slow.layers[name] == pytest.approx(native.layers[name], rel=1e-8, nan_ok=True)


def test_only_selected_rows_are_measured():
    net = fn.Sequential(fn.Dense(1), random_state=0)
    history = net.fit(X, X[:, 0], validation_split=20, epochs=1, diagnostics=True)
    assert history.data.n_rows == 40
    weight = np.r_[np.zeros(59), 1.0]
    history = net.fit(X, X[:, 0], sample_weight=weight, epochs=1, diagnostics=True)
    assert history.data.target_rms == pytest.approx(abs(X[59, 0]), rel=1e-6)


def test_the_arrays_are_not_changed_and_not_kept():
    first, second = X.astype(np.float32), Y.copy()
    references = [array.copy() for array in (first, second)]
    net = fn.Sequential(*LAYERS, random_state=0)
    history = net.fit(first, second, epochs=2, diagnostics=True)
    assert (first == references[0]).all()
    assert (second == references[1]).all()
    pickled = pickle.dumps(history)
    assert first.tobytes()[:64] not in pickled


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda h: pickle.loads(pickle.dumps(h))])
def test_a_copied_history_gives_the_same_report(copier):
    history = train("cancer, raw", [*hidden(16), BINARY])
    other = copier(history)
    assert list(other.layers) == list(history.layers)
    assert (other.data, other.outputs) == (history.data, history.outputs)
    assert str(other.report()) == str(history.report())


def test_a_saved_network_with_layers_in_its_history_loads(tmp_path):
    net, _ = fit_small()
    net.save(tmp_path / "net.safetensors")
    assert (fn.load(tmp_path / "net.safetensors").parameters == net.parameters).all()
    assert pickle.loads(pickle.dumps(net.history)).n_epochs == 5


def test_the_step_of_the_divergence():
    net = fn.Sequential(*hidden(32), REAL, random_state=0)
    with pytest.warns(fn.DivergenceWarning, match=r"not finite at step (\d+)") as caught:
        history = net.fit(*DATA["concrete, raw"], optimizer=SGD(0.1), diagnostics=True)
    assert f"at step {history.diverged_step} " in str(caught[0].message)
    assert history.layers["epoch"] == [0, 0]
    assert train("digits", [TEN], epochs=1).diverged_step is None


def test_diagnostics_must_be_a_flag():
    net = fn.Sequential(fn.Dense(1))
    with pytest.raises(TypeError, match="diagnostics: expected True or False; got 'layers'"):
        net.fit(X, X[:, 0], diagnostics="layers")
    assert net.n_features_in is None


def test_layers_are_read_only():
    _, history = fit_small()
    with pytest.raises(TypeError, match="read-only"):
        history.layers["epoch"] = []


def test_an_empty_history_has_a_report():
    assert len(History().report()) == 0


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1)])
def test_recalls_of_labels(labels):
    y = np.where(X[:, 0] > 0, *labels[::-1])
    net = fn.Sequential(fn.Dense(1), random_state=0)
    history = net.fit(X, y, loss="hinge", optimizer=Adam(0.1), epochs=50, diagnostics=True)
    right = (net.predict(X)[:, 0] > 0) == (y > 0)
    assert history.outputs.accuracy == right.mean()
    assert history.outputs.recalls == tuple(right[y == label].mean() for label in labels)


def test_the_loss_of_a_constant_prediction():
    cases = (
        (X[:, :1], "squared_error", "linear"), (X[:, :1], "absolute_error", "linear"),
        ((Y == 1).astype(float), "binary_cross_entropy", "sigmoid"),
        (Y, "cross_entropy", "softmax"),
    )  # fmt: skip
    for y, loss, activation in cases:
        units = 3 if activation == "softmax" else 1
        net = fn.Sequential(fn.Dense(units, activation, weight_init="zeros"), dtype="float64")
        history = net.fit(np.zeros((60, 1)), y, loss=loss, epochs=3000, batch_size="full",
                          optimizer=cosine(0.1), diagnostics=True)  # fmt: skip
        assert history.data.constant_loss == pytest.approx(history["loss"][-1], rel=1e-3)


def test_the_probe_needs_no_rows_of_other_networks():
    """A job is made from arrays with selected rows."""
    rows = np.arange(3, 50, 2)
    net = fn.Sequential(fn.Dense(1), random_state=0).build(5)
    net.partial_fit(X, X[:, 0])
    arrays = Arrays(X.astype("f"), X[:, :1].astype("f"), None, rows)
    job = make_job(net.state, fn.losses.SquaredError(), SGD(), arrays, 8, "epoch")
    from fastnn._training import data_facts

    assert set(data_facts.choose_rows(job, 10)) <= set(rows)
    assert len(data_facts.choose_rows(job, 10)) == 8
