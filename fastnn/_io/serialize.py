"""Saving and loading of networks and estimators.

Files are written atomically (`atomic`) and not trusted when read: the file has to be regular, its
sizes have to be consistent (`safetensors_file`), its metadata may describe only objects from fixed
lists (`snapshot`), and the arrays have to match the metadata before any of them is read. Every
error in a file is a ValueError.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from typing import Any

from numpy.typing import NDArray

from fastnn._io import atomic, safetensors_file
from fastnn._io.safetensors_file import Header, parse_json
from fastnn._io.snapshot import (
    EstimatorData,
    Record,
    RecordPlan,
    collect_arrays,
    describe_record,
    make_record_plan,
    read_object,
)
from fastnn._training.state import NetworkState
from fastnn._util import checks

Array = NDArray[Any]

FORMAT = "fastnn"
VERSION = "1"

# Metadata names of the three kinds of files, in addition to format, version and digest.
_NETWORK, _ESTIMATOR, _ENSEMBLE = {"config"}, {"config", "extra"}, {"members", "extra"}


# ---- writing -----------------------------------------------------------------------------------


def write(
    path: str | os.PathLike[str], state: NetworkState, extra: EstimatorData | None = None
) -> None:
    """Write a network, with the data of an estimator if given; see `atomic.write` for errors."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    atomic.write(path, _make_content(describe_record(state, extra), collect_arrays(state, extra)))


def to_bytes(state: NetworkState) -> bytes:
    """The content of a network's file."""
    return b"".join(_make_content(describe_record(state, None), collect_arrays(state, None)))


def write_members(
    path: str | os.PathLike[str], members: Sequence[Record], data: dict[str, Any]
) -> None:
    """Write the networks of an ensemble and their common data to one file; see `atomic.write` for
    errors."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    metadata = {
        "members": json.dumps([describe_record(*member) for member in members]),
        "extra": json.dumps(data),
    }
    arrays = {
        f"{i}.{name}": array
        for i, member in enumerate(members) for name, array in collect_arrays(*member).items()
    }  # fmt: skip
    atomic.write(path, _make_content(metadata, arrays))


def _make_content(
    metadata: Mapping[str, str], arrays: Mapping[str, Array]
) -> list[bytes | memoryview]:
    return safetensors_file.pack({"format": FORMAT, "format_version": VERSION, **metadata}, arrays)


# ---- reading -----------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Record:
    """Read a network, and the data of an estimator if the file has any.

    Raises
    ------
    ValueError
        If the file is not a regular file, is damaged, has another format or version, or if its
        arrays do not match its description.
    OSError
        If the file cannot be read.
    """
    checks.instance("path", path, (str, os.PathLike), "a path")
    with atomic.open_regular(path) as (file, size), wrap_read_errors(path):
        return _read(file, size)


def from_bytes(content: bytes) -> Record:
    """Read a network from the content of a file; see `wrap_read_errors` for errors."""
    return _read(BytesIO(content), len(content))


def _read(file: BufferedIOBase, size: int) -> Record:
    header = _read_header(file, size)
    if _list_names(header) == _ENSEMBLE:
        raise ValueError("expected one network; got an ensemble, which MLPEnsemble.load reads")
    plan = make_record_plan(header.metadata)
    _check_arrays(header, {"": plan})
    return plan.make(safetensors_file.read_arrays(file, header))


def read_members(path: str | os.PathLike[str]) -> tuple[list[Record], dict[str, Any]]:
    """Read the file of an ensemble; see `read` for errors."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    with atomic.open_regular(path) as (file, size), wrap_read_errors(path):
        header = _read_header(file, size)
        if _list_names(header) != _ENSEMBLE:
            raise ValueError("expected an ensemble; got one network")
        members = parse_json(header.metadata["members"])
        if not isinstance(members, list) or not members:
            raise ValueError("expected a list of members")
        if any(set(member) != _ESTIMATOR for member in members):
            raise ValueError(f"expected members with {sorted(_ESTIMATOR)}")
        plans = {f"{i}.": make_record_plan(member) for i, member in enumerate(members)}
        _check_arrays(header, plans)
        arrays = safetensors_file.read_arrays(file, header)
        records = [
            plan.make({name: arrays[prefix + name] for name in plan.specs
                       if prefix + name in arrays})
            for prefix, plan in plans.items()
        ]  # fmt: skip
        return records, read_object(header.metadata["extra"])


@contextmanager
def wrap_read_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert errors about a file's content to a ValueError with the name of the file."""
    problems = (ValueError, TypeError, KeyError, RecursionError, OverflowError)
    try:
        yield
    except problems as error:
        raise ValueError(
            f"{os.fspath(path)!r}: expected a complete fastnn file of version {VERSION}; {error}"
        ) from error


def _read_header(file: BufferedIOBase, size: int) -> Header:
    """Read the header, and check format, version and metadata names."""
    header = safetensors_file.read_header(file, size)
    kind, version = (header.metadata.get(name) for name in ("format", "format_version"))
    if kind != FORMAT:
        raise ValueError(f"got a file of format {kind!r:.80}")
    if version != VERSION:
        raise ValueError(f"got version {version!r:.80}")
    if _list_names(header) not in (_NETWORK, _ESTIMATOR, _ENSEMBLE):
        raise ValueError(f"got unknown metadata: {sorted(header.metadata)!r:.200}")
    return header


def _list_names(header: Header) -> set[str]:
    return set(header.metadata) - {"format", "format_version", safetensors_file.DIGEST}


def _check_arrays(header: Header, plans: Mapping[str, RecordPlan]) -> None:
    """Check that names, shapes and dtypes of the arrays match the plans; each plan has a prefix."""
    specs = {
        prefix + name: spec for prefix, plan in plans.items() for name, spec in plan.specs.items()
    }
    for name, spec in specs.items():
        if spec.required and name not in header.entries:
            raise ValueError(f"expected an array {name!r}; got none")
    for name, entry in header.entries.items():
        if name not in specs:
            raise ValueError(f"got an unknown array {name!r:.80}")
        specs[name].check(name, entry.shape, entry.dtype)
