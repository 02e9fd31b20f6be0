"""Training in many calls: many calls of `partial_fit`, and fits that continue after convergence."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import learning_curve
from sklearn.multioutput import MultiOutputRegressor

import fastnn as fn
from fastnn.schedules import Constant

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_CALLS = 1000

SMALL = {"hidden_layer_sizes": (4,), "random_state": 0}
SOLVERS = {
    "adam": {"learning_rate_init": 0.01},
    "adam, schedule": {"learning_rate": Constant(0.01)},
    "sgd": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
}
STREAMS = {
    **{f"classifier, {name}": (fn.MLPClassifier, SMALL | params, "classes")
       for name, params in SOLVERS.items()},
    **{f"regressor, {name}": (fn.MLPRegressor, SMALL | params, "numbers")
       for name, params in SOLVERS.items()},
    **{f"logistic regression, {name}": (fn.LogisticRegression, {"solver": "adam"} | params,
                                        "classes")
       for name, params in SOLVERS.items()},
    "two classes": (fn.MLPClassifier, SMALL, "two classes"),
    "labels": (fn.MLPClassifier, SMALL, "labels"),
    "two targets": (fn.MLPRegressor, SMALL | {"scale": "standard", "scale_target": "standard"},
                    "two numbers"),
    "restarts": (fn.MLPRegressor, SMALL | {"n_init": 3}, "numbers"),
    "dropout": (fn.MLPRegressor, SMALL | {"dropout": 0.2, "batch_size": 16}, "numbers"),
}  # fmt: skip

TARGETS = {
    "classes": lambda X: np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])],
    "two classes": lambda X: X[:, 0] > 0,
    "labels": lambda X: (X[:, :2] > 0).astype(int),
    "numbers": lambda X: X[:, 0] * X[:, 1],
    "two numbers": lambda X: X[:, :2] ** 2,
}


def call_first(model, y):
    if not hasattr(model, "predict_proba"):
        return {}
    return {"classes": [0, 1] if y.ndim == 2 else np.unique(y)}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_a_thousand_calls_of_partial_fit(name, rng, tmp_path):
    """All calls train although patience is exceeded many times, and continuing from a copy, pickle
    or file is bit-identical."""
    kind, params, targets = STREAMS[name]
    X = rng.normal(size=(40, 3))
    y = TARGETS[targets](X)
    model = kind(**params)
    first, copies, rows_seen = call_first(model, y), [], 0
    for i, n in enumerate(rng.integers(1, 41, N_CALLS)):
        rows = rng.choice(40, n)
        if i == N_CALLS - 20:
            model.save(tmp_path / "model.safetensors")
            copies = [pickle.loads(pickle.dumps(model)), kind.load(tmp_path / "model.safetensors"),
                     copy.deepcopy(model)]  # fmt: skip
        for one in (model, *copies):
            one.partial_fit(X[rows], y[rows], **first)
        first, rows_seen = {}, rows_seen + n
        assert model.n_iter_ == 1
    assert len(model.loss_curve_) == N_CALLS
    assert model.t_ == rows_seen
    assert model.best_loss_ == min(model.loss_curve_)
    for one in copies:
        assert one.loss_curve_ == model.loss_curve_
        np.testing.assert_array_equal(one._trained.network.parameters,
                                      model._trained.network.parameters)  # fmt: skip


IRIS = {"hidden_layer_sizes": (8,), "learning_rate_init": 0.05, "random_state": 0, "tol": 1e-2}

WARM = {
    **{name: params for name, params in SOLVERS.items() if "schedule" not in name},
    "early stopping": {"early_stopping": True},
    "restarts": {"n_init": 3},
    "one epoch": {"max_iter": 1},
    "five epochs": {"max_iter": 5},
}


@pytest.mark.parametrize("name", WARM)
def test_fit_after_convergence(name):
    """After patience is exceeded, a fit trains one epoch, and more only if that epoch improves."""
    X, y = load_iris(return_X_y=True)
    model = fn.MLPClassifier(**IRIS | {"max_iter": 500} | WARM[name], warm_start=True)
    n_short = 0
    for _ in range(60):
        before = [] if not hasattr(model, "loss_curve_") else list(model.loss_curve_)
        over = before and model._progress.waited > model.n_iter_no_change
        model.fit(X, y)
        assert 1 <= model.n_iter_ <= model.max_iter
        assert len(model.loss_curve_) == len(before) + model.n_iter_
        if over and not model.early_stopping:
            improved = model.loss_curve_[len(before)] <= min(before) - model.tol
            assert (model.n_iter_ == 1) == (not improved or model.max_iter == 1)
        n_short += bool(over)
    assert n_short > 10


def test_lbfgs_after_convergence():
    """L-BFGS makes no step; the loss is computed on the data of the last fit."""
    X, y = load_iris(return_X_y=True)
    model = fn.MLPClassifier(**IRIS, solver="lbfgs", alpha=1.0, warm_start=True).fit(X, y)
    n, loss = len(model.loss_curve_), model.loss_
    for _ in range(5):
        model.fit(X, y)
        assert (model.n_iter_, len(model.loss_curve_)) == (0, n)
        assert model.loss_ == pytest.approx(loss, rel=1e-12)
    model.set_params(tol=1e9).fit(X, np.roll(y, 50))
    assert model.n_iter_ == 0
    assert model.loss_ > 2 * loss


@pytest.mark.parametrize("lowered", [1, 5])
def test_lower_patience(lowered):
    X, y = load_iris(return_X_y=True)
    model = fn.MLPClassifier(**IRIS | {"tol": 1.0}, max_iter=30, warm_start=True)
    model.set_params(n_iter_no_change=1000).fit(X, y)
    model.set_params(n_iter_no_change=lowered).fit(X, y)
    assert model.n_iter_ == 1


@pytest.mark.parametrize("through", ["memory", "pickle", "file"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_after_convergence(solver, through, tmp_path):
    X, y = load_iris(return_X_y=True)
    model = fn.MLPClassifier(**IRIS, solver=solver, max_iter=1000).fit(X, y)
    assert model.stop_reason_.startswith("Training loss")
    n = model.n_iter_
    if through == "pickle":
        model = pickle.loads(pickle.dumps(model))
    elif through == "file":
        model.save(tmp_path / "model.safetensors")
        model = fn.MLPClassifier.load(tmp_path / "model.safetensors")
    for calls in range(1, 30):
        model.partial_fit(X, y)
        assert (model.n_iter_, len(model.loss_curve_)) == (1, n + calls)


def test_stop_reason_of_partial_fit():
    model = fn.MLPRegressor(**SMALL).partial_fit([[0.0], [1.0]], [0.0, 1.0])
    assert model.stop_reason_ == "partial_fit trains one epoch"


def test_incremental_learning_curve_of_scikit_learn():
    X, y = load_iris(return_X_y=True)
    model = fn.MLPClassifier(**IRIS)
    sizes, train, _ = learning_curve(
        model, X, y, train_sizes=np.linspace(0.1, 1, 40), exploit_incremental_learning=True,
        shuffle=True, random_state=0, error_score="raise",
    )  # fmt: skip
    assert np.isfinite(train).all()
    assert len(sizes) == 40


def test_multi_output_regressor(rng):
    X = rng.normal(size=(30, 2))
    meta = MultiOutputRegressor(fn.MLPRegressor(**SMALL, tol=0.1))
    separate = clone(meta.estimator)
    for _ in range(60):
        meta.partial_fit(X, X)
        separate.partial_fit(X, X[:, 1])
    np.testing.assert_array_equal(meta.predict(X)[:, 1], separate.predict(X))
