"""Scores and times on real tables: fastnn's estimators beside scikit-learn's perceptron with the
same parameters, HistGradientBoosting with its defaults, and a PyTorch loop.

python benchmarks/tabular.py                      # all sets, 5 seeds
python benchmarks/tabular.py --quick              # 2 seeds, small sets
python benchmarks/tabular.py --sets letter,adult --output table.md

Each contender runs in a process of its own, one at a time: thread pools of others would spin. Sets
whose package is not installed, and contenders that are not, are left out and named.
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


# ---- contenders ----------------------------------------------------------------------------------


def _perceptron(module: Any, task: str, epochs: int, seed: int) -> Any:
    kind = module.MLPClassifier if task == "classes" else module.MLPRegressor
    return kind(**PARAMETERS, max_iter=epochs, random_state=seed)


def fastnn(task: str, epochs: int, seed: int) -> Any:
    """fastnn's estimator."""
    import fastnn

    return _perceptron(fastnn, task, epochs, seed)


def sklearn(task: str, epochs: int, seed: int) -> Any:
    """scikit-learn's."""
    from sklearn import neural_network

    return _perceptron(neural_network, task, epochs, seed)


def boosting(task: str, epochs: int, seed: int) -> Any:
    """scikit-learn's gradient boosting, which knows nothing of epochs."""
    from sklearn import ensemble

    kinds = {
        "classes": "HistGradientBoostingClassifier",
        "numbers": "HistGradientBoostingRegressor",
    }
    return getattr(ensemble, kinds[task])(random_state=seed)


def pytorch(task: str, epochs: int, seed: int) -> Any:
    """The same network and the same rule to stop, as a loop."""
    import tabular_torch

    return tabular_torch.Perceptron(task, epochs, seed, **PARAMETERS)


CONTENDERS = {"fastnn": fastnn, "scikit-learn": sklearn, "boosting": boosting, "pytorch": pytorch}


# ---- one process ---------------------------------------------------------------------------------


def measure(contender: str, name: str, seeds: int) -> list[dict[str, float]]:
    """Score and seconds of each seed, which also draws the split."""
    import tables

    warnings.simplefilter("ignore")
    task, epochs = tables.TABLES[name].task, tables.TABLES[name].epochs
    results = []
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = tables.split(name, seed)
        model = CONTENDERS[contender](task, epochs, seed)
        if seed == 0:
            CONTENDERS[contender](task, 1, seed).fit(X_train[:200], y_train[:200])  # imports
        began = time.perf_counter()
        model.fit(X_train, y_train)
        seconds = time.perf_counter() - began
        found = np.asarray(model.predict(X_test))
        accuracy = float(np.mean(found == y_test))
        score = accuracy if task == "classes" else float(np.sqrt(np.mean((found - y_test) ** 2)))
        results.append({"score": score, "seconds": seconds, "rows": len(X_train),
                        "features": X_train.shape[1],
                        "epochs": getattr(model, "n_iter_", np.nan)})  # fmt: skip
    return results


def in_process(contender: str, name: str, seeds: int) -> list[dict[str, float]] | str:
    """What `measure` finds in a process of its own, or why it finds nothing."""
    command = [sys.executable, __file__, "--worker", contender, name, str(seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    result: list[dict[str, float]] = json.loads(done.stdout)
    return result


# ---- the report ----------------------------------------------------------------------------------

HEADER = (
    "| set | rows x features | | contender | score | seconds | x fastnn |\n"
    "|---|---|---|---|---|---|---|"
)


def lines(name: str, task: str, seeds: int) -> list[str]:
    """The table's lines about one set."""
    result, ours = [], np.nan
    for contender in CONTENDERS:
        found = in_process(contender, name, seeds)
        if isinstance(found, str):
            result.append(f"| {name} | | | {contender} | left out: {found} | | |")
            continue
        scores, seconds = (np.array([one[key] for one in found]) for key in ("score", "seconds"))
        ours = seconds if contender == "fastnn" else ours
        size = f"{found[0]['rows']:,} x {found[0]['features']}"
        measured = "accuracy" if task == "classes" else "RMSE"
        result.append(
            f"| {name} | {size} | {measured} | {contender} | {scores.mean():.4f} ± "
            f"{scores.std(ddof=1):.4f} | {seconds.mean():.3f} | {np.median(seconds / ours):.1f} |"
        )
    return result


def main() -> None:
    """Read the options, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", help="names, with commas between")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 seeds, small sets")
    parser.add_argument("--output", type=Path, help="a file for the table")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        contender, name, seeds = options.worker
        print(json.dumps(measure(contender, name, int(seeds))))
        return
    from tables import TABLES

    chosen = options.sets.split(",") if options.sets else QUICK if options.quick else TABLES
    text = [HEADER]
    for name in chosen:
        if name not in TABLES:
            parser.error(f"--sets: expected some of {', '.join(TABLES)}; got {name}")
        text += lines(name, TABLES[name].task, 2 if options.quick else options.seeds)
        print("\n".join(text if len(text) < 6 else text[-len(CONTENDERS) :]), flush=True)
    if options.output:
        options.output.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
