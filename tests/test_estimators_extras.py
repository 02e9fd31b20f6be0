"""Parameters and methods of the estimators that scikit-learn's do not have."""

import time
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, log_loss

import fastnn as fn
from fastnn import MLPClassifier, MLPRegressor
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.estimator_fit import EstimatorFit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = [MLPClassifier, MLPRegressor]


def data(rng, n=80, y="classes"):
    X = rng.normal(size=(n, 4))
    signal = X[:, 0] + 0.5 * X[:, 1]
    targets = {
        "numbers": signal + 0.3 * rng.normal(size=n),
        "outputs": np.column_stack([signal, 0.2 * X[:, 2]]),
        "counts": rng.poisson(np.exp(0.5 * signal)).astype(float),
        "binary": (signal > 0).astype(int),
        "classes": np.digitize(signal, [-0.7, 0.7]),
        "labels": (X[:, :3] > 0).astype(int),
    }
    return X, targets[y]


def assert_same_model(model, other, tolerance=1e-10):
    for a, b in zip(model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_,
                    strict=True):  # fmt: skip
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# ---- weights ------------------------------------------------------------------------------------

FULL_BATCH = [
    (MLPClassifier, {}, "classes"),
    (MLPClassifier, {"label_smoothing": 0.1, "scale": "standard"}, "binary"),
    (MLPClassifier, {"class_weight": "balanced", "l1": 0.5}, "classes"),
    (MLPClassifier, {"alpha_scaling": "samples", "alpha": 3.0}, "labels"),
    (MLPRegressor, {"loss": "squared_error", "scale": "robust"}, "outputs"),
    (MLPRegressor, {"loss": "absolute_error", "scale_target": "standard"}, "numbers"),
    (MLPRegressor, {"loss": "huber", "scale_target": "robust"}, "outputs"),
    (MLPRegressor, {"loss": "poisson"}, "counts"),
    (MLPRegressor, {"loss": "quantile", "quantile": 0.8}, "numbers"),
    (MLPRegressor, {"loss": "gaussian_nll"}, "numbers"),
    (MLPRegressor, {"solver": "lbfgs", "max_iter": 5}, "numbers"),
    (MLPClassifier, {"solver": "sgd", "momentum": 0.5, "clip_norm": 0.1}, "classes"),
]


@pytest.mark.parametrize(("kind", "params", "y"), FULL_BATCH)
def test_sample_weights_equal_repeated_rows(kind, params, y, rng):
    X, y = data(rng, 40, y)
    weight = rng.integers(0, 4, 40)
    repeated = np.repeat(np.arange(40), weight)
    model = kind(hidden_layer_sizes=(6,), activation="tanh", max_iter=25, random_state=0,
                 alpha=1.0, shuffle=False).set_params(**params)  # fmt: skip
    weighted = clone(model).set_params(batch_size="auto").fit(X, y, sample_weight=weight)
    assert_same_model(weighted, clone(model).fit(X[repeated], y[repeated]))
    assert weighted.score(X, y, weight) == pytest.approx(
        weighted.score(X[repeated], y[repeated]), rel=1e-12
    )


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 1: 0.5}, {2: 3}])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_equals_sample_weights(class_weight, solver, rng):
    X, y = data(rng)
    factors = {0: 1.0, 1: 1.0, 2: 1.0}
    if class_weight == "balanced":
        factors = dict(enumerate(len(y) / (3 * np.bincount(y))))
    factors = factors | (class_weight if isinstance(class_weight, dict) else {})
    weight = np.array([factors[label] for label in y])
    model = MLPClassifier((6,), solver=solver, max_iter=10, random_state=0)
    assert_same_model(
        clone(model).set_params(class_weight=class_weight).fit(X, y), model.fit(X, y, weight)
    )


def test_class_weight_multiplies_sample_weight(rng):
    X, y = data(rng, y="binary")
    weight = rng.uniform(0.5, 2, len(y))
    model = MLPClassifier((6,), max_iter=10, random_state=0, class_weight={1: 3.0})
    plain = clone(model).set_params(class_weight=None)
    assert_same_model(model.fit(X, y, weight), plain.fit(X, y, weight * np.where(y == 1, 3.0, 1.0)))


def test_rows_with_weight_zero_are_ignored(rng):
    X, y = data(rng)
    weight = (rng.random(len(y)) < 0.6).astype(float)
    model = MLPClassifier((6,), max_iter=5, batch_size=16, random_state=0)
    there = clone(model).fit(X, y, weight)
    assert_same_model(
        there, clone(model).fit(X[weight > 0], y[weight > 0], np.ones(int(weight.sum())))
    )


