"""Scaling and encoding of tables: `RobustScaler`, `PiecewiseLinearEncoder`, `TableEncoder`."""

import datetime
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import fastnn as fn
from fastnn.preprocessing import PiecewiseLinearEncoder, RobustScaler, TableEncoder

VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.integers(-3, 3).map(float))
TABLES = arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=VALUES)

# ---- RobustScaler --------------------------------------------------------------------------------


def test_robust_scaling_by_hand():
    X = np.array([[0.0, 5, 7], [1, 5, 7], [2, 5, 7], [3, 5, 7], [100, 9, 7]])
    scaler = RobustScaler(clip=None).fit(X)
    assert scaler.center_.tolist() == [2, 5, 7]
    assert scaler.scale_.tolist() == [0.5, 0.5, 0]  # quartiles 1 and 3; range 4; constant
    assert scaler.transform(X)[:, 0].tolist() == [-1, -0.5, 0, 0.5, 49]
    clipped = RobustScaler().fit_transform(X)
    assert clipped[:, 0] == pytest.approx(
        [z / np.sqrt(1 + z * z / 9) for z in (-1, -0.5, 0, 0.5, 49)]
    )
    assert (clipped[:, 2] == 0).all()


@given(TABLES)
def test_scaled_values_are_bounded_and_gaps_stay(X):
    kept = X.copy()
    Z = RobustScaler().fit_transform(X)
    assert (np.isnan(Z) == np.isnan(X)).all()
    assert (np.abs(Z[~np.isnan(Z)]) <= 3).all()
    assert np.array_equal(X, kept, equal_nan=True)


def test_inverse_of_robust_scaling(rng):
    X = rng.normal(size=(50, 3))
    X[:, 2] = 4.0
    for scaler in (RobustScaler(), RobustScaler(clip=None)):
        scaler.fit(X)
        np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-12)
    with pytest.raises(ValueError, match=r"X: expected values between -3\.0 and 3\.0"):
        RobustScaler().fit(X).inverse_transform([[3.0, 0, 0]])


# ---- PiecewiseLinearEncoder ----------------------------------------------------------------------


def test_piecewise_linear_encoding_follows_its_formula(rng):
    X = np.concatenate([rng.normal(size=(500, 1)), rng.integers(0, 4, (500, 1))], axis=1)
    encoder = PiecewiseLinearEncoder(n_bins=8).fit(X)
    new = np.array([[-99.0, 1.5], [0.1, 3], [99, 7]])
    expected = [
        [np.clip((x - e[t - 1]) / (e[t] - e[t - 1]), 0, 1)
         for x, e in zip(row, encoder.edges_, strict=True) for t in range(1, len(e))]
        for row in new
    ]  # fmt: skip
    np.testing.assert_allclose(encoder.transform(new), expected, atol=1e-12)
    assert [len(edges) for edges in encoder.edges_] == [9, 4]
    assert encoder.get_feature_names_out()[[0, -1]].tolist() == ["x0_bin0", "x1_bin2"]


def test_bins_have_equal_numbers_of_rows(rng):
    X = rng.exponential(size=(6400, 1))
    edges = PiecewiseLinearEncoder(n_bins=32).fit(X).edges_[0]
    counts, _ = np.histogram(X, edges)
    assert len(counts) == 32
    assert counts.min() > 190
    assert counts.max() < 210


def test_a_frequent_value_fills_one_bin(rng):
    X = np.where(rng.random((5000, 1)) < 0.95, 0, rng.exponential(size=(5000, 1)))
    edges = PiecewiseLinearEncoder(n_bins=16).fit(X).edges_[0]
    assert len(edges) == 17
    counts, _ = np.histogram(X[X > 0], edges[1:])
    assert counts.max() < 30


@given(TABLES, st.integers(1, 40))
def test_encodings_are_shares_and_ascend(X, n_bins):
    encoder = PiecewiseLinearEncoder(n_bins).fit(X)
    Z = encoder.transform(X)
    assert Z.shape == (len(X), len(encoder.get_feature_names_out()))
    assert ((Z >= 0) & (Z <= 1)).all()
    assert all(len(edges) <= n_bins + 1 for edges in encoder.edges_)
    start = 0
    for column, edges in zip(X.T, encoder.edges_, strict=True):
        part = Z[:, start : start + max(0, len(edges) - 1)]
        start += part.shape[1]
        assert (part[np.isnan(column)] == 0).all()
        assert (np.diff(part, axis=1) <= 0).all()  # full bins come before empty ones
        known = ~np.isnan(column)
        if part.shape[1]:  # the encoding determines the value
            values = edges[0] + part[known] @ np.diff(edges)
            np.testing.assert_allclose(values, column[known], rtol=1e-9, atol=1e-6)


def test_values_that_differ_by_less_than_the_smallest_normal_number_are_one():
    X = np.array([[0.0, 0.0], [2.2e-309, 1.0], [5e-324, 5e-324], [-1e-310, 1.0]])
    encoder = PiecewiseLinearEncoder().fit(X)
    assert [len(edges) for edges in encoder.edges_] == [1, 2]
    assert encoder.transform(X).tolist() == [[0], [1], [0], [1]]


