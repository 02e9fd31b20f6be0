"""Valid input: results for any kind of array equal those for a NumPy array of the network's dtype,
which is used without a copy."""

import gc
import sys
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest

import fastnn as fn
from fastnn import losses
from fastnn._training.arrays import convert_features, convert_targets, convert_weights

DTYPES = ["float32", "float64"]
N = 20
ROWS = np.random.default_rng(0).integers(-8, 8, (N, 4)) / 4  # exact in every type of float
LABELS = np.arange(N) % 3
BINARY = np.arange(N) % 2


def network(dtype="float32", last=None):
    return fn.Sequential(
        fn.Dense(5, "tanh"), last or fn.Dense(3, "softmax"), random_state=2, dtype=dtype
    )


def outcome(dtype, X, y, last=None, weight=None, **options):
    """All results of training, evaluation and prediction."""
    net = network(dtype, last)
    net.fit(X, y, epochs=3, batch_size=7, sample_weight=weight, **options)
    net.partial_fit(X, y, sample_weight=weight)
    scores = net.evaluate(X, y, sample_weight=weight)
    value, gradients = net.loss_and_gradients(X, y, sample_weight=weight, **options)
    weights = [w.tobytes() for w in gradients["weights"]]
    return net.parameters.tobytes(), net.predict(X).tobytes(), scores, value, weights


def plain(values, dtype):
    return np.array(np.asarray(values), dtype, order="C")


def misaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[:] = array
    assert not view.flags.aligned
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def spread(array):
    """A strided view with the same values: every second column and third row of a larger array."""
    large = np.full((3 * len(array), 2 * array.shape[1]), 99, array.dtype)
    large[::3, ::2] = array
    return large[::3, ::2]


FORMS = {
    "C order, float64": lambda X: X.copy(),
    "C order, float32": lambda X: X.astype("f4"),
    "Fortran order": np.asfortranarray,
    "Fortran order, float32": lambda X: np.asfortranarray(X, "f4"),
    "transposed": lambda X: X.T.copy().T,
    "negative row stride": lambda X: X[::-1].copy()[::-1],
    "negative column stride, float32": lambda X: X.astype("f4")[:, ::-1].copy()[:, ::-1],
    "sliced columns": lambda X: np.hstack([X, X])[:, :4],
    "sliced columns, float32": lambda X: np.hstack([X, X]).astype("f4")[:, :4],
    "strided": spread,
    "read-only": read_only,
    "read-only, float32": lambda X: read_only(X.astype("f4")),
    "nested lists": lambda X: X.tolist(),
    "list of arrays": list,
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "frame": lambda X: pd.DataFrame(X, columns=list("abcd")),
    "frame, float32": lambda X: pd.DataFrame(X.astype("f4")),
    "frame of mixed types": lambda X: pd.DataFrame(
        {"a": X[:, 0].astype("f4"), "b": X[:, 1].astype(int), "c": X[:, 2], "d": X[:, 3]}
    ),
    "float16": lambda X: X.astype("f2"),
    "longdouble": lambda X: X.astype(np.longdouble),
    "the other byte order": lambda X: X.astype(">f4"),
    "the other byte order, float64": lambda X: X.astype(">f8"),
    "misaligned": misaligned,
    "misaligned, float32": lambda X: misaligned(X.astype("f4")),
    "matrix": lambda X: X.astype("f4").view(np.matrix),
    "boolean": lambda X: X > 0,
    **{
        f"{kind} integers": lambda X, kind=kind: X.astype(kind)
        for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4")
    },
}
FORMS["boolean lists"] = lambda X: (X > 0).tolist()
UNSIGNED = ("u1 integers", "u2 integers", "u4 integers", "u8 integers")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_features_of_any_kind(form, dtype):
    X = FORMS[form](np.abs(ROWS) if form in UNSIGNED else ROWS)
    assert outcome(dtype, X, LABELS) == outcome(dtype, plain(X, dtype), LABELS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", DTYPES)
def test_memory_mapped_features(dtype, kind, tmp_path):
    path = tmp_path / "X.dat"
    ROWS.astype(kind).tofile(path)
    X = np.memmap(path, kind, mode="r", shape=ROWS.shape)
    assert outcome(dtype, X, LABELS) == outcome(dtype, plain(X, dtype), LABELS)
    assert path.read_bytes() == ROWS.astype(kind).tobytes()


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("form", ["Fortran order", "read-only, float32", "i8 integers", "frame"])
def test_both_engines_accept_the_same_kinds(form, engine):
    X = FORMS[form](ROWS)
    expected = outcome("float32", plain(X, "f4"), LABELS, engine=engine)
    assert outcome("float32", X, LABELS, engine=engine) == expected


def test_one_row_is_a_view_with_any_stride():
    net = network().build(4)
    row = ROWS.astype("f4")[::5][3:4]
    assert (net.predict(row) == net.predict(row.copy())).all()
    repeated = np.broadcast_to(row, (6, 4))
    assert (net.predict(repeated) == net.predict(repeated.copy())).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "n_features"), [(1, 4), (1, 1), (N, 1), (2, 4)])
