"""Options of `Sequential.fit`: reset_optimizer, validation_split, class_weight, train_metrics."""

import numpy as np
import pytest

import fastnn as fn
from fastnn import optimizers, schedules

N, BATCH = 50, 8


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(N, 3))
    return X, np.digitize(X[:, 0] + 0.3 * rng.normal(size=N), [-0.4, 0.6])


def network(random_state=0, **options):
    layers = fn.Dense(5, "tanh"), fn.Dropout(0.2), fn.Dense(3, "softmax")
    return fn.Sequential(*layers, random_state=random_state, dtype="float64", **options)


# ---- reset_optimizer ----

RATES = [
    0.01,
    schedules.LinearDecay(0.05, 0.001, n_steps=50),
    schedules.OneCycle(0.05, n_steps=70),
    schedules.Warmup(schedules.CosineDecay(0.05, n_steps=40), 10),
    schedules.StepDecay(0.05, every=11),
]


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("rate", RATES, ids=lambda rate: type(rate).__name__)
@pytest.mark.parametrize("kind", [optimizers.Adam, optimizers.RMSprop])
def test_two_fits_equal_one_uninterrupted_fit(rows, engine, rate, kind):
    """The results are bit-identical, with validation and callbacks."""
    options = {"optimizer": kind(rate), "batch_size": BATCH, "engine": engine,
               "validation_split": 0.2, "callbacks": [lambda epoch: None]}  # fmt: skip
    single, parts = network(), network()
    history = single.fit(*rows, epochs=10, **options)
    first = parts.fit(*rows, epochs=5, **options)
    second = parts.fit(*rows, epochs=5, reset_optimizer=False, **options)
    assert (single.parameters == parts.parameters).all()
    for name in ("loss", "learning_rate", "val_loss", "val_accuracy"):
        assert np.array_equal(history[name], np.concatenate([first[name], second[name]]))


def test_fit_continues_after_loading_and_after_partial_fit(rows, tmp_path):
    options = {"optimizer": optimizers.SGD(0.05, momentum=0.9), "batch_size": BATCH}
    single, parts = network(), network()
    single.fit(*rows, epochs=4, **options)
    parts.fit(*rows, epochs=1, **options)
    parts.partial_fit(*rows, batch_size=BATCH)
    parts.save(tmp_path / "net.safetensors")
    loaded = fn.load(tmp_path / "net.safetensors")
    loaded.fit(*rows, epochs=2, reset_optimizer=False, **options)
    assert (loaded.parameters == single.parameters).all()


def test_first_fit_without_reset(rows):
    first, usual = network(), network()
    first.fit(*rows, epochs=2, reset_optimizer=False)
    usual.fit(*rows, epochs=2)
    assert (first.parameters == usual.parameters).all()


def test_fit_resets_the_optimizer_by_default(rows):
    reset, continued = network(), network()
    for net, flag in ((reset, True), (continued, False)):
        net.fit(*rows, epochs=2)
        net.fit(*rows, epochs=2, reset_optimizer=flag)
    assert (reset.parameters != continued.parameters).any()


def test_learning_rate_set_by_callbacks_is_kept(rows):
    def halve(epoch):
        epoch.rate_factor = 0.5

    net = network()
    net.fit(*rows, epochs=1, optimizer=optimizers.SGD(0.1), callbacks=[halve])
    history = net.fit(*rows, epochs=1, optimizer=optimizers.SGD(0.1), reset_optimizer=False)
    assert history["learning_rate"] == pytest.approx([0.05])
    history = net.fit(*rows, epochs=1, optimizer=optimizers.SGD(0.1))
    assert history["learning_rate"] == pytest.approx([0.1])


def test_schedule_without_n_steps_ends_with_the_first_fit(rows):
    """After its end, it keeps its last value."""
    options = {"optimizer": optimizers.SGD(schedules.LinearDecay(0.1, 0.01)), "epochs": 2}
    net = network()
    net.fit(*rows, **options)
    history = net.fit(*rows, reset_optimizer=False, **options)
    assert history["learning_rate"] == pytest.approx([0.01, 0.01])


