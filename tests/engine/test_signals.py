"""Signals at any moment: said to be heard at once, and the process ends in time.

Some moments are in the suite; `-m exhaustive` strikes each command at ten random ones for
each signal, and prints what came of it (with `-s`).
"""

import contextlib
import io
import os
import pty
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from depthbench.research.engine import signals
from depthbench.research.engine.signals import Listener

# Seconds; an idle machine takes hundredths of the first two.
HEARD, SECOND, LATEST = 1.0, 1.0, 5.0
PATIENCE = 120.0  # after which a process hangs
SLOW = 4  # how much slower than an idle machine one may be that runs the suite

SETTINGS = "--architecture mlp --activation tanh --width 16 --batch 4 --depth 2,5,9"
COMMANDS = {
    "run": f"run gradient_flow {SETTINGS} --seeds 2",
    "train": "train --depth 12 --width 16 --steps 1500 --seeds 2 --normalizer layer",
    "theory": "theory gelu --sigma-b2 0.1 --figure theory.svg",
    "report": "report finished",
    "claims": "claims --run --only gradient_rate --size smoke",
}
SAVES = ("run", "train", "claims")  # have a step to finish
ACKNOWLEDGED = re.compile(r"depthbench: (finishing this step; again to leave|\w+ed)\n")


class Strike(NamedTuple):
    """What followed a signal: seconds to its line, to the end, and from the second one."""

    status: int
    heard: float | None
    left: float
    second: float | None
    stderr: str


def caught(process: int) -> int:
    """The signals that a process has handlers for, as bits."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    match = re.search(r"^SigCgt:\s*(\w+)$", text, re.MULTILINE)
    return int(match[1], 16) if match else 0


def begun(arguments, folder, environment) -> subprocess.Popen:
    """A command, from the first moment at which it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "depthbench", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    bit = 1 << (signals.NUMBERS[-1] - 1)  # the last that a handler is set for
    until = time.monotonic() + PATIENCE
    while not caught(process.pid) & bit and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.001)
    return process


def strike(process, number, delay, twice=False) -> Strike | None:
    """Sends a signal, or two; None where the process had ended before."""
    read: list[tuple[float, bytes]] = []

    def listen():
        while text := os.read(process.stderr.fileno(), 65536):
            read.append((time.monotonic(), text))

    reader = threading.Thread(target=listen)
    reader.start()
    time.sleep(delay)
    early = process.poll() is not None
    began = time.monotonic()
    process.send_signal(number)
    second = None
    if twice:
        time.sleep(0.2)
        if process.poll() is None:
            second = time.monotonic()
            process.send_signal(number)
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
    ended = time.monotonic()
    reader.join(PATIENCE)
    process.stderr.close()
    stderr = b"".join(text for _, text in read).decode()
    heard = [t - began for t, text in read if ACKNOWLEDGED.search(text.decode())]
    # While the system clears away what has ended with all done, no signal arrives.
    ending = process.returncode == 0 and not heard and ended - began < 0.5
    if early or ending:
        return None
    return Strike(
        process.returncode,
        heard[0] if heard else None,
        ended - began,
        None if second is None else ended - second,
        stderr,
    )


def check(result: Strike, number: int, slow: int = 1) -> None:
    """Fails where a signal was not heard, or the process did not end as it should."""
    status = 130 if number == signal.SIGINT else 143
    assert result.status == status, result
    assert result.heard is not None and result.heard < HEARD * slow, result
    assert result.stderr.count("\n") <= 8 and "Exception" not in result.stderr, result
    assert "Traceback" not in result.stderr, result
    if result.second is not None:
        assert result.second < SECOND * slow, result
    if status == 143:
        assert result.left < LATEST * (slow if slow > 1 else 1), result


@pytest.fixture(scope="module")
def anew(clean_environment):
    """Variables of commands that compile everything anew."""
    return {**clean_environment, "JAX_ENABLE_COMPILATION_CACHE": "0"}


@pytest.fixture
def place(once, tmp_path):
    """A folder with a finished run in it."""

    def make(out):
        from depthbench.research.cli.main import main

        words = f"run gradient_flow {SETTINGS} --initializer he_normal --seeds 2"
        assert main([*words.split(), "--out", str(out)]) == 0

    (tmp_path / "finished").symlink_to(once("struck", make))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    "command, number, delay",
    [
        ("theory", signal.SIGINT, 0.0),  # while it imports
        ("train", signal.SIGTERM, 2.0),  # while it compiles, mostly
        ("list", signal.SIGHUP, 0.0),  # the terminal is closed
    ],
)
def test_a_signal_is_heard_and_ends_a_command(command, number, delay, anew, tmp_path):
    words = COMMANDS.get(command, command).split()
    process = begun(words, tmp_path, anew)
    result = strike(process, number, delay)
    assert result is not None
    check(result, number, SLOW)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "number, twice",
    [(signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False)],
    ids=["SIGINT", "SIGINT twice", "SIGTERM"],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_signals_at_random_moments(command, number, twice, anew, place):
    words = COMMANDS[command].split()
    process = begun(words, place, anew)
    began = time.monotonic()
    _, stderr = process.communicate(timeout=PATIENCE)
    took = time.monotonic() - began
    assert process.returncode == 0, stderr
    results = []
    for turn in range(10):
        out = ["--out", f"{turn}"] if command in SAVES else []
        delay = random.uniform(0.0, took)
        process = begun([*words, *out], place, anew)
        result = strike(process, number, delay, twice)
        if result is None:
            continue
        print(
            f"{command} {number.name} {'twice ' * twice}at {delay:.2f} s:", result[:4]
        )
        check(result, number)
        results.append(result)
    heard = max(r.heard for r in results)
    left = max(r.left for r in results)
    print(
        f"{len(results)} struck: heard in {heard:.3f} s, ended in {left:.2f} s, at most"
    )
    assert len(results) >= 5


