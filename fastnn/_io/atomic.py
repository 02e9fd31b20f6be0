"""Regular files only: read from one that was checked, and replaced whole or not at all.

The new content goes into a temporary file in the same folder, which then takes the place of the old
one in a single step, also across a power cut. A process that is killed leaves its temporary file;
the next save to the same path removes it. The writer holds a lock on it that the kernel drops when
the process ends, so that a temporary file which can be locked has no writer any more.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from io import BufferedReader

Path = str | os.PathLike[str]

_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[tuple[BufferedReader, int]]:
    """A regular file for reading, and its size."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        _check_regular(path, status, "a regular file")
        yield file, status.st_size


def _open_without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def write(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    """Replace the content of a file, or make one.

    A symbolic link stays, and its target is replaced. Of hard links only this one gets the new
    content. Mode, owner and group stay as far as the process may set them; a new file has the mode
    that the umask leaves.

    Raises
    ------
    ValueError
        If there is something else than a regular file.
    OSError
        If the file cannot be written; it is then as before.
    """
    target = os.path.realpath(path)
    old = _status(path)
    folder, name = os.path.split(target)
    _remove_stale(folder, name)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.fastnn")
    try:
        while not _replaced(target, temporary, old, parts):
            pass  # another save to this path removed the temporary file before it was locked
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _replaced(
    target: str, temporary: str, old: os.stat_result | None, parts: Sequence[bytes | memoryview]
) -> bool:
    """Write a temporary file and let it take the target's place; False if it was removed."""
    create = partial(os.open, mode=0o666 if old is None else 0o600)
    with open(temporary, "xb", opener=create) as file:
        with suppress(OSError):  # of file systems without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file.fileno()).st_nlink:
            return False
        if old is not None:
            _resemble(file.fileno(), old)
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        os.replace(temporary, target)
    return True


def _status(path: Path) -> os.stat_result | None:
    """That of the file which will be replaced, None where there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    _check_regular(path, status, "a regular file or a new name")
    return status


def _check_regular(path: Path, status: os.stat_result, expected: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kinds = [kind for is_kind, kind in _KINDS if is_kind(status.st_mode)]
        raise ValueError(f"path: expected {expected}; got {kinds[0]}: {os.fspath(path)!r}")


def _resemble(handle: int, old: os.stat_result) -> None:
    """Give a file the owner, group and mode of another; without its group, no rights for a
    group."""
    for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
        with suppress(OSError):
            os.fchown(handle, owner, group)
    mode = stat.S_IMODE(old.st_mode)
    with suppress(OSError):  # of file systems without modes
        os.fchmod(handle, mode if os.fstat(handle).st_gid == old.st_gid else mode & ~0o070)


def _remove_stale(folder: str, name: str) -> None:
    """Remove temporary files for this name that have no writer any more."""
    ours = re.compile(re.escape(f".{name}.") + r"[0-9a-f]{16}\.fastnn")
    with suppress(OSError):  # of folders that may be written to and not be read
        for found in filter(ours.fullmatch, os.listdir(folder)):
            with suppress(OSError):  # of files that have gone, or are in use, or of other users
                _remove_unlocked(os.path.join(folder, found))


def _remove_unlocked(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(handle)


def _sync_folder(folder: str) -> None:
    """The content is safe already; not every file system syncs a folder, so the new name."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
