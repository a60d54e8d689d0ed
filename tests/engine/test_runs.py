"""Runs that are interrupted, damaged, crowded or starved: nothing is lost or unclear."""

import errno
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.engine import console
from depthbench.research.report import figures
from depthbench.research.store import rows
from tests import forged
from tests.cli.test_command import SMALL, run_small

pytestmark = pytest.mark.slow  # real runs, some of them killed and begun again

# One compiled program for all that run in this process: both activations, depth 4.
DEEP = ("--depth", "4")
MANY = [
    *("--architecture mlp --initializer he_normal,orthogonal --width 16").split(),
    *("--batch 4 --activation tanh,relu").split(),
    *("--depth " + ",".join(map(str, range(1, 25)))).split(),
]


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    """Pictures take ten times as long as the rows; test_command looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "lay_out", lambda drawn: None)
        patch.setattr(figures, "as_png", lambda drawn: b"")
        patch.setattr(figures, "as_svg", lambda drawn: b"")
        yield


@pytest.fixture(scope="module")
def start():
    """Begins a run of many cells in a process of its own."""

    def begin(out, **streams):
        command = [sys.executable, "-m", "depthbench", "run", "gradient_flow"]
        streams = streams or {
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen([*command, *MANY, "--out", str(out)], **streams)

    return begin


@pytest.fixture(scope="module")
def finished(once):
    """A finished run's folder, to be copied."""

    def make(out):
        assert run_small(out, *DEEP) == 0

    return once("deep", make)


@pytest.fixture
def done(finished, tmp_path, capsys):
    """A finished run's folder of the test's own."""
    capsys.readouterr()
    return shutil.copytree(finished, tmp_path / "run")


def ended(process):
    """The exit status, once the process has ended and its pipe is closed."""
    process.communicate()
    return process.returncode


def contents(folder):
    return {p.name: p.read_bytes() for p in (folder / "cells").iterdir()}


def wait_for_rows(out, count, limit=120):
    until = time.monotonic() + limit
    while len(list((out / "cells").glob("*.json"))) < count:
        assert time.monotonic() < until, "no rows came"
        time.sleep(0.02)


def test_a_second_run_names_the_first_which_sigterm_ends_with_143(
    start, tmp_path, capsys
):
    process = start(tmp_path / "run")
    wait_for_rows(tmp_path / "run", 1)
    assert run_small(tmp_path / "run") == 75
    stderr = capsys.readouterr().err
    assert f"process {process.pid} is running" in stderr and "--shard" in stderr
    process.send_signal(signal.SIGTERM)
    # Seconds, but where all wait for a core.
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "the same command resumes" in stderr
    assert run_small(tmp_path / "run", "--dry-run") == 0


def test_shards_share_the_work_and_make_the_same_rows(finished, tmp_path):
    for shard in ("1/2", "2/2"):
        assert run_small(tmp_path / "parts", *DEEP, "--shard", shard) == 0
        count = len(list((tmp_path / "parts" / "cells").glob("*.json")))
        assert count == {"1/2": 1, "2/2": 2}[shard]
    assert contents(finished) == contents(tmp_path / "parts")


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "profiles", "foreign"])
def test_a_damaged_row_is_set_aside_said_and_run_again(done, capsys, damage):
    out, good = done, contents(done)
    path = sorted((out / "cells").glob("*.json"))[0]
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:50])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "profiles":
        path.with_suffix(".npz").write_bytes(b"PK")
    else:
        path.write_bytes(b'{"hello": [1, 2]}')
    assert run_small(out, *DEEP) == 0
    assert "damaged, moved to quarantine" in capsys.readouterr().err
    assert contents(out) == good
    assert (out / "quarantine" / path.name).exists()


def test_every_bit_of_a_row_is_checked(done):
    path, _ = (done / "cells").glob("*.json")
    content = path.read_bytes()
    chance = random.Random(1)
    for _ in range(60):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            record = rows.load(path)
        except rows.DamagedRow:
            continue
        path.write_bytes(content)  # only spacing may change without notice
        assert record == rows.load(path)


def test_changed_code_is_refused_by_name_and_can_be_accepted(done, capsys):
    out = done
    manifest = json.loads((out / "run.json").read_text())
    manifest["code"]["research/signal/probes.py"] = "0" * 16
    manifest["environment"]["jax"] = "0.0.1"
    forged.edited(out, code=manifest["code"], environment=manifest["environment"])
    more = (*DEEP, "--initializer", "he_normal,lecun_normal")
    assert run_small(out, *more) == 2
    stderr = capsys.readouterr().err
    assert "research/signal/probes.py has changed" in stderr and "0.0.1" in stderr
    assert len(list((out / "cells").glob("*.json"))) == 2
    assert run_small(out, *more, "--accept-changes") == 0
    history = json.loads((out / "run.json").read_text())["history"]
    assert any(
        "research/signal/probes.py has changed" in h.get("accepted", ())
        for h in history
    )


def test_another_studys_folder_is_refused(done, capsys):
    assert main(["run", "finite_width", "--out", str(done)]) == 2
    assert "contains gradient_flow, not finite_width" in capsys.readouterr().err


