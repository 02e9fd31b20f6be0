"""Named arrays and a few texts in one file of the safetensors format: 8 bytes with the length of
the header, the header as JSON, and the arrays one after another
(https://github.com/huggingface/safetensors, "Format").

Written and read here, and not by the package `safetensors`, which reads a whole file before it
checks anything, accepts a name that comes twice, and ends the process where memory runs out
(`handle_alloc_error` in its `serialize`). The tests compare the two.

A digest in the metadata covers all texts, names, shapes and values. Files are read in two steps,
`read_header` and `read_arrays`, so that names and sizes can be checked before memory is allocated.
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

# The header of a file is read into memory as JSON; ours takes some hundred bytes a layer.
LARGEST_HEADER = 2**22

MOST_DIMENSIONS = 8  # a product of thousands of numbers takes long

DIGEST = "sha256"

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """Where an array lies in the bytes after the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What comes before the arrays."""

    metadata: dict[str, str]
    entries: dict[str, Entry]


# ---- writing -----------------------------------------------------------------------------------


def packed(metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> list[bytes | memoryview]:
    """The content of a file, in parts that share the arrays' memory.

    Raises
    ------
    ValueError
        If the texts are longer than can be read again.
    """
    ordered = {
        name: np.asarray(arrays[name], arrays[name].dtype.newbyteorder("<"), order="C")
        for name in sorted(arrays)
    }
    digest = _digest(metadata, ordered)
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
    if len(text) > LARGEST_HEADER:
        raise ValueError(
            f"expected parameters and names of at most {LARGEST_HEADER} bytes in a file; got "
            f"{len(text)}"
        )
    return [len(text).to_bytes(8, "little"), text, *map(_bytes_of, ordered.values())]


def _digest(metadata: Mapping[str, str], arrays: Mapping[str, Array]) -> str:
    """SHA-256 of all that a file says; `arrays` sorted by name."""
    forms = [[name, _NAMES[array.dtype], array.shape] for name, array in arrays.items()]
    digest = hashlib.sha256(json.dumps([dict(sorted(metadata.items())), forms]).encode())
    for array in arrays.values():
        digest.update(_bytes_of(array))
    return digest.hexdigest()


def _bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


# ---- reading -----------------------------------------------------------------------------------


def read_header(file: BufferedIOBase, size: int) -> Header:
    """The header of a file of this size, whose arrays fill the rest of it exactly.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(LARGEST_HEADER, size - 8):
        raise ValueError(f"got {size} bytes, with a header of {length}")
    text = file.read(length).decode()
    if not text.startswith("{"):  # the format demands it, so that no file is of two formats
        raise ValueError("got a header that is no object")
    header = strict_json(text)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(type(text) is str for text in metadata.values()):
        raise ValueError("got metadata that are no texts")
    entries = {name: _entry(name, data) for name, data in header.items()}
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != position:
            raise ValueError(f"{name}: expected data from byte {position} on; got {entry.start}")
        position = entry.end
    if position != size - 8 - length:
        raise ValueError(f"got arrays of {position} bytes in a file that has {size - 8 - length}")
    return Header(metadata, entries)


def strict_json(text: str) -> Any:
    """JSON data in which each name comes once."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError(f"got a name twice: {[name for name, _ in pairs]!r:.80}")
    return data


def _entry(name: str, data: Any) -> Entry:
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
        refuse("as many bytes as the shape has")
    return Entry(dtype, tuple(shape), start, end)


def _are_sizes(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) <= MOST_DIMENSIONS
        and all(type(item) is int and 0 <= item < 2**63 for item in values)
    )


def read_arrays(file: BufferedIOBase, header: Header) -> dict[str, Array]:
    """All arrays, compared with the digest where the file has one.

    Raises
    ------
    ValueError
        If they are not those that were written.
    """
    arrays = dict(_arrays(file, header))
    metadata = {name: text for name, text in header.metadata.items() if name != DIGEST}
    stored = header.metadata.get(DIGEST)
    if stored is not None and stored != _digest(metadata, dict(sorted(arrays.items()))):
        raise ValueError("the digest does not fit: the file was changed after it was written")
    return arrays


def _arrays(file: BufferedIOBase, header: Header) -> Iterator[tuple[str, Array]]:
    for name, entry in sorted(header.entries.items(), key=lambda item: item[1].start):
        array = np.empty(entry.shape, entry.dtype)
        if file.readinto(_bytes_of(array)) != array.nbytes:
            raise ValueError(f"{name}: expected {array.nbytes} bytes; the file ended before")
        yield name, array
