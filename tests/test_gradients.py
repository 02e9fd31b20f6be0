"""Gradients of networks: every activation with every loss, against central differences and the
reference, in both dtypes."""

import numpy as np
import pytest

import fastnn as fn
from fastnn.activations import NAMES
from fastnn.losses import CLASSES, HEADS

N_ROWS, N_FEATURES = 7, 5

PAIRS = [(hidden, loss, head) for loss in HEADS for head in HEADS[loss] for hidden in ("tanh",)]
HIDDEN = [name for name in NAMES if name != "softmax"]
# Central differences across a kink are meaningless; the comparison with the reference covers these.
SMOOTH = [
    name for name in HIDDEN if name not in ("step", "relu", "leaky_relu", "selu", "hard_sigmoid")
]
KINKED_LOSSES = ("absolute_error", "quantile", "hinge", "perceptron")


def outputs_of(loss):
    return {"gaussian_nll": 4, "cross_entropy": 3}.get(loss, 2)


def targets_of(loss, rng):
    if loss == "cross_entropy":
        return rng.integers(3, size=N_ROWS)
    if loss in ("binary_cross_entropy", "hinge", "perceptron"):
        return rng.integers(2, size=(N_ROWS, 2))
    if loss == "poisson":
        return rng.poisson(2.0, size=(N_ROWS, 2))
    return rng.normal(size=(N_ROWS, 2))


def network(hidden, loss, head, dtype="float64"):
    """Non-square layers, dropout, nested skip connections, penalties, a layer without bias.
    Weights are so small that even exp of exp stays close to 1."""
    small = fn.initializers.Uniform(-0.3, 0.3)
    return fn.Sequential(
        fn.Dense(6, hidden, weight_init=small, l1=0.01, l2=0.1),
        fn.Dropout(0.3),
        fn.Scale(1.2),
        fn.Residual(
            fn.Scale(0.7),
            fn.Dense(9, hidden, weight_init=small, use_bias=False),
            fn.Residual(fn.Dropout(0.2)),
            fn.Dense(6, weight_init=small),
        ),
        fn.Dense(outputs_of(loss), head, weight_init=small, l2=0.05, bias_init=0.1),
        random_state=3,
        dtype=dtype,
    ).build(N_FEATURES)


def case(hidden, loss, head, rng, dtype="float64"):
    net = network(hidden, loss, head, dtype)
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    weight = rng.uniform(0.2, 2, size=N_ROWS)
    arguments = {"loss": loss, "sample_weight": weight, "training": True}
    return net, (X, targets_of(loss, rng)), arguments


def flat(gradients):
    return np.concatenate([
        part.ravel() for pair in zip(gradients["weights"], gradients["biases"], strict=True)
        for part in pair if part is not None
    ])  # fmt: skip


def assert_close(gradients, expected, tolerance):
    """Equal up to `tolerance` relative to the largest element, because sums lose digits to
    cancellation."""
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(gradients, expected, rtol=tolerance, atol=tolerance * scale)


def central_differences(net, data, arguments, step=1e-6):
    result = np.empty(net.n_parameters)
    for i in range(net.n_parameters):
        value = net.parameters[i]
        ends = []
        for moved in (value + step, value - step):
            net.parameters[i] = moved
            ends.append(net.loss_and_gradients(*data, **arguments)[0])
        net.parameters[i] = value
        result[i] = (ends[0] - ends[1]) / (2 * step)
    return result


@pytest.mark.parametrize("hidden", SMOOTH)
def test_activation_against_differences(hidden, rng):
    net, data, arguments = case(hidden, "squared_error", "linear", rng)
    _, gradients = net.loss_and_gradients(*data, **arguments)
    assert_close(flat(gradients), central_differences(net, data, arguments), 1e-7)


@pytest.mark.parametrize(("hidden", "loss", "head"), PAIRS)
def test_loss_against_differences(hidden, loss, head, rng):
    if head in ("relu", "leaky_relu", "hard_sigmoid", "selu"):
        pytest.skip("central differences across a kink are meaningless; see test_against_reference")
    net, data, arguments = case(hidden, loss, head, rng)
    _, gradients = net.loss_and_gradients(*data, **arguments)
    assert_close(flat(gradients), central_differences(net, data, arguments), 1e-7)


