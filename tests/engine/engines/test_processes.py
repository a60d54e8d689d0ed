"""Sweeps in other processes, by the command line: the rows of a plain run, bit for bit and
once each, whatever is killed meanwhile. `-m exhaustive` kills more often.
"""

import functools
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests import loopback
from tests.engine.test_kills import cells, rows_of, wait_for

LATE = 900.0  # seconds after which a sweep hangs, on a machine that does much besides
# As long as three kills take on a fast machine, in programs enough for two workers.
SWEEP = [
    *"gradient_flow --architecture mlp,residual_mlp,highway_mlp --width 16".split(),
    *"--initializer he_normal --activation tanh,relu,gelu,sigmoid --batch 4".split(),
    *("--format", "csv", "--depth", ",".join(map(str, range(1, 25)))),
]
LOCAL = ["--on", "slurm:any,cluster=local", "--workers", "2"]
ROWS = 288
LONG = [*SWEEP[:-1], ",".join(map(str, range(1, 481)))]  # as thirty kills take
NO_RAY = "" if importlib.util.find_spec("ray") else "ray is not installed"
NO_SUBMITIT = (
    "" if importlib.util.find_spec("submitit") else "submitit is not installed"
)

pytestmark = pytest.mark.slow
ray = pytest.mark.skipif(
    bool(NO_RAY or loopback.why_not()), reason=NO_RAY or loopback.why_not()
)
slurm = pytest.mark.skipif(bool(NO_SUBMITIT), reason=NO_SUBMITIT)
MANY = pytest.param(30, marks=pytest.mark.exhaustive)


def run(out: Path, *more: str, sweep: Sequence[str] = SWEEP) -> list[str]:
    return [
        *(sys.executable, "-m", "depthbench", "run"),
        *sweep,
        *more,
        "--out",
        str(out),
    ]


@pytest.fixture
def plain_of(once) -> Callable[[Sequence[str]], Path]:
    """A sweep -> its folder on threads."""

    def of(sweep: Sequence[str]) -> Path:
        make = lambda folder: subprocess.run(
            run(folder, sweep=sweep), check=True, capture_output=True, timeout=LATE
        )
        return once("long-engines" if sweep is LONG else "plain-engines", make)

    return of


@pytest.fixture
def plain(plain_of) -> Path:
    """The sweep on threads."""
    folder = plain_of(SWEEP)
    assert len(cells(folder)) == ROWS
    return folder


def begun(out: Path, *more: str, sweep: Sequence[str] = SWEEP) -> subprocess.Popen:
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(run(out, *more, sweep=sweep), text=True, **pipes)


