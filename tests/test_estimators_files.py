"""Fitted estimators in files and in other processes, and training that goes on from there."""

import json
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
    np.testing.assert_array_equal(a.network.state.optimizer.slots, b.network.state.optimizer.slots)
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


DATES = ["2020-01-01", "2021-01-01", "2022-06-30"]


@pytest.mark.parametrize(
    "classes",
    [np.array(DATES, f"datetime64[{unit}]") for unit in ("Y", "M", "D", "s", "ns", "25s")]
    + [np.array([-5, 0, 7], "timedelta64[h]"), np.array([0, 1, 2], np.int8)],
    ids=lambda classes: classes.dtype.str,
)
def test_dates_and_small_numbers_as_classes_come_back(classes, rng, tmp_path):
    classes = np.unique(classes)
    X, y = rng.normal(size=(30, 2)), classes[np.arange(30) % len(classes)]
    weights = dict.fromkeys(np.unique(classes), 1.5)
    model = fn.MLPClassifier((3,), class_weight=weights, max_iter=2, warm_start=True).fit(X, y)
    model.save(tmp_path / "model")
    back = fn.MLPClassifier.load(tmp_path / "model")
    assert back.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(back.classes_, model.classes_)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    assert back.class_weight == weights
    assert_same(back.fit(X, y), model.fit(X, y))


def test_a_file_of_an_estimator_is_a_network(rng, tmp_path):
    X, y = data(rng, fn.MLPClassifier)
    model = fn.MLPClassifier(max_iter=3).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    network = fn.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(network.predict(X), model.predict_proba(X))


def test_files_that_hold_something_else(rng, tmp_path):
    path = tmp_path / "model.safetensors"
    unfitted = fn.MLPClassifier()
    with pytest.raises(NotFittedError):
        unfitted.save(path)
    with pytest.raises(ValueError, match="Unknown label type"):
        unfitted.fit(rng.normal(size=(3, 2)), [0.5, 0.1, 0.2])
    with pytest.raises(NotFittedError):  # a fit that failed is none
        unfitted.save(path)
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
        with pytest.raises(ValueError, match="expected a complete fastnn file"):
            fn.MLPRegressor.load(path)


# ---- ensembles -----------------------------------------------------------------------------------

