"""Optimizers on all rows: Levenberg-Marquardt against its reference, against SciPy and the engine's
own gradient; L-BFGS for `Sequential`."""

import pickle
import signal
import threading
import time

import numpy as np
import pytest
import scipy.optimize

import fastnn as fn
from fastnn import optimizers
from fastnn._engine.normal_equations import LeastSquares
from fastnn._training.state import get_views

LM = optimizers.LevenbergMarquardt

NETWORKS = {
    "one output": (fn.Dense(4, "tanh"), fn.Dense(1)),
    "three outputs": (fn.Dense(5, "sigmoid"), fn.Dense(3)),
    "output activation": (fn.Dense(4, "tanh"), fn.Dense(2, "sigmoid")),
    "residual": (fn.Dense(3, "tanh"), fn.Residual(fn.Dense(3, "gelu")), fn.Dense(2)),
    "penalty": (fn.Dense(4, "tanh", l2=1e-3), fn.Dense(2, l2=1e-2)),
    "without bias": (fn.Dense(4, "softplus", use_bias=False), fn.Dense(1, use_bias=False)),
}


def make_data(n=40, n_features=3, n_outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features))
    y = np.sin(X @ rng.normal(size=(n_features, n_outputs))) + 0.1 * rng.normal(size=(n, n_outputs))
    return X, y


def make_network(layers, n_features=3, dtype="float64"):
    return fn.Sequential(*layers, random_state=1, dtype=dtype).build(n_features)


def count_outputs(layers):
    return layers[-1].units


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_iterations_equal_the_reference(name, weighted):
    layers = NETWORKS[name]
    X, y = make_data(n_outputs=count_outputs(layers))
    weight = np.random.default_rng(2).integers(0, 3, len(X)) if weighted else None
    results = []
    for engine in ("native", "reference"):
        net = make_network(layers)
        history = net.fit(X, y, loss="squared_error", optimizer="levenberg_marquardt", epochs=12,
                          sample_weight=weight, engine=engine)  # fmt: skip
        results.append((net.parameters, history["loss"], history["damping"]))
    assert len(results[0][1]) == 12
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_is_the_objective_after_the_iteration(name):
    """Penalties and sample weights are included, and the loss never increases."""
    layers = NETWORKS[name]
    X, y = make_data(n_outputs=count_outputs(layers))
    weight = np.random.default_rng(2).uniform(0, 2, len(X))
    net, losses = make_network(layers), []

    def record(epoch):
        losses.append(net.loss_and_gradients(X, y, loss="squared_error", sample_weight=weight)[0])

    history = net.fit(X, y, loss="squared_error", optimizer=LM(), epochs=15, sample_weight=weight,
                      callbacks=[record])  # fmt: skip
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-12)
    assert (np.diff(losses) < 0).all()
    assert (net.n_epochs, net.n_steps) == (15, 15)
    assert list(history) == ["loss", "damping", "seconds"]


def test_minimum_has_no_gradient():
    X, y = make_data(200)
    net = make_network((fn.Dense(3, "tanh", l2=1e-3), fn.Dense(1, l2=1e-3)))
    history = net.fit(X, y, optimizer=LM(), epochs=2000)
    assert "converged" in history.stop_reason
    _, gradients = net.loss_and_gradients(X, y)
    assert max(np.abs(g).max() for part in gradients.values() for g in part) < 1e-8