def test_weights_in_partial_fit(rng):
    X, y = data(rng)
    twice, weighted = MLPRegressor(random_state=0), MLPRegressor(random_state=0)
    for _ in range(3):
        twice.partial_fit(np.vstack([X, X]), np.hstack([y, y]))
        weighted.partial_fit(X, y, np.full(len(y), 2.0))
    assert_same_model(twice, weighted)


# ---- losses --------------------------------------------------------------------------------------


def test_regression_losses_match_their_formulas(rng):
    X, y = data(rng, 400, "numbers")
    median = MLPRegressor("absolute_error", (), solver="lbfgs", alpha=0).fit(X, y).predict(X)
    assert abs((y > median).mean() - 0.5) < 0.05
    for q in (0.1, 0.9):
        model = MLPRegressor("quantile", (8,), quantile=q, learning_rate_init=0.01, max_iter=300)
        assert abs((y <= model.fit(X, y).predict(X)).mean() - q) < 0.05
    for delta in (0.01, 100.0):
        huber = MLPRegressor("huber", (), delta=delta, solver="lbfgs", alpha=0)
        assert huber.fit(X, y).score(X, y) > 0.7


def test_loss_curves_are_in_the_units_of_the_loss(rng):
    X, y = data(rng, 60, "numbers")
    still = {"learning_rate_init": 1e-12, "max_iter": 1, "alpha": 0, "random_state": 0}
    losses = {
        "squared_error": lambda e: (e**2).mean() / 2,
        "absolute_error": lambda e: np.abs(e).mean(),
        "quantile": lambda e: np.where(e > 0, 0.25 * e, -0.75 * e).mean(),
        "huber": lambda e: np.where(
            np.abs(e) < 0.5, e**2 / 2, 0.5 * (np.abs(e) - 0.25)
        ).mean(),
    }  # fmt: skip
    for name, value in losses.items():
        model = MLPRegressor(name, quantile=0.25, delta=0.5, **still).fit(X, y, X_val=X, y_val=y)
        expected = value(y - model.predict(X))
        assert model.loss_ == pytest.approx(expected, rel=1e-6)
        assert model.validation_loss_curve_[0] == pytest.approx(expected, rel=1e-6)


def test_predicted_standard_deviation(rng):
    x = rng.uniform(-2, 2, (2000, 1))
    noise = 0.1 + 0.3 * (x[:, 0] > 0)
    y = 100 + 50 * (np.sin(x[:, 0]) + noise * rng.normal(size=2000))
    model = MLPRegressor("gaussian_nll", scale_target="standard", learning_rate_init=0.01,
                         random_state=0).fit(x, y)  # fmt: skip
    mean, std = model.predict(np.array([[-1.0], [1.0]]), return_std=True)
    np.testing.assert_allclose(mean, 100 + 50 * np.sin([-1, 1]), atol=5)
    np.testing.assert_allclose(std, [5, 20], rtol=0.3)
    np.testing.assert_array_equal(model.predict(x[:3]), model.predict(x[:3], return_std=True)[0])
    assert model.n_outputs_ == 1
    with pytest.raises(ValueError, match="return_std: expected False unless loss='gaussian_nll'"):
        MLPRegressor(max_iter=2).fit(x, y).predict(x, return_std=True)


def test_predicted_standard_deviation_of_several_targets(rng):
    X, y = data(rng, y="outputs")
    mean, std = MLPRegressor("gaussian_nll", max_iter=3).fit(X, y).predict(X, return_std=True)
    assert mean.shape == std.shape == y.shape
    assert (std > 0).all()


def test_label_smoothing(rng):
    X, y = data(rng, 200)
    for classes, targets in ((2, (y > 0).astype(int)), (3, y)):
        sharp, smooth = (
            MLPClassifier((20,), label_smoothing=e, solver="lbfgs", alpha=0, random_state=0)
            .fit(X, targets).predict_proba(X).max() for e in (0.0, 0.2)
        )  # fmt: skip
        assert sharp > 0.99
        assert smooth < 1 - 0.2 / classes + 0.05


# ---- architecture --------------------------------------------------------------------------------


def get_layers(model):
    return model._trained.network.layers


def test_activations_per_layer(rng):
    X, y = data(rng)
    activations = ["tanh", "gelu", fn.activations.leaky_relu(0.2)]
    model = MLPClassifier((5, 6, 7), activation=activations, max_iter=2).fit(X, y)
    assert [layer.activation.name for layer in get_layers(model)[:-1]] == [
        "tanh", "gelu", "leaky_relu",
    ]  # fmt: skip


