"""`History` and `Table`: read-only mappings from names to columns."""

import copy
import pickle
from collections.abc import Mapping

import numpy as np
import pytest

import fastnn as fn
from fastnn._util.table import Table
from fastnn.history import History


def history():
    recorded = History()
    for i in range(3):
        recorded.append({"loss": 1.0 / (i + 1), "seconds": 0.5})
    recorded.stop_reason = "enough"
    return recorded


def table():
    return Table({"width": [8, 16, 32], "score": [0.5, 0.75, None]})


@pytest.fixture(params=[history, table])
def columns(request):
    return request.param()


def test_is_a_mapping(columns):
    assert isinstance(columns, Mapping)
    names = list(columns)
    assert len(columns) == len(names) == 2
    assert [name for name in columns] == list(columns.keys()) == names  # noqa: C416
    assert "no such name" not in columns
    assert columns.get("no such name") is None
    plain = dict(columns)
    assert type(plain) is dict
    assert plain.keys() == set(names)
    for name in names:
        assert np.array_equal(columns[name], plain[name])
        assert len(columns[name]) == 3


def test_number_of_rows():
    assert (history().n_epochs, History().n_epochs) == (3, 0)
    assert (table().n_rows, Table({}).n_rows) == (3, 0)


def test_unknown_name_is_an_error(columns):
    with pytest.raises(KeyError, match=r"expected one of \['.*\]; got 'accuracy'"):
        columns["accuracy"]


def test_read_only(columns):
    before = {name: list(column) for name, column in columns.items()}
    name = next(iter(columns))
    for change in (
        lambda: columns.__setitem__(name, [1, 2, 3]),
        lambda: columns.__delitem__(name),
        lambda: columns.__ior__({name: [1, 2, 3]}),
        columns.clear,
        lambda: columns.pop(name),
        columns.popitem,
        lambda: columns.setdefault("other", []),
        lambda: columns.update({name: [1, 2, 3]}),
    ):
        with pytest.raises(TypeError, match=r"is read-only: change a copy, dict\("):
            change()
    assert {name: list(column) for name, column in columns.items()} == before


def test_columns_of_history_are_read_only():
    recorded = history()
    with pytest.raises(ValueError, match="read-only"):
        recorded["loss"][:] = -1


def test_columns_read_during_training_do_not_change():
    recorded = History()
    taken = []
    for i in range(100):
        recorded.append({"loss": float(i)})
        taken.append(recorded["loss"])
    for i, column in enumerate(taken):
        assert column.tolist() == list(range(i + 1))


def test_conversion_to_frames(columns):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    for kind in (pandas, polars):
        frame = kind.DataFrame(columns)
        assert frame.shape == (3, 2)
        assert list(frame.columns) == list(columns)
        first = next(iter(columns))
        assert frame[first].to_numpy().tolist() == list(columns[first])


def test_conversion_of_a_history_to_a_frame():
    pandas = pytest.importorskip("pandas")
    X, y = fn.datasets.load_breast_cancer()
    net = fn.Sequential(fn.Dense(1, "sigmoid"), random_state=0)
    recorded = net.fit(X / X.max(axis=0), y, epochs=4, validation_data=(X / X.max(axis=0), y))
    frame = pandas.DataFrame(recorded)
    assert frame.shape == (4, 5)
    assert (frame.dtypes == np.float64).all()


@pytest.mark.parametrize(
    "copy_columns", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_copies(columns, copy_columns):
    other = copy_columns(columns)
    assert type(other) is type(columns)
    assert str(other) == str(columns)
    assert vars(other) == vars(columns)
    for name in columns:
        assert np.array_equal(other[name], columns[name])
    with pytest.raises(TypeError, match="read-only"):
        other.clear()


def test_copied_history_is_independent():
    first = history()
    for second in (copy.copy(first), copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert second.stop_reason == "enough"
        second.append({"loss": 9.0, "seconds": 1.0})
        first.append({"loss": 7.0, "seconds": 1.0})
        assert (second["loss"][-1], first["loss"][-1]) == (9.0, 7.0)
