"""Training on derivatives: the gradient of the error of the Jacobian against central differences,
whole steps, threads, and what it is for."""

import numpy as np
import pytest

import fastnn as fn
from fastnn._engine.plan import MOST_SHARDS, compile_plan
from fastnn.activations import NAMES
from fastnn.optimizers import SGD

N_ROWS, N_FEATURES, N_OUTPUTS = 23, 3, 2
SMALL = fn.initializers.Uniform(-0.4, 0.4)
SMOOTH = [
    name for name in NAMES
    if name not in ("softmax", "step", "relu", "leaky_relu", "selu", "hard_sigmoid", "elu",
                    "softsign")
]  # fmt: skip


def network(hidden="tanh", *, residual=False, dtype="float64", l2=0.0):
    layers = [
        fn.Dense(6, hidden, weight_init=SMALL, bias_init=0.1, l2=l2),
        fn.Dense(5, hidden, weight_init=SMALL, use_bias=False),
        fn.Dense(N_OUTPUTS, weight_init=SMALL),
    ]
    if residual:
        layers[:1] = [
            fn.Residual(fn.Dense(N_FEATURES, hidden, weight_init=SMALL)),
            layers[0],
            fn.Residual(
                fn.Residual(fn.Dense(9, hidden, weight_init=SMALL), fn.Dense(6, weight_init=SMALL)),
                fn.Dense(6, weight_init=SMALL),
            ),  # two skip connections from one buffer
        ]
    return fn.Sequential(*layers, random_state=3, dtype=dtype).build(N_FEATURES)


def make_data(rng, n=N_ROWS):
    return (
        rng.normal(size=(n, N_FEATURES)), rng.normal(size=(n, N_OUTPUTS)),
        rng.normal(size=(n, N_OUTPUTS, N_FEATURES)),
    )  # fmt: skip


def compute_objective(net, X, y, gradients, weight, sample_weight=None, loss="squared_error"):
    """The objective by its definition."""
    errors = ((net.jacobian(X) - gradients) ** 2).mean(axis=(1, 2))
    value = net.evaluate(X, y, loss=loss, sample_weight=sample_weight)["loss"]
    return value + weight * np.average(errors, weights=sample_weight)


def compute_gradient(net, function, step=1e-6):
    """Central differences of `function()` by the parameters."""
    result = np.empty(net.n_parameters)
    for i in range(net.n_parameters):
        value, ends = net.parameters[i], []
        for sign in (1, -1):
            net.parameters[i] = value + sign * step
            ends.append(function())
        net.parameters[i] = value
        result[i] = (ends[0] - ends[1]) / (2 * step)
    return result


