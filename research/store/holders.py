"""Who is at work in a folder: the locks of its runs, seen by others, who change nothing."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from depthbench.research.files import regular
from depthbench.research.study.errors import LATER, Refusal

WHOLE = ".lock"
SHARE = re.compile(r"\.lock-(\d+)-of-(\d+)")


class Holder(NamedTuple):
    """A process that has a folder's lock. share: "1/2", or "" of a run without shares."""

    process: str
    share: str = ""

    def __str__(self) -> str:
        return f"process {self.process}{f' (share {self.share})' if self.share else ''}"


def holders(path: Path) -> list[Holder]:
    """The processes that are at work in a folder, as far as this machine knows."""
    return [
        Holder(_process(path / name), share)
        for name, share in sorted(_locks(path).items())
        if _is_held(path / name)
    ]


@contextlib.contextmanager
def idle(path: Path) -> Iterator[None]:
    """In the block no run begins in the folder; nothing in it is touched.

    Raises Refusal where one is at work.
    """
    try:
        file = _opened(path / WHOLE)
    except FileNotFoundError:  # a copy, or committed: no run has been here
        yield
        return
    try:
        if _taken(file, fcntl.LOCK_EX):
            at_work = ", ".join(map(str, holders(path))) or "another process"
            raise Refusal(f"{path}: {at_work} is running here; wait for it", LATER)
        yield
    finally:
        os.close(file)


def _locks(path: Path) -> dict[str, str]:
    """The names of the folder's locks, and the shares that they are of."""
    shares = {n: SHARE.fullmatch(n) for n in os.listdir(path)}
    named = {n: f"{match[1]}/{match[2]}" for n, match in shares.items() if match}
    return {WHOLE: "", **named} if (path / WHOLE).exists() else named


def _is_held(lock: Path) -> bool:
    """Whether a process has a lock for itself; shares have the whole's together."""
    try:
        file = _opened(lock)
    except OSError:
        return False
    try:
        return _taken(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _taken(file: int, kind: int) -> bool:
    """Whether another has a lock's file; if not, it is locked. Where a disk has no locks,
    no run begins."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _opened(lock: Path) -> int:
    """A lock's file, which is not written; to be locked over NFS it is to be writable."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(lock, os.O_RDWR | flags)
    except OSError:
        return os.open(lock, os.O_RDONLY | flags)


def _process(lock: Path) -> str:
    """The number of the process that wrote a lock's file."""
    try:
        text = regular.read(lock)[:20].decode("ascii", "ignore").strip()
    except OSError:
        text = ""
    return text if text.isdecimal() else "unknown"