def test_dropout_and_residual(rng):
    X, y = data(rng)
    model = MLPClassifier((6, 6, 6, 3), dropout=[0.0, 0.5, 0.0, 0.1], residual=True, max_iter=2)
    first, second, third, fourth, drop, _ = get_layers(model.fit(X, y))
    assert isinstance(first, fn.Dense)
    assert [type(layer) for layer in second.layers] == [fn.Dense, fn.Dropout]
    assert isinstance(third, fn.Residual)
    assert (fourth.units, drop.rate) == (3, 0.1)


def test_n_layers_and_width(rng):
    X, y = data(rng)
    for params, sizes in [
        ({"n_layers": 2, "width": 5}, [5, 5]),
        ({"width": 5}, [5]),
        ({"n_layers": 3, "hidden_layer_sizes": (7, 2)}, [7, 7, 7]),
        ({"width": 4, "hidden_layer_sizes": (7, 2)}, [4, 4]),
        ({"n_layers": 0}, []),
    ]:
        model = MLPClassifier(**params, max_iter=1, tol=10.0).fit(X, y)
        assert [W.shape[1] for W in model.coefs_[:-1]] == sizes


# ---- penalties and optimizers --------------------------------------------------------------------


def test_alpha_scaling_by_samples_does_not_depend_on_batch_size(rng):
    X, y = data(rng, 200, "numbers")
    sizes = {}
    for scaling in ("batch", "samples"):
        for batch in (10, 200):
            model = MLPRegressor(hidden_layer_sizes=(), alpha=50.0, alpha_scaling=scaling,
                                 batch_size=batch, solver="sgd", learning_rate_init=0.02,
                                 max_iter=400, n_iter_no_change=400, random_state=0)  # fmt: skip
            sizes[scaling, batch] = np.abs(model.fit(X, y).coefs_[0]).sum()
    assert sizes["samples", 10] == pytest.approx(sizes["samples", 200], rel=0.1)
    assert sizes["batch", 10] < 0.5 * sizes["batch", 200]


def test_l1_reduces_weights(rng):
    X, y = data(rng, 100, "numbers")
    settings = {"hidden_layer_sizes": (), "max_iter": 800, "n_iter_no_change": 800, "alpha": 0}
    plain, sparse = (MLPRegressor(**settings, l1=l1, random_state=0).fit(X, y) for l1 in (0, 20))
    assert np.abs(sparse.coefs_[0][2:]).max() < 0.02
    assert np.abs(sparse.coefs_[0]).sum() < np.abs(plain.coefs_[0]).sum()


def test_weight_decay_is_adamw(rng):
    X, y = data(rng)
    decayed = MLPClassifier(weight_decay=1.0, max_iter=50, random_state=0).fit(X, y)
    plain = MLPClassifier(max_iter=50, random_state=0).fit(X, y)
    assert np.abs(decayed.coefs_[0]).sum() < np.abs(plain.coefs_[0]).sum()
    assert isinstance(decayed._trained.network.state.optimizer.optimizer, fn.optimizers.AdamW)


def test_clip_norm_limits_a_step(rng):
    X, y = data(rng, y="numbers")
    start, step = (
        MLPRegressor(solver="sgd", momentum=0.0, max_iter=1, random_state=0, clip_norm=0.5,
                     learning_rate_init=rate).fit(X, 1000 * y) for rate in (1e-12, 0.1)
    )  # fmt: skip
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(
        start.coefs_ + start.intercepts_, step.coefs_ + step.intercepts_, strict=True,
    )))  # fmt: skip
    assert moved == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("schedule", [
    fn.schedules.OneCycle(0.02), fn.schedules.Warmup(fn.schedules.CosineDecay(0.02), 5),
    fn.schedules.StepDecay(0.02, every=10), fn.schedules.Cyclic(0.001, 0.02, 5),
])  # fmt: skip
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_schedules(schedule, solver, rng):
    X, y = data(rng)
    model = MLPClassifier(learning_rate=schedule, solver=solver, max_iter=20, random_state=0)
    network = model.fit(X, y)._trained.network
    assert model.stop_reason_ == "max_iter of 20 epochs reached"
    rates = fn.schedules.rates(schedule, np.arange(20.0), 20)
    np.testing.assert_allclose(network.history["learning_rate"], rates)


