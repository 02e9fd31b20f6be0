"""`network_` of an estimator, and the network loaded from its file: scaling is merged into the
weights, so that predictions from unscaled features equal those of the estimator."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import fastnn as fn
from fastnn._io import merge_scaling, serialize
from fastnn._util.scaling import Scaling

pytest.importorskip("sklearn")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = {
    "binary": np.arange(60) % 2,
    "multiclass": np.array(["a", "b", "c"])[np.arange(60) % 3],
    "multilabel": np.arange(180).reshape(60, 3) % 7 % 2,
}
SHAPES = {
    "no hidden layer": {"hidden_layer_sizes": ()},
    "one": {"hidden_layer_sizes": (7,), "activation": "tanh"},
    "residual": {"hidden_layer_sizes": (6, 6, 6), "residual": True, "dropout": 0.2},
}


def features(rng, dtype):
    """Columns of very different scale, one of them constant."""
    X = rng.normal(size=(60, 4)) * [1, 1000, 0.001, 0] + [0, 50_000, 0.05, 3]
    return X.astype(dtype)


def networks(model, folder):
    """The network from the property `network_` and from a file."""
    path = folder / "model.safetensors"
    model.save(path)
    return model.network_, fn.load(path)


def assert_close(actual, desired):
    tolerance = 2e-4 if desired.dtype == np.float32 else 1e-10
    assert actual.dtype == desired.dtype
    scale = np.abs(desired).max()
    np.testing.assert_allclose(actual, desired, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("scale", ["standard", "robust"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("labels", LABELS)
def test_classifiers(labels, shape, scale, dtype, rng, tmp_path):
    X = features(rng, dtype)
    model = fn.MLPClassifier(scale=scale, max_iter=20, random_state=0, **SHAPES[shape])
    model.fit(X, LABELS[labels])
    outputs = model.predict_proba(X)
    for net in networks(model, tmp_path):
        assert_close(net.predict(X), outputs[:, 1:] if labels == "binary" else outputs)


LOSSES = ["squared_error", "absolute_error", "huber", "quantile", "gaussian_nll"]


@pytest.mark.parametrize("scales", [("standard", None), (None, "robust"), ("robust", "standard")])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_regressors(loss, shape, scales, dtype, rng, tmp_path):
    X = features(rng, dtype)
    y = np.c_[X[:, 1], 5e4 + 1e3 * X[:, 0]].astype(dtype)
    X = X if scales[0] else (X / [1, 1e5, 1, 1]).astype(dtype)
    model = fn.MLPRegressor(
        loss, scale=scales[0], scale_target=scales[1], max_iter=20, random_state=0, **SHAPES[shape]
    ).fit(X, y)
    for net in networks(model, tmp_path):
        outputs = net.predict(X)
        if loss == "gaussian_nll":
            mean, std = model.predict(X, return_std=True)
            assert_close(outputs[:, :2], mean)
            assert_close(np.exp(outputs[:, 2:] / 2), std)
        else:
            assert_close(outputs, model.predict(X))


@pytest.mark.parametrize("labels", LABELS)
def test_without_scaling_predictions_are_bit_identical(labels, dtype, rng, tmp_path):
    X = rng.normal(size=(60, 4)).astype(dtype)
    model = fn.MLPClassifier(max_iter=5, random_state=0).fit(X, LABELS[labels])
    for net in networks(model, tmp_path):
        outputs = model.predict_proba(X)
        expected = outputs[:, 1:] if labels == "binary" else outputs
        np.testing.assert_array_equal(net.predict(X), expected)


@pytest.mark.parametrize("scale", ["standard", None])
def test_network_is_a_copy(scale, rng):
    X = features(rng, "float64") if scale else rng.normal(size=(60, 4))
    model = fn.MLPClassifier(scale=scale, max_iter=5, random_state=0).fit(X, LABELS["binary"])
    before = model.predict_proba(X)
    net = model.network_
    net.fit(X / 1e5, LABELS["binary"], epochs=2)
    net.parameters[:] = 0
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.coefs_[0][:] = 0
    assert (model.network_.weights[0] == 0).all()


def test_merged_network_has_no_penalties_and_no_optimizer(rng, tmp_path):
    X, y = features(rng, "float64"), LABELS["multiclass"]
    model = fn.MLPClassifier((5,), scale="standard", alpha=0.5, max_iter=5).fit(X, y)
    codes = np.arange(60) % 3
    for net in networks(model, tmp_path):
        assert all(layer.l1 == layer.l2 == 0 for layer in net.layers)
        loss = -np.log(model.predict_proba(X)[np.arange(60), codes]).mean()
        assert net.evaluate(X, codes)["loss"] == pytest.approx(loss)
        net.partial_fit(X / 1e5, codes)
        assert net.state.optimizer.n_steps == 2


def test_feature_names_are_kept(rng, tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(features(rng, "float64"), columns=list("abcd"))
    model = fn.MLPClassifier(scale="standard", max_iter=5).fit(X, LABELS["binary"])
    for net in networks(model, tmp_path):
        net.predict(X)
        with pytest.raises(ValueError, match="X: expected the columns"):
            net.predict(X[list("dcba")])
    back = fn.MLPClassifier.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(back.predict(X), model.predict(X))


def test_no_network_before_fit():
    assert not hasattr(fn.MLPClassifier(), "network_")


# ---- refusals ----------------------------------------------------------------------------------


def test_features_that_exceed_the_precision_of_float32_are_refused(rng, tmp_path):
    X = features(rng, "float32")
    X[:, 3] = 1e6  # constant, so that it is shifted to 0 and not divided
    model = fn.MLPClassifier(scale="standard", max_iter=5).fit(X, LABELS["binary"])
    model.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="into weights; expected features that float32 can hold"):
        fn.load(tmp_path / "model.safetensors")
    with pytest.raises(AttributeError, match="no network_: expected features that float32"):
        model.network_  # noqa: B018
    assert not hasattr(model, "network_")
    X = X.astype(np.float64)
    model = fn.MLPClassifier(scale="standard", max_iter=5).fit(X, LABELS["binary"])
    for net in networks(model, tmp_path):
        assert_close(net.predict(X), model.predict_proba(X)[:, 1:])


UNIT = Scaling(np.zeros(2), np.full(2, 2.0))


@pytest.mark.parametrize(
    ("layers", "scalings", "message"),
    [
        ([fn.Residual(fn.Dense(2)), fn.Dense(2)], (UNIT, None), "as the first"),
        ([fn.Dropout(0.5), fn.Dense(2)], (UNIT, None), "as the first"),
        ([fn.Dense(2, use_bias=False), fn.Dense(2)], (UNIT, None), "as the first"),
        ([fn.Dense(2), fn.Residual(fn.Dense(2))], (None, UNIT), "as the last"),
        ([fn.Dense(2), fn.Dense(2, use_bias=False)], (None, UNIT), "as the last"),
        ([fn.Dense(2, "sigmoid")], (None, UNIT), "expected linear outputs"),
        ([fn.Dense(2, "softmax")], (None, UNIT), "expected linear outputs"),
        ([fn.Dense(2, "exp")], (None, UNIT), "expected linear outputs"),
        ([fn.Dense(3)], (None, UNIT), "expected columns for 3 outputs; got 2"),
        ([fn.Dense(2)], (None, replace(UNIT, spread=np.full(2, 1e300))), "in the range of float32"),
        ([fn.Dense(2)], (replace(UNIT, spread=np.full(2, 1e40)), None), "in the range of float32"),
        ([fn.Dense(2)], (replace(UNIT, spread=np.full(2, 1e-300)), None), "in the range of flo"),
        ([fn.Dense(2)], (replace(UNIT, center=np.array([0, 1e4])), None), "whose center is 5e"),
    ],
)
def test_scaling_that_cannot_be_merged_is_refused(layers, scalings, message, tmp_path):
    net = fn.Sequential(*layers, random_state=0).build(2)
    net.save(tmp_path / "net")
    with pytest.raises(ValueError, match=message):
        merge_scaling.merge(serialize.read(tmp_path / "net")[0], *scalings)


@pytest.mark.process
def test_files_of_estimators_need_no_scikit_learn(rng, tmp_path):
    X = features(rng, "float64")
    model = fn.MLPRegressor(scale="standard", scale_target="standard", max_iter=5)
    model.fit(X, X[:, 1]).save(tmp_path / "model")
    np.savez(tmp_path / "data.npz", X=X, y=model.predict(X))
    program = """
import sys
sys.modules["sklearn"] = None
import numpy as np, fastnn
with np.load("data.npz") as data:
    np.testing.assert_allclose(fastnn.load("model").predict(data["X"])[:, 0], data["y"])
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