def fit_one_step(net, X, y, gradients, **options):
    return net.fit(
        X, y, gradient_targets=gradients, epochs=1, batch_size="full", optimizer=SGD(1.0),
        shuffle=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("hidden", SMOOTH)
def test_step_is_the_gradient_of_the_objective(hidden, residual, weighted, rng):
    X, y, gradients = make_data(rng)
    sample_weight = rng.uniform(0.2, 2, N_ROWS) if weighted else None
    net = network(hidden, residual=residual, l2=0.1)
    arguments = (X, y, gradients, 0.7, sample_weight)
    before = net.parameters.copy()
    value = compute_objective(net, *arguments)
    expected = compute_gradient(net, lambda: compute_objective(net, *arguments))
    history = fit_one_step(net, X, y, gradients, gradient_weight=0.7, sample_weight=sample_weight)
    assert history["loss"][0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(before - net.parameters, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "log_cosh", "quantile"])
def test_other_losses(loss, rng):
    X, y, gradients = make_data(rng)
    net = network()
    before, arguments = net.parameters.copy(), (X, y, gradients, 1.0, None, loss)
    expected = compute_gradient(net, lambda: compute_objective(net, *arguments))
    fit_one_step(net, X, y, gradients, loss=loss)
    np.testing.assert_allclose(before - net.parameters, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("hidden", ["relu", "leaky_relu", "linear", "selu", "elu", "softsign"])
def test_activations_with_corners(hidden, rng):
    """Central differences hold where no preactivation is near a corner."""
    X, y, gradients = make_data(rng, 5)
    net = network(hidden)
    before = net.parameters.copy()
    expected = compute_gradient(net, lambda: compute_objective(net, X, y, gradients, 1.0), 1e-7)
    fit_one_step(net, X, y, gradients)
    np.testing.assert_allclose(before - net.parameters, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 16, 100, "full"])
def test_bits_do_not_depend_on_threads(batch_size, dtype, rng):
    X, y, gradients = make_data(rng, 300)
    results = set()
    for n_threads in (1, 2, 3, 4, None):
        net = network("tanh", residual=True, dtype=dtype)
        net.fit(X, y, gradient_targets=gradients, batch_size=batch_size, epochs=3,
                n_threads=n_threads)  # fmt: skip
        results.add(net.parameters.tobytes())
    assert len(results) == 1


def test_validation_rows_keep_their_targets_out(rng):
    """Held-out rows do not train: a run on the other rows alone gives the same weights."""
    X, y, gradients = make_data(rng, 40)
    options = {"epochs": 2, "batch_size": 16, "optimizer": SGD(0.1), "shuffle": "never"}
    net, twin = network(), network()
    net.fit(X, y, gradient_targets=gradients, validation_split=10, **options)
    changed = gradients.copy()
    for row in range(40):
        changed[row] = 1e3
        other = network()
        other.fit(X, y, gradient_targets=changed, validation_split=10, **options)
        if other.parameters.tobytes() != net.parameters.tobytes():
            changed[row] = gradients[row]
    assert (changed == 1e3).all(axis=(1, 2)).sum() == 10
    kept = (changed != 1e3).any(axis=(1, 2))
    twin.fit(X[kept], y[kept], gradient_targets=gradients[kept], **options)
    assert twin.parameters.tobytes() == net.parameters.tobytes()


def test_steps_of_minibatches_against_their_definition(rng):
    X, y, gradients = make_data(rng, 20)
    net, twin = network(), network()
    net.fit(X, y, gradient_targets=gradients, epochs=1, batch_size=8, optimizer=SGD(0.1),
            shuffle="never")  # fmt: skip
    for start in (0, 8, 16):
        rows = slice(start, min(start + 8, 20))
        step = compute_gradient(
            twin, lambda rows=rows: compute_objective(twin, X[rows], y[rows], gradients[rows], 1.0)
        )
        twin.parameters[:] -= 0.1 * step
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["adam", SGD(0.05, momentum=0.9, clip_norm=0.5)])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("batch_size", [1, 8, 40])
def test_training_runs_against_the_reference(batch_size, residual, optimizer, rng):
    """Runs with sample weights, penalties and shuffling."""
    X, y, gradients = make_data(rng, 40)
    results = []
    for engine in ("native", "reference"):
        net = network("gelu", residual=residual, l2=0.01)
        net.fit(X, y, gradient_targets=gradients, gradient_weight=0.3, engine=engine, epochs=10,
                sample_weight=np.linspace(0.5, 2, 40),
                batch_size=batch_size, optimizer=optimizer)  # fmt: skip
        results.append((net.parameters.copy(), net.history["loss"]))
    for native, reference in zip(*results, strict=True):
        np.testing.assert_allclose(native, reference, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("n_features", "units", "batch_size"), [(3, 6, 600), (3, 6, 257), (30, 100, 40)]
)
def test_more_rows_than_a_thread_compares_at_a_time(n_features, units, batch_size, rng):
    """Large minibatches, and Jacobians that are large."""
    layers = (fn.Dense(units, "tanh"), fn.Dense(N_OUTPUTS))
    nets = [fn.Sequential(*layers, random_state=0, dtype="float64") for _ in range(2)]
    plan = compile_plan(
        layers, n_features, nets[0].dtype, loss=fn.losses.SquaredError(), n_targets=N_OUTPUTS,
        optimizer=SGD(), batch_size=batch_size, gradient_weight=1.0,
    )  # fmt: skip
    rows_of_a_thread = max(8, -(-batch_size // MOST_SHARDS))
    assert plan.settings["derivative_rows"][0] < rows_of_a_thread
    X = rng.normal(size=(600, n_features))
    y, gradients = rng.normal(size=(600, N_OUTPUTS)), rng.normal(size=(600, N_OUTPUTS, n_features))
    for net, engine in zip(nets, ("native", "reference"), strict=True):
        net.fit(X, y, gradient_targets=gradients, engine=engine, epochs=2, batch_size=batch_size,
                sample_weight=np.linspace(0.5, 2, 600), optimizer=SGD(0.1))  # fmt: skip
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-9, atol=1e-11)


def test_derivatives_are_learned_better(rng):
    """The derivatives of a function of two variables, after the same number of epochs."""

    def function(X):
        return np.sin(2 * X[:, 0]) * np.cos(X[:, 1])

    X, test = rng.uniform(-2, 2, size=(200, 2)), rng.uniform(-2, 2, size=(1000, 2))

    def gradient(X):
        return np.column_stack([
            2 * np.cos(2 * X[:, 0]) * np.cos(X[:, 1]), -np.sin(2 * X[:, 0]) * np.sin(X[:, 1]),
        ])  # fmt: skip

    errors = []
    for targets in (None, gradient(X)):
        net = fn.Sequential(fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(1), random_state=0)
        net.fit(X, function(X), gradient_targets=targets, epochs=300,
                optimizer=fn.optimizers.Adam(0.01))  # fmt: skip
        errors.append(np.sqrt(((net.jacobian(test)[:, 0] - gradient(test)) ** 2).mean()))
    assert errors[1] < errors[0] / 2


def test_input_is_not_changed_and_may_have_any_layout(rng):
    X, y, gradients = make_data(rng)
    expected = network()
    expected.fit(X, y, gradient_targets=gradients)
    copies = [X.copy(), y.copy(), gradients.copy()]
    gradients.flags.writeable = False
    for other in (gradients, np.asfortranarray(gradients), gradients.tolist()):
        net = network()
        net.fit(X, y, gradient_targets=other)
        assert net.parameters.tobytes() == expected.parameters.tobytes()
    for before, after in zip(copies, (X, y, gradients), strict=True):
        np.testing.assert_array_equal(before, after)
    one = fn.Sequential(fn.Dense(1), random_state=0, dtype="float64")
    one.fit(X, y[:, 0], gradient_targets=gradients[:, 0])
    two = fn.Sequential(fn.Dense(1), random_state=0, dtype="float64")
    two.fit(X, y[:, 0], gradient_targets=gradients[:, :1])
    assert one.parameters.tobytes() == two.parameters.tobytes()


def test_bad_input(rng):
    X, y, gradients = make_data(rng)
    net = network()
    before = net.parameters.copy()
    softmax = fn.Sequential(fn.Dense(2, "softmax"))
    dropout = fn.Sequential(fn.Residual(fn.Dropout(0.1)), fn.Dense(2))
    for call, message in [
        (lambda: net.fit(X, y, gradient_targets=gradients[:5]), r"gradient_targets: expected shape "
         r"\(n, n_outputs, n_features\) = \(23, 2, 3\); got \(5, 2, 3\)"),
        (lambda: net.fit(X, y, gradient_targets=gradients[:, 0]), "gradient_targets: expected"),
        (lambda: net.fit(X, y, gradient_targets=gradients * np.nan), "gradient_targets: .*NaN"),
        (lambda: net.fit(X, y, gradient_targets="all"), "gradient_targets: expected"),
        (lambda: net.fit(X, y, gradient_targets=gradients, gradient_weight=0), "gradient_weight"),
        (lambda: softmax.fit(X, y[:, 0] > 0, gradient_targets=gradients), "loss: expected one of"),
        (lambda: dropout.fit(X, y, gradient_targets=gradients), "without Dropout"),
    ]:  # fmt: skip
        with pytest.raises((ValueError, TypeError), match=message):
            call()
    np.testing.assert_array_equal(net.parameters, before)