# The first process of a terminal, to which it sends signals, becomes a command.
LEADER = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "depthbench", *sys.argv[1:]])
"""


@pytest.mark.slow
def test_ctrl_c_twice_in_a_terminal_gives_the_cursor_back(anew, tmp_path):
    """Through a pseudo-terminal, which sends the signals and has a bar to draw."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", LEADER, *COMMANDS["train"].split()],
        env={**anew, "TERM": "xterm"},
        cwd=tmp_path,
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    screen = io.BytesIO()
    shown = threading.Event()

    def read():
        with contextlib.suppress(OSError):
            while text := os.read(parent, 4096):
                screen.write(text)
                if b"\x1b[?25l" in screen.getvalue():
                    shown.set()  # the bar, and no cursor

    reader = threading.Thread(target=read)
    reader.start()
    assert shown.wait(PATIENCE)
    time.sleep(1.0)  # from the bar to the first steps
    os.write(parent, b"\x03")
    time.sleep(0.3)
    with contextlib.suppress(OSError):
        os.write(parent, b"\x03")
    assert process.wait(PATIENCE) == 130
    reader.join(PATIENCE)
    os.close(parent)
    text = screen.getvalue().decode(errors="replace")
    assert "finishing this step; again to leave" in text
    assert "Traceback" not in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


class Left(Exception):
    """Where a process would have ended."""


def listener() -> Listener:
    def leave(status):
        raise Left(status)

    return Listener(leave)


def test_what_has_nothing_to_save_ends_at_the_first_signal(capsys):
    for number, status, word in (
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 143, "terminated"),
    ):
        with pytest.raises(Left, match=str(status)):
            listener().hear(number)
        assert capsys.readouterr().err == f"depthbench: {word}\n"


def test_what_has_something_to_save_ends_at_the_second(capsys):
    hears, stop = listener(), threading.Event()
    hears.stops.append(stop)
    hears.hear(signal.SIGINT)
    assert stop.is_set() and hears.status == 130
    assert "finishing this step; again to leave" in capsys.readouterr().err
    hears.hear(signal.SIGHUP)  # comes from the shell and from the terminal
    with pytest.raises(Left, match="130"):
        hears.hear(signal.SIGTERM)


def test_after_sigterm_what_does_not_end_is_left(monkeypatch):
    hears = listener()
    hears.stops.append(threading.Event())
    hears.hear(signal.SIGTERM)
    hears.leave_if_late()  # not yet
    monkeypatch.setattr(signals, "GRACE", -1.0)
    hears = listener()
    hears.stops.append(threading.Event())
    hears.hear(signal.SIGTERM)
    with pytest.raises(Left, match="143"):
        hears.leave_if_late()


def test_a_callers_handlers_are_given_back():
    """A notebook's, say, which has an end of its own."""
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    stop = threading.Event()

    def work():
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait(PATIENCE)

    assert signals.supervise([threading.Thread(target=work)], stop) == 130
    assert stop.is_set()
    assert [signal.getsignal(number) for number in signals.NUMBERS] == before


def test_a_callers_second_ctrl_c_is_an_exception_of_its_own():
    stop, over = threading.Event(), threading.Event()

    def work():
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        signals.supervise([threading.Thread(target=work)], stop)
    over.set()


def test_in_a_thread_no_handler_is_set():
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    during = []

    def supervised():
        look = lambda: during.extend(signal.getsignal(n) for n in signals.NUMBERS)
        signals.supervise([threading.Thread(target=look)], threading.Event())

    thread = threading.Thread(target=supervised)
    thread.start()
    thread.join(PATIENCE)
    assert during == before


def test_what_was_ignored_stays_ignored():
    """Under nohup the end of a terminal is no reason to stop."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        during = []
        look = lambda: during.append(signal.getsignal(signal.SIGHUP))
        signals.supervise([threading.Thread(target=look)], threading.Event())
        assert during == [signal.SIG_IGN]
    finally:
        signal.signal(signal.SIGHUP, before)
