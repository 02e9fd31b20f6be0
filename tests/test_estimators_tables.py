"""`TabularClassifier` and `TabularRegressor`."""

import json
import pickle
import signal
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest

import fastnn as fn

pytest.importorskip("sklearn")
pytest.importorskip("pandas")

import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, make_scorer, mean_absolute_error
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.estimators.tables import base, calibration, folds, recipe

TabularClassifier, TabularRegressor = fn.TabularClassifier, fn.TabularRegressor
SHORT = {"epochs": 8, "width": 16, "random_state": 0}

# Folds are assigned to rows, so that a repeated row and a row of weight 2 are held out differently.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "folds depend on the number of rows"
}


@parametrize_with_checks(
    [TabularClassifier("fast", epochs=10), TabularRegressor("fast", epochs=10)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_check_estimator(estimator, check):
    check(estimator)


def make_table(n=600, seed=0):
    """A table with every kind of column, and two targets that depend on several of them."""
    rng = np.random.default_rng(seed)
    size, color = rng.exponential(size=n), rng.choice(["red", "green", "blue"], n)
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 700, n), unit="D")
    is_new, count = rng.random(n) < 0.5, rng.integers(0, 5, n)
    value = (
        np.log(size + 0.1)
        + (color == "red") * is_new
        + np.sin(day.day_of_year.to_numpy() / 58)
        + count / 4
    )
    table = pd.DataFrame({
        "size": np.where(rng.random(n) < 0.1, np.nan, size),
        "color": pd.Series(color).where(rng.random(n) > 0.1, None).astype("category"),
        "is_new": is_new, "day": day, "count": count, "constant": 1,
    })  # fmt: skip
    return (
        table,
        value + 0.1 * rng.normal(size=n),
        np.where(value > np.median(value), "high", "low"),
    )


TABLE, VALUES, LABELS = make_table()
NEW, NEW_VALUES, NEW_LABELS = make_table(400, seed=1)


def test_a_raw_data_frame():
    kept = TABLE.copy(deep=True)
    model = TabularClassifier("fast", random_state=0).fit(TABLE, LABELS)
    pd.testing.assert_frame_equal(TABLE, kept)
    assert model.score(NEW, NEW_LABELS) > 0.85
    assert model.classes_.tolist() == ["high", "low"]
    assert model.feature_names_in_.tolist() == TABLE.columns.tolist()
    regressor = TabularRegressor("fast", epochs=60, random_state=0).fit(TABLE, VALUES)
    assert regressor.score(NEW, NEW_VALUES) > 0.75
    strange = NEW.head(2).assign(color=["purple", None], size=None, is_new=["?", None], day=pd.NaT)
    assert np.isfinite(model.predict_proba(strange)).all()
    assert np.isfinite(regressor.predict(strange)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(NEW[NEW.columns[::-1]])


def test_polars_and_arrays_give_the_same_as_pandas():
    pl = pytest.importorskip("polars")
    columns = ["size", "is_new", "count", "constant"]
    model = TabularClassifier(**SHORT).fit(TABLE[columns], LABELS)
    expected = model.predict_proba(NEW[columns])
    frame, new = (
        pl.DataFrame({name: table[name].to_numpy() for name in columns}) for table in (TABLE, NEW)
    )
    again = TabularClassifier(**SHORT).fit(frame, LABELS)
    assert (again.predict_proba(new) == expected).all()
    rows = TABLE[columns].to_numpy(object)
    from_rows = TabularClassifier(**SHORT).fit(rows, LABELS)
    assert (from_rows.predict_proba(NEW[columns].to_numpy(object)) == expected).all()


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_results_do_not_depend_on_the_number_of_threads(kind):
    y = LABELS if kind is TabularClassifier else VALUES
    one, *others = (
        kind("default", epochs=6, width=32, random_state=3, n_threads=n_threads).fit(TABLE, y)
        for n_threads in (1, 2, 4)
    )
    for other in others:
        for a, b in zip(one.networks_[0], other.networks_[0], strict=True):
            assert (a.parameters == b.parameters).all()
        assert (one.predict(NEW) == other.predict(NEW)).all()


def test_the_weights_of_the_best_epoch_are_kept():
    model = TabularClassifier(epochs=30, width=32, random_state=0, calibrate=False)
    model.fit(TABLE, LABELS)
    report = model.report_
    features = model.encoder_.transform(TABLE)
    codes = (LABELS == "low").astype(int)
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=5)
    fold = folds.assign_folds(codes, len(codes), 8, int(seeds[-1]))
    for i, (network, scores) in enumerate(zip(model.networks_[0], report.scores, strict=True)):
        held_out = fold == i
        score = network.evaluate(features[held_out], codes[held_out])["accuracy"]
        assert score == pytest.approx(max(scores))
        best = [epoch for epoch, one in enumerate(scores, 1) if one == max(scores)]
        assert report.members["best_epoch"][i] == best[-1]
        assert len(scores) == 30


