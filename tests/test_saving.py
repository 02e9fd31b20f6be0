"""Saving preserves links, modes and owners, replaces only regular files, and removes temporary
files."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

import fastnn as fn


def network(seed=0):
    return fn.Sequential(fn.Dense(3), random_state=seed).build(2)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


# ---- links, modes, owners ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["net", "folder/net", "missing"])
def test_symbolic_link_is_kept(target, tmp_path):
    (tmp_path / "folder").mkdir()
    if target != "missing":
        network(1).save(tmp_path / target)
    link = tmp_path / "link"
    link.symlink_to(target)
    network(2).save(link)
    assert link.is_symlink()
    assert fn.load(tmp_path / target).seed == fn.load(link).seed == 2
    assert names(tmp_path) == sorted({"folder", "link", target.split("/")[0]})


def test_circular_link_is_an_os_error(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="link"):
        network().save(tmp_path / "link")
    assert names(tmp_path) == ["link"]


def test_other_hard_link_keeps_the_old_content(tmp_path):
    network(1).save(tmp_path / "net")
    os.link(tmp_path / "net", tmp_path / "other")
    network(2).save(tmp_path / "net")
    assert fn.load(tmp_path / "net").seed == 2
    assert fn.load(tmp_path / "other").seed == 1


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_mode_is_kept(mode, tmp_path):
    path = tmp_path / "net"
    network(1).save(path)
    path.chmod(mode)
    network(2).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert fn.load(path).seed == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_owner_is_kept(tmp_path):
    path = tmp_path / "net"
    network(1).save(path)
    os.chown(path, 1234, 5678)
    path.chmod(0o600)
    network(2).save(path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, 0o600)


def test_temporary_file_is_private(tmp_path, monkeypatch):
    path = tmp_path / "net"
    network(1).save(path)
    path.chmod(0o600)
    plain, seen = os.fsync, []

    def look(handle):
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        plain(handle)

    monkeypatch.setattr(os, "fsync", look)
    network(2).save(path)
    assert seen[0] == 0o600


def test_no_group_permissions_if_the_group_cannot_be_set(tmp_path, monkeypatch):
    path = tmp_path / "net"
    network(1).save(path)
    path.chmod(0o664)
    plain = os.stat

    def of_another_group(name, **options):
        status = list(plain(name, **options))
        status[stat.ST_GID] = 5678
        return os.stat_result(status)

    def refuse(*_):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", of_another_group)
        patch.setattr(os, "fchown", refuse)
        network(2).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_umask_is_never_changed(tmp_path, monkeypatch):
    """Otherwise files that other threads create at that time would be accessible to everybody."""
    monkeypatch.setattr(os, "umask", None)
    network().save(tmp_path / "net")
    assert names(tmp_path) == ["net"]


# ---- other than regular files --------------------------------------------------------------------


@pytest.fixture(params=["a folder", "a pipe", "a device", "a socket"])
def special(request, tmp_path):
    """The path of a special file, and its kind in error messages."""
    path = tmp_path / "special"
    if request.param == "a folder":
        path.mkdir()
    elif request.param == "a pipe":
        os.mkfifo(path)
    elif request.param == "a socket":
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif request.param == "a device":
        path.symlink_to("/dev/zero")
    return path, request.param


def test_only_regular_files_are_replaced(special, tmp_path):
    path, kind = special
    with pytest.raises(ValueError, match=f"path: expected a regular file.*; got {kind}: '"):
        network().save(path)
    assert names(tmp_path) == ["special"]
    assert not stat.S_ISREG(path.stat().st_mode)


def test_only_regular_files_are_read(special):
    path, kind = special
    refused_by_open = r"Is a directory|No such device"
    with pytest.raises((ValueError, OSError), match=rf"path: .*; got {kind}: '|{refused_by_open}"):
        fn.load(path)


def test_empty_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path.parent)
    with pytest.raises((OSError, ValueError)):
        network().save("")
    assert names(tmp_path) == []
    assert names(tmp_path.parent) == before


# ---- temporary files -----------------------------------------------------------------------------


def test_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    plain = os.fsync

    def files_only(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        plain(handle)

    monkeypatch.setattr(os, "fsync", files_only)
    network(3).save(tmp_path / "net")
    assert fn.load(tmp_path / "net").seed == 3


def left_over(folder, name, content=b"half"):
    """A temporary file as left behind by a killed save."""
    path = folder / f".{name}.0123456789abcdef.fastnn"
    path.write_bytes(content)
    return path


def test_temporary_files_of_killed_saves_are_removed(tmp_path):
    left_over(tmp_path, "net")
    kept = [
        left_over(tmp_path, "other"),
        left_over(tmp_path, "net.txt"),
        tmp_path / ".net.0123456789abcdef.tmp",
        tmp_path / ".net.0123456789ABCDEF.fastnn",
        tmp_path / "net.0123456789abcdef.fastnn",
    ]
    for path in kept:
        path.write_bytes(b"")
    folder = tmp_path / ".net.aaaaaaaaaaaaaaaa.fastnn"
    folder.mkdir()
    link = tmp_path / ".net.bbbbbbbbbbbbbbbb.fastnn"
    link.symlink_to("net.0123456789abcdef.fastnn")
    network().save(tmp_path / "net")
    expected = [path.name for path in (*kept, folder, link, tmp_path / "net")]
    assert names(tmp_path) == sorted(expected)


def test_file_names_with_special_characters(tmp_path):
    name = "a*b[c].(d)+é"
    left_over(tmp_path, name)
    network().save(tmp_path / name)
    assert names(tmp_path) == [name]


HALF = """
import os, sys, time
import fastnn as fn
net = fn.Sequential(fn.Dense(3), random_state=1).build(2)
def wait(*_):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = wait
net.save(sys.argv[1])
"""


@pytest.mark.process
def test_temporary_file_of_a_running_save_is_kept(tmp_path):
    path = tmp_path / "net"
    child = subprocess.Popen([sys.executable, "-c", HALF, str(path)], stdout=subprocess.PIPE)
    try:
        assert child.stdout.readline() == b"writing\n"
        network(2).save(path)
        assert len(names(tmp_path)) == 2
        child.kill()
        child.wait()
        assert len(names(tmp_path)) == 2
        network(3).save(path)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert names(tmp_path) == ["net"]
    assert fn.load(path).seed == 3


def test_threads_save_to_the_same_path(tmp_path):
    path = tmp_path / "net"
    errors = []

    def save(seed):
        try:
            for _ in range(40):
                network(seed).save(path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert names(tmp_path) == ["net"]
    assert fn.load(path).seed in range(4)


# The interpreter closes files that are not yet assigned to a variable.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_signal_leaves_no_temporary_file(tmp_path):
    """An exception of a signal handler, as for Ctrl-C, at various times during a save."""
    path, net = tmp_path / "net", network(1)
    net.save(path)

    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    start = time.perf_counter()
    net.save(path)
    length = time.perf_counter() - start
    before = signal.signal(signal.SIGALRM, interrupt)
    caught = 0
    try:
        for i in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + length * i / 300)
                net.save(path)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                caught += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert names(tmp_path) == ["net"]
            assert fn.load(path).seed == 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert caught > 50
