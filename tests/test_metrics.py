"""Metrics, compared with values computed by hand and with their formulas in plain Python."""

import doctest
import math

import numpy as np
import pytest

from fastnn import metrics

DTYPES = [np.float32, np.float64]


def test_the_examples_in_the_documentation_run():
    result = doctest.testmod(metrics)
    assert result.attempted >= 7
    assert result.failed == 0


def test_accuracy_of_labels():
    assert metrics.accuracy([0, 1, 1, 2], [0, 1, 2, 2]) == 0.75
    assert metrics.accuracy(["cat", "dog"], ["cat", "cat"]) == 0.5
    assert metrics.accuracy(np.array(["a", "b"], dtype=object), ["a", "b"]) == 1.0
    assert metrics.accuracy([True, False], [1.0, 1.0]) == 0.5
    assert isinstance(metrics.accuracy([1], [1]), float)


def test_accuracy_with_weights():
    assert metrics.accuracy([0, 1, 1], [0, 0, 1], [1.0, 2.0, 5.0]) == 0.75
    assert metrics.accuracy([0, 1, 1], [0, 0, 1], [1, 0, 1]) == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_of_scores_predicts_the_first_maximum(dtype):
    scores = np.array([[0.1, 0.9, 0.0], [3.0, 3.0, -1.0], [-5.0, -4.0, -3.0]], dtype)
    assert metrics.accuracy([1, 0, 2], scores) == 1.0
    assert metrics.accuracy([1, 1, 2], scores) == pytest.approx(2 / 3)


def test_multilabel_accuracy_requires_all_labels_of_a_row():
    true = [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    predicted = [[1, 0, 1], [0, 1, 1], [0, 0, 0]]
    assert metrics.accuracy(true, predicted) == pytest.approx(2 / 3)
    assert metrics.accuracy([[1], [0]], [[1], [1]]) == 0.5


@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        ([0, 1], [0], ValueError, r"y_pred: expected y_true's shape \(2,\); got \(1,\)"),
        ([0, 1], [[0.2], [0.9]], ValueError, r"y_pred: .*scores of at least 2 columns; got shape"),
        ([0, 2], [[0.2, 0.8], [0.5, 0.5]], ValueError, "y_true: .*from 0 to 1; got 2"),
        ([[0, 1]], [[0.2, 0.8]], ValueError, "y_pred: expected rows of 0 and 1; got 0.2"),
        ([[0, 2]], [[0, 1]], ValueError, "y_true: expected rows of 0 and 1; got 2"),
        (["a"], [1], TypeError, "y_pred: expected text, as y_true; got numbers"),
        ([], [], ValueError, r"y_true: expected shape .*not empty; got shape \(0,\)"),
        ([0, 1], [0, math.nan], ValueError, "y_pred: expected finite numbers; got nan"),
        ([[0, 1], [1]], [0, 1], ValueError, "y_true: expected rows of equal length; got"),
        ([1j], [1], TypeError, "y_true: expected real numbers; got an array of dtype complex128"),
    ],
)
def test_error_messages_of_accuracy(y_true, y_pred, error, message):
    with pytest.raises(error, match=message):
        metrics.accuracy(y_true, y_pred)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1, 2, 3], r"sample_weight: expected shape \(2,\); got shape \(3,\)"),
        ([1, -1], "sample_weight: expected numbers of at least 0, not all 0; got -1"),
        ([0, 0], "sample_weight: .*not all 0; got 0"),
        ([1, math.inf], "sample_weight: expected finite numbers; got inf"),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "r2", "mean_squared_error", "log_loss"])
def test_all_metrics_check_sample_weight(name, weight, message):
    with pytest.raises(ValueError, match=message):
        getattr(metrics, name)([0, 1], [0, 1], weight)


def test_confusion_matrix_has_true_classes_as_rows_and_predictions_as_columns():
    matrix = metrics.confusion_matrix([0, 0, 1, 2, 2, 2], [0, 2, 1, 2, 2, 0])
    assert matrix.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 2]]
    assert matrix.dtype == np.int64
    assert metrics.confusion_matrix([0], [1], n_classes=3).tolist() == [[0, 1, 0], [0] * 3, [0] * 3]
    small = metrics.confusion_matrix(np.full(300, 15, np.uint8), np.full(300, 15, np.uint8))
    assert small[15, 15] == small.sum() == 300


def test_error_messages_of_confusion_matrix():
    with pytest.raises(ValueError, match="y_pred: expected whole numbers from 0 to 1; got 2"):
        metrics.confusion_matrix([0, 1], [0, 2], n_classes=2)
    with pytest.raises(ValueError, match="y_true: expected whole numbers of at least 0; got -1"):
        metrics.confusion_matrix([-1, 1], [0, 1])
    with pytest.raises(ValueError, match="y_pred: expected y_true's shape"):
        metrics.confusion_matrix([0, 1], [0])
    with pytest.raises(ValueError, match="n_classes: expected a whole number of at least 1; got 0"):
        metrics.confusion_matrix([0], [0], n_classes=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_loss_of_labels_and_one_hot_rows(dtype):
    p = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], dtype)
    by_hand = (math.log(2) - math.log(0.75)) / 2
    assert metrics.log_loss([0, 1], p) == pytest.approx(by_hand, rel=1e-12)
    assert metrics.log_loss([[1, 0, 0], [0, 1, 0]], p) == metrics.log_loss([0, 1], p)
    weighted = (3 * math.log(2) - math.log(0.75)) / 4
    assert metrics.log_loss([0, 1], p, [3, 1]) == pytest.approx(weighted, rel=1e-12)


