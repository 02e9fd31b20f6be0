"""Derivatives of networks by their inputs and parameters: both modes, against central differences,
against each other, and against PyTorch."""

import copy
import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn import losses, reference
from fastnn.activations import NAMES
from fastnn.losses import HEADS

N_ROWS, N_FEATURES = 7, 3
HIDDEN = [name for name in NAMES if name != "softmax"]
# Central differences across a corner are meaningless.
SMOOTH = [
    name for name in HIDDEN if name not in ("step", "relu", "leaky_relu", "selu", "hard_sigmoid")
]
TWICE_SMOOTH = [name for name in SMOOTH if name not in ("elu", "softsign")]
ENDS = ("linear", "tanh", "sigmoid", "exp", "softmax")
SMALL = fn.initializers.Uniform(-0.3, 0.3)


def network(hidden, end="linear", *, residual=False, dtype="float64", n_outputs=4):
    """Non-square layers, a layer without bias, dropout, which is inactive, and skip connections
    around the inputs and around a hidden layer."""
    layers = [
        fn.Dense(6, hidden, weight_init=SMALL, bias_init=0.1),
        fn.Dropout(0.3),
        fn.Scale(0.8),
        fn.Dense(5, hidden, weight_init=SMALL, use_bias=False),
        fn.Dense(n_outputs, end, weight_init=SMALL),
    ]
    if residual:
        layers[:1] = [
            fn.Scale(1.3),
            fn.Residual(fn.Dense(N_FEATURES, hidden, weight_init=SMALL), fn.Scale(0.9)),
            layers[0],
            fn.Residual(
                fn.Residual(fn.Dense(9, hidden, weight_init=SMALL), fn.Dense(6, weight_init=SMALL)),
                fn.Dense(6, weight_init=SMALL),
            ),  # two skip connections from one buffer
        ]
    return fn.Sequential(*layers, random_state=3, dtype=dtype).build(N_FEATURES)


def differences(function, x, step=1e-6):
    """Central differences of a function of x (n, width) by each column; they come last."""
    result = []
    for i in range(x.shape[1]):
        change = np.zeros_like(x)
        change[:, i] = step
        result.append((function(x + change) - function(x - change)) / (2 * step))
    return np.stack(result, axis=-1)


def differences_by_parameters(net, function, step=1e-6):
    """Central differences of `function()` by each parameter of the network; they come last."""
    result = []
    for i in range(net.n_parameters):
        value, ends = net.parameters[i], []
        for sign in (1, -1):
            net.parameters[i] = value + sign * step
            ends.append(function())
        net.parameters[i] = value
        result.append((ends[0] - ends[1]) / (2 * step))
    return np.stack(result, axis=-1)


def targets_of(loss, rng):
    if loss == "cross_entropy":
        return rng.integers(4, size=N_ROWS)
    if loss in ("binary_cross_entropy", "hinge", "perceptron"):
        return rng.integers(2, size=(N_ROWS, 4))
    if loss == "poisson":
        return rng.poisson(2.0, size=(N_ROWS, 4))
    return rng.normal(size=(N_ROWS, 2 if loss == "gaussian_nll" else 4))


# ---- against central differences ---------------------------------------------------------------


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
@pytest.mark.parametrize(
    ("hidden", "end"), [(name, "linear") for name in SMOOTH] + [("tanh", end) for end in ENDS]
)
def test_jacobian_against_central_differences(hidden, end, mode, residual, rng):
    net, X = network(hidden, end, residual=residual), rng.normal(size=(N_ROWS, N_FEATURES))
    expected = differences(net.predict, X)
    np.testing.assert_allclose(net.jacobian(X, mode=mode), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("hidden", "end"), [(name, "linear") for name in TWICE_SMOOTH] + [("tanh", end) for end in ENDS]
)
def test_hessian_against_central_differences(hidden, end, residual, rng):
    net, X = network(hidden, end, residual=residual), rng.normal(size=(N_ROWS, N_FEATURES))
    for k in range(4):
        expected = differences(lambda x, k=k: net.jacobian(x)[:, k], X)
        hessian = net.hessian(X, output=k)
        np.testing.assert_allclose(hessian, expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(hessian, hessian.transpose(0, 2, 1))


@pytest.mark.parametrize("hidden", ["elu", "softsign", "selu"])
def test_hessian_away_from_the_corner(hidden, rng):
    """One unit whose preactivation lies on one side of the corner, then on the other."""
    net = fn.Sequential(fn.Dense(1, hidden), dtype="float64").build(2)
    net.weights[0] = [[0.7], [0.4]]
    for X in (np.abs(rng.normal(size=(5, 2))) + 0.1, -np.abs(rng.normal(size=(5, 2))) - 0.1):
        expected = differences(lambda x: net.jacobian(x)[:, 0], X)
        np.testing.assert_allclose(net.hessian(X), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("hidden", ["linear", "relu", "leaky_relu", "step", "hard_sigmoid"])
def test_hessian_of_piecewise_linear_networks_is_zero(hidden, rng):
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    assert not network(hidden, residual=True).hessian(X).any()
    assert network(hidden, "sigmoid", residual=True).hessian(X).any() == (hidden != "step")


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    ("hidden", "end"), [(name, "linear") for name in SMOOTH] + [("tanh", end) for end in ENDS]
)
def test_parameter_jacobian_against_central_differences(hidden, end, residual, rng):
    net, X = network(hidden, end, residual=residual), rng.normal(size=(N_ROWS, N_FEATURES))
    expected = differences_by_parameters(net, lambda: net.predict(X))
    np.testing.assert_allclose(net.parameter_jacobian(X), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "head"), [(loss, head) for loss in HEADS for head in HEADS[loss]])