def test_no_convergence_warning_with_a_schedule(rng):
    X, y = data(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        MLPClassifier(learning_rate=fn.schedules.OneCycle(0.02), max_iter=3).fit(X, y)


def test_warnings_point_to_the_caller(rng):
    with pytest.warns(ConvergenceWarning) as caught:
        MLPClassifier(max_iter=2).fit(*data(rng))
    assert caught[0].filename == __file__


def test_partial_fit_rejects_a_schedule_without_n_steps(rng):
    X, y = data(rng)
    with pytest.raises(ValueError, match=r"n_steps: expected OneCycle\(n_steps=\.\.\.\)"):
        MLPRegressor(learning_rate=fn.schedules.OneCycle(0.1)).partial_fit(X, y)


# ---- validation ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_best_weights_are_kept(kind, solver, rng):
    X, y = data(rng, 60)
    y = rng.permutation(y)  # random labels, so that the validation score soon decreases
    X_val, y_val = data(rng, 60)
    model = kind(solver=solver, learning_rate_init=0.02, max_iter=30, random_state=0, alpha=0)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X_val, y_val) == pytest.approx(model.best_validation_score_)
    assert model.best_loss_ is not None
    if kind is MLPClassifier:
        best = model.validation_scores_.index(model.best_validation_score_)
        expected = log_loss(y_val, model.predict_proba(X_val))
        assert model.validation_loss_curve_[best] == pytest.approx(expected)


@pytest.mark.parametrize("scoring", ["loss", "neg_log_loss", "f1_macro", get_scorer("accuracy")])
def test_early_stopping_with_other_scores(scoring, rng):
    X, y = data(rng, 120)
    X_val, y_val = data(rng, 60)
    model = MLPClassifier(early_stopping=True, scoring=scoring, n_iter_no_change=3, random_state=0,
                          learning_rate_init=0.02)  # fmt: skip
    model.fit(X, y, X_val=X_val, y_val=y_val)
    if scoring == "loss":
        assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
        return
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    assert model.best_validation_score_ == pytest.approx(scorer(model, X_val, y_val))


def test_default_score_for_losses_without_a_metric(rng):
    X, y = data(rng, y="counts")
    for loss in ("poisson", "quantile", "gaussian_nll"):
        model = MLPRegressor(loss, max_iter=4, random_state=0).fit(X, y, X_val=X, y_val=y)
        assert model.best_validation_score_ == pytest.approx(model.score(X, y))


def test_validation_sample_weights(rng):
    X, y = data(rng, y="binary")
    weight = rng.integers(1, 4, len(y))
    model = MLPClassifier(max_iter=4, random_state=0)
    weighted = clone(model).fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    again = np.repeat(np.arange(len(y)), weight)
    repeated = clone(model).fit(X, y, X_val=X[again], y_val=y[again])
    np.testing.assert_allclose(weighted.validation_loss_curve_, repeated.validation_loss_curve_)
    np.testing.assert_allclose(weighted.validation_scores_, repeated.validation_scores_)


def test_early_stopping_splits_sample_weights(rng):
    X, y = data(rng)
    model = MLPClassifier(early_stopping=True, max_iter=5, random_state=0)
    assert len(model.fit(X, y, rng.uniform(0.5, 2, len(y))).validation_scores_) == 5


# ---- scaling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", ["standard", "robust"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_feature_scaling(kind, scale, dtype, rng):
    X, y = data(rng)
    X = np.column_stack([X, np.full(len(X), 3.25)]).astype(dtype)
    far = (X * [1, 10, 100, 0.1, 1] + [0, 5, -1000, 2, 0]).astype(dtype)
    X.setflags(write=False)
    model = kind(scale=scale, max_iter=10, random_state=0)
    a, b = (clone(model).fit(inputs, y).predict(inputs) for inputs in (X, far))
    assert np.mean(np.isclose(a.astype(float), b.astype(float), rtol=1e-2, atol=1e-2)) > 0.95
    assert kind is MLPClassifier or a.dtype == dtype


def test_target_scaling(rng):
    X, y = data(rng, y="outputs")
    model = MLPRegressor(scale_target="standard", learning_rate_init=0.01, random_state=0)
    near = clone(model).fit(X, y)
    far = clone(model).fit(X, 1000 * y + 5)
    np.testing.assert_allclose(far.predict(X), 1000 * near.predict(X) + 5, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(far.loss_curve_, near.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 5.0}])
def test_default_validation_score_is_the_score_method(class_weight, rng):
    X, y = data(rng, 300)
    X_val, y_val = data(rng, 60)
    model = MLPClassifier(class_weight=class_weight, max_iter=5, random_state=0)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val))


# ---- time limit, restarts, stop reasons ----------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_max_time(solver, rng):
    X, y = data(rng, 400)
    y = rng.permutation(y)
    began = time.perf_counter()
    model = MLPClassifier((200, 200), solver=solver, tol=0, n_iter_no_change=10**6,
                          max_iter=10**6, max_fun=10**9, max_time=0.2, n_init=5)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(X, y)
    assert 0.15 < time.perf_counter() - began < 2
    assert model.stop_reason_ == "max_time of 0.2 s reached" or solver == "lbfgs"


