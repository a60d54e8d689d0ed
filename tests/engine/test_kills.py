"""Kills, of what × by which signal × at which moment: nothing on the disk is lost, and
what goes on ends with the bits of what was never stopped.

One start, one signal and one more start for each; `-m exhaustive` runs every combination.
"""

import io
import json
import os
import pty
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from depthbench.research.cli.main import main
from depthbench.research.store import rows
from tests import checkpoint_loop, gan_loop
from tests.learning.test_sharding import alike, curves

pytestmark = pytest.mark.slow

RUN = [
    *"run gradient_flow --architecture mlp --initializer he_normal,orthogonal".split(),
    *"--width 16 --batch 4 --activation tanh,relu --depth".split(),
    ",".join(map(str, range(1, 25))),
]
TRAIN = (
    "train --depth 3 --width 16 --steps 1200 --batch 16 --seeds 2 --normalizer batch "
    "--report-every 400 --checkpoint-seconds 0.2"
).split()
SPLIT = (
    "train --depth 1 --width 8 --steps 600 --batch 16 --report-every 200 --optimizer sgd "
    "--checkpoint-seconds 0.2"
).split()
LOOP_STEPS = 60


def cells(folder: Path) -> set[str]:
    """The names of the rows on the disk."""
    return {path.name for path in (folder / "cells").glob("*.json")}


def steps(folder: Path) -> set[str]:
    """The names of the checkpoints on the disk."""
    return {path.name for path in checkpoints_of(folder).glob("[0-9]*")}


def checkpoints_of(folder: Path) -> Path:
    inner = folder / "checkpoints"
    return inner if inner.is_dir() else folder


def rows_of(folder: Path) -> dict[str, bytes]:
    """Everything that a run leaves but its history, and the halves of a killed one."""
    files = [*(folder / "cells").iterdir(), folder / "rows.csv", folder / "report.md"]
    return {p.name: p.read_bytes() for p in files if p.suffix != ".tmp"}


def state_of(folder: Path) -> dict[str, bytes]:
    """The reports of a training run, and the SHA-256 of its last state."""
    last = max(map(int, steps(folder)))
    seal = json.loads((checkpoints_of(folder) / f"{last}" / "seal.json").read_text())
    reports = {p.name: p.read_bytes() for p in (folder / "reports").glob("*")}
    return {**reports, f"state {last}": seal["digest"].encode()}


class Work(NamedTuple):
    """What is stopped.

    commands: one for each of its processes.
    saved: the names of what is whole on the disk.
    result: what must have the same bits.
    half: the pattern of what is being written.
    """

    commands: Callable[[Path], list[list[str]]]
    saved: Callable[[Path], set[str]]
    result: Callable[[Path], dict[str, bytes]]
    half: str


def command(*arguments: str) -> Callable[[Path], list[list[str]]]:
    module = [sys.executable, "-m", "depthbench", *arguments]
    return lambda folder: [[*module, "--out", str(folder)]]


