"""A run's folder: whose it is, its lock, its rows.

OUT/run.json     the study, the code and environment it was run with, and when
OUT/cells/       one .json a cell, and its profiles as .npz
OUT/quarantine/  files that were damaged, moved aside
OUT/rows.csv, report.md, report.html, figure.*   made from the cells

A folder is ours when its run.json says so. Any other is left as it is, unless it is empty.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from msgspec.structs import replace

from depthbench.research.files import regular
from depthbench.research.store import atomic, manifest, rows
from depthbench.research.store.manifest import Event, Manifest
from depthbench.research.store.rows import DamagedRow, Record, Withheld
from depthbench.research.study.errors import LATER, Refusal

PARTS = ("cells", "reports", "checkpoints", "quarantine")
LOCK = re.compile(r"\.lock(-[\w.-]+)?")
HOLDER = re.compile(rb"\d{0,20}")  # what a lock's file has: the number of a process
JOBS = ".jobs"  # spools of jobs that are at it
STAMP = "stamp.json"  # committed rows have one


KINDS = "kinds"  # of devices, where a run has several: a folder for each


class Folder(NamedTuple):
    path: Path

    @property
    def cells(self) -> Path:
        return self.path / "cells"

    @property
    def reports(self) -> Path:
        return self.path / "reports"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"


def kinds(folder: Folder) -> list[Folder]:
    """The folders of rows that other kinds of devices have made, in one run."""
    return [Folder(path) for path in sorted(folder.path.glob(f"{KINDS}/*/"))]


def elsewhere(folder: Folder) -> list[Record]:
    """Intact rows of other kinds of devices: their cells are done, in a table of theirs."""
    return [record for kind in kinds(folder) for record in records(kind)[0]]


def look(path: Path, study: str) -> Folder:
    """The folder that results of a study are to be in, of which nothing is made yet.

    It is to be new, empty, or to have results of the same study. Raises Refusal.
    """
    try:
        _check_free(path, study)
    except OSError as error:
        raise Refusal(f"--out {path}: not usable: {error.strerror}") from None
    return Folder(path)


def _check_free(path: Path, study: str) -> None:
    if not os.path.lexists(path):
        _check_writable(_nearest(path), path)
        return
    if not path.is_dir():
        kind = "a file, not a folder" if path.exists() else "a link to nothing"
        raise Refusal(f"--out {path}: is {kind}")
    _check_writable(path, path)
    names = sorted(os.listdir(path))
    before = manifest.read(path).manifest
    if before is None:
        foreign = [name for name in names if not _left_by_a_start(path / name)]
        if foreign:
            raise Refusal(
                f"--out {path}: holds other files, such as {foreign[0]}; choose a new or "
                "empty folder"
            )
        return
    _check_links(path, names)
    if before.study != study:
        raise Refusal(
            f"--out {path}: contains {before.study}, not {study}; choose another --out"
        )
    if STAMP in names:
        raise Refusal(f"--out {path}: contains committed rows; choose another --out")


def _nearest(path: Path) -> Path:
    """The nearest folder above that is there. Raises Refusal where it is none."""
    above = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not above.is_dir():
        kind = "a file, not a folder" if above.exists() else "a link to nothing"
        raise Refusal(f"--out {path}: {above} is {kind}")
    return above


def _check_writable(folder: Path, path: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refusal(f"--out {path}: not writable")


def _check_links(path: Path, names: list[str]) -> None:
    """What leads elsewhere is nothing to write to or to read."""
    for name in names:
        ours = name in (*PARTS, *manifest.NAMES) or LOCK.fullmatch(name)
        kind = regular.kind_of(path / name) if ours else ""
        mended = name in manifest.NAMES and kind != "a link"  # as any damaged copy is
        if ours and not mended and kind != ("a folder" if name in PARTS else ""):
            raise Refusal(
                f"{path / name}: is {kind or 'a file'}, where a run keeps its own; "
                "remove it or choose another folder"
            )


def _left_by_a_start(path: Path) -> bool:
    """Whether a run that was killed at its start leaves such a file. Raises OSError.

    A lock has the number of a process, or nothing: what says more is another's.
    """
    try:
        if path.name == JOBS:
            return regular.kind_of(path) == "a folder"
        if atomic.temporary_of(path.name) in manifest.NAMES:
            return not regular.kind_of(path)
        lock = LOCK.fullmatch(path.name) and not regular.kind_of(path)
        return bool(lock) and HOLDER.fullmatch(regular.read(path)) is not None
    except FileNotFoundError:  # another run, which starts just now, has renamed it
        return True


def existing(path: Path) -> tuple[Folder, Manifest, list[str]]:
    """A folder with results, its manifest, and a sentence on each damaged copy of it.

    Raises Refusal where it is none.
    """
    try:
        if not path.is_dir():
            raise Refusal(f"{path}: no such folder")
        reading = manifest.read(path)
        if reading.manifest is None:
            raise Refusal(f"{path}: not a run's folder (it has no run.json)")
        _check_links(path, sorted(os.listdir(path)))
    except OSError as error:
        raise Refusal(f"{path}: not readable: {error.strerror}") from None
    return Folder(path), reading.manifest, damaged_copies(reading)


def damaged_copies(reading: manifest.Reading) -> list[str]:
    """A sentence on each copy of a manifest that another one stands for."""
    return [f"{name}: {why}; its copy is used" for name, why in reading.damaged.items()]


@contextlib.contextmanager
def held(path: Path, study: str, shard: str | None = None) -> Iterator[Folder]:
    """The folder, made if it is not there, and locked; shards may share it.

    Raises Refusal, naming the holder, when another run has it. The kernel frees the
    lock when a process ends, however it ends.
    """
    with contextlib.ExitStack() as locks:
        try:
            path.mkdir(parents=True, exist_ok=True)
            _lock(path, shard, locks)
            folder = look(path, study)  # again: it may have been taken meanwhile
            if not shard:
                _tidy(folder)
        except OSError as error:
            raise Refusal(f"--out {path}: not writable: {error.strerror}") from None
        yield folder


def _lock(path: Path, shard: str | None, locks: contextlib.ExitStack) -> None:
    kinds = {".lock": fcntl.LOCK_SH if shard else fcntl.LOCK_EX}
    if shard:
        kinds[f".lock-{shard.replace('/', '-of-')}"] = fcntl.LOCK_EX
    files = []
    for name, kind in kinds.items():
        files.append(locks.enter_context(_opened(path / name)))
        _acquire(files[-1], kind, path)
    for file in files:
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()


def _opened(path: Path) -> IO[str]:
    """A lock's file, and no other: nothing that a link leads to is emptied."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.fdopen(os.open(path, flags, 0o666), "r+")
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            return file
        file.close()
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
    raise Refusal(f"{path}: is no file; remove it or choose another folder")


