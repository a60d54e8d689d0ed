"""Signals: heard at once, whatever runs. Ctrl-C, SIGTERM, and a terminal that is closed.

Python tells its main thread of a signal between two of its own instructions: not while XLA
compiles, and an exception that is raised then may be swallowed by whatever it comes upon.
So a thread of its own reads signals here, from a pipe that Python writes them to at once.
It asks for a stop where there is something to save, and else ends the process. Files are
written whole or not at all, so leaving at any moment loses nothing that was finished.
"""

import atexit
import contextlib
import fcntl
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from depthbench.research.study.errors import INTERRUPTED, TERMINATED

GRACE = 3.5  # seconds from SIGTERM to leaving, whatever is still running
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPING = "finishing this step; again to leave"
ENDING = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}


class Listener:
    """What was heard so far, and what follows. leave: ends the process, by a status."""

    def __init__(self, leave: Callable[[int], object]):
        self.leave, self.status, self.due = leave, 0, float("inf")
        self.stops: list[threading.Event] = []
        self.ended: int | None = None  # with which status, once all is done

    def hear(self, number: int) -> None:
        """Asks for a stop; ends the process where nothing is to be saved, or again."""
        if self.status and number == signal.SIGHUP:
            return  # a shell and its terminal both send it
        status = INTERRUPTED if number == signal.SIGINT else TERMINATED
        if self.status or not self.stops:
            status = self.status or status
            say(ENDING[status])
            self.leave(status)
            return
        self.status = status
        if status == TERMINATED:
            self.due = time.monotonic() + GRACE
        say(STOPPING)
        for stop in self.stops:
            stop.set()

    def leave_if_late(self) -> None:
        if time.monotonic() > self.due:
            self.leave(self.status)


_listening: list[Listener] = []  # a process has one
_undo: list[Callable[[], object]] = []
_leaving: list[int] = []  # the status that this process ends with, once that is settled


def listen() -> Listener:
    """Listens from now on to the end of this process, which signals end: for commands."""
    listener = Listener(_leave)
    reading, writing = map(_above_standard, os.pipe())
    for end in (reading, writing):
        os.set_blocking(end, False)
    _listening.append(listener)
    thread = threading.Thread(target=_read, args=(listener, reading), daemon=True)
    thread.start()
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _handle(lambda number, frame: None)
    atexit.register(_end, listener)  # the first, and so the last to be called
    return listener


def _above_standard(descriptor: int) -> int:
    """The same file at a number that is no standard stream's: these may be closed."""
    above = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return above


def _handle(receive: Callable[[int, Any], Any]) -> dict[int, Any]:
    """Sets the handlers; those before. What was ignored, as under nohup, stays so."""
    heard = [n for n in NUMBERS if signal.getsignal(n) != signal.SIG_IGN]
    return {number: signal.signal(number, receive) for number in heard}


def _read(listener: Listener, pipe: int) -> None:
    while True:
        wait = min(listener.due - time.monotonic(), 3600.0)
        if select.select([pipe], [], [], max(wait, 0.0))[0]:
            # Of two that come at once the kernel runs the later one's handler first.
            for number in sorted(os.read(pipe, 64)):
                listener.hear(number)
        listener.leave_if_late()


def _leave(status: int) -> None:
    _leaving.append(status)
    try:
        undoing = threading.Thread(target=_undo_all, daemon=True)
        undoing.start()
        undoing.join(0.5)  # no longer: what is undone may wait for what hangs
    finally:
        os._exit(status)


def _stay_if_leaving() -> None:
    """Does not return where the process ends: what waited for a thing that was undone, a
    child, say, would take its end for a result, and end as if all were done."""
    while _leaving:
        time.sleep(1.0)


def _undo_all() -> None:
    for action in reversed(_undo):
        with contextlib.suppress(Exception):
            action()


def _end(listener: Listener) -> None:
    """Leaves before Python takes itself apart, when a signal would find no listener."""
    _stay_if_leaving()
    if listener.ended is not None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(listener.ended)


@contextlib.contextmanager
def undone(action: Callable[[], object]) -> Iterator[None]:
    """Within the block a signal that ends the process does this before it, and the block
    is not left then."""
    _undo.append(action)
    try:
        yield
    finally:
        _stay_if_leaving()
        _undo.remove(action)


def say(line: str) -> None:
    """A line on standard error: past Python's buffer, whose lock another thread may hold,
    and not at all where nobody reads."""
    start = "\n" if _terminal() else ""  # after a bar, and the terminal's own ^C
    _write(f"{start}depthbench: {line}\n")


def show_cursor() -> None:
    """Shows a terminal's cursor again, which a bar has hidden."""
    if _terminal():
        _write("\x1b[?25h")


def _terminal() -> bool:
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def _write(text: str) -> None:
    try:
        error = sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):  # replaced, closed, or never there
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)
        return
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [error], [], 0.1)[1]:
            os.write(error, text.encode())


def supervise(threads: Sequence[threading.Thread], stop: threading.Event) -> int:
    """Runs threads to their end; the exit status: 0, or 130 or 143 after a signal."""
    with asked_to_stop(stop) as listener:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.1)
            listener.leave_if_late()
    return listener.status


@contextlib.contextmanager
def asked_to_stop(stop: threading.Event) -> Iterator[Listener]:
    """Within the block a signal sets the event first; what has come is `status`."""
    with _listener() as listener:
        listener.stops.append(stop)
        try:
            yield listener
        finally:
            listener.stops.remove(stop)


@contextlib.contextmanager
def _listener() -> Iterator[Listener]:
    """The process's listener; where a caller has its own end, as a notebook, one that
    listens within the block, in Python's own way, and leaves by KeyboardInterrupt."""
    if _listening:
        yield _listening[0]
        return
    listener = Listener(_raise)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = _handle(lambda number, frame: listener.hear(number))
    try:
        yield listener
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(status: int) -> None:
    if status == TERMINATED:
        _leave(status)
    raise KeyboardInterrupt
