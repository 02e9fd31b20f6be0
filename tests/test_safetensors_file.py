"""The safetensors format: digest, checks of sizes, and compatibility with the package."""

import io
import json
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import fastnn as fn
from fastnn._io import safetensors_file, serialize

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.linspace(0, 1, 5),
    "empty": np.zeros((0, 4), np.float32),
    "scalar": np.array(2.5),
}
TEXTS = {"format": "fastnn", "note": 'größe "\\ud800" \n'}


def content(arrays=ARRAYS, texts=TEXTS):
    return b"".join(safetensors_file.pack(texts, arrays))


def read(data):
    file = io.BytesIO(data)
    header = safetensors_file.read_header(file, len(data))
    return header, safetensors_file.read_arrays(file, header)


def assert_equal(arrays, others):
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        assert array.dtype == others[name].dtype
        assert array.shape == others[name].shape
        assert array.tobytes() == others[name].tobytes()


def test_round_trip():
    header, arrays = read(content())
    assert_equal(arrays, ARRAYS)
    assert {name: header.metadata[name] for name in TEXTS} == TEXTS
    assert len(header.metadata["sha256"]) == 64
    assert all(array.flags.writeable for array in arrays.values())


def test_any_memory_layout():
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {"t": array.T, "s": array[::2, ::-1], "big": array.astype(">f4")}
    _, others = read(content(arrays))
    for name, expected in arrays.items():
        np.testing.assert_array_equal(others[name], expected)


def test_saving_copies_no_array_and_loading_copies_once(tmp_path):
    net = fn.Sequential(fn.Dense(1000), random_state=0).build(2000)
    size = net.parameters.nbytes
    tracemalloc.start()
    try:
        net.save(tmp_path / "net")
        assert tracemalloc.get_traced_memory()[1] < size / 10
        tracemalloc.reset_peak()
        same = fn.load(tmp_path / "net")
        assert tracemalloc.get_traced_memory()[1] < 2.1 * size
    finally:
        tracemalloc.stop()
    assert same.parameters.tobytes() == net.parameters.tobytes()


OUT_OF_MEMORY = """
import resource, sys
import fastnn as fn
net = fn.Sequential(fn.Dense(4000), random_state=0).build(4000)
net.save("net")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + 30_000_000, limits[1]))
net.save("net")
try:
    fn.load("net")
except MemoryError:
    print("MemoryError")
resource.setrlimit(resource.RLIMIT_AS, limits)
assert (fn.load("net").parameters == net.parameters).all()
"""


@pytest.mark.process
def test_saving_needs_no_memory_for_a_copy():
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "MemoryError\n"), done.stderr


# ---- the package safetensors ---------------------------------------------------------------------


def test_package_reads_our_files():
    package = pytest.importorskip("safetensors.numpy")
    assert_equal(package.load(content()), ARRAYS)


def test_we_read_files_of_the_package():
    package = pytest.importorskip("safetensors.numpy")
    header, arrays = read(package.save(ARRAYS, TEXTS))
    assert header.metadata == TEXTS
    assert_equal(arrays, ARRAYS)


def test_package_reads_files_of_networks(tmp_path):
    package = pytest.importorskip("safetensors")
    net = fn.Sequential(fn.Dense(3), random_state=0).build(2)
    net.save(tmp_path / "net")
    with package.safe_open(tmp_path / "net", framework="numpy") as file:
        np.testing.assert_array_equal(file.get_tensor("parameters"), net.parameters)


# ---- the digest ----------------------------------------------------------------------------------


def change_header(change, data=None):
    """The content of a file with a changed header."""
    data = content() if data is None else data
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


