"""`trace` against the engine, and its text."""

import re

import numpy as np
import pytest

import fastnn as fn
from fastnn.activations import NAMES
from fastnn.losses import HEADS, resolve
from fastnn.reference import losses as reference_losses
from fastnn.tracing.formulas import FORMULAS, get_formula

HIDDEN = [name for name in NAMES if name != "softmax"]
PAIRS = [(loss, head) for loss in HEADS for head in HEADS[loss]]
N_FEATURES = 3


def make_network(hidden, head, n_outputs=2, dtype="float64"):
    """A network of all layers. Weights are so small that even exp of exp stays close to 1."""
    small = fn.initializers.Uniform(-0.4, 0.4)
    return fn.Sequential(
        fn.Dense(4, hidden, weight_init=small, l1=0.01, l2=0.1),
        fn.Dropout(0.3),
        fn.Residual(
            fn.Dense(5, hidden, weight_init=small, use_bias=False),
            fn.Residual(fn.Dropout(0.2)),
            fn.Dense(4, weight_init=small, bias_init=-0.1),
        ),
        fn.Dense(n_outputs, head, weight_init=small, l2=0.05, bias_init=0.1),
        random_state=3,
        dtype=dtype,
    ).build(N_FEATURES)


def make_rows(loss, rng, n=3):
    X = rng.normal(size=(n, N_FEATURES))
    if loss == "cross_entropy":
        return X, rng.integers(2, size=n)
    return X, rng.integers(2, size=(n, 2)).astype(float)


def count_outputs(loss):
    return 4 if loss == "gaussian_nll" else 2


def find_dense(records):
    """The records of the Dense layers, in order."""
    for record in records:
        if isinstance(record["layer"], fn.Dense):
            yield record
        yield from find_dense(record.get("layers", []))


