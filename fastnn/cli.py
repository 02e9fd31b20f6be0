"""The command `fastnn`: `demo` trains a network on handwritten digits, `playground` opens a page
that trains small networks, `info` shows versions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from fastnn import config, datasets, optimizers, schedules
from fastnn.layers import Dense, Dropout, Residual
from fastnn.model import Sequential
from fastnn.preprocessing import train_test_split

EPOCHS = 20
COMPARED_EPOCHS = 3


def _make_network(dtype: str) -> Sequential:
    return Sequential(
        Dense(128, "relu"),
        Dropout(0.2),
        Residual(Dense(128, "relu")),
        Dense(10, "softmax"),
        random_state=0,
        dtype=dtype,
    )


def _make_optimizer() -> optimizers.Adam:
    return optimizers.Adam(learning_rate=schedules.OneCycle(max_learning_rate=1e-2))


def run_demo() -> int:
    """Train a network on handwritten digits, then compare both engines on a few epochs."""
    X, y = datasets.load_digits()
    X /= 16  # pixels are 0 to 16
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, random_state=0, stratify=y
    )
    print(f"Handwritten digits: {len(X_train)} images to train on, {len(X_test)} held out.\n")

    net = _make_network("float32").build(X.shape[1])
    net.summary()
    began = time.perf_counter()
    history = net.fit(
        X_train, y_train, loss="cross_entropy", optimizer=_make_optimizer(), epochs=EPOCHS,
        batch_size=64, validation_data=(X_test, y_test), verbose=1,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    for epoch in range(0, EPOCHS, 5):
        print(f"epoch {epoch + 1:>3}   loss {history['loss'][epoch]:.4f}   "
              f"accuracy on held-out digits {history['val_accuracy'][epoch]:.1%}")  # fmt: skip
    accuracy = net.evaluate(X_test, y_test)["accuracy"]
    print(f"after {EPOCHS} epochs, {seconds:.2f} s: {accuracy:.1%} of the held-out digits right\n")
    _compare(X_train, y_train)
    return 0


def _compare(X: np.ndarray, y: np.ndarray) -> None:
    """Train with both engines; print their times and the largest difference of a weight."""
    seconds, parameters = {}, {}
    for engine in ("native", "reference"):
        net = _make_network("float64")
        net.fit(X, y, epochs=0, engine=engine)  # so that imports and building are not timed
        began = time.perf_counter()
        net.fit(
            X, y, optimizer=_make_optimizer(), epochs=COMPARED_EPOCHS, batch_size=64, engine=engine
        )
        seconds[engine], parameters[engine] = time.perf_counter() - began, net.parameters
    difference = np.abs(parameters["native"] - parameters["reference"]).max()
    ratio = seconds["reference"] / seconds["native"]
    print(
        f"The same {COMPARED_EPOCHS} epochs in float64: reference (NumPy) "
        f"{seconds['reference']:.3f} s, native {seconds['native']:.3f} s: {ratio:.1f} times "
        f"faster, largest difference of a weight {difference:.1e}."
    )


def run_playground(port: int, browser: bool) -> int:
    """Serve the playground, if its extra is installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401

        from fastnn.playground import server
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "websockets"):
            raise
        print(f"fastnn playground needs {error.name}: pip install '.[playground]' in a clone",
              file=sys.stderr)  # fmt: skip
        return 1
    try:
        server.run(port, browser)
    except (OSError, OverflowError) as error:
        print(f"fastnn playground: cannot listen on port {port}: {error}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command `fastnn` and return its exit code."""
    parser = argparse.ArgumentParser(prog="fastnn", description=__doc__)
    parser.add_argument("--version", action="version", version=f"fastnn {config.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="train on handwritten digits, in seconds")
    commands.add_parser("info", help="versions, instruction set and threads in use")
    playground = commands.add_parser("playground", help="train small networks in the browser")
    playground.add_argument("--port", type=int, default=0, help="default: any free port")
    playground.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    if options.command == "demo":
        return run_demo()
    if options.command == "playground":
        return run_playground(options.port, not options.no_browser)
    config.show_config()
    return 0