def processes(folder: Path) -> list[int]:
    """The jobs of a run in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if b"-m\0submitit." in command and str(folder).encode() in command:
            found.append(int(process.name))
    return found


def whole(out: Path, rows: int, kills: int) -> None:
    """Every cell has a row of the run that was killed at; three kills cost one at most."""
    names = cells(out)
    assert len(names) == rows
    texts = [(out / "cells" / name).read_text() for name in names]
    assert sum('"crashed"' in text for text in texts) <= kills // 3


def completed(out: Path, sweep: Sequence[str] = SWEEP) -> None:
    """Has cells measured again whose processes were lost three times."""
    subprocess.run(
        run(out, "--retry", "crashed", sweep=sweep),
        check=True,
        capture_output=True,
        timeout=LATE,
    )


@slurm
@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.exhaustive)])
def test_jobs_of_submitit_give_a_plain_runs_rows_through_kills(
    plain_of, tmp_path, kills
):
    sweep = SWEEP if kills <= 3 else LONG
    out, chance, left = tmp_path / "run", random.Random(), kills
    driver = begun(out, *LOCAL, sweep=sweep)
    more = lambda before: len(cells(out)) > before or not processes(out)
    while driver.poll() is None and left:
        before = len(cells(out)) if out.exists() else 0
        wait_for(functools.partial(more, before), [driver])
        time.sleep(chance.uniform(0.0, 1.0))
        jobs = processes(out)
        if jobs:
            os.kill(chance.choice(jobs), signal.SIGKILL)
            left -= 1
    _, stderr = driver.communicate(timeout=LATE)
    assert driver.returncode == 0, stderr
    assert left == 0, "the sweep was over before"
    plain = plain_of(sweep)
    whole(out, len(cells(plain)), kills)
    completed(out, sweep)
    assert rows_of(out) == rows_of(plain)
    assert not (out / ".jobs").exists()


@slurm
def test_a_killed_drivers_jobs_end_and_the_next_one_goes_on(plain, tmp_path):
    out = tmp_path / "run"
    driver = begun(out, *LOCAL)
    wait_for(lambda: bool(cells(out)), [driver])
    other = subprocess.run(
        run(out, *LOCAL), capture_output=True, text=True, timeout=LATE
    )
    assert other.returncode == 75 and "is running here" in other.stderr
    driver.kill()
    driver.communicate()
    orphans = set(processes(out))
    again = subprocess.run(
        run(out, *LOCAL), capture_output=True, text=True, timeout=LATE
    )
    assert again.returncode == 0, again.stderr
    assert not orphans & set(processes(out))
    assert rows_of(out) == rows_of(plain)


@slurm
def test_ctrl_c_lets_jobs_end_their_units_and_leaves_none(plain, tmp_path):
    out = tmp_path / "run"
    driver = begun(out, *LOCAL)
    wait_for(lambda: bool(cells(out)), [driver])
    driver.send_signal(signal.SIGINT)
    _, stderr = driver.communicate(timeout=LATE)
    assert driver.returncode == 130
    assert f"of {ROWS} cells are saved" in stderr
    until = time.monotonic() + 60
    while processes(out):
        assert time.monotonic() < until, "a job goes on"
        time.sleep(0.2)
    completed(out)
    assert rows_of(out) == rows_of(plain)


def alone(what: str, out: Path) -> dict:
    """What tests.ray_alone says of a try."""
    words = loopback.command("tests.ray_alone", what, str(out), *SWEEP)
    done = subprocess.run(words, capture_output=True, text=True, timeout=LATE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def lines_of(said: dict) -> list[str]:
    """Lines of ours: Ray warns of a machine without a network."""
    return [s for s in said["stderr"].splitlines() if s.startswith("depthbench: ")]


@ray
def test_ray_gives_a_plain_runs_rows_and_lets_no_stranger_in(plain, tmp_path):
    out = tmp_path / "run"
    said = alone("stranger", out)
    assert not said["inside"] and "InvalidAuthToken" in said["why"]
    assert said["status"] == 0 and not lines_of(said)
    loops = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, and as IPv6
    assert said["listening"] and set(said["listening"]) <= loops
    assert rows_of(out) == rows_of(plain)


@ray
def test_a_ray_that_asks_for_no_token_is_refused_before_anything_runs_there(tmp_path):
    out = tmp_path / "run"
    words = loopback.command("tests.ray_open", str(out), *SWEEP)
    done = subprocess.run(words, capture_output=True, text=True, timeout=LATE)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    (line,) = said["stderr"].splitlines()
    assert said["status"] == 2 and "asks for no token" in line
    assert not out.exists()


@ray
@pytest.mark.parametrize("what, status", [("interrupted", 130), ("killed", -9)])
def test_a_ray_ends_with_its_driver_and_the_run_goes_on(plain, tmp_path, what, status):
    out = tmp_path / "run"
    said = alone(what, out)
    assert said["status"] == status
    assert not any("Traceback" in line for line in said["stderr"].splitlines())
    completed(out)  # on threads: rows do not know what measured them
    assert rows_of(out) == rows_of(plain)


@ray
def test_a_head_that_is_gone_is_one_line_and_nothing_is_lost(plain, tmp_path):
    out = tmp_path / "run"
    said = alone("headless", out)
    if said["status"] == 0:  # all was measured before it was seen
        assert len(cells(out)) == ROWS and not lines_of(said)
    else:
        (line,) = lines_of(said)
        assert said["status"] == 75 and "is gone; finished cells are saved" in line
        assert cells(out)
    completed(out)
    assert rows_of(out) == rows_of(plain)


@ray
@pytest.mark.parametrize("kills", [3, MANY])
def test_a_cluster_gives_a_plain_runs_rows_through_lost_workers_and_nodes(
    plain_of, tmp_path, kills
):
    sweep = SWEEP if kills <= 3 else LONG
    out, seed = tmp_path / "run", random.randrange(10**6)
    words = loopback.command(
        "tests.ray_cluster", str(out), str(kills), str(seed), *sweep
    )
    done = subprocess.run(words, capture_output=True, text=True, timeout=LATE)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["status"] == 0, said
    assert said["workers"] + said["nodes"] == kills, (seed, said)
    plain = plain_of(sweep)
    whole(out, len(cells(plain)), kills)
    completed(out, sweep)
    assert rows_of(out) == rows_of(plain)


@ray
def test_one_training_runs_in_two_processes_of_ray(tmp_path):
    """As docs/cluster.md has it, on a node each."""
    out = tmp_path / "two"
    flags = "--mesh data=2 --batch 16 --depth 2 --width 16 --steps 40 --report-every 20"
    words = loopback.command("tests.ray_mesh", "2", *flags.split(), "--out", str(out))
    done = subprocess.run(words, capture_output=True, text=True, timeout=LATE)
    assert done.returncode == 0, done.stderr
    assert "After 40 steps" in done.stdout + done.stderr
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["mesh"] == "data=2"
    assert manifest["environment"]["devices"] == 2
