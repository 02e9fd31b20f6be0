"""`check_gradients`: small differences for correct gradients, large ones for wrong ones."""

import dataclasses

import numpy as np
import pytest

import fastnn as fn
from fastnn._training import gradient_check
from fastnn.activations import NAMES
from fastnn.losses import HEADS
from fastnn.reference import activations

HIDDEN = [name for name in NAMES if name != "softmax"]
PAIRS = [(loss, head) for loss in HEADS for head in HEADS[loss]]
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])


def make_network(hidden, head, n_outputs=2, dtype="float64"):
    small = fn.initializers.Uniform(-0.4, 0.4)
    return fn.Sequential(
        fn.Dense(4, hidden, weight_init=small, l1=0.01, l2=0.1),
        fn.Dropout(0.3),
        fn.Residual(fn.Dense(5, hidden, use_bias=False), fn.Dense(4, weight_init=small)),
        fn.Dense(n_outputs, head, weight_init=small, bias_init=0.1),
        random_state=3,
        dtype=dtype,
    ).build(3)


def make_rows(loss, rng, n=8):
    shape = n if loss == "cross_entropy" else (n, 2)
    return rng.normal(size=(n, 3)), rng.integers(2, size=shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_gradients_of_every_loss_are_correct(loss, head, dtype, rng):
    net = make_network("tanh", head, 4 if loss == "gaussian_nll" else 2, dtype)
    X, y = make_rows(loss, rng)
    weight = rng.uniform(0.1, 2, size=len(X))
    check = net.check_gradients(X, y, loss=loss, sample_weight=weight)
    assert 0 < check.max_relative < 1e-7
    assert 0 < check.max_absolute < 1e-8


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients_of_every_activation_are_correct(hidden, engine, rng):
    net = make_network(hidden, "linear")
    X, y = make_rows("squared_error", rng)
    assert net.check_gradients(X, y, engine=engine).max_relative < 1e-8


def test_rows_of_the_result(rng):
    net = make_network("tanh", "linear")
    check = net.check_gradients(*make_rows("squared_error", rng), n_checked=7)
    assert [(row.layer, row.parameter, row.n_checked) for row in check.rows] == [
        (0, "weights", 7), (0, "bias", 4), (1, "weights", 7), (2, "weights", 7), (2, "bias", 4),
        (3, "weights", 7), (3, "bias", 2),
    ]  # fmt: skip
    assert check.max_absolute == max(row.absolute for row in check.rows)
    assert check.max_relative == max(row.relative for row in check.rows)
    with pytest.raises(dataclasses.FrozenInstanceError):
        check.rows = ()


def test_relative_difference_is_of_the_largest_derivative(rng):
    net = make_network("tanh", "linear")
    X, y = make_rows("squared_error", rng)
    _, gradients = net.loss_and_gradients(X, y)
    first = net.check_gradients(X, y).rows[0]
    scale = np.abs(gradients["weights"][0]).max()
    assert first.relative == pytest.approx(first.absolute / scale, rel=1e-6)


def test_repr_is_a_table():
    rows = (
        gradient_check.GradientDifference(0, "weights", 50, 1.23e-11, 4.5e-10),
        gradient_check.GradientDifference(10, "bias", 8, 0.0, 0.0),
    )
    assert repr(gradient_check.GradientCheck(rows, 1e-5)) == (
        "layer  parameter  checked  absolute  relative\n"
        "    0  weights         50   1.2e-11   4.5e-10\n"
        "   10  bias             8   0.0e+00   0.0e+00"
    )


# ---- wrong gradients -----------------------------------------------------------------------------


def test_a_wrong_derivative_is_reported_in_the_layers_before_it(rng, monkeypatch):
    f, derivative, second = activations.FUNCTIONS["gelu"]
    wrong = (f, lambda z, a: 1.01 * derivative(z, a), second)
    monkeypatch.setitem(activations.FUNCTIONS, "gelu", wrong)
    net = fn.Sequential(fn.Dense(4, "tanh"), fn.Dense(5, "gelu"), fn.Dense(1), random_state=0)
    X, y = rng.normal(size=(8, 3)), rng.normal(size=8)
    check = net.build(3).check_gradients(X, y, engine="reference")
    assert all((row.relative > 1e-3) == (row.layer < 2) for row in check.rows)
    assert check.max_relative == pytest.approx(0.01, rel=0.1)
    assert net.check_gradients(X, y, engine="native").max_relative < 1e-8


@pytest.mark.parametrize(("index", "layer", "parameter"), [(2, 0, "weights"), (-1, 3, "bias")])
def test_a_single_wrong_element_is_reported(index, layer, parameter, rng, monkeypatch):
    make_objective = gradient_check.make_objective

    def make_wrong_objective(*arguments, **options):
        objective = make_objective(*arguments, **options)

        def compute():
            value, gradient = objective()
            gradient[index] += 1e-5
            return value, gradient

        return compute

    monkeypatch.setattr(gradient_check, "make_objective", make_wrong_objective)
    check = make_network("tanh", "linear").check_gradients(*make_rows("squared_error", rng))
    wrong = [(row.layer, row.parameter) for row in check.rows if row.absolute > 1e-8]
    assert wrong == [(layer, parameter)]
    assert check.max_absolute == pytest.approx(1e-5, rel=1e-3)


# ---- corners -------------------------------------------------------------------------------------


def make_xor_network():
    """relu of the row (0, 0) has z = 0."""
    return fn.Sequential(fn.Dense(8, "relu"), fn.Dense(1, "sigmoid"), random_state=0).build(2)


def test_a_corner_is_no_error():
    net = make_xor_network()
    check = net.check_gradients(*XOR)
    assert check.max_relative < 1e-6
    net.biases[0][:] = 0.1
    assert net.check_gradients(*XOR).max_relative < 1e-9


@pytest.mark.parametrize(
    ("slope", "is_correct"), [(0.5, True), (1.0, True), (1.5, False), (-0.5, False)]
)
def test_a_derivative_at_a_corner_must_be_between_those_of_both_sides(
    slope, is_correct, monkeypatch
):
    relu, derivative, second = activations.FUNCTIONS["relu"]
    at_corner = (relu, lambda z, a: np.where(z == 0, slope, derivative(z, a)), second)
    monkeypatch.setitem(activations.FUNCTIONS, "relu", at_corner)
    check = make_xor_network().check_gradients(*XOR, engine="reference")
    assert (check.max_relative < 1e-5) == is_correct
    assert is_correct or check.max_relative > 0.1


def test_a_loss_without_gradient():
    net = fn.Sequential(fn.Dense(2, "step"), fn.Dense(1), dtype="float64", random_state=0).build(2)
    first = net.check_gradients(*XOR).rows[0]
    assert (first.absolute, first.relative) == (0, 0)


# ---- the network and the parameters --------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_network_and_the_data_do_not_change(dtype, rng):
    net = make_network("tanh", "linear", dtype=dtype)
    X, y = make_rows("squared_error", rng)
    net.fit(X, y, epochs=1)
    before = net.parameters.copy(), net.state.optimizer.slots.copy(), X.copy(), y.copy()
    assert net.parameters.any()
    net.check_gradients(X, y)
    after = net.parameters, net.state.optimizer.slots, X, y
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    assert net.dtype == dtype
    assert net.history is not None


def test_epsilon_is_relative_to_large_parameters():
    net = fn.Sequential(fn.Dense(1, use_bias=False), dtype="float64").build(1)
    net.parameters[:] = 1e6
    objective = lambda: (net.parameters[0] ** 3, None)  # noqa: E731
    left, right = gradient_check.compute_differences(objective, net.parameters, np.array([0]), 1e-3)
    assert (left + right)[0] / 2 == pytest.approx(3e12 + 1e6, rel=1e-9)  # 3 w**2 + h**2, h = 1000
    assert net.parameters[0] == 1e6


def test_epsilon_is_the_step(rng):
    net, (X, y) = make_network("tanh", "linear"), make_rows("squared_error", rng)
    default, small, large = (net.check_gradients(X, y, epsilon=e) for e in (None, 1e-9, 1e-2))
    assert (small.epsilon, large.epsilon) == (1e-9, 1e-2)
    assert default.epsilon == pytest.approx(6.1e-6, rel=0.01)
    assert small.max_relative > 100 * default.max_relative
    assert large.max_absolute > 100 * default.max_absolute


def test_the_sample_depends_on_random_state(rng):
    net, (X, y) = make_network("tanh", "linear"), make_rows("squared_error", rng)
    checks = [net.check_gradients(X, y, n_checked=3, random_state=seed) for seed in (0, 0, 1)]
    assert checks[0] == checks[1] != checks[2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"epsilon": 0}, ValueError, "epsilon: expected a finite number above 0"),
        ({"epsilon": "small"}, TypeError, "epsilon: expected"),
        ({"n_checked": 0}, ValueError, "n_checked: expected a whole number of at least 1"),
        ({"random_state": -1}, ValueError, "random_state: expected"),
        ({"engine": "numpy"}, ValueError, "engine: expected one of"),
        ({"loss": "hinge "}, ValueError, "loss: expected one of"),
        ({"X": [[1.0, 2.0]]}, ValueError, "X: expected 3 features"),
        ({"y": [[1.0]]}, ValueError, "y: expected 2 columns"),
        ({"sample_weight": [-1.0]}, ValueError, "sample_weight: expected"),
    ],
)
def test_invalid_arguments(arguments, error, message):
    valid = {"X": [[1.0, 2.0, 3.0]], "y": [[1.0, 2.0]]}
    with pytest.raises(error, match=message):
        make_network("tanh", "linear").check_gradients(**valid | arguments)
    with pytest.raises(ValueError, match="network: expected a built one"):
        fn.Sequential(fn.Dense(2)).check_gradients(**valid)
