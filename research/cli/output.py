"""Standard output and standard error, whatever they are: of any encoding, full or closed.

What a command writes goes to a copy of standard output, while descriptor 1 is standard
error: there libraries in C++ print what is none of the results, as Gloo its ranks.
"""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from depthbench.research.engine import console
from depthbench.research.study.errors import DISK

ESCAPED = "backslashreplace"  # what an encoding does not have


class Unwritable(Exception):
    """Standard output takes nothing more; the cause is an OSError."""


class StandardOutput(io.TextIOWrapper):
    """As a text stream. Raises Unwritable, which no library handles in its own way."""

    def write(self, text: str, /) -> int:
        with _unwritable():
            return super().write(text)

    def flush(self) -> None:
        with _unwritable():
            super().flush()


@contextlib.contextmanager
def _unwritable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable from error


def guarded(command: Callable[[], int]) -> int:
    """The exit status of a command whose output is written to the end.

    If it cannot be, 74 after a line that says why; where its reader has left, as `head`
    does, the command's own status, or 0 where it was not at its end.
    """
    status = 0
    with _streams():
        try:
            try:
                status = command()
            except SystemExit as leaving:  # after --help
                status = int(leaving.code or 0)
            sys.stdout.flush()
        except Unwritable as failure:
            status = _failed(failure.__cause__, status)
    return status


def _failed(cause: BaseException | None, status: int) -> int:
    number = getattr(cause, "errno", None)
    if number == errno.EPIPE:
        return status
    why = "closed" if number == errno.EBADF else os.strerror(number or errno.EIO)
    console.say(f"standard output: {why}")
    return DISK


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Both streams as they can be written to, and as they were afterwards."""
    _opened()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)
    before = sys.stdout
    if before is not None and not _is_descriptor_1(before):
        yield  # a test's, or whoever calls `main`
        return
    if before is not None:
        before.flush()
    copy = os.dup(1)
    os.dup2(2, 1)
    encoding = getattr(before, "encoding", "utf-8")
    sys.stdout = StandardOutput(
        io.BufferedWriter(io.FileIO(copy, "w")), encoding, ESCAPED
    )
    try:
        yield
    finally:
        os.dup2(copy, 1)
        _closed(sys.stdout, copy)
        sys.stdout = before
        _drained(sys.stderr)


def _opened() -> None:
    """Descriptors 0 to 2 are open, so that no file of a run becomes one of them. What was
    closed is not written to either: 1 is open for reading alone."""
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free
    if sys.stderr is None:  # print() would take it for standard output
        nowhere = io.BufferedWriter(io.FileIO(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(nowhere, "utf-8", ESCAPED)


def _is_descriptor_1(stream: Any) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError, AttributeError):
        return False


def _closed(stream: Any, number: int) -> None:
    """Closes a stream, and drops what it could not write."""
    try:
        stream.flush()
    except Unwritable:
        _void(number)
    stream.close()


def _drained(stream: Any) -> None:
    """Standard error is empty: what it cannot take would change Python's exit status."""
    try:
        stream.flush()
    except OSError:
        _void(2)


def _void(number: int) -> None:
    """Whatever is still written to a descriptor goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
