"""Reading and writing of safetensors files: 8 bytes with the length of the header, the header as
JSON, and the arrays one after another (https://github.com/huggingface/safetensors, "Format").

The package `safetensors` is not used: it reads a whole file before it checks anything, accepts
duplicate names, and aborts the process if it runs out of memory (`handle_alloc_error` in its
`serialize`). Tests compare the two implementations.

A SHA-256 digest in the metadata covers all metadata, names, shapes and values. Files are read in
two steps, `read_header` and `read_arrays`, so that names and sizes can be checked before memory is
allocated.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# The header is read into memory as JSON. fastnn writes some hundred bytes per layer.
MAX_HEADER_BYTES = 2**22

MAX_DIMENSIONS = 8  # a shape with thousands of dimensions would be slow to check

DIGEST = "sha256"

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """Dtype, shape and position of an array; start and end are bytes after the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """The header of a file."""

    metadata: dict[str, str]
    entries: dict[str, Entry]


# ---- writing -----------------------------------------------------------------------------------


def pack(metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> list[bytes | memoryview]:
    """The content of a file, in parts that share memory with the arrays.

    Raises
    ------
    ValueError
        If the header exceeds the size limit for reading.
    """
    ordered = {
        name: np.asarray(arrays[name], arrays[name].dtype.newbyteorder("<"), order="C")
        for name in sorted(arrays)
    }
    digest = _compute_digest(metadata, ordered)
    header: dict[str, Any] = {"__metadata__": {**metadata, DIGEST: digest}}
    position = 0
    for name, array in ordered.items():
        end = position + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": [position, end]
        }  # fmt: skip
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that arrays are aligned
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(
            f"expected parameters and names of at most {MAX_HEADER_BYTES} bytes in a file; got "
            f"{len(text)}"
        )
    return [len(text).to_bytes(8, "little"), text, *map(_view_bytes, ordered.values())]


def _compute_digest(metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> str:
    """SHA-256 of metadata, names, shapes and values; `arrays` has to be sorted by name."""
    shapes = [[name, _NAMES[array.dtype], array.shape] for name, array in arrays.items()]
    digest = hashlib.sha256(json.dumps([dict(sorted(metadata.items())), shapes]).encode())
    for array in arrays.values():
        digest.update(_view_bytes(array))
    return digest.hexdigest()


def _view_bytes(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


# ---- reading -----------------------------------------------------------------------------------


def read_header(file: BufferedIOBase, size: int) -> Header:
    """Read the header of a file of the given size, and check that its arrays fill the rest exactly.

    Raises
    ------
    ValueError
        If the header is damaged.
    """
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
        raise ValueError(f"got {size} bytes, with a header of {length}")
    text = file.read(length).decode()
    if not text.startswith("{"):  # required by the format, to exclude files of two formats
        raise ValueError("got a header that is not a JSON object")
    header = parse_json(text)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(type(text) is str for text in metadata.values()):
        raise ValueError("got metadata that are not strings")
    entries = {name: _read_entry(name, data) for name, data in header.items()}
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != position:
            raise ValueError(f"{name}: expected data from byte {position}; got {entry.start}")
        position = entry.end
    if position != size - 8 - length:
        raise ValueError(f"expected arrays of {size - 8 - length} bytes; got {position}")
    return Header(metadata, entries)


def parse_json(text: str) -> Any:
    """Parse JSON; duplicate names are an error."""
    return json.loads(text, object_pairs_hook=_refuse_duplicates)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError(f"got a duplicate name: {[name for name, _ in pairs]!r:.80}")
    return data


def _read_entry(name: str, data: Any) -> Entry:
    def refuse(what: str) -> NoReturn:
        raise ValueError(f"{name[:60]}: expected {what}; got {data!r:.80}")

    if not isinstance(data, dict) or set(data) != {"dtype", "shape", "data_offsets"}:
        refuse("dtype, shape and data_offsets")
    if not isinstance(data["dtype"], str) or data["dtype"] not in _DTYPES:
        refuse(f"a dtype of {list(_DTYPES)}")
    shape, offsets = data["shape"], data["data_offsets"]
    if not (_are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
        refuse("whole numbers as shape and data_offsets")
    dtype, (start, end) = _DTYPES[data["dtype"]], offsets
    if end - start != math.prod(shape) * dtype.itemsize:
        refuse("the number of bytes that shape and dtype need")
    return Entry(dtype, tuple(shape), start, end)


def _are_sizes(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= MAX_DIMENSIONS
        and all(type(item) is int and 0 <= item < 2**63 for item in values)
    )


def read_arrays(file: BufferedIOBase, header: Header) -> dict[str, Array]:
    """Read all arrays, and check the digest if the file has one.

    Raises
    ------
    ValueError
        If the file is too short, or was changed after it was written.
    """
    arrays = dict(_iterate_arrays(file, header))
    metadata = {name: text for name, text in header.metadata.items() if name != DIGEST}
    stored = header.metadata.get(DIGEST)
    if stored is not None and stored != _compute_digest(metadata, dict(sorted(arrays.items()))):
        raise ValueError("the digest does not match: the file was changed after it was written")
    return arrays


def _iterate_arrays(file: BufferedIOBase, header: Header) -> Iterator[tuple[str, Array]]:
    for name, entry in sorted(header.entries.items(), key=lambda item: item[1].start):
        array = np.empty(entry.shape, entry.dtype)
        if file.readinto(_view_bytes(array)) != array.nbytes:
            raise ValueError(f"{name}: expected {array.nbytes} bytes; the file ended early")
        yield name, array
