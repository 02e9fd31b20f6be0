"""Fuzz the reading of files with atheris (pip install atheris): the bytes of a file, the text that
describes a network, and the state of an estimator. Each input must give a ValueError or a model.

    PYTHONPATH=. python tools/fuzz_files.py corpus -max_total_time=60

The first byte of an input selects which of these the rest is. `corpus` is a folder, to which valid
files are written first.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fastnn"]):
    import numpy as np

    import fastnn as fn
    from fastnn._io import safetensors_file, serialize
    from fastnn.estimators._fitting import storage

X, Y = np.arange(24.0).reshape(8, 3), np.array(["a", "b", "c", "a"] * 2)


def make_example() -> tuple[bytes, dict[str, str], dict[str, np.ndarray]]:
    """The file of a classifier: its bytes, its metadata and its arrays."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder) / "model"
        model = fn.MLPClassifier(
            (2,), scale="standard", early_stopping=True, validation_fraction=0.5, max_iter=2
        )
        model.fit(X, Y).save(path)
        with path.open("rb") as file:
            header = safetensors_file.read_header(file, path.stat().st_size)
            arrays = safetensors_file.read_arrays(file, header)
        del header.metadata[safetensors_file.DIGEST]
        return path.read_bytes(), header.metadata, arrays


CONTENT, TEXTS, ARRAYS = make_example()
NAMES = ["config", "extra"]


def read_input(data: bytes) -> None:
    """Read one input; only a ValueError is expected."""
    content = data[1:]
    if data[:1] in (b"0", b"1"):
        text = content.decode("utf-8", errors="replace")
        content = b"".join(safetensors_file.pack(TEXTS | {NAMES[data[0] - 48]: text}, ARRAYS))
    try:
        with serialize.wrap_read_errors("file"):
            record = serialize.from_bytes(content)
            if data[:1] == b"1":
                storage.from_record(fn.MLPClassifier, *record).predict(X)
    except ValueError:
        pass


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(b"f" + CONTENT)
    for mode, name in enumerate(NAMES):
        (folder / name).write_bytes(f"{mode}{TEXTS[name]}".encode())
    atheris.Setup([*sys.argv, "-max_len=16384"], read_input)
    atheris.Fuzz()
