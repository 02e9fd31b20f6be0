"""Predictions for plain arrays skip scikit-learn's checks, with the same results and errors."""

import copy
from functools import cache

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn.exceptions import NotFittedError

import fastnn as fn
from fastnn.estimators._fitting import fitted

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CALLS = ("predict", "predict_proba", "predict_log_proba", "decision_function")

MODELS = {
    "regressor": (fn.MLPRegressor, {}, "numbers"),
    "two targets": (fn.MLPRegressor, {}, "two numbers"),
    "scaled": (fn.MLPRegressor, {"scale": "standard", "scale_target": "robust"}, "numbers"),
    "gaussian_nll": (
        fn.MLPRegressor, {"loss": "gaussian_nll", "scale_target": "standard"}, "numbers",
    ),
    "poisson": (fn.MLPRegressor, {"loss": "poisson", "scale": "robust"}, "counts"),
    "two classes": (fn.MLPClassifier, {}, "two classes"),
    "classes": (fn.MLPClassifier, {}, "classes"),
    "classes, scaled": (fn.MLPClassifier, {"scale": "standard"}, "classes"),
    "labels": (fn.MLPClassifier, {"scale": "robust"}, "labels"),
    "logistic regression": (fn.LogisticRegression, {}, "classes"),
}  # fmt: skip
TARGETS = {
    "numbers": lambda X: X[:, 0] * X[:, 1],
    "two numbers": lambda X: X[:, :2] ** 2,
    "counts": lambda X: np.round(X[:, 0] ** 2),
    "two classes": lambda X: X[:, 0] > 0,
    "classes": lambda X: np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])],
    "labels": lambda X: (X[:, :2] > 0).astype(int),
}


@cache
def fitted_model(name, dtype):
    kind, params, targets = MODELS[name]
    X = np.random.default_rng(0).normal(3, 2, size=(60, 4)).astype(dtype)
    if kind is not fn.LogisticRegression:
        params = params | {"hidden_layer_sizes": (5,), "max_iter": 4}
    return kind(**params, random_state=0).fit(X, TARGETS[targets](X - 3))


@pytest.fixture(params=MODELS)
def model(request, dtype):
    return copy.deepcopy(fitted_model(request.param, dtype))


def get_methods(model):
    calls = [getattr(model, name) for name in CALLS if hasattr(model, name)]
    if getattr(model, "loss", "") == "gaussian_nll":
        calls.append(lambda X: np.stack(model.predict(X, return_std=True)))
    return calls


def predict_twice(model, X):
    """Call every method twice: the first call prepares the network for later ones."""
    return [call(X) for call in get_methods(model) for _ in range(2)]


def run_or_catch(call, X):
    try:
        return call(X)
    except Exception as error:  # any exception is compared
        return type(error), str(error)


@pytest.fixture
def disable_fast_path(monkeypatch):
    """Makes `_compute_outputs` run scikit-learn's checks for every array."""

    def close():
        monkeypatch.setattr(fitted.Fitted, "_predict_plain", lambda self, X, linear: None)

    return close


@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_fast_path_is_bit_identical(model, n, rng, dtype, disable_fast_path):
    X = rng.normal(3, 2, size=(n, 4)).astype(dtype)
    short = predict_twice(model, X)
    disable_fast_path()
    for a, b in zip(short, predict_twice(model, X), strict=True):
        assert (a.dtype, a.shape, a.flags.c_contiguous) == (b.dtype, b.shape, b.flags.c_contiguous)
        np.testing.assert_array_equal(a, b)


def test_fast_path_is_used(model, rng, dtype, monkeypatch):
    X = rng.normal(3, 2, size=(5, 4)).astype(dtype)
    predict_twice(model, X)
    monkeypatch.setattr(fitted, "validate_data", None)
    predict_twice(model, X)


