"""`History`: the values that a fit records, and their plot."""

import io
import sys

import numpy as np
import pytest

import fastnn as fn
from fastnn import losses, optimizers
from fastnn.history import History

N = 26  # three batches of 8 and one of 2


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(N, 3))
    return X, (X[:, 0] + 0.5 * rng.normal(size=N) > 0).astype(int)


def network(**dense):
    return fn.Sequential(
        fn.Dense(6, "tanh", **dense), fn.Dense(2, "softmax"), random_state=0, dtype="float64"
    )


# ---- recorded values ----


def test_one_value_per_epoch(rows):
    net = network()
    history = net.fit(*rows, epochs=5, validation_data=rows)
    assert net.history is history
    assert history.n_epochs == 5
    assert list(history) == ["loss", "learning_rate", "val_loss", "val_accuracy", "seconds"]
    for name in history:
        assert name in history
        assert history[name].shape == (5,)
        assert history[name].dtype == np.float64
        assert np.isfinite(history[name]).all()
    assert (history["seconds"] > 0).all()
    assert history.stop_reason is None


def test_names_without_validation_data(rows):
    history = network().fit(*rows, epochs=2)
    assert list(history) == ["loss", "learning_rate", "seconds"]
    assert "val_loss" not in history


@pytest.mark.parametrize(
    ("loss", "metric"),
    [
        ("squared_error", "val_r2"),
        (losses.Huber(2.0), "val_r2"),
        ("binary_cross_entropy", "val_accuracy"),
        ("hinge", "val_accuracy"),
        ("quantile", None),
        ("poisson", None),
    ],
    ids=str,
)
def test_the_metric_depends_on_the_loss(rows, loss, metric):
    net = fn.Sequential(fn.Dense(1), random_state=0)
    history = net.fit(*rows, loss=loss, epochs=1, validation_data=rows)
    expected = ["val_loss"] + ([metric] if metric else [])
    assert [name for name in history if name.startswith("val_")] == expected


def test_an_unknown_name_is_an_error(rows):
    history = network().fit(*rows, epochs=1)
    with pytest.raises(KeyError, match=r"expected one of \['loss'.*got 'accuracy'"):
        history["accuracy"]


def test_no_epochs(rows):
    """With zero epochs, fit builds the network and the history is empty."""
    net = network()
    history = net.fit(*rows, epochs=0, verbose=1)
    assert history.n_epochs == 0
    assert dict(history) == {}
    assert repr(history) == "History(0 epochs; last: none)"
    assert net.n_features_in == 3


def test_each_fit_returns_a_new_history(rows):
    net = network()
    first = net.fit(*rows, epochs=3)
    second = net.fit(*rows, epochs=2)
    assert (first.n_epochs, second.n_epochs) == (3, 2)
    assert net.history is second


