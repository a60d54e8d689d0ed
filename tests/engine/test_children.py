"""Children end with the process that began them, which does not take it for a result."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from depthbench.research.engine import children

PATIENCE = 120.0  # seconds; after which a process hangs


def test_children_end_with_a_process_that_leaves(tmp_path):
    """And are in a group of their own, which a terminal's Ctrl-C does not reach."""
    child = (
        "import os, sys; print(os.getpid(), file=open(sys.argv[1], 'w'), flush=True); "
    )
    child += "import time; time.sleep(600)"
    note = tmp_path / "child"
    program = f"""
import os, sys
from depthbench.research.engine import children, signals
signals.listen()
children.run([sys.executable, "-c", {child!r}, {str(note)!r}], os.environ, 600)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + PATIENCE
    while not note.exists() or not note.read_text().strip():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    number = int(note.read_text())
    assert os.getpgid(number) == number
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    while alive(number):
        assert time.monotonic() < until
        time.sleep(0.01)


UNDOING = """
import contextlib, threading, time
from depthbench.research.engine import signals
signals.listen()
undone = threading.Event()
def undo():
    undone.set()
    time.sleep(0.4)  # in which what waits for it could go on
"""
WAITS = {
    "in the block": """
with signals.undone(undo):
    print("waiting", flush=True)
    undone.wait()
print("went on", flush=True)
""",
    "at the end of the program": """
stack = contextlib.ExitStack()
stack.enter_context(signals.undone(undo))
print("waiting", flush=True)
undone.wait()
""",
}


@pytest.mark.parametrize("where", WAITS)
def test_what_waits_for_a_thing_that_is_undone_does_not_go_on(where):
    """It would take a child's end for a result, and the process would end with 0."""
    process = subprocess.Popen(
        [sys.executable, "-c", UNDOING + WAITS[where]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=PATIENCE)
    assert (process.returncode, *said) == (143, "", "depthbench: terminated\n")


def alive(process: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_a_child_that_takes_too_long_is_ended():
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(subprocess.TimeoutExpired):
        children.run(sleep, os.environ, 0.1)