def test_sample_gradients_are_the_gradients_of_single_rows(loss, head, weighted, rng):
    net, X = network("tanh", head, residual=True), rng.normal(size=(N_ROWS, N_FEATURES))
    y, weight = targets_of(loss, rng), rng.uniform(0.2, 2, N_ROWS) if weighted else None
    result = net.sample_gradients(X, y, loss=loss, sample_weight=weight)
    assert result.shape == (N_ROWS, net.n_parameters)
    for r in range(N_ROWS):
        row = slice(r, r + 1)
        _, gradients = net.loss_and_gradients(X[row], y[row], loss=loss)
        expected = np.concatenate(
            [
                part.ravel()
                for pair in zip(gradients["weights"], gradients["biases"], strict=True)
                for part in pair
                if part is not None
            ]
        )
        factor = 1 if weight is None else weight[r]
        np.testing.assert_allclose(result[r], factor * expected, rtol=1e-12, atol=1e-13)


# ---- the modes and products against each other -------------------------------------------------


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_both_modes_are_equal(hidden, end, residual, rng):
    net, X = network(hidden, end, residual=residual), rng.normal(size=(N_ROWS, N_FEATURES))
    forward, reverse = (net.jacobian(X, mode=mode) for mode in ("forward", "reverse"))
    np.testing.assert_allclose(forward, reverse, rtol=1e-12, atol=1e-13)
    assert forward.any() or hidden == "step"


