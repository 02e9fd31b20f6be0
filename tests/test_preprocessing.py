"""One-hot encoding, train-test splits and standardization."""

import doctest
import sys

import numpy as np
import pytest

from fastnn import preprocessing
from fastnn.preprocessing import Standardizer, one_hot, train_test_split

DTYPES = [np.float32, np.float64]


def test_the_examples_in_the_documentation_run():
    objects = [getattr(preprocessing, name) for name in preprocessing.__all__]
    for module in sorted({value.__module__ for value in objects}):
        result = doctest.testmod(sys.modules[module])
        assert result.attempted >= 1, module
        assert result.failed == 0, module


@pytest.mark.parametrize("dtype", [*DTYPES, np.int64, bool])
def test_one_hot_by_hand(dtype):
    rows = one_hot([2, 0], dtype=dtype)
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert rows.dtype == dtype
    assert one_hot(np.array([1.0]), n_classes=3, dtype=dtype).tolist() == [[0, 1, 0]]


def test_one_hot_defaults_to_float64_and_takes_booleans():
    rows = one_hot([True, False])
    assert rows.dtype == np.float64
    assert rows.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([0, 3], {"n_classes": 3}, ValueError, "labels: expected whole numbers from 0 to 2; got 3"),
        ([0, -1], {}, ValueError, "labels: expected whole numbers of at least 0; got -1"),
        ([0.5], {}, ValueError, "labels: expected whole numbers of at least 0; got 0.5"),
        ([[0, 1]], {}, ValueError, r"labels: expected shape \(n,\), not empty; got shape \(1, 2\)"),
        ([], {}, ValueError, "labels: expected shape"),
        (["a"], {}, TypeError, "labels: expected real numbers; got an array of dtype <U1"),
        ([0], {"n_classes": 2.0}, TypeError, "n_classes: expected a whole number"),
        ([0], {"dtype": str}, TypeError, "dtype: expected a real number type; got <U0"),
    ],
)
def test_error_messages_of_one_hot(labels, options, error, message):
    with pytest.raises(error, match=message):
        one_hot(labels, **options)


@pytest.mark.parametrize(
    ("test_size", "n_test"), [(0.25, 3), (0.2, 2), (0.01, 1), (4, 4), (np.int64(9), 9)]
)
def test_a_split_contains_each_row_once(test_size, n_test):
    X = np.arange(20).reshape(10, 2)
    X_train, X_test, y_train, y_test = train_test_split(
        X, X[:, 0], test_size=test_size, random_state=3
    )
    assert (len(X_train), len(X_test)) == (10 - n_test, n_test)
    assert sorted([*y_train, *y_test]) == X[:, 0].tolist()
    assert (X_train[:, 0] == y_train).all()
    assert (X_test[:, 0] == y_test).all()


def test_a_split_shuffles_and_copies():
    rows = np.arange(1000)
    train, test = train_test_split(rows, random_state=0)
    assert (np.diff(train) < 0).any()
    assert abs(test.mean() - rows.mean()) < 100
    test[:] = -1
    assert (rows == np.arange(1000)).all()


def test_a_seed_repeats_the_split():
    splits = [train_test_split(np.arange(50), random_state=s)[1].tolist() for s in (7, 7, 8)]
    assert splits[0] == splits[1] != splits[2]
    generator = np.random.default_rng(7)
    from_generator = [
        train_test_split(np.arange(50), random_state=generator)[1].tolist() for _ in "ab"
    ]
    assert from_generator[0] == splits[0] != from_generator[1]
    assert (
        train_test_split(np.arange(50))[1].tolist() != train_test_split(np.arange(50))[1].tolist()
    )


def test_lists_tuples_and_pandas_objects_have_the_same_split():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": range(8), "b": list("ijklmnop")}, index=range(100, 108))
    parts = train_test_split(
        frame,
        frame["a"],
        list(range(8)),
        tuple(range(8)),
        np.arange(8),
        test_size=3,
        random_state=1,
    )
    for side in (parts[0::2], parts[1::2]):
        rows, series, of_list, of_tuple, of_array = side
        assert isinstance(rows, pandas.DataFrame)
        assert isinstance(of_list, list)
        assert rows.index.tolist() == [100 + i for i in of_list]
        assert rows["a"].tolist() == series.tolist() == of_list == of_tuple == of_array.tolist()


def test_stratification_preserves_proportions():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    train, test = train_test_split(labels, test_size=0.2, random_state=5, stratify=labels)
    assert np.bincount(test).tolist() == [12, 6, 2]
    assert np.bincount(train).tolist() == [48, 24, 8]
    assert (np.diff(test) < 0).any()


def test_string_strata_are_exact_up_to_rounding():
    labels = ["x"] * 7 + ["y"] * 6 + ["z"] * 4
    for seed in range(20):
        rows = list(range(17))
        train, test = train_test_split(rows, test_size=5, random_state=seed, stratify=labels)
        assert sorted(train + test) == rows
        for name, exact in (("x", 35 / 17), ("y", 30 / 17), ("z", 20 / 17)):
            assert abs(sum(labels[i] == name for i in test) - exact) < 1


