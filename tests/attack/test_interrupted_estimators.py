"""Errors and Ctrl-C during calls of estimators, as in test_interrupted_fits.py: in a first fit, and
in a fit to data with other classes, another scale and other column names."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn._engine.native import Trainer

pytest.importorskip("sklearn")

import pandas as pd
from sklearn.exceptions import NotFittedError

pytestmark = pytest.mark.long

spec = importlib.util.spec_from_file_location(
    "interrupted_fits", Path(__file__).with_name("test_interrupted_fits.py")
)
interrupted_fits = importlib.util.module_from_spec(spec)
spec.loader.exec_module(interrupted_fits)
attack, data, ERRORS = interrupted_fits.attack, interrupted_fits.data, interrupted_fits.ERRORS

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


def predict_bytes(model):
    """The predictions of a model as bytes; None if it is not fitted."""
    try:
        return model.predict(X).tobytes()
    except (NotFittedError, AttributeError):  # AttributeError by a search that was not refitted
        return None


def check_predictions(model, expected):
    """Check that a model's predictions are among `expected`. With restarts, the best of those that
    made a step before Ctrl-C is kept, so that only valid labels can be checked."""
    restarted = getattr(model, "n_init", 1) > 1 and len(getattr(model, "restarts_", [])) > 0
    predictions = predict_bytes(model)
    assert predictions in expected or (
        restarted and np.isin(model.predict(X), model.classes_).all()
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", MAKERS)
def test_first_fit(name, error, rounds):
    make = MAKERS[name]
    expected = [None, *(predict_bytes(make(n).fit(X, Y)) for n in (1, 2, 3))]

    def check(model, _):
        check_predictions(model, expected)
        assert predict_bytes(model.fit(X, Y)) == expected[-1]

    attack(lambda: make(3), lambda model: model.fit(X, Y), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", MAKERS)
def test_fit_to_other_data(name, error, rounds):
    make = MAKERS[name]
    old = make(3).fit(X, Y)
    expected = [
        predict_bytes(old),
        *(predict_bytes(make(n).fit(OTHER_X, OTHER_Y)) for n in (1, 2, 3)),
    ]

    def check(model, _):
        predictions = predict_bytes(model)
        check_predictions(model, expected)
        if predictions == expected[0] and hasattr(old, "classes_"):
            assert np.array_equal(model.classes_, old.classes_)
        assert predict_bytes(model.fit(OTHER_X, OTHER_Y)) == expected[-1]

    attack(
        lambda: make(3).fit(X, Y), lambda model: model.fit(OTHER_X, OTHER_Y), check, rounds, error
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", [fn.MLPClassifier, fn.MLPRegressor])
def test_first_partial_fit(kind, error, rounds):
    known = {"classes": [0, 1]} if kind is fn.MLPClassifier else {}
    expected = [None, predict_bytes(kind(**QUICK).partial_fit(X, Y, **known))]

    def check(model, _):
        assert predict_bytes(model) in expected
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

    expected = [
        predict_bytes(make()),
        *(predict_bytes(make(3).set_params(max_iter=n).fit(X, Y)) for n in (1, 2, 3)),
    ]

    def check(model, _):
        assert predict_bytes(model) in expected
        model.fit(X, Y)

    attack(make, lambda model: model.fit(X, Y), check, rounds, error)


def test_interrupt_before_the_step_is_counted(monkeypatch):
    """Python may raise it between the end of a step and the line that counts it. The weights of the
    old activation must not have changed by then."""
    model = fn.MLPRegressor(**QUICK, warm_start=True, scale="standard").fit(X, Y)
    before = predict_bytes(model)
    run = Trainer.run

    def run_uncounted(self, steps, seconds):
        run(self, steps, seconds)
        steps.done = 0
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run", run_uncounted)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(activation="tanh").fit(X, Y)
    assert predict_bytes(model) == before


def base():
    return fn.MLPClassifier(**QUICK, scale="standard")


@pytest.mark.parametrize("error", ERRORS)
def test_ensemble(error, rounds):
    def make():
        return fn.MLPEnsemble(base(), n_estimators=2, n_threads=1).fit(X, Y)

    old, new = make(), make().fit(OTHER_X, OTHER_Y)
    expected = [predict_bytes(old), predict_bytes(new)]

    def check(model, _):
        predictions = model.predict_proba(X)
        assert predictions.shape[1] == len(model.classes_)
        assert predict_bytes(model) in expected
        assert predict_bytes(model.fit(OTHER_X, OTHER_Y)) == expected[-1]

    attack(make, lambda model: model.fit(OTHER_X, OTHER_Y), check, rounds, error)


@pytest.mark.parametrize("error", ERRORS)
def test_search(error, rounds):
    def make():
        return fn.MLPSearchCV(base(), {"width": [2, 3, 4]}, cv=2, n_threads=1).fit(X, Y)

    old, new = make(), make().fit(OTHER_X, OTHER_Y)
    expected = [predict_bytes(old), predict_bytes(new)]

    def check(search, _):
        predictions = predict_bytes(search)
        if predictions is not None:
            assert predictions in expected or search.best_estimator_.stop_reason_.startswith(
                "interrupted"
            )
            assert search.best_params_["width"] == search.best_estimator_.width
        assert len(search.cv_results_["params"]) == 3
        assert predict_bytes(search.fit(OTHER_X, OTHER_Y)) == expected[-1]

    attack(make, lambda search: search.fit(OTHER_X, OTHER_Y), check, rounds, error)


def test_a_refused_fit_leaves_the_names_of_columns():
    frame = pd.DataFrame(X, columns=list("abc"))
    model = base().fit(frame, Y)
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(frame.rename(columns=str.upper), Y, sample_weight=-np.ones(len(Y)))
    assert predict_bytes(model) is not None
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    model.fit(X, Y)
    assert not hasattr(model, "feature_names_in_")