@pytest.mark.parametrize("early_stopping", [False, True])
def test_max_time_ends_within_an_epoch(early_stopping, rng):
    X, y = data(rng, 20_000)
    model = MLPClassifier((500, 500), early_stopping=early_stopping, batch_size=32, max_time=0.05,
                          warm_start=True, max_iter=5, random_state=0)  # fmt: skip
    model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 1
    assert model.stop_reason_ == "max_time of 0.05 s reached"
    assert 1 <= model._trained.network.n_steps < 300
    assert np.isfinite(model.predict_proba(X[:10])).all()
    assert len(model.fit(X, y).loss_curve_) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_restarts_keep_the_best(kind, rng):
    X, y = data(rng, 50)
    model = kind(hidden_layer_sizes=(2,), n_init=5, max_iter=30, random_state=0).fit(X, y)
    assert len(set(model.restarts_)) == 5
    assert -model.loss_ == max(model.restarts_)
    scored = clone(model).fit(X, y, X_val=X, y_val=y)
    assert scored.best_validation_score_ == max(scored.restarts_)
    assert scored.score(X, y) == pytest.approx(scored.best_validation_score_)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"early_stopping": True, "scoring": "balanced_accuracy"},
    ],
    ids=str,
)
def test_parallel_restarts_equal_sequential_ones(options, rng):
    X, y = data(rng, 80)
    model = MLPClassifier((8,), n_init=4, max_iter=10, random_state=0, **options)
    parallel = clone(model).fit(X, y)
    sequential = clone(model).set_params(verbose=True).fit(X, y)
    assert parallel.restarts_ == sequential.restarts_
    assert parallel.loss_curve_ == sequential.loss_curve_
    assert parallel.validation_scores_ == sequential.validation_scores_
    assert all(map(np.array_equal, parallel.coefs_, sequential.coefs_))
    assert parallel._trained.network.seed == sequential._trained.network.seed


def test_ctrl_c_keeps_finished_restarts(rng, monkeypatch):
    X, y = data(rng, 80)
    train, started = EstimatorFit._train, []

    def interrupted(fit, *args):
        started.append(fit)
        if len(started) == 3:
            raise KeyboardInterrupt
        return train(fit, *args)

    monkeypatch.setattr(EstimatorFit, "_train", interrupted)
    model = MLPClassifier((8,), n_init=5, max_iter=10, random_state=0)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y)
    assert len(model.restarts_) == 4  # without the one that was never trained
    assert model.loss_curve_
    assert np.isfinite(model.predict_proba(X)).all()


def test_errors_in_restarts_are_raised(rng):
    X, y = data(rng, 80)

    def scorer(estimator, X, y):
        raise RuntimeError("no score today")

    model = MLPClassifier((8,), n_init=3, early_stopping=True, scoring=scorer)
    with pytest.raises(RuntimeError, match="no score today"):
        model.fit(X, y)


def test_squared_error_is_half_that_of_a_network(rng):
    X = rng.normal(size=(40, 3))
    y = X[:, 0] ** 2
    model = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", alpha=0.0, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    net = fn.Sequential(fn.Dense(4, "relu"), fn.Dense(1), dtype="float64").build(3)
    net.weights[:], net.biases[:] = model.coefs_, model.intercepts_
    loss = net.evaluate(X, y, loss="squared_error")["loss"]
    assert loss == pytest.approx(np.mean((model.predict(X) - y) ** 2))
    assert model.loss_ == pytest.approx(loss / 2)


def test_stop_reasons(rng):
    X, y = data(rng)
    assert MLPClassifier(max_iter=3).fit(X, y).stop_reason_ == "max_iter of 3 epochs reached"
    assert "Training loss did not improve" in MLPClassifier(tol=9.0).fit(X, y).stop_reason_
    assert "CONVERGENCE" in MLPClassifier(solver="lbfgs").fit(X, y).stop_reason_
    stopped = MLPClassifier(early_stopping=True, tol=9.0).fit(X, y).stop_reason_
    assert "Validation score did not improve" in stopped


def test_divergence_keeps_the_best_validated_weights(rng):
    X, y = data(rng, y="numbers")
    model = MLPRegressor(solver="sgd", learning_rate_init=3.0, max_iter=200, random_state=0)
    with pytest.raises(ValueError, match=r"Solver produced non-finite.*learning rate"):
        clone(model).fit(X, y)
    with pytest.warns(fn.DivergenceWarning):
        model.fit(X, y, X_val=X, y_val=y)
    assert np.isfinite(model.predict(X)).all()
    assert "diverged" in model.stop_reason_


