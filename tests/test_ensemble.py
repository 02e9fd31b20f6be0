"""Ensembles of estimators: members, mean predictions and their standard deviation."""

import copy
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastnn as fn
from fastnn import MLPClassifier, MLPEnsemble, MLPRegressor
from fastnn.estimators._fitting import ensemble_members as module
from fastnn.estimators._fitting.solvers import NonFiniteError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(rng, n=120, kind="classes"):
    X = rng.normal(size=(n, 4))
    signal = X[:, 0] + 0.5 * X[:, 1]
    targets = {
        "numbers": signal + 0.3 * rng.normal(size=n),
        "outputs": np.column_stack([signal, 0.2 * X[:, 2]]),
        "binary": np.where(signal > 0, "yes", "no"),
        "classes": np.digitize(signal, [-0.7, 0.7]),
        "labels": (X[:, :3] > 0).astype(int),
    }
    return X, targets[kind]


def classifier(**options):
    return MLPClassifier((8,), max_iter=5, random_state=7, **options)


def regressor(**options):
    return MLPRegressor(hidden_layer_sizes=(8,), max_iter=5, random_state=7, **options)


# ---- members -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"n_init": 2}], ids=str)
def test_members_equal_fits_with_their_seeds(options, rng):
    X, y = data(rng)
    model = MLPEnsemble(classifier(**options), n_estimators=4).fit(X, y)
    seeds = [member.random_state for member in model.estimators_]
    assert seeds[0] == 7
    assert len(set(seeds)) == 4
    for member in model.estimators_:
        alone = classifier(**options).set_params(random_state=member.random_state).fit(X, y)
        assert all(map(np.array_equal, alone.coefs_, member.coefs_))
        assert alone.loss_curve_ == member.loss_curve_


def test_results_do_not_depend_on_the_number_of_threads(rng):
    X, y = data(rng)
    one, two = (MLPEnsemble(classifier(), n_threads=n).fit(X, y) for n in (1, 2))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_the_base_estimator_is_not_fitted(rng):
    X, y = data(rng)
    base = classifier()
    MLPEnsemble(base, n_estimators=2).fit(X, y)
    assert not hasattr(base, "coefs_")


def test_sample_weights_reach_the_members(rng):
    X, y = data(rng)
    weight = rng.integers(0, 3, len(X)).astype(float)
    member = MLPEnsemble(classifier(), n_estimators=1).fit(X, y, weight).estimators_[0]
    alone = classifier().fit(X, y, weight)
    assert all(map(np.array_equal, alone.coefs_, member.coefs_))


# ---- bootstrap -----------------------------------------------------------------------------------


def test_bootstrap_members_equal_fits_to_the_drawn_rows(rng):
    X, _ = data(rng)
    for member in (
        MLPEnsemble(regressor(), n_estimators=3, bootstrap=True).fit(X, X[:, 0]).estimators_
    ):
        draw = np.random.default_rng(member.random_state).integers(len(X), size=len(X))
        alone = clone(member).fit(X[np.sort(draw)], X[np.sort(draw), 0])
        assert all(map(np.array_equal, alone.coefs_, member.coefs_))


def test_bootstrap_with_early_stopping_validates_on_rows_not_drawn(rng):
    X, y = data(rng)
    base = classifier(early_stopping=True)
    member = MLPEnsemble(base, n_estimators=1, bootstrap=True).fit(X, y).estimators_[0]
    draw = np.random.default_rng(7).integers(len(X), size=len(X))
    left = np.setdiff1d(np.arange(len(X)), draw)
    alone = clone(base).fit(X[np.sort(draw)], y[np.sort(draw)], X_val=X[left], y_val=y[left])
    assert alone.validation_scores_ == member.validation_scores_


def test_bootstrap_may_miss_a_class(rng):
    X, y = data(rng)
    y[:] = 0
    y[0], y[1] = 1, 2
    model = MLPEnsemble(classifier(class_weight="balanced"), n_estimators=6, bootstrap=True).fit(
        X, y
    )
    assert model.predict_proba(X).shape == (len(X), 3)


