"""Invalid input raises an error of the form "parameter: expected ...; got ..." before any work, and
leaves the network unchanged."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import fastnn as fn
from fastnn import losses, optimizers, schedules
from fastnn._engine import native
from fastnn.activations import NAMES as ACTIVATIONS
from fastnn.schedules import LinearDecay, Warmup

N = 12
X = np.random.default_rng(0).normal(size=(N, 3))
LABELS = np.arange(N) % 3
BINARY = np.arange(N) % 2
ROWS = np.eye(3)[LABELS]
NUMBERS = X[:, 0] * 2

# head: the last layer, and targets that fit it
HEADS = {
    "softmax": (fn.Dense(3, "softmax"), LABELS),
    "sigmoid": (fn.Dense(1, "sigmoid"), BINARY),
    "linear": (fn.Dense(1), NUMBERS),
    "three": (fn.Dense(3), ROWS),
    "exp": (fn.Dense(1, "exp"), BINARY),
    "step": (fn.Dense(1, "step"), BINARY),
}

METHODS = ("fit", "partial_fit", "evaluate", "loss_and_gradients", "predict")


def network(head, dtype="float32"):
    return fn.Sequential(fn.Dense(4, "tanh"), HEADS[head][0], random_state=1, dtype=dtype)


def trained(head):
    net = network(head)
    net.fit(X, HEADS[head][1], epochs=2, batch_size=5)
    return net


def get_all_state(net):
    """Everything that a call could change, in a comparable form."""
    state = net.state.optimizer
    return {
        "layers": net.layers,
        "parameters": None if net.state.parameters is None else net.state.parameters.tobytes(),
        "built": (net.n_features_in, net.feature_names_in, net.seed, net.dtype),
        "counts": (net.n_epochs, net.n_steps),
        "history": id(net.history),
        "optimizer": state
        and (id(state), state.loss, state.optimizer, state.slots.tobytes(), state.n_steps),
    }


def assert_message(error, message):
    """Compare a complete message, in which "..." matches any text."""
    text = str(error)
    assert re.fullmatch(".*".join(map(re.escape, message.split("..."))), text, re.DOTALL), text
    assert re.match(r"[\w :,]+?: expected .+; got .+", text, re.DOTALL), text


def assert_refuses(call, error, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert_message(caught.value, message)
    assert type(caught.value) is error


def with_value(array, value):
    changed = np.array(array, np.float64)
    changed.flat[4] = value
    return changed


# ---- arguments of the calls that take data ------------------------------------------------------

# (head, changes of valid arguments, error, message). Each row is tested with every method that has
# all changed parameters, on a trained network and on an unbuilt one.
# fmt: off
ARRAYS = [
    # X
    ("softmax", {"X": X[0]}, ValueError,
     "X: expected 2 dimensions, (rows, features); got shape (3,): use X.reshape(1, -1) for one "
     "row"),
    ("softmax", {"X": X.reshape(2, 6, 3)}, ValueError,
     "X: expected 2 dimensions, (rows, features); got shape (2, 6, 3)"),
    ("softmax", {"X": 5.0}, ValueError,
     "X: expected 2 dimensions, (rows, features); got shape ()"),
    ("softmax", {"X": X[:0]}, ValueError,
     "X: expected at least one row and feature; got shape (0, 3)"),
    ("softmax", {"X": X[:, :0]}, ValueError,
     "X: expected at least one row and feature; got shape (12, 0)"),
    ("softmax", {"X": with_value(X, np.nan)}, ValueError,
     "X: expected finite numbers in the range of float32; got 1 that are NaN, infinite or too large"
     " (check_finite=False turns this check off)"),
    ("softmax", {"X": with_value(X, -np.inf)}, ValueError,
     "X: expected finite numbers in the range of float32; got 1 that..."),
    ("softmax", {"X": X * [1e300, 1, 1]}, ValueError,
     "X: expected finite numbers in the range of float32; got 12 that..."),
    ("softmax", {"X": X.astype(object)}, TypeError,
     "X: expected real numbers; got an array of dtype object"),
    ("softmax", {"X": X.astype(str)}, TypeError,
     "X: expected real numbers; got an array of dtype <U..."),
    ("softmax", {"X": X.astype(bytes)}, TypeError,
     "X: expected real numbers; got an array of dtype |S..."),
    ("softmax", {"X": X.astype(complex)}, TypeError,
     "X: expected real numbers; got an array of dtype complex128"),
    ("softmax", {"X": X.astype("M8[s]")}, TypeError,
     "X: expected real numbers; got an array of dtype datetime64[s]"),
    ("softmax", {"X": None}, TypeError, "X: expected real numbers; got None"),
    ("softmax", {"X": [[10**30, 0, 0]] * N}, TypeError,
     "X: expected real numbers; got an array of dtype object"),
    ("softmax", {"X": pd.DataFrame({"a": ["x"] * N, "b": 1.0, "c": 2.0})}, TypeError,
     "X: expected real numbers; got none in the columns 'a'"),
    ("softmax", {"X": [[1.0, 2.0, 3.0], [1.0, 2.0]]}, ValueError,
     "X: expected an array of numbers; got setting an array element with a sequence..."),
    ("softmax", {"X": sparse.csr_array(np.where(X.max() == X, np.nan, X))}, ValueError,
     "X: expected finite numbers in the range of float32; got 1 that are NaN..."),
    ("softmax", {"X": sparse.coo_matrix(X * 1j)}, TypeError,
     "X: expected real numbers; got a sparse matrix of complex128"),
    # y
    ("softmax", {"y": LABELS[:-1]}, ValueError,
     "y: expected 12 rows, as in X; got 11"),
    ("linear", {"y": np.append(NUMBERS, 0)}, ValueError,
     "y: expected 12 rows, as in X; got 13"),
    ("linear", {"y": []}, ValueError, "y: expected 12 rows, as in X; got 0"),
    ("linear", {"y": 1.0}, ValueError, "y: expected 1 or 2 dimensions; got shape ()"),
    ("linear", {"y": NUMBERS[:, None, None]}, ValueError,
     "y: expected 1 or 2 dimensions; got shape (12, 1, 1)"),
    ("linear", {"y": np.zeros((N, 0))}, ValueError,
     "y: expected 1 columns for 1 outputs and squared_error; got 0"),
    ("linear", {"y": np.zeros((N, 2))}, ValueError,
     "y: expected 1 columns for 1 outputs and squared_error; got 2"),
    ("linear", {"y": with_value(NUMBERS, np.nan)}, ValueError,
     "y: expected finite numbers in the range of float32; got 1 that are NaN, infinite or too large"
     " (check_finite=False turns this check off)"),
    ("linear", {"y": with_value(NUMBERS, np.inf)}, ValueError,
     "y: expected finite numbers in the range of float32; got 1 that..."),
    ("linear", {"y": with_value(NUMBERS, 1e39)}, ValueError,
     "y: expected finite numbers in the range of float32; got 1 that..."),
    ("linear", {"y": NUMBERS.astype(object)}, TypeError,
     "y: expected real numbers; got an array of dtype object"),
    ("softmax", {"y": list("abc" * 4)}, TypeError,
     "y: expected real numbers; got an array of dtype <U1: number the classes, "
     "np.unique(y, return_inverse=True)[1]"),
    ("linear", {"y": NUMBERS * 1j}, TypeError,
     "y: expected real numbers; got an array of dtype complex128"),
    ("softmax", {"y": [[0, 1, 0], [1, 0]] * 6}, ValueError,
     "y: expected an array of numbers; got setting an array element with a sequence..."),
    ("softmax", {"y": sparse.csr_array(ROWS)}, TypeError,
     "y: expected a dense array; got a sparse one: use y.toarray()"),
    # classes
    ("softmax", {"y": LABELS + 1}, ValueError,
     "y: expected labels from 0 to 2 for 3 outputs; got 3"),
    ("softmax", {"y": LABELS - 1}, ValueError,
     "y: expected labels from 0 to 2 for 3 outputs; got -1"),
    ("softmax", {"y": LABELS + 0.5}, ValueError, "y: expected whole numbers as labels; got 0.5"),
    ("softmax", {"y": with_value(LABELS, 2.0 + 1e-9)}, ValueError,
     "y: expected whole numbers as labels; got 2.000000001"),
    ("softmax", {"y": np.full(N, 2**63, np.uint64)}, ValueError,
     "y: expected labels from 0 to 2 for 3 outputs; got 9223372036854775808"),
    ("softmax", {"y": with_value(LABELS, np.nan), "check_finite": False}, ValueError,
     "y: expected whole numbers as labels; got nan"),
    ("softmax", {"y": with_value(LABELS, np.inf), "check_finite": False}, ValueError,
     "y: expected labels from 0 to 2 for 3 outputs; got inf"),
    ("softmax", {"y": ROWS[:, :2]}, ValueError,
     "y: expected labels, or rows of 3 classes; got rows of 2"),
    ("softmax", {"y": np.eye(4)[LABELS]}, ValueError,
     "y: expected labels, or rows of 3 classes; got rows of 4"),
    ("softmax", {"y": ROWS * 2}, ValueError,
     "y: expected one-hot rows or rows of probabilities, which sum to 1; got sums that differ "
     "from 1 by up to 1, smallest value 0"),
    ("softmax", {"y": ROWS * 0}, ValueError,
     "y: expected one-hot rows or rows of probabilities, which sum to 1; got sums that differ..."),
    ("softmax", {"y": np.ones((N, 3), bool)}, ValueError,
     "y: expected one-hot rows or rows of probabilities, which sum to 1; got sums that differ..."),
    ("softmax", {"y": ROWS * 2 - 1 / 3}, ValueError,
     "y: expected one-hot rows or rows of probabilities, which sum to 1; got sums that differ "
     "from 1 by up to ..., smallest value -0.333"),
    ("softmax", {"y": with_value(ROWS, np.nan), "check_finite": False}, ValueError,
     "y: expected one-hot rows or rows of probabilities, which sum to 1; got sums that differ..."),
    # targets outside of the range of the loss
    ("sigmoid", {"y": BINARY * 2}, ValueError,
     "y: expected labels 0 and 1, or probabilities; got 2: for class labels, end in "
     "Dense(3, \"softmax\")"),
    ("sigmoid", {"y": BINARY - 0.25}, ValueError,
     "y: expected labels 0 and 1, or probabilities; got -0.25"),
    ("exp", {"y": BINARY - 1}, ValueError, "y: expected counts of at least 0; got -1"),
    ("linear", {"y": BINARY - 0.5, "loss": "poisson"}, ValueError,
     "y: expected counts of at least 0; got -0.5"),
    ("linear", {"y": BINARY * 2, "loss": "hinge"}, ValueError,
     "y: expected labels 0 and 1, or -1 and 1; got [0, 2]"),
    ("linear", {"y": LABELS - 1, "loss": "hinge"}, ValueError,
     "y: expected labels 0 and 1, or -1 and 1; got [-1, 0, 1]"),
    ("step", {"y": BINARY * 2}, ValueError,
     "y: expected labels 0 and 1, or -1 and 1; got [0, 2]"),
    ("three", {"y": ROWS, "loss": "gaussian_nll"}, ValueError,
     "loss: expected an even number of outputs for gaussian_nll (means, then log variances); "
     "got 3"),
    ("linear", {"y": BINARY, "loss": "cross_entropy"}, ValueError,
     "loss: expected at least 2 outputs for cross_entropy; got 1: use binary_cross_entropy for a "
     "single output"),
    # sample_weight
    ("linear", {"sample_weight": with_value(np.ones(N), -1)}, ValueError,
     "sample_weight: expected weights of at least 0; got -1.0"),
    ("linear", {"sample_weight": with_value(np.ones(N), np.nan)}, ValueError,
     "sample_weight: expected finite numbers in the range of float32; got 1 that..."),
    ("linear", {"sample_weight": np.full(N, np.inf)}, ValueError,
     "sample_weight: expected finite numbers in the range of float32; got 12 that..."),
    ("linear", {"sample_weight": with_value(np.ones(N), np.nan), "check_finite": False}, ValueError,
     "sample_weight: expected finite numbers in the range of float32; got 1 that..."),
    ("linear", {"sample_weight": np.zeros(N)}, ValueError,
     "sample_weight: expected at least one weight above 0; got none"),
    ("linear", {"sample_weight": np.ones(N - 1)}, ValueError,
     "sample_weight: expected shape (12,); got (11,)"),
    ("linear", {"sample_weight": np.ones((N, 1))}, ValueError,
     "sample_weight: expected shape (12,); got (12, 1)"),
    ("linear", {"sample_weight": 1.0}, ValueError,
     "sample_weight: expected shape (12,); got ()"),
    ("linear", {"sample_weight": ["1"] * N}, TypeError,
     "sample_weight: expected real numbers; got an array of dtype <U1"),
    ("linear", {"sample_weight": "balanced"}, TypeError,
     "sample_weight: expected real numbers; got an array of dtype <U8"),
]

# Invalid only for a built network.
WIDTHS = [
    ("softmax", {"X": X[:, :2]}, ValueError,
     "X: expected 3 features, as the network was built for; got 2"),
    ("softmax", {"X": np.hstack([X, X])}, ValueError,
     "X: expected 3 features, as the network was built for; got 6"),
]

OPTIONS = [
    ("linear", {"batch_size": 0}, ValueError,
     "batch_size: expected a whole number of at least 1; got 0"),
    ("linear", {"batch_size": -32}, ValueError,
     "batch_size: expected a whole number of at least 1; got -32"),
    ("linear", {"batch_size": 32.0}, TypeError,
     "batch_size: expected a whole number of at least 1; got 32.0 (float)"),
    ("linear", {"batch_size": True}, TypeError,
     "batch_size: expected a whole number of at least 1; got True (bool)"),
    ("linear", {"batch_size": None}, TypeError,
     "batch_size: expected a whole number of at least 1; got None (NoneType)"),
    ("linear", {"batch_size": "all"}, ValueError,
     "batch_size: expected one of ['full']; got 'all'. Did you mean 'full'?"),
    ("linear", {"batch_size": "Full"}, ValueError,
     "batch_size: expected one of ['full']; got 'Full'. Did you mean 'full'?"),
    ("linear", {"epochs": -1}, ValueError,
     "epochs: expected a whole number of at least 0; got -1"),
    ("linear", {"epochs": 3.0}, TypeError,
     "epochs: expected a whole number of at least 0; got 3.0 (float)"),
    ("linear", {"epochs": True}, TypeError,
     "epochs: expected a whole number of at least 0; got True (bool)"),
    ("linear", {"epochs": 2**63}, ValueError,
     "epochs: expected a whole number of at least 0; got 9223372036854775808"),
    ("linear", {"diagnostics": 1}, TypeError, "diagnostics: expected True or False; got 1 (int)"),
    ("linear", {"diagnostics": True, "optimizer": "lbfgs"}, ValueError,
     "diagnostics: expected False with LBFGS; got True"),
    ("linear", {"gradient_targets": 0.0}, ValueError,
     "gradient_targets: expected shape (n, n_outputs, n_features) = ..."),
    ("linear", {"gradient_weight": 0}, ValueError,
     "gradient_weight: expected a finite number above 0; got 0"),
    ("linear", {"gradient_weight": "0.1"}, TypeError,
     "gradient_weight: expected a finite number above 0; got '0.1' (str)"),
    ("linear", {"n_threads": 0}, ValueError,
     "n_threads: expected a whole number of at least 1; got 0"),
    ("linear", {"n_threads": -1}, ValueError,
     "n_threads: expected a whole number of at least 1; got -1"),
    ("linear", {"n_threads": 1.5}, TypeError,
     "n_threads: expected a whole number of at least 1; got 1.5 (float)"),
    ("linear", {"n_threads": 0, "engine": "reference"}, ValueError,
     "n_threads: expected a whole number of at least 1; got 0"),
    ("linear", {"loss": "cross_entrop"}, ValueError,
     "loss: expected one of ['absolute_error', ...]; got 'cross_entrop'. "
     "Did you mean 'cross_entropy'?"),
    ("linear", {"loss": "MSE"}, ValueError,
     "loss: expected one of [...]; got 'MSE'. Did you mean 'mse'?"),
    ("linear", {"loss": ""}, ValueError, "loss: expected one of [...]; got ''."),
    ("linear", {"loss": losses.Huber}, TypeError,
     "loss: expected one of [...]; got the class Huber: use Huber()"),
    ("linear", {"loss": np.square}, TypeError,
     "loss: expected one of [...]; got <ufunc 'square'> (ufunc)"),
    ("linear", {"optimizer": "adamm"}, ValueError,
     "optimizer: expected one of ['adagrad', 'adam', 'adamw', 'lbfgs', "
     "'levenberg_marquardt', 'rmsprop', 'sgd']; got 'adamm'. "
     "Did you mean 'adam'?"),
    ("linear", {"optimizer": ""}, ValueError,
     "optimizer: expected one of ['adagrad', 'adam', 'adamw', 'lbfgs', "
     "'levenberg_marquardt', 'rmsprop', 'sgd']; got ''."),
    ("linear", {"optimizer": 0.1}, TypeError,
     "optimizer: expected one of [...]; got 0.1 (float)"),
    ("linear", {"optimizer": optimizers.Adam}, TypeError,
     "optimizer: expected one of [...]; got the class Adam: use Adam()"),
    ("linear", {"shuffle": "epochs"}, ValueError,
     "shuffle: expected one of ['epoch', 'never', 'once']; got 'epochs'. Did you mean 'epoch'?"),
    ("linear", {"shuffle": 1}, TypeError,
     "shuffle: expected one of ['epoch', 'never', 'once']; got 1 (int)"),
    ("linear", {"engine": "Native"}, ValueError,
     "engine: expected one of ['native', 'reference']; got 'Native'. Did you mean 'native'?"),
    ("linear", {"engine": None}, TypeError,
     "engine: expected one of ['native', 'reference']; got None (NoneType)"),
    ("linear", {"check_finite": 0}, TypeError,
     "check_finite: expected True or False; got 0 (int)"),
    ("linear", {"training": 1}, TypeError, "training: expected True or False; got 1 (int)"),
    ("linear", {"verbose": -1}, ValueError,
     "verbose: expected True, False or a whole number of at least 0; got -1"),
    ("linear", {"verbose": "yes"}, TypeError,
     "verbose: expected True, False or a whole number of at least 0; got 'yes' (str)"),
    # validation_data
    ("linear", {"validation_data": X}, TypeError,
     "validation_data: expected (X, y) or (X, y, sample_weight); got array(...... (ndarray)"),
    ("linear", {"validation_data": 0.1}, TypeError,
     "validation_data: expected (X, y) or (X, y, sample_weight); got 0.1 (float)"),
    ("linear", {"validation_data": (X,)}, ValueError,
     "validation_data: expected (X, y) or (X, y, sample_weight); got 1 items"),
    ("linear", {"validation_data": (X, NUMBERS, NUMBERS, NUMBERS)}, ValueError,
     "validation_data: expected (X, y) or (X, y, sample_weight); got 4 items"),
    ("linear", {"validation_data": (X[:, :2], NUMBERS)}, ValueError,
     "X of validation_data: expected 3 features, as in X; got 2"),
    ("linear", {"validation_data": (X[:0], NUMBERS[:0])}, ValueError,
     "X of validation_data: expected at least one row and feature; got shape (0, 3)"),
    ("linear", {"validation_data": (X[:5], NUMBERS)}, ValueError,
     "y of validation_data: expected 5 rows, as in X; got 12"),
    ("softmax", {"validation_data": (X, LABELS + 1)}, ValueError,
     "y of validation_data: expected labels from 0 to 2 for 3 outputs; got 3"),
    ("linear", {"validation_data": (X, NUMBERS, -np.ones(N))}, ValueError,
     "sample_weight of validation_data: expected weights of at least 0; got -1.0"),
    ("linear", {"validation_data": (with_value(X, np.nan), NUMBERS)}, ValueError,
     "X of validation_data: expected finite numbers in the range of float32; got 1 that..."),
    # validation_split, class_weight, train_metrics, reset_optimizer
    ("linear", {"validation_split": 1.5}, ValueError,
     "validation_split: expected a finite number above 0 and below 1; got 1.5"),
    ("linear", {"validation_split": 0.1, "validation_data": (X, NUMBERS)}, ValueError,
     "validation_split: expected None with validation_data; got 0.1"),
    ("softmax", {"class_weight": {7: 1.0}}, ValueError,
     "class_weight: expected classes of [0, 1, 2]; got 7"),
    ("softmax", {"class_weight": "equal"}, ValueError,
     "class_weight: expected one of ['balanced']; got 'equal'."),
    ("linear", {"class_weight": {0: 1.0}}, ValueError,
     "class_weight: expected None unless each row of y has a single class; got {0: 1.0} (dict)"),
    ("linear", {"train_metrics": "epoch"}, TypeError,
     "train_metrics: expected True or False; got 'epoch' (str)"),
    ("linear", {"train_metrics": True, "loss": "quantile"}, ValueError,
     "train_metrics: expected False for a loss without metric; got True for Quantile(...)"),
    ("linear", {"reset_optimizer": 0}, TypeError,
     "reset_optimizer: expected True or False; got 0 (int)"),
    # callbacks
    ("linear", {"callbacks": [3]}, TypeError,
     "callbacks: expected a callback or a function of an Epoch; got 3 (int)"),
    ("linear", {"callbacks": "early_stopping"}, TypeError,
     "callbacks: expected a callback or a function of an Epoch; got 'e' (str)"),
    ("linear", {"callbacks": None}, TypeError,
     "callbacks: expected a list of callbacks; got None (NoneType)"),
    ("linear", {"callbacks": fn.EarlyStopping("loss")}, TypeError,
     "callbacks: expected a list of callbacks; got EarlyStopping(monitor=... (EarlyStopping)"),
    ("linear", {"callbacks": [fn.EarlyStopping]}, TypeError,
     "callbacks: expected a callback or a function of an Epoch; got the class EarlyStopping: use "
     "EarlyStopping()"),
    ("linear", {"callbacks": [fn.EarlyStopping()]}, ValueError,
     "monitor: expected one of ['loss', 'learning_rate', 'seconds'] (val_ names need "
     "validation_data); got 'val_loss' in EarlyStopping"),
    ("linear", {"callbacks": [fn.Checkpoint("net", monitor="accuracy")]}, ValueError,
     "monitor: expected one of ['loss', ...; got 'accuracy' in Checkpoint"),
    ("linear", {"callbacks": [fn.ReduceOnPlateau("val_accuracy")],
                "validation_data": (X, NUMBERS)}, ValueError,
     "monitor: expected one of ['loss', 'learning_rate', 'seconds', 'val_loss', 'val_r2']; got "
     "'val_accuracy' in ReduceOnPlateau"),
    # out
    ("linear", {"out": [[0.0]]}, TypeError,
     "out: expected a C-contiguous array of shape (12, 1) and dtype float32; got [[0.0]] (list)"),
    ("linear", {"out": np.empty((11, 1), "f4")}, ValueError,
     "out: expected a C-contiguous array of shape (12, 1) and dtype float32; got shape (11, 1) and "
     "dtype float32"),
    ("linear", {"out": np.empty((12, 1))}, ValueError,
     "out: expected a C-contiguous array of shape (12, 1) and dtype float32; got shape (12, 1) and "
     "dtype float64"),
    ("linear", {"out": np.empty((12, 2), "f4")[:, :1]}, ValueError,
     "out: expected a C-contiguous array of shape (12, 1) and dtype float32, writeable and "
     "aligned; got strides (8, 4)"),
    ("linear", {"out": np.broadcast_to(np.float32(0), (12, 1))}, ValueError,
     "out: expected a C-contiguous array of shape (12, 1) and dtype float32, writeable and "
     "aligned; got strides (0, 0), read-only"),
]
# fmt: on


def cases(table, methods=METHODS):
    """All pairs of a row and a method that has all of its parameters."""
    rows = []
    for number, (head, changes, error, message) in enumerate(table):
        for method in methods:
            if set(changes) <= set(inspect.signature(getattr(fn.Sequential, method)).parameters):
                name = f"{method}-{number}-{'-'.join(changes)}"
                rows.append(pytest.param(method, head, changes, error, message, id=name))
    return rows


def call_with(net, method, head, changes):
    arguments = {"X": X, "y": HEADS[head][1]} | changes
    if method == "predict":
        del arguments["y"]
    return getattr(net, method)(**arguments)


@pytest.mark.parametrize(
    ("method", "head", "changes", "error", "message"), cases(ARRAYS + WIDTHS + OPTIONS)
)
def test_trained_network_is_unchanged_by_invalid_input(method, head, changes, error, message):
    net = trained(head)
    before, predictions = get_all_state(net), net.predict(X)
    assert_refuses(lambda: call_with(net, method, head, changes), error, message)
    assert get_all_state(net) == before
    assert net.predict(X).tobytes() == predictions.tobytes()
    assert call_with(net, method, head, {}) is not None


@pytest.mark.parametrize(
    ("method", "head", "changes", "error", "message"),
    cases(ARRAYS + OPTIONS, ("fit", "partial_fit")),
)
def test_new_network_stays_unbuilt_after_invalid_input(method, head, changes, error, message):
    net = network(head)
    before = get_all_state(net)
    assert_refuses(lambda: call_with(net, method, head, changes), error, message)
    assert get_all_state(net) == before
    assert net.n_features_in is None
    net.fit(X[:, :2], HEADS[head][1], epochs=1)
    assert net.n_features_in == 2


def test_every_parameter_of_every_call_is_in_the_tables():
    tested = {name for _, changes, _, _ in ARRAYS + WIDTHS + OPTIONS for name in changes}
    taken = {
        name for method in METHODS for name in inspect.signature(getattr(fn.Sequential, method))
        .parameters
    }  # fmt: skip
    assert taken - tested == {"self"}


# ---- check_finite=False --------------------------------------------------------------------------


def test_predict_propagates_nan_without_the_check():
    predictions = trained("linear").predict(with_value(X, np.nan), check_finite=False)
    assert np.isnan(predictions[:, 0]).tolist() == [row == 1 for row in range(N)]


@pytest.mark.parametrize("changes", [{"X": with_value(X, np.nan)}, {"y": np.full(N, np.nan)}])
def test_training_diverges_on_nan_without_the_check(changes):
    net = trained("linear")
    before = net.parameters.tobytes()
    with pytest.warns(fn.DivergenceWarning, match="restored the weights from before this fit"):
        call_with(net, "fit", "linear", changes | {"check_finite": False})
    assert net.parameters.tobytes() == before


def test_float64_accepts_values_beyond_float32():
    net = network("linear", "float64").build(3)
    assert np.isfinite(net.predict(X * 1e300)).all()
    with pytest.raises(ValueError, match="in the range of float64; got 36"):
        net.predict((X + 10).astype(np.longdouble) * np.longdouble("1e4000"))


# ---- batch size ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [N, N + 1, 10**9, 2**63 - 1, np.int64(50)])
def test_batch_size_above_the_number_of_rows(batch_size):
    full, more = network("linear"), network("linear")
    full.fit(X, NUMBERS, batch_size="full", epochs=3)
    more.fit(X, NUMBERS, batch_size=batch_size, epochs=3)
    assert full.parameters.tobytes() == more.parameters.tobytes()
    assert more.n_steps == 3


# ---- losses and last activations ----------------------------------------------------------------

UNFIT = [
    (loss, activation)
    for loss, fitting in losses.HEADS.items()
    for activation in ACTIVATIONS
    if activation not in fitting
]


@pytest.mark.parametrize(("loss", "activation"), UNFIT)
def test_loss_that_does_not_match_the_last_activation(loss, activation):
    net = fn.Sequential(fn.Dense(2, activation))
    fitting = ", ".join(map(repr, losses.HEADS[loss]))
    message = (
        f"loss: expected a loss that fits the last layer's activation {activation!r}; got {loss!r},"
        f" which takes {fitting}"
    )
    assert_refuses(lambda: net.fit(X, ROWS[:, :2], loss=loss), ValueError, message)
    assert net.n_features_in is None


def test_number_of_pairs_that_do_not_match():
    assert len(UNFIT) > 80
    assert {loss for loss, _ in UNFIT} == set(losses.CLASSES)


# ---- descriptions: layers, optimizers, schedules, losses, callbacks -----------------------------

# fmt: off
DESCRIPTIONS = [
    (lambda: fn.Dense(0), ValueError, "units: expected a whole number of at least 1; got 0"),
    (lambda: fn.Dense(-3), ValueError, "units: expected a whole number of at least 1; got -3"),
    (lambda: fn.Dense(2.0), TypeError,
     "units: expected a whole number of at least 1; got 2.0 (float)"),
    (lambda: fn.Dense("8"), TypeError,
     "units: expected a whole number of at least 1; got '8' (str)"),
    (lambda: fn.Dense(2, "reLU"), ValueError,
     "activation: expected one of [...]; got 'reLU'. Did you mean 'relu'?"),
    (lambda: fn.Dense(2, "sigmod"), ValueError,
     "activation: expected one of [...]; got 'sigmod'. Did you mean 'sigmoid'?"),
    (lambda: fn.Dense(2, "xyz"), ValueError, "activation: expected one of [...]; got 'xyz'."),
    (lambda: fn.Dense(2, None), TypeError,
     "activation: expected one of [...]; got None (NoneType)"),
    (lambda: fn.Dense(2, np.tanh), TypeError,
     "activation: expected one of [...]; got <ufunc 'tanh'> (ufunc)"),
    (lambda: fn.Dense(2, use_bias=1), TypeError,
     "use_bias: expected True or False; got 1 (int)"),
    (lambda: fn.Dense(2, weight_init="glorot_unifrom"), ValueError,
     "weight_init: expected one of ['auto', ...]; got 'glorot_unifrom'. "
     "Did you mean 'glorot_uniform'?"),
    (lambda: fn.Dense(2, weight_init=np.zeros((3, 2))), TypeError,
     "weight_init: expected a name (auto, ...) or an object of fastnn.initializers; got array(..."),
    (lambda: fn.Dense(2, bias_init="ones"), ValueError,
     "bias_init: expected one of ['zeros']; got 'ones'...."),
    (lambda: fn.Dense(2, bias_init=np.nan), ValueError,
     "bias_init: expected a finite number; got nan"),
    (lambda: fn.Dense(2, l1=-1e-3), ValueError,
     "l1: expected a finite number at least 0; got -0.001"),
    (lambda: fn.Dense(2, l2=np.inf), ValueError,
     "l2: expected a finite number at least 0; got inf"),
    (lambda: fn.activations.leaky_relu(-0.1), ValueError,
     "slope: expected a finite number at least 0.0; got -0.1"),
    (lambda: fn.activations.elu(np.nan), ValueError,
     "alpha: expected a finite number at least 0.0; got nan"),
    (lambda: fn.activations.Activation("tanh", 0.5), ValueError,
     "parameter: expected none for activation 'tanh'; got 0.5"),
    (lambda: fn.Dropout(1), ValueError,
     "rate: expected a finite number at least 0 and below 1; got 1"),
    (lambda: fn.Dropout(-0.1), ValueError,
     "rate: expected a finite number at least 0 and below 1; got -0.1"),
    (lambda: fn.Dropout(50), ValueError,
     "rate: expected a finite number at least 0 and below 1; got 50"),
    (lambda: fn.Dropout(np.nan), ValueError,
     "rate: expected a finite number at least 0 and below 1; got nan"),
    (lambda: fn.Dropout("0.5"), TypeError,
     "rate: expected a finite number at least 0 and below 1; got '0.5' (str)"),
    (lambda: fn.Dropout(True), TypeError,
     "rate: expected a finite number at least 0 and below 1; got True (bool)"),
    (fn.Residual, ValueError, "Residual: expected at least one layer; got none"),
    (lambda: fn.Residual(3), TypeError,
     "Residual: layer 0: expected Dense, Dropout, Residual or Scale; got 3 (int)"),
    (fn.Sequential, ValueError, "layers: expected at least one layer; got none"),
    (lambda: fn.Sequential(fn.Dense(2), "relu"), TypeError,
     "layers: layer 1: expected Dense, Dropout, Residual or Scale; got 'relu' (str)"),
    (lambda: fn.Sequential([fn.Dense(2)]), TypeError,
     "layers: expected layers one by one; got a list: use Sequential(*layers)"),
    (lambda: fn.Sequential(fn.Dense), TypeError,
     "layers: layer 0: expected Dense, Dropout, Residual or Scale; got the class Dense: use "
     "Dense()"),
    (lambda: fn.Sequential(fn.Sequential(fn.Dense(2))), TypeError,
     "layers: layer 0: expected Dense, Dropout, Residual or Scale; got Sequential(...... "
     "(Sequential)"),
    (lambda: fn.Sequential(fn.Dense(1), random_state=-1), ValueError,
     "random_state: expected a whole number of at least 0; got -1"),
    (lambda: fn.Sequential(fn.Dense(1), random_state=1.0), TypeError,
     "random_state: expected a whole number of at least 0; got 1.0 (float)"),
    (lambda: fn.Sequential(fn.Dense(1), random_state=2**63), ValueError,
     "random_state: expected a whole number of at least 0; got 9223372036854775808"),
    (lambda: fn.Sequential(fn.Dense(1), random_state="0"), TypeError,
     "random_state: expected a whole number of at least 0; got '0' (str)"),
    (lambda: fn.Sequential(fn.Dense(1), dtype="float16"), ValueError,
     "dtype: expected 'float32' or 'float64'; got 'float16'"),
    (lambda: fn.Sequential(fn.Dense(1), dtype="flaot32"), ValueError,
     "dtype: expected 'float32' or 'float64'; got 'flaot32'"),
    (lambda: fn.Sequential(fn.Dense(1), dtype="f4,("), ValueError,
     "dtype: expected 'float32' or 'float64'; got 'f4,('"),
    (lambda: fn.Sequential(fn.Dense(1), dtype={}), ValueError,
     "dtype: expected 'float32' or 'float64'; got {}"),
    (lambda: fn.Sequential(fn.Dense(1), dtype=int), ValueError,
     "dtype: expected 'float32' or 'float64'; got <class 'int'>"),
    (lambda: fn.Sequential(fn.Dense(1), dtype=None), ValueError,
     "dtype: expected 'float32' or 'float64'; got None"),
    # building
    (lambda: fn.Sequential(fn.Dropout(0.1)).build(3), ValueError,
     "layers: expected at least one Dense layer; got none"),
    (lambda: fn.Sequential(fn.Residual(fn.Dense(4))).build(3), ValueError,
     "layer 0: expected Residual to end with 3 units, its number of inputs; got 4"),
    (lambda: fn.Sequential(fn.Dense(5), fn.Residual(fn.Dense(5), fn.Dense(2))).fit(X, ROWS),
     ValueError, "layer 1: expected Residual to end with 5 units, its number of inputs; got 2"),
    (lambda: fn.Sequential(fn.Dense(3, "softmax"), fn.Dense(1)).build(3), ValueError,
     "layer 0: expected softmax on the last layer only; got it here"),
    (lambda: fn.Sequential(fn.Dense(3, "softmax"), fn.Dropout(0.1)).build(3), ValueError,
     "layer 0: expected softmax on the last layer only; got it before Dropout, which belongs "
     "before the last Dense"),
    (lambda: fn.Sequential(fn.Residual(fn.Dense(3, "softmax"))).build(3), ValueError,
     "layer 0, layer 0: expected softmax on the last layer only; got it here"),
    (lambda: fn.Sequential(fn.Dense(1)).build(0), ValueError,
     "n_features: expected a whole number of at least 1; got 0"),
    (lambda: fn.Sequential(fn.Dense(1)).build(3.0), TypeError,
     "n_features: expected a whole number of at least 1; got 3.0 (float)"),
    (lambda: fn.Sequential(fn.Dense(1)).build(2**63), ValueError,
     "n_features: expected a whole number of at least 1; got 9223372036854775808"),
    (lambda: fn.Sequential(fn.Dense(1)).build(2**62), ValueError,
     "layers: expected a network that fits into memory; got 4611686018427387905 parameters..."),
    (lambda: fn.Sequential(fn.Dense(10**12), fn.Dense(10**12)).build(1), ValueError,
     "layers: expected a network that fits into memory; got 1000000000003000000000000 "
     "parameters (widest layer 1000000000000), whose buffers take ... bytes"),
    (lambda: fn.Sequential(fn.Dense(np.int64(2**40)), fn.Dense(np.int64(2**40))).build(1),
     ValueError, "layers: expected a network that fits into memory; got 12089258196..."),
    (lambda: fn.Sequential(fn.Dense(10**12), fn.Dense(10**12)).fit(X, NUMBERS), ValueError,
     "layers: expected a network that fits into memory; got 1000000000005000000000000 ..."),
    # losses
    (lambda: losses.Huber(0), ValueError, "delta: expected a finite number above 0; got 0"),
    (lambda: losses.Huber(np.nan), ValueError, "delta: expected a finite number above 0; got nan"),
    (lambda: losses.Quantile(1.0), ValueError,
     "quantile: expected a finite number above 0 and below 1; got 1.0"),
    (lambda: losses.CrossEntropy(1.0), ValueError,
     "label_smoothing: expected a finite number at least 0 and below 1; got 1.0"),
    # optimizers
    (lambda: optimizers.SGD(momentum=1), ValueError,
     "momentum: expected a finite number at least 0 and below 1; got 1"),
    (lambda: optimizers.SGD(nesterov=1), TypeError,
     "nesterov: expected True or False; got 1 (int)"),
    (lambda: optimizers.SGD(10**400), ValueError,
     "learning_rate: expected a finite number above 0; got 1000..."),
    (lambda: optimizers.RMSprop(rho=-0.1), ValueError,
     "rho: expected a finite number at least 0 and below 1; got -0.1"),
    (lambda: optimizers.Adam(beta_1=1.0), ValueError,
     "beta_1: expected a finite number at least 0 and below 1; got 1.0"),
    (lambda: optimizers.AdamW(beta_2=np.nan), ValueError,
     "beta_2: expected a finite number at least 0 and below 1; got nan"),
    (lambda: optimizers.Adagrad(epsilon=0.0), ValueError,
     "epsilon: expected a finite number above 0; got 0.0"),
    (lambda: optimizers.AdamW(weight_decay=-1), ValueError,
     "weight_decay: expected a finite number at least 0; got -1"),
    # schedules
    (lambda: schedules.Cyclic(0.1, 0.1, 5), ValueError,
     "max_learning_rate: expected a finite number above 0.1; got 0.1"),
    (lambda: schedules.Cyclic(0.1, 0.2, 5, "triangle"), ValueError,
     "mode: expected one of ['triangular', 'triangular2']; got 'triangle'. "
     "Did you mean 'triangular'?"),
    (lambda: schedules.WarmRestarts(0.1, 5, min_learning_rate=0.2), ValueError,
     "max_learning_rate: expected a finite number above 0.2; got 0.1"),
    (lambda: schedules.OneCycle(0.1, warmup_share=1.5), ValueError,
     "warmup_share: expected a finite number at least 0 and at most 1; got 1.5"),
    (lambda: schedules.OneCycle(0.1, end_divisor=0.5), ValueError,
     "end_divisor: expected a finite number at least 1; got 0.5"),
    (lambda: Warmup(0.1, 5), TypeError,
     "after: expected a schedule of fastnn.schedules; got 0.1 (float)"),
    # initializers
    (lambda: fn.initializers.Constant("1"), TypeError,
     "value: expected a finite number; got '1' (str)"),
    (lambda: fn.initializers.Uniform(1.0, 1.0), ValueError,
     "high: expected a finite number above 1.0; got 1.0"),
    (lambda: fn.initializers.Normal(std=-1.0), ValueError,
     "std: expected a finite number at least 0; got -1.0"),
    (lambda: fn.initializers.Orthogonal(np.inf), ValueError,
     "gain: expected a finite number; got inf"),
    (lambda: fn.initializers.Scaled("glorrot"), ValueError,
     "rule: expected one of ['glorot', 'he', 'lecun']; got 'glorrot'. Did you mean 'glorot'?"),
    (lambda: fn.initializers.Scaled("he", "gauss"), ValueError,
     "distribution: expected one of ['normal', 'uniform']; got 'gauss'...."),
    # callbacks
    (lambda: fn.EarlyStopping(5), TypeError,
     "monitor: expected a name that History records; got 5 (int)"),
    (lambda: fn.EarlyStopping(patience=-1), ValueError,
     "patience: expected a whole number of at least 0; got -1"),
    (lambda: fn.EarlyStopping(min_delta=np.nan), ValueError,
     "min_delta: expected a finite number at least 0; got nan"),
    (lambda: fn.ReduceOnPlateau(factor=1.0), ValueError,
     "factor: expected a finite number above 0 and below 1; got 1.0"),
    (lambda: fn.Checkpoint(None), TypeError, "path: expected a path; got None (NoneType)"),
    # files
    (lambda: fn.load(5), TypeError, "path: expected a path; got 5 (int)"),
    (lambda: trained("linear").save(None), TypeError,
     "path: expected a path; got None (NoneType)"),
]
# fmt: on


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [pytest.param(*row, id=f"{n}-{row[2].split(':')[0]}") for n, row in enumerate(DESCRIPTIONS)],
)
def test_invalid_arguments_of_constructors(call, error, message):
    assert_refuses(call, error, message)


@pytest.mark.parametrize("kind", optimizers.CLASSES.values())
@pytest.mark.parametrize("name", ["learning_rate", "clip_norm", "clip_value"])
@pytest.mark.parametrize(
    ("value", "error", "came"),
    [
        (-0.1, ValueError, "-0.1"),
        (0, ValueError, "0"),
        (np.nan, ValueError, "nan"),
        (np.inf, ValueError, "inf"),
        (True, TypeError, "True (bool)"),
        ("0.1", TypeError, "'0.1' (str)"),
        (1j, TypeError, "1j (complex)"),
    ],
)
def test_invalid_numbers_of_every_optimizer(kind, name, value, error, came):
    message = f"{name}: expected a finite number above 0; got {came}"
    assert_refuses(lambda: kind(**{name: value}), error, message)


# schedule: parameters that have to be above 0, at least 0, and whole numbers of at least 1
SCHEDULES = {
    "Constant": ({"learning_rate": 0.1}, {}, {}),
    "StepDecay": ({"initial_learning_rate": 0.1, "factor": 0.5}, {}, {"every": 5}),
    "ExponentialDecay": ({"initial_learning_rate": 0.1, "factor": 0.5}, {}, {"every": 5}),
    "InverseTimeDecay": ({"initial_learning_rate": 0.1}, {"decay": 1, "power": 1}, {}),
    "LinearDecay": ({"initial_learning_rate": 1}, {"final_learning_rate": 0}, {"n_steps": 5}),
    "CosineDecay": ({"initial_learning_rate": 1}, {"final_learning_rate": 0}, {"n_steps": 5}),
    "FlatCosine": ({"initial_learning_rate": 1}, {"flat_share": 0}, {"n_steps": 5}),
    "Cyclic": ({"max_learning_rate": 1}, {"min_learning_rate": 0}, {"half_cycle": 5}),
    "WarmRestarts": ({"max_learning_rate": 1}, {"min_learning_rate": 0}, {"first_period": 5}),
    "OneCycle": ({"max_learning_rate": 1}, {"warmup_share": 0.5}, {"n_steps": 5}),
    "Warmup": ({}, {}, {"n_steps": 5}),
}


def test_every_schedule_is_in_the_table():
    assert [kind.__name__ for kind in schedules.CLASSES] == list(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_invalid_numbers_of_every_schedule(name):
    above, at_least, counts = SCHEDULES[name]
    first = {"after": schedules.Constant(0.1)} if name == "Warmup" else {}
    good = first | above | at_least | counts
    kind = getattr(schedules, name)
    kind(**good)
    for field in above | at_least:
        bad = (-1, np.nan, np.inf, "1", *([0] if field in above else []))
        for value in bad:
            with pytest.raises((ValueError, TypeError)) as caught:
                kind(**good | {field: value})
            assert_message(caught.value, f"{field}: expected a finite number ...; got {value!r}...")
    for field in counts:
        for value in (0, -1, 1.5, True, "5"):
            with pytest.raises((ValueError, TypeError)) as caught:
                kind(**good | {field: value})
            message = f"{field}: expected a whole number of at least 1; got {value!r}..."
            assert_message(caught.value, message)


# ---- the order of calls -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.predict(X),
        lambda net: net.evaluate(X, NUMBERS),
        lambda net: net.loss_and_gradients(X, NUMBERS),
        lambda net: net.save("never_written"),
        lambda net: net.summary(),
        lambda net: net.parameters,
        lambda net: net.weights,
        lambda net: net.biases,
        lambda net: net.n_parameters,
    ],
)
def test_unbuilt_network(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = (
        "network: expected a built one; got one without weights: call fit, or build(n_features)"
    )
    assert_refuses(lambda: call(network("linear")), ValueError, message)
    assert list(tmp_path.iterdir()) == []


def test_build_with_another_number_of_features():
    net = trained("linear")
    before = get_all_state(net)
    message = "n_features: expected 3, as the network was built for; got 4 (call reset() first)"
    assert_refuses(lambda: net.build(4), ValueError, message)
    assert net.build(3) is net
    assert get_all_state(net) == before
    assert net.reset().build(4).n_features_in == 4


def test_network_too_large_for_memory(monkeypatch):
    def no_memory(*_):
        raise MemoryError

    net = fn.Sequential(fn.Dense(10**8))
    monkeypatch.setattr(native, "aligned_zeros", no_memory)
    with pytest.raises(MemoryError):
        net.build(10**8)
    assert net.n_features_in is None
    with pytest.raises(ValueError, match="expected a built one"):
        net.predict(X)


def test_reset_with_an_invalid_seed_changes_nothing():
    net = trained("linear")
    before = get_all_state(net)
    message = "random_state: expected a whole number of at least 0; got -1"
    assert_refuses(lambda: net.reset(random_state=-1), ValueError, message)
    assert get_all_state(net) == before


@pytest.mark.parametrize(
    ("schedule", "name"),
    [
        (LinearDecay(0.1), "LinearDecay"),
        (schedules.CosineDecay(0.1), "CosineDecay"),
        (schedules.OneCycle(0.1), "OneCycle"),
        (Warmup(LinearDecay(0.1), 5), "LinearDecay"),
        (Warmup(Warmup(LinearDecay(0.1), 5), 5), "LinearDecay"),
    ],
)
def test_partial_fit_needs_schedules_with_n_steps(schedule, name):
    message = (
        f"n_steps: expected {name}(n_steps=...) if the number of steps is not known in advance, "
        "as in partial_fit; got None"
    )
    optimizer = optimizers.SGD(schedule)
    net = network("linear")
    assert_refuses(lambda: net.partial_fit(X, NUMBERS, optimizer=optimizer), ValueError, message)
    assert net.n_features_in is None
    net.fit(X, NUMBERS, optimizer=optimizer, epochs=2)  # which knows how many steps it makes
    net.partial_fit(X, NUMBERS)
    before = get_all_state(net)
    other = optimizers.SGD(schedule, momentum=0.5)
    assert_refuses(lambda: net.partial_fit(X, NUMBERS, optimizer=other), ValueError, message)
    assert get_all_state(net) == before


# ---- columns of dataframes -----------------------------------------------------------------------

FRAME = pd.DataFrame(X, columns=["a", "b", "c"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("columns", [["b", "a", "c"], ["a", "b", "d"]])
def test_renamed_or_reordered_columns(method, columns):
    net = network("linear")
    net.fit(FRAME, NUMBERS, epochs=1)
    before = get_all_state(net)
    frame = FRAME.rename(columns={"c": "d"}) if "d" in columns else FRAME[columns]
    message = f"X: expected the columns ['a', 'b', 'c']; got {columns}"
    assert_refuses(lambda: call_with(net, method, "linear", {"X": frame}), ValueError, message)
    assert get_all_state(net) == before
    call_with(net, method, "linear", {"X": X})  # an array has no names to compare


@pytest.mark.parametrize("built", [True, False])
def test_columns_of_validation_data(built):
    net = network("linear")
    if built:
        net.fit(FRAME, NUMBERS, epochs=1)
    before = get_all_state(net)
    message = "X of validation_data: expected the columns ['a', 'b', 'c']; got ['c', 'b', 'a']"
    validation_data = (FRAME[["c", "b", "a"]], NUMBERS)
    assert_refuses(
        lambda: net.fit(FRAME, NUMBERS, validation_data=validation_data), ValueError, message
    )
    assert get_all_state(net) == before


def test_missing_column_is_reported_as_number_of_features():
    net = network("linear")
    net.fit(FRAME, NUMBERS, epochs=1)
    message = "X: expected 3 features, as the network was built for; got 2"
    assert_refuses(lambda: net.predict(FRAME[["a", "b"]]), ValueError, message)


def test_validation_data_with_another_number_of_features():
    net = fn.Sequential(fn.Residual(fn.Dense(3)), fn.Dense(1), random_state=0)
    message = "X of validation_data: expected 3 features, as in X; got 2"
    assert_refuses(
        lambda: net.fit(X, NUMBERS, validation_data=(X[:, :2], NUMBERS)), ValueError, message
    )
    assert net.n_features_in is None