def test_diverged_restarts_are_left_out(rng, monkeypatch):
    X, y = data(rng, y="numbers")
    model = MLPRegressor(solver="sgd", max_iter=20, n_init=3, random_state=0)
    draw = architecture.draw
    drawn = []

    def explosive(*args):
        network = draw(*args)
        drawn.append(network)
        if len(drawn) != 2:
            network.parameters[:] *= 1e180
        return network

    monkeypatch.setattr(architecture, "draw", explosive)
    assert len(model.fit(X, y).restarts_) == 1
    assert len(drawn) == 3
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        model.fit(X, y)


def test_continuing_without_validation_data_keeps_the_last_weights(rng):
    X, y = data(rng)
    model = MLPClassifier(warm_start=True, max_iter=5, random_state=0, learning_rate_init=0.05)
    model.fit(X, y, X_val=X, y_val=rng.permutation(y))
    shown = model.coefs_[0].copy()
    model.partial_fit(X, y)
    assert model._trained.last is None
    assert (model.coefs_[0] != shown).any()
    through = MLPClassifier(max_iter=6, random_state=0, learning_rate_init=0.05).fit(X, y)
    assert_same_model(model, through, 0)


# ---- outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", ["binary", "classes", "labels"])
def test_decision_function(y, rng):
    X, y = data(rng, y=y)
    model = MLPClassifier(max_iter=20, random_state=0).fit(X, y)
    raw, p, log_p = (getattr(model, call)(X) for call in (
        "decision_function", "predict_proba", "predict_log_proba"))  # fmt: skip
    if y.ndim == 2 or model.n_outputs_ == 1:
        np.testing.assert_allclose(1 / (1 + np.exp(-raw)), p if y.ndim == 2 else p[:, 1])
    else:
        np.testing.assert_allclose(np.exp(raw) / np.exp(raw).sum(1, keepdims=True), p)
    np.testing.assert_allclose(np.exp(log_p), p)


def test_log_probabilities_that_round_to_one():
    """argmax is the same as for the probabilities: the first of equal ones."""
    X = np.array([[1.0], [-1.0]])
    model = MLPClassifier((), max_iter=1, random_state=0).fit(X, [[1, 1, 1], [0, 0, 0]])
    model.coefs_, model.intercepts_ = [np.array([[40.0, 50.0, 60.0]])], [np.zeros(3)]
    np.testing.assert_array_equal(model.predict_proba(X[:1]), 1.0)
    np.testing.assert_array_equal(model.predict_log_proba(X[:1]), 0.0)
    np.testing.assert_allclose(model.predict_log_proba(X[1:]), [[-40.0, -50.0, -60.0]])


def test_split_error_contains_class_counts():
    X, y = [[1, 2], [2, 3], [3, 4], [4, 5]], ["ham", "ham", "ham", "spam"]
    with pytest.raises(ValueError, match=r"rows of each class in y: \{'ham': 3, 'spam': 1\}"):
        MLPClassifier(early_stopping=True).fit(X, y)


def test_validation_score_is_nan_after_overflow(rng):
    X = rng.normal(size=(40, 2))
    model = MLPRegressor(loss="poisson", max_iter=3, scoring="r2", random_state=0)
    model.fit(X, X[:, 0] ** 2, X_val=X * 1e200, y_val=X[:, 0] ** 2)
    assert np.isinf(model.predict(X * 1e200)).any()  # the rate of at least one row overflows
    assert np.isnan(model.validation_scores_).all()


def test_log_probabilities_that_round_to_zero():
    model = MLPClassifier((), solver="lbfgs", alpha=0).fit([[0.0], [1.0]], [0, 1])
    assert model.predict_log_proba([[1e3]])[0, 0] < -1e3


def test_weights_can_be_assigned(rng):
    X, y = data(rng)
    model = MLPClassifier((3,), max_iter=2).fit(X, y)
    model.coefs_ = [np.zeros((4, 3)), np.zeros((3, 3))]
    model.intercepts_[1][:] = [0, 5, 0]
    assert set(model.predict(X)) == {1}
    with pytest.raises(ValueError, match="coefs_: expected 2 arrays; got 1"):
        model.coefs_ = [np.zeros((4, 3))]
    assert not hasattr(MLPClassifier(), "coefs_")


# ---- bad parameters and input --------------------------------------------------------------------

