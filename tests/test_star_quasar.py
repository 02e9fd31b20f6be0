"""Simulated colors of stars and quasars, and the example that reads a real table instead."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.datasets import make_star_quasar

SCRIPT = Path(__file__).parents[1] / "examples" / "course" / "plot_37_star_quasar.py"


def test_shapes_types_and_names():
    data = make_star_quasar(501, random_state=0)
    X, y = data
    assert X.shape == (501, 4)
    assert X.dtype == np.float64
    assert X.flags.c_contiguous
    assert np.isfinite(X).all()
    assert y.dtype == np.int64
    assert np.bincount(y).tolist() == [251, 250]
    assert data.feature_names == ("u-g", "g-r", "r-i", "i-z")
    assert data.target_names == ("star", "quasar")
    assert "Simulated" in data.description


def test_the_smallest_data_set_has_both_classes():
    assert sorted(make_star_quasar(2, random_state=5).y) == [0, 1]


def test_a_seed_determines_the_data():
    first, again, other = (make_star_quasar(50, random_state=seed) for seed in (1, 1, 2))
    assert (first.X == again.X).all()
    assert (first.y == again.y).all()
    assert (first.X != other.X).all()
    assert (make_star_quasar(50).X != make_star_quasar(50).X).all()
    drawn = make_star_quasar(50, random_state=np.random.default_rng(1))
    assert (first.X == drawn.X).all()


def test_the_classes_are_in_random_order():
    y = make_star_quasar(1000, random_state=0).y
    assert 400 < np.sum(y[1:] != y[:-1]) < 600


def test_colors_are_in_the_published_ranges():
    """Stars: g-r from 0.3 to 1.5, and r-i up to 2 for M dwarfs (Covey and others 2007). Quasars
    below redshift 2.2 are blue in u-g, which stars on the locus are not."""
    X, y = make_star_quasar(20_000, random_state=0)
    stars, quasars = X[y == 0], X[y == 1]
    low, high = np.quantile(stars, [0.01, 0.99], axis=0)
    assert (low > [0.7, 0.15, -0.1, -0.2]).all()
    assert (high < [3.2, 1.7, 2.0, 1.2]).all()
    assert np.median(quasars, axis=0) == pytest.approx([0.2, 0.13, 0.1, 0.05], abs=0.07)
    assert np.mean(stars[:, 0] < 0.6) < 0.02
    assert 0.7 < np.mean(quasars[:, 0] < 0.6) < 0.9


@pytest.mark.parametrize("n", [1, 0, -3])
def test_too_few_samples(n):
    with pytest.raises(ValueError, match="n_samples: expected a whole number of at least 2; got"):
        make_star_quasar(n)


@pytest.mark.parametrize("n", [10.0, "10", None, True])
def test_samples_of_a_wrong_type(n):
    with pytest.raises(TypeError, match="n_samples: expected a whole number"):
        make_star_quasar(n)


def test_a_bad_seed():
    with pytest.raises(ValueError, match="random_state: "):
        make_star_quasar(10, random_state=-1)


def test_the_example_reads_a_table(tmp_path, monkeypatch):
    """Galaxies and rows without a magnitude are dropped, columns may have any order."""
    pytest.importorskip("matplotlib").use("agg")
    X, y = make_star_quasar(200, random_state=1)
    magnitudes = 20 - np.column_stack([np.zeros(200), np.cumsum(X, axis=1)])
    kinds = np.where(y == 1, "QSO", "STAR")
    lines = ["class,u,g,r,i,z"] + [
        ",".join([kind, *(f"{m:.4f}" for m in row)])
        for kind, row in zip(kinds, magnitudes, strict=True)
    ]
    lines += ["GALAXY,19,18,17,16,15"] * 10 + ["STAR,-9999,18,17,16,15"]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(path)])
    script = runpy.run_path(str(SCRIPT))
    np.testing.assert_allclose(script["X"], X, atol=2e-4)
    assert (script["y"] == y).all()
    assert script["result"]["rows"] == 200
    assert script["result"]["network"] > 0.8


def test_the_example_uses_simulated_data_without_a_table(monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "tests/test_other.py"])
    assert runpy.run_path(str(SCRIPT))["result"]["rows"] == 4000
