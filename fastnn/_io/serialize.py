"""Networks, and what estimators keep besides, in files.

A file is written whole or not at all (`atomic`) and read with suspicion: it is a regular file, its
sizes agree (`container`), its descriptions are of things from closed lists (`snapshot`), and its
arrays are what these call for, before any is read. Every error in it is a ValueError.
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
from fastnn._io.safetensors_file import Header, strict_json
from fastnn._io.snapshot import (
    Extra,
    Record,
    RecordPlan,
    arrays_of,
    plan_of,
    read_object,
    texts_of,
)
from fastnn._training.state import NetworkState
from fastnn._util import checks

Array = NDArray[Any]

FORMAT = "fastnn"
VERSION = "1"

# What the texts in a file are called, besides format, version and digest.
_NETWORK, _ESTIMATOR, _ENSEMBLE = {"config"}, {"config", "extra"}, {"members", "extra"}


# ---- writing -----------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], state: NetworkState, extra: Extra | None = None) -> None:
    """Write a network, whole or not at all; errors as of `atomic.write`."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    atomic.write(path, _content(texts_of(state, extra), arrays_of(state, extra)))


def to_bytes(state: NetworkState) -> bytes:
    """The content of a file."""
    return b"".join(_content(texts_of(state, None), arrays_of(state, None)))


def write_members(
    path: str | os.PathLike[str], members: Sequence[Record], data: dict[str, Any]
) -> None:
    """Write several networks, and data that they share, as `write` does one."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    texts = {
        "members": json.dumps([texts_of(*member) for member in members]),
        "extra": json.dumps(data),
    }
    arrays = {
        f"{i}.{name}": array
        for i, member in enumerate(members) for name, array in arrays_of(*member).items()
    }  # fmt: skip
    atomic.write(path, _content(texts, arrays))


def _content(
    texts: Mapping[str, str], arrays: Mapping[str, Array]
) -> list[bytes | memoryview]:  # fmt: skip
    return safetensors_file.packed({"format": FORMAT, "format_version": VERSION, **texts}, arrays)


# ---- reading -----------------------------------------------------------------------------------


def read(path: str | os.PathLike[str]) -> Record:
    """Read a snapshot and what the file holds besides.

    Raises
    ------
    ValueError
        If it is no regular file, or damaged, of another format or version, or does not describe a
        network whose arrays it holds.
    OSError
        If it cannot be read.
    """
    checks.instance("path", path, (str, os.PathLike), "a path")
    with atomic.opened(path) as (file, size), readable(path):
        return _read(file, size)


def from_bytes(content: bytes) -> Record:
    """What the content of a file says; see `readable` for its errors."""
    return _read(BytesIO(content), len(content))


def _read(file: BufferedIOBase, size: int) -> Record:
    header = _header(file, size)
    if _texts(header) == _ENSEMBLE:
        raise ValueError("expected one network; got an ensemble, which MLPEnsemble.load reads")
    plan = plan_of(header.metadata)
    _check_arrays(header, {"": plan})
    return plan.make(safetensors_file.read_arrays(file, header))


def read_members(path: str | os.PathLike[str]) -> tuple[list[Record], dict[str, Any]]:
    """Read what `write_members` wrote; errors as of `read`."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    with atomic.opened(path) as (file, size), readable(path):
        header = _header(file, size)
        if _texts(header) != _ENSEMBLE:
            raise ValueError("expected an ensemble; got one network")
        texts = strict_json(header.metadata["members"])
        if not isinstance(texts, list) or not texts:
            raise ValueError("expected a list of members")
        if any(set(member) != _ESTIMATOR for member in texts):
            raise ValueError(f"expected members that have {sorted(_ESTIMATOR)}")
        plans = {f"{i}.": plan_of(member) for i, member in enumerate(texts)}
        _check_arrays(header, plans)
        arrays = safetensors_file.read_arrays(file, header)
        records = [
            plan.make({name: arrays[prefix + name] for name in plan.forms
                       if prefix + name in arrays})
            for prefix, plan in plans.items()
        ]  # fmt: skip
        return records, read_object(header.metadata["extra"])


@contextmanager
def readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever is wrong with a file's content is a ValueError that names the file."""
    problems = (ValueError, TypeError, KeyError, RecursionError, OverflowError)
    try:
        yield
    except problems as error:
        raise ValueError(
            f"{os.fspath(path)!r}: expected a whole fastnn file of version {VERSION}; {error}"
        ) from error


def _header(file: BufferedIOBase, size: int) -> Header:
    """The header of a file of this format, and version."""
    header = safetensors_file.read_header(file, size)
    kind, version = (header.metadata.get(name) for name in ("format", "format_version"))
    if kind != FORMAT:
        raise ValueError(f"got a file of format {kind!r:.80}")
    if version != VERSION:
        raise ValueError(f"got version {version!r:.80}")
    if _texts(header) not in (_NETWORK, _ESTIMATOR, _ENSEMBLE):
        raise ValueError(f"got unknown metadata: {sorted(header.metadata)!r:.200}")
    return header


def _texts(header: Header) -> set[str]:
    return set(header.metadata) - {"format", "format_version", safetensors_file.DIGEST}


def _check_arrays(header: Header, plans: Mapping[str, RecordPlan]) -> None:
    """An error unless the arrays are those of the plans, each with its prefix."""
    forms = {
        prefix + name: form for prefix, plan in plans.items() for name, form in plan.forms.items()
    }
    for name, form in forms.items():
        if form.required and name not in header.entries:
            raise ValueError(f"expected an array {name!r}; got none")
    for name, entry in header.entries.items():
        if name not in forms:
            raise ValueError(f"got an unknown array {name!r:.80}")
        forms[name].check(name, entry.shape, entry.dtype)