def test_ties_of_remainders_do_not_favour_a_class():
    labels = np.repeat([0, 1], 5)
    seen = {
        np.bincount(train_test_split(labels, test_size=3, random_state=s, stratify=labels)[1])[
            0
        ].item()
        for s in range(20)
    }
    assert seen == {1, 2}


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        ((), {}, ValueError, "arrays: expected at least one array; got none"),
        (([1, 2], [1]), {}, ValueError, r"arrays: expected the same number of rows.*got \[2, 1\]"),
        (("text",), {}, TypeError, "arrays: expected arrays, lists or pandas objects; got 'text'"),
        (([1],), {}, ValueError, "arrays: expected at least 2 rows to split; got 1"),
        (([1, 2],), {"test_size": 2}, ValueError, "test_size: .*at least 1 and at most 1; got 2"),
        (([1, 2],), {"test_size": 1.0}, ValueError, "test_size: .*below 1; got 1.0"),
        (([1, 2],), {"test_size": True}, TypeError, "test_size: expected a whole number"),
        (([1, 2],), {"test_size": "a"}, TypeError, "test_size: expected a finite number"),
        (([1, 2],), {"test_size": 0.9}, ValueError, "test_size: expected a fraction that leaves"),
        (([1, 2],), {"random_state": 1.5}, TypeError, "random_state: expected a whole number"),
        (
            ([1, 2],),
            {"random_state": -1},
            ValueError,
            "random_state: expected a whole number of at least 0",
        ),
        (([1, 2],), {"stratify": [1]}, ValueError, r"stratify: .*\(2,\); got shape \(1,\)"),
        (([1, 2],), {"stratify": [0, 1]}, ValueError, "stratify: .*got a class with 1"),
        (
            ([1, 2],),
            {"stratify": np.array([0, "a"], object)},
            TypeError,
            "stratify: expected labels of one kind",
        ),
        (
            ([1, 2, 3, 4],),
            {"stratify": [0, 0, 1, 1], "test_size": 1},
            ValueError,
            "test_size: expected at least 2 rows on either side, one per class; got 1",
        ),
    ],
)
def test_error_messages_of_train_test_split(arrays, options, error, message):
    with pytest.raises(error, match=message):
        train_test_split(*arrays, **options)


@pytest.mark.parametrize("dtype", DTYPES)
def test_standardizer_by_hand(dtype):
    X = np.array([[1, 10], [3, 20], [5, 30]], dtype)
    original = X.copy()
    standardizer = Standardizer()
    Z = standardizer.fit_transform(X)
    assert standardizer.mean_.tolist() == [3, 20]
    assert standardizer.scale_ == pytest.approx([(8 / 3) ** 0.5, (200 / 3) ** 0.5], rel=1e-15)
    assert standardizer.mean_.dtype == standardizer.scale_.dtype == np.float64
    assert Z.dtype == standardizer.inverse(Z).dtype == dtype
    assert Z[:, 0] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5], rel=float(4 * np.finfo(dtype).eps))
    np.testing.assert_allclose(standardizer.inverse_transform(Z), X, rtol=4 * np.finfo(dtype).eps)
    assert (original == X).all()
    assert not np.shares_memory(X, Z)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_column_becomes_zero(dtype):
    X = np.full((1001, 2), 0.1, dtype)
    X[0, 1] = 1
    standardizer = Standardizer().fit(X)
    assert standardizer.scale_[0] == 1
    assert standardizer.mean_[0] == X[1, 0]
    assert (standardizer.transform(X)[:, 0] == 0).all()


def test_float32_is_computed_in_float64():
    X = (1e4 + np.random.default_rng(0).normal(size=(10000, 1))).astype(np.float32)
    wide = X.astype(np.float64)
    standardizer = Standardizer().fit(X)
    assert standardizer.mean_ == pytest.approx(wide.mean(axis=0), rel=1e-14)
    assert standardizer.scale_ == pytest.approx(wide.std(axis=0), rel=1e-12)
    assert abs(standardizer.transform(X).mean(dtype=np.float64)) < 1e-7


def test_new_rows_use_the_fitted_mean_and_scale_and_integers_become_float64():
    standardizer = Standardizer().fit([[0, 1], [2, 3]])
    new = standardizer.transform(np.array([[3, 5]], np.int8))
    assert new.dtype == np.float64
    assert new.tolist() == [[2.0, 3.0]]


def test_one_dimensional_targets():
    standardizer = Standardizer()
    assert standardizer.fit_transform([1.0, 3.0]).tolist() == [-1.0, 1.0]
    assert standardizer.inverse([-1.0, 0.0]).tolist() == [1.0, 2.0]


def test_pandas_data_frames():
    pandas = pytest.importorskip("pandas")
    Z = Standardizer().fit_transform(pandas.DataFrame({"a": [1.0, 3.0], "b": [2, 2]}))
    assert type(Z) is np.ndarray
    assert Z.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_error_messages_of_the_standardizer():
    for method in ("transform", "inverse_transform", "inverse"):
        with pytest.raises(ValueError, match="Standardizer: expected a call of fit first"):
            getattr(Standardizer(), method)([[1.0]])
    with pytest.raises(ValueError, match="X: expected finite numbers; got nan"):
        Standardizer().fit([[np.nan]])
    with pytest.raises(TypeError, match="X: expected real numbers"):
        Standardizer().fit([["a"]])
    with pytest.raises(ValueError, match=r"X: expected shape \(n, 2\) as in fit; got \(1, 3\)"):
        Standardizer().fit([[1.0, 2.0]]).transform([[1.0, 2.0, 3.0]])