@pytest.mark.parametrize("end", ENDS)
def test_products_with_vectors(end, rng):
    net, X = network("tanh", end, residual=True), rng.normal(size=(N_ROWS, N_FEATURES))
    J, V, U = net.jacobian(X), rng.normal(size=(N_ROWS, 3)), rng.normal(size=(N_ROWS, 4))
    expected = np.einsum("rki,ri->rk", J, V), np.einsum("rki,rk->ri", J, U)
    np.testing.assert_allclose(net.jvp(X, V), expected[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(net.vjp(X, U), expected[1], rtol=1e-12, atol=1e-13)


def test_modes_are_different_computations(rng):
    """They differ in rounding: neither is the other under its name."""
    net, X = network("tanh"), rng.normal(size=(100, N_FEATURES))
    assert (net.jacobian(X, mode="forward") != net.jacobian(X, mode="reverse")).any()


def test_auto_chooses_the_cheaper_mode(rng):
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    for n_outputs, mode in ((4, "forward"), (3, "reverse"), (2, "reverse")):
        net = network("tanh", n_outputs=n_outputs)
        np.testing.assert_array_equal(net.jacobian(X), net.jacobian(X, mode=mode))


# ---- shapes, dtypes, threads ---------------------------------------------------------------------


def compute_all(net, X, y, **options):
    """Every derivative of a network, by name."""
    V, U = np.cos(X), np.sin(np.arange(len(X) * net.layers[-1].units, dtype=X.dtype))
    return {
        "forward": net.jacobian(X, mode="forward", **options),
        "reverse": net.jacobian(X, mode="reverse", **options),
        "jvp": net.jvp(X, V, **options),
        "vjp": net.vjp(X, U.reshape(len(X), -1), **options),
        "hessian": net.hessian(X, output=1, **options),
        "parameters": net.parameter_jacobian(X, **options),
        "samples": net.sample_gradients(X, y, **options),
    }


@pytest.mark.parametrize("end", ["linear", "softmax"])
@pytest.mark.parametrize("n_rows", [1, 2, 97, 300])
def test_bits_depend_neither_on_threads_nor_on_other_rows(n_rows, end, dtype, rng):
    net = network("tanh", end, residual=True, dtype=dtype)
    X = rng.normal(size=(n_rows, N_FEATURES)).astype(dtype)
    y = rng.integers(4, size=n_rows) if end == "softmax" else rng.normal(size=(n_rows, 4))
    expected = compute_all(net, X, y, n_threads=1)
    for n_threads in (2, 3, 4, None):
        found = compute_all(net, X, y, n_threads=n_threads)
        for name, array in found.items():
            assert array.tobytes() == expected[name].tobytes(), (name, n_threads)
    row = slice(n_rows - 1, n_rows)
    for name in ("forward", "reverse", "hessian", "parameters", "samples"):
        found = compute_all(net, X[row], y[row])[name]
        assert found.tobytes() == expected[name][row].tobytes(), name


@pytest.mark.parametrize("widths", [(1, 1), (40, 3), (3, 300), (100, 100)])
def test_many_directions_and_features(widths, dtype, rng):
    """More directions than a block holds, one unit, one feature."""
    n_features, n_outputs = widths
    net = fn.Sequential(
        fn.Dense(520, "tanh"), fn.Dense(1, "tanh"), fn.Dense(n_outputs), random_state=1, dtype=dtype
    ).build(n_features)
    X = rng.normal(size=(30, n_features)).astype(dtype)
    forward, reverse = (net.jacobian(X, mode=mode) for mode in ("forward", "reverse"))
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(forward, reverse, rtol=tolerance, atol=tolerance / 10)
    twin = fn.Sequential(*net.layers, dtype="float64").build(n_features)
    twin.parameters[:] = net.parameters
    expected = differences(lambda x: twin.jacobian(x)[:, -1], X.astype("f8"), 1e-5)
    found = net.hessian(X, output=n_outputs - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=3e-5)


def test_float32_is_close_to_float64(rng):
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    y = rng.normal(size=(N_ROWS, 4))
    single = compute_all(network("gelu", residual=True, dtype="float32"), X, y)
    for name, expected in compute_all(network("gelu", residual=True), X, y).items():
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(single[name], expected, rtol=1e-4, atol=1e-5)


def test_other_memory_layouts_and_unchanged_input(rng):
    net = network("tanh", residual=True)
    X, y = rng.normal(size=(N_ROWS, N_FEATURES)), rng.normal(size=(N_ROWS, 4))
    expected, before = compute_all(net, X, y), X.copy()
    read_only = X.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(X), read_only, np.repeat(X, 2, axis=0)[::2], X.tolist()):
        other_net, rows = copy.deepcopy(net), np.asarray(other)
        for name, array in compute_all(other_net, rows if rows is other else X, y).items():
            np.testing.assert_array_equal(array, expected[name])
        np.testing.assert_array_equal(other_net.jacobian(other), expected["forward"])
    np.testing.assert_array_equal(X, before)


def test_out_is_filled_and_returned(rng):
    net = network("tanh")
    X, y = rng.normal(size=(N_ROWS, N_FEATURES)), rng.normal(size=(N_ROWS, 4))
    expected = compute_all(net, X, y)
    calls = {
        "forward": lambda out: net.jacobian(X, out=out),
        "jvp": lambda out: net.jvp(X, np.cos(X), out=out),
        "hessian": lambda out: net.hessian(X, output=1, out=out),
        "parameters": lambda out: net.parameter_jacobian(X, out=out),
        "samples": lambda out: net.sample_gradients(X, y, out=out),
    }
    for name, call in calls.items():
        out = np.full(expected[name].shape, np.nan)
        assert call(out) is out
        np.testing.assert_array_equal(out, expected[name])
        with pytest.raises(ValueError, match="out: expected a C-contiguous array of shape"):
            call(out[:-1])
        with pytest.raises(ValueError, match=r"out: .* got strides"):
            call(np.repeat(out, 2, axis=-1)[..., ::2])


def test_derivatives_follow_the_parameters(rng):
    """Training, assigned weights, copies, pickles and files."""
    net, X = network("tanh"), rng.normal(size=(N_ROWS, N_FEATURES))
    before = net.jacobian(X)
    net.fit(X, rng.normal(size=(N_ROWS, 4)), epochs=2)
    after = net.jacobian(X)
    assert not np.allclose(before, after)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.jacobian(X), after)
        other.weights[0] = np.zeros((N_FEATURES, 6))
        assert not other.jacobian(X).any()
    np.testing.assert_array_equal(net.jacobian(X), after)
    net.reset().build(N_FEATURES)
    np.testing.assert_allclose(net.jacobian(X), differences(net.predict, X), atol=1e-8)


# ---- the reference ------------------------------------------------------------------------------