def test_what_does_not_fit_is_a_row_and_the_rest_goes_on(tmp_path, capsys):
    out = tmp_path / "run"
    command = ["--depth", "4,90000000", "--format", "json"]
    assert run_small(out, *command) == 0
    by_depth = {row["depth"]: row for row in json.loads(capsys.readouterr().out)}
    assert by_depth[4]["status"] == "ok"
    assert by_depth[90000000]["status"] == "oom"
    assert "may be used" in by_depth[90000000]["reason"]
    assert run_small(out, *command, "--retry", "oom") == 0


def test_running_out_of_memory_is_a_row(tmp_path, capsys, monkeypatch):
    """The error that jax raises when an allocation fails, from inside the call."""
    from depthbench.research.signal import measurement

    real = measurement.measure

    def measure(cells, *rest, **keywords):
        if cells[0]["activation"] == "relu":
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
        return real(cells, *rest, **keywords)

    monkeypatch.setattr(measurement, "measure", measure)
    assert run_small(tmp_path / "run", *DEEP, "--format", "json") == 0
    by_activation = {r["activation"]: r for r in json.loads(capsys.readouterr().out)}
    assert by_activation["tanh"]["status"] == "ok"
    assert by_activation["relu"]["status"] == "oom"
    assert "9 bytes" in by_activation["relu"]["reason"]
    monkeypatch.undo()
    assert run_small(tmp_path / "run", *DEEP, "--retry", "oom") == 0
    capsys.readouterr()
    assert run_small(tmp_path / "run", *DEEP, "--format", "json") == 0
    assert {r["status"] for r in json.loads(capsys.readouterr().out)} == {"ok"}


RELUS = "--activation relu_squared,relu --depth 24 --format json".split()


def test_overflow_and_missing_fixed_points_are_rows_with_reasons(tmp_path, capsys):
    command = [*RELUS, "--initializer", "he_normal,critical"]
    assert run_small(tmp_path / "run", *command) == 0
    text = capsys.readouterr().out
    assert "NaN" not in text and "Infinity" not in text
    by_pair = {(r["activation"], r["initializer"]): r for r in json.loads(text)}
    assert by_pair["relu_squared", "he_normal"]["status"] == "overflow"
    assert "layer" in by_pair["relu_squared", "he_normal"]["reason"]
    assert by_pair["relu_squared", "critical"]["status"] == "no_fixed_point"
    assert by_pair["relu", "critical"]["status"] == "ok"


def test_a_dead_signal_says_at_which_layer(tmp_path, capsys):
    assert run_small(tmp_path / "run", *RELUS, "--sigma-w2", "0.0001") == 0
    row = {r["activation"]: r for r in json.loads(capsys.readouterr().out)}["relu"]
    assert row["status"] == "lost" and row["log10_ratio"] is None
    # h shrinks by √(σ_w² / 2) = 0.0071 at each layer: float32 ends near 2^-126, at layer
    # 17.6; 16 units lose more than infinitely many.
    assert 13 < row["signal_lost_at"] < 20


def test_a_full_disk_ends_the_run_with_one_line(tmp_path, capsys, monkeypatch):
    real, count = os.fsync, [0]

    def full(descriptor):
        count[0] += 1
        if count[0] > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert run_small(tmp_path / "run", *DEEP) == 74
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "No space left on device" in lines[0]
    monkeypatch.undo()
    assert run_small(tmp_path / "run", *DEEP) == 0
    assert not list((tmp_path / "run" / "cells").glob("*.tmp"))


def test_nothing_is_unpickled(done, tmp_path, capsys):
    """An object array that would run code when unpickled is refused instead."""
    marker = tmp_path / "marker"

    class Bomb:
        def __reduce__(self):
            return (marker.write_text, ("boom",))

    planted = io.BytesIO()
    with zipfile.ZipFile(planted, "w") as archive:
        content = io.BytesIO()
        array = np.array([Bomb()], dtype=object)
        np.lib.format.write_array(content, array, allow_pickle=True)
        archive.writestr("log10_gradient.npy", content.getvalue())
    path, _ = (done / "cells").glob("*.json")
    forged.rewritten(path, planted.getvalue())
    assert main(["report", str(done)]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not marker.exists()


def test_a_clock_that_jumps_back_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: -86400.0)
    assert run_small(tmp_path / "run", *DEEP) == 0
    history = json.loads((tmp_path / "run" / "run.json").read_text())["history"]
    assert all(entry["seconds"] >= 0 for entry in history)


def test_no_row_or_manifest_names_the_host_or_user(finished):
    import getpass
    import socket

    text = "".join(p.read_text() for p in finished.rglob("*.json"))
    for name in (socket.gethostname(), os.path.expanduser("~")):
        assert len(name) < 3 or name not in text
    assert f'"{getpass.getuser()}"' not in text


def test_time_left_and_sizes_read_well():
    assert console.duration(0.2) == "1 s"
    assert console.duration(240) == "4 min"
    assert console.size(3 * 2**30) == "3.0 GiB"
    assert SMALL  # the shared grid is what these tests run
