"""Processes that a benchmark starts: they end with this one.

They are in groups of their own: a terminal's Ctrl-C, which reaches a whole group, is for
this process to hear, which may finish its step with them.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from depthbench.research.engine import signals
from depthbench.research.store import provenance


def run(
    command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess:
    """What a command has written and how it ended, begun in our own root, whose modules
    `python -m` finds first. Raises TimeoutExpired."""
    with subprocess.Popen(
        command,
        env=environment,
        cwd=provenance.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:

        def end() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        with signals.undone(end):
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except BaseException:
                end()
                raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
