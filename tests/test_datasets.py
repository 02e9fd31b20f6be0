"""The data sets in the package: shapes, dtypes, known values."""

import doctest
from dataclasses import FrozenInstanceError
from importlib.resources import files

import numpy as np
import pytest

from fastnn import datasets

LOADERS = [datasets.load_digits, datasets.load_breast_cancer, datasets.load_concrete]
SHAPES = [(1797, 64), (569, 30), (1030, 8)]


def test_the_examples_in_the_documentation_run():
    result = doctest.testmod(datasets)
    assert result.attempted >= 8
    assert result.failed == 0


@pytest.mark.parametrize(("load", "shape"), list(zip(LOADERS, SHAPES, strict=True)))
def test_shapes_and_types(load, shape):
    data = load()
    assert data.X.shape == shape
    assert data.y.shape == shape[:1]
    assert data.X.dtype == np.float64
    assert data.X.flags.c_contiguous
    assert np.isfinite(data.X).all()
    assert len(set(data.feature_names)) == shape[1]
    assert all(type(name) is str for name in (*data.feature_names, *data.target_names))
    assert "CC BY 4.0" in data.description


@pytest.mark.parametrize("load", LOADERS)
def test_each_call_gives_new_arrays(load):
    data = load()
    X, y = data
    assert X is data.X
    assert y is data.y
    X[:], y[:] = -1, -1
    again = load()
    assert (again.X >= 0).all()
    assert (again.y >= 0).all()


def test_a_dataset_is_frozen():
    with pytest.raises(FrozenInstanceError):
        datasets.load_digits().X = np.zeros(1)


def test_digits():
    data = datasets.load_digits()
    assert data.y.dtype == np.int64
    assert np.bincount(data.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (data.X.min(), data.X.max(), data.X.sum()) == (0, 16, 561718)
    assert (np.rint(data.X) == data.X).all()
    assert data.feature_names[9] == "pixel_1_1"
    assert data.target_names == tuple("0123456789")


def test_breast_cancer():
    data = datasets.load_breast_cancer()
    assert data.y.dtype == np.int64
    assert np.bincount(data.y).tolist() == [212, 357]
    assert data.X[0, :3].tolist() == [17.99, 10.38, 122.8]
    assert data.feature_names[0] == "mean radius"
    radius = data.X[:, 0]
    assert (radius.min(), radius.max()) == (6.981, 28.11)
    assert radius[data.y == 0].mean() > radius[data.y == 1].mean()


def test_concrete():
    data = datasets.load_concrete()
    assert data.y.dtype == np.float64
    assert data.X[0].tolist() == [540.0, 0.0, 0.0, 162.0, 2.5, 1040.0, 676.0, 28.0]
    assert (data.y.min(), data.y.max()) == (2.33, 82.6)
    assert data.y.mean() == pytest.approx(35.818, abs=1e-3)
    assert data.feature_names[-1] == "age"
    assert (data.X[:, -1].min(), data.X[:, -1].max()) == (1, 365)
    assert len(np.unique(np.column_stack([data.X, data.y]), axis=0)) == 1030 - 25


def test_every_data_set_has_a_licence_and_is_small():
    folder = files("fastnn.datasets")
    text = folder.joinpath("LICENSES.md").read_text()
    tables = [entry for entry in folder.iterdir() if entry.name.endswith(".npz")]
    assert len(tables) == len(LOADERS)
    for table in tables:
        assert f"## {table.name}" in text
        assert len(table.read_bytes()) < 100_000
