"""The attack of test_interrupted_fits.py on estimators, fitted once and fitted again to other data: other
classes, another scale, other names of columns."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn

pytest.importorskip("sklearn")

import pandas as pd
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.long

spec = importlib.util.spec_from_file_location(
    "interrupted_fits", Path(__file__).with_name("test_interrupted_fits.py")
)
half_begun = importlib.util.module_from_spec(spec)
spec.loader.exec_module(half_begun)
attack, data, ERRORS = half_begun.attack, half_begun.data, half_begun.ERRORS

X, Y = data(0)
OTHER_X, OTHER_Y = data(1, n_classes=3)
OTHER_X = 10 * OTHER_X + 3
QUICK = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "batch_size": 40}

MAKERS = {
    "classifier": lambda n: fn.MLPClassifier(**QUICK | {"max_iter": n}, scale="standard"),
    "regressor": lambda n: fn.MLPRegressor(
        **QUICK | {"max_iter": n}, scale="standard", scale_target="standard"
    ),
    "lbfgs": lambda n: fn.MLPClassifier(**QUICK | {"max_iter": n}, solver="lbfgs", scale="robust"),
    "early stopping": lambda n: fn.MLPClassifier(**QUICK | {"max_iter": n}, early_stopping=True),
    "restarts": lambda n: fn.MLPClassifier(**QUICK | {"max_iter": n}, n_init=2),
    "logistic": lambda n: fn.LogisticRegression(max_iter=n),
    "perceptron": lambda n: fn.Perceptron(max_iter=n),
}


@pytest.fixture(autouse=True)
def no_warnings(recwarn):
    warnings.simplefilter("ignore")


def answer(model):
    """What a model predicts, or None if it is not fitted."""
    try:
        return model.predict(X).tobytes()
    except (NotFittedError, AttributeError):  # the latter of a search that was not refitted
        return None


def check_answer(model, whole):
    """An answer of these; or, where the best of several restarts is kept, that of those which came
    to some step before Ctrl-C."""
    restarted = getattr(model, "n_init", 1) > 1 and len(getattr(model, "restarts_", [])) > 0
    found = answer(model)
    assert found in whole or (restarted and np.isin(model.predict(X), model.classes_).all())


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", MAKERS)
def test_first_fit(name, error, rounds):
    make = MAKERS[name]
    whole = [None, *(answer(make(n).fit(X, Y)) for n in (1, 2, 3))]

    def check(model, _):
        check_answer(model, whole)
        assert answer(model.fit(X, Y)) == whole[-1]

    attack(lambda: make(3), lambda model: model.fit(X, Y), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", MAKERS)
def test_fit_to_other_data(name, error, rounds):
    make = MAKERS[name]
    old = make(3).fit(X, Y)
    whole = [answer(old), *(answer(make(n).fit(OTHER_X, OTHER_Y)) for n in (1, 2, 3))]

    def check(model, _):
        found = answer(model)
        check_answer(model, whole)
        if found == whole[0] and hasattr(old, "classes_"):
            assert np.array_equal(model.classes_, old.classes_)
        assert answer(model.fit(OTHER_X, OTHER_Y)) == whole[-1]

    attack(
        lambda: make(3).fit(X, Y), lambda model: model.fit(OTHER_X, OTHER_Y), check, rounds, error
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", [fn.MLPClassifier, fn.MLPRegressor])
def test_first_partial_fit(kind, error, rounds):
    known = {"classes": [0, 1]} if kind is fn.MLPClassifier else {}
    whole = [None, answer(kind(**QUICK).partial_fit(X, Y, **known))]

    def check(model, _):
        assert answer(model) in whole
        model.partial_fit(X, Y, **known)

    attack(
        lambda: kind(**QUICK), lambda model: model.partial_fit(X, Y, **known), check, rounds, error
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warm_start_with_another_activation(solver, error, rounds):
    def make(n=3):
        model = fn.MLPRegressor(
            **QUICK | {"max_iter": n}, solver=solver, warm_start=True, scale="standard"
        )
        return model.fit(X, Y).set_params(activation="tanh")

    whole = [answer(make()), *(answer(make(3).set_params(max_iter=n).fit(X, Y)) for n in (1, 2, 3))]

    def check(model, _):
        assert answer(model) in whole
        model.fit(X, Y)

    attack(make, lambda model: model.fit(X, Y), check, rounds, error)


def base():
    return fn.MLPClassifier(**QUICK, scale="standard")


@pytest.mark.parametrize("error", ERRORS)
def test_ensemble(error, rounds):
    def make():
        return fn.MLPEnsemble(base(), n_estimators=2, n_threads=1).fit(X, Y)

    old, new = make(), make().fit(OTHER_X, OTHER_Y)
    whole = [answer(old), answer(new)]

    def check(model, _):
        found = model.predict_proba(X)
        assert found.shape[1] == len(model.classes_)
        assert answer(model) in whole
        assert answer(model.fit(OTHER_X, OTHER_Y)) == whole[-1]

    attack(make, lambda model: model.fit(OTHER_X, OTHER_Y), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
def test_search(error, rounds):
    def make():
        return fn.MLPSearchCV(base(), {"width": [2, 3, 4]}, cv=2, n_threads=1).fit(X, Y)

    old, new = make(), make().fit(OTHER_X, OTHER_Y)
    whole = [answer(old), answer(new)]

    def check(search, _):
        found = answer(search)
        if found is not None:
            assert found in whole or search.best_estimator_.stop_reason_.startswith("interrupted")
            assert search.best_params_["width"] == search.best_estimator_.width
        assert len(search.cv_results_["params"]) == 3
        assert answer(search.fit(OTHER_X, OTHER_Y)) == whole[-1]

    attack(make, lambda search: search.fit(OTHER_X, OTHER_Y), check, rounds, error)


def test_a_refused_fit_leaves_the_names_of_columns():
    frame = pd.DataFrame(X, columns=list("abc"))
    model = base().fit(frame, Y)
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(frame.rename(columns=str.upper), Y, sample_weight=-np.ones(len(Y)))
    assert answer(model) is not None
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")
