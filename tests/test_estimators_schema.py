"""Damaged states in estimators' files: any damage raises a ValueError with the file's name, and no
text in a file can select a Python type or a large allocation."""

import json
import struct
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("sklearn")

import fastnn as fn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(40, 3))
WORDS = np.array(["no", "maybe", "yes"])[np.arange(40) % 3]
MODELS = {
    "classifier": lambda: fn.MLPClassifier(
        (4,), scale="standard", early_stopping=True, max_iter=3, random_state=0,
        class_weight={"no": 2.0, "yes": 0.5, "maybe": 1.0},
    ).fit(X, WORDS),
    "binary": lambda: fn.MLPClassifier((4,), max_iter=3, random_state=0).fit(X, X[:, 0] > 0),
    "regressor": lambda: fn.MLPRegressor(
        "gaussian_nll", (4,), scale_target="robust", max_iter=3, random_state=0,
        learning_rate=fn.schedules.OneCycle(0.01, n_steps=50),
    ).fit(X, X[:, 0]),
    "logistic": lambda: fn.LogisticRegression(max_iter=9, random_state=0).fit(X, WORDS),
}  # fmt: skip


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model"
    contents = {}
    for name, make in MODELS.items():
        model = make()
        model.save(path)
        contents[name] = type(model), path.read_bytes()
    return contents


