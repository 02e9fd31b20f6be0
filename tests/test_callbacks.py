"""Callbacks: stopping, restoring, saving, and the network after an exception."""

import numpy as np
import pytest

import fastnn as fn
from fastnn import callbacks, optimizers
from fastnn._engine import native
from fastnn._engine.job import Steps
from fastnn.callbacks import Checkpoint, EarlyStopping, ReduceOnPlateau


def network(dtype="float64", seed=0):
    return fn.Sequential(
        fn.Dense(12, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed, dtype=dtype
    )


@pytest.fixture(scope="module")
def rows():
    """A few rows to overfit, and validation rows."""
    X, y = fn.datasets.load_breast_cancer()
    X = fn.Standardizer().fit_transform(X)
    return {"X": X[:40], "y": y[:40], "validation_data": (X[40:200], y[40:200])}


def make_recorder(seen):
    """Return a callback that stores the weights of each epoch in `seen`."""

    def keep(epoch):
        seen.append(epoch.network.parameters.copy())

    return keep


def count_epochs_until_stop(callback, values, name="val_loss"):
    """Return after how many epochs a callback stops if `name` takes these values."""
    net = network().build(2)
    running = callbacks.start([callback], [name, "learning_rate"])
    for index, value in enumerate(values):
        epoch = callbacks.Epoch(net, index, {name: value, "learning_rate": 0.1})
        for one in running:
            one.after(epoch)
        if epoch.stop_reason is not None:
            return index + 1
    return None


# ---- early stopping ----


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_early_stopping_stops_after_patience_epochs(patience):
    values = [3.0, 2.0, 2.5, 2.0, 2.1, 9.0, 9.0]
    assert count_epochs_until_stop(EarlyStopping(patience=patience), values) == 2 + patience


def test_early_stopping_without_patience_stops_at_the_first_epoch_without_improvement():
    assert count_epochs_until_stop(EarlyStopping(patience=0), [3.0, 2.0, 2.0, 1.0]) == 3


def test_an_improvement_restarts_the_count():
    values = [3.0, 4.0, 2.0, 4.0, 1.0, 4.0, 4.0]
    assert count_epochs_until_stop(EarlyStopping(patience=2), values) == 7


def test_early_stopping_does_not_stop_while_the_value_improves():
    assert count_epochs_until_stop(EarlyStopping(patience=1), [5.0, 4.0, 3.0, 2.0]) is None


@pytest.mark.parametrize("name", ["loss", "val_loss", "seconds"])
def test_lower_is_better_for_losses_and_seconds(name):
    callback = EarlyStopping(name, patience=2)
    assert count_epochs_until_stop(callback, [3.0, 2.0, 1.0, 0.5], name) is None
    assert count_epochs_until_stop(callback, [1.0, 2.0, 3.0, 4.0], name) == 3


@pytest.mark.parametrize("name", ["val_accuracy", "val_r2"])
def test_higher_is_better_for_metrics(name):
    callback = EarlyStopping(name, patience=2)
    assert count_epochs_until_stop(callback, [-0.5, 0.5, 0.7, 0.9], name) is None
    assert count_epochs_until_stop(callback, [0.9, 0.8, 0.7, 0.6], name) == 3


def test_a_change_below_min_delta_is_no_improvement():
    values = [1.0, 0.95, 0.92, 0.8, 0.75, 0.7]
    assert count_epochs_until_stop(EarlyStopping(patience=2, min_delta=0.1), values) == 3
    assert count_epochs_until_stop(EarlyStopping(patience=3, min_delta=0.1), values) is None
    assert count_epochs_until_stop(EarlyStopping(patience=2), values) is None


@pytest.mark.parametrize("worst", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_no_improvement(worst):
    assert count_epochs_until_stop(EarlyStopping(patience=2), [1.0, worst, worst, 0.5]) == 3
    assert count_epochs_until_stop(EarlyStopping(patience=2), [worst, 1.0, 0.5, 0.4]) is None


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_early_stopping_restores_the_best_weights(rows, monitor):
    """Bitwise equal to the weights of the epoch that is the best in the history."""
    net, seen = network(), []
    stopping = EarlyStopping(monitor, patience=4)
    history = net.fit(**rows, epochs=400, optimizer=optimizers.Adam(0.02),
                      callbacks=[stopping, make_recorder(seen)])  # fmt: skip
    recorded = history[monitor]
    best = int(recorded.argmin() if monitor == "val_loss" else recorded.argmax())
    assert history.n_epochs == len(seen) == best + 1 + 4 < 400
    assert (net.parameters == seen[best]).all()
    assert (net.parameters != seen[-1]).any()
    name = monitor.removeprefix("val_")
    assert net.evaluate(*rows["validation_data"])[name] == recorded[best]
    assert history.stop_reason.startswith(f"{monitor} has not improved for 4 epochs (best ")
    assert f"{recorded[best]:.6g}" in history.stop_reason


def test_early_stopping_restores_the_best_weights_also_after_the_last_epoch(rows):
    net, seen = network(), []
    history = net.fit(**rows, epochs=60, optimizer=optimizers.Adam(0.05),
                      callbacks=[EarlyStopping(patience=1000), make_recorder(seen)])  # fmt: skip
    best = int(history["val_loss"].argmin())
    assert history.stop_reason is None
    assert best < 59
    assert (net.parameters == seen[best]).all()


def test_early_stopping_may_keep_the_last_weights(rows):
    net, seen = network(), []
    stopping = EarlyStopping(patience=3, restore_best=False)
    net.fit(**rows, epochs=400, optimizer=optimizers.Adam(0.05),
            callbacks=[make_recorder(seen), stopping])  # fmt: skip
    assert len(seen) < 400
    assert (net.parameters == seen[-1]).all()


def test_the_training_loss_can_be_monitored_without_validation_data(rows):
    stopping = EarlyStopping("loss", patience=1, min_delta=0.01)
    history = network().fit(rows["X"], rows["y"], epochs=500, callbacks=[stopping])
    assert history.n_epochs < 500
    assert "loss has not improved" in history.stop_reason


def test_one_callback_object_can_be_used_in_several_fits(rows):
    """The state is new in each fit: the second fit equals a fit with a new object."""
    stopping = EarlyStopping(patience=3)
    plateau = ReduceOnPlateau(patience=1)
    options = {"epochs": 300, "optimizer": optimizers.Adam(0.02), "callbacks": [stopping, plateau]}
    first, second = (network().fit(**rows, **options) for _ in range(2))
    assert len(first) == len(second) < 300
    assert (first["loss"] == second["loss"]).all()
    assert (first["learning_rate"] == second["learning_rate"]).all()


# ---- learning rate ----


def test_reduce_on_plateau_reduces_the_learning_rate_after_patience_epochs(rows):
    """With a min_delta that no epoch reaches, the learning rate falls every two epochs."""
    plateau = ReduceOnPlateau("loss", factor=0.5, patience=2, min_delta=1e9)
    history = network().fit(**rows, epochs=8, optimizer=optimizers.SGD(0.4), callbacks=[plateau])
    # The first epoch always improves, so counting starts with the second one.
    expected = [0.4, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1, 0.05]
    assert history["learning_rate"] == pytest.approx(expected)


def test_the_engine_trains_with_the_reduced_rate(rows):
    """With full batches and plain SGD, each update is the learning rate times the gradient."""
    net = network().build(30)
    X, y = rows["X"], rows["y"]
    plateau = ReduceOnPlateau("loss", factor=0.1, patience=1, min_delta=1e9)
    sizes, before = [], [net.parameters.copy()]

    def size(epoch):
        gradients = epoch_gradients.pop()
        step = np.linalg.norm(epoch.network.parameters - before[-1])
        sizes.append(step / gradients)
        before.append(epoch.network.parameters.copy())
        epoch_gradients.append(gradient_norm())

    def gradient_norm():
        parts = net.loss_and_gradients(X, y)[1]
        return np.sqrt(sum((g**2).sum() for part in parts.values() for g in part))

    epoch_gradients = [gradient_norm()]
    history = net.fit(X, y, epochs=4, batch_size="full", optimizer=optimizers.SGD(0.5),
                      callbacks=[plateau, size])  # fmt: skip
    assert sizes == pytest.approx(history["learning_rate"].tolist(), rel=1e-9)
    assert sizes == pytest.approx([0.5, 0.5, 0.05, 0.005], rel=1e-9)


def test_reduce_on_plateau_has_a_lower_bound(rows):
    plateau = ReduceOnPlateau("loss", factor=0.1, patience=1, min_delta=1e9, min_learning_rate=0.03)
    history = network().fit(**rows, epochs=6, optimizer=optimizers.SGD(0.4), callbacks=[plateau])
    assert history["learning_rate"] == pytest.approx([0.4, 0.4, 0.04, 0.03, 0.03, 0.03])


def test_a_learning_rate_below_the_bound_does_not_change(rows):
    plateau = ReduceOnPlateau("loss", factor=0.1, patience=1, min_delta=1e9, min_learning_rate=0.5)
    history = network().fit(**rows, epochs=4, optimizer=optimizers.SGD(0.4), callbacks=[plateau])
    assert history["learning_rate"] == pytest.approx([0.4] * 4)


def test_reduce_on_plateau_multiplies_a_schedule(rows):
    schedule = fn.schedules.StepDecay(0.8, every=2, factor=0.5)  # two epochs of one step each
    plateau = ReduceOnPlateau("loss", factor=0.1, patience=2, min_delta=1e9)
    history = network().fit(**rows, epochs=6, batch_size="full", optimizer=optimizers.SGD(schedule),
                            callbacks=[plateau])  # fmt: skip
    assert history["learning_rate"] == pytest.approx([0.8, 0.8, 0.4, 0.04, 0.02, 0.002])


def test_the_next_fit_starts_with_the_full_learning_rate(rows):
    net = network()
    options = {"epochs": 4, "optimizer": optimizers.SGD(0.4)}
    plateau = ReduceOnPlateau("loss", patience=1, min_delta=1e9)
    assert net.fit(**rows, **options, callbacks=[plateau])["learning_rate"][-1] < 0.4
    assert net.fit(**rows, **options)["learning_rate"] == pytest.approx([0.4] * 4)


# ---- checkpoints ----


def test_checkpoint_saves_each_epoch_with_its_number_in_the_path(rows, tmp_path):
    seen = []
    net = network()
    checkpoint = Checkpoint(tmp_path / "net-{epoch}.safetensors")
    net.fit(**rows, epochs=3, callbacks=[checkpoint, make_recorder(seen)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"net-{i}.safetensors" for i in (1, 2, 3)]
    for index, weights in enumerate(seen):
        loaded = fn.load(tmp_path / f"net-{index + 1}.safetensors")
        assert (loaded.parameters == weights).all()
        assert loaded.n_epochs == index + 1


def test_checkpoint_without_number_holds_the_last_epoch(rows, tmp_path):
    path = tmp_path / "net.safetensors"
    net = network()
    net.fit(**rows, epochs=3, callbacks=[Checkpoint(str(path))])
    assert [one.name for one in tmp_path.iterdir()] == ["net.safetensors"]
    assert (fn.load(path).parameters == net.parameters).all()


def test_checkpoint_with_monitor_holds_the_best_epoch(rows, tmp_path):
    path, seen = tmp_path / "best.safetensors", []
    net = network()
    checkpoint = Checkpoint(path, monitor="val_loss")
    history = net.fit(**rows, epochs=60, optimizer=optimizers.Adam(0.05),
                      callbacks=[checkpoint, make_recorder(seen)])  # fmt: skip
    best = int(history["val_loss"].argmin())
    assert best < 59
    loaded = fn.load(path)
    assert (loaded.parameters == seen[best]).all()
    assert loaded.evaluate(*rows["validation_data"])["loss"] == history["val_loss"].min()


def test_checkpoint_with_monitor_and_number_saves_improvements_only(rows, tmp_path):
    checkpoint = Checkpoint(tmp_path / "{epoch}", monitor="val_loss")
    history = network().fit(**rows, epochs=60, optimizer=optimizers.Adam(0.05),
                            callbacks=[checkpoint])  # fmt: skip
    lowest = np.minimum.accumulate(history["val_loss"])
    improved = [1, *(np.flatnonzero(np.diff(lowest) < 0) + 2).tolist()]
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == improved


def test_training_continues_from_a_checkpoint(rows, tmp_path):
    """The file has the optimizer state: training the loaded network gives the same weights."""
    X, y = rows["X"], rows["y"]
    path = tmp_path / "net.safetensors"
    net = network()
    net.fit(X, y, epochs=3, callbacks=[Checkpoint(path)])
    loaded = fn.load(path)
    for one in (net, loaded):
        one.partial_fit(X, y)
    assert (loaded.parameters == net.parameters).all()


# ---- functions ----


def test_a_function_sees_each_epoch(rows):
    net, seen = network(), []
    history = net.fit(**rows, epochs=4, callbacks=[seen.append])
    assert [epoch.index for epoch in seen] == [0, 1, 2, 3]
    assert all(epoch.network is net for epoch in seen)
    for name in history:
        assert [epoch.logs[name] for epoch in seen] == history[name].tolist()
    assert list(seen[0].logs) == ["loss", "learning_rate", "val_loss", "val_accuracy", "seconds"]


def test_a_function_that_returns_true_stops(rows):
    def third_epoch(epoch):
        return epoch.index == 2

    history = network().fit(**rows, epochs=10, callbacks=[third_epoch])
    assert history.n_epochs == 3
    assert history.stop_reason == "stopped by third_epoch"


@pytest.mark.parametrize("answer", [None, False, 1, "yes"])
def test_other_return_values_do_not_stop(rows, answer):
    history = network().fit(**rows, epochs=3, callbacks=[lambda epoch: answer])
    assert history.n_epochs == 3
    assert history.stop_reason is None


def test_a_function_may_stop_with_a_reason(rows):
    def good_enough(epoch):
        if epoch.index == 1:
            epoch.stop("good enough")
        return epoch.index == 1

    history = network().fit(**rows, epochs=10, callbacks=[good_enough])
    assert history.n_epochs == 2
    assert history.stop_reason == "good enough"
    assert "stopped: good enough" in repr(history)


def test_a_function_may_change_the_learning_rate(rows):
    def halve(epoch):
        epoch.rate_factor /= 2

    history = network().fit(**rows, epochs=3, optimizer=optimizers.SGD(0.4), callbacks=[halve])
    assert history["learning_rate"] == pytest.approx([0.4, 0.2, 0.1])


def test_all_callbacks_run_in_the_epoch_that_stops(rows):
    seen = []
    network().fit(**rows, epochs=5, callbacks=[lambda epoch: True, seen.append])
    assert len(seen) == 1


# ---- errors ----


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(), ReduceOnPlateau("val_los"), Checkpoint("never", monitor="val_r2")],
    ids=lambda one: type(one).__name__,
)
def test_an_unknown_monitor_is_an_error_before_training(rows, callback, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = network()
    with pytest.raises(ValueError, match=r"monitor: expected one of .*'loss'.*got '") as caught:
        net.fit(rows["X"], rows["y"], callbacks=[callback])
    assert "need validation_data" in str(caught.value)
    assert callback.monitor in str(caught.value)
    assert net.n_features_in is None
    assert net.history is None
    assert not list(tmp_path.iterdir())


def test_a_monitor_must_be_the_metric_of_the_loss(rows):
    X, y = rows["X"], rows["y"]
    net = fn.Sequential(fn.Dense(1), random_state=0)
    with pytest.raises(ValueError, match="val_accuracy"):
        net.fit(X, y, validation_data=(X, y), callbacks=[EarlyStopping("val_accuracy")])


@pytest.mark.parametrize("wrong", [3, "early", None])
def test_an_object_that_is_no_callback_is_an_error(rows, wrong):
    net = network()
    with pytest.raises(TypeError, match="callbacks: expected a callback or a function"):
        net.fit(**rows, callbacks=[wrong])
    assert net.n_features_in is None


def test_a_callback_class_is_an_error(rows):
    with pytest.raises(TypeError, match=r"callbacks: expected .* EarlyStopping"):
        network().fit(**rows, callbacks=[EarlyStopping])


def test_a_callback_outside_a_list_is_an_error(rows):
    with pytest.raises(TypeError, match="callbacks: expected a list"):
        network().fit(**rows, callbacks=EarlyStopping())


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: EarlyStopping(patience=-1), ValueError, "patience"),
        (lambda: EarlyStopping(patience=1.5), TypeError, "patience"),
        (lambda: EarlyStopping(min_delta=-0.1), ValueError, "min_delta"),
        (lambda: EarlyStopping(monitor=None), TypeError, "monitor"),
        (lambda: EarlyStopping(restore_best=1), TypeError, "restore_best"),
        (lambda: ReduceOnPlateau(factor=1.0), ValueError, "factor"),
        (lambda: ReduceOnPlateau(factor=0.0), ValueError, "factor"),
        (lambda: ReduceOnPlateau(min_learning_rate=-1), ValueError, "min_learning_rate"),
        (lambda: Checkpoint(3), TypeError, "path"),
        (lambda: Checkpoint("a", monitor=1), TypeError, "monitor"),
    ],
)
def test_options_are_checked(make, error, name):
    with pytest.raises(error, match=f"^{name}: expected"):
        make()