def test_minimum_is_that_of_scipy():
    """SciPy has no penalties: they are further residuals."""
    X, y = make_data(60)
    net = make_network((fn.Dense(2, "tanh", l2=0.01), fn.Dense(1, l2=0.01)))
    net.fit(X, y, optimizer=LM(), epochs=1000)
    start = net.parameters + np.random.default_rng(3).normal(scale=0.02, size=net.n_parameters)
    is_weight = np.zeros(net.n_parameters)
    for view in get_views(net.state, is_weight)[0]:
        view[:] = 1
    penalties = np.sqrt(0.01 * len(X) / 2) * np.diag(is_weight)

    def residuals(w):
        net.parameters[:] = w
        return np.concatenate([(net.predict(X) - y).ravel(), penalties @ w])

    def jacobian(w):
        net.parameters[:] = w
        return np.concatenate([net.parameter_jacobian(X)[:, 0], penalties])

    found = scipy.optimize.least_squares(
        residuals, start, jacobian, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    net.parameters[:] = start
    history = net.fit(X, y, optimizer=LM(), epochs=1000)
    np.testing.assert_allclose(history["loss"][-1], 2 * found.cost / len(X), rtol=1e-9)
    np.testing.assert_allclose(net.parameters, found.x, rtol=1e-4)


def test_linear_network_is_solved_in_a_few_iterations():
    X, y = make_data(50, n_outputs=2)
    net = make_network((fn.Dense(2),))
    net.fit(X, y, optimizer=LM(damping=1e-9), epochs=3)
    solution, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y)
    np.testing.assert_allclose(net.weights[0], solution[:-1], rtol=1e-9)
    np.testing.assert_allclose(net.biases[0], solution[-1], rtol=1e-9)


def test_weights_of_rows_count_as_repetitions():
    X, y = make_data(20)
    times = np.arange(20) % 3
    layers = (fn.Dense(4, "tanh", l2=1e-3), fn.Dense(1, l2=1e-2))
    weighted, repeated = make_network(layers), make_network(layers)
    weighted.fit(X, y, optimizer=LM(), epochs=8, sample_weight=times)
    repeated.fit(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0), optimizer=LM(), epochs=8)
    np.testing.assert_allclose(weighted.parameters, repeated.parameters, rtol=1e-8)


def test_float32_network_is_trained_in_float64():
    X, y = make_data()
    X, y = X.astype(np.float32), y.astype(np.float32)
    single = make_network(NETWORKS["one output"], dtype="float32")
    double = make_network(NETWORKS["one output"])
    double.parameters[:] = single.parameters
    for net in (single, double):
        net.fit(X, y, optimizer=LM(), epochs=10)
    assert single.parameters.dtype == np.float32
    assert (single.parameters == double.parameters.astype(np.float32)).all()


def test_arrays_of_the_caller_are_unchanged():
    X, y = make_data()
    weight = np.ones(len(X))
    copies = X.copy(), y.copy(), weight.copy()
    for array in (X, y, weight):
        array.flags.writeable = False
    make_network(NETWORKS["one output"]).fit(X, y, optimizer=LM(), epochs=3, sample_weight=weight)
    for array, copy in zip((X, y, weight), copies, strict=True):
        assert (array == copy).all()


@pytest.mark.parametrize("units", [8, 40])  # 41 parameters: one piece; 1,801: many
def test_bits_do_not_depend_on_the_number_of_threads(units):
    X, y = make_data(700, n_features=3 if units == 8 else 43)
    results = []
    for n_threads in (1, 2, 3, None):
        net = fn.Sequential(fn.Dense(units, "tanh"), fn.Dense(1), random_state=0, dtype="float64")
        net.fit(X, y, optimizer=LM(), epochs=3, n_threads=n_threads)
        results.append(net.parameters)
    for result in results[1:]:
        assert (result == results[0]).all()


@pytest.mark.parametrize("p", [1, 7, 48, 49, 97, 130])
def test_normal_equations_and_their_solution(p):
    """Against NumPy, for numbers of parameters around the sizes of pieces."""
    X, y = make_data(300, n_features=p)
    net = make_network((fn.Dense(1, use_bias=False),), n_features=p)
    penalty = np.linspace(0, 1, p)
    problem = LeastSquares(net.layers, X, y, None, penalty, None, lambda: None)
    problem.parameters[:] = net.parameters
    w = net.parameters
    residuals = X @ w - y[:, 0]
    assert problem.evaluate() == pytest.approx((residuals @ residuals + penalty @ w**2) / 2)
    problem.linearize()
    gradient = problem.get_gradient()
    np.testing.assert_allclose(gradient, X.T @ residuals + penalty * w, rtol=1e-9, atol=1e-9)
    A = X.T @ X + np.diag(penalty)
    np.testing.assert_allclose(problem.get_diagonal(), np.diag(A))
    step = problem.solve(0.5, gradient)
    np.testing.assert_allclose((A + 0.5 * np.eye(p)) @ step, -gradient, rtol=1e-9, atol=1e-9)
    assert problem.compute_inverse_trace() == pytest.approx(np.trace(np.linalg.inv(A)))
    assert problem.solve(-1e6, gradient) is None


