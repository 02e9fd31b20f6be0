"""`MLPSearchCV`: scores of GridSearchCV, seeds, halving, failures and bad input."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")

import joblib
from scipy.sparse import csr_matrix
from scipy.stats import loguniform
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn as fn
from fastnn import MLPClassifier, MLPRegressor, MLPSearchCV
from fastnn.estimators.search.halving import list_rungs

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite"),
    pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight"),
]


def data(rng, n=90, y="classes"):
    X = rng.normal(size=(n, 4)).astype(np.float32)
    signal = X[:, 0] + 0.5 * X[:, 1]
    targets = {
        "binary": (signal > 0).astype(int),
        "classes": np.digitize(signal, [-0.5, 0.5]),
        "text": np.array(["low", "middle", "high"])[np.digitize(signal, [-0.5, 0.5])],
        "labels": (X[:, :3] > 0).astype(int),
        "numbers": signal + 0.3 * rng.normal(size=n),
        "outputs": np.column_stack([signal, X[:, 2]]),
        "counts": rng.poisson(np.exp(0.5 * signal)).astype(float),
    }
    return X, targets[y]


def small(kind=MLPClassifier, **params):
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 9, "learning_rate_init": 0.02}
    return kind(**defaults | {"random_state": 3} | params)


def assert_same_tables(search, other):
    """The results are bit-identical, except for the times."""
    mine, theirs = search.cv_results_, other.cv_results_
    assert set(mine) - set(theirs) == {
        "n_seeds", *(name for name in mine if name.startswith("std_over_seeds"))
    }  # fmt: skip
    for name in theirs:
        if "time" not in name:
            np.testing.assert_array_equal(np.array(mine[name]), np.array(theirs[name]), name)


# ---- scores of GridSearchCV ---------------------------------------------------------------------

CASES = {
    "default": (MLPClassifier, {}, "classes", {}),
    "binary": (MLPClassifier, {}, "binary", {"scoring": "accuracy", "return_train_score": True}),
    "text": (MLPClassifier, {"scale": "standard"}, "text", {}),
    "several labels": (MLPClassifier, {}, "labels", {}),
    "class weights": (MLPClassifier, {"class_weight": "balanced"}, "classes", {}),
    "smoothing": (MLPClassifier, {"label_smoothing": 0.1}, "binary", {"scoring": "roc_auc"}),
    "several scores": (MLPClassifier, {}, "classes",
                       {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"}),
    "early stopping": (MLPClassifier, {"early_stopping": True}, "binary", {}),
    "watched loss": (MLPClassifier, {"early_stopping": True, "scoring": "loss"}, "classes", {}),
    "restarts": (MLPClassifier, {"n_init": 2, "dropout": 0.1}, "classes", {}),
    "lbfgs": (MLPClassifier, {"solver": "lbfgs"}, "classes", {}),
    "logistic": (fn.LogisticRegression, None, "classes", {}),
    "numbers": (MLPRegressor, {"scale_target": "standard"}, "numbers", {}),
    "outputs": (MLPRegressor, {"loss": "huber", "l1": 0.01}, "outputs", {"scoring": "r2"}),
    "counts": (MLPRegressor, {"loss": "poisson"}, "counts", {"return_train_score": True}),
    "float64": (MLPRegressor, {"scale": "robust"}, "numbers", {"cv": KFold(3, shuffle=True,
                                                                         random_state=0)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_scores_equal_those_of_grid_search(rng, case):
    kind, params, targets, settings = CASES[case]
    X, y = data(rng, y=targets)
    X = X.astype(float) if case == "float64" else X
    model = kind(random_state=3) if params is None else small(kind, **params)
    grid = {"C": [0.1, 1.0]} if params is None else {"alpha": [1e-4, 1.0], "batch_size": [16, 40]}
    search = MLPSearchCV(model, grid, **settings).fit(X, y)
    other = GridSearchCV(model, grid, **settings).fit(X, y)
    assert_same_tables(search, other)
    for name in ("best_index_", "best_score_", "best_params_", "n_splits_", "multimetric_",
                 "n_features_in_"):  # fmt: skip
        assert getattr(search, name) == getattr(other, name), name
    np.testing.assert_array_equal(search.predict(X), other.predict(X))
    assert search.score(X, y) == other.score(X, y)
    if kind is not MLPRegressor:
        np.testing.assert_array_equal(search.predict_proba(X), other.predict_proba(X))
        np.testing.assert_array_equal(search.classes_, other.classes_)


def test_data_frames_weights_groups_and_a_custom_scorer(rng):
    X, y = data(rng, y="binary")
    frame, weights = pd.DataFrame(X, columns=list("abcd")), rng.integers(0, 3, len(X))
    groups = np.arange(len(X)) % 7

    def scorer(estimator, X, y):
        assert list(X.columns) == list("abcd")
        return {"right": np.mean(estimator.predict(X) == y), "first": X["a"].mean()}

    both = [
        kind(small(), {"alpha": [1e-4, 1.0]}, cv=GroupKFold(3), scoring=scorer, refit="right")
        .fit(frame, pd.Series(y), sample_weight=weights, groups=groups)
        for kind in (MLPSearchCV, GridSearchCV)
    ]  # fmt: skip
    assert_same_tables(*both)
    assert both[0].feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(both[0].predict(frame), both[1].predict(frame))


def test_sparse_data(rng):
    X, y = data(rng)
    both = [
        kind(small(), {"alpha": [1e-4, 1.0]}).fit(csr_matrix(X), y)
        for kind in (MLPSearchCV, GridSearchCV)
    ]
    assert_same_tables(*both)


def test_sampling_from_distributions(rng):
    X, y = data(rng)
    distributions = {"alpha": loguniform(1e-4, 1), "width": [4, 8]}
    search = MLPSearchCV(
        small(), param_distributions=distributions, n_iter=3, random_state=5
    ).fit(X, y)  # fmt: skip
    other = RandomizedSearchCV(small(), distributions, n_iter=3, random_state=5).fit(X, y)
    assert_same_tables(search, other)


def test_callable_refit_and_no_refit(rng):
    X, y = data(rng)
    last = MLPSearchCV(small(), {"alpha": [1, 2]}, refit=lambda results: 1).fit(X, y)
    assert last.best_params_ == {"alpha": 2}
    assert not hasattr(last, "best_score_")
    bare = MLPSearchCV(small(), {"alpha": [1, 2]}, refit=False).fit(X, y)
    assert not hasattr(bare, "best_estimator_")
    assert bare.best_params_ in bare.cv_results_["params"]


# ---- seeds ---------------------------------------------------------------------------------------


def test_each_seed_equals_a_separate_search(rng):
    X, y = data(rng)
    search = MLPSearchCV(small(), {"alpha": [1e-4, 1.0]}, cv=3, n_seeds=3).fit(X, y)
    assert search.seeds_[0] == 3
    assert len(set(search.seeds_)) == 3
    assert search.scores_.shape == (2, 3, 3)
    for s, seed in enumerate(search.seeds_):
        separate = GridSearchCV(small(random_state=seed), {"alpha": [1e-4, 1.0]}, cv=3).fit(X, y)
        for k in range(3):
            expected = separate.cv_results_[f"split{k}_test_score"]
            np.testing.assert_array_equal(search.scores_[:, k, s], expected)
    table = search.cv_results_
    np.testing.assert_array_equal(table["split1_test_score"], search.scores_[:, 1].mean(axis=1))
    spread = search.scores_.mean(axis=1).std(axis=1, ddof=1)
    np.testing.assert_allclose(table["std_over_seeds_test_score"], spread)
    assert table["n_seeds"].tolist() == [3, 3]


def test_std_over_one_seed_is_nan(rng):
    X, y = data(rng)
    search = MLPSearchCV(small(), {"alpha": [1]}, cv=3).fit(X, y)
    assert np.isnan(search.cv_results_["std_over_seeds_test_score"]).all()


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_seeds_without_an_integer_random_state(rng, random_state):
    X, y = data(rng)
    model = small(random_state=random_state)
    search = MLPSearchCV(model, {"alpha": [1e-4, 1e-4]}, cv=3, n_seeds=2).fit(X, y)
    np.testing.assert_array_equal(search.scores_[0], search.scores_[1])
    if random_state is not None:  # the user's generator is unchanged
        assert random_state.randint(1000) == np.random.RandomState(0).randint(1000)


def test_compare(rng):
    X, y = data(rng)
    search = MLPSearchCV(small(), {"alpha": [1e-4, 10.0]}, cv=3, n_seeds=2).fit(X, y)
    pairs = (search.scores_[0] - search.scores_[1]).ravel()
    difference = search.compare(0, {"alpha": 10.0})
    assert (difference.mean, difference.count) == (pytest.approx(pairs.mean()), 6)
    assert difference.standard_error == pytest.approx(pairs.std(ddof=1) / np.sqrt(6))
    for wrong in (2, -1, True, {"alpha": 3}):
        with pytest.raises(ValueError, match="i: expected a position below 2"):
            search.compare(wrong, 0)
    with pytest.raises(ValueError, match="metric: expected one of"):
        search.compare(0, 1, metric="r2")


def test_results_are_bit_identical_for_any_n_threads(rng):
    X, y = data(rng)
    grid = {"hidden_layer_sizes": [(4,), (16, 8), (64,)], "dropout": [0, 0.2]}
    one, four = (
        MLPSearchCV(small(early_stopping=True), grid, n_seeds=2, n_threads=n).fit(X, y)
        for n in (1, 4)
    )
    np.testing.assert_array_equal(one.scores_, four.scores_)


# ---- halving -------------------------------------------------------------------------------------


def test_rungs():
    assert list_rungs(12, 27, 3) == [3, 9, 27]
    assert list_rungs(9, 20, 3) == [3, 7, 20]
    assert list_rungs(2, 20, 3) == [20]
    assert list_rungs(1000, 5, 2) == [1, 2, 3, 5]


HALVED = {
    "adam": {"dropout": 0.1},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "schedule": {"learning_rate": fn.schedules.OneCycle(max_learning_rate=0.02)},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "scaled": {"scale": "standard", "class_weight": "balanced"},
}


@pytest.mark.parametrize("case", HALVED)
def test_last_candidates_of_halving_equal_uninterrupted_training(rng, case):
    X, y = data(rng)
    model = small(max_iter=20, **HALVED[case])
    grid = {"alpha": [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 3.0, 0.3]}
    search = MLPSearchCV(model, grid, cv=3, n_seeds=2, halving=3).fit(X, y)
    whole = MLPSearchCV(model, grid, cv=3, n_seeds=2).fit(X, y)
    table = search.cv_results_
    assert sorted(table["iter"].tolist()) == [0] * 6 + [1] * 2 + [2]
    assert sorted(set(table["n_epochs"].tolist())) == [3, 7, 20]
    (last,) = np.flatnonzero(table["iter"] == 2)
    np.testing.assert_array_equal(search.scores_[last], whole.scores_[last])
    assert search.best_index_ == last
    assert table["rank_test_score"][last] == 1
    assert (table["rank_test_score"][table["iter"] == 0] > 3).all()


def test_each_rung_equals_a_fit_of_that_many_epochs(rng):
    X, y = data(rng)
    model = small(max_iter=8, tol=0, n_iter_no_change=100)
    grid = {"alpha": [1e-4, 1e-3, 1e-2, 0.1]}
    search = MLPSearchCV(model, grid, cv=3, halving=2).fit(X, y)
    first = MLPSearchCV(clone(model).set_params(max_iter=2), grid, cv=3).fit(X, y)
    out = search.cv_results_["iter"] == 0
    assert out.sum() == 2
    np.testing.assert_array_equal(search.scores_[out], first.scores_[out])


@pytest.mark.parametrize(("params", "settings", "message"), [
    ({"solver": "lbfgs"}, {}, "solver='adam' or 'sgd'"),
    ({"n_init": 2}, {}, "n_init=1"),
    ({"max_time": 3.0}, {}, "max_time=None"),
    ({}, {"backend": "joblib"}, "backend: expected None with halving"),
])  # fmt: skip
def test_halving_rejects_unsupported_parameters(rng, params, settings, message):
    with pytest.raises(ValueError, match=message):
        MLPSearchCV(small(**params), {"alpha": [1]}, halving=2, **settings).fit(*data(rng))
    with pytest.raises(ValueError, match="refit: expected the name of the score"):
        MLPSearchCV(small(), {"alpha": [1]}, halving=2, scoring=["accuracy"], refit=False).fit(
            *data(rng)
        )
    with pytest.raises(ValueError, match="no max_iter"):
        MLPSearchCV(small(), {"max_iter": [1, 2]}, halving=2).fit(*data(rng))


# ---- failures ------------------------------------------------------------------------------------


def test_failed_candidate_does_not_affect_others(rng):
    X, y = data(rng)
    model = small(solver="sgd")
    grid = [{"learning_rate_init": [0.02]}, {"learning_rate_init": [1e30]}]
    with pytest.warns(FitFailedWarning, match="5 fits failed"):
        search = MLPSearchCV(model, grid, error_score=-1).fit(X, y)
    separate = MLPSearchCV(model, grid[:1]).fit(X, y)
    np.testing.assert_array_equal(search.scores_[0], separate.scores_[0])
    assert (search.scores_[1] == -1).all()
    with pytest.raises(ValueError, match="non-finite"):
        MLPSearchCV(model, grid, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="All the 5 fits failed"):
        MLPSearchCV(model, grid[1:]).fit(X, y)


def test_halving_with_several_scores(rng):
    X, y = data(rng)
    grid = {"alpha": [1e-4, 100.0]}
    search = MLPSearchCV(small(max_iter=8), grid, halving=2, scoring=["accuracy", "neg_log_loss"],
                         refit="neg_log_loss").fit(X, y)  # fmt: skip
    first = MLPSearchCV(small(max_iter=4), grid, scoring="neg_log_loss").fit(X, y)
    assert search.best_index_ == first.best_index_
    assert search.cv_results_["iter"][search.best_index_] == 1
    with pytest.raises(ValueError, match="refit: expected one of"):
        MLPSearchCV(small(max_iter=8), grid, halving=2, refit=lambda results: 0,
                    scoring=lambda model, X, y: {"a": 1.0}).fit(X, y)  # fmt: skip


def test_failed_candidate_in_halving(rng):
    X, y = data(rng)
    grid = {"learning_rate_init": [0.02, 1e30, 0.01, 0.03]}
    with pytest.warns(FitFailedWarning, match="5 fits failed"):
        search = MLPSearchCV(small(solver="sgd"), grid, halving=2).fit(X, y)
    assert np.isnan(search.scores_[1]).all()
    assert search.best_index_ != 1


def test_unfinished_restarts_are_not_scored(rng):
    X, y = data(rng, n=4000)
    model = small(tol=0, n_iter_no_change=10**6, max_iter=10**6, n_init=3)
    grid = [{"alpha": [1.0]}, {"max_iter": [1], "n_init": [1]}]
    with pytest.warns(UserWarning, match="2 of 4 networks were not finished"):
        search = MLPSearchCV(model, grid, cv=2, max_time=1.0, n_threads=3).fit(X, y)
    assert np.isnan(search.scores_[0]).all()
    assert np.isfinite(search.scores_[1]).all()


def test_failing_scorer(rng):
    def scorer(estimator, X, y):
        raise RuntimeError("no score today")

    X, y = data(rng)
    with pytest.warns(UserWarning, match="no score today"):
        search = MLPSearchCV(small(), {"alpha": [1, 2]}, scoring=scorer, refit=False).fit(X, y)
    assert np.isnan(search.scores_).all()
    with pytest.raises(RuntimeError, match="no score today"):
        MLPSearchCV(small(), {"alpha": [1]}, scoring=scorer, error_score="raise").fit(X, y)


def test_one_warning_for_many_fits(rng):
    X, y = data(rng)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPSearchCV(small(), {"alpha": [1, 2]}, refit=False).fit(X, y)
    (one,) = [w for w in caught if w.category is ConvergenceWarning]
    assert "(10 of 10 fits)" in str(one.message)
    assert one.filename == __file__


def test_max_time_keeps_finished_fits(rng):
    X, y = data(rng, n=4000)
    model = small(tol=0, n_iter_no_change=10**6)
    model.set_params(hidden_layer_sizes=(64,), max_iter=2)
    grid = [{"max_iter": [10**6]}, {"alpha": [1.0]}]
    with pytest.warns(UserWarning, match="not finished: max_time was reached"):
        search = MLPSearchCV(model, grid, cv=2, max_time=1.5, n_threads=3).fit(X, y)
    assert np.isnan(search.scores_[0]).all()
    assert np.isfinite(search.scores_[1]).all()
    assert search.best_index_ == 1
    with pytest.raises(ValueError, match="max_time: expected time for at least one"):
        MLPSearchCV(model, grid[:1], cv=2, max_time=0.05).fit(X, y)


def test_ctrl_c_keeps_finished_fits(rng):
    X, y = data(rng, n=4000)
    model = small(tol=0, n_iter_no_change=10**6, max_iter=2)
    grid = [{"max_iter": [10**7]}, {"alpha": [1.0]}]
    threading.Timer(1.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    began = time.monotonic()
    with pytest.warns(UserWarning, match="interrupted by the user"):
        search = MLPSearchCV(model, grid, cv=2, n_threads=3).fit(X, y)
    assert time.monotonic() - began < 30
    assert np.isnan(search.scores_[0]).all()
    assert search.best_params_ == {"alpha": 1.0}
    assert search.predict(X[:2]).shape == (2,)


def test_ctrl_c_during_halving(rng):
    X, y = data(rng, n=4000)
    model = small(tol=0, n_iter_no_change=10**6, max_iter=10**7)
    threading.Timer(1.0, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        MLPSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2, halving=2).fit(X, y)
    model.set_params(max_iter=8)
    timed = MLPSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2, halving=2, max_time=100).fit(X, y)
    other = MLPSearchCV(model, {"alpha": [0.1, 1.0]}, cv=2, halving=2).fit(X, y)
    np.testing.assert_array_equal(timed.scores_, other.scores_)


def test_ctrl_c_before_the_first_finished_fit(rng):
    X, y = data(rng, n=4000)
    model = small(tol=0, n_iter_no_change=10**6, max_iter=10**7)
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        MLPSearchCV(model, {"alpha": [1.0]}, cv=2).fit(X, y)


# ---- bad input -----------------------------------------------------------------------------------

BAD = {
    "both": ({"param_grid": {}, "param_distributions": {}}, "exactly one .* got both"),
    "neither": ({}, "exactly one .* got neither"),
    "near": ({"param_grid": {"learning_rate_inti": [1]}}, "did you mean 'learning_rate_init'"),
    "unknown": ({"param_grid": {"zzzz": [1]}}, "got 'zzzz': it has"),
    "no grids": ({"param_grid": []}, "param_grid: .* got an empty one"),
    "no values": ({"param_grid": {"alpha": []}}, "at least one value for 'alpha'"),
    "seeds": ({"param_grid": {"random_state": [1, 2]}}, "n_seeds fits each candidate"),
    "value": ({"param_grid": {"alpha": [1, -1]}}, r"candidate 1, \{'alpha': -1\}: .*alpha"),
    "pair": ({"param_grid": {"solver": ["lbfgs"], "l1": [1.0]}}, "candidate 0, .* l1: expected"),
    "n_seeds": ({"param_grid": {}, "n_seeds": 0}, "n_seeds"),
    "halving": ({"param_grid": {}, "halving": 1}, "halving"),
    "n_threads": ({"param_grid": {}, "n_threads": 0}, "n_threads"),
    "max_time": ({"param_grid": {}, "max_time": 0}, "max_time"),
    "backend": ({"param_grid": {}, "backend": "dask"}, "backend"),
    "rows": ({"param_grid": {}, "cv": [([0, 1, 2], [90])]}, "fold 0: test rows: .* got 90"),
    "no rows": ({"param_grid": {}, "cv": [([0, 1, 2], [])]}, "fold 0: test rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_an_error_before_training(rng, case, monkeypatch):
    params, message = BAD[case]
    monkeypatch.setattr("fastnn._parallel.pool.run_tasks", None)
    with pytest.raises(ValueError, match=message):
        MLPSearchCV(small(), **params).fit(*data(rng))


@pytest.mark.parametrize(("params", "message"), [
    ({"param_grid": 3}, "param_grid: expected a dict"),
    ({"param_grid": "alpha"}, "param_grid: expected a dict"),
    ({"param_grid": [3]}, "param_grid: expected a dict"),
    ({"param_grid": {"alpha": 3}}, "a list of values for 'alpha'"),
    ({"param_grid": {"solver": "adam"}}, "a list of values for 'solver'"),
    ({"param_distributions": {"alpha": 3}}, "a list of values for 'alpha'"),
])  # fmt: skip
def test_grid_of_a_wrong_type(rng, params, message):
    with pytest.raises(TypeError, match=message):
        MLPSearchCV(small(), **params).fit(*data(rng))


def test_fold_without_a_class(rng):
    X, y = data(rng)
    train = np.flatnonzero(y != 2)
    with pytest.raises(ValueError, match="fold 0: expected training rows of every class"):
        MLPSearchCV(small(), {"alpha": [1]}, cv=[(train, [0, 1])]).fit(X, y)


@pytest.mark.parametrize("estimator", [
    make_pipeline(MLPClassifier()), SklearnRegression(), fn.Perceptron(), MLPClassifier, None,
])  # fmt: skip
def test_other_estimators_are_rejected(rng, estimator):
    with pytest.raises(TypeError, match="GridSearchCV"):
        MLPSearchCV(estimator, {"alpha": [1]}).fit(*data(rng))


# ---- a meta-estimator ----------------------------------------------------------------------------

QUICK = {"max_iter": 100, "learning_rate_init": 0.01, "random_state": 0}
SEARCHES = [
    MLPSearchCV(kind(**QUICK), {"alpha": [1e-4, 1e-3]}, cv=2)
    for kind in (MLPClassifier, MLPRegressor)
]


@parametrize_with_checks(SEARCHES)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator(estimator, check):
    check(estimator)


def test_clone_pickle_and_parameters(rng):
    X, y = data(rng)
    search = MLPSearchCV(small(), {"alpha": [1e-4, 1.0]}, cv=3, n_seeds=2)
    copy = clone(search).set_params(estimator__alpha=2.0, n_seeds=1)
    assert (copy.estimator.alpha, search.estimator.alpha, copy.n_seeds) == (2.0, 0.0001, 1)
    assert is_classifier(search)
    assert is_regressor(MLPSearchCV(MLPRegressor(), {}))
    search.fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    np.testing.assert_array_equal(again.scores_, search.scores_)
    assert not hasattr(search.estimator, "coefs_")


def test_no_copy_of_X(rng, tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", "float32", (50_000, 100))
    X[:] = rng.normal(size=X.shape)
    y = (X[:, 0] > 0).astype(int)
    model = small(max_iter=1, early_stopping=True, batch_size=200)
    search = MLPSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=2, refit=False)
    tracemalloc.start()
    search.fit(np.load(tmp_path / "X.npy", mmap_mode="r"), y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


def test_arrays_are_not_modified_and_may_be_read_only(rng):
    X, y = data(rng)
    before = X.copy(), y.copy()
    X.setflags(write=False)
    y.setflags(write=False)
    MLPSearchCV(small(early_stopping=True), {"alpha": [1, 2]}, cv=3).fit(X, y)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


# ---- processes -----------------------------------------------------------------------------------

WITH_PROCESSES = """
import joblib, numpy as np, fastnn as fn
X, y = fn.datasets.load_digits()
X, y = X[:400] / 16, y[:400]
model = fn.MLPClassifier((8,), max_iter=3, random_state=3)
grid = {"alpha": [1e-4, 1e-2, 1.0], "width": [4, 8]}
def search(backend):
    return fn.MLPSearchCV(model, grid, cv=3, n_seeds=2, backend=backend).fit(X, y)
