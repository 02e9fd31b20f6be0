"""What columns of tables may hold: kinds, dtypes, gaps, and values that differ from those of the
fit."""

import datetime
import decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from fastnn.preprocessing import TableEncoder


def make_column(*values):
    return np.array([[value] for value in values], object)


def get_kind(*values):
    return TableEncoder().fit(make_column(*values)).columns_[0].kind


def get_names(X, **parameters):
    return TableEncoder(**parameters).fit(X).get_feature_names_out().tolist()


# ---- kinds ---------------------------------------------------------------------------------------


def test_kinds_of_objects():
    day = datetime.date(2024, 2, 29)
    assert get_kind(1, 2.5, None, np.int8(3), np.float32(4)) == "number"
    assert get_kind(decimal.Decimal("1.5"), None) == "number"
    assert get_kind(datetime.timedelta(1), None, np.nan) == "number"
    assert get_kind(None, np.nan) == "number"
    assert get_kind(day, None, np.nan, datetime.datetime(2024, 1, 1)) == "date"
    assert get_kind(day, 1.5) == get_kind(datetime.timedelta(1), 1.5) == "category"
    assert get_kind(True, False) == get_kind(1, True) == get_kind(1, "a") == "category"


def test_levels_of_mixed_types():
    encoder = TableEncoder().fit(make_column(1, "a", None, 2.5, "b", (1, 2), b"c", True))
    Z = encoder.transform(make_column("1", 2.5, None, "new", 1.0))
    names = encoder.get_feature_names_out().tolist()
    assert [[names[i] for i in row.nonzero()[0]] for row in Z] == [
        ["x0_1"], ["x0_2.5"], ["x0_missing"], [], ["x0_1"],
    ]  # fmt: skip


def test_durations_are_seconds():
    values = [datetime.timedelta(seconds=seconds) for seconds in (0, 10, 20, 30, 40)]
    encoder = TableEncoder().fit(make_column(*values))
    assert encoder.scaler_.center_.tolist() == [20]
    arrays = np.array([[value] for value in values], "m8[ms]")
    assert (encoder.transform(arrays) == encoder.transform(make_column(*values))).all()


# ---- values that differ from those of the fit ----------------------------------------------------


def test_booleans_as_whole_numbers():
    for X, new in (([[True], [False]], [[1], [0]]), ([["1"], ["0"]], [[True], [False]])):
        encoder = TableEncoder().fit(np.array(X))
        expected = encoder.transform(np.array(X)).tolist()
        for dtype in (object, int, float):
            assert encoder.transform(np.array(new, dtype)).tolist() == expected
        assert expected in ([[1], [-1]], [[-1], [1]])


def test_text_of_numbers_and_empty_text():
    encoder = TableEncoder().fit([[1.0], [2.0], [3.0]])
    Z = encoder.transform(make_column("1", " ", "", 3, None))
    assert Z.ravel().tolist() == [Z[0, 0], 0, 0, -Z[0, 0], 0]


def test_a_new_gap_is_no_rare_level():
    encoder = TableEncoder(min_frequency=2).fit(make_column(*"aabbcd"))
    assert encoder.transform(make_column(None, "new")).tolist() == [[0, 0, 0], [0, 0, 1]]
    encoder.fit(make_column(*"aabbcd", None))  # here it is
    assert encoder.transform(make_column(None)).tolist() == [[0, 0, 1]]


def test_dates_and_numbers_are_not_exchanged():
    numbers = np.array([[1.0], [2.0]])
    dates = np.array([["2024-01-01"], ["2024-02-03"]], "M8[D]")
    with pytest.raises(ValueError, match="X: expected numbers in column 'x0'; got dates"):
        TableEncoder().fit(numbers).transform(dates)
    for wrong in (numbers, numbers.astype(object), numbers.astype(int)):
        with pytest.raises(ValueError, match=r"X: expected dates in column 'x0'; got .*number"):
            TableEncoder().fit(dates).transform(wrong)
    for encoder in (TableEncoder().fit(numbers), TableEncoder().fit(dates)):
        for gaps in (np.full((2, 1), np.nan), np.full((2, 1), "NaT", "M8[s]"), [[None], [None]]):
            assert (encoder.transform(gaps) == 0).all()
    assert TableEncoder().fit(dates).transform([["2024-01-01"]]).shape == (1, 3)


def test_data_frames_with_other_dtypes_than_in_fit():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": [1, 2, 3], "c": ["u", "v", "w"], "b": [True, False, True]})
    encoder = TableEncoder().fit(frame)
    expected = encoder.transform(frame)
    others = [
        frame.astype({"n": "Int64", "c": "category", "b": "boolean"}),
        frame.astype({"n": object, "c": object, "b": object}),
        frame.astype({"n": "float32", "c": "string", "b": int}),
    ]
    for other in others:
        assert (encoder.transform(other) == expected).all()
    gaps = pd.DataFrame({"n": [pd.NA], "c": [None], "b": pd.array([pd.NA], "boolean")})
    assert (encoder.transform(gaps) == 0).all()
    with pytest.raises(ValueError, match=r"missing \['b'\], unexpected \['d'\]"):
        encoder.transform(frame.rename(columns={"b": "d"}))
    with pytest.raises(ValueError, match="in another order"):
        encoder.transform(frame[["b", "c", "n"]])