def assert_equals_the_engine(net, X, y, loss):
    record = fn.trace(net, X, y, loss=loss, as_dict=True)
    value, gradients = net.loss_and_gradients(X, y, loss=loss)
    assert record["L"] == pytest.approx(value, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(record["y"], net.predict(X), rtol=1e-12, atol=1e-12)
    dense = list(find_dense(record["layers"]))
    for key, expected in (("dL/dW", gradients["weights"]), ("dL/db", gradients["biases"])):
        for layer, gradient in zip(dense, expected, strict=True):
            if gradient is None:
                assert layer[key] is None
            else:
                np.testing.assert_allclose(layer[key], gradient, rtol=1e-12, atol=1e-12)
    return record


@pytest.mark.parametrize("hidden", HIDDEN)
def test_activations_equal_the_engine(hidden, rng):
    net = make_network(hidden, "linear")
    assert_equals_the_engine(net, *make_rows("squared_error", rng), "squared_error")


@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_losses_equal_the_engine(loss, head, rng):
    net = make_network("tanh", head, count_outputs(loss))
    record = assert_equals_the_engine(net, *make_rows(loss, rng), loss)
    assert (record["layers"][-1]["dL/dy"] is None) == (HEADS[loss][head] == "raw")


@pytest.mark.parametrize("loss", [name for name in HEADS if "linear" in HEADS[name]])
def test_a_last_layer_that_is_no_dense(loss, rng):
    """It has no z, so the derivatives begin at dL/dy."""
    n_outputs = count_outputs(loss)
    net = fn.Sequential(
        fn.Dense(n_outputs), fn.Residual(fn.Dense(n_outputs, "tanh")), dtype="f8", random_state=0
    ).build(N_FEATURES)
    record = assert_equals_the_engine(net, *make_rows(loss, rng), loss)
    assert record["layers"][-1]["dL/dy"].shape == (3, n_outputs)


def test_values_of_the_layers_follow_from_each_other(rng):
    """x of a layer is y of the one before, and dL/dy is dL/dx of the one after."""
    X, y = make_rows("squared_error", rng)
    first, dropout, block, last = fn.trace(make_network("tanh", "elu"), X, y, as_dict=True)[
        "layers"
    ]
    for before, after in ((first, dropout), (dropout, block), (block, last)):
        assert (before["y"] == after["x"]).all()
        assert (before["dL/dy"] == after["dL/dx"]).all()
    inner = block["layers"]
    assert (block["y"] == block["x"] + inner[-1]["y"]).all()
    assert (block["F(x)"] == inner[-1]["y"]).all()
    assert (block["dL/dx"] == block["dL/dy"] + inner[0]["dL/dx"]).all()
    np.testing.assert_allclose(last["z"], last["x"] @ last["W"] + last["b"], rtol=1e-15)
    np.testing.assert_allclose(last["dL/dz"], last["dL/dy"] * last["f'(z)"], rtol=1e-15)


def test_derivatives_with_respect_to_the_features(rng):
    net = make_network("silu", "softmax")
    X, y = make_rows("cross_entropy", rng)
    gradient = fn.trace(net, X, y, as_dict=True)["layers"][0]["dL/dx"]
    for index in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[index] = 1e-5
        ends = [net.loss_and_gradients(X + sign * step, y)[0] for sign in (1, -1)]
        assert gradient[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)


def test_by_hand():
    """sigmoid(0) = 1/2, so L = log(2), dL/dz = p - t = -1/2."""
    net = fn.Sequential(fn.Dense(1, "sigmoid", weight_init="zeros"), dtype="float64").build(2)
    record = fn.trace(net, [3.0, 4.0], 1, as_dict=True)
    assert record["L"] == pytest.approx(np.log(2))
    (layer,) = record["layers"]
    assert layer["dL/dz"].tolist() == [[-0.5]]
    assert layer["dL/dW"].tolist() == [[-1.5], [-2.0]]
    assert layer["dL/dx"].tolist() == [[0, 0]]
    assert (record["x"].tolist(), record["t"].tolist(), record["y"].tolist()) == (
        [[3, 4]], [[1]], [[0.5]],
    )  # fmt: skip


def test_targets_are_as_in_the_formula():
    net = make_network("tanh", "linear", 2)
    x = np.zeros(N_FEATURES)
    smoothed = fn.losses.CrossEntropy(0.2)
    assert fn.trace(net, x, 1, loss=smoothed, as_dict=True)["t"].tolist() == [[0.1, 0.9]]
    assert fn.trace(net, x, [0, 1], loss="hinge", as_dict=True)["t"].tolist() == [[-1, 1]]
    assert fn.trace(net, x, [0, 1], loss="mse", as_dict=True)["t"].tolist() == [[0, 1]]


def test_one_row_and_a_matrix_of_one_row_are_equal():
    net, x = make_network("tanh", "linear"), np.ones(N_FEATURES)
    one = fn.trace(net, x, [1.0, 2.0], as_dict=True)
    many = fn.trace(net, x[np.newaxis], [[1.0, 2.0]], as_dict=True)
    assert one["L"] == many["L"]
    labels = make_network("tanh", "softmax")
    assert (
        fn.trace(labels, x, 1, as_dict=True)["L"] == fn.trace(labels, [x], [1], as_dict=True)["L"]
    )


def test_float32_network_is_traced_in_float64(rng):
    net = make_network("tanh", "linear", dtype="float32")
    double = make_network("tanh", "linear")
    double.parameters[:] = net.parameters
    X, y = make_rows("squared_error", rng)
    record = fn.trace(net, X, y, as_dict=True)
    assert record["y"].dtype == np.float64
    assert record["L"] == fn.trace(double, X, y, as_dict=True)["L"]


def test_nothing_of_the_network_or_the_data_is_changed_or_kept(rng):
    net = make_network("tanh", "linear")
    X, y = make_rows("squared_error", rng)
    before = net.parameters.copy(), X.copy(), y.copy()
    record = fn.trace(net, X, y, as_dict=True)
    kept = [record["x"], record["t"], *(layer["W"] for layer in find_dense(record["layers"]))]
    for array in kept:
        array[:] = 7
    for array, copy in zip((net.parameters, X, y), before, strict=True):
        assert (array == copy).all()


# ---- the text ------------------------------------------------------------------------------------


def read_lines(capsys):
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_every_line_fits_80_ascii_columns(loss, head, rng, capsys):
    net = make_network("leaky_relu", head, count_outputs(loss))
    net.weights[0] *= 1e-30
    X, y = make_rows(loss, rng, n=4)
    fn.trace(net, X, y, loss=loss, digits=5)
    lines = read_lines(capsys)
    assert max(map(len, lines)) <= 80
    assert all(line.isascii() and line == line.rstrip() for line in lines)


def test_six_wide_columns_fit(capsys):
    net = fn.Sequential(fn.Dense(6), dtype="float64").build(6)
    net.parameters[:] = -1.2345e-101
    fn.trace(net, np.ones((4, 6)), np.ones((4, 6)), digits=5)
    assert max(map(len, read_lines(capsys))) <= 80


def test_zero_has_no_sign(capsys):
    """The inactive relu multiplies negative derivatives by 0."""
    net = fn.Sequential(fn.Dense(1, "relu"), fn.Dense(1), dtype="float64").build(1)
    net.parameters[:] = [-1.0, 0.0, 1.0, 0.0]
    record = fn.trace(net, [1.0], 1.0, as_dict=True)
    assert np.signbit(record["layers"][0]["dL/dz"]).all()
    fn.trace(net, [1.0], 1.0)
    assert "-0" not in "\n".join(read_lines(capsys))


def test_the_text_shows_the_numbers(rng, capsys):
    net = make_network("gelu", "softmax")
    X, y = make_rows("cross_entropy", rng, n=1)
    record = fn.trace(net, X, y, as_dict=True)
    assert fn.trace(net, X, y, digits=5) is None
    text = " ".join(read_lines(capsys))
    dense = list(find_dense(record["layers"]))
    shown = [
        *(record[key] for key in ("x", "y", "t", "row losses", "penalty", "L")),
        *(value for layer in dense for key, value in layer.items() if key != "layer"),
        *(record["layers"][2][key] for key in ("F(x)", "dL/dy", "dL/dx")),
    ]
    for value in shown:
        for number in np.ravel(value if value is not None else []):
            assert re.search(rf"(?<![\d.-]){re.escape(f'{number + 0.0:.5g}')}(?![\d.])", text)


def test_forward_and_backward_pass_have_opposite_orders(rng, capsys):
    fn.trace(make_network("tanh", "linear"), *make_rows("squared_error", rng))
    titles = [line for line in read_lines(capsys) if not line.startswith((" ", "="))]
    middle = titles.index("Backward pass")
    assert titles[0] == "Forward pass"
    assert titles[1:middle] == titles[:middle:-1]
    assert titles[1:middle] == [
        "Dense 0: 3 -> 4, tanh",
        "Dropout: inactive, y = x and dL/dx = dL/dy",
        "Residual block, input",
        "Dense 1: 4 -> 5, tanh",
        "Residual block, input",
        "Dropout: inactive, y = x and dL/dx = dL/dy",
        "Residual block, output",
        "Dense 2: 5 -> 4, linear",
        "Residual block, output",
        "Dense 3: 4 -> 2, linear",
        "Loss: SquaredError(), where e = y - t",
    ]


@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_loss_formulas_and_their_place(loss, head, rng, capsys):
    net = make_network("tanh", head, count_outputs(loss))
    fn.trace(net, *make_rows(loss, rng, n=3), loss=loss)
    lines = read_lines(capsys)
    argument = "z" if HEADS[loss][head] == "raw" else "y"
    formula = get_formula(resolve(loss), head, argument)
    (start, end) = (i for i, line in enumerate(lines) if line.startswith("Loss: "))
    assert lines[start] == f"Loss: {resolve(loss)}, where {formula.definition}"
    divisor = 3 * (1 if loss == "cross_entropy" else 2)
    assert lines[end + 1].startswith(f"  dL/d{argument} = {formula.derivative} / {divisor}")


# Names in formulas. `clip`, `sign` and others are NumPy's.
NAMES_IN_FORMULAS = {
    **vars(np),
    "max": max,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(),
}


@pytest.mark.parametrize(("loss", "head"), PAIRS)
def test_loss_formulas_against_the_reference(loss, head, rng):
    resolved = {"huber": fn.losses.Huber(0.8), "quantile": fn.losses.Quantile(0.3)}.get(
        loss, resolve(loss)
    )
    formula = get_formula(resolved, head, "z")
    parameters = {"delta": 0.8, "q": 0.3}
    for _ in range(20):
        z = rng.normal(size=(1, {"gaussian_nll": 2, "cross_entropy": 3}.get(loss, 1)))
        t = rng.integers(2, size=(1, 1)).astype(float)
        values, derivatives = reference_losses.value_and_gradient(resolved, head, z, t)
        names = NAMES_IN_FORMULAS | parameters | {"z": z[0, 0], "t": t[0, 0]}
        if loss == "gaussian_nll":
            names |= {"m": z[0, 0], "s": z[0, 1]}
        elif loss == "cross_entropy":
            names |= {"z": z[0], "t": np.eye(3)[int(t[0, 0])]}
        elif loss in ("hinge", "perceptron"):
            names["t"] = 2 * t[0, 0] - 1
        symbol, definition = formula.definition.split(", ")[-1].split(" = ")
        if symbol != "t":
            names[symbol] = eval(definition, names)
        assert eval(formula.value, names) == pytest.approx(values[0], rel=1e-12)
        assert np.ravel(eval(formula.derivative, names)) == pytest.approx(derivatives[0], rel=1e-9)


def test_every_loss_has_a_formula():
    assert list(FORMULAS) == list(reference_losses.FUNCTIONS)


# ---- invalid input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "n_features", "n_rows", "message"),
    [
        ([fn.Dense(2)], 7, 1, "net: expected at most 6 features or units in a layer, .* got 7"),
        ([fn.Residual(fn.Dense(9), fn.Dense(6)), fn.Dense(2)], 6, 1, "net: .* units .* got 9"),
        ([fn.Dense(2)] * 7, 2, 1, "net: expected at most 6 Dense layers, to print them; got 7"),
        ([fn.Dense(2)], 2, 5, "x: expected at most 4 rows, to print them; got 5"),
    ],
)
def test_larger_networks_are_not_printed(layers, n_features, n_rows, message, capsys):
    net = fn.Sequential(*layers).build(n_features)
    X, y = np.zeros((n_rows, n_features)), np.zeros((n_rows, 2))
    with pytest.raises(ValueError, match=message):
        fn.trace(net, X, y)
    assert not read_lines(capsys)
    assert fn.trace(net, X, y, as_dict=True)["y"].shape == (n_rows, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": [1.0, 2.0]}, ValueError, "x: expected 3 features"),
        ({"x": ["a", "b", "c"]}, TypeError, "x: expected real numbers"),
        ({"x": [1.0, np.nan, 2.0]}, ValueError, "x: expected"),
        ({"y": 5.0}, ValueError, "y: expected 2 columns"),
        ({"loss": "cross"}, ValueError, "loss: expected one of"),
        ({"loss": "cross_entropy", "y": 2}, ValueError, "y: expected labels from 0 to 1"),
        ({"digits": 6}, ValueError, "digits: expected a whole number of at least 1 and at most 5"),
        ({"digits": 0}, ValueError, "digits: expected"),
        ({"as_dict": 1}, TypeError, "as_dict: expected True or False"),
        ({"net": "net"}, TypeError, "net: expected a Sequential"),
        ({"net": fn.Sequential(fn.Dense(1))}, ValueError, "network: expected a built one"),
    ],
)
def test_invalid_arguments(arguments, error, message):
    valid = {"net": make_network("tanh", "linear"), "x": [1.0, 2.0, 3.0], "y": [1.0, 2.0]}
    with pytest.raises(error, match=message):
        fn.trace(**valid | arguments)