OTHERS = {
    "list": lambda X: X.tolist(),
    "other dtype": lambda X: X.astype("float32" if X.dtype == "float64" else "float64"),
    "whole numbers": lambda X: X.astype(int),
    "columns in order": np.asfortranarray,
    "some rows": lambda X: X[::2],
    "other byte order": lambda X: X.astype(X.dtype.newbyteorder()),
    "a subclass": lambda X: X.view(np.recarray),
    "objects": lambda X: X.astype(object),
    "text": lambda X: X.astype(str),
    "nan": lambda X: np.where(np.arange(4) == 2, np.nan, X).astype(X.dtype),
    "inf": lambda X: np.where(np.arange(4) == 2, -np.inf, X).astype(X.dtype),
    "no rows": lambda X: X[:0],
    "one row too flat": lambda X: X[0],
    "three dimensions": lambda X: X[None],
    "too wide": lambda X: np.hstack([X, X]),
    "too narrow": lambda X: X[:, :2].copy(),
    "huge": lambda X: X * np.finfo(X.dtype).max / 100,
    "None": lambda X: None,
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_other_input_gives_the_same_results(model, name, rng, dtype, disable_fast_path):
    X = OTHERS[name](rng.normal(3, 0.5, size=(6, 4)).astype(dtype))
    predict_twice(model, rng.normal(size=(1, 4)).astype(dtype))
    short = [run_or_catch(call, X) for call in get_methods(model)]
    disable_fast_path()
    for a, b in zip(short, [run_or_catch(call, X) for call in get_methods(model)], strict=True):
        np.testing.assert_array_equal(a, b)
        assert isinstance(a, tuple) == isinstance(b, tuple)


def test_error_messages_are_those_of_scikit_learn(rng):
    X = rng.normal(size=(30, 3))
    model = fn.MLPRegressor(max_iter=2, scale="standard")
    with pytest.raises(NotFittedError):
        model.predict(X)
    model.fit(X, X[:, 0]).predict(X)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(X * np.nan)
    with pytest.raises(ValueError, match="X has 2 features, but MLPRegressor is expecting 3"):
        model.predict(X[:, :2].copy())


@pytest.mark.parametrize("scale", [None, "standard"])
def test_scikit_learn_configuration(scale, rng):
    X = rng.normal(size=(30, 3))
    model = fn.MLPRegressor(max_iter=2, scale=scale).fit(X, X[:, 0])
    plain = model.predict(X)
    with sklearn.config_context(assume_finite=True):
        np.testing.assert_array_equal(model.predict(X), plain)
        assert np.isnan(model.predict(X * np.nan)).all()
    with sklearn.config_context(transform_output="pandas"):
        np.testing.assert_array_equal(model.predict(X), plain)


def test_warning_for_arrays_after_a_fit_to_named_columns(rng):
    pd = pytest.importorskip("pandas")
    X = rng.normal(size=(30, 3))
    model = fn.MLPRegressor(max_iter=2).fit(pd.DataFrame(X, columns=list("abc")), X[:, 0])
    for _ in range(3):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(X)


def test_predictions_use_weights_changed_in_place(model, rng, dtype):
    """Outputs before the last activation do too."""
    X = rng.normal(3, 2, size=(1, 4)).astype(dtype)
    predict_twice(model, X)
    model.coefs_ = [w * 2 for w in model.coefs_]
    changed = predict_twice(model, X)
    model.coefs_ = [w / 2 for w in model.coefs_]
    back = predict_twice(model, X)
    assert any((a != b).any() for a, b in zip(changed, back, strict=True)
               if a.dtype.kind == "f")  # fmt: skip


def test_predictions_use_a_changed_activation(rng):
    X = rng.normal(size=(30, 3))
    model = fn.MLPClassifier((4,), warm_start=True, max_iter=1, random_state=0).fit(X, X[:, 0] > 0)
    model.decision_function(X)
    model.set_params(activation="tanh").fit(X, X[:, 0] > 0)
    probabilities = model.predict_proba(X)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-model.decision_function(X))), probabilities)
