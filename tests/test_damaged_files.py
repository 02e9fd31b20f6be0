"""Loading a damaged or malicious file raises a ValueError or returns a valid network."""

import copy
import itertools
import json
import os
import random
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest

import fastnn as fn
from fastnn import losses, optimizers
from fastnn._io import safetensors_file, serialize
from fastnn._io.description import to_data
from fastnn.schedules import LinearDecay, Warmup

DTYPES = ["float32", "float64"]
N = 24
X = np.random.default_rng(0).normal(size=(N, 4))
LABELS = np.arange(N) % 3
LATER_FIELDS = {"lazy", "learning_rate_factor", "bias_learning_rate_factor"}
LAYERS = [
    fn.Dense(6, "relu", l1=1e-4, l2=np.float32(1e-3)),
    fn.Dropout(0.25),
    fn.Residual(fn.Dense(5, "gelu"), fn.Dropout(0.1), fn.Dense(6, use_bias=False)),
    fn.Residual(fn.Residual(fn.Dense(6, "mish", learning_rate_factor=0.5))),
    fn.Scale(0.5),
    fn.Dense(3, "softmax", bias_init=0.5),
]


def make_file(folder, dtype="float32", optimizer="adam"):
    """The content of a file with all kinds of layers, a schedule, feature names and slots."""
    net = fn.Sequential(*LAYERS, random_state=5, dtype=dtype)
    schedule = Warmup(LinearDecay(0.1, n_steps=50), 3)
    if optimizer == "adam":
        optimizer = optimizers.Adam(schedule, clip_norm=1.0)
    net.fit(X, LABELS, epochs=1, optimizer=optimizer, loss=losses.CrossEntropy(0.1))
    net.state.feature_names_in = tuple("abcd")
    path = folder / "complete"
    net.save(path)
    content = path.read_bytes()
    path.unlink()
    return content


