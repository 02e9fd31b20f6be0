"""Peak memory of a fit, measured in separate processes: memory freed earlier would hide it."""

import os
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import pytest

pytestmark = pytest.mark.process

START = """
    import re, resource, sys
    from pathlib import Path
    import numpy as np
    import fastnn as fn

    def memory(field):
        text = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(rf"^{field}:\\s+(\\d+)", text, re.M)[1])

    def fit(widths, X, y, **options):
        net = fn.Sequential(*(fn.Dense(n, "relu") for n in widths), random_state=0)
        net.build(X.shape[1])
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of drawing the weights
        net.fit(X, y, n_threads=2, **options)

    # Import everything that is imported lazily, and start the threads.
    fit([2, 1], np.zeros((64, 2), "f4"), np.zeros(64, "f4"), epochs=2)
"""

# glibc keeps freed blocks below a size limit, which it raises over time unless it is set.
FIXED = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}


def run_script(text, *arguments):
    """The integer that a script prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(START + text), *map(str, arguments)],
        env=os.environ | FIXED, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


PEAK = """
    optimizer, (epochs, rows, batch_size, *widths) = sys.argv[1], map(int, sys.argv[2:])
    X, y = np.ones((rows, widths[0]), "f4"), np.zeros(rows, "f4")
    y[:] = 1  # zeros occupy no memory until they are written
    before = memory("VmRSS")
    fit(widths[1:], X, y, optimizer=eval(f"fn.optimizers.{optimizer}"), epochs=epochs,
        batch_size=batch_size)
    print(memory("VmHWM") - before)
"""

# Arrays of the size of the parameters that an optimizer needs: its slots, and the full gradient for
# clipping by norm.
EXTRA_ARRAYS = {"SGD()": 0, "SGD(momentum=0.9)": 1, "SGD(clip_norm=1.0)": 1, "Adam()": 2}


def expected(optimizer, _epochs, rows, batch_size, *widths):
    """The expected peak in bytes, which does not depend on the size of X."""
    weights = [n_in * n_out for n_in, n_out in pairwise(widths)]
    n_parameters = sum(weights) + sum(widths[1:])
    checkpoints = 1  # of the parameters, restored if an epoch diverges
    workspace = batch_size * (widths[0] + 2 * sum(widths[1:]))  # no gradient of X
    elements = n_parameters * (1 + EXTRA_ARRAYS[optimizer] + checkpoints) + workspace
    # The permutation has 8 bytes per row. Each step of an epoch has its rate, loss and weight sum,
    # and at the end its fraction of all weights.
    return 4 * elements + 8 * rows + 4 * 8 * (rows // batch_size)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(("SGD()", 2, 32, 16, 2000, 3000, 3000, 1), id="parameters"),
        pytest.param(("SGD(momentum=0.9)", 2, 32, 16, 2000, 3000, 3000, 1), id="one slot"),
        pytest.param(("Adam()", 2, 32, 16, 2000, 3000, 3000, 1), id="two slots"),
        pytest.param(("SGD(clip_norm=1.0)", 1, 32, 32, 4, 500_000, 1), id="workspace"),
        pytest.param(("Adam()", 1, 2**24, 4096, 4, 4, 1), id="rows"),
        pytest.param(("Adam()", 1, 2**21, 1, 4, 4, 1), id="steps"),
    ],
)
def test_peak_memory_of_a_fit(case):
    ratio = run_script(PEAK, *case) / expected(*case)
    assert 0.9 < ratio < 1.1


MAPPED = """
    path, most = sys.argv[1], int(sys.argv[2])
    X = np.load(path, mmap_mode="r")
    more = most - memory("RssAnon")
    resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData") + more, -1))
    fit([16, 1], X, np.zeros(len(X), "f4"), epochs=1, batch_size=1024)
    print(memory("RssAnon"))
"""


def test_a_mapped_file_is_never_copied(tmp_path):
    """A sparse file of one gigabyte. The system refuses any allocation beyond the limit; pages of
    the mapped file do not count."""
    path, shape, most = tmp_path / "X.npy", (2**20, 256), 100 * 2**20
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    assert path.stat().st_size > 2**30
    assert run_script(MAPPED, path, most) < most


MAPPED_BY_MANY = """
    path, most = sys.argv[1], int(sys.argv[2])
    X = np.load(path, mmap_mode="r")
    y = np.zeros(len(X), "f4")
    nets = [
        fn.Sequential(fn.Dense(8 * (1 + s), "relu"), fn.Dense(1), random_state=s) for s in range(4)
    ]
    folds = np.arange(len(X)).reshape(4, -1)
    subsets = [np.concatenate(np.delete(folds, i, axis=0)) for i in range(4)]
    before = memory("RssAnon")
    resource.setrlimit(resource.RLIMIT_DATA, (most + memory("VmData"),) * 2)
    fn.fit_many(nets, X, y, epochs=1, batch_size=1024, subsets=subsets, validation_data="held out",
                n_threads=2, check_finite=False)
    print(memory("RssAnon") - before)
"""


def test_many_networks_never_copy_a_mapped_file(tmp_path):
    """Cross-validation on a gigabyte: memory grows only by that of two networks, and by 8 bytes per
    row for the row indices and the permutation of each network."""
    path, shape = tmp_path / "X.npy", (2**20, 256)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    assert path.stat().st_size > 2**30
    positions = 4 * 8 * 2**20 + 4 * 8 * 2**20  # of training and validation rows, for each network
    assert run_script(MAPPED_BY_MANY, path, 150 * 2**20 + positions) < 100 * 2**20 + positions
