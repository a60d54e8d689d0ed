"""Ctrl-C and SIGTERM: workers are asked to stop, and nothing is lost."""

import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

from research.study.errors import INTERRUPTED, TERMINATED

GRACE = 4.0  # seconds from SIGTERM to leaving, whatever is still running


def supervise(threads: Sequence[threading.Thread], stop: threading.Event) -> int:
    """Runs threads to their end; the exit status: 0, or 130 or 143 after a signal.

    The work is in threads because a signal is not seen while the main one compiles.
    """
    with Signals(stop) as signals:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.1)
            signals.leave_if_late()
    return signals.status


class Signals:
    """Ctrl-C and SIGTERM ask for a stop; a second one, or lateness, ends the process.

    Rows are written atomically, so leaving at any moment loses no finished row.
    """

    def __init__(self, stop: threading.Event):
        self.stop, self.status, self.since = stop, 0, 0.0

    def __enter__(self):
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.receive)
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def receive(self, number: int, _frame: Any) -> None:
        if self.status:
            os._exit(self.status)
        self.status = INTERRUPTED if number == signal.SIGINT else TERMINATED
        self.since = time.monotonic()
        self.stop.set()

    def leave_if_late(self) -> None:
        late = time.monotonic() - self.since > GRACE
        if self.status == TERMINATED and late:
            os._exit(TERMINATED)
