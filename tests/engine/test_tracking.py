"""Trackers: their files hold what was given, and what they cannot do loses nothing."""

import importlib.util
import json
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from depthbench.research.engine import tracking
from depthbench.research.engine.trackers import TRACKERS
from depthbench.research.engine.tracking import Tracking

# What is given to each tracker, and so what its files have to give back.
GIVEN = """
import sys, pathlib
import numpy as np
from depthbench.research.engine import tracking
name, out = sys.argv[1], pathlib.Path(sys.argv[2])
sink = tracking.Tracking(name, lambda: tracking.opened(name, out))
for step in range(3):
    values = {"loss": 2.0**-step, "rate": None, "ratio": float("nan")}
    sink.scalars(step, {**values, "net": "mlp"} if step == 0 else values)
sink.picture(2, "heat", lambda: np.full((4, 6, 3), 128, np.uint8))
sink.close()
"""
READ = {
    "wandb": """
import glob, struct, sys
from wandb.proto import wandb_internal_pb2 as records
(path,) = glob.glob(sys.argv[1] + "/wandb/offline-run-*/*.wandb")
# LevelDB's log: blocks of 32 KiB of parts (checksum, length, kind), after 7 bytes.
content, at, parts, whole = open(path, "rb").read(), 7, b"", []
while at + 7 <= len(content):
    if (left := 2**15 - at % 2**15) < 7:
        at += left
        continue
    _, length, kind = struct.unpack("<IHB", content[at : at + 7])
    parts += content[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (1, 4):
        whole.append(parts)
        parts = b""
losses, names = [], set()
for data in whole:
    record = records.Record()
    record.ParseFromString(data)
    for item in record.history.item:
        name = item.key or item.nested_key[0]
        names.add(name)
        if name == "loss":
            losses.append(float(item.value_json))
print(losses, sorted(n for n in names if n in ("loss", "rate", "ratio", "net", "heat")))
""",
    "trackio": """
import os, sys
os.environ["TRACKIO_DIR"] = sys.argv[1]
from trackio.sqlite_storage import SQLiteStorage
(run,) = SQLiteStorage.get_runs("depthbench")
logs = SQLiteStorage.get_logs("depthbench", run)
losses = [log["loss"] for log in logs if "loss" in log]
names = {name for log in logs for name in log} - {"timestamp", "step"}
print(losses, sorted(names))
""",
    "mlflow": """
import sys
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=f"sqlite:///{sys.argv[1]}/mlflow.db")
(experiment,) = (e for e in client.search_experiments() if e.name == "depthbench")
(run,) = client.search_runs([experiment.experiment_id])
losses = [m.value for m in client.get_metric_history(run.info.run_id, "loss")]
names = {*run.data.metrics, *run.data.tags["step 0"].split("=")[:1]}
names |= {"heat" for f in client.list_artifacts(run.info.run_id, "images")}
print(losses, sorted(names))
""",
}


def installed(name):
    module = TRACKERS[name].package
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install 'depthbench[{name}]'")


def events(folder):
    """(step, name, kind, value) of each value in a folder's one file of events."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            found.append((event.step, value.tag, kind, getattr(value, kind)))
    return found


def test_tensorboards_file_has_what_was_given(tmp_path, clean_environment, root):
    installed("tensorboard")
    written("tensorboard", tmp_path, clean_environment, root)
    found = events(tracking.place(tmp_path, "tensorboard"))
    assert [(s, v) for s, n, _, v in found if n == "loss"] == [
        (0, 1),
        (1, 0.5),
        (2, 0.25),
    ]
    names = {name.partition("/")[0] for _, name, _, _ in found}
    assert names == {"loss", "net", "heat"}  # what is no number is not there
    (picture,) = (value for _, name, _, value in found if name == "heat")
    assert (picture.height, picture.width) == (4, 6)


@pytest.mark.parametrize("name", READ)
def test_files_have_what_was_given_and_are_read_offline(
    name, tmp_path, clean_environment, root
):
    installed(name)
    written(name, tmp_path, clean_environment, root)
    done = subprocess.run(
        [sys.executable, "-c", READ[name], str(tracking.place(tmp_path, name))],
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == "[1.0, 0.5, 0.25] ['heat', 'loss', 'net']", (
        done.stderr
    )


def written(name, out, environment, root):
    """A tracker's files below a folder; nothing is printed, and no socket leaves here."""
    guard = (
        "import socket\n"
        "connect = socket.socket.connect\n"
        "def local(self, address):\n"
        "    if isinstance(address, tuple) and address[0] not in ('127.0.0.1', '::1'):\n"
        "        raise SystemExit(f'connects to {address}')\n"
        "    return connect(self, address)\n"
        "socket.socket.connect = local\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", guard + GIVEN, name, str(out)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "") and "connects" not in done.stderr
    assert "nothing more is tracked" not in done.stderr


