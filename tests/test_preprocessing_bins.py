"""Bins of `PiecewiseLinearEncoder`: decision trees, hats, sparse output."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

import fastnn as fn
from fastnn.preprocessing import PiecewiseLinearEncoder, RobustScaler
from fastnn.preprocessing.bin_edges import MAX_CELLS, compute_tree_edges

VALUES = st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.integers(-3, 3).map(float))
TABLES = arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=VALUES)
LARGEST = np.finfo(np.float64).max


def compute_error(x, y, thresholds):
    """The sum of squares within the bins between thresholds."""
    bins = np.searchsorted(thresholds, x)
    return sum(((y[bins == b] - y[bins == b].mean(axis=0)) ** 2).sum() for b in np.unique(bins))


# ---- trees ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_trees_are_those_of_scikit_learn(seed, kind):
    """Equal gains may be chosen in another order, so that errors are compared, not thresholds."""
    tree = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(seed)
    n, n_bins, n_leaf = rng.integers([20, 2, 1], [400, 20, 10])
    x = rng.integers(0, rng.integers(2, MAX_CELLS), n) / 2
    if kind == "numbers":
        y = np.sin(x) + rng.normal(size=n)
        model, indicators = tree.DecisionTreeRegressor, y[:, np.newaxis]
    else:
        y = rng.integers(0, 4, n)
        model, indicators = tree.DecisionTreeClassifier, np.eye(4)[y]
    model = model(max_leaf_nodes=n_bins, min_samples_leaf=n_leaf, random_state=0)
    fitted = model.fit(x[:, np.newaxis], y).tree_
    theirs = np.sort(fitted.threshold[fitted.feature >= 0])
    encoder = PiecewiseLinearEncoder(n_bins, strategy="tree", min_samples_leaf=n_leaf)
    edges = encoder.fit(x[:, np.newaxis], y).edges_[0]
    assert edges[[0, -1]].tolist() == [x.min(), x.max()]
    assert len(edges) == len(theirs) + 2
    ours = compute_error(x, indicators, edges[1:-1])
    assert ours == pytest.approx(compute_error(x, indicators, theirs), rel=1e-6)


def test_a_tree_finds_a_step(rng):
    X = rng.random((20_000, 2))
    y = (X[:, 0] > 0.3).astype(float)
    for targets in (y, y > 0, np.where(y, "high", "low"), np.column_stack([y, -1e300 * y])):
        encoder = PiecewiseLinearEncoder(2, strategy="tree").fit(X, targets)
        assert encoder.edges_[0][1] == pytest.approx(0.3, abs=1 / MAX_CELLS)


def test_whole_numbers_are_classes_unless_the_task_says_otherwise():
    X = np.arange(8.0)[:, np.newaxis]
    y = np.array([0, 0, 5, 5, 6, 6, 7, 7])  # 0 is far from the others as a number, not as a class

    def find_first(targets, task="auto"):
        encoder = PiecewiseLinearEncoder(2, strategy="tree", min_samples_leaf=1, task=task)
        return encoder.fit(X, targets).edges_[0].tolist()

    assert find_first(y, "regression") == find_first(y.astype(float)) == [0, 1.5, 7]
    assert (
        find_first(y.astype(float), "classification")
        == find_first(y)
        == find_first(list("aabbccdd"))
    )
    assert find_first(y[:, np.newaxis]) == find_first(y)


def test_rows_of_a_bin(rng):
    X, y = rng.normal(size=(500, 1)), rng.normal(size=500)
    edges = PiecewiseLinearEncoder(100, strategy="tree", min_samples_leaf=20).fit(X, y).edges_[0]
    counts, _ = np.histogram(X, edges)
    assert counts.min() >= 20
    assert len(counts) > 5
    whole = PiecewiseLinearEncoder(100, strategy="tree", min_samples_leaf=251).fit(X, y)
    assert whole.edges_[0].tolist() == [X.min(), X.max()]


def test_targets_without_a_pattern_leave_one_bin():
    X = np.arange(200.0)[:, np.newaxis]
    for y in (np.full(200, 0.1), np.zeros(200, int), ["a"] * 200):
        edges = PiecewiseLinearEncoder(strategy="tree", min_samples_leaf=1).fit(X, y).edges_[0]
        assert edges.tolist() == [0, 199]


@given(TABLES, st.integers(1, 9), st.integers(1, 5), st.booleans())
def test_edges_of_trees_ascend(X, n_bins, n_leaf, classes):
    y = np.arange(len(X)) % 3 if classes else np.arange(len(X)) % 3 / 2
    encoder = PiecewiseLinearEncoder(n_bins, strategy="tree", min_samples_leaf=n_leaf).fit(X, y)
    for column, edges in zip(X.T, encoder.edges_, strict=True):
        known = np.unique(column[~np.isnan(column)])
        assert (np.diff(edges) > 0).all()
        assert len(edges) <= n_bins + 1
        if len(known):
            assert edges[[0, -1]].tolist() == [known[0], known[-1]]
        else:
            assert not len(edges)


def test_many_classes(rng):
    x, y = rng.random(5000), rng.integers(0, 1000, 5000)
    assert len(compute_tree_edges(x, y, 32, 64)) == 33


# ---- hats ----------------------------------------------------------------------------------------


def test_hats_by_hand():
    encoder = PiecewiseLinearEncoder(2, basis="hats").fit([[0.0, 1], [2, 1], [4, 1]])
    Z = encoder.transform([[0.0, 1], [0.5, 9], [2, 1], [4, 1], [99, 1], [-99, 1], [np.nan, np.nan]])
    expected = [[1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]]
    assert Z.tolist() == expected
    assert encoder.get_feature_names_out().tolist() == ["x0_edge0", "x0_edge1", "x0_edge2"]


@given(TABLES, st.integers(1, 9))
def test_hats_interpolate_between_edges(X, n_bins):
    encoder = PiecewiseLinearEncoder(n_bins, basis="hats", sparse_output=True).fit(X)
    Z = encoder.transform(X)
    assert isinstance(Z, sparse.csr_array)
    assert Z.has_sorted_indices
    assert Z.nnz == np.count_nonzero(Z.toarray())
    assert (encoder.set_params(sparse_output=False).transform(X) == Z.toarray()).all()
    start = 0
    for column, edges in zip(X.T, encoder.edges_, strict=True):
        width = len(edges) if len(edges) > 1 else 0
        part = Z.toarray()[:, start : start + width]
        start += width
        known = ~np.isnan(column)
        assert (part[~known] == 0).all()
        assert (np.count_nonzero(part, axis=1) <= 2).all()
        if width:
            np.testing.assert_allclose(part[known].sum(1), 1)
            np.testing.assert_allclose(part[known] @ edges, column[known], rtol=1e-9, atol=1e-6)
    assert start == Z.shape[1] == len(encoder.get_feature_names_out())


def test_hats_and_ramps_span_the_same_functions(rng):
    X = rng.normal(size=(300, 2))
    ramps = PiecewiseLinearEncoder(6).fit_transform(X)
    hats = PiecewiseLinearEncoder(6, basis="hats").fit_transform(X)
    bias = np.ones((300, 1))
    rank = np.linalg.matrix_rank(np.hstack([ramps, hats, bias]))
    assert rank == np.linalg.matrix_rank(np.hstack([ramps, bias])) == 13
    assert rank == np.linalg.matrix_rank(np.hstack([hats, bias]))


@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_a_network_trains_on_sparse_hats(rng):
    pytest.importorskip("sklearn")
    X = rng.uniform(-3, 3, (500, 2))
    y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2
    models = []
    for is_sparse in (True, False):
        encoder = PiecewiseLinearEncoder(16, basis="hats", sparse_output=is_sparse)
        Z = encoder.fit_transform(X.astype(np.float32))
        assert Z.dtype == np.float32
        model = fn.MLPRegressor(
            hidden_layer_sizes=(16,), learning_rate_init=0.02, max_iter=40, random_state=0
        )
        models.append(model.fit(Z, y).predict(Z))
    assert (models[0] == models[1]).all()
    assert 1 - np.var(models[0] - y) / np.var(y) > 0.9


# ---- inputs --------------------------------------------------------------------------------------


def test_huge_numbers_stay_in_range():
    """Some tables have the largest or the smallest number for missing values."""
    X = np.array([[0.0], [1], [2], [3], [-LARGEST], [LARGEST]])
    Z = RobustScaler().fit_transform(X)
    assert np.isfinite(Z).all()
    assert Z[4:].ravel().tolist() == [-3, 3]
    raw = RobustScaler(clip=None).fit_transform(X)
    assert np.isfinite(raw).all()
    wide = RobustScaler().fit_transform([[-LARGEST], [LARGEST]] * 3)
    assert np.isfinite(wide).all()
    assert (np.sign(wide).ravel() == [-1, 1] * 3).all()
    small = RobustScaler(clip=None).fit(np.float32([[0], [1e-30]])).transform(np.float32([[1e38]]))
    assert small[0, 0] == np.finfo(np.float32).max
    for basis in ("ramps", "hats"):
        encoded = PiecewiseLinearEncoder(3, basis=basis).fit_transform(X)
        assert np.isfinite(encoded).all()
        assert ((encoded >= 0) & (encoded <= 1)).all()
    y = np.arange(6.0)
    tree = PiecewiseLinearEncoder(3, strategy="tree", min_samples_leaf=1).fit(X, y * (LARGEST / 8))
    assert np.isfinite(tree.edges_[0]).all()


def test_scale_against_numpy(rng):
    X = rng.normal(size=(101, 3)) * [1, 1e-3, 1e6]
    scaler = RobustScaler(clip=None).fit(X)
    low, median, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(scaler.center_, median, rtol=1e-14)
    np.testing.assert_allclose(scaler.scale_, 1 / (high - low), rtol=1e-14)


@pytest.mark.parametrize("parameters", [
    {}, {"basis": "hats"}, {"strategy": "tree", "min_samples_leaf": 2},
])  # fmt: skip
def test_arrays_are_never_changed(rng, parameters):
    X, y = np.asfortranarray(rng.normal(size=(40, 3))), rng.normal(size=40)
    X[::7, 1] = np.nan
    kept = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    Z = PiecewiseLinearEncoder(4, **parameters).fit(X, y).transform(X)
    assert np.isfinite(Z).all()
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_one_row():
    for parameters in ({}, {"basis": "hats", "sparse_output": True}, {"strategy": "tree"}):
        encoder = PiecewiseLinearEncoder(**parameters).fit([[1.0, np.nan]], [0])
        assert encoder.transform([[2.0, 3.0]]).shape == (1, 0)
        assert len(encoder.get_feature_names_out()) == 0


def fit(X=((1.0,), (2.0,)), y=None, **parameters):
    return PiecewiseLinearEncoder(**parameters).fit(X, y)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: fit(strategy="trees"), ValueError, "strategy: .* Did you mean 'tree'"),
    (lambda: fit(basis="hat"), ValueError, "basis: .* Did you mean 'hats'"),
    (lambda: fit(task="classify"), ValueError, "task: expected one of"),
    (lambda: fit(min_samples_leaf=0), ValueError, "min_samples_leaf: expected .* got 0"),
    (lambda: fit(sparse_output=1), TypeError, "sparse_output: expected True or False; got 1"),
    (lambda: fit(sparse_output=True), ValueError,
     "sparse_output: expected False, or basis='hats', .* got True with basis='ramps'"),
    (lambda: fit(strategy="tree"), ValueError, "y: expected the targets, .* got None"),
    (lambda: fit(y=[1.0], strategy="tree"), ValueError, r"y: expected 2 rows, .* shape \(1,\)"),
    (lambda: fit(y=[1.0, np.nan], strategy="tree"), ValueError,
     "y: expected finite numbers; got nan"),
    (lambda: fit(y=["a", None], strategy="tree"), TypeError,
     "y: expected classes of one kind; got NoneType, str"),
    (lambda: fit(y=[[1, 2], [3, 4]], strategy="tree"), ValueError,
     r"y: expected one class per row, \(2,\); got shape \(2, 2\)"),
    (lambda: fit(y=["a", "b"], strategy="tree", task="regression"), TypeError,
     "y: expected real numbers"),
    (lambda: fit(sparse.eye(2)), TypeError, "X: expected a dense array; got a sparse one"),
    (lambda: fit([[1j]]), ValueError, "X: expected real numbers; got complex128"),
    (lambda: fit([[{}]]), TypeError, "X: expected real numbers; .* not 'dict'"),
    (lambda: fit([1.0, 2.0]), ValueError, r"X: expected shape \(n, m\).*X.reshape\(1, -1\)"),
    (lambda: fit(basis="hats", sparse_output=True).set_output(transform="pandas")
     .transform([[1.0]]), ValueError, "sparse_output: expected False for the output 'pandas'"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
