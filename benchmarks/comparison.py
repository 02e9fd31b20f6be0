"""Run the code of docs/comparison.md: each library in processes of its own, on the same data.

    pip install '.[bench]' keras optax
    python benchmarks/comparison.py             # writes the table of times into docs/comparison.md

A time is that of the block without its imports: all ten epochs and the score, with what a library
compiles on the way. The data are the digits of `fastnn.datasets`, enlarged to 28 x 28 pixels with
random shifts and noise. Libraries run in turns; a row is the median of its rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "comparison.md"
BLOCK = re.compile(r"^\*\*([\w-]+)\*\*[^\n]*\n\n```\n(.*?)```", re.M | re.S)
START, END = "<!-- benchmarks/comparison.py writes this table -->\n", "<!-- end -->"
N_TRAIN, N_TEST = 20_000, 4_000


def make_data() -> dict[str, Any]:
    """Images of digits, X of shape (n, 784) in float32, and their labels."""
    import fastnn as fn

    digits, labels = fn.datasets.load_digits()
    rng = np.random.default_rng(0)
    rows = rng.integers(len(digits), size=N_TRAIN + N_TEST)
    images = np.zeros((len(rows), 28, 28), np.float32)
    shifts = rng.integers(0, 5, size=(len(rows), 2))
    for image, row, (i, j) in zip(images, rows, shifts, strict=True):
        image[i : i + 24, j : j + 24] = np.kron(digits[row].reshape(8, 8) / 16, np.ones((3, 3)))
    images += rng.normal(0, 0.2, images.shape)
    X, y = images.reshape(-1, 784), labels[rows]
    return {
        "X_train": X[:N_TRAIN], "y_train": y[:N_TRAIN],
        "X_test": X[N_TRAIN:], "y_test": y[N_TRAIN:],
    }  # fmt: skip


def run(code: str) -> tuple[float, float]:
    """Seconds and accuracy of a block of code, in this process."""
    lines = code.splitlines()
    imports = [line for line in lines if re.match(r"(import|from) ", line)]
    names = make_data()
    exec("\n".join(imports), names)
    began = time.perf_counter()
    exec("\n".join(line for line in lines if line not in imports), names)
    return time.perf_counter() - began, float(names["accuracy"])


def measure(blocks: dict[str, str], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and accuracies of each library, one process for each of them in each round."""
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in blocks}
    environment = os.environ | {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "jax")}
    for _ in range(rounds):
        for name in blocks:
            done = subprocess.run(
                [sys.executable, __file__, "--run", name],
                capture_output=True, text=True, check=False, env=environment,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            seconds, accuracy = json.loads(done.stdout.splitlines()[-1])
            figures[name].append((seconds, accuracy))
    return figures


def write_table(blocks: dict[str, str], figures: dict[str, list[tuple[float, float]]]) -> str:
    """The table of the page, in Markdown."""
    import machine

    times = {name: median(seconds for seconds, _ in rows) for name, rows in figures.items()}
    lines = ["", "| library | lines | seconds | / fastnn | accuracy |", "|---|--:|--:|--:|--:|"]
    for name, code in blocks.items():
        n_lines = sum(1 for line in code.splitlines() if line)
        accuracy = median(accuracy for _, accuracy in figures[name])
        ratio = times[name] / times["fastnn"]
        lines.append(f"| {name} | {n_lines} | {times[name]:.2f} | {ratio:.1f} | {accuracy:.3f} |")
    return "\n".join([*lines, "", machine.describe_cores(), "", ""])


def main() -> None:
    """Measure all libraries and write the table, or run one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", metavar="LIBRARY", help="only this one, in this process")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    text = PAGE.read_text()
    blocks = dict(BLOCK.findall(text))
    if options.run:
        print(json.dumps(run(blocks[options.run])))
        return
    table = write_table(blocks, measure(blocks, options.rounds))
    before, rest = text.split(START)
    PAGE.write_text(before + START + table + rest[rest.index(END) :])
    print(table)


if __name__ == "__main__":
    main()