def test_dtypes_and_layouts(rng):
    X = rng.normal(size=(30, 4))
    for transformer in (RobustScaler(), PiecewiseLinearEncoder(4)):
        expected = transformer.fit_transform(X)
        assert expected.dtype == np.float64
        assert transformer.fit_transform(X.astype(np.float32)).dtype == np.float32
        frozen = np.asfortranarray(X)
        frozen.flags.writeable = False
        assert (transformer.fit_transform(frozen) == expected).all()


# ---- TableEncoder --------------------------------------------------------------------------------

ROWS = [
    [1.0, "red", True, datetime.date(2024, 2, 29)],
    [2.0, "green", False, datetime.date(2024, 3, 1)],
    [None, "red", True, None],
    [4.0, None, True, datetime.date(1969, 12, 31)],
    [5.0, "blue", False, datetime.date(2024, 3, 1)],
]


def encode(X, **parameters):
    encoder = TableEncoder(**parameters)
    Z = encoder.fit_transform(X)
    return dict(zip(encoder.get_feature_names_out().tolist(), Z.T, strict=True))


def test_table_by_hand():
    Z = encode(ROWS)
    assert Z["x0"][2] == 0
    assert Z["x0_missing"].tolist() == [0, 0, 1, 0, 0]
    assert Z["x1_red"].tolist() == [1, 0, 1, 0, 0]
    assert Z["x1_missing"].tolist() == [0, 0, 0, 1, 0]
    assert Z["x2_True"].tolist() == [1, -1, 1, 1, -1]
    assert Z["x3_month"][2] == 0
    assert Z["x3_day_missing"].tolist() == [0, 0, 1, 0, 0]
    assert "x3_hour" not in Z  # it is always 0


def test_parts_of_dates():
    from fastnn.preprocessing.table_columns import to_date_parts

    times = ["2024-02-29T18:00", "1969-12-31T23:59", "NaT", "1970-01-01T00:00"]
    day, month, weekday, hour = to_date_parts("t", np.array(times, "datetime64[m]"))
    assert day[:2] == pytest.approx([19782.75, -1 / 1440])
    assert month[[0, 1, 3]].tolist() == [2, 12, 1]
    assert weekday[[0, 1, 3]].tolist() == [3, 2, 3]  # Thursday, Wednesday, Thursday
    assert hour[[0, 1, 3]].tolist() == [18, 23, 0]
    assert all(np.isnan(part[2]) for part in (day, month, weekday, hour))


def test_new_levels_and_new_gaps_are_no_error():
    encoder = TableEncoder().fit([[1.0, "a"], [2.0, "b"], [3.0, "c"]])
    assert encoder.transform([[None, "d"], [9.0, None]]).tolist()[0] == [0, 0, 0, 0]
    rare = TableEncoder(min_frequency=2).fit([["a"], ["a"], ["b"], ["b"], ["c"], ["d"]])
    assert rare.get_feature_names_out().tolist() == ["x0_a", "x0_b", "x0_rare"]
    assert rare.transform([["a"], ["c"], ["new"]]).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert rare.columns_[0].n_rare == 2
    most = TableEncoder(max_levels=2).fit([["a"], ["a"], ["b"], ["b"], ["c"]])
    assert most.get_feature_names_out().tolist() == ["x0_a", "x0_b", "x0_rare"]


def test_numbers_that_are_categories():
    X = np.array([[1.0, 3.5], [2, 4.5], [3, 5.5], [2, 6.5]])
    for choice in ([0], [True, False]):
        assert list(encode(X, categorical_features=choice)) == ["x1", "x0_2", "x0_1", "x0_3"]
    encoder = TableEncoder([0]).fit(X)
    # A gap turns whole numbers into floats, and text may come from a file.
    same = encoder.transform(np.array([[1, 3.5]])), encoder.transform([["1", 3.5]])
    assert (same[0] == same[1]).all()