def test_other_loss_or_optimizer_is_refused(rows):
    net = network()
    net.fit(*rows, epochs=1, optimizer=optimizers.SGD(0.1))
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"optimizer: expected SGD\(.*0\.1, .*reset_optimizer="
                       r"False continues; got Adam\("):  # fmt: skip
        net.fit(*rows, reset_optimizer=False)
    smooth = fn.losses.CrossEntropy(label_smoothing=0.1)
    with pytest.raises(ValueError, match=r"loss: expected CrossEntropy\(.*0\.0\).*; got CrossEn"):
        net.fit(*rows, loss=smooth, optimizer=optimizers.SGD(0.1), reset_optimizer=False)
    with pytest.raises(TypeError, match="reset_optimizer: expected True or False"):
        net.fit(*rows, reset_optimizer=0)
    assert (net.parameters == before).all()


# ---- validation_split ----


def split_of(rows, fraction, **options):
    """The validation rows, found as the rows whose targets do not influence training."""
    X, y = rows
    net = network()
    net.fit(X, y, epochs=1, validation_split=fraction, **options)
    held = []
    for i in range(len(X)):
        changed = X.copy()
        changed[i] += 1
        other = network()
        other.fit(changed, y, epochs=1, validation_split=fraction, **options)
        if (other.parameters == net.parameters).all():
            held.append(i)
    return held


def test_validation_rows_are_not_trained_on(rows):
    X, y = rows
    held = split_of(rows, 0.2)
    assert len(held) == 10
    counts, of_held = np.bincount(y), np.bincount(y[held], minlength=3)
    assert np.abs(of_held - counts * 0.2).max() < 1, "in the proportions of the classes"
    training = np.setdiff1d(np.arange(N), held)
    by_hand, split = network(), network()
    expected = by_hand.fit(X[training], y[training], epochs=3, validation_data=(X[held], y[held]),
                           shuffle=False)  # fmt: skip
    history = split.fit(X, y, epochs=3, validation_split=0.2, shuffle=False)
    assert (by_hand.parameters == split.parameters).all()
    for name in ("loss", "val_loss", "val_accuracy"):
        assert np.array_equal(history[name], expected[name])


def test_split_depends_only_on_the_seed(rows):
    held = split_of(rows, 0.3)
    assert held == split_of(rows, 0.3, batch_size=BATCH, optimizer="sgd", shuffle=False)
    net, same = network(7), network(7)
    net.fit(*rows, epochs=2, validation_split=0.3)
    same.fit(*rows, epochs=1, validation_split=0.3)
    same.fit(*rows, epochs=1, validation_split=0.3, reset_optimizer=False)
    assert net.history["val_loss"][-1] == same.history["val_loss"][-1], "the same rows again"
    other = network(8).fit(*rows, epochs=0, validation_split=0.3)
    assert other.n_epochs == 0


def test_split_by_number_of_rows(rows):
    assert len(split_of(rows, 7)) == 7


def test_split_for_regression_and_one_hot_targets(rows, rng):
    X, y = rows
    net = fn.Sequential(fn.Dense(1), random_state=0)
    assert "val_r2" in net.fit(X, X[:, 0], epochs=1, validation_split=0.1)
    one_hot, labels = network(), network()
    one_hot.fit(X, fn.one_hot(y), epochs=2, validation_split=0.3)
    labels.fit(X, y, epochs=2, validation_split=0.3)
    assert one_hot.parameters == pytest.approx(labels.parameters, rel=1e-12)


def test_sample_weights_apply_to_both_parts(rows, rng):
    X, y = rows
    weight = rng.uniform(0.5, 2.0, N)
    held = split_of(rows, 0.2)
    net = network()
    history = net.fit(X, y, epochs=1, validation_split=0.2, sample_weight=weight)
    scores = net.evaluate(X[held], y[held], sample_weight=weight[held])
    assert history["val_loss"][0] == pytest.approx(scores["loss"], rel=1e-12)
    assert history["val_accuracy"][0] == pytest.approx(scores["accuracy"], rel=1e-12)


