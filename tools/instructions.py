"""Count the instructions per training step of a few small fixed runs.

The counts measure the engine's work independently of the load of the machine. The count per step is
the difference between a long and a short run, in which interpreter, imports and setup cancel.

    python tools/instructions.py            print a table (needs valgrind; 45 s on two cores)
    python tools/instructions.py --check    exit with 1 if a count deviates from the record
    python tools/instructions.py --write    record the counts in tools/instructions.json
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RECORD = Path(__file__).with_suffix(".json")
LEVEL = "v3"  # valgrind does not support AVX-512
TOLERANCE = 0.03
ROWS, BATCH = 256, 32

# Name: widths, hidden activation, last activation, dtype, and a number of steps of about 10 million
# instructions. The interpreter's own count varies by about ten thousand between runs.
TRAINING = {
    "2-8-1 tanh": ((2, 8, 1), "tanh", "linear", "float32", 700),
    "4-32-32-1 tanh": ((4, 32, 32, 1), "tanh", "linear", "float32", 150),
    "4-32-32-1 tanh, float64": ((4, 32, 32, 1), "tanh", "linear", "float64", 80),
    "64-64-64-1 relu": ((64, 64, 64, 1), "relu", "linear", "float32", 40),
    "30-128-64-2 softmax": ((30, 128, 64, 2), "relu", "softmax", "float32", 25),
}
PREDICTION = {"30-128-64-2 softmax, one row predicted": ("30-128-64-2 softmax", 1000)}


def run(name, steps):
    """The run that is counted, in a separate process."""
    import numpy as np

    import fastnn as fn
    from fastnn import losses, optimizers
    from fastnn._engine.job import Steps, TrainingJob
    from fastnn._engine.native import Trainer

    widths, hidden, last, dtype, _ = TRAINING[PREDICTION[name][0] if name in PREDICTION else name]
    layers = [*(fn.Dense(n, hidden) for n in widths[1:-1]), fn.Dense(widths[-1], last)]
    net = fn.Sequential(*layers, random_state=0, dtype=dtype).build(widths[0])
    X = np.sin(np.arange(ROWS * widths[0], dtype=dtype)).reshape(ROWS, -1)
    if name in PREDICTION:
        row = X[:1]
        for _ in range(steps):
            net.predict(row)
        return
    y = (X[:, :1] > 0).astype(dtype)
    loss = losses.resolve("cross_entropy" if last == "softmax" else "squared_error")
    adam = optimizers.Adam()
    slots = np.zeros(adam.n_slots * net.n_parameters, dtype)
    job = TrainingJob(
        layers=net.layers, loss=loss, optimizer=adam, X=X, y=y, sample_weight=None,
        batch_size=BATCH, shuffle="epoch", seed=0, first_epoch=0, first_step=0,
    )  # fmt: skip
    trainer = Trainer(job, net.parameters, slots, n_threads=1)
    trainer.run(Steps(0, 0, np.full(steps, 1e-3)), np.inf)


def count_process(name, steps):
    """The number of instructions of a process that makes this many steps."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    fixed = {"FASTNN_ISA": LEVEL, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.run(
        [*command, sys.executable, __file__, "--run", name, str(steps)],
        env=os.environ | fixed, check=False, capture_output=True, text=True,
    )  # fmt: skip
    match = re.search(r"I +refs: +([\d,]+)", process.stderr)
    if process.returncode or not match:
        raise RuntimeError(f"valgrind: exit code {process.returncode}:\n{process.stderr}")
    return int(match[1].replace(",", ""))


def count_steps():
    """{name: instructions per step}"""
    steps = {name: case[-1] for name, case in (TRAINING | PREDICTION).items()}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        short, long = (
            [pool.submit(count_process, name, times * n) for name, n in steps.items()]
            for times in (1, 2)
        )
    return {
        name: round((b.result() - a.result()) / n)
        for (name, n), a, b in zip(steps.items(), short, long, strict=True)
    }


def read_compiler_version():
    """The version of gcc that compiled the engine, from the compiled module itself."""
    import fastnn_ext

    (path,) = Path(fastnn_ext.__file__).parent.glob(f"engine_{LEVEL}.*so")
    match = re.search(rb"GCC: \(.*?\) ([\d.]+)", path.read_bytes())
    return match[1].decode() if match else "unknown"


def find_deviations(counts, recorded):
    """Names of the runs whose count deviates from the record by more than the tolerance, or that
    are missing in one of the two."""
    both = counts.keys() & recorded.keys()
    far = {name for name in both if abs(counts[name] / recorded[name] - 1) > TOLERANCE}
    return sorted(far | counts.keys() ^ recorded.keys())


def format_table(counts, recorded):
    """The lines of a table for people to read."""
    yield f"{'instructions per step':44}{'now':>10}{'recorded':>10}{'change':>8}"
    for name, now in counts.items():
        before = recorded.get(name)
        change = f"{before:>10}{now / before - 1:>+8.1%}" if before else f"{'none':>10}"
        yield f"{name:44}{now:>10}{change}"


def main():
    """The exit code: 1 if `--check` finds a deviation, otherwise 0."""
    parser = argparse.ArgumentParser()
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--check", action="store_true", help=f"compare with {RECORD.name}")
    one.add_argument("--write", action="store_true", help=f"write {RECORD.name}")
    one.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run[0], int(options.run[1]))
        return 0
    if not shutil.which("valgrind"):
        parser.error("needs valgrind")

    record = json.loads(RECORD.read_text())
    counts, gcc = count_steps(), read_compiler_version()
    print("\n".join(format_table(counts, record["counts"])))
    if options.write:
        RECORD.write_text(json.dumps({"gcc": gcc, "counts": counts}, indent=2) + "\n")
    elif gcc != record["gcc"]:
        print(f"NOT CHECKED: compiled with gcc {gcc}, recorded with gcc {record['gcc']}")
    elif options.check and (names := find_deviations(counts, record["counts"])):
        print(
            f"more than {TOLERANCE:.0%} above or below the record: {'; '.join(names)}. If the "
            "change is intended, record it: python tools/instructions.py --write",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