def test_columns_of_polars():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({
        "enum": pl.Series(["u", "v", "w", None], dtype=pl.Enum(["u", "v", "w"])),
        "category": pl.Series(["u", "v", "w", None], dtype=pl.Categorical),
        "price": pl.Series(["1.5", "2.5", None, "4"]).cast(pl.Decimal(10, 2)),
        "wait": [datetime.timedelta(1), None, datetime.timedelta(2), datetime.timedelta(4)],
        "flag": [True, None, False, True],
        "nothing": [None] * 4,
    })  # fmt: skip
    encoder = TableEncoder().fit(frame)
    assert [column.kind for column in encoder.columns_] == [
        "category", "category", "number", "number", "category", "number",
    ]  # fmt: skip
    assert [column.n_gaps for column in encoder.columns_] == [1, 1, 1, 1, 1, 4]
    assert encoder.transform(frame.with_columns(price=pl.lit(None))).shape[0] == 4


LEVELS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b"]),
                   st.floats(allow_infinity=False))  # fmt: skip


@given(st.lists(LEVELS, min_size=1, max_size=30), st.lists(LEVELS, min_size=1, max_size=30))
def test_categories_never_fail_on_new_values(old, new):
    encoder = TableEncoder([0]).fit(make_column(*old))
    for values in (old, new):
        Z = encoder.transform(make_column(*values))
        assert np.isin(Z, [-1, 0, 1]).all()
        assert Z.shape == (len(values), len(encoder.get_feature_names_out()))
        assert (np.abs(Z).sum(axis=1) <= 1).all()


# ---- outputs -------------------------------------------------------------------------------------


def test_sparse_output_has_the_same_values(rng):
    X = np.empty((200, 4), object)
    X[:, 0], X[:, 1] = rng.integers(0, 30, 200).astype(str), rng.normal(size=200)
    X[::9, 1] = None
    X[:, 2], X[:, 3] = rng.random(200) < 0.5, "same"
    for encoding in ("scaled", "piecewise_linear"):
        encoder = TableEncoder(numeric_encoding=encoding, n_bins=4).fit(X)
        dense = encoder.transform(X)
        Z = encoder.set_params(sparse_output=True).transform(X)
        assert isinstance(Z, sparse.csr_array)
        assert Z.dtype == np.float32
        assert (Z.toarray() == dense).all()
    constant = TableEncoder(sparse_output=True).fit_transform([["a", 1], ["a", 1]])
    assert constant.shape == (2, 0)
    with pytest.raises(ValueError, match="sparse_output: expected False for the output 'pandas'"):
        encoder.set_output(transform="pandas").transform(X)


def test_indicators_are_optional():
    X = [[1.0, None], [None, 2.0], [3.0, 4.0]]
    assert get_names(X) == ["x0", "x1", "x0_missing", "x1_missing"]
    assert get_names(X, indicators=False) == ["x0", "x1"]
    assert TableEncoder(indicators=False).fit_transform(X)[1, 0] == 0


def test_names_are_unique():
    X = make_column("missing", None, "missing", None, "rare", "rare", "x")
    assert get_names(X, min_frequency=2) == ["x0_missing", "x0_missing_2", "x0_rare", "x0_rare_2"]
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"a": [1, None, 2], "a_missing": [1, 2, 3]})
    Z = TableEncoder().set_output(transform="polars").fit_transform(frame)
    assert Z.columns == ["a", "a_missing", "a_missing_2"]


def test_arrays_are_never_changed(rng):
    X = np.asfortranarray(rng.normal(size=(30, 3)))
    X[::5, 1] = np.nan
    objects = X.astype(object)
    for table in (X, objects):
        kept = table.copy()
        table.flags.writeable = False
        TableEncoder(numeric_encoding="piecewise_linear", n_bins=4).fit_transform(table)
        assert all(a is b or a == b or np.isnan(b)
                   for a, b in zip(table.flat, kept.flat, strict=True))  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: TableEncoder(3).fit([[1]]), TypeError,
     r'categorical_features: expected "auto", a list of columns or a mask; got 3 \(int\)'),
    (lambda: TableEncoder(indicators=None).fit([[1]]), TypeError, "indicators: expected True or"),
    (lambda: TableEncoder(sparse_output=0).fit([[1]]), TypeError, "sparse_output: expected True"),
    (lambda: TableEncoder().fit(make_column([1], "a")), TypeError,
     "in column 'x0'; got an unhashable type: 'list'"),
    (lambda: TableEncoder().fit(make_column(10**400, 1)), ValueError, "numbers in column 'x0'"),
    (lambda: TableEncoder().fit([[1, 2]]).transform([[1]]), ValueError,
     "X has 1 features, but TableEncoder is expecting 2 features as input"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