def change_file(content, change, text="extra"):
    """Change one of a file's texts, and remove the digest, which would reject the file earlier."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header["__metadata__"]
    data = json.loads(metadata[text])
    change(data)
    metadata[text] = json.dumps(data)
    del metadata["sha256"]
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + content[8 + size :]


def load_and_get_error(kind, content, folder):
    path = folder / "damaged"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected a complete fastnn file of version 1") as caught:
        kind.load(path)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(repr(str(path)))
    return str(caught.value)


@pytest.mark.parametrize("name", MODELS)
def test_unchanged_state_loads(name, contents, tmp_path):
    kind, content = contents[name]
    (tmp_path / "same").write_bytes(change_file(content, lambda data: None))
    assert kind.load(tmp_path / "same").predict(X).shape == (40,)


@pytest.mark.parametrize("name", MODELS)
def test_missing_or_additional_entries_are_rejected(name, contents, tmp_path):
    kind, content = contents[name]
    names = []
    change_file(content, lambda data: names.extend(data["state"]))
    assert len(names) > 20
    for one in names:
        changed = change_file(content, lambda data, one=one: data["state"].pop(one))
        message = load_and_get_error(kind, changed, tmp_path)
        assert f"missing: ['{one}']" in message


UNKNOWN = ["__sklearn_tags__", "__class__", "predict", "fit", "_trained", "coefs_", "network_",
           "_more", "more_", "_sklearn_version", "_parameter_constraints"]  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_attributes_are_rejected(name, contents, tmp_path):
    for kind, content in contents.values():
        changed = change_file(content, lambda data: data["state"].update({name: 5}))
        message = load_and_get_error(kind, changed, tmp_path)
        assert "unknown" in message


def array(dtype, values):
    return {"array": dtype, "values": values}


EDITS = [
    ("n_features_in_", 4, "n_features_in_: expected 3"),
    ("n_features_in_", True, "n_features_in_: expected a count"),
    ("n_outputs_", -1, "n_outputs_: expected a count"),
    ("n_outputs_", 2, "classes_: expected the labels"),
    ("n_layers_", "3", "n_layers_: expected a count"),
    ("n_iter_", 1.5, "n_iter_: expected a count"),
    ("t_", 2**70, "t_: expected a count"),
    ("loss_", None, "loss_: expected a number"),
    ("loss_", 10**400, "loss_: expected a number"),
    ("best_loss_", "low", "best_loss_: expected a number or None"),
    ("restarts_", 0.5, "restarts_: expected a list of numbers"),
    ("restarts_", {"tuple": [0.5]}, "restarts_: expected a list of numbers"),
    ("restarts_", {"list": [True]}, "restarts_: expected a list of numbers"),
    ("stop_reason_", 5, "stop_reason_: expected text"),
    ("_label_kind", "several", "classes_: expected the labels"),
    ("_label_kind", "binary", "classes_: expected the labels"),
    ("_label_kind", {"list": []}, ""),
    ("classes_", None, "classes_: expected the labels"),
    ("classes_", {"list": ["a", "b", "c"]}, "classes_: expected the labels"),
    ("classes_", array("<U1", ["a", "b"]), "classes_: expected the labels"),
    ("classes_", array("<U1", ["a", "c", "b"]), "classes_: expected the labels"),
    ("classes_", array("<U1", ["a", "b", "b"]), "classes_: expected the labels"),
    ("classes_", array("|O", ["a", "b", "c"]), "classes_: expected the labels"),
    ("classes_", array("<f8", [1, 2, float("nan")]), "classes_: expected the labels"),
    ("classes_", array("<U500000000", ["a", "b", 3]), "expected an array of text"),
    ("classes_", array("<i8", [1.0, 2.0, 3.0]), "expected values of dtype <i8"),
    ("classes_", array("|b1", [0, 1, 2]), "expected values of dtype |b1"),
    ("classes_", array("<i8", [[1], [2], [3]]), "expected values of dtype <i8"),
    ("classes_", array("|i1", [1, 2, 1000]), "1000"),
    ("classes_", array("<M8", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("<M8[0D]", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("<M8[D]", ["2020-01-01"] * 3), "expected values of dtype <M8[D]"),
    ("classes_", array("<c16", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("V500000000", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("i8,f8", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("(9999999,)f8", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("{'names'", [1, 2, 3]), "expected an array of numbers, text or dates"),
    ("classes_", array("__import__('os')", []), "expected an array of numbers, text or dates"),
    ("classes_", array({"a": 1}, []), "expected the dtype and the values"),
    ("classes_", {"array": "<i8"}, "expected a list of values"),
    ("classes_", {"list": [], "tuple": []}, "expected a value"),
    ("classes_", {"set": []}, "expected a list, tuple, dict or array"),
    ("classes_", {"type": "os.system"}, "expected one of"),
    ("classes_", [1, 2], "expected a value; got the list"),
    ("classes_", {}, "expected a value"),
    ("class_weight", {"dict": [[{"list": []}, 1]]}, "unhashable"),
    ("class_weight", {"dict": [["no"]]}, "unpack"),
    ("class_weight", {"dict": {"no": 1}}, "expected a list of values"),
    ("feature_names_in_", array("|O", ["a", "b"]), "feature_names_in_: expected 3 names"),
    ("feature_names_in_", array("<U1", ["a", "b", "c"]), "feature_names_in_: expected 3 names"),
    ("feature_names_in_", array("|O", ["a", "b", 5]), "expected an array of text"),
    ("_progress", None, "_progress: expected the records of a fit"),
    ("_progress", {"dict": []}, "_progress: expected the records of a fit"),
    ("_scaling", 5, "_scaling: expected a scaling or None"),
    ("_scaling", {"dict": []}, "expected the center and the spread"),
    ("_target_scaling", {"dict": [["center", array("<f8", [0.0])],
                                  ["spread", array("<f8", [1.0])]]}, "expected 3 columns"),
    ("alpha", "much", "alpha"),
    ("alpha", -1, "alpha"),
    ("alpha", float("nan"), "alpha"),
    ("solver", "gradient", "solver"),
    ("solver", array("|O", ["adam"]), "solver"),
    ("hidden_layer_sizes", "many", "hidden_layer_sizes"),
    ("learning_rate", {"type": "schedules.OneCycle"}, "expected fields"),
    ("learning_rate", {"type": "losses.Hinge"}, "expected one of"),
    ("random_state", {"dict": []}, "random_state"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [pytest.param(*row, id=f"{n}-{row[0]}") for n, row in enumerate(EDITS)],
)
def test_values_are_checked(name, value, message, contents, tmp_path):
    kind, content = contents["classifier"]
    damaged = change_file(content, lambda data: data["state"].update({name: value}))
    assert message in load_and_get_error(kind, damaged, tmp_path)


SCALINGS = [
    ("center", array("<f8", [0.0, 0.0]), "the same length"),
    ("center", array("<f4", [0.0, 0.0, 0.0]), "in float64"),
    ("center", {"list": [0.0, 0.0, 0.0]}, "expected a scaling of arrays"),
    ("center", array("<f8", [0.0, 0.0, float("nan")]), "finite center"),
    ("spread", array("<f8", [1.0, 1.0, float("inf")]), "finite spreads above 0"),
    ("spread", array("<f8", [1.0, 1.0, 0.0]), "finite spreads above 0"),
    ("spread", array("<f8", [1.0, 1.0, -1.0]), "finite spreads above 0"),
]


@pytest.mark.parametrize(("name", "value", "message"), SCALINGS)
def test_scalings_are_checked(name, value, message, contents, tmp_path):
    kind, content = contents["classifier"]

    def change(data):
        pairs = dict(data["state"]["_scaling"]["dict"])
        data["state"]["_scaling"] = {"dict": [*(pairs | {name: value}).items()]}

    damaged = change_file(content, change)
    assert message in load_and_get_error(kind, damaged, tmp_path)
    with pytest.raises(ValueError, match="expected a complete fastnn file"):
        fn.load(tmp_path / "damaged")


PROGRESS = [("waited", -1), ("waited", 1.5), ("best", None), ("best_loss", "low"), ("more", 1)]


@pytest.mark.parametrize(("name", "value"), PROGRESS)
def test_progress_is_checked(name, value, contents, tmp_path):
    kind, content = contents["classifier"]

    def change(data):
        data["state"]["_progress"]["dict"].append([name, value])

    assert "_progress: " in load_and_get_error(kind, change_file(content, change), tmp_path)


def test_outputs_of_a_regressor_are_checked(contents, tmp_path):
    kind, content = contents["regressor"]
    for n in (0, 3, 4):
        damaged = change_file(content, lambda data, n=n: data["state"].update(n_outputs_=n))
        assert "n_outputs_: got" in load_and_get_error(kind, damaged, tmp_path)


def test_networks_that_no_estimator_has_are_rejected(contents, tmp_path):
    """Combine an estimator's state with other networks."""
    kind, content = contents["binary"]

    def to_softmax(data):
        data["layers"][-1]["activation"]["name"] = "softmax"
        data["training"]["loss"] = {"type": "losses.CrossEntropy", "label_smoothing": 0.0}

    def to_residual(data):
        data["layers"][-1] = {"type": "Residual", "layers": [data["layers"][-1]]}

    for change in (to_softmax, to_residual):
        load_and_get_error(kind, change_file(content, change, "config"), tmp_path)


