"""Compare scores and times on real tables: fastnn's estimators, scikit-learn's multilayer
perceptron with the same parameters, HistGradientBoosting with its defaults, and a training loop in
PyTorch.

python benchmarks/perceptrons.py                      # all data sets, 5 seeds
python benchmarks/perceptrons.py --quick              # 2 seeds, small data sets
python benchmarks/perceptrons.py --sets letter,adult --output table.md

Models run in separate processes, one at a time, because idle thread pools of other libraries spin.
Data sets and libraries that are not installed are skipped with a message.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

PARAMETERS = {"hidden_layer_sizes": (100,), "learning_rate_init": 1e-3, "alpha": 1e-4}
QUICK = ("breast_cancer", "diabetes", "digits")
EPOCHS = {
    "breast_cancer": 200, "diabetes": 200, "digits": 200, "mnist_5k": 50, "letter": 50,
    "california": 50, "adult": 20, "diamonds": 20, "census": 3,
}  # fmt: skip


# ---- contenders ----------------------------------------------------------------------------------


def _perceptron(module: Any, task: str, epochs: int, seed: int) -> Any:
    kind = module.MLPClassifier if task == "classes" else module.MLPRegressor
    return kind(**PARAMETERS, max_iter=epochs, random_state=seed)


def fastnn(task: str, epochs: int, seed: int) -> Any:
    """fastnn's multilayer perceptron."""
    import fastnn

    return _perceptron(fastnn, task, epochs, seed)


def sklearn(task: str, epochs: int, seed: int) -> Any:
    """scikit-learn's multilayer perceptron."""
    from sklearn import neural_network

    return _perceptron(neural_network, task, epochs, seed)


def boosting(task: str, epochs: int, seed: int) -> Any:
    """scikit-learn's gradient boosting, which has no epochs."""
    from sklearn import ensemble

    kinds = {
        "classes": "HistGradientBoostingClassifier",
        "numbers": "HistGradientBoostingRegressor",
    }
    return getattr(ensemble, kinds[task])(random_state=seed)


def pytorch(task: str, epochs: int, seed: int) -> Any:
    """The same network and stopping rule, as a training loop in PyTorch."""
    import perceptron_torch

    return perceptron_torch.Perceptron(task, epochs, seed, **PARAMETERS)


CONTENDERS = {"fastnn": fastnn, "scikit-learn": sklearn, "boosting": boosting, "pytorch": pytorch}


# ---- one process ---------------------------------------------------------------------------------


def measure(contender: str, name: str, seeds: int) -> list[dict[str, float]]:
    """Score and time in seconds for each seed; the seed also determines the split."""
    import tables

    warnings.simplefilter("ignore")
    task, epochs = tables.TABLES[name].task, EPOCHS[name]
    results = []
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = tables.split(name, seed)
        model = CONTENDERS[contender](task, epochs, seed)
        if seed == 0:
            CONTENDERS[contender](task, 1, seed).fit(X_train[:200], y_train[:200])  # imports
        began = time.perf_counter()
        model.fit(X_train, y_train)
        seconds = time.perf_counter() - began
        predicted = np.asarray(model.predict(X_test))
        accuracy = float(np.mean(predicted == y_test))
        rmse = float(np.sqrt(np.mean((predicted - y_test) ** 2))) if task == "numbers" else np.nan
        score = accuracy if task == "classes" else rmse
        results.append({"score": score, "seconds": seconds, "rows": len(X_train),
                        "features": X_train.shape[1],
                        "epochs": getattr(model, "n_iter_", np.nan)})  # fmt: skip
    return results


def measure_in_process(contender: str, name: str, seeds: int) -> list[dict[str, float]] | str:
    """The result of `measure` in a separate process, or its error message."""
    command = [sys.executable, __file__, "--worker", contender, name, str(seeds)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return process.stderr.strip().splitlines()[-1]
    result: list[dict[str, float]] = json.loads(process.stdout)
    return result


# ---- the report ----------------------------------------------------------------------------------

HEADER = (
    "| data set | rows x features | metric | model | score | seconds | times slower |\n"
    "|---|---|---|---|---|---|---|"
)


def format_rows(name: str, task: str, seeds: int) -> list[str]:
    """Measure one data set, and format its rows of the table."""
    result, ours = [], np.nan
    for contender in CONTENDERS:
        runs = measure_in_process(contender, name, seeds)
        if isinstance(runs, str):
            result.append(f"| {name} | | | {contender} | skipped: {runs} | | |")
            continue
        scores, seconds = (np.array([run[key] for run in runs]) for key in ("score", "seconds"))
        ours = seconds if contender == "fastnn" else ours
        size = f"{runs[0]['rows']:,} x {runs[0]['features']}"
        measured = "accuracy" if task == "classes" else "RMSE"
        result.append(
            f"| {name} | {size} | {measured} | {contender} | {scores.mean():.4f} ± "
            f"{scores.std(ddof=1):.4f} | {seconds.mean():.3f} | {np.median(seconds / ours):.1f} |"
        )
    return result


def main() -> None:
    """Parse the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", help="names of data sets, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 seeds, small data sets")
    parser.add_argument("--output", type=Path, help="file to write the table to")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        contender, name, seeds = options.worker
        print(json.dumps(measure(contender, name, int(seeds))))
        return
    from tables import TABLES

    chosen = options.sets.split(",") if options.sets else QUICK if options.quick else EPOCHS
    text = [HEADER]
    for name in chosen:
        if name not in EPOCHS:
            parser.error(f"--sets: expected some of {', '.join(EPOCHS)}; got {name}")
        text += format_rows(name, TABLES[name].task, 2 if options.quick else options.seeds)
        print("\n".join(text if len(text) < 6 else text[-len(CONTENDERS) :]), flush=True)
    if options.output:
        options.output.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
