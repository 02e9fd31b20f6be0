"""Files of networks: loading returns a bit-identical network, and training can be resumed."""

import copy
import json
import os
import pickle

import numpy as np
import pytest

import fastnn as fn
from fastnn import activations, initializers, losses, optimizers, schedules
from fastnn.schedules import LinearDecay, Warmup

DTYPES = ["float32", "float64"]
N = 24
X = np.random.default_rng(0).normal(size=(N, 4))
LABELS = np.arange(N) % 3
NUMBERS = X[:, 0] - X[:, 1]

NETWORKS = {
    "one layer": [fn.Dense(3, "softmax")],
    "all kinds": [
        fn.Dense(6, "relu", l1=1e-4, l2=np.float32(1e-3)),
        fn.Dropout(0.25),
        fn.Residual(fn.Dense(5, "gelu"), fn.Dropout(0.1), fn.Dense(6, use_bias=False)),
        fn.Residual(fn.Residual(fn.Dense(6, "mish", learning_rate_factor=0.5))),
        fn.Scale(0.5, learning_rate_factor=6),
        fn.Dense(3, "softmax", bias_init=0.5),
    ],
    "initializers": [
        fn.Dense(5, "tanh", weight_init=initializers.Orthogonal(1.5)),
        fn.Dense(5, "selu", weight_init=initializers.Scaled("lecun", "normal")),
        fn.Dense(3, "softmax", weight_init="he_uniform"),
    ],
}


def network(name="all kinds", dtype="float32", **options):
    return fn.Sequential(*NETWORKS[name], dtype=dtype, **{"random_state": 5} | options)


def through_file(net, folder):
    path = folder / "net.safetensors"
    net.save(path)
    return fn.load(path)


def assert_same(one, other):
    assert one.layers == other.layers
    assert one.dtype == other.dtype
    assert one.parameters.tobytes() == other.parameters.tobytes()
    for name in ("n_features_in", "feature_names_in", "seed", "n_epochs", "n_steps"):
        assert getattr(one, name) == getattr(other, name)
        assert type(getattr(one, name)) is type(getattr(other, name))
    assert (one.state.optimizer is None) == (other.state.optimizer is None)
    if one.state.optimizer is not None:
        first, second = vars(one.state.optimizer), vars(other.state.optimizer)
        assert first["slots"].tobytes() == second["slots"].tobytes()
        assert first | {"slots": None} == second | {"slots": None}


