"""A run's folder: its lock, its manifest, its rows.

OUT/run.json     the study, the code and environment it was run with, and when
OUT/cells/       one .json a cell, and its profiles as .npz
OUT/quarantine/  files that were damaged, moved aside
OUT/rows.csv, report.md, report.html, figure.*   made from the cells
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from research.machine import host
from research.store import atomic, rows
from research.store.rows import DamagedRow, Record
from research.study.errors import LATER, Refusal


class Folder(NamedTuple):
    path: Path

    @property
    def cells(self) -> Path:
        return self.path / "cells"

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"


def create(path: Path, part: str = "cells") -> Folder:
    """The folder, ready to be written. Raises Refusal when it cannot be.

    part: the folder inside it that a run's results are in.
    """
    folder, inside = Folder(path), path / part
    try:
        if path.exists() and not path.is_dir():
            raise Refusal(f"--out {path}: is a file, not a folder")
        foreign = path.exists() and any(path.iterdir())
        if foreign and not folder.manifest.exists() and not inside.exists():
            raise Refusal(
                f"--out {path}: contains other files; choose a new or empty folder"
            )
        inside.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe.{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise Refusal(f"--out {path}: not writable: {error.strerror}") from None
    return folder


def existing(path: Path) -> Folder:
    """The folder of a run that was made before. Raises Refusal when it is none."""
    folder = Folder(path)
    if not path.exists():
        raise Refusal(f"{path}: no such folder")
    if not folder.manifest.is_file():
        raise Refusal(f"{path}: not a run's folder (it has no run.json)")
    return folder


@contextlib.contextmanager
def locked(folder: Folder, shard: str | None) -> Iterator[None]:
    """Locks the folder for this process; shards may share it.

    Raises Refusal, naming the holder, when another run has it. The kernel frees the
    lock when a process ends, however it ends.
    """
    with open(folder.path / ".lock", "a+") as file:
        kind = fcntl.LOCK_SH if shard else fcntl.LOCK_EX
        _acquire(file, kind, folder)
        with contextlib.ExitStack() as stack:
            if shard:
                name = f".lock-{shard.replace('/', '-of-')}"
                shard_lock = stack.enter_context(open(folder.path / name, "a+"))
                _acquire(shard_lock, fcntl.LOCK_EX, folder)
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            yield


def _acquire(file: Any, kind: int, folder: Folder) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise Refusal(
                f"{folder.path}: cannot be locked: {error.strerror}"
            ) from None
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise Refusal(
            f"{folder.path}: process {holder} is running here; wait for it, choose "
            "another --out, or share the work with --shard 1/2 and --shard 2/2",
            LATER,
        ) from None


def read_manifest(folder: Folder) -> dict[str, Any] | None:
    """The manifest; None where there is none yet. Raises Refusal when it is damaged."""
    try:
        manifest = json.loads(folder.manifest.read_bytes())
        parts = [type(manifest[name]) for name in ("code", "environment", "history")]
        if parts != [dict, dict, list] or not isinstance(manifest["study"], str):
            raise ValueError
        if not all(isinstance(entry, dict) for entry in manifest["history"]):
            raise ValueError
        return manifest
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, RecursionError):
        message = f"{folder.manifest}: damaged; move it away or choose another --out"
        raise Refusal(message) from None


def write_manifest(folder: Folder, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n"
    atomic.write_atomically(folder.manifest, text.encode())


def now() -> str:
    """The date and time, UTC, to the second; a stamp only, never a duration."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


SCHEMA = 2  # of run.json; 1 had the hashes of whole files
# What decides bits: a change of any of these is a change of the rows.
DECIDING = ("python", *host.LIBRARIES, "platform", "device", "xla_flags", "settings")


def differences(
    old: dict[str, Any], code: dict[str, str], environment: dict[str, Any]
) -> list[str]:
    """What has changed since a manifest was written, in words; empty if nothing.

    Code that only one of them leads to is not compared: what leads there has changed
    too, or the one has cells of entries that the other has not.
    """
    changes = []
    for name in DECIDING:
        before, after = old["environment"].get(name), environment.get(name)
        if before != after:
            changes.append(f"{name} was {before}, is {after}")
    if old.get("schema") != SCHEMA:
        return [
            *changes,
            "its record of the code is of an earlier version of depthbench",
        ]
    both = sorted(old["code"].keys() & code.keys())
    return changes + [f"{n} has changed" for n in both if old["code"][n] != code[n]]


def records(folder: Folder, quarantine: bool = False) -> tuple[list[Record], list[str]]:
    """(intact records, ordered by id; a sentence on each damaged one).

    quarantine: move damaged files aside, so that their cells are run again.
    """
    whole, damaged = [], []
    for path in sorted(folder.cells.glob("*.json")):
        try:
            whole.append(rows.load(path))
        except DamagedRow as error:
            damaged.append(str(error))
            if quarantine:
                aside = folder.path / "quarantine"
                aside.mkdir(exist_ok=True)
                for file in (path, path.with_suffix(".npz")):
                    if file.exists():
                        os.replace(file, aside / file.name)
    return whole, damaged
