"""Stress tests of files: flipped bits, random changes of the metadata, saves killed at random
times."""

import copy
import json
import random
import subprocess
import sys

import numpy as np
import pytest

import fastnn as fn

X = np.random.default_rng(0).normal(size=(30, 3))
CODES = np.arange(30) % 3


def small_network():
    net = fn.Sequential(fn.Dense(2, "tanh"), fn.Dense(3, "softmax"), random_state=0)
    net.fit(X, CODES, epochs=2)
    return net


def classifier():
    options = {"scale": "standard", "early_stopping": True, "max_iter": 3, "random_state": 0}
    model = fn.MLPClassifier((2,), class_weight={"a": 2.0, "b": 1, "c": 1}, **options)
    return model.fit(X, np.array(["a", "b", "c"])[CODES])


def regressor():
    schedule = fn.schedules.OneCycle(0.01, n_steps=50)
    model = fn.MLPRegressor("gaussian_nll", (2,), scale_target="robust", learning_rate=schedule,
                            activation=[fn.activations.elu(0.5)], max_iter=3)  # fmt: skip
    return model.fit(X, X[:, 0])


def ensemble():
    base = fn.LogisticRegression(max_iter=5, random_state=0)
    return fn.MLPEnsemble(base, n_estimators=2, bootstrap=True).fit(X, CODES > 0)


MODELS = {
    "network": small_network, "classifier": classifier, "regressor": regressor,
    "ensemble": ensemble,
}  # fmt: skip


@pytest.fixture(params=MODELS)
def attacked(request, tmp_path):
    """The function that loads a file, its path and its content."""
    if request.param != "network":
        pytest.importorskip("sklearn")
    model = MODELS[request.param]()
    path = tmp_path / "model"
    model.save(path)
    load = fn.load if request.param == "network" else type(model).load
    return load, path, path.read_bytes()


pytestmark = [
    pytest.mark.filterwarnings("ignore:(Stochastic Optimizer|lbfgs failed)"),
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
]


def refusal(load, path):
    """The error raised by loading; None if a model was loaded."""
    try:
        load(path)
    except ValueError as error:
        assert type(error) is ValueError  # noqa: PT017 - other exceptions are not caught
        assert str(error).startswith(repr(str(path)))  # noqa: PT017
        return error
    return None


def test_every_flipped_bit_is_refused(attacked, rounds):
    load, path, content = attacked
    bits = range(8 * len(content))
    n = rounds(400, len(bits))
    for bit in random.Random(0).sample(bits, n):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert refusal(load, path) is not None, f"bit {bit % 8} of byte {bit // 8}"


def test_every_truncated_file_is_refused(attacked, rounds):
    load, path, content = attacked
    lengths = range(len(content))
    for length in random.Random(0).sample(lengths, rounds(100, len(lengths))):
        path.write_bytes(content[:length])
        assert refusal(load, path) is not None, f"{length} bytes"


# ---- random changes of the metadata --------------------------------------------------------------

ODD = [
    None, True, False, 0, -1, 1, 2, 3, 1.5, -0.0, 1e-320, 1e308, 10**18, 2**53 + 1, 2**63, 10**400,
    float("nan"), float("inf"), "", "x" * 300, "__class__", "__sklearn_tags__", "os.system", "adam",
    "relu", "softmax", "standard", "gaussian_nll", "multilabel", "<f8", "<U500000000", "|O",
    "float64", [], {}, [[]], [None], {"list": []}, {"tuple": [1, 2]}, {"dict": []},
    {"dict": [["a", 1]]}, {"dict": [[{"list": []}, 1]]},
    {"array": "<f8", "values": [0.0, 1.0, 2.0]},
    {"array": "<U1", "values": ["a", "b", "c"]}, {"array": "|O", "values": ["a", "b", "c"]},
    {"array": "<U500000000", "values": ["a"]}, {"array": "(99999999,)f8", "values": []},
    {"array": "<M8[D]", "values": [1, 2, 3]}, {"date": "<M8[D]", "value": 5}, {"type": "os.system"},
    {"type": "Dense"}, {"type": "Dropout", "rate": 0.5}, {"type": "losses.Huber", "delta": 1},
    {"type": "schedules.Constant", "learning_rate": 0.1}, {"type": "Activation", "name": "elu",
    "parameter": 0.5},
]  # fmt: skip


