"""A job's spool: a folder where what it says lies, a file each, until the driver reads it.

For jobs that share a disk with the driver and nothing else. A file is written whole, so
that what a process said before it was killed is there. The driver touches a file beside
the spools as long as it is there: without it, jobs end after their unit.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from depthbench.research.engine.engines import jobs
from depthbench.research.engine.engines.jobs import Began, Job, Raised, Said
from depthbench.research.engine.engines.seam import Done
from depthbench.research.files import arrays, regular
from depthbench.research.store import atomic, rows
from depthbench.research.study.declaration import Measured

ALIVE = "alive"  # the file that the driver touches
SILENT = 300.0  # seconds without a touch, after which it is taken to be gone


def perform(job: Job, folder: Path) -> None:
    """Measures a job's units, and writes what is said of them."""
    for number, said in enumerate(jobs.perform(job)):
        file = _file(folder, number)
        atomic.write_atomically(file, packed(said), synced=False)  # two for each unit
        if isinstance(said, Done) and not attended(folder.parent / ALIVE, file):
            return


def attended(alive: Path, written: Path) -> bool:
    """Whether the driver was there when a file was written; both times are the disk's."""
    try:
        return written.stat().st_mtime - alive.stat().st_mtime < SILENT
    except FileNotFoundError:  # a later driver has put the folder away
        return False


def said(folder: Path, first: int) -> Iterator[Said]:
    """What a job has said, from the number `first`, as far as it is there."""
    number = first
    while (path := _file(folder, number)).exists():
        yield opened(regular.read(path))
        number += 1


class Written(NamedTuple):
    """What a file has. what: the name of its type. profiles: of each cell, as .npz."""

    what: str
    number: int
    text: str = ""
    cells: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    profiles: tuple[bytes, ...] = ()
    environment: dict[str, Any] | None = None
    spent: dict[str, float] | None = None


def packed(said: Said) -> bytes:
    """What a job says, as a file has it: plain data, and nothing that would be run."""
    match said:
        case Began(number):
            written = Written("began", number)
        case Raised(status, text):
            written = Written("raised", status, text)
        case Done(number, measured, environment, spent):
            cells = tuple((m.status, m.reason, dict(m.values)) for m in measured)
            profiles = tuple(rows.pack(m.profiles) for m in measured)
            seen = None if environment is None else dict(environment)
            written = Written("done", number, "", cells, profiles, seen, dict(spent))
    return msgspec.msgpack.encode(written)


def opened(content: bytes) -> Said:
    """What a file's job has said."""
    written = msgspec.msgpack.decode(content, type=Written)
    if written.what == "began":
        return Began(written.number)
    if written.what == "raised":
        return Raised(written.number, written.text)
    measured = [
        Measured(*cell, profiles=arrays.chosen(io.BytesIO(profiles), arrays.MOST))
        for cell, profiles in zip(written.cells, written.profiles, strict=True)
    ]
    return Done(written.number, measured, written.environment, written.spent or {})


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.said"