# ---- fits ----------------------------------------------------------------------------------------


def test_validation_and_early_stopping():
    X, y = make_data(120)
    net = make_network((fn.Dense(12, "tanh"), fn.Dense(1)))
    history = net.fit(X, y, optimizer=LM(), epochs=500, validation_split=0.5,
                      callbacks=[fn.EarlyStopping(patience=5)])  # fmt: skip
    assert history.n_epochs < 500
    assert "val_loss has not improved" in history.stop_reason
    best = history["val_loss"].argmin()
    assert best == history.n_epochs - 6
    assert list(history) == ["loss", "damping", "val_loss", "val_r2", "seconds"]


def test_selected_rows_equal_their_copy():
    X, y = make_data(60)
    rows = np.arange(0, 60, 2)
    nets = [make_network(NETWORKS["one output"]) for _ in range(2)]
    fn.fit_many(nets[:1], X, y, subsets=rows, optimizer=LM(), epochs=5)
    nets[1].fit(X[rows], y[rows], optimizer=LM(), epochs=5)
    assert (nets[0].parameters == nets[1].parameters).all()


def test_zero_epochs_build_the_network():
    net = fn.Sequential(fn.Dense(1))
    history = net.fit([[1.0]], [1.0], optimizer=LM(), epochs=0)
    assert (net.n_features_in, net.n_steps, history.n_epochs) == (1, 0, 0)


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "lbfgs"])
def test_perfect_fit_ends_at_once(optimizer):
    net = fn.Sequential(fn.Dense(1, weight_init="zeros"))
    history = net.fit([[1.0], [2.0]], [0.0, 0.0], optimizer=optimizer, epochs=9)
    assert history.n_epochs == 0
    assert history.stop_reason is not None
    assert not net.parameters.any()


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "lbfgs"])
def test_non_finite_loss_warns_and_keeps_the_weights(optimizer):
    net = make_network((fn.Dense(2, "exp"), fn.Dense(1)))
    net.parameters[:] = 1e3
    with pytest.warns(fn.DivergenceWarning):
        history = net.fit(*make_data(), optimizer=optimizer, epochs=3)
    assert history.diverged
    assert (net.parameters == 1e3).all()


def test_more_parameters_than_rows():
    """J'J is singular: damping makes the steps well-defined."""
    X, y = make_data(5)
    net = make_network((fn.Dense(20, "tanh"), fn.Dense(1)))
    history = net.fit(X, y, optimizer=LM(), epochs=300)
    assert history["loss"][-1] < 1e-15


def test_interrupt_keeps_the_weights_of_the_last_iteration(monkeypatch):
    X, y = make_data()
    net = make_network(NETWORKS["one output"])
    accepted = []

    def interrupt_in_third_iteration(self):
        if len(accepted) == 2:
            raise KeyboardInterrupt
        return linearize(self)

    linearize = LeastSquares.linearize
    monkeypatch.setattr(LeastSquares, "linearize", interrupt_in_third_iteration)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, optimizer=LM(), epochs=9,
                callbacks=[lambda epoch: accepted.append(net.parameters.copy())])  # fmt: skip
    assert (net.parameters == accepted[-1]).all()
    assert net.n_steps == net.history.n_epochs == 2