def pair(folder: Path) -> list[list[str]]:
    """Two processes with a device each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    together = f"--mesh parameters=2 --num-processes 2 --coordinator {coordinator}"
    (one,) = command(*SPLIT, *together.split())(folder)
    return [[*one, "--process-id", str(number)] for number in range(2)]


def loop(folder: Path) -> list[list[str]]:
    script = checkpoint_loop.__file__
    return [[sys.executable, script, str(folder), str(LOOP_STEPS)]]


def players(folder: Path) -> list[list[str]]:
    """A generator and a discriminator, whose state is that of two nets."""
    return [[sys.executable, gan_loop.__file__, str(folder)]]


WORKS = {
    "run": Work(command(*RUN), cells, rows_of, "cells/*.tmp"),
    "training": Work(command(*TRAIN), steps, state_of, "checkpoints/.part-*"),
    "players": Work(players, steps, state_of, "checkpoints/.part-*"),
    "checkpoints": Work(loop, steps, state_of, ".part-*"),
    "processes": Work(pair, steps, state_of, "checkpoints/.part-*"),
}
SIGNALS = {
    "kill -9": (signal.SIGKILL,),
    "SIGTERM": (signal.SIGTERM,),
    "Ctrl-C": (signal.SIGINT,),
    "a second signal": (signal.SIGINT, signal.SIGTERM),
}
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
MOMENTS = ("importing", "working", "writing")
# Of everything one, by each signal; before anything is written there is least to lose.
ALWAYS = {
    ("run", "kill -9", "working"),
    ("run", "a second signal", "working"),
    ("training", "Ctrl-C", "writing"),
    ("players", "kill -9", "working"),
    ("checkpoints", "SIGTERM", "writing"),
    ("processes", "kill -9", "working"),
}
LATE = 300.0  # seconds after which a process hangs, on a machine that does much besides


def start(what: str, folder: Path) -> list[subprocess.Popen]:
    return [
        subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in WORKS[what].commands(folder)
    ]


def ended(group: list[subprocess.Popen]) -> list[tuple[int, str]]:
    """[(exit status, stderr)], once all have ended."""
    try:
        stderrs = [process.communicate(timeout=LATE)[1] for process in group]
    finally:
        for process in group:
            process.kill()
    return [(p.returncode, text) for p, text in zip(group, stderrs, strict=True)]


def wait_for(arrived: Callable[[], bool], group, pause=0.01) -> None:
    """Until something is seen, or a process has ended by itself."""
    until = time.monotonic() + LATE
    while not arrived() and all(process.poll() is None for process in group):
        assert time.monotonic() < until, "nothing was written"
        time.sleep(pause)


def wait(moment: str, what: str, folder: Path, group: list[subprocess.Popen]) -> None:
    """Until the moment has come: a random one, so that runs of this test differ."""
    work, chance = WORKS[what], random.Random()
    if moment == "importing":  # or while it compiles
        time.sleep(chance.uniform(0.2, 2.0))
        return
    wait_for(lambda: bool(work.saved(folder)), group)
    if moment == "working":
        time.sleep(chance.uniform(0.0, 0.1))
    else:
        wait_for(lambda: any(folder.glob(work.half)), group, pause=0)


@pytest.fixture
def whole(once):
    """What was never stopped, by its name: made once."""

    def make(what: str) -> Path:
        def run(folder: Path) -> None:
            for status, stderr in ended(start(what, folder)):
                assert status == 0, stderr

        return once(f"whole-{what}", run)

    return make


MATRIX = [
    pytest.param(
        *case,
        id=", ".join(case),
        marks=() if case in ALWAYS else pytest.mark.exhaustive,
    )
    for case in product(WORKS, SIGNALS, MOMENTS)
]


def times(folder: Path) -> dict[str, int]:
    """When each row on the disk was written."""
    return {
        name: (folder / "cells" / name).stat().st_mtime_ns for name in cells(folder)
    }


def step_in(pattern: str, stderr: str) -> int | None:
    match = re.search(pattern + r" step (\d+)", stderr)
    return int(match[1]) if match else None


def stop(what: str, by: str, moment: str, folder: Path) -> str:
    """What was said by what is started and stopped."""
    group = start(what, folder)
    wait(moment, what, folder, group)
    running = all(process.poll() is None for process in group)
    # One that dies ends the other, if they have met; a terminal's signal reaches both.
    alone = by == "kill -9" and moment != "importing"
    for number in SIGNALS[by]:
        for process in group[:1] if alone else group:
            process.send_signal(number)
    (status, stderr), *others = ended(group)
    if running and moment != "importing":  # where Python has its own way to end
        assert status == STATUS[SIGNALS[by][0]], stderr
        for other, why in others:
            assert other != 0
            if by == "kill -9":
                assert "leader task" in why or "lost contact with another one" in why
                assert "lost another one" in why.partition("coordination")[0]  # first
    return stderr


def finish(what: str, folder: Path) -> str:
    """What was said by what goes on to its end."""
    (status, stderr), *others = ended(start(what, folder))
    assert status == 0 and "damaged" not in stderr, stderr
    for other, text in others:
        assert other == 0 and step_in("from", text) is None, text
    return stderr


@pytest.mark.parametrize(("what", "by", "moment"), MATRIX)
def test_nothing_is_lost_and_the_bits_are_the_same(what, by, moment, whole, tmp_path):
    work, folder = WORKS[what], tmp_path / "stopped"
    reference = whole(what)  # first: it compiles what is stopped below
    heard = stop(what, by, moment, folder)
    saved, written = work.saved(folder), times(folder)
    for name in written:
        rows.load(folder / "cells" / name)  # whole, whatever the moment
    stderr = finish(what, folder)
    assert work.result(folder) == work.result(reference)
    assert written.items() <= times(folder).items(), "a row was run twice"
    if what == "run":
        return
    newest, last = (max(map(int, names), default=0) for names in (saved, steps(folder)))
    if 0 < newest < last:
        assert step_in("from", stderr) >= newest
    assert not any(folder.glob(work.half))
    if "stopped at" in heard and newest > 0:  # the loop, which saves where it is
        assert step_in("stopped at", heard) == newest


@pytest.mark.exhaustive
@pytest.mark.parametrize("what", ["run", "training", "checkpoints"])
def test_fifty_kills_at_random_moments_lose_nothing(what, whole, tmp_path):
    """Of one folder or the next, as often as one has ended; says how many of each."""
    work, reference, chance = WORKS[what], whole(what), random.Random(50)
    began = time.monotonic()
    finish(what, tmp_path / "timed")
    lasts, killed, folders = time.monotonic() - began, 0, 0
    folder = tmp_path / "killed-0"
    while killed < 50:
        (process,) = start(what, folder)
        time.sleep(chance.uniform(0.0, 1.3 * lasts))  # some are to come to their end
        process.kill()
        ((status, stderr),) = ended([process])
        assert "Traceback" not in stderr and "damaged" not in stderr, stderr
        killed += status != 0
        if status == 0:
            assert work.result(folder) == work.result(reference)
            folders += 1
            folder = tmp_path / f"killed-{folders}"
    finish(what, folder)
    assert work.result(folder) == work.result(reference)
    assert not [*folder.rglob("*.tmp"), *folder.glob(work.half)]
    print(f"{what}: {killed} killed, {folders} had ended before")


def test_two_processes_are_one_run(whole, tmp_path):
    assert main([*SPLIT, "--out", str(tmp_path / "one")]) == 0
    alike(curves(whole("processes")), curves(tmp_path / "one"))


def test_ctrl_c_in_a_terminal_says_what_is_kept(tmp_path):
    """Through a pseudo-terminal, so the progress bar and the signal are the real ones."""
    parent, child = pty.openpty()
    folder = tmp_path / "run"
    (line,) = WORKS["run"].commands(folder)
    process = subprocess.Popen(
        line, stdin=child, stdout=child, stderr=child, start_new_session=True
    )
    os.close(child)
    screen = io.BytesIO()

    def read():
        while True:
            try:
                screen.write(os.read(parent, 4096))
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    wait_for(lambda: len(cells(folder)) >= 3, [process])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LATE) == 130
    reader.join(timeout=10)
    os.close(parent)
    text = screen.getvalue().decode(errors="replace")
    assert "cells" in text and "saved in" in text and "Traceback" not in text