def test_log_loss_of_rows_of_probabilities_is_the_cross_entropy():
    loss = metrics.log_loss([[0.5, 0.5]], [[0.25, 0.75]])
    assert loss == pytest.approx(-(math.log(0.25) + math.log(0.75)) / 2, rel=1e-12)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_log_loss_of_the_probability_of_class_1(shape):
    p = np.array([0.75, 0.5]).reshape(shape)
    expected = -(math.log(0.75) + math.log(0.5)) / 2
    assert metrics.log_loss([1, 0], p) == pytest.approx(expected, rel=1e-12)
    assert metrics.log_loss([[1], [0]], p) == metrics.log_loss([1, 0], p)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_loss_clips_by_the_eps_of_the_dtype(dtype):
    loss = metrics.log_loss([1], np.array([[1, 0]], dtype))
    assert loss == pytest.approx(-math.log(np.finfo(dtype).eps), rel=1e-7)
    right = metrics.log_loss([0], np.array([[1, 0]], dtype))
    assert 0 < right < 2 * np.finfo(dtype).eps


@pytest.mark.parametrize(
    ("y_true", "p", "message"),
    [
        ([0, 1], [0.5, 1.5], "probabilities: expected numbers from 0 to 1; got 1.5"),
        ([0, 1], [[0.5, 0.6]] * 2, "probabilities: expected rows that sum to 1; got a sum of 1.1"),
        ([0, 2], [[0.5, 0.5]] * 2, "y_true: expected whole numbers from 0 to 1; got 2"),
        ([0, 0.5], [[0.5, 0.5]] * 2, "y_true: expected whole numbers from 0 to 1; got 0.5"),
        ([[1, 1]], [[0.5, 0.5]], "y_true: expected rows that sum to 1"),
        ([[1, 0, 0]], [[0.5, 0.5]], r"probabilities: expected shape \(1, 3\).*got shape \(1, 2\)"),
        ([0, 1, 1], [[0.5, 0.5]], r"probabilities: expected shape \(3, 2\) for y_true of shape"),
    ],
)
def test_error_messages_of_log_loss(y_true, p, message):
    with pytest.raises(ValueError, match=message):
        metrics.log_loss(y_true, p)


def test_r2_by_hand():
    assert metrics.r2([3, -0.5, 2, 7], [2.5, 0.0, 2, 8]) == pytest.approx(1 - 1.5 / 29.1875)
    assert metrics.r2([1, 2, 3], [2, 2, 2]) == 0.0
    assert metrics.r2([1, 2, 3], [3, 2, 1]) == -3.0
    assert metrics.r2([1, 2, 3], [1, 2, 3]) == 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_r2_with_weights_and_outputs_follows_the_formula(dtype):
    rng = np.random.default_rng(1)
    true, predicted = rng.normal(size=(2, 20, 3)).astype(dtype)
    w = rng.uniform(size=20)
    w[0] = 0
    scores = []
    for t, p in zip(true.T.tolist(), predicted.T.tolist(), strict=True):
        mean = sum(a * b for a, b in zip(w, t, strict=True)) / sum(w)
        total = sum(a * (b - mean) ** 2 for a, b in zip(w, t, strict=True))
        error = sum(a * (b - c) ** 2 for a, b, c in zip(w, t, p, strict=True))
        scores.append(1 - error / total)
    assert metrics.r2(true, predicted, w) == pytest.approx(sum(scores) / 3, rel=1e-12)
    assert metrics.r2(true[1:], predicted[1:], w[1:]) == pytest.approx(sum(scores) / 3, rel=1e-12)


def test_r2_of_a_constant_target():
    assert metrics.r2([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]) == 1.0
    assert metrics.r2([0.1, 0.1, 0.1], [0.1, 0.1, 0.2]) == 0.0
    two = [[0.1, 1.0], [0.1, 2.0], [0.1, 3.0]]
    assert metrics.r2(two, [[0.3, 1.0], [0.1, 2.0], [0.1, 3.0]]) == 0.5
    assert metrics.r2([5.0, 0.1, 0.1], [0.0, 0.1, 0.3], [0, 1, 1]) == 0.0


def test_r2_requires_two_rows():
    with pytest.raises(ValueError, match="y_true: expected at least 2 rows; got 1"):
        metrics.r2([1.0], [1.0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_errors_by_hand(dtype):
    true, predicted = np.array([[1, 2], [3, 4]], dtype), np.array([[1, 4], [0, 4]], dtype)
    assert metrics.mean_squared_error(true, predicted) == 13 / 4
    assert metrics.mean_absolute_error(true, predicted) == 5 / 4
    assert metrics.mean_squared_error(true, predicted, [3, 1]) == (3 * 2 + 4.5) / 4
    assert metrics.mean_absolute_error(true, predicted, [3, 1]) == (3 * 1 + 1.5) / 4
    assert metrics.mean_absolute_error([1.0], [-1.0]) == 2.0


def test_unsigned_integers_do_not_wrap_around():
    true, predicted = np.array([0, 255], np.uint8), np.array([255, 0], np.uint8)
    assert metrics.mean_squared_error(true, predicted) == 255**2
    assert metrics.mean_absolute_error(true, predicted) == 255


@pytest.mark.parametrize("name", ["r2", "mean_squared_error", "mean_absolute_error"])
def test_a_column_does_not_broadcast_against_a_vector(name):
    metric = getattr(metrics, name)
    true, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0])
    assert metric(true, predicted[:, None]) == metric(true, predicted)
    with pytest.raises(ValueError, match=r"y_pred: expected y_true's shape \(3,\); got \(3, 2\)"):
        metric(true, np.ones((3, 2)))
    with pytest.raises(TypeError, match="y_true: expected real numbers; got an array of dtype <U1"):
        metric(["a"], [1.0])
