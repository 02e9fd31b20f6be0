"""Learning curves and validation curves: scikit-learn's scores, with several seeds."""

import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import model_selection
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GroupKFold, KFold

import fastnn as fn
from fastnn import MLPClassifier, MLPRegressor
from fastnn.estimators import Curve
from fastnn.estimators._fitting import restarts
from fastnn.estimators._fitting.estimator_fit import EstimatorFit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = fn.datasets.load_breast_cancer()
X = fn.Standardizer().fit_transform(X)
SIZES = [0.2, 0.6, 1.0]


def classifier(**options):
    return MLPClassifier((8,), max_iter=5, random_state=3, **options)


# ---- scikit-learn's scores -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "y", "options"),
    [
        (classifier(), Y, {}),
        (classifier(early_stopping=True), Y, {"scoring": "roc_auc", "cv": 3}),
        (classifier(scale="standard"), Y, {"shuffle": True, "random_state": 1}),
        (classifier(), np.where(Y, "benign", "malignant"), {"cv": KFold(4)}),
        (MLPRegressor(max_iter=5, random_state=3), X[:, 0], {}),
        (MLPRegressor(solver="lbfgs", max_iter=5, random_state=3), X[:, 0], {"cv": 2}),
    ],
    ids=["accuracy", "auc", "shuffled", "text", "r2", "lbfgs"],
)
def test_learning_curve_equals_that_of_scikit_learn(model, y, options):
    expected = model_selection.learning_curve(model, X, y, train_sizes=SIZES, **options)
    curve = fn.learning_curve(model, X, y, train_sizes=SIZES, n_seeds=1, **options)
    assert list(curve.values) == list(expected[0])
    np.testing.assert_array_equal(curve.train_scores[..., 0], expected[1])
    np.testing.assert_array_equal(curve.test_scores[..., 0], expected[2])


@pytest.mark.parametrize(
    ("model", "y", "name", "values", "options"),
    [
        (classifier(), Y, "alpha", [1e-4, 1.0, 100.0], {}),
        (classifier(), Y, "activation", ["relu", "tanh"], {"cv": 3, "scoring": "f1"}),
        (MLPRegressor(max_iter=5, random_state=3), X[:, 0], "loss", ["huber", "squared_error"], {}),
    ],
    ids=["alpha", "activation", "loss"],
)
def test_validation_curve_equals_that_of_scikit_learn(model, y, name, values, options):
    arguments = {"param_name": name, "param_range": values, **options}
    expected = model_selection.validation_curve(model, X, y, **arguments)
    curve = fn.validation_curve(model, X, y, n_seeds=1, **arguments)
    assert (curve.parameter, list(curve.values)) == (name, values)
    np.testing.assert_array_equal(curve.train_scores[..., 0], expected[0])
    np.testing.assert_array_equal(curve.test_scores[..., 0], expected[1])


def test_groups_and_weights_are_used():
    groups = np.arange(len(X)) // 20
    weight = np.random.default_rng(0).uniform(0.1, 3, len(X))
    options = {"train_sizes": SIZES, "cv": GroupKFold(3), "groups": groups}
    expected = model_selection.learning_curve(
        classifier(), X, Y, params={"sample_weight": weight}, **options
    )
    curve = fn.learning_curve(classifier(), X, Y, n_seeds=1, sample_weight=weight, **options)
    np.testing.assert_array_equal(curve.test_scores[..., 0], expected[2])


# ---- seeds ---------------------------------------------------------------------------------------


def test_each_seed_equals_a_separate_curve():
    curve = fn.learning_curve(classifier(), X, Y, train_sizes=SIZES, cv=2, n_seeds=3)
    assert curve.test_scores.shape == curve.train_scores.shape == (3, 2, 3)
    first = fn.learning_curve(classifier(), X, Y, train_sizes=SIZES, cv=2, n_seeds=1, n_threads=1)
    assert np.array_equal(curve.test_scores[..., :1], first.test_scores)
    assert len({tuple(curve.test_scores[..., s].ravel()) for s in range(3)}) == 3


def test_the_estimator_is_not_fitted():
    model = classifier()
    fn.validation_curve(model, X, Y, param_name="alpha", param_range=[1.0], cv=2, n_seeds=1)
    assert not hasattr(model, "coefs_")
    assert model.get_params() == clone(model).get_params()


# ---- tables and plots ----------------------------------------------------------------------------


def make_example():
    test = np.array([[[0.5, 0.7], [0.6, 0.6]], [[0.9, 0.9], [0.8, np.nan]]])
    return Curve("alpha", [0.1, 10.0], test + 0.1, test)


