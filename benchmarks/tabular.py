"""Compare scores and times of the estimators for tables with gradient boosting.

python benchmarks/tabular.py                        # all sets, 5 seeds; an hour or more
python benchmarks/tabular.py --quick                # 1 seed, three small sets
python benchmarks/tabular.py --sets letter,adult --seeds 3 --output TABULAR.md
python benchmarks/tabular.py --contenders default,catboost --results results.json

Each contender gets data frames as they come, with its defaults and two threads; text columns have
the dtype category, as the boosting libraries require. Models run in separate processes, one at a
time, because idle thread pools of other libraries spin. With --results, finished measurements are
kept in a file and are not repeated. Data sets and libraries that are not installed are skipped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

N_THREADS = 2
QUICK = ("phoneme", "churn", "diabetes")
COVERAGE = 0.9

Run = dict[str, float]
Results = dict[str, dict[str, list[Run] | str]]

# ---- contenders ----------------------------------------------------------------------------------


def make_fastnn(preset: str) -> Any:
    def make(task: str, seed: int, categories: list[str]) -> Any:
        import fastnn

        kind = fastnn.TabularClassifier if task == "classes" else fastnn.TabularRegressor
        return kind(preset, random_state=seed, n_threads=N_THREADS)

    return make


def make_histogram_boosting(task: str, seed: int, categories: list[str]) -> Any:
    from sklearn import ensemble

    kind = "Classifier" if task == "classes" else "Regressor"
    return getattr(ensemble, f"HistGradientBoosting{kind}")(
        random_state=seed, categorical_features="from_dtype"
    )


def make_lightgbm(task: str, seed: int, categories: list[str]) -> Any:
    import lightgbm

    kind = lightgbm.LGBMClassifier if task == "classes" else lightgbm.LGBMRegressor
    return kind(n_jobs=N_THREADS, random_state=seed, verbose=-1)


def make_xgboost(task: str, seed: int, categories: list[str]) -> Any:
    import xgboost

    kind = xgboost.XGBClassifier if task == "classes" else xgboost.XGBRegressor
    return kind(n_jobs=N_THREADS, random_state=seed, enable_categorical=True)


def make_catboost(task: str, seed: int, categories: list[str]) -> Any:
    import catboost

    kind = catboost.CatBoostClassifier if task == "classes" else catboost.CatBoostRegressor
    return kind(thread_count=N_THREADS, random_seed=seed, verbose=0, cat_features=categories,
                allow_writing_files=False)  # fmt: skip


def make_realmlp(task: str, seed: int, categories: list[str]) -> Any:
    import pytabkit

    kind = (pytabkit.RealMLP_TD_S_Classifier if task == "classes"
            else pytabkit.RealMLP_TD_S_Regressor)  # fmt: skip
    return kind(device="cpu", random_state=seed, n_threads=N_THREADS)


CONTENDERS = {
    "fast": make_fastnn("fast"), "default": make_fastnn("default"), "best": make_fastnn("best"),
    "histogram boosting": make_histogram_boosting, "lightgbm": make_lightgbm,
    "xgboost": make_xgboost, "catboost": make_catboost, "realmlp": make_realmlp,
}  # fmt: skip


# ---- one process ---------------------------------------------------------------------------------


def measure(contender: str, name: str, seeds: int) -> list[Run]:
    """Scores and times for each seed, which also determines the split."""
    import tables

    warnings.simplefilter("ignore")
    task = tables.TABLES[name].task
    runs = []
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = tables.split_frames(name, seed)
        X_train, X_test, categories = convert_text(X_train, X_test, contender == "catboost")
        classes = np.unique(y_train)
        target = np.searchsorted(classes, y_train) if task == "classes" else y_train
        model = CONTENDERS[contender](task, seed, categories)
        start = time.perf_counter()
        model.fit(X_train, target)
        fitted = time.perf_counter()
        outputs = model.predict_proba(X_test) if task == "classes" else model.predict(X_test)
        run = {"seconds": fitted - start, "predicting": time.perf_counter() - fitted,
               "rows": len(X_train), "columns": X_train.shape[1]}  # fmt: skip
        if task == "classes":
            run |= score_classes(np.asarray(outputs), np.searchsorted(classes, y_test))
        else:
            run["error"] = float(np.sqrt(np.mean((np.ravel(outputs) - y_test) ** 2)))
            if hasattr(model, "predict_interval"):
                lower, upper = model.predict_interval(X_test, COVERAGE).T
                run["coverage"] = float(np.mean((lower <= y_test) & (y_test <= upper)))
        runs.append(run)
    return runs


def convert_text(train: Any, test: Any, as_text: bool) -> tuple[Any, Any, list[str]]:
    """Both frames with text and booleans as categories, with the levels of both; their names.
    CatBoost needs text for gaps."""
    import pandas as pd

    n, both = len(train), pd.concat([train, test])
    names = [c for c in both.columns if not pd.api.types.is_numeric_dtype(both[c])
             or both[c].dtype == bool]  # fmt: skip
    for name in names:
        values = both[name].astype(object)
        both[name] = (values.astype(str) if as_text else values).astype("category")
    return both[:n], both[n:], names


def score_classes(probabilities: Any, codes: Any) -> Run:
    """Error, log loss and area under the ROC curve (one class against the rest)."""
    from sklearn.metrics import log_loss, roc_auc_score

    p = probabilities / probabilities.sum(axis=1, keepdims=True)
    binary = p.shape[1] == 2
    auc = roc_auc_score(codes, p[:, 1] if binary else p, multi_class="ovr")
    return {"error": float(np.mean(p.argmax(axis=1) != codes)), "auc": float(auc),
            "log_loss": float(log_loss(codes, p, labels=range(p.shape[1])))}  # fmt: skip


def measure_in_process(contender: str, name: str, seeds: int) -> list[Run] | str:
    """The result of `measure` in a separate process, or its error message."""
    command = [sys.executable, __file__, "--worker", contender, name, str(seeds)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return process.stderr.strip().splitlines()[-1]
    result: list[Run] = json.loads(process.stdout.strip().splitlines()[-1])
    return result


# ---- the report ----------------------------------------------------------------------------------


def average(results: Results, name: str, contender: str, key: str) -> float:
    """The mean over the seeds; NaN if there is none."""
    runs = results[name].get(contender, "not measured")
    values = [] if isinstance(runs, str) else [run[key] for run in runs if key in run]
    return float(np.mean(values)) if values else np.nan


def compute_ratio(results: Results, names: Sequence[str], key: str, ours: str, other: str) -> Any:
    """The ratio of our mean to that of the other contender for each set with both."""
    pairs = [(average(results, name, ours, key), average(results, name, other, key))
             for name in names]  # fmt: skip
    # Small errors are shifted, so that one row more or less does not decide.
    shift = 0.01 if key == "error" else 0.0
    ratios = np.array([(a + shift) / (b + shift) for a, b in pairs])
    return ratios[np.isfinite(ratios)]


def format_summary(results: Results, names: Sequence[str]) -> list[str]:
    """Ratios of errors (geometric means) and of times (medians) of our presets to the others."""
    lines = ["| preset | compared with | error | better on | worst set | time |",
             "|---|---|--:|--:|--:|--:|"]  # fmt: skip
    others = [name for name in CONTENDERS if name not in ("fast", "default", "best")]
    for ours in ("fast", "default", "best"):
        for other in others:
            errors = compute_ratio(results, names, "error", ours, other)
            seconds = compute_ratio(results, names, "seconds", ours, other)
            if len(errors):
                mean, n_better = np.exp(np.mean(np.log(errors))), np.sum(errors < 1)
                lines.append(
                    f"| {ours} | {other} | {mean:.3f} | {n_better} of {len(errors)} | "
                    f"{errors.max():.2f} | {np.median(seconds):.2f} |"
                )
    return lines


def format_table(
    results: Results,
    names: Sequence[str],
    key: str,
    digits: int,
    *,
    lower_is_better: bool | None = True,
) -> list[str]:
    """One row per set, one column per contender; the best number is bold, if any is best."""
    shown = [c for c in CONTENDERS
             if any(np.isfinite(average(results, name, c, key)) for name in names)]  # fmt: skip
    lines = ["| set | " + " | ".join(shown) + " |", "|---|" + "--:|" * len(shown)]
    for name in names:
        values = [average(results, name, contender, key) for contender in shown]
        if not np.isfinite(values).any():
            continue
        best = np.nanmin(values) if lower_is_better else np.nanmax(values)
        best = np.nan if lower_is_better is None else best
        texts = ["" if np.isnan(v) else f"**{v:.{digits}f}**" if v == best else f"{v:.{digits}f}"
                 for v in values]  # fmt: skip
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return lines


def format_report(results: Results, seeds: int) -> str:
    """The whole report in Markdown."""
    from machine import describe_cores
    from tables import DEVELOPMENT, VERIFICATION

    text = [
        "# Tables",
        "",
        f"Written by `python benchmarks/tabular.py`. {describe_cores()} {N_THREADS} threads; "
        f"{seeds} seeds, each with its own split; a quarter of the rows is held out. The error is "
        "1 - accuracy, or the RMSE in standard deviations of the target. Each contender has its "
        "defaults. Times are those of `fit`, with all preprocessing. Ratios compare fastnn with "
        "the other model: below 1, fastnn is better. Errors get 0.01 added in ratios; times are "
        "compared by their median.",
    ]
    groups = {
        "Sets on which the recipe was chosen": [n for n in DEVELOPMENT if n in results],
        "Other sets": [n for n in VERIFICATION if n in results],
    }
    for title, names in groups.items():
        if names:
            text += ["", f"## {title}", "", *format_summary(results, names), "", "### Error", "",
                     *format_table(results, names, "error", 4), "", "### Seconds", "",
                     *format_table(results, names, "seconds", 2)]  # fmt: skip
    everywhere = list(results)
    text += ["", "## Probabilities", "", "### Log loss", "",
             *format_table(results, everywhere, "log_loss", 4), "", "### Area under the curve", "",
             *format_table(results, everywhere, "auc", 4, lower_is_better=False), "",
             f"## Coverage of intervals for {COVERAGE:.0%}", "",
             *format_table(results, everywhere, "coverage", 3, lower_is_better=None)]  # fmt: skip
    return "\n".join(text) + "\n"


def main() -> None:
    """Parse the options, measure, print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", help="names of data sets, separated by commas")
    parser.add_argument("--contenders", help="names of contenders, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="1 seed, three small sets")
    parser.add_argument("--results", type=Path, help="file with finished measurements")
    parser.add_argument("--output", type=Path, help="file to write the report to")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        contender, name, seeds = options.worker
        print(json.dumps(measure(contender, name, int(seeds))))
        return
    from tables import DEVELOPMENT, VERIFICATION

    known = [*DEVELOPMENT, *VERIFICATION]
    chosen = options.sets.split(",") if options.sets else QUICK if options.quick else known
    contenders = options.contenders.split(",") if options.contenders else list(CONTENDERS)
    for what, names, allowed in (("sets", chosen, known), ("contenders", contenders, CONTENDERS)):
        unknown = set(names) - set(allowed)
        if unknown:
            parser.error(f"--{what}: expected some of {', '.join(allowed)}; got {unknown}")
    seeds = 1 if options.quick else options.seeds
    results: Results = {}
    if options.results and options.results.exists():
        results = json.loads(options.results.read_text())
    for name in chosen:
        for contender in contenders:
            done = results.setdefault(name, {})
            if contender not in done:
                done[contender] = measure_in_process(contender, name, seeds)
                shown = done[contender] if isinstance(done[contender], str) else (
                    f"{average(results, name, contender, 'error'):.4f} "
                    f"{average(results, name, contender, 'seconds'):.2f} s")  # fmt: skip
                print(f"{name}, {contender}: {shown}", file=sys.stderr, flush=True)
                if options.results:
                    options.results.write_text(json.dumps(results))
    report = format_report({name: results[name] for name in chosen}, seeds)
    print(report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
