"""Derivatives of fitted estimators, in the units of the user's data, against central differences of
their predictions."""

import numpy as np
import pytest
from scipy import sparse

import fastnn as fn

pytest.importorskip("sklearn")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

STEP = np.array([1e-3, 1e-6, 1e-5])  # about 1e-6 of each feature's spread


def make_data(rng, n=60):
    X = rng.normal(size=(n, 3)) * [1000, 1, 10] + [5000, 0, -30]
    return X, np.sin(X[:, 0] / 1000) * 50 + X[:, 1] * X[:, 2] + 300


def differences(function, X):
    result = []
    for i, step in enumerate(STEP):
        change = np.zeros(3)
        change[i] = step
        result.append((function(X + change) - function(X - change)) / (2 * step))
    return np.stack(result, axis=-1)


def as_columns(values):
    return values.reshape(len(values), -1)


REGRESSORS = {
    "scaled": {"scale": "standard", "scale_target": "robust"},
    "scaled features": {"scale": "robust"},
    "gaussian": {"loss": "gaussian_nll", "scale": "standard", "scale_target": "standard"},
    "poisson": {"loss": "poisson", "scale": "standard"},
}


def fit_regressor(name, rng, n_targets=1):
    X, y = make_data(rng)
    y = y if n_targets == 1 else np.column_stack([y, -2 * y])
    options = {"activation": "tanh", "max_iter": 20, "solver": "adam", "random_state": 0}
    model = fn.MLPRegressor(hidden_layer_sizes=(8, 5), **options, **REGRESSORS[name])
    return model.fit(X, np.abs(y)), X


def fit_classifier(n_classes, rng):
    X, y = make_data(rng)
    labels = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    model = fn.MLPClassifier((8,), activation="tanh", scale="standard", solver="lbfgs", max_iter=20,
                             alpha=0.1, random_state=0)  # fmt: skip
    return model.fit(X, np.array(["a", "b", "c"])[labels]), X


def check(model, X, function, options, tolerance=2e-6):
    """All four derivatives against central differences of `function(X)` (n, n_predictions)."""
    J = model.jacobian(X, **options)
    expected = differences(function, X)
    scale = np.abs(expected).max(axis=(0, 1))
    np.testing.assert_allclose(J / scale, expected / scale, atol=tolerance)
    assert np.abs(J).max() > 0
    V, U = np.cos(X) * [1000, 1, 10], np.sin(function(X))
    jvp, vjp = np.einsum("rki,ri->rk", J, V), np.einsum("rki,rk->ri", J, U)
    np.testing.assert_allclose(model.jvp(X, V, **options), jvp, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.vjp(X, U, **options), vjp, rtol=1e-10, atol=1e-12)
    for k in range(J.shape[1]):
        expected = differences(lambda x, k=k: model.jacobian(x, **options)[:, k], X)
        H = model.hessian(X, output=k, **options)
        scale = np.abs(expected).max(axis=0)
        np.testing.assert_allclose(H / scale, expected / scale, atol=tolerance)
        np.testing.assert_allclose(H, H.transpose(0, 2, 1), rtol=1e-12)


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressor(name, n_targets, rng):
    model, X = fit_regressor(name, rng, n_targets)
    check(model, X, lambda x: as_columns(model.predict(x)), {})


@pytest.mark.parametrize("of", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier(n_classes, of, rng):
    model, X = fit_classifier(n_classes, rng)
    check(model, X, lambda x: as_columns(getattr(model, of)(x)), {"of": of})
    assert model.jacobian(X).tobytes() == model.jacobian(X, of="predict_proba").tobytes()


def test_float32_data_keeps_its_dtype(rng):
    X, y = make_data(rng)
    model = fn.MLPRegressor(hidden_layer_sizes=(4,), scale="standard", scale_target="standard",
                            solver="lbfgs", max_iter=5, random_state=0)  # fmt: skip
    model.fit(X.astype("f4"), y.astype("f4"))
    X = X.astype("f4")
    results = (model.jacobian(X), model.hessian(X), model.jvp(X, X), model.vjp(X, X[:, :1]))
    assert {result.dtype for result in results} == {np.dtype("f4")}


def test_modes_sparse_matrices_and_logistic_regression(rng):
    model, X = fit_classifier(3, rng)
    forward, reverse = (model.jacobian(X, mode=mode) for mode in ("forward", "reverse"))
    np.testing.assert_allclose(forward, reverse, rtol=1e-10, atol=1e-14)
    np.testing.assert_array_equal(model.jacobian(sparse.csr_matrix(X)), model.jacobian(X))
    logistic = fn.LogisticRegression().fit(X, X[:, 1] > 0)
    expected = np.broadcast_to(logistic.coef_, (60, 1, 3))
    found = logistic.jacobian(X, of="decision_function")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_bad_input(rng):
    model, X = fit_regressor("scaled", rng)
    classifier, _ = fit_classifier(2, rng)
    for call, message in [
        (lambda: model.jacobian(X, mode="backward"), "mode: expected"),
        (lambda: model.jacobian(X[:, :2]), "X has 2 features"),
        (lambda: model.jacobian(X, of="predict_proba"), "of: expected one of"),
        (lambda: classifier.jacobian(X, of="predict"), "of: expected one of"),
        (lambda: model.hessian(X, output=1), "output: expected an index below 1"),
        (lambda: classifier.hessian(X, output=2), "output: expected an index below 2"),
        (lambda: model.jvp(X, X[:, :2]), "V: expected shape"),
        (lambda: model.vjp(X, X), "U: expected shape"),
        (lambda: model.jvp(X, X * np.nan), "V: .*NaN"),
        (lambda: fn.MLPRegressor().jacobian(X), "not fitted"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            call()