@pytest.mark.parametrize("end", NAMES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_against_the_reference(hidden, end, rng):
    """All derivatives, also where a preactivation is exactly 0."""
    net, X = network(hidden, end, residual=True), rng.normal(size=(N_ROWS, N_FEATURES))
    X[0] = 0
    V, U = rng.normal(size=(N_ROWS, N_FEATURES)), rng.normal(size=(N_ROWS, 4))
    arguments = (net.layers, list(net.weights), list(net.biases), X)
    for found, expected in [
        (net.jacobian(X, mode="reverse"), reference.jacobian(*arguments, "reverse")),
        (net.jacobian(X, mode="forward"), reference.jacobian(*arguments, "forward")),
        (net.jvp(X, V), reference.jvp(*arguments, V)),
        (net.vjp(X, U), reference.vjp(*arguments, U)),
        (net.hessian(X, output=2), reference.hessian(*arguments, 2)),
        (net.parameter_jacobian(X), reference.parameter_jacobian(*arguments)),
    ]:
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize(("loss", "head"), [(loss, head) for loss in HEADS for head in HEADS[loss]])
def test_sample_gradients_against_the_reference(loss, head, rng):
    net, X = network("gelu", head, residual=True), rng.normal(size=(N_ROWS, N_FEATURES))
    y = np.asarray(targets_of(loss, rng), dtype=np.float64)
    expected = reference.sample_gradients(
        net.layers, losses.resolve(loss), list(net.weights), list(net.biases), X,
        y.reshape(N_ROWS, -1),
    )  # fmt: skip
    found = net.sample_gradients(X, y, loss=loss)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


# ---- PyTorch -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch itself
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "elu", "gelu", "silu", "softplus"])
def test_against_pytorch(name, rng):
    torch = pytest.importorskip("torch")
    from torch.func import hessian, jacfwd, jacrev, vmap

    net, X = network(name), rng.normal(size=(N_ROWS, N_FEATURES))
    function = getattr(torch.nn.functional, name, None) or getattr(torch, name)
    W = [torch.tensor(w) for w in net.weights]
    b = [None if v is None else torch.tensor(v) for v in net.biases]

    def compute(x):
        x = function(x @ W[0] + b[0])
        return function(x @ W[1]) @ W[2] + b[2]

    x = torch.tensor(X)
    for mode, transform in (("forward", jacfwd), ("reverse", jacrev)):
        expected = vmap(transform(compute))(x).numpy()
        np.testing.assert_allclose(net.jacobian(X, mode=mode), expected, rtol=1e-10, atol=1e-12)
    second = vmap(hessian(compute))(x).numpy()
    for k in range(4):
        found = net.hessian(X, output=k)
        np.testing.assert_allclose(found, second[:, k], rtol=1e-10, atol=1e-12)


# ---- bad input -----------------------------------------------------------------------------------


def test_bad_input(rng):
    net, X = network("tanh"), rng.normal(size=(N_ROWS, N_FEATURES))
    nan = np.full_like(X, np.nan)
    cases = [
        (lambda: net.jacobian(X, mode="backward"), "mode: expected one of"),
        (lambda: net.jacobian(X, mode=["auto"]), "mode: expected"),
        (lambda: net.jacobian(X[:, :2]), "X: expected 3 features"),
        (lambda: net.jacobian(nan), "X: .*NaN"),
        (lambda: net.jvp(X, X[:, :2]), r"V: expected shape \(n, n_features\) = \(7, 3\); got"),
        (lambda: net.jvp(X, nan), "V: .*NaN"),
        (lambda: net.vjp(X, X), r"U: expected shape \(n, n_outputs\) = \(7, 4\); got \(7, 3\)"),
        (lambda: net.hessian(X, output=4), "output: expected an index below 4"),
        (lambda: net.hessian(X, output=-1), "output: expected"),
        (lambda: net.hessian(X, output=1.0), "output: expected"),
        (lambda: net.hessian(nan), "X: .*NaN"),
        (lambda: net.sample_gradients(X, X), "y: expected"),
        (lambda: net.sample_gradients(X, X[:, 0], loss="square"), "loss: expected"),
        (lambda: net.jacobian(X, n_threads=0), "n_threads: expected"),
        (lambda: net.jacobian(X, check_finite="no"), "check_finite: expected"),
    ]  # fmt: skip
    for _ in range(2):  # before and after the first valid call
        for call, message in cases:
            with pytest.raises((ValueError, TypeError), match=message):
                call()
        net.jacobian(X), net.hessian(X)
    for name in ("jacobian", "hessian", "parameter_jacobian"):
        with pytest.raises(ValueError, match="network: expected a built one"):
            getattr(fn.Sequential(fn.Dense(1)), name)(X)


def test_nan_is_allowed_on_request(rng):
    net, X = network("tanh"), rng.normal(size=(N_ROWS, N_FEATURES))
    expected = net.jacobian(X)
    X[2, 1] = np.nan
    found = net.jacobian(X, check_finite=False)
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(np.delete(found, 2, 0), np.delete(expected, 2, 0))
