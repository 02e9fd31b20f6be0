"""Hints in error messages: names of other libraries, and common mistakes."""

import re
from importlib.util import find_spec

import numpy as np
import pytest

import fastnn as fn
from fastnn import activations, initializers, losses, optimizers
from fastnn._util import checks

HAS_SKLEARN = find_spec("sklearn") is not None
X, Y = np.zeros((6, 2)), np.array([0, 1, 2, 0, 1, 2])


def fit(*layers, y=Y, x=X, **options):
    return fn.Sequential(*layers, random_state=0).fit(x, y, **options)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("swish", "silu"), ("identity", "linear"), ("logistic", "sigmoid"), ("ReLU", "relu"),
        ("LeakyReLU", "leaky_relu"), ("heaviside", "step"), ("Hard Sigmoid", "hard_sigmoid"),
        ("sigmod", "sigmoid"),
    ],
)  # fmt: skip
def test_activations(written, meant):
    with pytest.raises(ValueError, match=f"got {written!r}. Did you mean {meant!r}\\?"):
        fn.Dense(3, written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("log_loss", "cross_entropy"), ("sparse_categorical_crossentropy", "cross_entropy"),
        ("categorical_crossentropy", "cross_entropy"), ("CrossEntropyLoss", "cross_entropy"),
        ("SparseCategoricalCrossentropy", "cross_entropy"),
        ("binary_crossentropy", "binary_cross_entropy"),
        ("BCEWithLogitsLoss", "binary_cross_entropy"), ("mean_squared_error", "squared_error"),
        ("MSELoss", "squared_error"), ("mean_absolute_error", "absolute_error"),
        ("L1Loss", "absolute_error"), ("pinball", "quantile"), ("logcosh", "log_cosh"),
    ],
)  # fmt: skip
def test_losses(written, meant):
    with pytest.raises(ValueError, match=f"got {written!r}. Did you mean {meant!r}\\?"):
        fit(fn.Dense(3, "softmax"), loss=written)


def test_optimizers_and_initializers():
    with pytest.raises(ValueError, match=r"got 'momentum'. Did you mean 'sgd'"):
        fit(fn.Dense(3, "softmax"), optimizer="momentum")
    with pytest.raises(ValueError, match=r"got 'Adam'. Did you mean 'adam'"):
        fit(fn.Dense(3, "softmax"), optimizer="Adam")
    with pytest.raises(ValueError, match=r"got 'kaiming_normal'. Did you mean 'he_normal'"):
        fn.Dense(3, weight_init="kaiming_normal")
    with pytest.raises(ValueError, match=r"got 'xavier_uniform'. Did you mean 'glorot_uniform'"):
        fn.Dense(3, weight_init="xavier_uniform")


def test_other_names_refer_to_existing_names():
    ours = {*activations.NAMES, *losses.CLASSES, *optimizers.ALL_CLASSES, *initializers.BY_NAME}
    for theirs, name in checks.OTHER_NAMES.items():
        assert name in ours, theirs
        assert re.fullmatch("[a-z0-9]+", theirs), "compared without case, spaces and underscores"
        assert theirs not in {one.replace("_", "") for one in ours}


