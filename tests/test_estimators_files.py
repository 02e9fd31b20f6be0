"""Fitted estimators in files and in other processes, and training that goes on from there."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastnn as fn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(rng, kind):
    X = rng.normal(size=(90, 4))
    if kind is fn.MLPRegressor:
        return X, X[:, 0] * 3 - X[:, 1] ** 2
    return X, np.array(["no", "maybe", "yes"])[rng.integers(3, size=90)]


# Each names what has a state to go on with.
TRAININGS = {
    "adam": {},
    "dropout": {"dropout": 0.3, "hidden_layer_sizes": (12, 12), "residual": True},
    "adamw": {"weight_decay": 0.1, "clip_norm": 1.0},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2},
    "schedule": {"learning_rate": fn.schedules.OneCycle(0.01, n_steps=400)},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 30, "tol": 0.0},
    "scoring": {"early_stopping": True, "scoring": "loss", "validation_fraction": 0.3},
    "scaled": {"scale": "robust", "shuffle": False},
}

GO_ON = """
import sys, warnings
import numpy as np, fastnn
warnings.simplefilter("ignore")
kind, path, data = sys.argv[1:]
model = getattr(fastnn, kind).load(path)
with np.load(data) as arrays:
    model.fit(arrays["X"], arrays["y"])
