"""The estimators in scikit-learn's tools, with data frames and with callbacks."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn import model_selection
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import fastnn as fn

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Old scikit-learn with new scipy.
    pytest.mark.filterwarnings("ignore:scipy.optimize. The .disp:DeprecationWarning"),
]

KINDS = [fn.MLPClassifier, fn.MLPRegressor]


def data(rng, n=120):
    X = rng.normal(size=(n, 3))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


def small(kind, **params):
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 15, "learning_rate_init": 0.02}
    return kind(**defaults | params, random_state=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("default")  # warnings of worker processes and joblib's temporary files
def test_grid_search_in_processes(kind, rng):
    X, y = data(rng)
    grid = {"n_layers": [1, 2], "width": [4, 8], "activation": ["relu", ["gelu", "tanh"]],
            "learning_rate": ["constant", fn.schedules.Constant(0.01)]}  # fmt: skip
    grid["activation"] = ["relu", "gelu"]
    runs = [model_selection.GridSearchCV(small(kind), grid, cv=2, n_jobs=n).fit(X, y)
            for n in (1, 2)]  # fmt: skip
    scores = [run.cv_results_["mean_test_score"] for run in runs]
    np.testing.assert_array_equal(*scores)
    assert len(scores[0]) == 16
    assert runs[1].best_estimator_.n_layers_ == runs[1].best_params_["n_layers"] + 2


def test_cross_validate_with_weights(rng):
    X, y = data(rng)
    weight = rng.uniform(0.5, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        model = small(fn.MLPClassifier).set_fit_request(sample_weight=True)
        model = model.set_score_request(sample_weight=True)
        results = model_selection.cross_validate(
            model, X, y, params={"sample_weight": weight}, cv=3
        )
    by_hand = []
    for train, test in model_selection.StratifiedKFold(3).split(X, y):
        fitted = clone(model).fit(X[train], y[train], weight[train])
        by_hand.append(fitted.score(X[test], y[test], weight[test]))
    np.testing.assert_array_equal(results["test_score"], by_hand)


def test_validation_data_in_a_pipeline(rng):
    X, y = data(rng)
    X_val, y_val = data(rng, 40)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small(fn.MLPClassifier).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model)
        pipeline.transform_input = ["X_val"]
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X)
    separate = clone(model).fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val)
    assert pipeline[-1].validation_scores_ == separate.validation_scores_
    assert pipeline[-1].validation_loss_curve_ == separate.validation_loss_curve_


def test_a_search_with_validation_data(rng):
    X, y = data(rng)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small(fn.MLPClassifier).set_fit_request(X_val=True, y_val=True)
        search = model_selection.GridSearchCV(model, {"width": [3, 6]}, cv=2)
        search.fit(X, y, X_val=X[:50], y_val=y[:50])
    assert len(search.best_estimator_.validation_scores_) == 15


def test_calibration_uses_decision_function(rng):
    X, y = data(rng)
    calibrated = CalibratedClassifierCV(small(fn.MLPClassifier), cv=2).fit(X, y)
    assert calibrated.score(X, y) > 0.8
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_inspection(kind, rng):
    X, y = data(rng)
    model = small(kind, solver="lbfgs", max_iter=100).fit(X, y)
    importances = permutation_importance(model, X, y, n_repeats=3, random_state=0)
    assert importances["importances_mean"].argmin() == 2
    average = partial_dependence(model, X, [0])["average"][0]
    assert average[-1] > average[0]


def test_estimator_types():
    assert is_classifier(fn.MLPClassifier())
    assert is_regressor(fn.MLPRegressor())


@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_repr(kind):
    model = kind(width=3, dropout=[0.1], learning_rate=fn.schedules.CosineDecay(0.1))
    assert clone(model).get_params() == model.get_params()
    assert repr(kind(alpha=0.5)) == f"{kind.__name__}(alpha=0.5)"
    assert kind(alpha=0.5).set_params(alpha=0.25).alpha == 0.25
    assert kind() != kind()


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("kind", KINDS)
def test_data_frames(library, kind, rng):
    module = pytest.importorskip(library)
    X, y = data(rng)
    frame = module.DataFrame({name: X[:, i] for i, name in enumerate("abc")})
    model = small(kind, early_stopping=True, scoring="neg_mean_absolute_error"
                  if kind is fn.MLPRegressor else "roc_auc")  # fmt: skip
    model.fit(frame, module.Series(y), X_val=frame[:40], y_val=module.Series(y[:40]))
    np.testing.assert_array_equal(model.predict(frame), clone(model).fit(
        X, y, X_val=X[:40], y_val=y[:40]).predict(X))  # fmt: skip
    if library == "polars" and parse_version(sklearn.__version__) < parse_version("1.7"):
        return  # it does not read the column names
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])


def test_data_frames_with_other_columns(rng):
    X, y = data(rng)
    frame = pd.DataFrame(X, columns=list("abc")).astype({"a": "Float64"})
    frame["d"] = (X[:, 0] > 0).astype("int8")
    labels = pd.Series(np.array(["no", "yes"])[y], dtype="category")
    assert small(fn.MLPClassifier).fit(frame, labels).predict(frame)[0] in ("no", "yes")
    frame.iloc[0, 0] = pd.NA
    with pytest.raises(ValueError, match="Input X contains NaN"):
        small(fn.MLPClassifier).fit(frame, labels)


def test_other_metaestimators(rng):
    from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
    from sklearn.feature_selection import SelectFromModel
    from sklearn.multioutput import MultiOutputClassifier

    X, y = data(rng)
    model = small(fn.MLPClassifier)
    for meta in (
        BaggingClassifier(model, 2, random_state=0),
        VotingClassifier([("a", model), ("b", clone(model))], voting="soft"),
        StackingClassifier([("a", model)], cv=2),
    ):
        assert meta.fit(X, y).score(X, y) > 0.7
    both = np.column_stack([y, 1 - y])
    assert MultiOutputClassifier(model).fit(X, both).predict(X).shape == both.shape
    picked = SelectFromModel(
        small(fn.MLPClassifier), importance_getter=lambda m: np.abs(m.coefs_[0]).sum(axis=1)
    )
    assert picked.fit(X, y).transform(X).shape[1] < 3


# ---- scikit-learn's callbacks --------------------------------------------------------------------

since_callbacks = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="callbacks came with 1.9"
)


class Recorder:
    """A callback that records its calls, and stops training after `stop_after` epochs."""

    def __init__(self, stop_after=np.inf):
        self.calls, self.scores, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.calls.append(("setup", context.max_subtasks))

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(("end", context.task_name))
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) >= self.stop_after

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))


@since_callbacks
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks(solver, rng):
    X, y = data(rng)
    frame = pd.DataFrame(X, columns=list("abc"))
    recorder = Recorder()
    model = small(fn.MLPClassifier, solver=solver).set_callbacks(recorder).fit(frame, y)
    epochs = [("begin", "epoch"), ("end", "epoch")] * model.n_iter_
    fit = [("begin", "fit"), *epochs, ("end", "fit")]
    assert recorder.calls == [("setup", 15), *fit, ("teardown", "fit")]
    assert recorder.scores[-1] == recorder.scores[-2] == model.score(frame, y)


@since_callbacks
def test_callback_stops_training(rng):
    X, y = data(rng)
    model = small(fn.MLPRegressor).set_callbacks(Recorder(stop_after=3)).fit(X, y)
    assert model.n_iter_ == 3
    assert model.stop_reason_ == "stopped by a callback"


@since_callbacks
def test_callback_receives_the_model_of_each_epoch(rng):
    X, y = data(rng)
    kept = []

    class Keeper(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            kept.append((fitted_estimator, fitted_estimator.predict_proba(X)))

    small(fn.MLPClassifier).set_callbacks(Keeper()).fit(X, y)
    assert not np.array_equal(kept[0][1], kept[1][1])
    for model, answer in kept:
        assert np.array_equal(model.predict_proba(X), answer)


@since_callbacks
def test_scikit_learn_callbacks(rng):
    from sklearn.callback import ScoringMonitor

    X, y = data(rng)
    monitor = ScoringMonitor(scoring="accuracy")
    model = small(fn.MLPClassifier).set_callbacks(monitor).fit(X, y)
    assert len(monitor.get_logs().data) == model.n_iter_ + 1