def take_apart(content):
    """The header, its parsed config, and the bytes of the arrays."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    return header, json.loads(header["__metadata__"]["config"]), content[8 + size :]


def put_together(header, config, body):
    """The content of a file without a digest, as a wrong digest would hide other errors. `config`
    may be a string, for invalid JSON."""
    header = copy.deepcopy(header)
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"].pop("sha256", None)
    if isinstance(header.get("__metadata__"), dict) and config is not None:
        text = config if isinstance(config, str) else json.dumps(config)
        header["__metadata__"]["config"] = text
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def get_error(content, folder):
    """The error message for a file with this content."""
    path = folder / "damaged"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected a complete fastnn file of version 1") as caught:
        fn.load(path)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(repr(str(path)))
    return str(caught.value)


def test_undamaged_file_is_loaded(tmp_path):
    content = make_file(tmp_path)
    path = tmp_path / "same"
    path.write_bytes(put_together(*take_apart(content)))
    assert fn.load(path).predict(X).shape == (N, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got 0 bytes"),
        (b"\0" * 7, "got 7 bytes"),
        (b"\0" * 8, "header"),
        (b"\xff" * 100, "got 100 bytes, with a header of 18446744073709551615"),
        ((2**23).to_bytes(8, "little") + b" " * 2**23, "with a header of 8388608"),
        (b"PK\3\4" + b"\0" * 100, "header"),
        (b"\2\0\0\0\0\0\0\0{}", "format None"),
        (b"\2\0\0\0\0\0\0\0[]", "header"),
    ],
)
def test_other_content_is_refused(content, message, tmp_path):
    assert message in get_error(content, tmp_path)


def test_safetensors_file_of_another_program_is_refused(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    tensors = {"parameters": np.zeros(3, np.float32)}
    assert "got a file of format None" in get_error(package.save(tensors), tmp_path)
    content = package.save(tensors, {"format": "pt"})
    assert "got a file of format 'pt'" in get_error(content, tmp_path)


@pytest.mark.parametrize("version", ["0", "2", "1.0", ""])
def test_other_version_is_refused(version, tmp_path):
    header, config, body = take_apart(make_file(tmp_path))
    header["__metadata__"]["format_version"] = version
    message = get_error(put_together(header, config, body), tmp_path)
    assert f"got version {version!r}" in message


def test_file_that_cannot_be_opened_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        fn.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        fn.load(tmp_path)


def edit(config, place, value):
    """A copy of the config with one value replaced."""
    config = copy.deepcopy(config)
    target = config
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return config


EDITS = [
    (["layers"], [], "layers: expected at least one Dense layer"),
    (["layers"], {"type": "Dense"}, "layers: expected a list"),
    (["layers", 0], 5, "expected a description with a type; got 5"),
    (
        ["layers", 0, "type"],
        "os.system",
        "expected one of ['Dense', 'Dropout', 'Residual', 'Scale']",
    ),
    (["layers", 0, "type"], "builtins.eval", "got 'builtins.eval'"),
    (["layers", 0, "type"], "optimizers.Adam", "got 'optimizers.Adam'"),
    (["layers", 0, "type"], "__class__", "got '__class__'"),
    (["layers", 0], {"type": "os.system", "command": "true"}, "got 'os.system'"),
    (["layers", 0, "units"], 7, "layer 2: expected Residual to end with"),
    (["layers", 2, "layers", 0, "units"], 7, "parameters: expected shape"),
    (["layers", 2, "layers", 0, "units"], 10**9, "parameters: expected shape"),
    (["layers", 2, "layers", 0, "units"], 10**15, "parameters: expected shape"),
    (["layers", 2, "layers", 0, "units"], 2**62, "layers: expected a network that fits into"),
    (["layers", 0, "units"], -6, "units: expected a whole number"),
    (["layers", 0, "units"], 6.0, "units: expected a whole number"),
    (["layers", 0, "units"], "6", "units: expected a whole number"),
    (["layers", 0, "l2"], -1, "l2: expected a finite number"),
    (["layers", 0, "l2"], float("nan"), "l2: expected a finite number"),
    (["layers", 0, "l2"], float("inf"), "l2: expected a finite number"),
    (["layers", 0, "l2"], 10**400, "l2: expected a finite number"),
    (["layers", 0, "activation"], "no such", "activation: expected one of"),
    (["layers", 0, "activation"], {"type": "Dropout", "rate": 0.5}, "activation: expected one of"),
    (["layers", 0, "weight_init"], "no such", "weight_init: expected one of"),
    (["layers", 0, "weight_init"], {"type": "losses.Hinge"}, "weight_init: expected a name"),
    (["layers", 0, "extra"], 1, "Dense: expected fields"),
    (["layers", 1, "rate"], 1.0, "rate: expected a finite number"),
    (["layers", 2, "layers"], [], "Residual: expected at least one layer"),
    (["layers", 2, "layers"], "Dense", "Residual: expected a list of layers"),
    (
        ["layers", 2, "layers", 1],
        [],
        "Residual: layer 1: expected Dense, Dropout, Residual or Scale",
    ),
    (["layers", 2, "layers", 2, "units"], 5, "expected Residual to end with"),
    (["dtype"], "float64", "parameters: expected shape"),
    (["dtype"], "object", "dtype: expected one of ['float32', 'float64']"),
    (["dtype"], None, "dtype: expected one of"),
    (["n_features_in"], 5, "feature_names_in: expected 5 names"),
    (["n_features_in"], 0, "n_features_in: expected a whole number"),
    (["n_features_in"], 2**63 - 1, "layers: expected a network that fits into memory"),
    (["n_features_in"], True, "n_features_in: expected a whole number"),
    (["feature_names_in"], ["a", "b", "c"], "feature_names_in: expected 4 names"),
    (["feature_names_in"], "abcd", "feature_names_in: expected 4 names"),
    (["feature_names_in"], ["a", "b", "c", 4], "feature_names_in: expected a string; got 4"),
    (["seed"], -1, "seed: expected a whole number"),
    (["seed"], 2**63, "seed: expected a whole number"),
    (["seed"], None, "seed: expected a whole number"),
    (["n_epochs"], -1, "n_epochs: expected a whole number"),
    (["n_epochs"], 2**63 - 1, "n_epochs: expected a whole number"),
    (["n_steps"], 1.5, "n_steps: expected a whole number"),
    (["n_steps"], 2**53 + 1, "n_steps: expected a whole number"),
    (["training"], [], ""),
    (["training"], {}, "'loss'"),
    (["training", "n_steps"], -1, "n_steps: expected a whole number"),
    (["training", "n_steps"], 2**63 - 1, "n_steps: expected a whole number"),
    (["training", "horizon"], 0, "horizon: expected a whole number"),
    (["training", "loss"], None, "expected a description with a type; got None"),
    (["training", "loss", "type"], "Dense", "expected one of ['losses.AbsoluteError'"),
    (["training", "loss"], {"type": "losses.Poisson"}, "loss: expected a loss that fits"),
    (["training", "loss", "label_smoothing"], 1, "label_smoothing: expected a finite number"),
    (["training", "optimizer", "type"], "optimizers.RMSprop", "optimizers.RMSprop: expected"),
    (["training", "optimizer", "type"], "subprocess.Popen", "got 'subprocess.Popen'"),
    (["training", "optimizer", "beta_1"], 1.5, "beta_1: expected a finite number"),
    (["training", "optimizer", "learning_rate"], "fast", "learning_rate: expected"),
    (["training", "optimizer", "learning_rate", "after"], 1, "after: expected a schedule"),
    (["training", "optimizer", "learning_rate", "type"], "Schedule", "expected one of"),
]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [pytest.param(*row, id=f"{n}-{row[0][-1]}") for n, row in enumerate(EDITS)],
)
def test_invalid_config_is_refused(place, value, message, tmp_path):
    header, config, body = take_apart(make_file(tmp_path))
    content = put_together(header, edit(config, place, value), body)
    assert message in get_error(content, tmp_path)


def test_no_part_of_the_config_is_optional(tmp_path):
    header, config, body = take_apart(make_file(tmp_path))
    named = [place for place in places(config) if isinstance(place[-1], str)]
    assert len(named) > 50
    for place in named:
        if place[-1] in LATER_FIELDS:  # older files lack them
            continue
        without = copy.deepcopy(config)
        del parent(without, place)[place[-1]]
        get_error(put_together(header, without, body), tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "5", '"text"', "{", "{}", "NaN", "[" * 100_000, '{"a":' * 100_000,
        "9" * 10_000, "\ud7ff",
    ],
)  # fmt: skip
def test_config_that_is_not_a_json_object_is_refused(text, tmp_path):
    header, _, body = take_apart(make_file(tmp_path))
    get_error(put_together(header, text, body), tmp_path)


@pytest.mark.parametrize("depth", [500, 5000])
def test_deeply_nested_layers_are_refused(depth, tmp_path):
    header, config, body = take_apart(make_file(tmp_path))
    layer = '{"type":"Residual","layers":[' * depth + json.dumps(config["layers"][0]) + "]}" * depth
    text = json.dumps(config | {"layers": []}).replace('"layers": []', f'"layers": [{layer}]')
    get_error(put_together(header, text, body), tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_arrays_have_to_be_finite(value, place, tmp_path):
    header, config, body = take_apart(make_file(tmp_path))
    numbers = np.frombuffer(body, np.float32).copy()
    numbers[place] = value
    message = get_error(put_together(header, config, numbers.tobytes()), tmp_path)
    assert "expected finite numbers; got NaN or infinity" in message


@pytest.mark.parametrize("name", ["parameters", "slots"])
def test_missing_arrays_are_refused(name, tmp_path):
    tensors = {"parameters": np.zeros(3, np.float32), "slots": np.zeros((2, 3), np.float32)}
    header, config, _ = take_apart(make_file(tmp_path))
    del tensors[name]
    metadata = header["__metadata__"]
    if name == "slots":
        config = config | {"layers": [to_data(fn.Dense(3, use_bias=False))], "n_features_in": 1}
        config["training"]["loss"] = to_data(losses.SquaredError())
        config["feature_names_in"] = None
    metadata["config"] = json.dumps(config)
    del metadata["sha256"]
    content = b"".join(safetensors_file.pack(metadata, tensors))
    assert f"'{name}'" in get_error(content, tmp_path)


def test_stated_size_is_checked_before_memory_is_allocated(tmp_path):
    """The config may state any size; it is compared with the arrays before memory is allocated."""
    header, config, body = take_apart(make_file(tmp_path))
    config["layers"] = [to_data(fn.Dense(10**13, "softmax"))]
    path = tmp_path / "huge"
    path.write_bytes(put_together(header, config, body))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="parameters: expected shape"):
            fn.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.process
def test_loading_imports_nothing_and_runs_no_code(tmp_path):
    header, config, body = take_apart(make_file(tmp_path))
    for name, content in {
        "good": put_together(header, config, body),
        "bad": put_together(header, edit(config, ["layers", 0, "type"], "os.system"), body),
    }.items():
        (tmp_path / name).write_bytes(content)
    program = f"""
        import os, sys
        import fastnn as fn

        def load_both():
            fn.load({str(tmp_path / "good")!r})
            try:
                fn.load({str(tmp_path / "bad")!r})
            except ValueError as error:
                assert "got 'os.system'" in str(error)
            else:
                raise AssertionError

        load_both()  # imports what it needs
        seen = []
        forbidden = ("import", "exec", "compile", "os.", "subprocess.", "pickle.", "marshal.",
                     "socket.", "ctypes.dlopen")
        sys.addaudithook(lambda event, _: event.startswith(forbidden) and seen.append(event))
        load_both()
        assert not seen, seen
        print("done")
        """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, timeout=60, check=False, text=True,
    )  # fmt: skip
    assert result.stdout == "done\n", result.stderr


# ---- random damage of ten thousand files ---------------------------------------------------------

ODD = [
    None, True, False, 0, -1, 1, 2, 1.5, -0.0, 1e-320, 1e308, 1e39, 10**18, 2**53 + 1, 2**63,
    2**64, 10**400, float("nan"), float("inf"), -float("inf"), "", "x" * 1000, "os.system", "\x00",
    "linear", "softmax", "relu", "zeros", "orthogonal", "float64", [], {}, [[]], [None], ["a"] * 4,
    {"type": "os.system"}, {"type": None}, {"type": ["Dense"]}, {"type": "Dense"},
    {"type": "Dropout", "rate": 0.5}, {"type": "Residual", "layers": []},
    {"type": "Residual", "layers": [{"type": "Dropout", "rate": 0.1}]},
    {"type": "Activation", "name": "elu", "parameter": 1e308},
    {"type": "Activation", "name": "elu", "parameter": None},
    {"type": "initializers.Constant", "value": 1e300},
    {"type": "initializers.Orthogonal", "gain": 0}, {"type": "schedules.Constant",
    "learning_rate": 1}, {"type": "losses.Huber", "delta": 1}, {"type": "optimizers.SGD"},
]  # fmt: skip


def places(value, path=()):
    """The paths of all values in a tree of JSON data."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))