model.save(path)
"""


@pytest.mark.process
@pytest.mark.parametrize("kind", [fn.MLPClassifier, fn.MLPRegressor])
def test_a_fit_goes_on_in_another_process_to_the_bit(kind, rng, tmp_path):
    X, y = data(rng, kind)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    path = tmp_path / "model.safetensors"
    settings = {"random_state": 3, "warm_start": True, "batch_size": 32, "dropout": 0.2,
                "early_stopping": True, "n_iter_no_change": 100}  # fmt: skip
    whole = kind(max_iter=20, **settings).fit(X, y)
    half = kind(max_iter=10, **settings).fit(X, y)
    half.save(path)
    command = [sys.executable, "-c", GO_ON, kind.__name__, str(path), str(tmp_path / "data.npz")]
    subprocess.run(command, check=True, timeout=60)
    assert_same(kind.load(path), whole)


def assert_same(model, other):
    """Weights shown and weights to go on from, curves and patience, to the bit."""
    a, b = model._trained, other._trained
    np.testing.assert_array_equal(a.network.parameters, b.network.parameters)
    np.testing.assert_array_equal(a.state.slots, b.state.slots)
    assert (a.last is None) == (b.last is None)
    if a.last is not None:
        np.testing.assert_array_equal(a.last, b.last)
    for name in ("loss_curve_", "validation_scores_", "validation_loss_curve_", "best_loss_",
                 "best_validation_score_", "t_"):  # fmt: skip
        assert getattr(model, name) == getattr(other, name), name
    assert model._progress.waited == other._progress.waited


@pytest.mark.parametrize("kind", [fn.MLPClassifier, fn.MLPRegressor])
@pytest.mark.parametrize("name", TRAININGS)
def test_two_halves_are_a_whole(kind, name, rng, tmp_path):
    X, y = data(rng, kind)
    settings = {"random_state": 7, "warm_start": True, "batch_size": 25} | TRAININGS[name]
    whole = kind(max_iter=16, **settings).fit(X, y)
    half = kind(max_iter=8, **settings).fit(X, y)
    half.save(tmp_path / "model.safetensors")
    resumed = kind.load(tmp_path / "model.safetensors").fit(X, y)
    assert_same(resumed, whole)
    assert_same(pickle.loads(pickle.dumps(half)).fit(X, y), whole)


def test_partial_fits_go_on_after_a_file(rng, tmp_path):
    X, y = data(rng, fn.MLPClassifier)
    through = fn.MLPClassifier(random_state=0)
    for _ in range(6):
        through.partial_fit(X, y, classes=np.unique(y))
    stopped = fn.MLPClassifier(random_state=0)
    for _ in range(3):
        stopped.partial_fit(X, y, classes=np.unique(y))
    stopped.save(tmp_path / "model.safetensors")
    stopped = fn.MLPClassifier.load(tmp_path / "model.safetensors")
    for _ in range(3):
        stopped.partial_fit(X, y)
    assert_same(stopped, through)


# ---- what a file holds -------------------------------------------------------------------------

MODELS = [
    fn.MLPClassifier((5,), class_weight={"no": 2.0, "maybe": 1, "yes": 0.5}, max_iter=5),
    fn.MLPClassifier([6, 6], activation=["tanh", "gelu"], dropout=[0.1, 0.0], max_iter=5),
    fn.MLPRegressor("gaussian_nll", scale="standard", scale_target="robust", max_iter=5),
    fn.MLPRegressor("quantile", quantile=0.9, learning_rate=fn.schedules.Constant(0.1), max_iter=5),
    fn.MLPRegressor(solver="lbfgs", max_iter=5),
]


@pytest.mark.parametrize("way", ["save", "pickle", "joblib", "skops"])
@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
def test_models_come_back(model, way, rng, tmp_path):
    X, y = data(rng, type(model))
    model = clone(model).set_params(random_state=1).fit(X, y)
    back = through(way, model, tmp_path)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    assert repr(back) == repr(model)
    assert back.get_params().keys() == model.get_params().keys()
    assert_attributes_equal(back, model)
    back.set_params(warm_start=True).fit(X, y)


def through(way, model, folder):
    path = folder / "model"
    if way == "save":
        model.save(path)
        return type(model).load(path)
    if way == "pickle":
        return pickle.loads(pickle.dumps(model))
    if way == "joblib":
        joblib.dump(model, path)
        return joblib.load(path)
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(model)
    trusted = skops.get_untrusted_types(data=content)
    assert all(name.startswith("fastnn.") for name in trusted)
    return skops.loads(content, trusted=trusted)


def assert_attributes_equal(model, other):
    names = [name for name in vars(other) if name.endswith("_")]
    assert names
    assert {name for name in vars(model) if name.endswith("_")} == set(names)
    for name in [*names, "coefs_", "intercepts_"]:
        mine, theirs = getattr(model, name), getattr(other, name)
        assert type(mine) is type(theirs), name
        for a, b in zip(*(v if name in ("coefs_", "intercepts_") else [v] for v in (mine, theirs)),
                        strict=True):  # fmt: skip
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("labels", [[0, 1], [2.0, 3.0, 5.5], [True, False], ["a", "b", "ç"]])
def test_classes_come_back(labels, rng, tmp_path):
    X = rng.normal(size=(30, 2))
    y = np.array(labels)[np.arange(30) % len(labels)]
    y = y.astype(np.int64) if y.dtype == np.float64 else y
    for given in (y, y.astype(object) if y.dtype.kind == "U" else y):
        model = fn.MLPClassifier((3,), max_iter=2).fit(X, given)
        model.save(tmp_path / "model.safetensors")
        back = fn.MLPClassifier.load(tmp_path / "model.safetensors")
        assert back.classes_.dtype == model.classes_.dtype
        np.testing.assert_array_equal(back.classes_, model.classes_)
        np.testing.assert_array_equal(back.predict(X), model.predict(X))


def test_a_file_of_an_estimator_is_a_network(rng, tmp_path):
    X, y = data(rng, fn.MLPClassifier)
    model = fn.MLPClassifier(max_iter=3).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    network = fn.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(network.predict(X), model.predict_proba(X))


def test_files_that_hold_something_else(rng, tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(NotFittedError):
        fn.MLPClassifier().save(path)
    fn.Sequential(fn.Dense(2), random_state=0).build(3).save(path)
    with pytest.raises(ValueError, match="expected an estimator of class MLPClassifier; got a ba"):
        fn.MLPClassifier.load(path)
    X, y = data(rng, fn.MLPRegressor)
    fn.MLPRegressor(max_iter=2).fit(X, y).save(path)
    with pytest.raises(ValueError, match="of class MLPClassifier; got 'MLPRegressor'"):
        fn.MLPClassifier.load(path)
    content = path.read_bytes()
    for cut in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match="expected a whole fastnn file"):
            fn.MLPRegressor.load(path)


def test_parameters_that_only_pickle_can_hold(rng, tmp_path):
    X, y = data(rng, fn.MLPRegressor)
    model = fn.MLPRegressor(max_iter=2, random_state=np.random.RandomState(0)).fit(X, y)
    with pytest.raises(ValueError, match=r"random_state: expected numbers.*RandomState"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