BAD = [
    (MLPClassifier, {"activation": ["relu", "tanh"]}, "activation: expected one entry for each of"),
    (MLPClassifier, {"activation": ["softmax"]}, "activation: expected one of"),
    (MLPClassifier, {"activation": [3]}, "activation: expected one of"),
    (MLPClassifier, {"dropout": [0.1, 0.2]}, "dropout: expected one entry for each of 1 hidden"),
    (MLPClassifier, {"dropout": [1.0]}, "dropout: expected a finite number at least 0 and below 1"),
    (MLPClassifier, {"dropout": 1.0}, "The 'dropout' parameter"),
    (MLPClassifier, {"l1": -1}, "The 'l1' parameter"),
    (MLPClassifier, {"weight_decay": -1}, "The 'weight_decay' parameter"),
    (
        MLPClassifier,
        {"weight_decay": 1, "solver": "sgd"},
        "weight_decay: expected 0 with solver=",
    ),
    (MLPClassifier, {"dropout": 0.1, "solver": "lbfgs"}, "dropout: expected its default with solv"),
    (MLPClassifier, {"l1": 0.1, "solver": "lbfgs"}, "l1: expected its default with solver='lbfgs'"),
    (MLPClassifier, {"clip_norm": 1, "solver": "lbfgs"}, "clip_norm: expected its default"),
    (MLPClassifier, {"clip_norm": 0}, "The 'clip_norm' parameter"),
    (MLPClassifier, {"residual": 1.0}, "The 'residual' parameter"),
    (MLPClassifier, {"n_layers": -1}, "The 'n_layers' parameter"),
    (MLPClassifier, {"width": 0}, "The 'width' parameter"),
    (MLPClassifier, {"n_layers": 2, "hidden_layer_sizes": ()}, "width: expected a number of units"),
    (MLPClassifier, {"hidden_layer_sizes": (2.5,)}, "hidden_layer_sizes: expected whole numbers"),
    (MLPClassifier, {"scale": "minmax"}, "The 'scale' parameter"),
    (MLPClassifier, {"scoring": "goodness"}, "The 'scoring' parameter"),
    (MLPClassifier, {"max_time": 0}, "The 'max_time' parameter"),
    (MLPClassifier, {"n_init": 0}, "The 'n_init' parameter"),
    (MLPClassifier, {"alpha_scaling": "rows"}, "The 'alpha_scaling' parameter"),
    (MLPClassifier, {"class_weight": "even"}, "The 'class_weight' parameter"),
    (MLPClassifier, {"class_weight": {7: 1.0}}, "class_weight: expected classes of"),
    (MLPClassifier, {"class_weight": {1: -1.0}}, "class_weight: expected a finite number at least"),
    (MLPClassifier, {"label_smoothing": 1}, "The 'label_smoothing' parameter"),
    (MLPRegressor, {"quantile": 1.0}, "The 'quantile' parameter"),
    (MLPRegressor, {"delta": 0}, "The 'delta' parameter"),
    (MLPRegressor, {"scale_target": "log"}, "The 'scale_target' parameter"),
    (MLPRegressor, {"loss": "poisson", "scale_target": "robust"}, "scale_target: expected None"),
    (MLPRegressor, {"learning_rate": fn.schedules.OneCycle}, "The 'learning_rate' parameter"),
]


@pytest.mark.parametrize(("kind", "params", "message"), BAD)
def test_bad_parameters(kind, params, message, rng):
    X, y = data(rng)
    model = kind(**params)
    with pytest.raises((ValueError, TypeError), match=message.replace("(", r"\(")):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


