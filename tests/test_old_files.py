"""Files from before digests were introduced can be loaded; their predictions and continued training
are as recorded.

`data/without_digest` has the files and, in `expected.npz`, the data (`X`, standardized `Z`) and the
predictions of the version that wrote them, before and after a call of `fit` or `partial_fit`.
"""

from pathlib import Path

import numpy as np
import pytest

import fastnn as fn

FOLDER = Path(__file__).parent / "data" / "without_digest"
CODES = np.arange(40) % 3


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as arrays:
        return dict(arrays)


def assert_close(actual, desired):
    """Equal up to rounding errors, which differ between instruction sets."""
    tolerance = 1e-4 if desired.dtype == np.float32 else 1e-9
    np.testing.assert_allclose(actual, desired, rtol=tolerance, atol=tolerance)


def number(Z):
    return 1000 + 50 * Z[:, 0] - 20 * Z[:, 1] ** 2


@pytest.mark.parametrize("name", ["network_float32", "network_float64"])
def test_networks(name, expected):
    Z = expected["Z"]
    net = fn.load(FOLDER / f"{name}.safetensors")
    assert_close(net.predict(Z), expected[name])
    y = CODES if name == "network_float32" else np.c_[Z[:, 0], Z[:, 1] * Z[:, 2]]
    net.partial_fit(Z, y, batch_size=7 if name == "network_float32" else 8)
    assert_close(net.predict(Z), expected[f"{name}_continued"])


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_classifier(expected):
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(expected["X"], columns=list("abcd"))
    model = fn.MLPClassifier.load(FOLDER / "classifier.safetensors")
    assert_close(model.predict_proba(X), expected["classifier"])
    np.testing.assert_array_equal(model.predict(X), expected["classifier_labels"])
    model.fit(X, np.array(["no", "maybe", "yes"])[CODES])
    assert_close(model.predict_proba(X), expected["classifier_continued"])


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_regressors(expected):
    pytest.importorskip("sklearn")
    X, y = expected["X"], number(expected["Z"])
    single = X.astype(np.float32)
    model = fn.MLPRegressor.load(FOLDER / "regressor.safetensors")
    assert_close(model.predict(single), expected["regressor"])
    assert_close(model.fit(single, y).predict(single), expected["regressor_continued"])
    model = fn.MLPRegressor.load(FOLDER / "gaussian.safetensors")
    mean, std = model.predict(X, return_std=True)
    assert_close(mean, expected["gaussian"])
    assert_close(std, expected["gaussian_std"])


def test_logistic_regression(expected):
    pytest.importorskip("sklearn")
    model = fn.LogisticRegression.load(FOLDER / "logistic.safetensors")
    assert_close(model.predict_proba(expected["X"]), expected["logistic"])
