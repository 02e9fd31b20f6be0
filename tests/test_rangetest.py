"""The learning-rate range test: its losses, its suggestion, and training with the suggestion."""

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn
from fastnn import schedules
from fastnn._engine import native
from fastnn.experiments.range_test import RangeTest

X, Y = fn.datasets.load_digits()
X = (X / 16).astype("float32")


def network(*hidden, seed=0, **options):
    layers = hidden or (fn.Dense(16, "relu"),)
    return fn.Sequential(*layers, fn.Dense(10, "softmax"), random_state=seed, **options)


# ---- losses ------------------------------------------------------------------------------------


def test_losses_equal_those_of_a_fit_with_increasing_learning_rate(dtype):
    test = fn.lr_range_test(network(dtype=dtype), X, Y, n_steps=40, n_seeds=1, batch_size="full",
                            min_learning_rate=1e-5, max_learning_rate=1e-1)  # fmt: skip
    rising = schedules.ExponentialDecay(1e-5, every=39, factor=1e4)
    history = network(dtype=dtype).fit(
        X, Y, optimizer=fn.optimizers.Adam(rising), epochs=40, batch_size="full"
    )
    np.testing.assert_allclose(test.learning_rates, history["learning_rate"], rtol=1e-12)
    np.testing.assert_allclose(test.losses[0], history["loss"], rtol=1e-5)


def test_each_run_depends_on_its_seed_only():
    together = fn.lr_range_test(network(seed=3), X, Y, n_steps=50, n_seeds=4)
    assert together.losses.shape == (4, 50)
    assert len({tuple(losses) for losses in together.losses}) == 4
    for i in range(4):
        alone = fn.lr_range_test(network(seed=3 + i), X, Y, n_steps=50, n_seeds=1, n_threads=1)
        assert np.array_equal(alone.losses[0], together.losses[i], equal_nan=True)


def test_the_largest_seed_wraps_around():
    assert fn.lr_range_test(network(seed=2**63 - 1), X, Y, n_steps=30, n_seeds=2).losses.any()


def test_network_and_arrays_are_not_modified():
    trained, unbuilt = network(), network()
    trained.fit(X, Y, epochs=1)
    before, features, labels = trained.parameters.copy(), X.copy(), Y.copy()
    fn.lr_range_test(trained, X, Y, n_steps=30, n_seeds=2)
    fn.lr_range_test(unbuilt, X, Y, n_steps=30, n_seeds=2)
    assert np.array_equal(trained.parameters, before)
    assert (trained.n_steps, unbuilt.n_features_in) == (57, None)
    assert np.array_equal(X, features)
    assert np.array_equal(Y, labels)


def test_a_run_ends_when_it_diverges_and_is_used():
    sgd = fn.optimizers.SGD(momentum=0.9)
    x, y = fn.datasets.load_concrete()
    x, y = fn.Standardizer().fit_transform(x), (y - y.mean()) / y.std()
    net = fn.Sequential(fn.Dense(16, "relu"), fn.Dense(1), random_state=0)
    test = fn.lr_range_test(net, x, y, optimizer=sgd, max_learning_rate=1e4)
    for losses in test.losses:
        ended = np.isnan(losses)
        assert ended[-1]
        assert not ended[0]
        assert (np.diff(ended.astype(int)) >= 0).all()
        assert np.nanmax(losses) < 100
    suggestion = test.suggest()
    assert suggestion.n_seeds == 8
    assert 1e-4 < suggestion.high < 0.1


def test_cv_leaves_one_fold_out_of_each_run():
    def run(x, seed=5):
        return fn.lr_range_test(network(seed=seed), x, Y, n_steps=60, n_seeds=3, cv=2).losses

    first = run(X)
    order = np.random.default_rng(5).permutation(len(X))
    changed = X.copy()
    changed[order[0::2]] = 0.5
    second = run(changed)
    # Runs 0 and 2 are without those rows, run 1 is without the others.
    assert np.array_equal(first[[0, 2]], second[[0, 2]], equal_nan=True)
    assert not np.array_equal(first[1], second[1], equal_nan=True)