BAD_FITS = {
    "X_val: expected": lambda m, X, y: m.fit(X, y, sample_weight_val=y),
    "y_val: expected X_val and y_val together": lambda m, X, y: m.fit(X, y, X_val=X),
    "X_val, y_val, sample_weight_val: y: expected labels of": lambda m, X, y: m.fit(
        X, y, X_val=X, y_val=y + 5
    ),
    "X_val, y_val, sample_weight_val: X has 2": lambda m, X, y: m.fit(
        X, y, X_val=X[:, :2], y_val=y
    ),
    "X_val, y_val, sample_weight_val: y: expected one label per row": lambda m, X, y: m.fit(
        X, y, X_val=X, y_val=(X > 0).astype(int)
    ),
    "X_val, y_val, sample_weight_val: y: expected 4 labels per row": lambda m, X, y: m.fit(
        X, (X > 0).astype(int), X_val=X, y_val=y
    ),
    "X_val, y_val, sample_weight_val: y: expected rows of 0 and 1": lambda m, X, y: m.fit(
        X, (X > 0).astype(int), X_val=X, y_val=2 * (X > 0)
    ),
    "sample_weight: expected weights above 0, multiplied by class_weight": lambda m, X, y: (
        m.set_params(class_weight=dict.fromkeys(range(3), 0)).fit(X, y)
    ),
    "sample_weight: expected weights above 0.*among the validation rows": lambda m, X, y: (
        m.set_params(early_stopping=True).fit(X, y, np.arange(len(y)) < 1)
    ),
    "Negative values in data passed to": lambda m, X, y: m.fit(X, y, -np.ones(len(y))),
    "ample.weight": lambda m, X, y: m.fit(X, y, np.ones(3)),
    "ample weights must contain|sample_weight: exp": lambda m, X, y: m.fit(X, y, np.zeros(len(y))),
    "Input sample_weight contains NaN": lambda m, X, y: m.fit(X, y, np.full(len(y), np.nan)),
    "class_weight: expected None for multilabel": lambda m, X, y: m.set_params(
        class_weight="balanced"
    ).fit(X, (X > 0).astype(int)),
    "class_weight: expected a dict or None in partial_fit": lambda m, X, y: m.set_params(
        class_weight="balanced"
    ).partial_fit(X, y, classes=[0, 1, 2]),
    "y: expected 4 labels per row, as before": lambda m, X, y: (
        m.set_params(warm_start=True).fit(X, (X > 0).astype(int)).fit(X, y)
    ),
    "hidden_layer_sizes: expected layers of": lambda m, X, y: (
        m.fit(X, y).set_params(warm_start=True, hidden_layer_sizes=(3,)).fit(X, y)
    ),
}


@pytest.mark.parametrize("message", BAD_FITS)
def test_bad_input(message, rng):
    X, y = data(rng)
    with pytest.raises(ValueError, match=message):
        BAD_FITS[message](MLPClassifier(max_iter=2), X, y)


def test_continuing_with_other_targets_is_an_error(rng):
    X, y = data(rng, y="numbers")
    model = MLPRegressor(max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="y: expected targets for 1 outputs, as the weights to"):
        model.fit(X, np.column_stack([y, y]))
    assert model.predict(X).shape == y.shape
    with pytest.raises(ValueError, match="sample_weight_val: y: expected 1 columns, as in the"):
        MLPRegressor().fit(X, y, X_val=X, y_val=np.column_stack([y, y]))


@pytest.mark.parametrize("change", [{"activation": "tanh"}, {"loss": "poisson"}])
def test_continuing_with_another_activation_or_loss(change, rng):
    X, y = data(rng, y="counts")
    model = MLPRegressor(max_iter=2, warm_start=True, random_state=0).fit(X, y)
    model.predict(X)
    model.set_params(**change).fit(X, y, X_val=X, y_val=y)
    (w, last), (b, bias) = model.coefs_, model.intercepts_
    hidden = np.tanh(X @ w + b) if model.activation == "tanh" else np.maximum(X @ w + b, 0)
    raw = (hidden @ last + bias)[:, 0]
    np.testing.assert_allclose(
        model.predict(X), np.exp(raw) if model.loss == "poisson" else raw, rtol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
def test_continued_network_keeps_its_dtype(kind, rng):
    X, y = data(rng)
    narrow = X.astype(np.float32)
    model = kind(max_iter=2, warm_start=True).fit(X, y).fit(narrow, y)
    assert model.partial_fit(narrow, y).coefs_[0].dtype == np.float64
    model = kind(max_iter=2).fit(narrow, y, X_val=X, y_val=y).partial_fit(X, y)
    assert model.coefs_[0].dtype == np.float32


def test_partial_fit_accepts_sparse_labels(rng):
    sparse = pytest.importorskip("scipy.sparse")
    X, y = data(rng, y="labels")
    model = MLPClassifier(random_state=0).partial_fit(X, sparse.csr_matrix(y), classes=[0, 1, 2])
    assert_same_model(model, MLPClassifier(random_state=0).partial_fit(X, y, classes=[0, 1, 2]))


def test_poisson_rejects_negative_targets(rng):
    X, y = data(rng, y="numbers")
    with pytest.raises(ValueError, match="y: expected counts of at least 0 with loss='poisson'"):
        MLPRegressor("poisson").fit(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_are_not_modified_or_kept(kind, rng):
    X, y = data(rng)
    weight = np.ones(len(y))
    copies = X.copy(), y.copy(), weight.copy()
    model = kind(max_iter=3, scale="standard", random_state=0).fit(X, y, weight)
    before = model.predict(copies[0])
    for array, copy in zip((X, y, weight), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
        array[:] = 0
    np.testing.assert_array_equal(model.predict(copies[0]), before)