ENSEMBLES = {
    "classifier": fn.MLPClassifier((5,), scale="standard", early_stopping=True, max_iter=5),
    "regressor": fn.MLPRegressor("gaussian_nll", (5,), scale_target="standard", max_iter=5),
    "logistic": fn.LogisticRegression(max_iter=9),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_come_back(name, rng, tmp_path):
    pandas = pytest.importorskip("pandas")
    X, y = data(rng, type(ENSEMBLES[name]))
    X = pandas.DataFrame(X, columns=list("abcd"))
    base = clone(ENSEMBLES[name]).set_params(random_state=3)
    ensemble = fn.MLPEnsemble(base, n_estimators=3, bootstrap=True, n_threads=2).fit(X, y)
    ensemble.save(tmp_path / "ensemble")
    back = fn.MLPEnsemble.load(tmp_path / "ensemble")
    for a, b in zip(back.predict(X, return_std=True), ensemble.predict(X, return_std=True),
                    strict=True):  # fmt: skip
        np.testing.assert_array_equal(a, b)
    assert repr(back) == repr(ensemble)
    assert set(vars(back)) == set(vars(ensemble))
    assert back.feature_names_in_.tolist() == list("abcd")
    assert back.score(X, y) == ensemble.score(X, y)
    for one, other in zip(back.estimators_, ensemble.estimators_, strict=True):
        assert one.get_params() == other.get_params()
        np.testing.assert_array_equal(one._trained.network.parameters,
                                      other._trained.network.parameters)  # fmt: skip
    np.testing.assert_array_equal(back.fit(X, y).predict(X), ensemble.predict(X))


def test_files_of_ensembles_and_of_single_models_are_told_apart(rng, tmp_path):
    X, y = data(rng, fn.MLPClassifier)
    path = tmp_path / "file"
    with pytest.raises(NotFittedError):
        fn.MLPEnsemble(fn.MLPClassifier()).save(path)
    ensemble = fn.MLPEnsemble(fn.MLPClassifier((3,), max_iter=2), n_estimators=2).fit(X, y)
    ensemble.save(path)
    for load in (fn.load, fn.MLPClassifier.load):
        with pytest.raises(ValueError, match=r"got an ensemble, which MLPEnsemble\.load reads"):
            load(path)
    ensemble.estimators_[0].save(path)
    with pytest.raises(ValueError, match="expected an ensemble; got one network"):
        fn.MLPEnsemble.load(path)


def test_an_ensemble_of_a_class_of_the_user(rng, tmp_path):
    class Mine(fn.MLPClassifier):
        pass

    X, y = data(rng, fn.MLPClassifier)
    ensemble = fn.MLPEnsemble(Mine(max_iter=2), n_estimators=2).fit(X, y)
    with pytest.raises(ValueError, match=r"estimator: expected one of .*; got Mine, which pickle"):
        ensemble.save(tmp_path / "file")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda extra, members: extra.pop("base"), "expected the description of an ensemble"),
        (lambda extra, members: extra.update(more=1), "expected the description of an ensemble"),
        (lambda extra, members: extra["base"].update(estimator="os.system"), "got 'os.system'"),
        (lambda extra, members: extra["base"].update(estimator="Perceptron"), "got 'Perceptron'"),
        (lambda extra, members: extra["base"]["params"].pop("alpha"), "expected the parameters of"),
        (lambda extra, members: extra["base"]["params"].update(alpha=-1), "alpha"),
        (lambda extra, members: extra["params"].update(n_estimators=0), "n_estimators"),
        (lambda extra, members: extra.update(params=list(extra["params"])), "expected the parame"),
        (lambda extra, members: extra["params"].update(estimator=None), "expected the paramet"),
        (lambda extra, members: extra.update(feature_names_in_={"array": "|O", "values": ["a"]}),
         "feature_names_in_: expected 4 names"),
        (lambda extra, members: members.clear(), "expected a list of members"),
        (lambda extra, members: members.pop(), "got an unknown array"),
        (lambda extra, members: members.append(members[0]), "expected an array '2.parameters'"),
        (lambda extra, members: members[0].pop("extra"), "expected members with"),
        (lambda extra, members: members.__setitem__(0, 5), "int"),
        (lambda extra, members: members[0].update(
            extra=members[0]["extra"].replace('"no"', '"nn"')), "of the same class, features"),
        (lambda extra, members: members[0].update(
            extra=members[0]["extra"].replace("MLPClassifier", "MLPRegressor")), "MLPRegressor"),
    ],
)  # fmt: skip
def test_damaged_ensembles(change, message, rng, tmp_path):
    X, y = data(rng, fn.MLPClassifier)
    path = tmp_path / "file"
    fn.MLPEnsemble(fn.MLPClassifier((3,), max_iter=2), n_estimators=2).fit(X, y).save(path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header["__metadata__"]
    extra, members = json.loads(metadata["extra"]), json.loads(metadata["members"])
    change(extra, members)
    metadata |= {"extra": json.dumps(extra), "members": json.dumps(members)}
    del metadata["sha256"]
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + content[8 + size :])
    with pytest.raises(ValueError, match=f"complete fastnn file.*{message}") as caught:
        fn.MLPEnsemble.load(path)
    assert type(caught.value) is ValueError


# ---- what a file cannot hold ---------------------------------------------------------------------


def test_parameters_that_only_pickle_can_hold(rng, tmp_path):
    X, y = data(rng, fn.MLPRegressor)
    model = fn.MLPRegressor(max_iter=2, random_state=np.random.RandomState(0)).fit(X, y)
    with pytest.raises(ValueError, match=r"random_state: expected a number.*RandomState"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
