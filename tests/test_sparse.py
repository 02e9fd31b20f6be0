"""Sparse matrices: the bits of the dense matrix, conversions, errors, and bounded memory."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import fastnn as fn
from fastnn._engine.plan import compile_plan
from fastnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

OPTIMIZERS = [
    SGD(0.05), SGD(0.05, momentum=0.9), SGD(0.05, momentum=0.9, nesterov=True), Adagrad(0.05),
    RMSprop(0.01), Adam(0.01), AdamW(0.01, weight_decay=0.1), SGD(0.1, clip_norm=0.5),
    Adagrad(0.1, clip_value=0.01),
]  # fmt: skip


IGNORE_MAX_ITER = pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:lbfgs")


def make_matrix(seed, n, n_features, density, dtype="float64"):
    return sp.random(n, n_features, density, "csr", dtype, random_state=seed)


def get_results(net, X, y):
    value, gradients = net.loss_and_gradients(X, y)
    return [net.parameters, net.history["loss"], net.predict(X), *net.evaluate(X, y).values(),
            value, *gradients["weights"]]  # fmt: skip


@st.composite
def cases(draw):
    """A matrix, and the arguments of networks and fits."""
    choose = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    n, n_features = draw(st.integers(1, 60)), draw(st.integers(1, 90))
    X = make_matrix(draw(st.integers(0, 99)), n, n_features, choose(0, 0.02, 0.2, 1.0))
    penalties = {"l1": choose(0.0, 0.01), "l2": choose(0.0, 0.01), "use_bias": choose(True, False)}
    hidden = (fn.Dense(choose(1, 2, 7, 8, 33, 70), "tanh", **penalties),)
    hidden = choose((), hidden, (*hidden, fn.Dropout(0.3)))
    options = {
        "optimizer": choose(*OPTIMIZERS), "batch_size": choose(1, 3, 16, 100),
        "sample_weight": choose(None, np.linspace(0, 2, n + 1)[1:]), "n_threads": choose(1, 2, 3),
    }  # fmt: skip
    return X, (*hidden, fn.Dense(choose(1, 3))), options


@given(case=cases(), dtype=st.sampled_from(["float32", "float64"]))
def test_bits_of_the_dense_matrix(case, dtype):
    X, layers, options = case
    X = X.astype(dtype)
    y = np.random.default_rng(0).normal(size=(X.shape[0], layers[-1].units))
    results = []
    for features in (X.toarray(), X):
        net = fn.Sequential(*layers, random_state=1, dtype=dtype)
        net.fit(features, y, epochs=3, loss="mse", **options)
        results.append(get_results(net, features, y))
    for dense, sparse in zip(*results, strict=True):
        np.testing.assert_array_equal(dense, sparse)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [7, 600])
def test_training_runs_against_the_reference(optimizer, batch_size, rng):
    X, y = make_matrix(0, 600, 50, 0.1), rng.normal(size=(600, 2))
    results = []
    for engine in ("native", "reference"):
        net = fn.Sequential(fn.Dense(9, "gelu", l2=0.01), fn.Dense(2), random_state=0,
                            dtype="float64")  # fmt: skip
        net.fit(X, y, epochs=2, batch_size=batch_size, optimizer=optimizer, engine=engine,
                sample_weight=np.linspace(0.5, 2, 600))  # fmt: skip
        results.append((net.parameters, net.history["loss"]))
    for native, reference in zip(*results, strict=True):
        np.testing.assert_allclose(native, reference, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("units", [1, 9])
def test_gradients_against_the_reference(units, rng):
    X, y = make_matrix(0, 600, 50, 0.1), rng.normal(size=(600, 2))
    net = fn.Sequential(fn.Dense(units, "gelu", l2=0.01), fn.Dense(2), random_state=0,
                        dtype="float64").build(50)  # fmt: skip
    (value, native), (expected, reference) = (
        net.loss_and_gradients(X, y, engine=engine) for engine in ("native", "reference")
    )
    assert value == pytest.approx(expected, rel=1e-13)
    for a, b in zip(native["weights"], reference["weights"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize("optimizer", [Adam(), Adagrad(), SGD(clip_norm=1.0)])
@pytest.mark.parametrize("units", [3, 100])
def test_bits_do_not_depend_on_threads(n_threads, optimizer, units, dtype, rng):
    X, y = make_matrix(1, 3000, 200, 0.05, dtype), rng.integers(3, size=3000)
    layers = (fn.Dense(units, "relu"), fn.Dense(3, "softmax"))
    nets = [fn.Sequential(*layers, random_state=0, dtype=dtype) for _ in range(3)]
    for net, features, n in zip(nets, (X, X, X.toarray()), (1, n_threads, n_threads), strict=True):
        net.fit(features, y, epochs=1, batch_size=1500, optimizer=optimizer, n_threads=n)
    for net in nets[1:]:
        np.testing.assert_array_equal(net.parameters, nets[0].parameters)
    np.testing.assert_array_equal(
        nets[0].predict(X, n_threads=1), nets[0].predict(X, n_threads=n_threads)
    )


# Rows of a batch that exceeds a microbatch of the networks below.
N_LARGE = 9000


def fit_large_batch(features, y, optimizer, **options):
    net = fn.Sequential(fn.Dense(150, "tanh"), fn.Dense(2), random_state=0, dtype="float64")
    plan = compile_plan(
        net.layers, features.shape[1], net.dtype, loss=fn.losses.SquaredError(), n_targets=2,
        optimizer=optimizer, batch_size=N_LARGE, sparse_inputs=sp.issparse(features),
    )  # fmt: skip
    assert plan.microbatch_rows < N_LARGE
    net.fit(features, y, epochs=3, batch_size="full", optimizer=optimizer, **options)
    return net.parameters


@pytest.mark.parametrize("optimizer", [Adam(), Adagrad(), SGD(clip_norm=1.0)])
def test_bits_with_several_microbatches(optimizer, rng):
    X, y = make_matrix(14, N_LARGE, 40, 0.02), rng.normal(size=(N_LARGE, 2))
    expected = fit_large_batch(X.toarray(), y, optimizer)
    for n_threads in (1, 2):
        np.testing.assert_array_equal(
            fit_large_batch(X, y, optimizer, n_threads=n_threads), expected
        )


@pytest.mark.parametrize("optimizer", [Adam(), Adagrad(), SGD(clip_norm=1.0)])
def test_bits_with_many_features(optimizer, rng):
    """The dense matrix takes several microbatches for a batch, the sparse one a single one."""
    X, y = make_matrix(15, 500, 20_000, 0.001, "float32"), rng.normal(size=(500, 2))
    nets = [fn.Sequential(fn.Dense(5, "tanh"), fn.Dense(2), random_state=0) for _ in range(2)]
    for net, features in zip(nets, (X, X.toarray()), strict=True):
        net.fit(features, y, epochs=2, batch_size=300, optimizer=optimizer)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_lazy_adam_with_several_microbatches(rng):
    """Each column has entries in one part of the rows, most of them not in the last microbatch."""
    parts = sp.block_diag([make_matrix(i, N_LARGE // 30, 4, 0.2) for i in range(30)], "csr")
    y, optimizer = rng.normal(size=(N_LARGE, 2)), Adam(0.01, lazy=True)
    native = fit_large_batch(parts, y, optimizer)
    reference = fit_large_batch(parts, y, optimizer, engine="reference")
    np.testing.assert_allclose(native, reference, rtol=1e-9, atol=1e-12)


# ---- lazy updates --------------------------------------------------------------------------------


@pytest.mark.parametrize("clip_norm", [None, 0.3])
@pytest.mark.parametrize("batch_size", [1, 7, 600])
def test_lazy_adam_against_the_reference(batch_size, clip_norm, rng):
    X, y = make_matrix(11, 600, 300, 0.005), rng.normal(size=(600, 2))
    optimizer = Adam(0.01, lazy=True, clip_norm=clip_norm)
    results = []
    for engine, n_threads in (("native", 1), ("native", 2), ("reference", None)):
        net = fn.Sequential(fn.Dense(9, "gelu"), fn.Dense(2, l2=0.01), random_state=0,
                            dtype="float64")  # fmt: skip
        net.fit(X, y, epochs=2, batch_size=batch_size, optimizer=optimizer, engine=engine,
                n_threads=n_threads)  # fmt: skip
        results.append(net.parameters)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_allclose(results[0], results[2], rtol=1e-9, atol=1e-12)


def test_lazy_adam_leaves_rows_without_entries(rng):
    X, y = make_matrix(12, 40, 10, 0.5).tolil(), rng.normal(size=40)
    X[:, 3] = 0
    X[8:, 4] = 0  # has entries only in the first minibatch
    X = X.tocsr()
    X.eliminate_zeros()
    nets = [fn.Sequential(fn.Dense(5, "tanh"), fn.Dense(1), random_state=0, dtype="float64")
            for _ in range(2)]  # fmt: skip
    start = nets[0].build(10).weights[0].copy()
    for net, rows in zip(nets, (8, 40), strict=True):
        net.fit(X[:rows], y[:rows], epochs=1, batch_size=8, shuffle="never",
                optimizer=Adam(0.01, lazy=True))  # fmt: skip
    once, fivefold = (net.weights[0] for net in nets)
    np.testing.assert_array_equal(fivefold[3], start[3])
    np.testing.assert_array_equal(fivefold[4], once[4])
    assert (once[4] != start[4]).all()
    assert (fivefold[5] != once[5]).all()


def test_lazy_needs_a_sparse_matrix_without_penalties():
    X, y, lazy = make_matrix(13, 10, 8, 0.5), np.zeros(10), Adam(lazy=True)
    net = fn.Sequential(fn.Dense(1))
    with pytest.raises(ValueError, match="lazy: expected False with a dense X; got True"):
        net.fit(X.toarray(), y, optimizer=lazy)
    assert net.n_features_in is None
    with pytest.raises(ValueError, match="lazy: expected False with a penalty on the first layer"):
        fn.Sequential(fn.Dense(1, l2=0.1)).fit(X, y, optimizer=lazy)
    with pytest.raises(TypeError, match="lazy: expected"):
        Adam(lazy=1)


# ---- conversions and errors ----------------------------------------------------------------------


def with_duplicates(X):
    coo = X.tocoo()
    halves = np.concatenate([coo.data / 2, coo.data / 2])
    return sp.coo_array((halves, (np.tile(coo.row, 2), np.tile(coo.col, 2))), X.shape)


def with_unsorted_columns(X):
    rows = [np.arange(a, b)[::-1] for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)]
    order = np.concatenate(rows)
    unsorted = sp.csr_matrix((X.data[order], X.indices[order], X.indptr), X.shape)
    unsorted.has_sorted_indices = True  # a flag that is wrong
    return unsorted


def with_wide_indices(X):
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return wide


def read_only(X):
    for part in (copy := X.copy()).data, copy.indices, copy.indptr:
        part.flags.writeable = False
    return copy


def with_capacity(X):
    """More room than entries, as after a removal of zeros in place."""
    made = sp.csr_matrix(X.shape, dtype=X.dtype)
    made.data, made.indices = np.append(X.data, [9.0, 9.0]), np.append(X.indices, [0, 0])
    made.indptr = X.indptr.copy()
    return made


FORMATS = {name: (lambda X, name=name: X.asformat(name)) for name in
           ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")}  # fmt: skip
FORMATS |= {
    "csr_array": sp.csr_array, "coo_array": sp.coo_array, "duplicates": with_duplicates,
    "unsorted": with_unsorted_columns, "64-bit indices": with_wide_indices, "read-only": read_only,
    "capacity": with_capacity,
}  # fmt: skip


def get_parts(X):
    return [getattr(X, name) for name in ("data", "indices", "indptr")] if X.format == "csr" else []


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name, rng):
    X, y = make_matrix(2, 40, 30, 0.2), rng.normal(size=40)
    given = FORMATS[name](X)
    before = [part.copy() for part in get_parts(given)]
    nets = [fn.Sequential(fn.Dense(5, "tanh"), fn.Dense(1), random_state=0, dtype="float64")
            for _ in range(2)]  # fmt: skip
    for net, features in zip(nets, (given, X.toarray()), strict=True):
        net.fit(features, y, epochs=2)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    np.testing.assert_array_equal(nets[0].predict(given), nets[1].predict(X.toarray()))
    for part, old in zip(get_parts(given), before, strict=True):  # the user's matrix is unchanged
        np.testing.assert_array_equal(part, old)


def test_memory_mapped_matrix(tmp_path, rng):
    X, y = make_matrix(3, 50, 40, 0.1), rng.normal(size=50)
    parts = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(X, name))
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    mapped = sp.csr_matrix(tuple(parts), X.shape, copy=False)
    net = fn.Sequential(fn.Dense(1), random_state=0, dtype="float64")
    expected = fn.Sequential(fn.Dense(1), random_state=0, dtype="float64")
    net.fit(mapped, y, epochs=2)
    expected.fit(X, y, epochs=2)
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def break_part(name, value):
    X = make_matrix(4, 10, 8, 0.5)
    getattr(X, name)[3] = value
    return X


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (break_part("indices", 8), ValueError, "columns from 0 to 7; got column 8"),
        (break_part("indices", -1), ValueError, "columns from 0 to 7; got column -1"),
        (break_part("indptr", 99), ValueError, "X: expected a valid sparse matrix; got indptr"),
        (break_part("data", np.nan), ValueError, "X: expected finite numbers .* got 1"),
        (break_part("data", np.inf), ValueError, "X: expected finite numbers"),
        (make_matrix(4, 10, 8, 0.5) * 1j, TypeError, "expected real numbers; .* complex128"),
        (sp.csr_matrix((0, 8)), ValueError, "at least one row and feature"),
        (sp.csr_matrix((10, 2**31)), ValueError, "at most 2147483647 features"),
        (sp.coo_array(np.ones(10)), ValueError, "X: expected 2 dimensions"),
    ],
)
def test_errors(X, error, message):
    net = fn.Sequential(fn.Dense(1))
    with pytest.raises(error, match=message):
        net.fit(X, np.zeros(10))
    assert net.n_features_in is None


def test_more_errors(rng):
    X, y = make_matrix(5, 10, 8, 0.5), np.zeros(10)
    net = fn.Sequential(fn.Dense(1)).build(8)
    with pytest.raises(ValueError, match=r"X: expected 8 features, .* got 9"):
        net.predict(sp.csr_matrix((2, 9)))
    with pytest.raises(ValueError, match="X of validation_data: expected 8 features"):
        net.fit(X, y, validation_data=(sp.csr_matrix((2, 9)), [0, 0]))
    for call in (net.jacobian, net.hessian, lambda X: net.sample_gradients(X, y)):
        with pytest.raises(TypeError, match=r"X: expected a dense array.*got a sparse one"):
            call(X)
    with pytest.raises(TypeError, match="dense array for LevenbergMarquardt"):
        net.fit(X, y, optimizer="levenberg_marquardt")
    with pytest.raises(TypeError, match="dense array for gradient_targets"):
        net.fit(X, y, gradient_targets=np.zeros((10, 8)))
    for first in (fn.Dropout(0.1), fn.Residual(fn.Dense(8))):
        with pytest.raises(ValueError, match=f"begins with {type(first).__name__}; got a sparse"):
            fn.Sequential(first, fn.Dense(1)).fit(X, y)
        with pytest.raises(ValueError, match="got a sparse one"):
            fn.Sequential(first, fn.Dense(1)).build(8).predict(X)


@pytest.mark.parametrize("column", [8, 2**31 - 1, -1, -(2**31)])
@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_columns_that_change_in_a_fit(column, optimizer):
    """Another thread or process may write to the matrix. Results are then meaningless, and no
    memory is read or written out of bounds."""
    X = make_matrix(6, 40, 8, 0.5)

    def spoil(epoch):
        X.indices[::3] = column

    net = fn.Sequential(fn.Dense(20, "tanh"), fn.Dense(1), random_state=0, dtype="float64")
    with pytest.warns(fn.DivergenceWarning):
        net.fit(X, np.zeros(40), epochs=5, callbacks=[spoil], optimizer=optimizer, n_threads=2)
    assert np.isfinite(net.parameters).all()


# ---- everything that takes X ---------------------------------------------------------------------


def test_other_calls(rng):
    """Validation, L-BFGS, diagnostics, checks of the gradient, several networks."""
    X, y = make_matrix(7, 80, 60, 0.1), rng.integers(2, size=80)
    results = []
    for features in (X.toarray(), X):
        nets = [fn.Sequential(fn.Dense(6, "tanh"), fn.Dense(1, "sigmoid"), random_state=i,
                              dtype="float64") for i in range(4)]  # fmt: skip
        history = nets[0].fit(features, y, epochs=4, validation_split=0.3, diagnostics=True)
        nets[1].fit(features, y, optimizer="lbfgs", epochs=5)
        fn.fit_many(nets[2:], features, y, epochs=3)
        for start in range(0, 80, 16):
            nets[0].partial_fit(features[start : start + 16], y[start : start + 16])
        check = nets[3].check_gradients(features[:20], y[:20])
        results.append(
            [
                history["val_loss"],
                str(check),
                str(history.report()),
                *[net.parameters for net in nets],
            ]
        )
    for dense, sparse in zip(*results, strict=True):
        np.testing.assert_array_equal(dense, sparse)


@IGNORE_MAX_ITER
def test_estimators(rng):
    pytest.importorskip("sklearn")
    X = make_matrix(8, 120, 90, 0.1)
    total = np.asarray(X[:, :20].sum(axis=1)).ravel()
    y = (total > np.median(total)).astype(int)
    small = {"max_iter": 4, "random_state": 0}
    models = [
        fn.MLPClassifier((6,), **small), fn.MLPRegressor(hidden_layer_sizes=(6,), **small),
        fn.LogisticRegression(), fn.MLPClassifier((6,), early_stopping=True, **small),
        fn.MLPClassifier((6,), solver="lbfgs", **small), fn.MLPClassifier((6,), n_init=2, **small),
        fn.MLPEnsemble(fn.MLPClassifier((4,), **small), n_estimators=2),
        fn.MLPSearchCV(fn.MLPClassifier((4,), **small), {"alpha": [1e-3, 1.0]}, cv=3),
    ]  # fmt: skip
    for model in models:
        expected = model.fit(X.toarray(), y).predict(X.toarray())
        for name in ("csr", "csc"):
            np.testing.assert_array_equal(model.fit(X.asformat(name), y).predict(X), expected)
    model = fn.MLPClassifier((6,), random_state=0)
    dense = fn.MLPClassifier((6,), random_state=0)
    for rows in np.split(np.arange(120), 6):
        model.partial_fit(X[rows], y[rows], classes=[0, 1])
        dense.partial_fit(X[rows].toarray(), y[rows], classes=[0, 1])
    np.testing.assert_array_equal(model.predict_proba(X), dense.predict_proba(X.toarray()))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"scale": "standard"}, "scale: expected None with a sparse X"),
     ({"solver": "lm"}, "solver: expected 'adam', 'sgd' or 'lbfgs' with a sparse X")],
)  # fmt: skip
def test_estimators_that_need_dense_features(parameters, message):
    pytest.importorskip("sklearn")
    X, y = make_matrix(9, 30, 8, 0.5), np.arange(30.0)
    with pytest.raises(ValueError, match=message):
        fn.MLPRegressor(**parameters).fit(X, y)
    search = fn.MLPSearchCV(fn.MLPRegressor(), {k: [v] for k, v in parameters.items()})
    with pytest.raises(ValueError, match=message):
        search.fit(X, y)


@IGNORE_MAX_ITER
def test_scaled_model_predicts_for_sparse_rows():
    pytest.importorskip("sklearn")
    X = make_matrix(10, 30, 8, 0.5)
    model = fn.MLPRegressor(scale="standard", max_iter=3).fit(X.toarray(), np.arange(30.0))
    np.testing.assert_array_equal(model.predict(X), model.predict(X.toarray()))


# ---- memory --------------------------------------------------------------------------------------


def run_limited(code, megabytes):
    """Run code in a process whose data may grow by so many megabytes after the imports."""
    start = f"""
        import resource
        import numpy as np, scipy.sparse as sp
        import fastnn as fn
        def limit():
            used = int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()
            most = used + {megabytes} * 2**20
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        rng = np.random.default_rng(0)
        def make_matrix(n, n_features, entries):
            columns = np.sort(rng.integers(n_features // entries, size=(n, entries))
                              + np.arange(entries) * (n_features // entries))
            starts = np.arange(0, n * entries + 1, entries)
            values = rng.random(n * entries, np.float32)
            return sp.csr_matrix((values, columns.ravel(), starts), (n, n_features))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(start) + textwrap.dedent(code)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.process
@pytest.mark.optimized
def test_features_are_never_dense():
    """A matrix of 200,000 x 100,000, which as a dense array would take 149 GiB in float64."""
    run_limited("""
        X = make_matrix(200_000, 100_000, 10)
        y = rng.integers(2, size=200_000)
        limit()
        net = fn.Sequential(fn.Dense(4, "relu"), fn.Dense(1, "sigmoid"), random_state=0)
        net.fit(X, y, epochs=1, batch_size=256, validation_split=0.2, n_threads=2)
        net.predict(X), net.evaluate(X, y), net.loss_and_gradients(X[:1000], y[:1000])
        """, megabytes=256)  # fmt: skip


@pytest.mark.process
@pytest.mark.optimized
def test_features_of_estimators_are_never_dense():
    pytest.importorskip("sklearn")
    run_limited("""
        X = make_matrix(20_000, 50_000, 20)
        y = rng.integers(2, size=20_000)
        fn.MLPClassifier((1,), max_iter=1).fit(X[:100], y[:100])  # imports
        limit()
        model = fn.MLPClassifier((4,), max_iter=1, early_stopping=True, batch_size=256)
        model.fit(X, y).score(X, y)
        search = fn.MLPSearchCV(fn.MLPClassifier((4,), max_iter=1, batch_size=256),
                                {"alpha": [1e-3, 1.0]}, cv=2, n_threads=2)
        search.fit(X, y).predict_proba(X)
        """, megabytes=256)  # fmt: skip
