"""Derivatives of the reference against differences, against each other, and by hand."""

import numpy as np
import pytest

from fastnn import losses
from fastnn._engine.job import TrainingJob
from fastnn.activations import NAMES, Activation, elu, leaky_relu
from fastnn.layers import Dense, Dropout, Residual, Scale
from fastnn.optimizers import SGD
from fastnn.reference import activations, derivatives, network, parameters, training

ELEMENTWISE = [name for name in NAMES if name != "softmax"]
POINTS = [-4.1, -2.9, -1.3, -0.2, 0.4, 1.7, 2.8, 3.2]


def make_network(block, name, head="linear", n_outputs=3):
    hidden = [Dense(5, name), Dense(4, name, use_bias=False)]
    if block == "Residual":
        inner = (Dense(6, name), Residual(Dropout(0.3), Dense(6, "tanh")), Dense(4))
        hidden = [Scale(), Dense(4, name), Residual(*inner, Scale()), Dropout(0.5)]
    return (*hidden, Dense(n_outputs, head))


def make_case(layers, n=3, n_features=2, seed=4):
    """Layers, weights, biases and X."""
    rng = np.random.default_rng(seed)
    *_, (_, _, weights, bias) = parameters.locate_parameters(layers, n_features)
    n_params = (weights if bias is None else bias).stop
    flat = 0.6 * rng.normal(size=n_params)
    X = rng.normal(size=(n, n_features))
    return layers, *parameters.split(layers, n_features, flat), X


def predict(case, X=None):
    layers, weights, biases, own_X = case
    return training.predict(layers, parameters.join(weights, biases), own_X if X is None else X)


def differences(f, X, h=1e-5):
    """Central differences of f(X) (n, ...) with respect to each feature, along a new last axis."""
    steps = h * np.eye(X.shape[1])
    return np.stack([(f(X + step) - f(X - step)) / (2 * h) for step in steps], axis=-1)


# ---- second derivatives of activations -----------------------------------------------------------


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_second_derivative_against_differences_of_the_first(name):
    _, derivative, second_derivative = activations.FUNCTIONS[name]
    a, h, z = Activation(name).parameter or 0.0, 1e-5, np.array(POINTS)
    expected = (derivative(z + h, a) - derivative(z - h, a)) / (2 * h)
    np.testing.assert_allclose(second_derivative(z, a), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_second_derivative_of_large_inputs_is_finite(name):
    _, _, second_derivative = activations.FUNCTIONS[name]
    far = np.array([-700.0, 700.0])
    assert np.isfinite(second_derivative(far, Activation(name).parameter or 0.0)).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 0.0), ("leaky_relu", 0.0), ("softsign", 0.0), ("elu", 1.3), ("step", 0.0),
     ("selu", 1.0507009873554805 * 1.6732632423543772)],
)  # fmt: skip
def test_second_derivative_at_a_corner(name, expected):
    _, _, second_derivative = activations.FUNCTIONS[name]
    assert second_derivative(np.zeros(1), 1.3)[0] == pytest.approx(expected)


def test_softmax_derivatives_against_differences():
    z = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(
        activations.softmax_jacobian(z), differences(activations.softmax, z), atol=1e-10
    )
    np.testing.assert_allclose(
        activations.softmax_hessian(z), differences(activations.softmax_jacobian, z), atol=1e-10
    )


# ---- derivatives of networks ---------------------------------------------------------------------

HEADS = [("tanh", head) for head in NAMES] + [("tanh", leaky_relu(0.3)), ("tanh", elu(0.7))]
CASES = [(name, "linear") for name in ELEMENTWISE] + HEADS


