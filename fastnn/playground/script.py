"""The Python script that reproduces a run of the playground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastnn.playground.settings import OPTIMIZERS, Settings

# What was done to a network, in order: ("epochs", n), ("step", first row), or
# ("edit", layer, i, j, value).
Action = tuple[str, *tuple[float, ...]]


def make_layers(settings: Settings, output: str) -> list[str]:
    """Return the layers of the network, as Python expressions."""
    penalty = "".join(
        f", {name}={value!r}" for name in ("l1", "l2") if (value := getattr(settings, name))
    )
    layers = []
    for units, activation in zip(settings.units, settings.activations, strict=True):
        layers.append(f'fn.Dense({units}, "{activation}"{penalty})')
        if settings.dropout:
            layers.append(f"fn.Dropout({settings.dropout!r})")
    return [*layers, f'fn.Dense(1, "{output}"{penalty})']


def make_optimizer(settings: Settings, n_steps: int) -> str:
    """Return the optimizer, whose schedule spans n_steps, as a Python expression."""
    rate = repr(settings.learning_rate)
    if settings.schedule == "cosine":
        rate = f"fn.schedules.CosineDecay({rate}, n_steps={n_steps})"
    elif settings.schedule == "one_cycle":
        rate = f"fn.schedules.OneCycle({rate}, n_steps={n_steps})"
    momentum = ", momentum=0.9" if settings.optimizer == "momentum" else ""
    return f"fn.optimizers.{OPTIMIZERS[settings.optimizer]}({rate}{momentum})"


def write_script(settings: Settings, output: str, n_steps: int, actions: Sequence[Action]) -> str:
    """Return a script that repeats the actions and prints the losses that the page shows.

    Rows from a table are read from data.csv.
    """
    if settings.data == "csv":
        reading = 'points, target = data.read_csv(Path("data.csv").read_text())'
    else:
        arguments = f"noise={settings.noise!r}, seed={settings.seed}"
        reading = f'points, target = data.make_data("{settings.data}", {arguments})'
    layers = "".join(f"    {layer},\n" for layer in make_layers(settings, output))
    return f"""\
{"from pathlib import Path" + chr(10) * 2 if settings.data == "csv" else ""}import fastnn as fn
from fastnn.playground import data

{reading}
X = data.compute_features(points, {list(settings.features)!r}).astype("float32")
X_train, X_test, y_train, y_test = fn.train_test_split(
    X, target, test_size={settings.test_share!r}, random_state={settings.seed}
)
net = fn.Sequential(
{layers}    random_state={settings.seed},
).build(X.shape[1])
options = dict(
    optimizer={make_optimizer(settings, n_steps)},
    reset_optimizer=False,  # each call continues the one before
    n_threads=1,
)
{"".join(f"{line}{chr(10)}" for line in _write_actions(settings, actions))}\
print("training loss", net.evaluate(X_train, y_train)["loss"])
print("test", net.evaluate(X_test, y_test))
"""


def _write_actions(settings: Settings, actions: Sequence[Action]) -> Iterator[str]:
    size = settings.batch_size
    for kind, *numbers in actions:
        if kind == "epochs":
            epochs = int(numbers[0])
            yield f"net.fit(X_train, y_train, epochs={epochs}, batch_size={size}, **options)"
        elif kind == "step":
            rows = f"{int(numbers[0])} : {int(numbers[0]) + size}"
            yield (
                f"net.fit(X_train[{rows}], y_train[{rows}], epochs=1, shuffle=False, "
                f'batch_size="full", **options)'
            )
        else:
            layer, i, j, value = numbers
            array = f"biases[{int(layer)}][{int(j)}]"
            if i >= 0:
                array = f"weights[{int(layer)}][{int(i)}, {int(j)}]"
            yield f"net.{array} = {value!r}"