def test_x_is_not_copied(rows, monkeypatch):
    from fastnn._training import fit

    X, y = np.ascontiguousarray(rows[0]), rows[1]
    jobs = []
    before = fit.make_trainer
    monkeypatch.setattr(fit, "make_trainer", lambda state, job, *rest:
                        (jobs.append(job), before(state, job, *rest))[1])  # fmt: skip
    network().fit(X, y, epochs=1, validation_split=0.2)
    assert np.shares_memory(jobs[0].X, X)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"validation_split": 0.0}, ValueError, "validation_split: expected a finite number above"),
        ({"validation_split": 1.0}, ValueError, "validation_split: .* below 1; got 1.0"),
        ({"validation_split": N}, ValueError, f"validation_split: .* at most {N - 1}; got {N}"),
        ({"validation_split": 0.999}, ValueError, "validation_split: expected a fraction that"),
        ({"validation_split": 2}, ValueError, "validation_split: expected at least 3 rows on eith"),
        ({"validation_split": "0.1"}, TypeError, "validation_split: expected a finite number"),
        ({"validation_split": 0.2, "validation_data": ([[0, 0, 0]], [0])}, ValueError,
         "validation_split: expected None with validation_data"),
    ],
)  # fmt: skip
def test_wrong_splits(rows, options, error, message):
    net = network()
    with pytest.raises(error, match=message):
        net.fit(*rows, **options)
    assert net.n_features_in is None


def test_class_of_one_row_cannot_be_split(rows):
    X, y = rows
    y = np.where(np.arange(N) == 3, 2, np.minimum(y, 1))
    with pytest.raises(ValueError, match="validation_split: expected at least 2 rows of each cla"):
        network().fit(X, y, validation_split=0.2)


# ---- class_weight ----


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("encode", [lambda y: y, fn.one_hot], ids=["labels", "one-hot"])
def test_class_weights_equal_sample_weights(rows, engine, encode):
    X, y = rows
    factors = np.array([1.0, 4.0, 0.5])
    weighted, by_hand = network(), network()
    weighted.fit(X, encode(y), epochs=2, class_weight={1: 4, 2: 0.5}, engine=engine)
    by_hand.fit(X, encode(y), epochs=2, sample_weight=factors[y], engine=engine)
    assert (weighted.parameters == by_hand.parameters).all()


def test_class_weights_multiply_sample_weights(rows, rng):
    X, y = rows
    weight = rng.uniform(0.5, 2, N)
    kept = weight.copy()
    weighted, by_hand = network(), network()
    weighted.fit(X, y, epochs=2, class_weight={0: 3.0}, sample_weight=weight)
    by_hand.fit(X, y, epochs=2, sample_weight=weight * np.where(y == 0, 3.0, 1.0))
    assert (weighted.parameters == by_hand.parameters).all()
    assert (weight == kept).all()


@pytest.mark.parametrize("with_weights", [False, True])
def test_balanced_gives_every_class_the_same_total_weight(rows, rng, with_weights):
    X, y = rows
    weight = rng.uniform(0.5, 2, N) if with_weights else None
    totals = np.bincount(y, weight)
    factors = totals.sum() / (3 * totals)
    weighted, by_hand = network(), network()
    weighted.fit(X, y, epochs=2, class_weight="balanced", sample_weight=weight)
    by_hand.fit(X, y, epochs=2, class_weight=dict(enumerate(factors)), sample_weight=weight)
    assert weighted.parameters == pytest.approx(by_hand.parameters, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "labels"), [("binary_cross_entropy", (0, 1)), ("hinge", (-1, 1)), ("hinge", (0, 1))]
)
def test_class_weights_of_two_classes(rows, loss, labels):
    X, y = rows
    y = np.where(y == 2, labels[1], labels[0])
    net, by_hand = (fn.Sequential(fn.Dense(1), random_state=0) for _ in range(2))
    net.fit(X, y, loss=loss, epochs=2, class_weight={labels[1]: 5})
    by_hand.fit(X, y, loss=loss, epochs=2, sample_weight=np.where(y == labels[1], 5.0, 1.0))
    assert (net.parameters == by_hand.parameters).all()


def test_class_weights_do_not_apply_to_validation(rows):
    X, y = rows
    net = network()
    history = net.fit(X, y, epochs=1, class_weight={0: 9.0}, validation_data=(X, y))
    assert history["val_loss"][0] == net.evaluate(X, y)["loss"]