# ---- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_trained_network(name, dtype, tmp_path):
    net = network(name, dtype)
    net.fit(X, LABELS, epochs=3, batch_size=7)
    same = through_file(net, tmp_path)
    assert_same(net, same)
    assert net.predict(X).tobytes() == same.predict(X).tobytes()
    assert net.evaluate(X, LABELS) == same.evaluate(X, LABELS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", activations.NAMES)
def test_every_activation(name, dtype, tmp_path):
    parameters = [None, 0.37] if name in activations.PARAMETERS else [None]
    for parameter in parameters:
        layer = fn.Dense(3, activations.Activation(name, parameter))
        hidden = [] if name == "softmax" else [layer, layer]
        net = fn.Sequential(*hidden, layer, random_state=1, dtype=dtype).build(4)
        same = through_file(net, tmp_path)
        assert same.layers[-1].activation == layer.activation
        assert net.predict(X).tobytes() == same.predict(X).tobytes()


def test_untrained_network(tmp_path):
    net = network().build(4)
    same = through_file(net, tmp_path)
    assert_same(net, same)
    assert same.state.optimizer is None
    for one in (net, same):
        one.fit(X, LABELS, epochs=2, batch_size=5)
    assert_same(net, same)


@pytest.mark.parametrize("names", [list("abcd"), ["", " ", "größe\n", '"\\\ud7ff😀']])
def test_feature_names(names, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=names)
    net = network()
    net.fit(frame, LABELS, epochs=1)
    same = through_file(net, tmp_path)
    assert same.feature_names_in == tuple(names)
    same.predict(frame)
    with pytest.raises(ValueError, match="X: expected the columns"):
        same.predict(frame[names[::-1]])


def test_largest_seed(tmp_path):
    net = network(random_state=2**63 - 1).build(4)
    assert through_file(net, tmp_path).seed == 2**63 - 1


def test_numpy_scalars(tmp_path):
    net = fn.Sequential(fn.Dense(np.int32(3), l2=np.float16(0.5)), random_state=np.int8(3))
    optimizer = optimizers.Adam(np.longdouble(0.25), beta_1=np.float32(0.5))
    net.fit(X, np.eye(3)[LABELS], optimizer=optimizer, epochs=np.int64(2))
    assert_same(net, through_file(net, tmp_path))


def test_loaded_network_is_independent(tmp_path):
    net = network()
    net.fit(X, LABELS, epochs=1)
    same = through_file(net, tmp_path)
    before = same.parameters.tobytes()
    net.parameters[:] = 0
    os.unlink(tmp_path / "net.safetensors")
    assert same.parameters.tobytes() == before
    assert same.parameters.flags.writeable
    assert same.parameters.ctypes.data % 64 == 0


def test_loading_draws_no_weights(tmp_path, monkeypatch):
    net = network().build(4)
    path = tmp_path / "net"
    net.save(path)
    monkeypatch.setattr(initializers, "draw", None)
    assert_same(net, fn.load(path))


def test_saving_a_loaded_network_writes_the_same_file(tmp_path):
    net = network()
    net.fit(X, LABELS, epochs=1)
    net.save(tmp_path / "a")
    fn.load(tmp_path / "a").save(str(tmp_path / "b"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---- resumed training ----------------------------------------------------------------------------

TRAININGS = {
    "adam": {"optimizer": "adam"},
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": optimizers.SGD(0.05, momentum=0.9)},
    "nesterov": {"optimizer": optimizers.SGD(0.05, momentum=0.9, nesterov=True)},
    "adagrad": {"optimizer": optimizers.Adagrad(clip_value=0.1)},
    "rmsprop": {"optimizer": optimizers.RMSprop(clip_norm=0.5)},
    "adamw": {"optimizer": optimizers.AdamW(0.01, weight_decay=0.1)},
    "linear": {"optimizer": optimizers.SGD(LinearDecay(0.1, n_steps=10))},
    "warmup": {"optimizer": optimizers.Adam(Warmup(schedules.CosineDecay(0.1, n_steps=9), 4))},
    "cycle": {"optimizer": optimizers.SGD(schedules.OneCycle(0.2, n_steps=12), momentum=0.5)},
    "loss": {"loss": losses.CrossEntropy(label_smoothing=0.1)},
    "once": {"shuffle": "once"},
    "never": {"shuffle": False},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", TRAININGS)
def test_partial_fit_resumes(training, dtype, tmp_path):
    options = TRAININGS[training]
    straight, stopped = network(dtype=dtype), network(dtype=dtype)
    for _ in range(3):
        straight.partial_fit(X, LABELS, batch_size=5, **options)
    stopped.partial_fit(X, LABELS, batch_size=5, **options)
    stopped = through_file(stopped, tmp_path)
    always = {name: value for name, value in options.items() if name == "shuffle"}
    for _ in range(2):  # loss and optimizer come from the file
        stopped.partial_fit(X, LABELS, batch_size=5, **always)
    assert_same(straight, stopped)
    assert straight.n_steps == 15


@pytest.mark.parametrize("name", ["LinearDecay", "CosineDecay", "FlatCosine", "OneCycle"])
def test_schedule_with_length_set_by_fit_resumes(name, tmp_path):
    net = network()
    schedule = getattr(schedules, name)(0.05)
    net.fit(X, LABELS, optimizer=optimizers.SGD(schedule), epochs=2, batch_size=5)
    same = through_file(net, tmp_path)
    for one in (net, same):
        one.partial_fit(X, LABELS, batch_size=5)
    assert_same(net, same)


def test_fit_after_loading(tmp_path):
    net = network()
    net.fit(X, LABELS, epochs=2, batch_size=5)
    same = through_file(net, tmp_path)
    for one in (net, same):
        one.fit(X, LABELS, epochs=2, batch_size=5)
    assert_same(net, same)


def test_reference_engine_resumes(tmp_path):
    net = network(dtype="float64")
    net.partial_fit(X, LABELS, engine="reference")
    same = through_file(net, tmp_path)
    for one in (net, same):
        one.partial_fit(X, LABELS, engine="reference")
    assert_same(net, same)


# ---- pickles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle_has_no_compiled_plans(dtype):
    net = network(dtype=dtype)
    net.fit(X, LABELS, epochs=1, batch_size=5)
    net.predict(X)
    content = pickle.dumps(net)
    assert b"fastnn._engine.plan" not in content
    assert b"fastnn_ext" not in content
    same = pickle.loads(content)
    assert_same(net, same)
    assert net.predict(X).tobytes() == same.predict(X).tobytes()
    for one in (net, same, copy.deepcopy(same)):
        one.partial_fit(X, LABELS, batch_size=5)
        assert_same(net, one)


# ---- format --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_format_is_safetensors(dtype, tmp_path):
    net = network(dtype=dtype)
    net.fit(X, LABELS, epochs=1)
    path = tmp_path / "net.safetensors"
    net.save(path)
    package = pytest.importorskip("safetensors")
    with package.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert sorted(tensors) == ["parameters", "slots"]
    assert tensors["parameters"].tobytes() == net.parameters.tobytes()
    assert tensors["slots"].shape == (2, net.n_parameters)
    assert {array.dtype for array in tensors.values()} == {net.dtype}
    assert (metadata["format"], metadata["format_version"]) == ("fastnn", "1")
    config = json.loads(metadata["config"])
    assert config["layers"][1] == {"type": "Dropout", "rate": 0.25}
    assert config["training"]["optimizer"]["type"] == "optimizers.Adam"
