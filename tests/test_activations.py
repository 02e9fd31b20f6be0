"""Each activation of the engine against the reference: values, slopes, edges, both dtypes."""

import numpy as np
import pytest

import fastnn.reference.activations as reference
from fastnn._engine.lowering import DERIVATIVE_FROM_INPUT
from fastnn.activations import NAMES, PARAMETERS, Activation
from fastnn_ext import codes, engine

ELEMENTWISE = [name for name in NAMES if name != "softmax"]

# In units of the last place of the larger of |value|, |z| and 1 (slopes of silu and mish hold
# z * (1 - s) with s near 1): twice the largest seen.
TOLERANCE = 8


def native(name, z):
    """Value and slope at z as the engine computes them."""
    activation = Activation(name)
    parameter = activation.parameter or 0.0
    y = z.copy()
    engine.apply_activation(activation.code, parameter, y)
    slope = np.ones_like(z)
    engine.apply_derivative(
        activation.code, parameter, z if activation.code in DERIVATIVE_FROM_INPUT else y, slope
    )
    return y, slope if activation.code != codes.Activation.LINEAR else np.ones_like(z)


def expected(name, z):
    value, slope = reference.FUNCTIONS[name]
    parameter = Activation(name).parameter
    return value(z.astype(np.float64), parameter), slope(z.astype(np.float64), parameter)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_slope(name, dtype, rng):
    z = np.concatenate([rng.normal(size=1001), 10 * rng.normal(size=1001), np.linspace(-4, 4, 999)])
    z = z.astype(dtype)
    epsilon = np.finfo(dtype).eps
    for got, want in zip(native(name, z), expected(name, z), strict=True):
        assert got.dtype == dtype
        error = np.abs(got - want) / np.maximum(np.maximum(np.abs(want), np.abs(z)), 1)
        assert error.max() <= TOLERANCE * epsilon, z[error.argmax()]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_far_out(name, dtype):
    """Large arguments saturate; they never become NaN."""
    z = np.array([-1e4, -700.0, -90.0, -30.0, 30.0, 80.0], dtype)
    with np.errstate(over="ignore"):
        value, slope = expected(name, z)
    got, got_slope = native(name, z)
    np.testing.assert_allclose(got, value.astype(dtype), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got_slope, slope.astype(dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_passes_through(name, dtype):
    """A diverged network must show in its loss."""
    z = np.array([np.nan, 1.0], dtype)
    assert np.isnan(native(name, z)[0][0])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_place_in_array_does_not_matter(name, dtype, rng):
    """The same bits in a full vector, in a remainder, and alone."""
    z = (3 * rng.normal(size=67)).astype(dtype)
    together = native(name, z)
    for i in (0, 15, 16, 63, 64, 66):
        alone = native(name, z[i : i + 1])
        assert alone[0] == together[0][i]
        assert alone[1] == together[1][i]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_is_used(name):
    z = np.array([-2.0])
    y = z.copy()
    engine.apply_activation(Activation(name, 0.25).code, 0.25, y)
    assert y[0] == pytest.approx(reference.FUNCTIONS[name][0](z, 0.25)[0], rel=1e-14)
