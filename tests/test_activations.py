"""Each activation of the engine against the reference: values, derivatives, edge cases."""

import numpy as np
import pytest

import fastnn.reference.activations as reference
from fastnn._engine.lowering import DERIVATIVE_FROM_INPUT
from fastnn.activations import NAMES, PARAMETERS, Activation
from fastnn_ext import codes, engine

ELEMENTWISE = [name for name in NAMES if name != "softmax"]

# In units in the last place of the largest of |value|, |z| and 1 (the derivatives of silu and mish
# contain z * (1 - s) with s close to 1). Twice the largest error observed.
TOLERANCE = 8


def compute_native(name, z):
    """Value, first and second derivative at z from the engine."""
    activation = Activation(name)
    parameter = activation.parameter or 0.0
    y, first, second = z.copy(), np.ones_like(z), np.ones_like(z)
    engine.apply_activation(activation.code, parameter, y)
    saved = z if activation.code in DERIVATIVE_FROM_INPUT else y
    if activation.code != codes.Activation.LINEAR:
        engine.apply_derivative(activation.code, parameter, saved, first)
    engine.apply_second_derivative(activation.code, parameter, saved, second)
    return y, first, second


def compute_reference(name, z):
    """Value, first and second derivative at z from the reference."""
    parameter = Activation(name).parameter
    return [f(z.astype(np.float64), parameter) for f in reference.FUNCTIONS[name]]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_value_and_derivatives(name, dtype, rng):
    z = np.concatenate([rng.normal(size=1001), 10 * rng.normal(size=1001), np.linspace(-4, 4, 999)])
    z = z.astype(dtype)
    epsilon = np.finfo(dtype).eps
    for got, expected in zip(compute_native(name, z), compute_reference(name, z), strict=True):
        assert got.dtype == dtype
        error = np.abs(got - expected) / np.maximum(np.maximum(np.abs(expected), np.abs(z)), 1)
        assert error.max() <= TOLERANCE * epsilon, z[error.argmax()]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_large_inputs(name, dtype):
    """Large inputs saturate and never give NaN."""
    z = np.array([-1e4, -700.0, -90.0, -30.0, 30.0, 80.0], dtype)
    with np.errstate(over="ignore"):
        expected = compute_reference(name, z)
    for got, exact in zip(compute_native(name, z), expected, strict=True):
        np.testing.assert_allclose(got, exact.astype(dtype), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_nan_propagates(name, dtype):
    """A network that diverges must show it in its loss."""
    z = np.array([np.nan, 1.0], dtype)
    assert np.isnan(compute_native(name, z)[0][0])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_position_in_array_does_not_matter(name, dtype, rng):
    """Results are bit-identical in a full vector, in a remainder, and for a single element."""
    z = (3 * rng.normal(size=67)).astype(dtype)
    together = compute_native(name, z)
    for i in (0, 15, 16, 63, 64, 66):
        single = compute_native(name, z[i : i + 1])
        assert single[0] == together[0][i]
        assert single[1] == together[1][i]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_is_used(name):
    z = np.array([-2.0])
    y = z.copy()
    engine.apply_activation(Activation(name, 0.25).code, 0.25, y)
    assert y[0] == pytest.approx(reference.FUNCTIONS[name][0](z, 0.25)[0], rel=1e-14)