# ---- predictions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "classes", "labels"])
def test_classifier_predicts_the_mean_of_probabilities(kind, rng):
    X, y = data(rng, kind=kind)
    model = MLPEnsemble(classifier(), n_estimators=5).fit(X, y)
    each = np.stack([member.predict_proba(X) for member in model.estimators_])
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba, each.mean(axis=0), rtol=1e-12)
    labels, std = model.predict(X, return_std=True)
    assert np.array_equal(labels, model.predict(X))
    spread = each.std(axis=0, ddof=1)
    if kind == "labels":
        assert np.array_equal(labels, proba > 0.5)
        np.testing.assert_allclose(std, spread, rtol=1e-9)
    else:
        assert np.array_equal(labels, model.classes_[proba.argmax(axis=1)])
        np.testing.assert_allclose(std, spread[np.arange(len(X)), proba.argmax(axis=1)], rtol=1e-9)


@pytest.mark.parametrize("kind", ["numbers", "outputs"])
def test_regressor_predicts_the_mean_of_predictions(kind, rng):
    X, y = data(rng, kind=kind)
    model = MLPEnsemble(regressor(scale_target="standard"), n_estimators=5).fit(X, y)
    each = np.stack([member.predict(X) for member in model.estimators_])
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, each.std(axis=0, ddof=1), rtol=1e-9)
    assert np.array_equal(model.predict(X), mean)


def test_gaussian_members_are_a_mixture(rng):
    X, y = data(rng, kind="numbers")
    base = regressor(loss="gaussian_nll", scale_target="standard")
    model = MLPEnsemble(base, n_estimators=5).fit(X, y)
    means, stds = map(np.stack, zip(*(m.predict(X, return_std=True) for m in model.estimators_),
                                    strict=True))  # fmt: skip
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, means.mean(axis=0), rtol=1e-12)
    variance = (stds**2 + means**2).mean(axis=0) - mean**2
    np.testing.assert_allclose(std, np.sqrt(variance), rtol=1e-9)


def test_a_single_member_has_standard_deviation_zero(rng):
    X, y = data(rng)
    model = MLPEnsemble(classifier(), n_estimators=1).fit(X, y)
    assert not model.predict(X, return_std=True)[1].any()


@pytest.mark.long
def test_members_disagree_more_far_from_the_data(rng):
    X = rng.uniform(-1, 1, (300, 1))
    model = MLPEnsemble(
        MLPRegressor(solver="lbfgs", activation="tanh", random_state=0), n_estimators=5
    )
    model.fit(X, np.sin(3 * X[:, 0]))
    inside, outside = (model.predict([[x]], return_std=True)[1][0] for x in (0.0, 4.0))
    assert outside > 10 * inside


def test_an_ensemble_of_digits_is_better_than_its_members():
    X, y = fn.datasets.load_digits()
    X_train, X_test, y_train, y_test = fn.train_test_split(X / 16, y, random_state=0, stratify=y)
    base = MLPClassifier((16,), max_iter=20, batch_size=32, random_state=0)
    model = MLPEnsemble(base).fit(X_train, y_train)
    alone = [member.score(X_test, y_test) for member in model.estimators_]
    assert model.score(X_test, y_test) > np.mean(alone) + 0.005
    labels, std = model.predict(X_test, return_std=True)
    right = labels == y_test
    assert std[~right].mean() > 2 * std[right].mean()


# ---- scikit-learn --------------------------------------------------------------------------------


@parametrize_with_checks([
    MLPEnsemble(MLPClassifier(max_iter=30, random_state=0), n_estimators=2),
    MLPEnsemble(MLPRegressor(random_state=0), n_estimators=2),
])  # fmt: skip
def test_check_estimator(estimator, check):
    check(estimator)