if __name__ == "__main__":
    here = search(None)
    with joblib.parallel_config("loky", n_jobs=2):
        there = search("joblib")
    assert (here.scores_ == there.scores_).all()
    assert here.best_params_ == there.best_params_
    assert (here.predict(X) == there.predict(X)).all()
    print("equal")
"""


WITH_A_LOST_WORKER = """
import os, signal, threading, time
import joblib, fastnn as fn
from distributed import Client, LocalCluster
X, y = fn.datasets.load_digits()
model = fn.MLPClassifier((32,), max_iter=40, batch_size=16, tol=0, random_state=3)
search = fn.MLPSearchCV(model, {"alpha": [1e-4, 1.0]}, cv=3, n_seeds=2, refit=False)
if __name__ == "__main__":
    here = search.fit(X / 16, y).scores_
    folder = os.path.dirname(os.path.abspath(__file__))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                      local_directory=folder) as cluster, Client(cluster) as client:
        before = set(client.run(os.getpid).values())
        def kill():
            while not client.processing() or not any(client.processing().values()):
                time.sleep(0.01)
            os.kill(min(before), signal.SIGKILL)
        threading.Thread(target=kill).start()
        with joblib.parallel_config("dask"):
            there = search.set_params(backend="joblib").fit(X / 16, y).scores_
        client.wait_for_workers(2)
        after = set(client.run(os.getpid).values())
    print((here == there).all(), len(before & after))
"""


def run(script, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(script)
    env = os.environ | {"PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=240, env=env, check=False
    )


@pytest.mark.process
def test_joblib_processes(tmp_path):
    done = run(WITH_PROCESSES, tmp_path)
    assert done.stdout.strip() == "equal", done.stderr


@pytest.mark.process
def test_dask_cluster_that_loses_a_worker(tmp_path):
    pytest.importorskip("distributed")
    done = run(WITH_A_LOST_WORKER, tmp_path)
    assert done.stdout.strip() == "True 1", done.stderr


def test_joblib_without_processes(rng):
    X, y = data(rng)
    search = MLPSearchCV(small(), {"alpha": [1, 2]}, cv=3, n_seeds=2)
    with joblib.parallel_config("threading", n_jobs=2):
        there = clone(search).set_params(backend="joblib").fit(X, y)
    np.testing.assert_array_equal(there.scores_, search.fit(X, y).scores_)
