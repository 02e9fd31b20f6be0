"""`MLPRegressor(solver="lm")`."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastnn import MLPClassifier, MLPRegressor


def make_data(n=100, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, np.sin(X[:, 0]) + X[:, 1] + 0.05 * rng.normal(size=n)


def make_model(**changes):
    parameters = {"hidden_layer_sizes": (6,), "activation": "tanh", "solver": "lm",
                  "random_state": 0, "max_iter": 500} | changes  # fmt: skip
    return MLPRegressor(**parameters)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_loss_is_below_that_of_lbfgs():
    X, y = make_data()
    model = make_model(alpha=0.0).fit(X, y)
    other = make_model(alpha=0.0, solver="lbfgs").fit(X, y)
    assert model.loss_ < other.loss_
    assert model.loss_ == model.loss_curve_[-1]
    assert (np.diff(model.loss_curve_) < 0).all()
    assert model.loss_ == pytest.approx(np.mean((model.predict(X) - y) ** 2) / 2, rel=1e-10)


def test_alpha_is_that_of_lbfgs():
    """Both minimize the same objective: with strong regularization there is one minimum."""
    X, y = make_data()
    models = [
        make_model(alpha=5.0, solver=solver, tol=1e-9, max_fun=10**6, max_iter=5000).fit(X, y)
        for solver in ("lm", "lbfgs")
    ]
    assert models[0].loss_ == pytest.approx(models[1].loss_, rel=1e-6)
    np.testing.assert_allclose(*(model.predict(X) for model in models), atol=1e-3)


def test_several_outputs_weights_and_scaling():
    X, y = make_data()
    Y = np.column_stack([100 * y, y**2])
    model = make_model(scale="standard", scale_target="standard", max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, Y, sample_weight=np.arange(100) % 2)
    assert model.score(X[1::2], Y[1::2]) > 0.98
    assert model.n_iter_ <= 50


def test_max_iter_warns():
    with pytest.warns(ConvergenceWarning, match="lm: max_iter of 3 iterations reached"):
        model = make_model(max_iter=3).fit(*make_data())
    assert model.n_iter_ == 3
    assert model.stop_reason_ == "max_iter of 3 iterations reached"


def test_early_stopping_holds_rows_out():
    model = make_model(hidden_layer_sizes=(30,), early_stopping=True, n_iter_no_change=3)
    model.fit(*make_data(60))
    assert "Validation score did not improve" in model.stop_reason_
    assert len(model.validation_scores_) == model.n_iter_ < 500
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_max_time_ends_the_fit():
    model = make_model(max_time=1e-9).fit(*make_data())
    assert model.n_iter_ == 1
    assert "max_time" in model.stop_reason_


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_clone_pickle_and_file(tmp_path):
    X, y = make_data()
    model = make_model(max_iter=5).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    expected = model.predict(X)
    for same in (clone(model).fit(X, y), pickle.loads(pickle.dumps(model)),
                 MLPRegressor.load(tmp_path / "model.safetensors")):  # fmt: skip
        assert (same.predict(X) == expected).all()
        assert same.solver == "lm"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_continues():
    X, y = make_data()
    model = make_model(max_iter=3, warm_start=True).fit(X, y)
    first = model.loss_
    assert model.fit(X, y).loss_ < first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "huber"}, "loss: expected 'squared_error'"),
        ({"dropout": 0.5}, "dropout: expected its default with solver='lm'"),
        ({"l1": 0.1}, "l1: expected its default with solver='lm'"),
        ({"clip_norm": 1.0}, "clip_norm: expected its default"),
        ({"weight_decay": 0.1}, "weight_decay: expected 0"),
        ({"hidden_layer_sizes": (1000,)}, "layers: expected at most 3,000 parameters"),
    ],
)
def test_unsupported_parameters(changes, message):
    with pytest.raises(ValueError, match=message):
        make_model(**changes).fit(*make_data())


def test_classifier_and_partial_fit_refuse_it():
    X, y = make_data()
    with pytest.raises(ValueError, match="solver"):
        MLPClassifier(solver="lm").fit(X, y > 0)
    assert not hasattr(make_model(), "partial_fit")


def test_non_finite_loss_is_an_error():
    X, y = make_data()
    model = make_model(activation="relu", scale=None)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(1e200 * X, 1e200 * y)