def parent(tree, place):
    for step in place[:-1]:
        tree = tree[step]
    return tree


def cut(draw, content):
    return content[: draw.randrange(len(content))]


def flip_anywhere(draw, content):
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 20])):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def flip_in_header(draw, content):
    content = bytearray(content)
    size = int.from_bytes(content[:8], "little")
    for _ in range(draw.choice([1, 1, 1, 3])):
        content[draw.randrange(8 + size)] ^= 1 << draw.randrange(8)
    return bytes(content)


def overwrite(draw, content):
    start = draw.randrange(len(content))
    piece = draw.randbytes(draw.choice([1, 2, 8, 100]))
    return content[:start] + piece + content[start + draw.choice([0, len(piece)]) :]


def delete(draw, content):
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.choice([1, 4, 64]) :]


def change_size(draw, content):
    size = int.from_bytes(content[:8], "little")
    new = draw.choice([0, 1, size - 1, size + 1, size * 2, 2**22, 2**22 + 1, 2**32, 2**64 - 1])
    return new.to_bytes(8, "little") + content[8:]


def edit_value(draw, content):
    header, config, body = take_apart(content)
    for _ in range(draw.choice([1, 1, 2])):
        place = draw.choice(list(places(config)))
        parent(config, place)[place[-1]] = draw.choice(ODD)
    return put_together(header, config, body)


