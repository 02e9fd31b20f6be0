"""What each part of the recipe for tables brings: the estimator `TabularClassifier` or
`TabularRegressor` with one part replaced, on the sets on which the recipe was chosen.

python benchmarks/ablation.py                       # 2 seeds, about ten minutes
python benchmarks/ablation.py --sets phoneme,churn --seeds 1
"""

from __future__ import annotations

import argparse
import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import tables

import fastnn
from fastnn import layers, schedules
from fastnn.estimators.tables import members, recipe
from fastnn.preprocessing import RobustScaler


def change_layers(change: Callable[[Any], Any]) -> Any:
    """Networks whose layers are changed before they are built."""
    build = recipe.make_network

    def make(how: Any, n_features: int, n_outputs: int, is_classifier: bool, seed: int) -> Any:
        net = build(how, n_features, n_outputs, is_classifier, seed)
        changed = [new for layer in net.layers for new in change(layer)]
        if changed == list(net.layers):
            return net
        other = fastnn.Sequential(*changed, random_state=seed).build(n_features)
        if len(other.weights) == len(net.weights):
            other.parameters[:] = net.parameters
        return other

    return mock.patch.object(recipe, "make_network", make)


def same_rates(layer: Any) -> list[Any]:
    """Equal learning rates, with He's initial weights."""
    if isinstance(layer, layers.Scale):
        return [dataclasses.replace(layer, learning_rate_factor=1.0)]
    return [dataclasses.replace(layer, learning_rate_factor=1.0, bias_learning_rate_factor=1.0,
                                weight_init="auto" if layer.activation.name != "softmax"
                                else layer.weight_init)]  # fmt: skip


def change_optimizer(**fields: Any) -> Any:
    """An optimizer with other fields."""
    make = recipe.make_optimizer
    return mock.patch.object(
        recipe, "make_optimizer",
        lambda is_classifier: dataclasses.replace(make(is_classifier), **fields),
    )  # fmt: skip


@contextmanager
def change_schedule(kind: Any) -> Iterator[None]:
    """Another schedule with the same largest learning rate."""
    make = recipe.make_optimizer

    def changed(is_classifier: bool) -> Any:
        adam = make(is_classifier)
        rate: Any = adam.learning_rate
        return dataclasses.replace(adam, learning_rate=kind(rate.initial_learning_rate))

    with mock.patch.object(recipe, "make_optimizer", changed):
        yield


@contextmanager
def equal_rates() -> Iterator[None]:
    """Equal learning rates for all layers, of the usual size for Adam."""
    schedule = schedules.FlatCosine(0.003)
    with change_layers(same_rates), change_optimizer(learning_rate=schedule):
        yield


@contextmanager
def standardized() -> Iterator[None]:
    """Numbers with mean 0 and standard deviation 1, without clipping."""

    def fit(self: RobustScaler, X: Any, y: Any = None) -> RobustScaler:
        values = np.asarray(X, float)
        spread = np.nanstd(values, axis=0)
        scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        center = np.nan_to_num(np.nanmean(values, axis=0))
        vars(self).update(center_=center, scale_=scale, n_features_in_=values.shape[1], clip=None)
        return self

    with mock.patch.object(RobustScaler, "fit", fit):
        yield


@contextmanager
def last_epoch() -> Iterator[None]:
    """The weights of the last epoch."""
    with mock.patch.object(members.BestEpoch, "_compute_score", return_value=0.0):
        yield


def nothing() -> Any:
    return mock.patch.object(recipe, "BETA_2", recipe.BETA_2)


# What is replaced: the estimator's parameters, and a change of its recipe.
PARTS: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "the whole recipe": ({}, nothing),
    "one network": ({"n_members": 1}, nothing),
    "ReLU for SELU and Mish": ({}, lambda: change_layers(
        lambda layer: [dataclasses.replace(layer, activation="relu")]
        if getattr(layer, "activation", None) is not None
        and layer.activation.name in ("selu", "mish") else [layer])),
    "no Scale layer": ({}, lambda: change_layers(
        lambda layer: [] if isinstance(layer, layers.Scale) else [layer])),
    "equal learning rates (0.003)": ({}, equal_rates),
    "scaled numbers alone, no bins": ({"numeric_encoding": "scaled"}, nothing),
    "mean and standard deviation for quartiles": ({}, standardized),
    "beta_2 of 0.999": ({}, lambda: change_optimizer(beta_2=0.999)),
    "a cosine decay": ({}, lambda: change_schedule(schedules.CosineDecay)),
    "a constant learning rate": ({}, lambda: change_schedule(schedules.Constant)),
    "no label smoothing": ({"label_smoothing": 0.0}, nothing),
    "the last epoch for the best": ({}, last_epoch),
    "weight decay 0.2": ({}, lambda: change_optimizer(weight_decay=0.2)),
    "dropout 0.1": ({}, lambda: change_layers(
        lambda layer: [layer, layers.Dropout(0.1)]
        if getattr(layer, "units", 0) and layer.activation.name in ("selu", "mish")
        else [layer])),
}  # fmt: skip


def measure(name: str, seed: int, parameters: dict[str, Any], change: Any) -> tuple[float, float]:
    """Error and seconds of one fit."""
    task = tables.TABLES[name].task
    X_train, X_test, y_train, y_test = tables.split_frames(name, seed)
    kind = fastnn.TabularClassifier if task == "classes" else fastnn.TabularRegressor
    known = {key: value for key, value in parameters.items() if key in kind().get_params()}
    with change():
        start = time.perf_counter()
        model = kind(random_state=seed, **known).fit(X_train, y_train)
        seconds = time.perf_counter() - start
    predicted = model.predict(X_test)
    if task == "classes":
        return float(np.mean(predicted != y_test)), seconds
    return float(np.sqrt(np.mean((predicted - y_test) ** 2))), seconds


def main() -> None:
    """Parse the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", help="names of data sets, separated by commas")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = options.sets.split(",") if options.sets else tables.DEVELOPMENT
    print("| with | error: classes | error: numbers | time |\n|---|--:|--:|--:|")
    whole: dict[str, Any] = {}
    for part, (parameters, change) in PARTS.items():
        logs: dict[str, list[float]] = {"classes": [], "numbers": [], "seconds": []}
        for name in chosen:
            runs = [measure(name, seed, parameters, change) for seed in range(options.seeds)]
            error, seconds = np.mean(runs, axis=0)
            base = whole.setdefault(name, (error, seconds))
            logs[tables.TABLES[name].task].append(np.log((error + 0.01) / (base[0] + 0.01)))
            logs["seconds"].append(np.log(seconds / base[1]))
        shown = [f"{np.exp(np.mean(values)):.3f}" if values else "" for values in logs.values()]
        print(f"| {part} | " + " | ".join(shown) + " |", flush=True)


if __name__ == "__main__":
    main()