def test_hint_is_an_allowed_name():
    with pytest.raises(ValueError, match=r"got 'swish'\.$"):
        checks.choice("loss", "swish", losses.CLASSES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(fn.Dense(3, "softmax"), optimizer=fn.optimizers.Adam),
         r"optimizer: expected one of .*; got the class Adam: use Adam\(\)"),
        (lambda: fit(fn.Dense(3, "softmax"), loss=fn.losses.CrossEntropy),
         r"loss: expected one of .*; got the class CrossEntropy: use CrossEntropy\(\)"),
        (lambda: fn.Dense(3, weight_init=fn.initializers.Normal),
         r"weight_init: .*; got the class Normal: use Normal\(\)"),
        (lambda: fn.Dense(3, fn.activations.elu),
         r"activation: expected one of .*; got the function elu: use elu\(\)"),
        (lambda: fn.Sequential(fn.Dense(3), fn.Dropout),
         r"layers: layer 1: .*; got the class Dropout: use Dropout\(\)"),
        (lambda: fn.schedules.Warmup(fn.schedules.Constant, 3),
         r"after: .*; got the class Constant: use Constant\(\)"),
    ],
)  # fmt: skip
def test_classes_and_functions_that_were_not_called(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("kind", [list, tuple])
def test_list_of_layers(kind):
    layers = kind([fn.Dense(16), fn.Dense(3, "softmax")])
    with pytest.raises(TypeError, match=rf"layers: .*; got a {kind.__name__}: use Sequential\(\*"):
        fn.Sequential(layers)
    with pytest.raises(TypeError, match=rf"Residual: .*; got a {kind.__name__}: use Residual\(\*"):
        fn.Residual(layers)


SOFTMAX = 'for class labels, end in Dense(3, "softmax")'


@pytest.mark.parametrize("last", ["linear", "relu", "sigmoid"])
def test_class_labels_without_softmax(last):
    with pytest.raises(ValueError, match=rf"y: expected 3 columns .*; got 1: {re.escape(SOFTMAX)}"):
        fit(fn.Dense(4, "relu"), fn.Dense(3, last))


def test_several_classes_with_one_output():
    with pytest.raises(ValueError, match=r"y: expected labels 0 and 1, .*; got 2: " +
                       re.escape(SOFTMAX)):  # fmt: skip
        fit(fn.Dense(1, "sigmoid"))


def test_no_hint_for_regression_targets():
    for y in (Y + 0.5, Y - 1, Y * 1000):
        with pytest.raises(ValueError, match=r"y: expected 3 columns .*; got 1$"):
            fit(fn.Dense(3), y=y)
    with pytest.raises(ValueError, match=r"y: expected labels 0 and 1, or probabilities; got 2.5$"):
        fit(fn.Dense(1, "sigmoid"), y=[0, 1, 2.5, 0, 1, 2])


@pytest.mark.parametrize("labels", [Y.astype(str), Y.astype(str).astype(object), list("abcabc")])
def test_text_labels(labels):
    with pytest.raises(TypeError, match=r"y: expected real numbers; .*: number the classes, "
                       r"np\.unique\(y, return_inverse=True\)\[1\]"):  # fmt: skip
        fit(fn.Dense(3, "softmax"), y=labels)


def test_none_as_array():
    with pytest.raises(TypeError, match="y: expected real numbers; got None"):
        fit(fn.Dense(3, "softmax"), y=None)
    with pytest.raises(TypeError, match="X: expected real numbers; got None"):
        fit(fn.Dense(3, "softmax"), x=None)


def test_dropout_after_softmax():
    with pytest.raises(ValueError, match="layer 0: expected softmax on the last layer only; got it "
                       "before Dropout, which belongs before the last Dense"):  # fmt: skip
        fit(fn.Dense(3, "softmax"), fn.Dropout(0.2))


# ---- columns of frames ----


def frame(kind):
    library = pytest.importorskip(kind)
    return library.DataFrame({
        "age": [1, 2, 3, 4, 5, 6], "sex": list("fmfmfm"), "height": [1.5] * 6,
        "city": ["a", None] * 3,
    })  # fmt: skip


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_non_numeric_columns_are_listed(kind):
    table = frame(kind)
    message = "X: expected real numbers; got none in the columns 'sex', 'city'"
    net = fn.Sequential(fn.Dense(3, "softmax"), random_state=0)
    with pytest.raises(TypeError, match=message):
        net.fit(table, Y)
    net.build(4)
    for call in (net.predict, fn.Standardizer().fit):
        with pytest.raises(TypeError, match=message):
            call(table)


def test_columns_of_categories_dates_and_missing_values_are_listed():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({
        "day": pandas.date_range("2026-01-01", periods=6),
        "kind": pandas.Categorical(list("aabbcc")),
        "number": pandas.array([1, 2, None, 4, 5, 6], "Int64"),
    })  # fmt: skip
    with pytest.raises(TypeError, match=r"got none in the columns 'day', 'kind'$"):
        fit(fn.Dense(3, "softmax"), x=table)


def test_columns_of_object_arrays_are_listed_by_index():
    rows = np.array([[1, "a", 2.0, None]] * 6, object)
    with pytest.raises(TypeError, match="X: expected real numbers; got none in the columns 1, 3"):
        fit(fn.Dense(3, "softmax"), x=rows)


def test_at_most_five_columns_are_listed():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({f"c{i}": list("abcdef") for i in range(30)})
    with pytest.raises(TypeError, match=r"'c0', 'c1', 'c2', 'c3', 'c4' and 25 more$"):
        fit(fn.Dense(3, "softmax"), x=table)


# ---- estimators ----


@pytest.mark.skipif(not HAS_SKLEARN, reason="needs scikit-learn")
def test_parameters_of_other_estimators():
    net = fn.Sequential(fn.Dense(1))
    with pytest.raises(TypeError, match=r"networks are averaged by fastnn.Ensemble"):
        fn.MLPEnsemble(net).fit(X, Y)
    with pytest.raises(TypeError, match="GridSearchCV"):
        fn.MLPSearchCV(net, {}).fit(X, Y)
    for curve in (fn.learning_curve, fn.validation_curve):
        more = {"param_name": "a", "param_range": [1]} if curve is fn.validation_curve else {}
        with pytest.raises(TypeError, match=f"sklearn.model_selection.{curve.__name__}"):
            curve(net, X, Y, **more)