def test_description_of_another_object_is_rejected(contents, tmp_path):
    kind, content = contents["binary"]
    for change, message in (
        (lambda data: data.update(state=[]), "expected the state"),
        (lambda data: data.update(more=1), "expected the state"),
        (lambda data: data.pop("state"), "expected the state"),
        (lambda data: data.update(estimator=["MLPClassifier"]), "of class MLPClassifier; got"),
    ):
        assert message in load_and_get_error(kind, change_file(content, change), tmp_path)


def test_small_files_need_little_memory(contents, tmp_path):
    kind, content = contents["classifier"]
    values = ["a", "b" * 2000, *map(str, range(2000))]
    for classes in (array("<U500000000", ["a", "b", "c"]), array("<U1", sorted(values))):
        path = tmp_path / "damaged"
        path.write_bytes(change_file(content, lambda data, value=classes: data["state"].update(
            classes_=value)))  # fmt: skip
        tracemalloc.start()
        try:
            if len(classes["values"]) == 3:
                assert kind.load(path).classes_.dtype == "<U1"
            else:
                load_and_get_error(kind, path.read_bytes(), tmp_path)
            assert tracemalloc.get_traced_memory()[1] < 50e6
        finally:
            tracemalloc.stop()


def test_length_of_text_is_limited(contents, tmp_path):
    kind, content = contents["classifier"]
    values = ["a" * 100_000, *["b"] * 100_000]
    damaged = change_file(
        content, lambda data: data["state"].update(classes_=array("<U100000", values))
    )
    assert "characters" in load_and_get_error(kind, damaged, tmp_path)


# ---- errors when writing -------------------------------------------------------------------------


def test_unknown_attributes_are_not_written(tmp_path):
    model = MODELS["binary"]()
    model.note_ = "mine"
    with pytest.raises(ValueError, match=r"unknown: \['note_'\]"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_schema_contains_all_attributes_of_a_fit(tmp_path):
    """All attributes that a fit sets are saved and loaded."""
    for make in MODELS.values():
        model = make()
        model.save(tmp_path / "model")
        back = type(model).load(tmp_path / "model")
        assert set(vars(back)) == set(vars(model))


def test_long_curves_round_trip(tmp_path):
    """Curves as long as after 100,000 calls of partial_fit."""
    model = fn.MLPRegressor(hidden_layer_sizes=(2,), random_state=0).partial_fit(X, X[:, 0])
    curve = model._progress.loss_curve
    curve.extend([curve[0]] * 200_000)
    model.save(tmp_path / "model")
    back = fn.MLPRegressor.load(tmp_path / "model")
    assert back.loss_curve_ == curve
    assert back.loss_curve_ is back._progress.loss_curve
    assert fn.load(tmp_path / "model").predict(X).shape == (40, 1)