def test_table():
    table = make_example().table()
    assert table["alpha"] == [0.1, 10.0]
    assert table["test_mean"] == pytest.approx([0.6, 2.6 / 3])
    assert table["test_std"][0] == pytest.approx(np.std([0.5, 0.7, 0.6, 0.6], ddof=1))
    assert table["train_mean"][0] == pytest.approx(0.7)
    assert table["count"] == [4, 3]
    assert "test_mean" in str(make_example())


def test_plot(pyplot):
    axes = make_example().plot()
    assert axes.get_xscale() == "log"
    assert len(axes.get_lines()) == len(axes.collections) == 2
    test_line = axes.get_lines()[1]
    np.testing.assert_allclose(test_line.get_xydata(), [[0.1, 0.6], [10, 2.6 / 3]])
    named = Curve(
        "activation", ["relu", "tanh"], make_example().train_scores, make_example().test_scores
    )
    texts = [label.get_text() for label in named.plot().get_xticklabels()]
    assert texts == ["relu", "tanh"]


# ---- failures ------------------------------------------------------------------------------------


def test_failed_fit_has_the_error_score(monkeypatch):
    run = restarts.run_restarts

    def fails(fit, before):
        if fit.estimator.alpha == 2.0:
            raise RuntimeError("no")
        return run(fit, before)

    monkeypatch.setattr(restarts, "run_restarts", fails)
    options = {"param_name": "alpha", "param_range": [1.0, 2.0], "cv": 2, "n_seeds": 2}
    with pytest.warns(FitFailedWarning, match="4 fits failed out of a total of 8"):
        curve = fn.validation_curve(classifier(), X, Y, **options)
    assert np.isnan(curve.test_scores[1]).all()
    assert np.isfinite(curve.test_scores[0]).all()
    assert curve.table()["count"] == [4, 0]
    with pytest.raises(RuntimeError, match="no"):
        fn.validation_curve(classifier(), X, Y, error_score="raise", **options)


def test_ctrl_c_keeps_finished_fits(monkeypatch):
    train, started = EstimatorFit._train, []

    def interrupted(fit, *args):
        started.append(fit)
        if len(started) == 3:
            raise KeyboardInterrupt
        return train(fit, *args)

    monkeypatch.setattr(EstimatorFit, "_train", interrupted)
    with pytest.warns(UserWarning, match="networks were not finished"):
        curve = fn.learning_curve(classifier(), X, Y, train_sizes=SIZES, cv=2, n_seeds=1)
    assert 1 <= np.isnan(curve.test_scores).sum() < 6


def test_warnings_point_to_the_caller():
    with pytest.warns(match="hasn't converged") as caught:
        fn.learning_curve(classifier(), X, Y, train_sizes=SIZES, cv=2, n_seeds=2)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"estimator": GroupKFold()}, TypeError, "estimator: expected fastnn's"),
        ({"n_seeds": 0}, ValueError, "n_seeds"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"shuffle": "yes"}, TypeError, "shuffle"),
        ({"train_sizes": [0.0, 0.5]}, ValueError, "train_sizes"),
        ({"train_sizes": [10_000]}, ValueError, "train_sizes"),
        (
            {"y": np.sort(Y), "train_sizes": [20]},
            ValueError,
            "train_sizes: the first .* rows: expected",
        ),
        ({"cv": [([0, 1], [700])]}, ValueError, "cv: fold 0: training rows|cv: fold 0: test rows"),
        ({"y": Y[:5]}, ValueError, "inconsistent numbers of samples"),
        ({"scoring": "acuracy"}, ValueError, "scoring|acuracy"),
    ],
)
def test_bad_input_of_learning_curve(options, kind, message):
    with pytest.raises(kind, match=message):
        fn.learning_curve(**{"estimator": classifier(), "X": X, "y": Y, **options})


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"param_name": "alhpa"}, ValueError, "param_name.*Did you mean 'alpha'"),
        ({"param_name": 3}, TypeError, "param_name"),
        ({"param_name": "random_state"}, ValueError, "which n_seeds varies"),
        ({"param_range": []}, ValueError, "param_range: expected at least one"),
        ({"param_range": 0.1}, TypeError, "param_range: expected a list"),
        ({"param_range": [1.0, -1.0]}, ValueError, r"candidate 1, \{'alpha': -1.0\}"),
    ],
)
def test_bad_input_of_validation_curve(options, kind, message):
    options = {"param_name": "alpha", "param_range": [0.1, 1.0], **options}
    with pytest.raises(kind, match=message):
        fn.validation_curve(classifier(), X, Y, **options)


@pytest.mark.long
def test_the_plot_of_the_documentation_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    tool = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "error_bars.py"))
    tool["main"](tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000