CHANGES = {
    "text": lambda header: header["__metadata__"].update(note="other"),
    "more text": lambda header: header["__metadata__"].update(more=""),
    "less text": lambda header: header["__metadata__"].pop("note"),
    "shape": lambda header: header["b"].update(shape=[3, 2]),
    "name": lambda header: header.update(c=header.pop("b")),
    "digest": lambda header: header["__metadata__"].update(sha256="0" * 64),
    "no digest": lambda header: header["__metadata__"].update(sha256=""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_digest_covers_the_header(change):
    with pytest.raises(ValueError, match="the digest does not match"):
        read(change_header(CHANGES[change]))


def test_digest_covers_the_data():
    data = content()
    for place in range(1, 6 * 4 + 5 * 8 + 8, 3):
        with pytest.raises(ValueError, match="the digest does not match"):
            read(data[:-place] + bytes([data[-place] ^ 1]) + data[len(data) - place + 1 :])


def test_order_and_spaces_are_ignored():
    """Other programs may write the header differently."""

    def rearrange(header):
        for name in list(header)[::-1]:
            header[name] = header.pop(name)

    assert_equal(read(change_header(rearrange))[1], ARRAYS)


def test_digest_is_optional():
    def remove(header):
        del header["__metadata__"]["sha256"]

    assert_equal(read(change_header(remove))[1], ARRAYS)


# ---- sizes ---------------------------------------------------------------------------------------


def set_entry(**values):
    return lambda header: header["a"].update(values)


WRONG = {
    "no dictionary": (lambda header: header.update(a=5), "expected dtype, shape and data_offsets"),
    "extra key": (set_entry(more=1), "expected dtype, shape and data_offsets"),
    "dtype": (set_entry(dtype="F16"), "expected a dtype of"),
    "dtype list": (set_entry(dtype=["F32"]), "expected a dtype of"),
    "negative": (set_entry(shape=[-5]), "expected whole numbers"),
    "fraction": (set_entry(shape=[5.0]), "expected whole numbers"),
    "flag": (set_entry(shape=[5, True]), "expected whole numbers"),
    "huge": (set_entry(shape=[10**4000] * 3), "expected whole numbers"),
    "many": (set_entry(shape=[1] * 9), "expected whole numbers"),
    "offsets": (set_entry(data_offsets=[0, 40, 40]), "expected whole numbers"),
    "longer": (set_entry(shape=[6]), "expected the number of bytes"),
    "backwards": (set_entry(data_offsets=[40, 0]), "expected the number of bytes"),
    "hole": (lambda header: header.pop("a"), "expected data from byte 0; got 40"),
    "short": (lambda header: header.pop("scalar"), "expected arrays of 72 bytes; got 64"),
    "metadata": (lambda header: header.update(__metadata__=[]), "metadata that are not strings"),
    "number": (lambda header: header["__metadata__"].update(note=5), "metadata that are not"),
}


@pytest.mark.parametrize("name", WRONG)
def test_inconsistent_headers_are_refused(name):
    change, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        read(change_header(change))


def test_duplicate_names_are_refused():
    data = content()
    size = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + size].decode().rstrip()
    text = text[:-1] + ',"a":{}}'
    with pytest.raises(ValueError, match="got a duplicate name"):
        read(struct.pack("<Q", len(text)) + text.encode() + data[8 + size :])


@pytest.mark.parametrize("start", ["[]", " {}", "PK", "\ufeff{}"])
def test_header_has_to_start_with_a_brace(start):
    text = start.encode()
    with pytest.raises(ValueError, match="header that is not a JSON object"):
        read(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize("size", [0, 5, 20 * 2**30])
def test_large_sparse_files_are_refused_without_reading(size, tmp_path):
    """Neither a file of zeros, nor one that is larger than its header states."""
    path = tmp_path / "net"
    for begin in (b"", content()):
        path.write_bytes(begin)
        with open(path, "r+b") as file:
            file.truncate(len(begin) + size)
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=r"bytes|not a JSON object|got version"):
                serialize.read(path)
            assert tracemalloc.get_traced_memory()[1] < 10**6
        finally:
            tracemalloc.stop()


def test_unknown_arrays_are_refused_without_reading(tmp_path):
    path = tmp_path / "net"
    fn.Sequential(fn.Dense(3), random_state=0).build(2).save(path)
    size = 20 * 2**30

    def add(header):
        end = header["parameters"]["data_offsets"][1]
        header["junk"] = {"dtype": "F32", "shape": [size // 4], "data_offsets": [end, end + size]}

    path.write_bytes(change_header(add, path.read_bytes()))
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size + size)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="got an unknown array 'junk'"):
            serialize.read(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_headers_above_the_size_limit_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(safetensors_file, "MAX_HEADER_BYTES", 2**16)
    layers = [fn.Dense(1)] * 1000
    with pytest.raises(ValueError, match="expected parameters and names of at most 65536 bytes"):
        fn.Sequential(*layers, random_state=0).build(1).save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_unknown_metadata_is_refused(tmp_path):
    path = tmp_path / "net"
    fn.Sequential(fn.Dense(3), random_state=0).build(2).save(path)
    for name in ("sha257", "Extra", "members"):
        path.write_bytes(change_header(lambda header, name=name: header["__metadata__"].update(
            {name: "{}"}), path.read_bytes()))  # fmt: skip
        with pytest.raises(ValueError, match="got unknown metadata"):
            fn.load(path)
