"""The transformers in scikit-learn: its tests of estimators, pipelines and column transformers."""

import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn.preprocessing import PiecewiseLinearEncoder, RobustScaler, TableEncoder

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler as TheirScaler
from sklearn.utils.estimator_checks import check_estimator

TRANSFORMERS = [
    fn.Standardizer(),
    RobustScaler(),
    RobustScaler(clip=None),
    PiecewiseLinearEncoder(),
    PiecewiseLinearEncoder(basis="hats"),
    PiecewiseLinearEncoder(basis="hats", sparse_output=True),
    PiecewiseLinearEncoder(strategy="tree", min_samples_leaf=2),
    TableEncoder(),
    TableEncoder(numeric_encoding="piecewise_linear"),
    TableEncoder(sparse_output=True),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
@pytest.mark.filterwarnings("ignore")  # about a class that is none of scikit-learn's
def test_checks_of_scikit_learn(transformer):
    results = check_estimator(transformer, on_fail=None)
    failed = [result["check_name"] for result in results if result["status"] == "failed"]
    # Standardizer accepts targets (n,).
    assert failed == ["check_fit1d"] * isinstance(transformer, fn.Standardizer)
    assert sum(result["status"] == "passed" for result in results) > 40


@pytest.mark.parametrize("transformer", TRANSFORMERS[1:], ids=repr)
def test_clone_and_pickle(transformer, rng):
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    fitted = clone(transformer).fit(X, y)
    assert clone(fitted).get_params() == transformer.get_params()
    assert not hasattr(clone(fitted), "n_features_in_")
    again = pickle.loads(pickle.dumps(fitted))
    Z, expected = (
        one.toarray() if hasattr(one, "toarray") else one
        for one in (again.transform(X), fitted.transform(X))
    )
    assert (expected == Z).all()


def test_without_clipping_it_is_the_scaler_of_scikit_learn(rng):
    X = rng.normal(size=(50, 4))
    ours = RobustScaler(clip=None).fit_transform(X)
    np.testing.assert_allclose(ours, TheirScaler().fit_transform(X), rtol=1e-12)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_column_transformer(rng, library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({
        "a": rng.normal(size=80), "b": rng.normal(size=80), "c": ["u", "v", "w", "x"] * 20,
        "d": rng.normal(size=80),
    })  # fmt: skip
    columns = make_column_transformer(
        (RobustScaler(), ["a"]),
        (PiecewiseLinearEncoder(3), ["b"]),
        (TableEncoder(), ["c", "d"]),
        verbose_feature_names_out=False,
    ).set_output(transform=library)
    Z = columns.fit_transform(frame)
    assert isinstance(Z, frames.DataFrame)
    names = ["a", "b_bin0", "b_bin1", "b_bin2", "d", "c_u", "c_v", "c_w", "c_x"]
    assert list(Z.columns) == names == columns.get_feature_names_out().tolist()


def test_search_over_a_pipeline(rng):
    X = rng.uniform(-3, 3, (300, 2))
    y = np.abs(X[:, 0]) > 1.5
    model = make_pipeline(
        PiecewiseLinearEncoder(n_bins=8, min_samples_leaf=10), LogisticRegression(C=100)
    )
    grid = {
        "piecewiselinearencoder__strategy": ["quantile", "tree"],
        "piecewiselinearencoder__basis": ["ramps", "hats"],
    }
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, y)
    assert search.cv_results_["mean_test_score"].min() > 0.9
    assert search.best_score_ > 0.97


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_a_sparse_table_in_a_pipeline(rng):
    X = np.empty((300, 2), object)
    X[:, 0], X[:, 1] = rng.integers(0, 60, 300).astype(str), rng.normal(size=300)
    y = (X[:, 0].astype(int) % 2).astype(bool)
    predictions = []
    for is_sparse in (False, True):
        model = make_pipeline(
            TableEncoder(sparse_output=is_sparse, min_frequency=1),
            fn.MLPClassifier((8,), learning_rate_init=0.02, max_iter=60, random_state=0),
        )
        predictions.append(model.fit(X, y).predict_proba(X))
    assert (predictions[0] == predictions[1]).all()
    assert ((predictions[1][:, 1] > 0.5) == y).mean() > 0.95