def test_an_exception_in_a_callback_leaves_a_usable_network(rows):
    """It is raised; the network has the state after that epoch and can be trained further."""

    def fail(epoch):
        if epoch.index == 2:
            raise RuntimeError("disk is full")

    net, seen = network(), []
    with pytest.raises(RuntimeError, match="disk is full"):
        net.fit(**rows, epochs=9, callbacks=[make_recorder(seen), fail])
    assert net.history.n_epochs == 3
    assert (net.parameters == seen[-1]).all()
    untroubled = network()
    untroubled.fit(**rows, epochs=3)
    for one in (net, untroubled):
        one.partial_fit(rows["X"], rows["y"])
    assert (net.parameters == untroubled.parameters).all()
    assert net.n_epochs == 4


# ---- epochs without a break ----


def test_epochs_without_a_break_equal_single_epochs(rows):
    data = {name: rows[name] for name in ("X", "y")}
    together, alone = network(), network()
    history = together.fit(**data, epochs=40)
    one_by_one = alone.fit(**data, epochs=40, callbacks=[lambda epoch: None])
    assert (together.parameters == alone.parameters).all()
    for name in ("loss", "learning_rate"):
        assert len(history[name]) == 40
        np.testing.assert_allclose(history[name], one_by_one[name], rtol=1e-14)
    assert (together.n_epochs, together.n_steps) == (alone.n_epochs, alone.n_steps)