def test_one_row_and_one_feature(n, n_features, dtype):
    X, y = ROWS[:n, :n_features], LABELS[:n]
    assert outcome(dtype, X, y) == outcome(dtype, plain(X, dtype), y)
    turned = X.T.astype(dtype).T  # C-contiguous where a side is 1, whatever its strides say
    assert outcome(dtype, turned, y) == outcome(dtype, plain(X, dtype), y)


@pytest.mark.parametrize("label", [0, 2])
def test_one_class_in_y(label):
    net = network()
    net.fit(ROWS, np.full(N, label), epochs=100, optimizer=fn.optimizers.Adam(0.05))
    assert net.evaluate(ROWS, np.full(N, label))["accuracy"] == 1
    assert (net.predict(ROWS).argmax(axis=1) == label).all()


def test_one_value_in_y():
    net = network(last=fn.Dense(1))
    net.fit(ROWS, np.ones(N), epochs=300, optimizer=fn.optimizers.Adam(0.02))
    assert np.allclose(net.predict(ROWS), 1, atol=0.1)


# ---- targets and weights ------------------------------------------------------------------------

TARGETS = {
    "C order": lambda y: y.copy(),
    "list": lambda y: y.tolist(),
    "series": lambda y: pd.Series(y, index=np.arange(N)[::-1]),
    "frame of one column": lambda y: pd.DataFrame({"y": y}),
    "column": lambda y: y[:, None],
    "strided": lambda y: np.repeat(y, 3)[::3],
    "negative stride": lambda y: y[::-1].copy()[::-1],
    "read-only": read_only,
    "misaligned": lambda y: misaligned(y.astype("f4")),
    "float16": lambda y: y.astype("f2"),
    "float32": lambda y: y.astype("f4"),
    "float64": lambda y: y.astype("f8"),
    "longdouble": lambda y: y.astype(np.longdouble),
    "the other byte order": lambda y: y.astype(">f4"),
    **{
        f"{kind} integers": lambda y, kind=kind: y.astype(kind)
        for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
    },
}
HEADS = {
    "labels": (fn.Dense(3, "softmax"), LABELS),
    "two classes": (fn.Dense(2, "softmax"), BINARY),
    "one output": (fn.Dense(1, "sigmoid"), BINARY),
    "number": (fn.Dense(1), LABELS),
    "counts": (fn.Dense(1, "exp"), LABELS),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("form", TARGETS)
def test_targets_of_any_kind(form, head, dtype):
    last, y = HEADS[head]
    assert outcome(dtype, ROWS, TARGETS[form](y), last) == outcome(
        dtype, plain(ROWS, dtype), plain(y, dtype), last
    )


@pytest.mark.parametrize("head", ["two classes", "one output", "number", "counts"])
@pytest.mark.parametrize("form", [np.asarray, list, pd.Series, lambda y: y[:, None]])
def test_boolean_targets(head, form):
    last = HEADS[head][0]
    y = form(BINARY == 1)
    assert outcome("float32", ROWS, y, last) == outcome("float32", ROWS, BINARY, last)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i8", "u1", bool, "frame", "list", "fortran"])
def test_one_hot_rows_of_any_kind(kind):
    rows = np.eye(3)[LABELS]
    forms = {"frame": pd.DataFrame, "list": np.ndarray.tolist, "fortran": np.asfortranarray}
    y = forms[kind](rows) if kind in forms else rows.astype(kind)
    assert outcome("float32", ROWS, y) == outcome("float32", ROWS, plain(rows, "f4"))


@pytest.mark.parametrize("loss", ["hinge", "perceptron"])
def test_labels_0_1_and_minus_1_1_are_equivalent(loss):
    last = fn.Dense(1, "step")
    signs = BINARY * 2 - 1
    assert (
        outcome("float32", ROWS, BINARY, last, loss=loss)[:2]
        == (outcome("float32", ROWS, signs, last, loss=loss)[:2])
    )


def test_probabilities_rounded_to_float16():
    rows = np.random.default_rng(1).dirichlet(np.ones(3), N).astype("f2")
    assert np.isfinite(network().fit(ROWS, rows, epochs=2)["loss"]).all()


@pytest.mark.parametrize(
    "form", [name for name in TARGETS if name not in ("column", "frame of one column")]
)
def test_weights_of_any_kind(form):
    weight = TARGETS[form](LABELS)
    expected = outcome("float32", ROWS, LABELS, weight=plain(LABELS, "f4"))
    assert outcome("float32", ROWS, LABELS, weight=weight) == expected


def test_boolean_weights_select_rows():
    expected = outcome("float32", ROWS, LABELS, weight=BINARY.astype("f4"))
    assert outcome("float32", ROWS, LABELS, weight=BINARY == 1) == expected


@pytest.mark.parametrize("form", [tuple, list])
def test_validation_data_of_any_kind(form):
    converted = form((ROWS.tolist(), pd.Series(LABELS), BINARY.tolist()))
    histories = [
        network().fit(ROWS, LABELS, validation_data=validation, epochs=3)["val_loss"].tolist()
        for validation in (converted, (plain(ROWS, "f4"), LABELS, BINARY))
    ]
    assert histories[0] == histories[1]


# ---- feature names -------------------------------------------------------------------------------


def test_column_names_become_feature_names():
    frame = pd.DataFrame(ROWS, columns=["height", "weight", "age", "größe"])
    net = network()
    net.fit(frame, LABELS, epochs=1)
    assert net.feature_names_in == ("height", "weight", "age", "größe")
    assert (net.predict(frame) == net.predict(ROWS)).all()
    assert net.reset().feature_names_in is None


@pytest.mark.parametrize("columns", [[0, 1, 2, 3], ["a", "b", "c", 3]])
def test_names_other_than_strings_are_ignored(columns):
    net = network()
    net.fit(pd.DataFrame(ROWS, columns=columns), LABELS, epochs=1)
    assert net.feature_names_in is None
    net.predict(pd.DataFrame(ROWS, columns=list("abcd")))


def test_names_are_set_by_the_first_frame():
    net = network().build(4)
    net.partial_fit(ROWS, LABELS)
    net.partial_fit(pd.DataFrame(ROWS, columns=list("abcd")), LABELS)
    assert net.feature_names_in == tuple("abcd")


# ---- no copies, no changes, no references --------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_array_of_the_right_kind_is_not_copied(dtype):
    X, y = ROWS.astype(dtype), LABELS.astype(dtype)
    kind = np.dtype(dtype)
    assert np.shares_memory(convert_features(X, kind), X)
    assert np.shares_memory(convert_features(read_only(X), kind), X) is False
    frozen = X.view()
    frozen.flags.writeable = False
    assert np.shares_memory(convert_features(frozen, kind), X)
    assert np.shares_memory(convert_features(X[3:9], kind), X)
    for loss in (losses.CrossEntropy(), losses.SquaredError()):
        outputs = 3 if isinstance(loss, losses.CrossEntropy) else 1
        assert np.shares_memory(convert_targets(y, loss, N, outputs, kind), y)
        assert np.shares_memory(convert_targets(y[:, None], loss, N, outputs, kind), y)
    assert np.shares_memory(convert_weights(y, N, kind), y)


@pytest.mark.parametrize("form", [f for f in FORMS if f not in UNSIGNED])
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_arrays_are_converted(form, dtype):
    X = FORMS[form](ROWS)
    read = convert_features(X, np.dtype(dtype))
    assert read.dtype == dtype
    assert type(read) is np.ndarray
    assert read.flags.c_contiguous
    assert read.flags.aligned
    assert (read == np.asarray(X)).all()


def test_no_call_copies_an_array_of_the_right_kind():
    X = np.zeros((40_000, 100), np.float32)
    y = np.zeros(len(X), np.float32)
    net = fn.Sequential(fn.Dense(1), random_state=0).build(100)
    calls = [
        lambda: net.fit(X, y, epochs=1, batch_size=1000),
        lambda: net.partial_fit(X, y, batch_size=1000),
        lambda: net.predict(X),
        lambda: net.evaluate(X, y, loss="mse"),
    ]
    tracemalloc.start()
    try:
        for call in calls:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            call()
            assert tracemalloc.get_traced_memory()[1] - before < X.nbytes / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("writeable", [True, False])
def test_arrays_are_not_modified(dtype, writeable, engine):
    arrays = [
        ROWS.astype(dtype), LABELS.astype(dtype), BINARY.astype(dtype), ROWS[:7].astype(dtype),
        LABELS[:7].astype(dtype),
    ]  # fmt: skip
    before = [array.tobytes() for array in arrays]
    for array in arrays:
        array.flags.writeable = writeable
    X, y, weight, X_val, y_val = arrays
    net = fn.Sequential(
        fn.Dropout(0.3), fn.Residual(fn.Dense(4, "gelu")), fn.Dense(3, "softmax"), random_state=0,
        dtype=dtype,
    )  # fmt: skip
    net.fit(
        X, y, epochs=3, batch_size=6, sample_weight=weight, validation_data=(X_val, y_val),
        engine=engine,
    )  # fmt: skip
    net.partial_fit(X, y, sample_weight=weight, engine=engine)
    net.loss_and_gradients(X, y, sample_weight=weight, training=True, engine=engine)
    net.evaluate(X, y, sample_weight=weight)
    net.predict(X)
    assert [array.tobytes() for array in arrays] == before
    assert all(array.flags.writeable is writeable for array in arrays)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_no_reference_to_arrays_is_kept(engine):
    net = network()
    arrays = [ROWS.astype("f4"), LABELS.astype("f4"), np.ones(N, "f4"), ROWS[:6].astype("f4")]
    counts = [sys.getrefcount(array) for array in arrays]
    X, y, weight, X_val = arrays
    gc.disable()  # nothing may wait for the collector
    try:
        net.fit(
            X, y, epochs=2, sample_weight=weight, validation_data=(X_val, y[:6]), engine=engine,
            callbacks=[fn.EarlyStopping()],
        )  # fmt: skip
        net.partial_fit(X, y, sample_weight=weight, engine=engine)
        net.loss_and_gradients(X, y, sample_weight=weight, engine=engine)
        net.evaluate(X, y, sample_weight=weight)
        predictions = net.predict(X)
        del X, y, weight, X_val
        assert [sys.getrefcount(array) for array in arrays] == counts
        references = [weakref.ref(array) for array in arrays]
        del arrays
        assert [reference() for reference in references] == [None] * 4
    finally:
        gc.enable()
    assert predictions.base is None or predictions.base.nbytes == predictions.nbytes


def test_predictions_are_new_arrays():
    net = network().build(4)
    first, second = net.predict(ROWS), net.predict(ROWS)
    assert not np.shares_memory(first, second)
    first[:] = 0
    assert (net.predict(ROWS) == second).all()


@pytest.mark.parametrize("number", [np.int64, np.int8, np.uint16])
def test_numpy_integers_are_accepted(number):
    net = fn.Sequential(fn.Dense(number(3), "softmax"), random_state=number(7))
    net.fit(ROWS, LABELS, epochs=number(2), batch_size=number(5), n_threads=number(1))
    same = fn.Sequential(fn.Dense(3, "softmax"), random_state=7)
    same.fit(ROWS, LABELS, epochs=2, batch_size=5)
    assert net.parameters.tobytes() == same.parameters.tobytes()
    assert type(net.layers[0].units) is int


@pytest.mark.parametrize("number", [np.float64, np.float32, np.float16, np.longdouble])
def test_numpy_floats_are_accepted(number):
    nets = [
        fn.Sequential(fn.Dense(4, "relu", l2=value), fn.Dropout(value), fn.Dense(1), random_state=0)
        for value in (number(0.25), 0.25)
    ]
    for net, rate in zip(nets, (number(0.125), 0.125), strict=True):
        net.fit(ROWS, LABELS, epochs=2, optimizer=fn.optimizers.SGD(rate))
    assert nets[0].parameters.tobytes() == nets[1].parameters.tobytes()
