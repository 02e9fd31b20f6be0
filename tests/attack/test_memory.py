"""Out of memory: each allocation of a call fails once, in a subprocess. The call raises
MemoryError, the model is unchanged or in the state after a complete step, and the next call works.

NumPy converts the failure of some small allocations in a reduction to a SystemError, which is
accepted.
"""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

START = """
    import ctypes, sys, warnings
    import numpy as np
    import fastnn as fn

    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None  # errors while an iterator is closed
    step, X = int(sys.argv[1]), np.random.default_rng(0).standard_normal((300, 40)).astype("f4")
    OTHER, Y = X[::-1].copy(), (np.arange(300) % 2).astype("f4")

    def is_of_memory(error):
        of_numpy = isinstance(error, SystemError)
        causes = error.__cause__, error.__context__  # scikit-learn raises errors of its own
        return isinstance(error, MemoryError) or of_numpy or any(
            cause is not None and is_of_memory(cause) for cause in causes)

    def attack(make, call, check):
        # Fail the k-th allocation, for each k or every step-th, until the call makes fewer.
        call(make())
        k, n_failed, calm = 1, 0, 0
        while calm < 3:
            model, error = make(), None
            arm(k)
            try:
                call(model)
            except BaseException as raised:
                error = raised
            failed = disarm() or error is not None
            calm = 0 if failed else calm + 1
            n_failed += error is not None
            if error is not None and not is_of_memory(error):
                raise RuntimeError(f"allocation {k}") from error
            check(model)
            k += step
        assert n_failed > 0
"""

PYTHON = """
    import _testcapi

    def arm(k):
        _testcapi.set_nomemory(k, k + 1)

    def disarm():
        _testcapi.remove_mem_hooks()
        return False
"""

# Only above a minimum size, as NumPy caches small blocks.
C = """
    shim = ctypes.CDLL(None)
    shim.arm.argtypes = [ctypes.c_long, ctypes.c_size_t]
    shim.disarm.restype = ctypes.c_long

    def arm(k):
        shim.arm(k, 600)

    def disarm():
        return shim.disarm() == 0
"""

CALLS = {
    "build": """
    def make():
        return fn.Sequential(fn.Dense(50, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)

    expected = make().build(40).parameters

    def check(net):
        assert np.array_equal(net.build(40).parameters, expected)

    attack(make, lambda net: net.build(40), check)
    """,
    "fit": """
    OPTIONS = dict(epochs=2, batch_size="full", n_threads=1, validation_data=(X, Y))

    def make():
        net = fn.Sequential(fn.Dense(50, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
        net.fit(X, Y, epochs=1)
        return net

    expected = [make().parameters.tobytes()]
    make().fit(OTHER, Y, **OPTIONS,
               callbacks=[lambda epoch: expected.append(epoch.network.parameters.tobytes())])

    def check(net):
        assert net.parameters.tobytes() in expected
        net.partial_fit(X, Y)

    attack(make, lambda net: net.fit(OTHER, Y, **OPTIONS), check)
    """,
    "partial_fit": """
    def make():
        net = fn.Sequential(fn.Dense(50, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
        net.fit(X, Y, epochs=1)
        return net

    def call(net):
        net.partial_fit(OTHER, Y, batch_size="full", n_threads=1)
        return net

    expected = [make().parameters.tobytes(), call(make()).parameters.tobytes()]

    def check(net):
        assert net.parameters.tobytes() in expected
        call(net)

    attack(make, call, check)
    """,
    "predict": """
    net = fn.Sequential(fn.Dense(50, "tanh"), fn.Dense(3, "softmax"), random_state=0).build(40)
    expected = net.predict(X)

    def check(_):
        assert np.array_equal(net.predict(X), expected)

    attack(lambda: None, lambda _: (net.predict(X), net.predict(X.astype("f8"))), check)
    """,
    "MLPClassifier": """
    # Without `scale`: it subtracts arrays of different shapes, and NumPy 2.4.6 aborts the process
    # if it gets no memory for the buffers of such an operation, as it raises the error without
    # holding the GIL.
    def make(n=2):
        return fn.MLPClassifier((30,), max_iter=n, batch_size=300, random_state=0)

    def answer(model):
        return model.predict_proba(X).tobytes()

    old = make().fit(X, Y)
    expected = [answer(old), *(answer(make(n).fit(OTHER, 2 * Y)) for n in (1, 2))]

    def check(model):
        assert answer(model) in expected
        assert answer(model.fit(OTHER, 2 * Y)) == expected[-1]

    attack(lambda: make().fit(X, Y), lambda model: model.fit(OTHER, 2 * Y), check)
    """,
}


def run(script, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env=os.environ | environment, check=False, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CALLS)
def test_each_python_allocation_fails(name, rounds):
    pytest.importorskip("_testcapi")
    if name.startswith("MLP"):
        pytest.importorskip("sklearn")
    script = "".join(map(textwrap.dedent, (START, PYTHON, CALLS[name])))
    run(script, rounds(211 if name.startswith("MLP") else 23, 1))


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("shim") / "failing_malloc.so"
    source = Path(__file__).with_name("failing_malloc.c")
    command = [compiler, "-O1", "-fPIC", "-shared", "-fno-builtin", source, "-o", library]
    subprocess.run([*command, "-lpthread"], check=True)
    return library


@pytest.mark.parametrize("name", CALLS)
def test_each_data_allocation_fails(name, shim, rounds):
    if name.startswith("MLP"):
        pytest.importorskip("sklearn")
    script = "".join(map(textwrap.dedent, (START, C, CALLS[name])))
    run(script, rounds(15 if name.startswith("MLP") else 3, 1), LD_PRELOAD=str(shim))


LBFGS = """
    import re, resource, signal, sys, warnings
    import numpy as np
    import fastnn as fn

    warnings.simplefilter("ignore")
    X = np.random.default_rng(0).standard_normal((500, 100))
    Y = (X[:, 0] > 0).astype(int)
    model = fn.MLPClassifier((100,), solver="lbfgs", max_iter=5, random_state=0)
    size = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1])
    resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]) * 2**20,) * 2)
    signal.alarm(60)  # ends a process that hangs
    try:
        model.fit(X, Y)
        print("fitted")
    except MemoryError:
        print("MemoryError")
"""


def test_lbfgs_never_hangs_without_memory(rounds):
    pytest.importorskip("sklearn")
    outcomes = [
        run(textwrap.dedent(LBFGS), megabytes, OMP_NUM_THREADS="1").strip()
        for megabytes in rounds((16, 256), (*range(0, 100, 4), 256))
    ]
    assert set(outcomes) == {"MemoryError", "fitted"}, outcomes
    assert outcomes[-1] == "fitted"
