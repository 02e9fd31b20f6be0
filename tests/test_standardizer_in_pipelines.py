"""`Standardizer` as a transformer in scikit-learn's pipelines."""

import pickle

import numpy as np
import pytest

import fastnn as fn

pytest.importorskip("sklearn")
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted


@pytest.fixture
def rows(rng):
    X = rng.normal(3.0, 2.0, (60, 4))
    return X, (X[:, 0] > 3).astype(int)


def test_pipeline(rows):
    X, y = rows
    pipeline = make_pipeline(fn.Standardizer(), LogisticRegression()).fit(X, y)
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    assert pipeline.predict_proba(X) == pytest.approx(theirs.predict_proba(X), abs=1e-6)
    assert pipeline.n_features_in_ == 4
    assert pipeline[:-1].transform(X) == pytest.approx(theirs[:-1].transform(X))
    assert pipeline[:-1].inverse_transform(pipeline[:-1].transform(X)) == pytest.approx(X)
    assert "Standardizer()" in repr(pipeline)
    assert "Standardizer" in pipeline._repr_html_()
    again = pickle.loads(pickle.dumps(pipeline))
    assert (again.predict(X) == pipeline.predict(X)).all()


def test_search_and_cross_validation(rows, tmp_path):
    X, y = rows
    pipeline = make_pipeline(fn.Standardizer(), LogisticRegression())
    theirs = make_pipeline(StandardScaler(), LogisticRegression())
    assert cross_val_score(pipeline, X, y).tolist() == cross_val_score(theirs, X, y).tolist()
    grid = {"logisticregression__C": [0.1, 1.0],
            "standardizer": [fn.Standardizer(), StandardScaler(), "passthrough"]}  # fmt: skip
    search = GridSearchCV(pipeline, grid, n_jobs=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"].reshape(2, 3)
    assert (scores[:, 0] == scores[:, 1]).all()
    cached = make_pipeline(fn.Standardizer(), LogisticRegression(), memory=str(tmp_path))
    assert (cached.fit(X, y).predict(X) == cached.fit(X, y).predict(X)).all()


def test_clone_and_parameters(rows):
    standardizer = fn.Standardizer().fit(rows[0])
    copy = clone(standardizer)
    assert not hasattr(copy, "mean_")
    assert standardizer.get_params() == standardizer.get_params(deep=False) == {}
    assert standardizer.set_params() is standardizer
    with pytest.raises(ValueError, match=r"with_mean: expected no parameters"):
        standardizer.set_params(with_mean=False)


def test_fitted_or_not(rows):
    with pytest.raises(NotFittedError):
        check_is_fitted(fn.Standardizer())
    check_is_fitted(fn.Standardizer().fit(rows[0]))
    assert fn.Standardizer().fit_transform(*rows).shape == (60, 4)


def test_other_compositions(rows):
    X, y = rows
    target = TransformedTargetRegressor(Ridge(), transformer=fn.Standardizer()).fit(X, X[:, 0])
    assert target.predict(X) == pytest.approx(X[:, 0], abs=0.2)
    union = make_union(fn.Standardizer(), StandardScaler()).fit_transform(X, y)
    assert union[:, :4] == pytest.approx(union[:, 4:])
    columns = ColumnTransformer([("scale", fn.Standardizer(), [0, 2])], remainder="passthrough")
    assert columns.fit_transform(X)[:, 2:].tolist() == X[:, [1, 3]].tolist()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(rows, library):
    frames = pytest.importorskip(library)
    X, y = rows
    frame = frames.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    if library == "pandas":
        frame.index = frame.index + 100
    standardizer = fn.Standardizer().fit(frame)
    assert list(standardizer.feature_names_in_) == list("abcd")
    assert isinstance(standardizer.transform(frame), np.ndarray)
    assert standardizer.set_output(transform=library) is standardizer
    out = standardizer.transform(frame)
    assert isinstance(out, frames.DataFrame)
    assert list(out.columns) == list("abcd")
    assert out.to_numpy() == pytest.approx(StandardScaler().fit_transform(X))
    if library == "pandas":
        assert (out.index == frame.index).all()
    assert isinstance(clone(standardizer).fit_transform(frame), frames.DataFrame)
    pipeline = make_pipeline(fn.Standardizer(), StandardScaler(), fn.Standardizer())
    out = pipeline.set_output(transform=library).fit_transform(frame, y)
    assert list(out.columns) == list("abcd")
    standardizer.set_output(transform="default")
    assert isinstance(standardizer.transform(frame), np.ndarray)
    standardizer.set_output(transform=None)
    with config_context(transform_output=library):
        assert isinstance(fn.Standardizer().fit_transform(frame), frames.DataFrame)
        assert isinstance(standardizer.transform(frame), np.ndarray), "its own choice comes first"
    with pytest.raises(ValueError, match=r"transform: expected one of .*'pandas'"):
        standardizer.set_output(transform="arrow")


def test_feature_names(rows):
    pandas = pytest.importorskip("pandas")
    X, _ = rows
    standardizer = fn.Standardizer().fit(X)
    assert standardizer.get_feature_names_out().tolist() == ["x0", "x1", "x2", "x3"]
    assert standardizer.get_feature_names_out(list("abcd")).tolist() == list("abcd")
    with pytest.raises(ValueError, match="input_features: expected 4 names; got 3"):
        standardizer.get_feature_names_out(list("abc"))
    frame = pandas.DataFrame(X, columns=list("abcd"))
    standardizer = fn.Standardizer().fit(frame)
    assert standardizer.get_feature_names_out().tolist() == list("abcd")
    with pytest.raises(ValueError, match=r"input_features: expected .*'a'"):
        standardizer.get_feature_names_out(list("abce"))
    pipeline = make_pipeline(fn.Standardizer(), StandardScaler()).fit(frame)
    assert pipeline.get_feature_names_out().tolist() == list("abcd")
    standardizer.fit(X)
    assert not hasattr(standardizer, "feature_names_in_")


def test_columns_in_another_order_are_an_error(rows):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows[0], columns=list("abcd"))
    standardizer = fn.Standardizer().fit(frame)
    with pytest.raises(ValueError, match=r"X: expected the columns \['a', .*; got \['d'"):
        standardizer.transform(frame[list("dcba")])
    assert standardizer.transform(rows[0]).shape == (60, 4)


def test_a_data_frame_of_booleans_and_nullable_integers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"flag": [True, False], "number": pandas.array([1, 3], "Int64")})
    assert fn.Standardizer().fit_transform(frame).tolist() == [[1, -1], [-1, 1]]
