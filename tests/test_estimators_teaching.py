"""The estimators for teaching, `Perceptron` and `LogisticRegression`."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import datasets, linear_model
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from fastnn import LogisticRegression, Perceptron

# Old scikit-learn with new scipy.
pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize. The .disp:DeprecationWarning")

GATES = {"and": [0, 0, 0, 1], "or": [0, 1, 1, 1], "nand": [1, 1, 1, 0], "first": [0, 0, 1, 1]}
CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("eta0", [1.0, 0.25])
def test_logic_gates(gate, eta0):
    model = Perceptron(eta0=eta0).fit(CORNERS, GATES[gate])
    assert model.predict(CORNERS).tolist() == GATES[gate]
    assert model.corrections_[-1] == 0
    assert all(model.corrections_[:-1])
    assert model.n_corrections_ == sum(model.corrections_)
    assert model.n_corrections_ == Perceptron().fit(CORNERS, GATES[gate]).n_corrections_


def test_xor_does_not_converge():
    with pytest.warns(ConvergenceWarning, match="may not be linearly separable"):
        model = Perceptron(max_iter=20).fit(CORNERS, [0, 1, 1, 0])
    assert all(model.corrections_)
    assert model.n_iter_ == 20


def test_corrections_by_hand():
    model = Perceptron().fit([[2.0], [3.0]], [0, 1])
    w, b, count = 0.0, 0.0, 0
    for _ in range(100):
        for x, t in ((2, -1), (3, 1)):
            if t * (w * x + b) <= 0:
                w, b, count = w + t * x, b + t, count + 1
    assert (model.coef_[0, 0], model.intercept_[0], model.n_corrections_) == (w, b, count)


def test_novikoff_bound(rng):
    """At most (R / margin)**2 corrections, with the bias as an additional feature of ones."""
    X = rng.normal(size=(200, 2))
    side = X @ [0.6, 0.8]
    X, side = X[np.abs(side) > 0.2], side[np.abs(side) > 0.2]
    radius2 = (np.column_stack([X, np.ones(len(X))]) ** 2).sum(axis=1).max()
    model = Perceptron(shuffle=True, random_state=0).fit(X, side > 0)
    assert model.n_corrections_ <= radius2 / np.abs(side).min() ** 2


def test_several_classes():
    X, y = datasets.load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning):
        model = Perceptron(max_iter=30).fit(X, y)
    assert model.coef_.shape == (3, 4)
    assert model.score(X, y) > 0.6
    theirs = linear_model.Perceptron(tol=None, shuffle=False, max_iter=30).fit(X, y)
    np.testing.assert_allclose(model.coef_, theirs.coef_)
    np.testing.assert_allclose(model.intercept_, theirs.intercept_)


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_breast_cancer])
@pytest.mark.parametrize("weights", [None, "sample", "balanced"])
def test_coefficients_equal_those_of_scikit_learn(C, load, weights, rng):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    weight = rng.uniform(0.5, 2, len(y)) if weights == "sample" else None
    balanced = "balanced" if weights == "balanced" else None
    ours = LogisticRegression(C=C, tol=1e-9, class_weight=balanced).fit(X, y, weight)
    theirs = linear_model.LogisticRegression(C=C, tol=1e-9, max_iter=5000, class_weight=balanced)
    theirs.fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_gradient_descent_approaches_the_same_coefficients(solver):
    X, y = datasets.load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = LogisticRegression(solver=solver, learning_rate_init=0.1, max_iter=3000, tol=1e-12)
    coef = model.fit(X, y).coef_
    np.testing.assert_allclose(coef, LogisticRegression().fit(X, y).coef_, atol=0.02)


def test_saving_and_loading(tmp_path):
    X, y = datasets.load_iris(return_X_y=True)
    model = LogisticRegression(C=0.5).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    back = LogisticRegression.load(tmp_path / "model.safetensors")
    assert back.C == 0.5
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))


def test_not_fitted():
    for name in ("coef_", "intercept_"):
        assert not hasattr(LogisticRegression(), name)
