"""Training in many calls of `partial_fit`, and its continuation by copies and loaded files."""

import copy
import pickle
import time
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn as fn
from fastnn._training import loop
from fastnn.optimizers import CLASSES
from fastnn.schedules import InverseTimeDecay

N_CALLS = 1000

OPTIMIZERS = {
    "SGD": fn.optimizers.SGD(0.01),
    "momentum": fn.optimizers.SGD(0.01, momentum=0.9),
    "Nesterov": fn.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "Adagrad": fn.optimizers.Adagrad(0.01),
    "RMSprop": fn.optimizers.RMSprop(InverseTimeDecay(0.01, 100)),
    "Adam": fn.optimizers.Adam(0.01, clip_norm=1.0),
    "AdamW": fn.optimizers.AdamW(0.01),
}


def test_every_optimizer_is_tested():
    assert {type(optimizer) for optimizer in OPTIMIZERS.values()} == set(CLASSES.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_copies_continue_identically(name, rng, tmp_path):
    X = rng.normal(size=(40, 3))
    y = X[:, :1] * X[:, 1:2]
    net = fn.Sequential(fn.Dense(4, "tanh"), fn.Dropout(0.1), fn.Dense(1), random_state=0)
    first = {"optimizer": OPTIMIZERS[name]}
    copies = []
    for i, n in enumerate(rng.integers(1, 41, N_CALLS)):
        rows = rng.choice(40, n)
        if i == N_CALLS - 20:
            net.save(tmp_path / "net.safetensors")
            copies = [
                pickle.loads(pickle.dumps(net)), fn.load(tmp_path / "net.safetensors"),
                copy.deepcopy(net),
            ]  # fmt: skip
        for model in (net, *copies):
            model.partial_fit(X[rows], y[rows], **first)
        first = {}
    assert net.n_epochs == N_CALLS
    for model in copies:
        np.testing.assert_array_equal(model.parameters, net.parameters)


def test_clock_of_coarse_resolution(monkeypatch):
    clock = SimpleNamespace(perf_counter=lambda: 0.0, monotonic=time.monotonic)
    monkeypatch.setattr(loop, "time", clock)
    net = fn.Sequential(fn.Dense(1), random_state=0)
    history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=7)
    assert list(history["seconds"]) == [0.0] * 7