def places(tree):
    """All pairs of a container and a key in a tree of JSON data."""
    for key, item in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        yield tree, key
        if isinstance(item, dict | list):
            yield from places(item)


def mutate(draw, tree):
    """Make one random change."""
    where, key = draw.choice(list(places(tree)))
    value = where[key]
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    action = draw.choice(["odd", "odd", "remove", "swap", "rename", "repeat", "scale", "scale"])
    if action == "scale" and numeric:
        where[key] = value * draw.choice([-1, 0, 2, 10, 10**6, 10**15, 0.5])
    elif action == "remove":
        del where[key]
    elif action == "swap":
        other, its = draw.choice(list(places(tree)))
        other[its], where[key] = copy.deepcopy((value, other[its]))
    elif action == "rename" and isinstance(where, dict):
        where[draw.choice(["type", "list", "array", "", "alpha", "x_", "_x", *where])] = where.pop(
            key
        )
    elif action == "repeat" and isinstance(where, list):
        where.extend(copy.deepcopy(value) for _ in range(draw.choice([1, 5, 100])))
    else:
        where[key] = copy.deepcopy(draw.choice(ODD))


def take_apart(content):
    """The header with its metadata parsed, and the bytes of the arrays."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header["__metadata__"]
    del metadata["sha256"]  # otherwise every change would be refused for the digest
    for name in metadata.keys() & {"config", "extra", "members"}:
        metadata[name] = json.loads(metadata[name])
    for member in metadata.get("members", ()):
        for name in member:
            member[name] = json.loads(member[name])
    return header, content[8 + size :]


def text(data):
    return data if isinstance(data, str) else json.dumps(data)


def put_together(header, body):
    metadata = header["__metadata__"]
    members = metadata.get("members")
    for member in members if isinstance(members, list) else ():
        for name in member if isinstance(member, dict) else ():
            member[name] = text(member[name])
    header["__metadata__"] = {name: text(data) for name, data in metadata.items()}
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def use(model, load, path):
    """A loaded model can predict, and be saved and loaded again."""
    rows = np.zeros((2, getattr(model, "n_features_in_", None) or model.n_features_in))
    outputs = model.predict(rows)
    assert len(outputs) == 2
    repr(model)
    model.save(path)
    np.testing.assert_array_equal(load(path).predict(rows), outputs)


def test_changed_metadata_is_refused_or_valid(attacked, rounds):
    load, path, content = attacked
    draw = random.Random(1)
    n, refusals = rounds(400, 6_000), 0
    for _ in range(n):
        header, body = take_apart(content)
        for _ in range(draw.choice([1, 1, 1, 2, 5])):
            mutate(draw, header["__metadata__"])
        damaged = put_together(header, body)
        path.write_bytes(damaged)
        if refusal(load, path) is not None:
            refusals += 1
            continue
        with np.errstate(all="ignore"):
            use(load(path), load, path)
    assert refusals > n / 3


# ---- saves killed at random times ----------------------------------------------------------------

KILLS = """
import os, random, signal, sys, time
import fastnn as fn

folder, n = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "net")
draw = random.Random(2)
nets = [fn.Sequential(fn.Dense(60), random_state=seed).build(60) for seed in range(5)]
nets[0].save(path)
left = 0
for _ in range(n):
    child = os.fork()
    if not child:
        while True:
            for net in nets:
                net.save(path)
    time.sleep(draw.uniform(0.001, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    loaded = fn.load(path)
    assert (loaded.parameters == nets[loaded.seed].parameters).all()
    left += len(os.listdir(folder)) > 1
    if draw.random() < 0.5:
        nets[0].save(path)
        assert os.listdir(folder) == ["net"], os.listdir(folder)
nets[0].save(path)
assert os.listdir(folder) == ["net"], os.listdir(folder)
print(left)
"""


@pytest.mark.process
def test_killed_save_leaves_a_complete_file(rounds, tmp_path):
    n = rounds(40, 1000)
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(folder), str(n)], check=True, capture_output=True,
        text=True, timeout=60 + n,
    )  # fmt: skip
    assert int(done.stdout) > n / 10, "too few saves were killed"