def _acquire(file: IO[str], kind: int, path: Path) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise Refusal(f"{path}: cannot be locked: {error.strerror}") from None
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        raise Refusal(
            f"{path}: process {holder} is running here; wait for it, choose "
            "another --out, or share the work with --shard 1/2 and --shard 2/2",
            LATER,
        ) from None


def _tidy(folder: Folder) -> None:
    """Removes what killed processes were writing; the folder is locked for this one."""
    for place in (folder.path, folder.cells, folder.reports):
        for name in os.listdir(place) if place.is_dir() else ():
            path = place / name
            if atomic.TEMPORARY.fullmatch(name) and not regular.kind_of(path):
                path.unlink()


def write_manifest(
    folder: Folder, change: Callable[[Manifest | None], Manifest]
) -> list[str]:
    """Writes the manifest that `change` makes of the one that is there.

    A sentence on each damaged copy, which is put aside. Shards that share the folder come
    one after the other.
    """
    with _opened(folder.path / ".lock-run.json") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        reading = manifest.read(folder.path)
        for name, why in reading.damaged.items():
            if why != manifest.MISSING:
                put_aside(folder, folder.path / name)
        manifest.write(folder.path, change(reading.manifest))
    return damaged_copies(reading)


def note(folder: Folder, event: Event, **changed: Any) -> None:
    """Adds an event to the manifest's history, with what it changed."""

    def noted(before: Manifest | None) -> Manifest:
        assert before is not None
        return replace(before, history=[*before.history, event], **changed)

    write_manifest(folder, noted)


def put_aside(folder: Folder, *paths: Path) -> None:
    """Moves damaged files to the folder's quarantine, under names that are free there."""
    aside = folder.path / "quarantine"
    aside.mkdir(exist_ok=True)
    for path in paths:
        if os.path.lexists(path):
            names = (f"{path.name}{f'.{n}' * (n > 0)}" for n in itertools.count())
            free = next(n for n in names if not os.path.lexists(aside / n))
            os.replace(path, aside / free)


def records(folder: Folder, quarantine: bool = False) -> tuple[list[Record], list[str]]:
    """(intact records of the cells, ordered by id; a sentence on each damaged one).

    quarantine: move damaged files aside, so that their cells are run again. Raises Refusal
    then for one that was not let be read, and may be whole.
    """
    return _records(folder, folder.cells, quarantine)


def reports(folder: Folder, quarantine: bool = False) -> tuple[list[Record], list[str]]:
    """The same of a training's reports."""
    return _records(folder, folder.reports, quarantine)


def _records(
    folder: Folder, place: Path, quarantine: bool
) -> tuple[list[Record], list[str]]:
    whole, damaged = [], []
    for path in sorted(place.glob("*.json")):
        try:
            whole.append(rows.load(path))
        except DamagedRow as error:
            if quarantine and isinstance(error, Withheld):
                raise Refusal(f"{place}: {error}", error.status) from None
            damaged.append(str(error))
            if quarantine:
                put_aside(folder, path, path.with_suffix(".npz"))
    return whole, damaged
