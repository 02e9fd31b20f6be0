"""Reading and atomic replacement of regular files.

The new content is written to a temporary file in the same folder, which is then renamed to the
target. The file has either its old or its new content, even after a power failure. A killed process
leaves its temporary file behind; the next save to the same path removes it. The writer holds a lock
on the temporary file, which the kernel releases when the process ends: a temporary file that can be
locked has no writer.
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
def open_regular(path: Path) -> Iterator[tuple[BufferedReader, int]]:
    """Open a regular file for reading; yields the file and its size in bytes."""
    with open(path, "rb", opener=_open_nonblocking) as file:
        status = os.fstat(file.fileno())
        _check_regular(path, status, "a regular file")
        yield file, status.st_size


def _open_nonblocking(path: str, flags: int) -> int:
    """Open without blocking; opening a named pipe would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def write(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    """Replace the content of a file, or create it.

    If the path is a symbolic link, its target is replaced. Other hard links keep the old content.
    Mode, owner and group are preserved as far as the process is permitted to set them; a new file
    has the mode given by the umask.

    Raises
    ------
    ValueError
        If the path exists and is not a regular file.
    OSError
        If the file cannot be written; its old content is kept.
    """
    target = os.path.realpath(path)
    old = _get_status(path)
    folder, name = os.path.split(target)
    _remove_stale(folder, name)
    done = False
    while not done:  # again if another save removed the temporary file before it was locked
        # A new name each time: another save may still be about to remove the last one.
        temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.fastnn")
        try:
            done = _replace(target, temporary, old, parts)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    _sync_folder(folder)


def _replace(
    target: str, temporary: str, old: os.stat_result | None, parts: Sequence[bytes | memoryview]
) -> bool:
    """Write a temporary file and rename it to the target. Returns False if another process removed
    the temporary file."""
    create = partial(os.open, mode=0o666 if old is None else 0o600)
    with open(temporary, "xb", opener=create) as file:
        with suppress(OSError):  # on file systems without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file.fileno()).st_nlink:
            return False
        if old is not None:
            _copy_ownership(file.fileno(), old)
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
        os.replace(temporary, target)
    return True


def _get_status(path: Path) -> os.stat_result | None:
    """The status of the file to replace; None if it does not exist."""
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


def _copy_ownership(handle: int, old: os.stat_result) -> None:
    """Copy owner, group and mode to a file. If the group cannot be set, the group has no
    permissions."""
    for owner, group in ((old.st_uid, -1), (-1, old.st_gid)):
        with suppress(OSError):
            os.fchown(handle, owner, group)
    mode = stat.S_IMODE(old.st_mode)
    with suppress(OSError):  # on file systems without modes
        os.fchmod(handle, mode if os.fstat(handle).st_gid == old.st_gid else mode & ~0o070)


def _remove_stale(folder: str, name: str) -> None:
    """Remove temporary files for this name that have no writer."""
    ours = re.compile(re.escape(f".{name}.") + r"[0-9a-f]{16}\.fastnn")
    with suppress(OSError):  # the folder may be writable, but not readable
        for file_name in filter(ours.fullmatch, os.listdir(folder)):
            with suppress(OSError):  # the file was removed, is in use, or belongs to another user
                _remove_unlocked(os.path.join(folder, file_name))


def _remove_unlocked(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(handle)


def _sync_folder(folder: str) -> None:
    """Make the new name durable. Errors are ignored: the content is already on disk, and not every
    file system can sync a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