def scale_value(draw, content):
    """Multiply a number; its type stays the same."""
    header, config, body = take_apart(content)
    numbers = [p for p in places(config) if type(parent(config, p)[p[-1]]) in (int, float)]
    place = draw.choice(numbers)
    parent(config, place)[place[-1]] *= draw.choice([-1, 0, 2, 3, 10, 10**6, 10**15, 10**40])
    return put_together(header, config, body)


def swap_values(draw, content):
    header, config, body = take_apart(content)
    one, other = (draw.choice(list(places(config))) for _ in "ab")
    if one[: len(other)] != other and other[: len(one)] != one:
        a, b = parent(config, one), parent(config, other)
        a[one[-1]], b[other[-1]] = b[other[-1]], a[one[-1]]
    return put_together(header, config, body)


def remove_key(draw, content):
    header, config, body = take_apart(content)
    place = draw.choice(list(places(config)))
    del parent(config, place)[place[-1]]
    return put_together(header, config, body)


def rename_key(draw, content):
    header, config, body = take_apart(content)
    place = draw.choice([p for p in places(config) if isinstance(p[-1], str)])
    where = parent(config, place)
    where[draw.choice(["type", "x", "", "layers", "units", "__class__"])] = where.pop(place[-1])
    return put_together(header, config, body)