def test_an_ensemble_has_the_type_of_its_base_estimator(rng):
    X, y = data(rng)
    assert is_classifier(MLPEnsemble(classifier()))
    assert is_regressor(MLPEnsemble(regressor()))
    assert not hasattr(MLPEnsemble(regressor()), "predict_proba")
    search = GridSearchCV(
        MLPEnsemble(classifier(), n_estimators=2), {"estimator__alpha": [0.1, 1.0]}, cv=2
    )
    assert search.fit(X, y).best_params_["estimator__alpha"] in (0.1, 1.0)
    assert cross_val_score(MLPEnsemble(regressor(), n_estimators=2), X, X[:, 0], cv=2).shape == (2,)


def test_copies_predict_the_same(rng):
    X, y = data(rng)
    model = MLPEnsemble(classifier(), n_estimators=2).fit(X, y)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(other.predict_proba(X), model.predict_proba(X))


def test_data_frames(rng):
    pandas = pytest.importorskip("pandas")
    X, y = data(rng)
    frame = pandas.DataFrame(X, columns=list("abcd"))
    model = MLPEnsemble(classifier(), n_estimators=2).fit(frame, y)
    assert list(model.feature_names_in_) == list("abcd")
    assert np.array_equal(
        model.predict(frame), MLPEnsemble(classifier(), n_estimators=2).fit(X, y).predict(X)
    )
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))
    assert not hasattr(model.fit(X, y), "feature_names_in_")


# ---- failures and errors -------------------------------------------------------------------------


def failing(error, wrong):
    """Return a `_fit_member` that raises an error for members with these seeds."""
    fit = module._fit_member

    def one(member, *args):
        if member.random_state in wrong:
            raise error
        return fit(member, *args)

    return one


def test_members_that_diverge_are_left_out(rng, monkeypatch):
    X, y = data(rng)
    monkeypatch.setattr(module, "_fit_member", failing(NonFiniteError("too large"), {7}))
    with pytest.warns(UserWarning, match="1 of 3 members diverged"):
        model = MLPEnsemble(classifier(), n_estimators=3).fit(X, y)
    assert len(model.estimators_) == 2
    with pytest.raises(NonFiniteError):
        MLPEnsemble(classifier(), n_estimators=1).fit(X, y)


def test_other_errors_are_raised(rng, monkeypatch):
    X, y = data(rng)
    monkeypatch.setattr(module, "_fit_member", failing(MemoryError("no room"), {7}))
    with pytest.raises(MemoryError, match="no room"):
        MLPEnsemble(classifier(), n_estimators=3).fit(X, y)


def test_ctrl_c_keeps_finished_members(rng, monkeypatch):
    X, y = data(rng)
    monkeypatch.setattr(module, "_fit_member", failing(KeyboardInterrupt(), {7}))
    with pytest.warns(UserWarning, match="1 of 3 members was interrupted by the user"):
        model = MLPEnsemble(classifier(), n_estimators=3).fit(X, y)
    assert len(model.estimators_) == 2
    with pytest.raises(KeyboardInterrupt):
        MLPEnsemble(classifier(), n_estimators=1).fit(X, y)


def test_warnings_come_once():
    X, y = fn.datasets.load_breast_cancer()
    with pytest.warns(match="hasn't converged") as caught:
        MLPEnsemble(classifier(), n_estimators=5).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"estimator": None}, TypeError, "estimator: expected fastnn's"),
        (
            {"estimator": GridSearchCV(classifier(), {})},
            TypeError,
            "expected fastnn's MLPClassifier",
        ),
        ({"estimator": classifier(alpha=-1)}, ValueError, "alpha"),
        ({"n_estimators": 0}, ValueError, "n_estimators"),
        ({"n_estimators": 2.5}, ValueError, "n_estimators"),
        ({"bootstrap": "yes"}, ValueError, "bootstrap"),
        ({"n_threads": 0}, ValueError, "n_threads"),
    ],
)
def test_bad_input(options, kind, message, rng):
    X, y = data(rng)
    with pytest.raises(kind, match=message):
        MLPEnsemble(**{"estimator": classifier(), **options}).fit(X, y)