def to_polars(frame):
    """A Polars data frame with the values of a pandas one, without pyarrow."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    columns = {name: [None if pd.isna(value) else value for value in column.tolist()]
               for name, column in frame.items()}  # fmt: skip
    dates = {name for name, values in columns.items() if isinstance(values[0], pd.Timestamp)}
    for name in dates:
        columns[name] = [value and value.to_pydatetime() for value in columns[name]]
    return pl.DataFrame(columns)


def test_data_frames_of_pandas_and_polars():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(ROWS, columns=["size", "color", "new", "day"])
    frame["count"] = pd.array([1, None, 3, 4, 5], dtype="Int64")
    frame["kind"] = pd.Categorical(["u", "v", "w", "u", None])
    frame["time"] = pd.to_datetime(
        ["2024-01-01 12:00", None, *["2024-01-02 00:00"] * 3]
    ).tz_localize("CET")
    frame["wait"] = pd.to_timedelta([1, 2, None, 4, 5], unit="s")
    kept = frame.copy(deep=True)
    encoder = TableEncoder(numeric_encoding="piecewise_linear", n_bins=3)
    Z = encoder.fit_transform(frame)
    assert [column.kind for column in encoder.columns_] == [
        "number", "category", "category", "date", "number", "category", "date", "number",
    ]  # fmt: skip
    assert [column.n_gaps for column in encoder.columns_] == [1, 1, 0, 1, 1, 1, 1, 1]
    pd.testing.assert_frame_equal(frame, kept)
    frame["day"] = pd.to_datetime(frame["day"])
    again = clone_of(encoder).fit_transform(to_polars(frame))
    np.testing.assert_array_equal(again, Z)
    table = encoder.set_output(transform="pandas").transform(kept)
    assert table.columns.tolist() == encoder.get_feature_names_out().tolist()
    assert table["size_missing"].tolist() == [0, 0, 1, 0, 0]
    with pytest.raises(ValueError, match=r"X: expected the columns \['size', 'color'"):
        encoder.transform(kept[kept.columns[::-1]])


def clone_of(encoder):
    return type(encoder)(**encoder.get_params())


def test_categories_of_numbers_are_categories():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"code": pd.Categorical([3, 1, 3, None, 2])})
    encoder = TableEncoder().fit(frame)
    assert encoder.columns_[0].levels == ("3", "", "1", "2")
    same = encoder.transform(pd.DataFrame({"code": [3.0, 1, 3, np.nan, 2]}))
    assert (encoder.transform(frame) == same).all()


def test_in_a_pipeline():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    rng = np.random.default_rng(0)
    X = np.empty((200, 3), object)
    X[:, 0], X[:, 1] = rng.choice(["a", "b", "c"], 200), rng.normal(size=200)
    X[:, 2] = np.where(rng.random(200) < 0.2, None, rng.normal(size=200))
    y = (X[:, 0] == "a") ^ (X[:, 1] > 0)
    model = make_pipeline(
        TableEncoder(),
        fn.MLPClassifier(
            (16,), learning_rate=fn.schedules.CosineDecay(0.02), max_iter=60, random_state=0
        ),
    )
    grid = {"tableencoder__numeric_encoding": ["scaled", "piecewise_linear"]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.85
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert (again.predict(X) == search.predict(X)).all()
    copy = clone(TableEncoder(n_bins=7).fit(X))
    assert copy.n_bins == 7
    assert not hasattr(copy, "columns_")
    assert sklearn.utils.get_tags(TableEncoder()).input_tags.allow_nan


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: RobustScaler(clip=0).fit([[1.0]]), ValueError, "clip: expected .* above 0; got 0"),
    (lambda: RobustScaler().fit([[np.inf]]), ValueError,
     "X: expected finite numbers or NaN; got inf"),
    (lambda: RobustScaler().transform([[1.0]]), ValueError, "RobustScaler: expected a call of fit"),
    (lambda: RobustScaler().fit([[1.0]]).transform([[1.0, 2.0]]), ValueError,
     r"X: expected shape \(n, 1\) as in fit; got \(1, 2\)"),
    (lambda: RobustScaler().set_params(clop=1), ValueError, "clop: expected one of clip"),
    (lambda: PiecewiseLinearEncoder(0).fit([[1.0]]), ValueError, "n_bins: expected .* got 0"),
    (lambda: PiecewiseLinearEncoder().fit([["a"]]), TypeError, "X: expected real numbers"),
    (lambda: TableEncoder(numeric_encoding="raw").fit([[1]]), ValueError,
     "numeric_encoding: expected"),
    (lambda: TableEncoder(max_levels=0).fit([[1]]), ValueError, "max_levels: expected"),
    (lambda: TableEncoder(min_frequency=-1).fit([[1]]), ValueError, "min_frequency: expected"),
    (lambda: TableEncoder([3]).fit([[1]]), ValueError, "categorical_features: .* got 3"),
    (lambda: TableEncoder(["a"]).fit([[1]]), ValueError, "categorical_features: .* got 'a'"),
    (lambda: TableEncoder([True]).fit([[1, 2]]), ValueError, "a mask of 2 columns; got 1"),
    (lambda: TableEncoder().fit([[1, np.inf]]), ValueError, "in column 'x1'; got infinity"),
    (lambda: TableEncoder().fit([[1j]]), ValueError, "complex data in column 'x0'"),
    (lambda: TableEncoder().fit([1, 2]), ValueError, r"X: expected 2 dimensions.*reshape\(1, -1\)"),
    (lambda: TableEncoder().fit(np.empty((0, 2))), ValueError, "at least one row and column"),
    (lambda: TableEncoder().fit([[1], [2, 3]]), ValueError, "rows of equal length"),
    (lambda: TableEncoder().fit([[1.0]]).transform([["many"]]), ValueError,
     "numbers in column 'x0'"),
    (lambda: TableEncoder().fit([[1.0]]).transform([[1, 2]]), ValueError, "expected 1 columns"),
    (lambda: TableEncoder().fit(np.array([["2024-01-01"]], "M8[D]")).transform([["soon"]]),
     ValueError, "X: expected dates in column 'x0'"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_sparse_tables_are_refused():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="X: expected a data frame or a dense array; got a sparse"):
        TableEncoder().fit(scipy_sparse.eye(3))