def repeat_key(draw, content):
    header, config, body = take_apart(content)
    place = draw.choice([p for p in places(config) if isinstance(p[-1], str)])
    text = json.dumps(config)
    key = json.dumps(place[-1]) + ": "
    odd = key + json.dumps(draw.choice(ODD)) + ", "
    return put_together(header, text.replace(key, odd + key, draw.choice([1, -1])), body)


def nest(draw, content):
    header, config, body = take_apart(content)
    place = draw.choice(list(places(config)))
    depth = draw.choice([3, 30, 300, 3000])
    left, right = draw.choice([
        ("[", "]"), ('{"type":', "}"), ('{"type":"Residual","layers":[', "]}"),
        ('{"type":"schedules.Warmup","n_steps":1,"after":', "}"),
    ])  # fmt: skip
    text = json.dumps(edit(config, place, "here"))
    inner = json.dumps(parent(config, place)[place[-1]])
    return put_together(header, text.replace('"here"', left * depth + inner + right * depth), body)


def rename_type(draw, content):
    header, config, body = take_apart(content)
    types = [p for p in places(config) if p[-1] == "type"]
    names = [parent(config, p)["type"] for p in types]
    place = draw.choice(types)
    others = ["optimizers.SGD", "losses.Hinge", "schedules.Schedule", "Sequential"]
    parent(config, place)["type"] = draw.choice(names + others)
    return put_together(header, config, body)


def edit_header(draw, content):
    header, _, body = take_apart(content)
    place = draw.choice(list(places(header)))
    odd = ["F32", "F64", "F16", "I64", "BOOL", "U8", [0, 8], [8, 0], [-8, 0], [2**63], [-1]]
    parent(header, place)[place[-1]] = draw.choice(ODD + odd)
    return put_together(header, None, body)


def remove_from_header(draw, content):
    header, _, body = take_apart(content)
    place = draw.choice(list(places(header)))
    del parent(header, place)[place[-1]]
    return put_together(header, None, body)


def swap_dtype(draw, content):
    header, config, body = take_apart(content)
    if draw.random() < 0.5:
        config["dtype"] = {"float32": "float64", "float64": "float32"}[config["dtype"]]
    for name in draw.choice([["parameters"], ["slots"], ["parameters", "slots"]]):
        header[name]["dtype"] = draw.choice(["F32", "F64", "I32", "I64", "C64", "BF16", "F16"])
    if draw.random() < 0.3:
        start, end = header["parameters"]["data_offsets"]
        header["parameters"]["shape"] = [(end - start) // draw.choice([2, 4, 8])]
    return put_together(header, config, body)


DAMAGES = [
    cut, flip_anywhere, flip_in_header, overwrite, delete, change_size, edit_value, edit_value,
    scale_value, swap_values, remove_key, rename_key, repeat_key, nest, rename_type, edit_header,
    remove_from_header, swap_dtype,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_damaged_file_is_refused_or_valid(optimizer, dtype, tmp_path):
    draw = random.Random(f"{optimizer} {dtype}")
    content = put_together(*take_apart(make_file(tmp_path, dtype, optimizer)))
    path = tmp_path / "damaged"
    accepted, refusals = 0, []
    for damage in itertools.islice(itertools.cycle(DAMAGES), 2500):
        path.write_bytes(damage(draw, content))
        try:
            snapshot, _ = serialize.read(path)
        except ValueError as error:
            refusals.append(error)
            continue
        accepted += 1
        net = fn.load(path)
        assert np.isfinite(net.parameters).all()
        assert net.parameters.tobytes() == snapshot.parameters.tobytes()
        rows = np.zeros((3, net.n_features_in), net.dtype)
        assert net.predict(rows).shape == (3, net.biases[-1].size)
        repr(net)
        net.save(path)
        assert fn.load(path).parameters.tobytes() == net.parameters.tobytes()
    assert {type(error) for error in refusals} == {ValueError}
    assert all(str(error).startswith(repr(str(path))) for error in refusals)
    assert min(accepted, len(refusals)) > 100