@pytest.mark.parametrize("penalty", [{}, {"l1": 0.01, "l2": 0.1}], ids=["plain", "penalized"])
def test_loss_of_full_batches_is_the_loss_before_each_update(rows, penalty):
    """The loss includes the penalties."""
    net = network(**penalty)
    expected = []
    net.build(3)
    expected.append(net.loss_and_gradients(*rows)[0])
    history = net.fit(
        *rows, epochs=4, batch_size="full",
        callbacks=[lambda epoch: expected.append(net.loss_and_gradients(*rows)[0])],
    )  # fmt: skip
    assert history["loss"] == pytest.approx(expected[:-1], rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_the_weighted_mean_of_the_losses_of_the_steps(rows, rng, weighted):
    """The weight of a step is its number of rows, or the sum of their weights; its loss is the one
    before the update."""
    X, y = rows
    weight = rng.uniform(0.1, 3.0, N) if weighted else np.ones(N)
    net, by_hand = network(), network().build(3)
    rate, steps, shares = 0.1, [], []
    for start in range(0, N, 8):
        now = slice(start, start + 8)
        value, gradients = by_hand.loss_and_gradients(X[now], y[now], sample_weight=weight[now])
        for kind, arrays in (("weights", by_hand.weights), ("biases", by_hand.biases)):
            for array, gradient in zip(arrays, gradients[kind], strict=True):
                np.subtract(array, rate * gradient, out=array)
        steps.append(value)
        shares.append(weight[now].sum())
    history = net.fit(
        X, y, epochs=1, batch_size=8, shuffle=False, optimizer=optimizers.SGD(rate),
        sample_weight=weight if weighted else None,
    )  # fmt: skip
    assert history["loss"][0] == pytest.approx(np.average(steps, weights=shares), rel=1e-12)
    np.testing.assert_allclose(net.parameters, by_hand.parameters, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_validation_values_equal_those_of_evaluate(rows, rng, weighted):
    held = (*rows, rng.uniform(0.1, 3.0, N)) if weighted else rows
    net = network(l2=0.1)
    seen = []

    def evaluate(epoch):
        seen.append(net.evaluate(*rows, sample_weight=held[2] if weighted else None))

    history = net.fit(*rows, epochs=3, validation_data=held, callbacks=[evaluate])
    assert history["val_loss"].tolist() == [scores["loss"] for scores in seen]
    assert history["val_accuracy"].tolist() == [scores["accuracy"] for scores in seen]


def test_learning_rate_is_that_of_the_last_step(rows):
    schedule = fn.schedules.LinearDecay(0.8, 0.0)  # four steps per epoch, eight in total
    history = network().fit(*rows, epochs=2, batch_size=8, optimizer=optimizers.SGD(schedule))
    assert history["learning_rate"] == pytest.approx([0.8 * 5 / 8, 0.8 * 1 / 8])


def test_both_engines_record_equal_values(rows):
    native, reference = (
        network().fit(*rows, epochs=3, validation_data=rows, engine=engine)
        for engine in ("native", "reference")
    )
    assert list(native) == list(reference)
    for name in ("loss", "learning_rate", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(native[name], reference[name], rtol=1e-10)


def test_repr_shows_the_last_epoch(rows):
    history = network().fit(*rows, epochs=3)
    text = repr(history)
    assert text.startswith("History(3 epochs; last: loss ")
    assert f"loss {history['loss'][-1]:.4g}" in text
    assert "stopped" not in text
    stopped = network().fit(*rows, epochs=3, callbacks=[lambda epoch: epoch.stop("enough")])
    assert repr(stopped).endswith(", stopped: enough)")


# ---- plot ----


def read_lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def read_legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_plot_draws_losses_and_metric(rows, pyplot):
    history = network().fit(*rows, epochs=4, validation_data=rows)
    axes = history.plot()
    upper, lower = axes.figure.axes
    assert upper is axes
    assert list(read_lines(upper)) == ["loss", "val_loss"]
    assert list(read_lines(lower)) == ["val_accuracy"]
    for name, line in (read_lines(upper) | read_lines(lower)).items():
        assert line.get_xdata().tolist() == [1, 2, 3, 4]
        assert line.get_ydata().tolist() == history[name].tolist()
        assert line.get_linestyle() == ("--" if name.startswith("val_") else "-")
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("loss", "accuracy")
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "epoch")
    assert len({line.get_color() for line in upper.get_lines()}) == 2
    axes.figure.savefig(io.BytesIO())


def test_plot_marks_the_lowest_validation_loss(pyplot):
    axes = History({"loss": [3.0, 2.0, 1.0], "val_loss": [2.0, 1.5, np.nan]}).plot()
    assert axes.collections[0].get_offsets().tolist() == [[2.0, 1.5]]
    assert read_legend(axes) == ["loss", "val_loss", "lowest val_loss, epoch 2"]
    axes = History({"loss": [1.0], "val_loss": [np.nan]}).plot()
    assert read_legend(axes) == ["loss", "val_loss"]


def test_plot_shows_the_learning_rate_if_it_varies(pyplot):
    losses = {"loss": [3.0, 2.0, 1.0]}
    assert len(History({**losses, "learning_rate": [0.1, 0.1, 0.1]}).plot().figure.axes) == 1
    _, panel = History({**losses, "learning_rate": [0.1, 0.2, 0.1]}).plot().figure.axes
    assert panel.get_ylabel() == "learning\nrate"
    assert panel.get_lines()[0].get_ydata().tolist() == [0.1, 0.2, 0.1]


def test_panels_of_a_plot_stay_in_the_place_of_the_axes(pyplot):
    history = History({"loss": [2.0, 1.0], "accuracy": [0.5, 0.75], "learning_rate": [0.2, 0.1]})
    for axes in (pyplot.figure().add_axes((0.5, 0.25, 0.25, 0.5)), pyplot.subplots(1, 2)[1][1]):
        place = axes.get_position()
        others = set(axes.figure.axes) - {axes}
        assert history.plot(axes) is axes
        panels = [panel.get_position() for panel in axes.figure.axes if panel not in others]
        assert len(panels) == 3
        for corner, extreme in (("x0", min), ("y0", min), ("x1", max), ("y1", max)):
            got = extreme(getattr(panel, corner) for panel in panels)
            assert got == pytest.approx(getattr(place, corner))


@pytest.mark.parametrize("epochs", [1, 2, 4, 25])
def test_plot_has_integer_epochs_as_ticks(rows, pyplot, epochs):
    axes = network().fit(*rows, epochs=epochs, validation_data=rows).plot()
    axes.figure.canvas.draw()
    ticks = axes.get_xticks()
    assert (ticks == ticks.round()).all()
    low, high = axes.get_xlim()
    assert sum(low <= tick <= high for tick in ticks) >= min(epochs, 2), ticks


def test_plot_shows_a_single_epoch_as_points(rows, pyplot):
    axes = network().fit(*rows, epochs=1).plot()
    (line,) = axes.get_lines()
    assert line.get_marker() == "o"


def test_plot_rejects_other_objects_than_axes(pyplot):
    with pytest.raises(TypeError, match="ax: expected matplotlib axes; got"):
        History().plot(pyplot.figure())
    assert not pyplot.gcf().axes


def test_plot_without_validation_data_on_existing_axes(rows, pyplot):
    axes = pyplot.subplots()[1]
    assert network().fit(*rows, epochs=2).plot(axes) is axes
    assert [line.get_label() for line in axes.get_lines()] == ["loss"]
    assert len(axes.figure.axes) == 1


def test_plot_without_matplotlib_raises_an_error_with_advice(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        History().plot()
