"""Files are replaced atomically: after an error, an interrupt or a kill, the path has the complete
old file or the complete new one."""

import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

import fastnn as fn


def network(seed=0):
    layers = fn.Dense(6, "relu"), fn.Dense(3, "softmax")
    return fn.Sequential(*layers, random_state=seed).build(4)


def assert_same(one, other):
    assert one.layers == other.layers
    assert one.seed == other.seed
    assert one.parameters.tobytes() == other.parameters.tobytes()


class Stopped(BaseException):
    """Like KeyboardInterrupt, not a subclass of Exception."""


@pytest.mark.parametrize("error", [Stopped, OSError, MemoryError])
@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("exists", [True, False])
def test_failed_save_keeps_the_old_file(step, exists, error, tmp_path, monkeypatch):
    path = tmp_path / "net"
    old, new = network(1), network(2)
    if exists:
        old.save(path)

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(error):
            new.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == (["net"] if exists else [])
    if exists:
        assert_same(fn.load(path), old)
    new.save(path)
    assert_same(fn.load(path), new)


def test_incomplete_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net"
    old = network(1)
    old.save(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            network(2).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]
    assert_same(fn.load(path), old)


def test_file_is_complete_after_the_replacement(tmp_path, monkeypatch):
    path = tmp_path / "net"
    network(1).save(path)
    new = network(2)
    plain = os.fsync
    synced = []

    def sync_files_only(handle):
        synced.append(stat.S_ISDIR(os.fstat(handle).st_mode))
        if synced[-1]:
            raise Stopped
        plain(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync_files_only)
        with pytest.raises(Stopped):
            new.save(path)
    assert synced == [False, True]  # the file before the rename, the folder after it
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]
    assert_same(fn.load(path), new)


@pytest.mark.process
@pytest.mark.parametrize("step", ["fsync", "fchmod", "replace"])
def test_killed_save_keeps_the_old_file(step, tmp_path):
    path = tmp_path / "net"
    old = network(1)
    old.save(path)
    program = f"""
        import os, signal
        import fastnn as fn
        net = fn.Sequential(fn.Dense(300), random_state=2).build(300)
        os.{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        net.save({str(path)!r})
        """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert_same(fn.load(path), old)
    assert len(list(tmp_path.iterdir())) == 2
    network(3).save(path)
    assert fn.load(path).seed == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o000])
def test_mode_follows_the_umask(mask, tmp_path):
    path = tmp_path / "net"
    before = os.umask(mask)
    try:
        network().save(path)
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_folders_are_refused(tmp_path):
    net = network()
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"path: expected a regular file .*; got a folder: .*'"):
        net.save(folder)
    with pytest.raises(FileNotFoundError, match="missing"):
        net.save(tmp_path / "missing" / "net")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = network()
    net.save("net")
    assert_same(net, fn.load("net"))