def test_signal_is_handled_within_an_iteration():
    """An iteration of 2,801 parameters consists of many short calls."""
    X, y = make_data(2000, n_features=26)
    net = make_network((fn.Dense(100, "tanh"), fn.Dense(1)), n_features=26)
    sent = []

    def send():
        sent.append(time.monotonic())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.5, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, y, optimizer=LM(), epochs=10**6, n_threads=1)
    finally:
        timer.cancel()
    assert len(sent) == 1
    net.fit(X, y, optimizer=LM(), epochs=0)  # the network is usable, and not locked


# ---- Bayesian regularization ---------------------------------------------------------------------


def test_bayesian_evidence_of_a_linear_model():
    """For a linear model the evidence has a closed form, whose maximum SciPy finds."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    y = X @ [1.0, -2, 0.5, 0, 0, 0] + rng.normal(size=40)
    net = make_network((fn.Dense(1, use_bias=False),), n_features=6)
    history = net.fit(X, y, optimizer=LM(regularization="bayesian"), epochs=200)
    A = X.T @ X

    def negative_log_evidence(logs):  # MacKay 1992, up to a constant
        alpha, beta = np.exp(logs)
        H = beta * A + alpha * np.eye(6)
        w = beta * np.linalg.solve(H, X.T @ y)
        energy = beta * np.sum((y - X @ w) ** 2) / 2 + alpha * w @ w / 2
        return energy + np.linalg.slogdet(H)[1] / 2 - 3 * logs[0] - 20 * logs[1]

    best = scipy.optimize.minimize(negative_log_evidence, [0.0, 0.0], tol=1e-10).x
    found = history["alpha"][-1], history["beta"][-1]
    np.testing.assert_allclose(found, np.exp(best), rtol=1e-4)
    assert 3 < history["effective_parameters"][-1] < 6


def test_bayesian_regularization_prevents_overfitting():
    rng = np.random.default_rng(0)
    X = np.linspace(-1, 1, 30).reshape(-1, 1)
    y = np.sin(3 * X) + 0.2 * rng.normal(size=X.shape)
    X_test = np.linspace(-1, 1, 200).reshape(-1, 1)
    errors = {}
    for regularization in (None, "bayesian"):
        net = fn.Sequential(fn.Dense(20, "tanh"), fn.Dense(1), random_state=0, dtype="float64")
        history = net.fit(X, y, optimizer=LM(regularization=regularization), epochs=300)
        errors[regularization] = net.evaluate(X_test, np.sin(3 * X_test))["loss"]
    assert errors["bayesian"] < 0.6 * errors[None]
    assert history["effective_parameters"][-1] < 15 < net.n_parameters
    np.testing.assert_allclose(history["beta"][-1] ** -0.5, 0.2, rtol=0.3)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ((fn.Dense(1),), {"loss": "huber"}, "loss: expected squared_error"),
        ((fn.Dense(1, "sigmoid"),), {}, "loss: expected squared_error"),
        ((fn.Dense(2, l1=0.1), fn.Dense(1)), {}, "l1: expected 0"),
        ((fn.Dense(2), fn.Dropout(0.5), fn.Dense(1)), {}, "layers: expected no Dropout"),
        ((fn.Dense(1000), fn.Dense(1)), {}, "layers: expected at most 3,000 parameters .*lbfgs"),
        ((fn.Dense(1),), {"callbacks": [fn.ReduceOnPlateau("loss")]}, "callbacks: expected no"),
        ((fn.Dense(1),), {"reset_optimizer": False}, "reset_optimizer: expected True"),
        ((fn.Dense(1, l2=0.1),), {"optimizer": LM(regularization="bayesian")}, "l2: expected 0"),
        (
            (fn.Dense(1),),
            {"gradient_targets": np.zeros((40, 3))},
            "gradient_targets: expected None",
        ),
        ((fn.Dense(1),), {"optimizer": "lm"}, "Did you mean 'levenberg_marquardt'"),
        ((fn.Dense(1),), {"callbacks": [fn.EarlyStopping("learning_rate")]}, "monitor: expected"),
    ],
)
def test_unsupported_options_are_refused_before_any_work(layers, options, message):
    net = fn.Sequential(*layers)
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        net.fit(X, y > 0, **{"optimizer": "levenberg_marquardt"} | options)
    assert net.n_features_in is None
    assert net.history is None


def test_bayesian_regularization_has_no_reference():
    with pytest.raises(ValueError, match="engine: expected 'native' with regularization"):
        fn.Sequential(fn.Dense(1)).fit(*make_data(), optimizer=LM(regularization="bayesian"),
                                       engine="reference")  # fmt: skip


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "lbfgs"])
def test_minibatch_training_is_refused(optimizer):
    X, y = make_data()
    net = make_network(NETWORKS["one output"])
    with pytest.raises(ValueError, match="optimizer: for partial_fit expected one of"):
        net.partial_fit(X, y, optimizer=optimizer)
    with pytest.raises(ValueError, match="optimizer: for a range test expected one of"):
        fn.lr_range_test(net, X, y, optimizer=optimizer)
    net.fit(X, y, optimizer=optimizer, epochs=1)
    with pytest.raises(ValueError, match="optimizer: for partial_fit expected one of"):
        net.partial_fit(X, y)
    net.partial_fit(X, y, optimizer="adam")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (LM, {"damping": 0}, "damping: expected a finite number above 0"),
        (LM, {"tol": -1}, "tol: expected a finite number at least 0"),
        (LM, {"regularization": "l2"}, "regularization: expected one of"),
        (optimizers.LBFGS, {"memory": 0}, "memory: expected a whole number"),
        (optimizers.LBFGS, {"tol": -1}, "tol: expected a finite number"),
    ],
)
def test_invalid_arguments_of_constructors(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", [LM(0.01, "bayesian", 1e-6), optimizers.LBFGS(5, 1e-3)], ids=["lm", "lbfgs"]
)
def test_network_is_saved_with_its_optimizer(optimizer, tmp_path):
    X, y = make_data()
    net = make_network(NETWORKS["one output"])
    net.fit(X, y, optimizer=optimizer, epochs=3)
    net.save(tmp_path / "net.safetensors")
    for same in (fn.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net))):
        assert same.state.optimizer.optimizer == optimizer
        assert (same.parameters == net.parameters).all()
        assert same.n_steps == net.n_steps


# ---- L-BFGS --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "head"),
    [("squared_error", "linear"), ("binary_cross_entropy", "sigmoid"), ("huber", "linear")],
)
def test_lbfgs_finds_a_minimum(loss, head):
    X, y = make_data(200)
    net = make_network((fn.Dense(3, "tanh", l2=1e-3), fn.Dense(1, head, l2=1e-3)))
    history = net.fit(X, y > 0, loss=loss, optimizer=optimizers.LBFGS(tol=1e-7), epochs=2000)
    assert "CONVERGENCE" in history.stop_reason
    value, gradients = net.loss_and_gradients(X, y > 0, loss=loss)
    assert max(np.abs(g).max() for part in gradients.values() for g in part) < 1e-6
    assert history["loss"][-1] == pytest.approx(value, rel=1e-12)
    assert list(history) == ["loss", "seconds"]


def test_lbfgs_equals_the_reference():
    X, y = make_data()
    results = []
    for engine in ("native", "reference"):
        net = make_network(NETWORKS["residual"])
        net.fit(X, np.tile(y, 2), optimizer="lbfgs", epochs=10, engine=engine)
        results.append(net.parameters)
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_lbfgs_callbacks_stop_the_fit():
    X, y = make_data()
    net = make_network(NETWORKS["one output"])
    history = net.fit(
        X, y, optimizer="lbfgs", epochs=50, callbacks=[lambda epoch: epoch.index == 4]
    )
    assert history.n_epochs == net.n_epochs == net.n_steps == 5
    assert history["loss"][-1] == pytest.approx(net.loss_and_gradients(X, y)[0], rel=1e-12)
    assert net.fit(X, y, optimizer="lbfgs", epochs=3).n_epochs == 3