@pytest.mark.parametrize("loss", HEADS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_pair_against_differences(hidden, loss, rng):
    """Directional derivatives along random directions, which involve every parameter. Steps are so
    small that they rarely cross a kink; a direction whose one-sided differences disagree is
    skipped."""
    for head in HEADS[loss]:
        net, data, arguments = case(hidden, loss, head, rng)
        value, gradients = net.loss_and_gradients(*data, **arguments)
        start, step, agreed = net.parameters.copy(), 1e-6, 0
        for _ in range(12):
            direction = rng.normal(size=len(start)) / np.sqrt(len(start))
            ends = []
            for sign in (1, -1):
                net.parameters[:] = start + sign * step * direction
                ends.append(net.loss_and_gradients(*data, **arguments)[0])
            if abs(ends[0] - 2 * value + ends[1]) > 1e-9 * max(1, abs(value)):
                continue  # a kink between the two ends
            derivative = (ends[0] - ends[1]) / (2 * step)
            expected = flat(gradients) @ direction
            assert abs(derivative - expected) <= 1e-7 * max(1, abs(expected), abs(value)), head
            agreed += 1
        assert agreed >= 6, head


@pytest.mark.parametrize("loss", HEADS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_against_reference(hidden, loss, rng):
    for head in HEADS[loss]:
        net, data, arguments = case(hidden, loss, head, rng)
        value, gradients = net.loss_and_gradients(*data, **arguments)
        expected, reference = net.loss_and_gradients(*data, **arguments, engine="reference")
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-12), head
        assert_close(flat(gradients), flat(reference), 1e-12)


@pytest.mark.parametrize("loss", HEADS)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_float32_against_float64(hidden, loss, rng):
    """The rounding error grows with the longest chain of additions: a sum of k terms has an error
    of at most k * eps times the sum of their magnitudes (N. Higham, "Accuracy and stability",
    section 3.1). The chains here have the lengths of widths and rows, in five layers; the factor 4
    covers the errors of the functions themselves."""
    for head in HEADS[loss]:
        state = rng.bit_generator.state
        net32, data, arguments = case(hidden, loss, head, rng, "float32")
        rng.bit_generator.state = state
        net64 = network(hidden, loss, head)
        net64.parameters[:] = net32.parameters
        data = (data[0].astype(np.float32), data[1])
        value, gradients = net32.loss_and_gradients(*data, **arguments)
        expected, exact = net64.loss_and_gradients(*data, **arguments)
        chain = 4 * 5 * (max(9, N_FEATURES) + N_ROWS)
        bound = chain * float(np.finfo(np.float32).eps)
        assert value == pytest.approx(expected, rel=bound, abs=bound), head
        scale = max(1.0, np.abs(flat(exact)).max())
        assert np.abs(flat(gradients) - flat(exact)).max() <= bound * scale, head


@pytest.mark.parametrize("loss", [
    fn.losses.Huber(0.3), fn.losses.Quantile(0.9), fn.losses.CrossEntropy(0.2),
], ids=str)  # fmt: skip
def test_parameters_of_losses(loss, rng):
    name = next(name for name, kind in CLASSES.items() if kind is type(loss))
    net, data, arguments = case("tanh", name, "linear", rng)
    arguments["loss"] = loss
    value, gradients = net.loss_and_gradients(*data, **arguments)
    expected, reference = net.loss_and_gradients(*data, **arguments, engine="reference")
    default, _ = net.loss_and_gradients(*data, **arguments | {"loss": name})
    assert value == pytest.approx(expected, rel=1e-12)
    assert value != pytest.approx(default, rel=1e-3)
    np.testing.assert_allclose(flat(gradients), flat(reference), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_hot_labels_and_probabilities_agree(smoothing, rng):
    net, (X, labels), arguments = case("tanh", "cross_entropy", "softmax", rng)
    arguments["loss"] = fn.losses.CrossEntropy(smoothing)
    value, gradients = net.loss_and_gradients(X, labels, **arguments)
    for rows in (fn.one_hot(labels, 3), fn.one_hot(labels, 3, dtype=np.float32)):
        same, same_gradients = net.loss_and_gradients(X, rows, **arguments)
        assert same == pytest.approx(value, rel=1e-14)
        np.testing.assert_allclose(flat(same_gradients), flat(gradients), rtol=1e-12, atol=1e-14)


def test_integer_sample_weights_equal_repeated_rows(rng):
    net, (X, y), _ = case("tanh", "squared_error", "linear", rng)
    times = rng.integers(0, 4, size=N_ROWS)
    weighted = net.loss_and_gradients(X, y, sample_weight=times)
    repeated = net.loss_and_gradients(np.repeat(X, times, axis=0), np.repeat(y, times, axis=0))
    assert weighted[0] == pytest.approx(repeated[0], rel=1e-13)
    np.testing.assert_allclose(flat(weighted[1]), flat(repeated[1]), rtol=1e-11, atol=1e-13)


def test_a_batch_of_several_microbatches(rng):
    """Its objective and gradient are those of the whole batch."""
    X, y = rng.normal(size=(10_000, 3)), rng.normal(size=10_000)
    net = fn.Sequential(fn.Dropout(0.1), fn.Dense(4, "gelu"), fn.Dense(1), dtype="f8").build(3)
    arguments = {"training": True, "sample_weight": rng.uniform(size=10_000)}
    value, gradients = net.loss_and_gradients(X, y, **arguments)
    expected, reference = net.loss_and_gradients(X, y, **arguments, engine="reference")
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(flat(gradients), flat(reference), rtol=1e-10, atol=1e-12)


def test_loss_and_gradients_does_not_change_the_network(rng):
    net, data, arguments = case("relu", "squared_error", "linear", rng)
    before = net.parameters.copy()
    net.loss_and_gradients(*data, **arguments)
    assert (net.parameters == before).all()
    assert net.n_steps == 0
