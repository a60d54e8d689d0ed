"""A process joins the others of its run, and says for whom it waits, and for how long."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from depthbench.research.engine import console, relay, runner
from depthbench.research.lazy import lazily
from depthbench.research.learning import sharding
from depthbench.research.learning.sharding import Processes
from depthbench.research.machine import start
from depthbench.research.study.errors import LATER

with lazily():
    from depthbench.research.engine import processes as running

EVERY = 5.0  # seconds between two lines
WAIT = 300.0  # seconds: a cluster may start its processes minutes apart


def join(processes: Processes) -> None:
    """Joins the processes of a run; before the first use of jax's devices. Raises Mistake.

    Ends this process with 75 where not all have come after WAIT seconds.
    """
    if processes.count == 1:
        return
    start.needs(*runner.PACKAGES)
    start.imported()
    _relay(running.lost(processes.number, processes.count))
    joined = threading.Event()
    waiting = threading.Thread(target=_wait, args=(processes, joined), daemon=True)
    waiting.start()
    try:
        sharding.start(processes, 2 * WAIT)
    finally:
        joined.set()


def _wait(processes: Processes, joined: threading.Event) -> None:
    what = f"{processes.count} processes" if processes.count else "the others"
    for turn in range(1, round(WAIT / EVERY)):
        if joined.wait(EVERY):
            return
        console.say(
            f"waiting for {what} at --coordinator {processes.coordinator}: "
            f"{turn * EVERY:.0f} s of {WAIT:.0f}"
        )
    if not joined.wait(EVERY):
        console.say(
            f"--coordinator {processes.coordinator}: not all of {what} have come "
            f"within {WAIT:.0f} s; start them all again"
        )
        os._exit(LATER)  # jax would write twenty lines and end it as a fault


def _relay(line: str) -> None:
    """Has C++ write to a process that puts our line first; Python's lines go as before."""
    if sys.stderr is None:
        return
    sys.stderr.flush()
    ours = os.fdopen(
        os.dup(2), "w", 1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
    )
    passing = subprocess.Popen(
        [sys.executable, "-S", "-E", str(Path(relay.__file__)), f"depthbench: {line}"],
        stdin=subprocess.PIPE,
        process_group=0,
    )
    assert passing.stdin is not None
    os.dup2(passing.stdin.fileno(), 2)
    passing.stdin.close()
    sys.stderr = ours