def test_a_schedule_does_not_need_n_steps():
    adam = fn.optimizers.Adam(schedules.LinearDecay(0.1))
    scheduled = fn.lr_range_test(network(), X, Y, optimizer=adam, n_steps=30, n_seeds=1)
    plain = fn.lr_range_test(network(), X, Y, n_steps=30, n_seeds=1)
    assert np.array_equal(scheduled.losses, plain.losses, equal_nan=True)


def test_ctrl_c_is_raised(monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(native.Trainer, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fn.lr_range_test(network(), X, Y)


def test_an_error_in_a_run_is_raised(monkeypatch):
    def fail(*_args):
        raise MemoryError("no room")

    monkeypatch.setattr(native.Trainer, "run", fail)
    with pytest.raises(MemoryError, match="no room"):
        fn.lr_range_test(network(), X, Y)


# ---- suggestion --------------------------------------------------------------------------------


def valley(lowest, n_steps=300):
    """Return losses that are constant at first and symmetric about a minimum at one step."""
    steps = np.arange(n_steps)
    return 1 - np.exp(-(((steps - lowest) / 20) ** 2))


RATES = np.geomspace(1e-6, 1, 300)


def test_suggestion_for_losses_with_a_known_minimum():
    suggestion = RangeTest(RATES, valley(210)[None]).suggest()
    assert RATES[205] / 2 <= suggestion.high <= RATES[210] / 2
    assert suggestion.low == pytest.approx(suggestion.high / 4)
    low, high = suggestion
    assert (low, high) == (suggestion.low, suggestion.high)


def test_the_bands_are_quartiles_over_the_seeds():
    curves = np.array([valley(k) for k in (180, 200, 210, 220, 260)])
    alone = [RangeTest(RATES, curve[None]).suggest() for curve in curves]
    suggestion = RangeTest(RATES, curves[[3, 0, 4, 2, 1]]).suggest()
    assert (suggestion.low, suggestion.high) == pytest.approx((alone[2].low, alone[2].high))
    assert suggestion.high_band == pytest.approx((alone[1].high, alone[3].high))
    assert suggestion.low_band == pytest.approx((alone[1].low, alone[3].low))
    assert suggestion.n_seeds == 5


def test_a_slow_decrease_after_the_valley_is_ignored():
    creeping = np.minimum(valley(200), 0.005)
    creeping[:200] = valley(200)[:200]
    creeping[200:] -= np.linspace(0, 0.005, 100)
    test = RangeTest(RATES, creeping[None])
    assert RATES[190] / 2 < test.suggest().high < RATES[220] / 2


def test_noise_changes_the_suggestion_little(rng):
    noise = 0.1 * rng.standard_t(2, (8, 300))
    test = RangeTest(RATES, np.array([valley(210)] * 8) + noise)
    assert 0.6 < test.suggest().high / (RATES[210] / 2) < 1.6


def test_runs_without_a_decrease_are_ignored_unless_they_are_many():
    flat, falling, diverged = np.ones(300), valley(200), np.full(300, np.nan)
    test = RangeTest(RATES, np.array([falling, flat, falling, diverged, falling]))
    assert test.suggest().n_seeds == 3
    with pytest.raises(ValueError, match=r"expected a decrease .*; got a decrease in 2 of 4"):
        RangeTest(RATES, np.array([falling, flat, falling, diverged])).suggest()


@pytest.mark.parametrize("lowest", [292, 340])
def test_a_loss_that_decreases_to_the_end_warns(lowest):
    with pytest.warns(RuntimeWarning, match="raise max_learning_rate"):
        RangeTest(RATES, valley(lowest)[None]).suggest()


def test_a_range_that_is_too_small_warns():
    test = fn.lr_range_test(network(), X, Y, max_learning_rate=1e-3)
    with pytest.warns(RuntimeWarning, match=r"0\.001: raise max_learning_rate"):
        test.suggest()


def compute_mean_accuracy(net, optimizer):
    """Return the mean accuracy on held-out digits over five seeds."""
    x_train, x_test, y_train, y_test = fn.train_test_split(X, Y, random_state=0, stratify=Y)
    accuracies = []
    for seed in range(5):
        net.reset(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fn.DivergenceWarning)
            net.fit(x_train, y_train, optimizer=optimizer, epochs=15)
        accuracies.append(net.evaluate(x_test, y_test)["accuracy"])
    return np.mean(accuracies)


@pytest.mark.long
@pytest.mark.parametrize(
    ("net", "make"),
    [
        (network(fn.Dense(64, "relu")), fn.optimizers.Adam),
        (network(fn.Dense(64, "relu"), fn.Dense(64, "relu")), fn.optimizers.Adam),
        (network(*[fn.Dense(32, "tanh")] * 4), fn.optimizers.RMSprop),
        (network(fn.Dense(64, "relu")), lambda rate: fn.optimizers.SGD(rate, momentum=0.9)),
        (network(fn.Dense(64, "relu")), fn.optimizers.Adagrad),
    ],
    ids=["adam", "deeper", "tanh", "momentum", "adagrad"],
)  # fmt: skip
def test_the_suggestion_trains_digits_as_well_as_the_best_of_twelve_rates(net, make):
    x_train, _, y_train, _ = fn.train_test_split(X, Y, random_state=0, stratify=Y)
    low, high = fn.lr_range_test(net, x_train, y_train, optimizer=make(0.1)).suggest()
    best = max(compute_mean_accuracy(net, make(rate)) for rate in np.geomspace(1e-4, 1, 12))
    cyclic = schedules.Cyclic(low, high, half_cycle=int(2.5 * 43))
    assert compute_mean_accuracy(net, make(cyclic)) > best - 0.01
    assert compute_mean_accuracy(net, make(float(np.sqrt(low * high)))) > best - 0.02


def test_the_example_reports_a_gain(capsys):
    runpy.run_path(str(Path(__file__).parents[1] / "examples" / "cyclic_rates.py"))
    gain = capsys.readouterr().out.splitlines()[-1].split()
    assert float(gain[1]) > 2 * float(gain[3]) > 0


def test_plot(pyplot):
    test = fn.lr_range_test(network(), X, Y, n_seeds=3)
    axes = test.plot()
    assert len(axes.get_lines()) == 3 + 2
    assert axes.get_xscale() == "log"
    assert test.plot(axes) is axes
    flat = RangeTest(RATES, np.array([np.ones(300), np.full(300, np.nan)]))
    assert len(flat.plot().get_lines()) == 2


# ---- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"n_steps": 29}, ValueError, "n_steps: expected a whole number of at least 30"),
        ({"n_seeds": 0}, ValueError, "n_seeds"),
        ({"n_seeds": 2.0}, TypeError, "n_seeds"),
        ({"min_learning_rate": 0}, ValueError, "min_learning_rate"),
        ({"min_learning_rate": 1, "max_learning_rate": 1}, ValueError, "max_learning_rate"),
        ({"optimizer": "adm"}, ValueError, "optimizer.*adam"),
        ({"loss": "binary_cross_entropy"}, ValueError, "loss"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"cv": 1}, ValueError, "cv"),
        ({"cv": 1798}, ValueError, "cv"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight"),
        ({"network": "net"}, TypeError, "network: expected a Sequential"),
        ({"X": X[:5]}, ValueError, "y: expected 5 rows"),
    ],
)
def test_bad_input(options, kind, message):
    arguments = {"network": network(), "X": X, "y": Y, **options}
    with pytest.raises(kind, match=message):
        fn.lr_range_test(**arguments)