@pytest.mark.parametrize("block", ["plain", "Residual"])
@pytest.mark.parametrize(("name", "head"), CASES)
def test_jacobian_and_hessian(block, name, head):
    case = make_case(make_network(block, name, head))
    layers, weights, biases, X = case
    forward, reverse = (derivatives.jacobian(*case, mode) for mode in ("forward", "reverse"))
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-13)
    expected = differences(lambda X: predict(case, X), X)
    np.testing.assert_allclose(forward, expected, rtol=1e-7, atol=1e-8)
    second = differences(lambda X: derivatives.jacobian(layers, weights, biases, X), X)
    for output in range(3):
        hessian = derivatives.hessian(*case, output)
        np.testing.assert_allclose(hessian, second[:, output], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("block", ["plain", "Residual"])
def test_jacobian_against_a_complex_step(block):
    """The difference f(x + ih) of an analytic network has no cancellation."""
    case = make_case(make_network(block, "tanh", "exp"))
    layers, weights, biases, X = case
    f = network.forward
    columns = [f(layers, weights, biases, X + 1e-30j * row)[0].imag / 1e-30 for row in np.eye(2)]
    expected = np.stack(columns, axis=-1)
    np.testing.assert_allclose(derivatives.jacobian(*case), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("block", ["plain", "Residual"])
def test_products_with_vectors(block):
    case = make_case(make_network(block, "gelu", "softmax"))
    rng = np.random.default_rng(1)
    V, U = rng.normal(size=(3, 2)), rng.normal(size=(3, 3))
    J = derivatives.jacobian(*case)
    np.testing.assert_allclose(derivatives.jvp(*case, V), np.einsum("nki,ni->nk", J, V), atol=1e-14)
    np.testing.assert_allclose(derivatives.vjp(*case, U), np.einsum("nki,nk->ni", J, U), atol=1e-14)


def test_modes_multiply_in_opposite_orders():
    """Forward mode multiplies matrices as wide as the features, reverse mode as high as the
    outputs."""
    sizes = []

    class Recorded(np.ndarray):
        def __matmul__(self, other):
            sizes.append((self.shape[1], other.shape[2]))
            return np.asarray(self) @ np.asarray(other)

        def __rmatmul__(self, other):
            sizes.append((other.shape[1], self.shape[2]))
            return np.asarray(other) @ np.asarray(self)

    factors = [np.ones((1, 5, 2)).view(Recorded), np.ones((1, 3, 5)).view(Recorded)]
    derivatives.multiply_forward(factors, np.ones((1, 2, 2)))
    assert sizes == [(5, 2), (3, 2)]
    sizes.clear()
    derivatives.multiply_reverse(factors, np.ones((1, 3, 3)))
    assert sizes == [(3, 5), (3, 2)]


@pytest.mark.parametrize("head", ["linear", "softmax", "sigmoid", "exp"])
@pytest.mark.parametrize("block", ["plain", "Residual"])
def test_parameter_jacobian_against_differences(block, head):
    layers, weights, biases, X = make_case(make_network(block, "silu", head))
    flat = parameters.join(weights, biases)
    J = derivatives.parameter_jacobian(layers, weights, biases, X)
    assert J.shape == (3, 3, len(flat))
    for i, step in enumerate(1e-5 * np.eye(len(flat))):
        ends = [training.predict(layers, flat + sign * step, X) for sign in (1, -1)]
        np.testing.assert_allclose(J[:, :, i], (ends[0] - ends[1]) / 2e-5, rtol=1e-7, atol=1e-8)


def test_parameter_jacobian_if_the_last_layer_is_no_dense():
    layers, weights, biases, X = make_case((Dense(3, "tanh"), Residual(Dense(3, "tanh"))))
    J = derivatives.parameter_jacobian(layers, weights, biases, X)
    assert (J[:, :, -3:] != 0).any()  # through the inner tanh, and the last bias
    assert (np.abs(J[0, :, -3:] - np.diag(np.diag(J[0, :, -3:]))) == 0).all()
    assert (np.diag(J[0, :, -3:]) < 1).all()


@pytest.mark.parametrize("loss", losses.HEADS)
def test_sample_gradients_average_to_the_gradient_of_the_batch(loss, rng):
    resolved, n_outputs = losses.resolve(loss), 4 if loss == "gaussian_nll" else 2
    y = rng.integers(2, size=(3, 1 if loss == "cross_entropy" else 2)).astype(float)
    for head in losses.HEADS[loss]:
        layers, weights, biases, X = make_case(make_network("Residual", "tanh", head, n_outputs))
        gradients = derivatives.sample_gradients(layers, resolved, weights, biases, X, y)
        job = make_job(layers, resolved, X, y)
        flat = parameters.join(weights, biases)
        _, batch = training.loss_and_gradients(job, flat, np.arange(3), 0, False)
        expected = parameters.join(*batch)
        np.testing.assert_allclose(gradients.mean(axis=0), expected, rtol=1e-12, atol=1e-14)
        one = training.loss_and_gradients(job, flat, np.array([1]), 0, False)[1]
        np.testing.assert_allclose(gradients[1], parameters.join(*one), rtol=1e-12, atol=1e-14)


def make_job(layers, loss, X, y):
    return TrainingJob(
        layers=layers, loss=loss, optimizer=SGD(), X=X, y=y, sample_weight=None,
        batch_size=len(X), shuffle="never", seed=0, first_epoch=0, first_step=0,
    )  # fmt: skip


# ---- by hand -------------------------------------------------------------------------------------


def test_by_hand():
    """exp(x_1 + 2 x_2) at x = 0, and the same as the first output of a residual block."""
    X, W = np.zeros((1, 2)), np.array([[1.0], [2.0]])
    case = ((Dense(1, "exp", use_bias=False),), [W], [None], X)
    assert derivatives.jacobian(*case).tolist() == [[[1, 2]]]
    assert derivatives.hessian(*case).tolist() == [[[1, 2], [2, 4]]]
    block = (Residual(Dense(2, "exp", use_bias=False)),)
    case = (block, [np.hstack([W, 0 * W])], [None], X)
    assert derivatives.jacobian(*case).tolist() == [[[2, 2], [0, 1]]]
    assert derivatives.hessian(*case, 0).tolist() == [[[1, 2], [2, 4]]]
    assert derivatives.hessian(*case, 1).tolist() == [[[0, 0], [0, 0]]]
