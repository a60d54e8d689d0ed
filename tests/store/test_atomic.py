"""The atomic write: what is on the disk when something goes wrong on the way."""

import errno
import os
import stat

import pytest

from depthbench.research.store.atomic import (
    temporary_of,
    write_atomically,
    write_in_order,
)
from depthbench.research.study.errors import DISK, USAGE, Refusal


def test_the_file_and_then_its_folder_are_synced(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(handle):
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        steps.append("folder" if is_folder else "file")
        fsync(handle)

    def noting_replace(*names):
        steps.append("replace")
        replace(*names)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    write_atomically(tmp_path / "row.json", b"{}")
    assert steps == ["file", "replace", "folder"]
    write_in_order({tmp_path / "row.npz": b"profiles", tmp_path / "row.json": b"new"})
    assert steps[3:] == ["file", "replace"] * 2 + ["folder"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["row.json", "row.npz"]
    assert (tmp_path / "row.json").read_bytes() == b"new"


def test_writers_of_equal_number_on_two_machines_write_a_file_each(
    tmp_path, monkeypatch
):
    """One begins and ends while the other is at it."""
    path, fsync, others = tmp_path / "row.json", os.fsync, [b"theirs"]
    left = []

    def meanwhile(handle):
        left.extend(p.name for p in tmp_path.iterdir())
        fsync(handle)
        if others:
            write_atomically(path, others.pop())
            assert path.read_bytes() == b"theirs"

    monkeypatch.setattr(os, "fsync", meanwhile)
    monkeypatch.setattr(os, "getpid", lambda: 12)
    write_atomically(path, b"ours")
    assert path.read_bytes() == b"ours" and list(tmp_path.iterdir()) == [path]
    assert temporary_of(left[0]) == "row.json"  # as a killed writer's is told


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_was_there_stays_when_writing_fails(tmp_path, monkeypatch, call):
    path = tmp_path / "row.json"
    write_atomically(path, b"before")

    def fails(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(Refusal, match=r"row\.json: No space left") as refused:
        write_atomically(path, b"after")
    assert refused.value.status == DISK
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (errno.EACCES, USAGE),
        (errno.EPERM, USAGE),
        (errno.EROFS, DISK),
        (errno.EIO, DISK),
    ],
)
def test_the_disk_is_to_blame_for_what_another_name_does_not_mend(
    code, status, tmp_path, monkeypatch
):
    def fails(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(Refusal, match=os.strerror(code)) as refused:
        write_atomically(tmp_path / "row.json", b"{}")
    assert refused.value.status == status


def test_a_folder_of_the_files_name_is_mended_by_another_name(tmp_path):
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(Refusal, match="Is a directory") as refused:
        write_atomically(tmp_path / "rows.csv", b"a,b")
    assert refused.value.status == USAGE


@pytest.mark.parametrize("code, raised", [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_syncs_no_folders_is_no_failure(
    tmp_path, monkeypatch, code, raised
):
    fsync = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, "refused")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    if raised:
        with pytest.raises(Refusal):
            write_atomically(tmp_path / "row.json", b"{}")
    else:
        write_atomically(tmp_path / "row.json", b"{}")
    assert (tmp_path / "row.json").read_bytes() == b"{}"