def test_balanced_counts_training_rows(rows):
    X, y = rows
    held = split_of(rows, 0.3)
    training = np.setdiff1d(np.arange(N), held)
    split, by_hand = network(), network()
    split.fit(X, y, epochs=2, class_weight="balanced", validation_split=0.3, shuffle=False)
    by_hand.fit(X[training], y[training], epochs=2, class_weight="balanced", shuffle=False)
    assert (split.parameters == by_hand.parameters).all()


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({3: 1.0}, ValueError, r"class_weight: expected classes of \[0, 1, 2\]; got 3"),
        ({"a": 1.0}, ValueError, r"class_weight: expected classes of \[0, 1, 2\]; got 'a'"),
        ({0: -1.0}, ValueError, r"class_weight: expected a finite number at least 0; got -1\.0"),
        ({0: "a"}, TypeError, "class_weight: expected a finite number"),
        ({0: 0, 1: 0, 2: 0}, ValueError, "class_weight: expected a weight above 0 for a class in"),
        ("equal", ValueError, r"class_weight: expected one of \['balanced'\]; got 'equal'"),
        ([1.0, 2.0, 3.0], TypeError, "class_weight: expected a dictionary .*'balanced'"),
    ],
)
def test_wrong_class_weights(rows, value, error, message):
    net = network()
    with pytest.raises(error, match=message):
        net.fit(*rows, class_weight=value)
    assert net.n_features_in is None


def test_class_weights_need_classes(rows, rng):
    X, _ = rows
    for net, target, options in (
        (fn.Sequential(fn.Dense(1)), X[:, 0], {}),
        (fn.Sequential(fn.Dense(1, "sigmoid")), rng.uniform(size=N), {}),
        (fn.Sequential(fn.Dense(2, "sigmoid")), rng.integers(2, size=(N, 2)), {}),
        (network(), np.full((N, 3), 1 / 3), {}),
    ):
        with pytest.raises(ValueError, match="class_weight: expected None unless each row"):
            net.fit(X, target, class_weight="balanced", **options)


# ---- train_metrics ----


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_metrics_of_the_training_rows_after_each_epoch(rows, engine):
    X, y = rows
    net, seen = network(), []
    history = net.fit(
        X, y, epochs=3, train_metrics=True, engine=engine,
        callbacks=[lambda epoch: seen.append(net.evaluate(X, y)["accuracy"])],
    )  # fmt: skip
    assert list(history) == ["loss", "learning_rate", "accuracy", "seconds"]
    assert history["accuracy"].tolist() == seen


def test_training_is_bit_identical_with_train_metrics(rows):
    measured, plain = network(), network()
    measured.fit(*rows, epochs=5, train_metrics=True)
    plain.fit(*rows, epochs=5)
    assert (measured.parameters == plain.parameters).all()


def test_metrics_of_training_and_validation_rows(rows, rng):
    X, y = rows
    held = split_of(rows, 0.2)
    training = np.setdiff1d(np.arange(N), held)
    weight = rng.uniform(0.5, 2, N)
    net = network()
    history = net.fit(X, y, epochs=1, validation_split=0.2, train_metrics=True,
                      sample_weight=weight, class_weight={0: 7.0})  # fmt: skip
    assert list(history) == [
        "loss", "learning_rate", "accuracy", "val_loss", "val_accuracy", "seconds"
    ]  # fmt: skip
    for name, part in (("accuracy", training), ("val_accuracy", held)):
        scores = net.evaluate(X[part], y[part], sample_weight=weight[part])
        assert history[name][0] == pytest.approx(scores["accuracy"], rel=1e-12)


def test_r2_and_early_stopping_by_it(rows):
    X, _ = rows
    net = fn.Sequential(fn.Dense(1), random_state=0)
    stopping = fn.EarlyStopping(monitor="r2", patience=2, min_delta=0.5)
    history = net.fit(X, X[:, 0], epochs=50, train_metrics=True, callbacks=[stopping])
    assert history.n_epochs < 50
    assert "r2 has not improved" in history.stop_reason
    with pytest.raises(ValueError, match=r"monitor: expected one of .* \(accuracy and r2 need tra"):
        net.fit(X, X[:, 0], callbacks=[stopping])


def test_loss_without_metric(rows):
    X, _ = rows
    net = fn.Sequential(fn.Dense(1), random_state=0)
    with pytest.raises(ValueError, match="train_metrics: expected False for a loss without metric"):
        net.fit(X, X[:, 0], loss="quantile", train_metrics=True)
    with pytest.raises(TypeError, match="train_metrics: expected True or False"):
        net.fit(X, X[:, 0], train_metrics="epoch")


def test_plot_shows_both(rows, pyplot):
    axes = network().fit(*rows, epochs=3, train_metrics=True, validation_split=0.2).plot()
    shown = [line.get_label() for one in axes.figure.axes for line in one.get_lines()]
    assert shown == ["loss", "val_loss", "accuracy", "val_accuracy"]
    axes = network().fit(*rows, epochs=3, train_metrics=True).plot()
    assert len(axes.figure.axes) == 2
