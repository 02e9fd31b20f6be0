"""Losses of probabilities close to 0 or 1: values and gradients stay accurate. RMSprop, Adam and
Adagrad normalize gradients, so relative accuracy matters even for very small ones."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.losses import CrossEntropy

ENGINES = ["native", "reference"]


def compute_at(z, y, head, loss, dtype, engine):
    """The loss and its gradient with respect to the outputs z before the last activation."""
    net = fn.Sequential(fn.Dense(len(z), head, weight_init="zeros"), dtype=dtype).build(1)
    net.biases[0][:] = z
    value, gradients = net.loss_and_gradients([[0.0]], y, loss=loss, engine=engine)
    return value, gradients["biases"][0]


def tolerance(dtype):
    return 16 * float(np.finfo(dtype).eps)


# Exactly representable in float32 too, so that both dtypes have the same result.
LOGITS = [(0.0, -20.0, -24.0), (1.0, 2.0, 1.5), (-30.0, 0.0, -28.0), (0.0, 0.0, -60.0), (64.0, 0.0)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["labels", "rows"])
@pytest.mark.parametrize("z", LOGITS)
def test_cross_entropy(z, form, dtype, engine):
    e = np.exp(np.array(z) - max(z))
    for label in range(len(z)):
        y = [label] if form == "labels" else [np.eye(len(z))[label]]
        value, gradient = compute_at(z, y, "softmax", "cross_entropy", dtype, engine)
        others = np.delete(e, label).sum()
        expected = e / e.sum()
        expected[label] = -others / e.sum()
        np.testing.assert_allclose(gradient, expected, rtol=tolerance(dtype))
        np.testing.assert_allclose(value, np.log1p(others / e[label]), rtol=tolerance(dtype))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["labels", "rows"])
@pytest.mark.parametrize("z", LOGITS)
def test_smoothed_cross_entropy(z, form, dtype, engine):
    """Absolute tolerance for the gradient: close to zero it is a difference of similar values."""
    p = np.exp(np.array(z) - max(z))
    p /= p.sum()
    for label in range(len(z)):
        t = np.full(len(z), 0.25 / len(z)) + 0.75 * (np.arange(len(z)) == label)
        y = [label] if form == "labels" else [np.eye(len(z))[label]]
        value, gradient = compute_at(z, y, "softmax", CrossEntropy(0.25), dtype, engine)
        np.testing.assert_allclose(gradient, p - t, rtol=0, atol=tolerance(dtype))
        np.testing.assert_allclose(value, -(t * np.log(p)).sum(), rtol=tolerance(dtype))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("z", [0.0, 0.5, 3.0, 20.0, 40.0, 64.0])
def test_binary_cross_entropy(z, dtype, engine):
    e = np.exp(-z)
    for sign, label in ((1, 1), (-1, 0)):
        value, gradient = compute_at(
            [sign * z], [label], "sigmoid", "binary_cross_entropy", dtype, engine
        )
        np.testing.assert_allclose(gradient, [-sign * e / (1 + e)], rtol=tolerance(dtype))
        np.testing.assert_allclose(value, np.log1p(e), rtol=tolerance(dtype))
        value, gradient = compute_at(
            [sign * z], [1 - label], "sigmoid", "binary_cross_entropy", dtype, engine
        )
        np.testing.assert_allclose(gradient, [sign / (1 + e)], rtol=tolerance(dtype))
        np.testing.assert_allclose(value, z + np.log1p(e), rtol=tolerance(dtype))
    value, gradient = compute_at([z], [0.25], "sigmoid", "binary_cross_entropy", dtype, engine)
    np.testing.assert_allclose(gradient, [1 / (1 + e) - 0.25], rtol=tolerance(dtype))
    np.testing.assert_allclose(value, 0.75 * z + np.log1p(e), rtol=tolerance(dtype))