class Raises:
    """A tracker that raises where it is told to, and else does nothing."""

    def __init__(self, where):
        self.where, self.calls = where, []

    def _called(self, name):
        self.calls.append(name)
        if name in self.where:
            raise OSError(28, "No space left on device")

    def scalars(self, step, values):
        self._called("scalars")

    def picture(self, step, name, pixels):
        self._called("picture")

    def close(self):
        self._called("close")


@pytest.mark.parametrize(
    "where", [["open"], ["scalars"], ["picture"], ["close"], ["scalars", "close"]]
)
def test_what_a_tracker_raises_is_one_line(where, capsys):
    sink = Raises(where)

    def open_():
        sink._called("open")
        return sink

    tracked = Tracking("wandb", open_)
    for step in range(3):
        tracked.scalars(step, {"loss": 1.0})
        tracked.picture(step, "heat", lambda: np.zeros((1, 1, 3), np.uint8))
    tracked.close()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("depthbench: --track wandb: OSError: ")
    assert "No space left" in line and line.endswith("nothing more is tracked")
    # It is left alone after that, but for an end.
    assert sink.calls.count(where[0]) == 1 + (where == ["close"])


def test_a_picture_that_cannot_be_drawn_is_one_line(capsys):
    tracked = Tracking("wandb", lambda: Raises([]))
    tracked.picture(0, "heat", lambda: 1 / 0)
    tracked.close()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_tracker_that_hangs_is_waited_for_no_longer_than_that(monkeypatch, capsys):
    monkeypatch.setattr(tracking, "PATIENCE", 0.01)
    hangs = threading.Event()
    tracked = Tracking("wandb", lambda: hangs.wait() and Raises([]))
    tracked.scalars(0, {"loss": 1.0})
    tracked.close()
    assert "has not written all after 0.01 s" in capsys.readouterr().err
    hangs.set()


def test_a_tracker_that_falls_behind_is_a_line_and_steps_are_left_out(
    monkeypatch, capsys
):
    monkeypatch.setattr(tracking, "WAITING", 3)
    sink, goes_on = Raises([]), threading.Event()
    tracked = Tracking("wandb", lambda: goes_on.wait() and sink)
    for step in range(9):
        tracked.scalars(step, {"loss": 1.0})
    goes_on.set()
    tracked.close()
    assert sink.calls == ["scalars"] * 3 + ["close"]
    assert capsys.readouterr().err.count("falls behind") == 1


def test_nothing_is_opened_where_nothing_is_tracked(capsys):
    tracked = Tracking("wandb", lambda: Raises(["open"]))
    tracked.close()
    assert capsys.readouterr().err == ""


def test_a_full_disk_is_one_line(tmp_path, clean_environment, root):
    """Of tensorboardX too, which writes in a thread of its own."""
    installed("tensorboard")
    program = (
        "import resource, signal, sys, pathlib\n"
        "from depthbench.research.engine import tracking\n"
        "import tensorboardX\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "sink = tracking.Tracking(\n"
        "    'tensorboard', lambda: tracking.opened('tensorboard', out))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "for step in range(2000):\n"
        "    sink.scalars(step, {'loss': 1.0})\n"
        "sink.close()\n"
        "print('went on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(tmp_path)],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")
    (line,) = done.stderr.splitlines()
    assert "File too large" in line


def test_words_and_finite_numbers_are_tracked_alone():
    """A missing value is left out: it is never 0."""
    values = {"a": 1, "b": 2.5, "c": None, "d": float("inf"), "e": "mlp", "f": ""}
    assert json.dumps(tracking.numbers(values)) == '{"a": 1, "b": 2.5, "e": "mlp"}'