def test_calibration_lowers_the_log_loss_of_new_rows():
    options = {"preset": "fast", "epochs": 30, "random_state": 0, "label_smoothing": 0.3}
    plain = TabularClassifier(**options, calibrate=False).fit(TABLE, LABELS)
    calibrated = TabularClassifier(**options).fit(TABLE, LABELS)
    assert plain.temperature_ == 1
    assert calibrated.temperature_ < 0.9  # label smoothing makes networks too cautious
    assert (plain.predict(NEW) == calibrated.predict(NEW)).all()
    losses = [log_loss(NEW_LABELS, model.predict_proba(NEW)) for model in (plain, calibrated)]
    assert losses[1] < losses[0]


def test_temperature():
    rng = np.random.default_rng(0)
    true = rng.dirichlet([0.5, 0.5, 0.5], size=20_000)
    codes = (true.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    for temperature in (0.5, 1, 2):
        reported = calibration.scale_temperature(true, 1 / temperature)
        found = calibration.find_temperature(reported, codes, None)
        assert found == pytest.approx(temperature, rel=0.05)
        np.testing.assert_allclose(
            calibration.scale_temperature(reported, temperature), true, atol=1e-5
        )


def test_few_rows_do_not_make_probabilities_extreme():
    probabilities = np.full((20, 2), [0.8, 0.2])
    found = calibration.find_temperature(probabilities, np.zeros(20, int), None)
    assert 0.4 < found < 0.9  # all are right
    many = np.repeat(probabilities, 100, axis=0)
    assert calibration.find_temperature(many, np.zeros(2000, int), None) < 0.3


def test_intervals_cover_what_they_say():
    model = TabularRegressor("fast", n_members=4, epochs=40, random_state=0).fit(TABLE, VALUES)
    new, values, _ = make_table(4000, seed=2)
    for coverage in (0.5, 0.8, 0.9):
        lower, upper = model.predict_interval(new, coverage).T
        assert np.mean((lower <= values) & (values <= upper)) == pytest.approx(coverage, abs=0.06)
    assert np.isinf(model.predict_interval(NEW, 0.9999)).all()  # 120 rows cannot tell


def test_half_width_is_the_order_statistic():
    residuals = np.arange(1.0, 10).reshape(-1, 1)
    assert calibration.find_half_width(residuals, 0.5) == [5]
    assert calibration.find_half_width(residuals, 0.9) == [9]
    assert np.isinf(calibration.find_half_width(residuals, 0.91)).all()
    many = calibration.summarize_residuals(np.linspace(-1, 1, 50_001).reshape(-1, 1))
    assert len(many) == 10_000
    assert many[[0, -1], 0].tolist() == [0, 1]
    assert calibration.find_half_width(many, 0.9)[0] == pytest.approx(0.9, abs=1e-3)


def test_quantiles_do_not_cross():
    model = TabularRegressor("fast", quantiles=[0.05, 0.5, 0.95], epochs=40, random_state=0)
    quantiles = model.fit(TABLE, VALUES).predict(NEW)
    assert quantiles.shape == (400, 3)
    assert (np.diff(quantiles, axis=1) >= 0).all()
    below = np.mean(NEW_VALUES[:, None] <= quantiles, axis=0)
    assert below == pytest.approx([0.05, 0.5, 0.95], abs=0.1)
    assert len(model.networks_) == 3
    with pytest.raises(ValueError, match="quantiles: expected None for predict_interval"):
        model.predict_interval(NEW)


def test_several_targets():
    targets = np.column_stack([VALUES, 100 * VALUES**2, np.ones_like(VALUES)])
    model = TabularRegressor("fast", epochs=40, random_state=0).fit(TABLE, targets)
    predicted = model.predict(NEW)
    assert predicted.shape == (400, 3)
    assert np.corrcoef(predicted[:, 1], NEW_VALUES**2)[0, 1] > 0.8
    assert predicted[:, 2] == pytest.approx(1, abs=0.1)
    intervals = model.predict_interval(NEW)
    assert intervals.shape == (400, 3, 2)
    assert (intervals[..., 0] <= predicted).all()


def test_many_and_single_classes():
    X = np.random.default_rng(0).normal(size=(300, 2))
    angle = np.arctan2(X[:, 0], X[:, 1])
    y = np.floor((angle + np.pi) / (2 * np.pi) * 6).astype(int) * 10
    model = TabularClassifier("fast", epochs=40, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.85
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (300, 6)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    single = TabularClassifier(**SHORT).fit(X, np.ones(300))
    assert (single.predict(X) == 1).all()
    assert single.predict_proba(X).tolist() == [[1.0]] * 300
    rare = y.copy()
    rare[0] = 99  # a class of one row is never held out
    assert 99 in TabularClassifier(**SHORT).fit(X, rare).classes_


def test_weights_of_rows_and_classes():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(500, 3)), rng.random(500) < 0.5
    y = (X[:, 0] > 0) ^ (noise & (X[:, 1] > 0))
    clean = TabularClassifier("fast", random_state=0).fit(X, y, sample_weight=~noise)
    assert clean.score(X[~noise], y[~noise]) > 0.97
    without = TabularClassifier("fast", random_state=0).fit(X[~noise], y[~noise])
    assert (
        clean.predict_proba(X) == without.predict_proba(X)
    ).all()  # rows of weight 0 are ignored
    rare = X[:, 0] + rng.normal(size=500) > 2
    plain, balanced = (
        TabularClassifier("fast", class_weight=weight, random_state=0)
        .fit(X, rare)
        .predict(X)
        .mean()
        for weight in (None, "balanced")
    )
    assert balanced > 1.5 * plain


def test_scoring_chooses_the_best_epoch():
    model = TabularClassifier(scoring="neg_log_loss", **SHORT).fit(TABLE, LABELS)
    assert all(-1 < score < 0 for score in model.report_.members["score"])
    scorer = make_scorer(mean_absolute_error, greater_is_better=False)
    regressor = TabularRegressor(scoring=scorer, **SHORT).fit(TABLE, VALUES, np.ones(600))
    features, values = regressor.encoder_.transform(TABLE), regressor.predict(TABLE)
    assert features.shape[0] == 600
    assert -regressor.report_.members["score"][0] == pytest.approx(
        mean_absolute_error(VALUES, values), rel=0.6
    )


def test_max_time_shortens_the_training():
    X = np.random.default_rng(0).normal(size=(4000, 10))
    model = TabularRegressor("best", max_time=0.3, random_state=0).fit(X, X[:, 0] * X[:, 1])
    assert max(model.report_.members["epochs"]) < recipe.PRESETS["best"].epochs
    assert np.isfinite(model.predict(X)).all()


def test_less_time_means_fewer_epochs_then_fewer_members():
    best = recipe.PRESETS["best"]
    assert recipe.fit_into_time(best, 1e6, 1.0, 2) == best
    plans = [recipe.fit_into_time(best, seconds, 1.0, 2) for seconds in (300, 100, 30, 5, 0.1)]
    assert [(plan.n_members, plan.epochs) for plan in plans] == [
        (10, 60), (10, 20), (4, 15), (2, 5), (2, 1)
    ]  # fmt: skip


@contextmanager
def interrupted_after(seconds):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_interrupt_keeps_the_networks_trained_so_far():
    endless = {"epochs": 10**6, "n_members": 1, "width": 8, "random_state": 0}
    model = TabularRegressor(**endless)
    with interrupted_after(1.5), pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(TABLE, VALUES)
    assert np.isfinite(model.predict(NEW)).all()
    assert max(model.report_.members["epochs"]) < 10**6
    before = model.predict(NEW)
    model.set_params(quantiles=[0.1, 0.9])
    with interrupted_after(1.5), pytest.raises(KeyboardInterrupt):
        model.fit(TABLE, VALUES)
    model.set_params(quantiles=None)
    assert (model.predict(NEW) == before).all()
    assert not [thread for thread in threading.enumerate() if thread.name == "fastnn worker"]


def test_large_tables_are_predicted_in_chunks(monkeypatch):
    pl = pytest.importorskip("polars")
    model = TabularRegressor(quantiles=[0.2, 0.8], **SHORT).fit(TABLE, VALUES)
    expected = model.predict(NEW)
    monkeypatch.setattr(base, "CHUNK_ROWS", 7)
    assert (model.predict(NEW) == expected).all()
    columns = ["size", "count"]
    frame, new = (
        pl.DataFrame({name: table[name].to_numpy() for name in columns}) for table in (TABLE, NEW)
    )
    model.fit(frame, VALUES)
    assert (model.predict(new) == model.predict(NEW[columns])).all()


def test_report():
    model = TabularClassifier(**SHORT).fit(TABLE, LABELS)
    report = model.report_
    assert report.columns["kind"] == ["number", "category", "category", "date", "number", "number"]
    assert report.columns["missing"][0] == TABLE["size"].isna().sum()
    assert report.members["epochs"] == [8] * 4
    assert set(report.seconds) == {"encoding", "training"}
    assert "color" in str(report)


@pytest.mark.parametrize("make", [
    lambda: TabularClassifier(class_weight="balanced", **SHORT).fit(TABLE, LABELS),
    lambda: TabularClassifier(numeric_encoding="scaled", **SHORT).fit(
        TABLE.to_numpy(), np.arange(600) % 3
    ),
    lambda: TabularRegressor(**SHORT).fit(TABLE, VALUES),
    lambda: TabularRegressor(quantiles=(0.1, 0.9), **SHORT).fit(TABLE, VALUES),
    lambda: TabularRegressor(**SHORT).fit(TABLE, np.column_stack([VALUES, -VALUES])),
])  # fmt: skip
def test_through_file_and_pickle(make, tmp_path):
    model, path = make(), tmp_path / "model.safetensors"
    model.save(path)
    new = NEW if hasattr(model, "feature_names_in_") else NEW.to_numpy()
    for same in (type(model).load(path), pickle.loads(pickle.dumps(model))):
        assert same.get_params() == model.get_params()
        assert (same.predict(new) == model.predict(new)).all()
        assert str(same.report_) == str(model.report_)
        if isinstance(model, TabularRegressor) and model.quantiles is None:
            assert (same.predict_interval(new) == model.predict_interval(new)).all()
        same.save(path)
    other = TabularRegressor if isinstance(model, TabularClassifier) else TabularClassifier
    with pytest.raises(ValueError, match=f"expected an estimator of class {other.__name__}"):
        other.load(path)


def test_damaged_descriptions_are_errors(tmp_path):
    from fastnn._io import safetensors_file

    path = tmp_path / "model.safetensors"
    TabularRegressor(n_members=1, **SHORT).fit(TABLE, VALUES).save(path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    data = json.loads(header["__metadata__"]["extra"])
    changes = [
        ("groups", [2]), ("groups", []), ("estimator", "os.system"), ("params", {}),
        ("state", {}), ("encoder", {}), ("report", 3),
        *((("state", name), None) for name in data["state"]),
        *((("encoder", name), None) for name in data["encoder"]),
    ]  # fmt: skip
    for where, value in changes:
        changed = json.loads(json.dumps(data))
        if isinstance(where, tuple):
            changed[where[0]][where[1]] = value
            if where == ("state", "feature_names_in_"):
                continue  # without names it is a valid file
        else:
            changed[where] = value
        metadata = header["__metadata__"] | {"extra": json.dumps(changed)}
        del metadata[safetensors_file.DIGEST]
        with path.open("wb") as file:
            for part in safetensors_file.pack(metadata, read_arrays(content, header)):
                file.write(part)
        with pytest.raises(ValueError, match="expected a complete fastnn file"):
            TabularRegressor.load(path)


def read_arrays(content, header):
    start = 8 + int.from_bytes(content[:8], "little")
    kinds = {"F32": np.float32, "F64": np.float64, "I64": np.int64}
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            values = np.frombuffer(content[start + first : start + last], kinds[entry["dtype"]])
            arrays[name] = values.reshape(entry["shape"])
    return arrays


def test_in_scikit_learn():
    model = TabularClassifier(**SHORT)
    assert clone(model).get_params() == model.get_params()
    scores = cross_val_score(make_pipeline(model), TABLE, LABELS, cv=3, error_score="raise")
    assert scores.mean() > 0.6
    search = GridSearchCV(model, {"n_layers": [1, 2]}, cv=2, error_score="raise").fit(TABLE, LABELS)
    assert search.best_params_["n_layers"] in (1, 2)
    with pytest.raises(NotFittedError):
        TabularRegressor().predict(TABLE)


def test_an_error_leaves_the_model_as_it_was():
    model = TabularClassifier(**SHORT).fit(TABLE, LABELS)
    before = model.predict_proba(NEW)
    with pytest.raises(ValueError, match="y: expected 600 labels"):
        model.fit(TABLE, LABELS[:-1])
    model.set_params(scoring=lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.fit(TABLE, LABELS)
    assert (model.predict_proba(NEW) == before).all()


def test_repeated_fits_and_other_tables():
    model = TabularRegressor(**SHORT)
    for n in (2, 3, 7, 50, 5, 200):
        predicted = model.fit(TABLE[:n], VALUES[:n]).predict(NEW)
        assert np.isfinite(predicted).all()
    model.fit(np.ones((10, 2)), np.arange(10))  # nothing to learn from
    assert model.predict([[1, 1], [5, 5]]).tolist() == [model.predict([[1, 1]])[0]] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(TABLE, np.zeros(600))  # a constant target
    assert model.predict(NEW) == pytest.approx(0, abs=1e-3)


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: TabularClassifier("huge").fit(TABLE, LABELS), ValueError, "'preset'"),
    (lambda: TabularClassifier(n_members=0).fit(TABLE, LABELS), ValueError, "'n_members'"),
    (lambda: TabularClassifier(label_smoothing=1).fit(TABLE, LABELS), ValueError,
     "'label_smoothing'"),
    (lambda: TabularClassifier(categorical_features=["x"]).fit(TABLE, LABELS), ValueError,
     "categorical_features: expected names or positions"),
    (lambda: TabularClassifier(class_weight={"x": 1}).fit(TABLE, LABELS), ValueError,
     "class_weight: expected classes"),
    (lambda: TabularClassifier().fit(TABLE[:3], list("abc")), ValueError, "two rows of some class"),
    (lambda: TabularClassifier().fit(TABLE, LABELS, np.arange(600) == 5), ValueError,
     "2 weights above 0"),
    (lambda: TabularRegressor(quantiles=[0.9, 0.1]).fit(TABLE, VALUES), ValueError,
     "quantiles: expected ascending"),
    (lambda: TabularRegressor(quantiles=[0.5, 1]).fit(TABLE, VALUES), ValueError,
     "quantiles: .* got 1"),
    (lambda: TabularRegressor(quantiles=[0.5]).fit(TABLE, np.ones((600, 2))), ValueError,
     "expected one target with quantiles"),
    (lambda: TabularRegressor().fit(TABLE, np.full(600, np.nan)), ValueError, "y contains NaN"),
    (lambda: TabularRegressor().fit(TABLE.assign(size=np.inf), VALUES), ValueError,
     "in column 'size'; got infinity"),
    (lambda: TabularRegressor(**SHORT).fit(TABLE, VALUES).predict_interval(NEW, 1.5), ValueError,
     "coverage: expected"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