def test_an_interrupt_between_epochs_keeps_the_finished_steps(rows, monkeypatch):
    """The interrupt comes after two and a half epochs that are trained without a break."""
    data = {name: rows[name] for name in ("X", "y")}
    whole_run, calls = native.Trainer.run, []

    def run(self, steps, seconds):
        calls.append(len(steps.rates))
        if len(calls) == 1:
            return whole_run(self, steps, seconds)
        part = Steps(steps.first, steps.optimizer_step, steps.rates[: 5 * calls[0] // 2])
        whole_run(self, part, seconds)
        steps.done = part.done
        steps.losses[: part.done], steps.batch_weights[: part.done] = (
            part.losses,
            part.batch_weights,
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(native.Trainer, "run", run)
    net = network()
    with pytest.raises(KeyboardInterrupt):
        net.fit(**data, epochs=1000, batch_size=5)
    monkeypatch.undo()
    per_epoch = calls[0]
    assert len(calls) == 2
    assert net.n_steps == per_epoch + 5 * per_epoch // 2
    assert (net.n_epochs, net.history.n_epochs) == (4, 3)
    same = network()
    wanted = same.fit(**data, epochs=3, batch_size=5)
    np.testing.assert_allclose(net.history["loss"], wanted["loss"], rtol=1e-14)
