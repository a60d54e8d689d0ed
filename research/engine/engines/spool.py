"""A job's spool: a folder where what it says lies, a file each, until the driver reads it.

For jobs that share a disk with the driver and nothing else. A file is written whole, so
that what a process said before it was killed is there. The driver touches a file beside
the spools as long as it is there: without it, jobs end after their unit.
"""

import pickle
from collections.abc import Iterator
from pathlib import Path

from depthbench.research.engine.engines import jobs
from depthbench.research.engine.engines.jobs import Job, Said
from depthbench.research.engine.engines.seam import Done
from depthbench.research.store import atomic

ALIVE = "alive"  # the file that the driver touches
SILENT = 300.0  # seconds without a touch, after which it is taken to be gone


def perform(job: Job, folder: Path) -> None:
    """Measures a job's units, and writes what is said of them."""
    for number, said in enumerate(jobs.perform(job)):
        file = _file(folder, number)
        atomic.write_atomically(file, pickle.dumps(said))
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
        yield pickle.loads(path.read_bytes())
        number += 1


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.said"
