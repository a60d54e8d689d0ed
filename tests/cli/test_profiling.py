"""`--profile`: a trace and its operations, marked times, and what is refused."""

import csv
import gzip
import json

import pytest

from depthbench.benchmarks.throughput import study as throughput
from depthbench.research.cli import profiling
from depthbench.research.cli.main import main
from depthbench.research.engine.profiling import OPERATIONS
from depthbench.research.machine import ceilings
from depthbench.research.report import figures, published, run_folder
from depthbench.research.store import manifest
from depthbench.research.study.errors import Refusal

TRAIN = (
    "train --architecture mlp --depth 2 --width 16 --dataset digits --steps 24 --batch 8 "
    "--report-every 12"
).split()
RUN = (
    "run throughput --size smoke --architecture mlp --depth 4 --loop scan --width 8"
).split()


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")


@pytest.fixture
def small_machine(monkeypatch):
    """Its best rates are not measured for long, which these tests do not look at."""
    monkeypatch.setattr(ceilings, "load", lambda: ceilings.Load((16,), 2**16, 2**16))
    monkeypatch.setattr(throughput, "SECONDS", 0.0)


def perfetto(folder):
    (path,) = folder.glob("plugins/profile/*/perfetto_trace.json.gz")
    with gzip.open(path) as file:
        return json.load(file)["traceEvents"]


def operations(folder):
    with open(folder / OPERATIONS, newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_has_a_trace_of_its_steps(tmp_path, no_pictures, capsys):
    out, trace = tmp_path / "out", tmp_path / "trace"
    assert main([*TRAIN, "--out", str(out), "--profile", f"{trace}:5"]) == 0
    printed = capsys.readouterr().out
    assert perfetto(trace)
    found = operations(trace)
    assert found[0]["name"] in printed and "share" in printed
    assert sum(float(one["share"]) for one in found) == pytest.approx(1)
    # Of five steps and of nothing else: what a step does once is there five times.
    counts = {one["count"] for one in found if one["name"].startswith("dot")}
    assert "5" in counts and all(int(count) % 5 == 0 for count in counts)
    assert manifest.of(out).history[-1].profiled is True


def test_numbers_are_those_of_a_training_that_is_not_profiled(tmp_path, no_pictures):
    plain, traced = tmp_path / "plain", tmp_path / "traced"
    assert main([*TRAIN, "--out", str(plain)]) == 0
    more = ["--profile", str(tmp_path / "trace"), "--format", "json"]
    assert main([*TRAIN, "--out", str(traced), *more]) == 0
    names = [path.name for path in sorted((plain / "reports").glob("*.npz"))]
    assert len(names) == 2
    for name in names:
        one, other = ((p / "reports" / name).read_bytes() for p in (plain, traced))
        assert one == other
    assert manifest.of(plain).history[-1].profiled is None


def test_profiled_times_are_marked_and_not_published(
    tmp_path, no_pictures, small_machine, capsys
):
    out, trace = tmp_path / "out", tmp_path / "trace"
    assert main([*RUN, "--out", str(out)]) == 0
    assert main([*RUN, "--out", str(out), "--profile", f"{trace}:3"]) == 0
    results = run_folder.opened(out)
    traced, plain = sorted(results.rows, key=lambda row: not row.get("profiled"))
    assert (plain.get("profiled"), traced["profiled"]) == (None, True)
    (folder,) = trace.iterdir()
    first = operations(folder)[0]["name"]
    assert perfetto(folder) and traced["operations"].startswith(first)
    # The two are never one line of a table: the second has its own name.
    tables = results.study.tables(results.rows)
    names = [row[0] for table in tables for row in table.rows]
    assert names.count("mlp profiled") >= 2 and "mlp" in names
    capsys.readouterr()
    with pytest.raises(Refusal, match="1 of 2 rows were profiled"):
        published.publish(results.study, results.folder, results.records)


@pytest.mark.parametrize("command", [TRAIN, RUN], ids=["train", "throughput"])
@pytest.mark.parametrize("steps", ["0", "-1", "x", "1.5", "", "10001"])
def test_steps_are_a_number_of_steps(command, steps, tmp_path, capsys):
    out, trace = tmp_path / "out", tmp_path / "trace"
    assert main([*command, "--out", str(out), "--profile", f"{trace}:{steps}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{trace}:{steps}" in line and "from 1 to 10,000" in line
    assert not out.exists() and not trace.exists()


@pytest.mark.parametrize("command", [TRAIN, RUN], ids=["train", "throughput"])
def test_the_folder_is_new(command, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "out"
    for place, said in ((tmp_path / "file", "is a file"), (tmp_path, "is not empty")):
        assert main([*command, "--out", str(out), "--profile", str(place)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line and "--profile" in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("command", [TRAIN, RUN], ids=["train", "throughput"])
def test_the_same_command_goes_on_with_its_own_trace(command, tmp_path, no_pictures):
    """As after Ctrl-C; what another run has traced is refused."""
    out, trace = tmp_path / "out", tmp_path / "trace"
    flags = ["--profile", f"{trace}:3"]
    for status in (0, 0):
        assert main([*command, "--out", str(out), *flags]) == status
    if command is TRAIN:
        assert main([*command, "--out", str(tmp_path / "other"), *flags]) == 2


def test_a_trace_has_no_more_steps_than_the_run(tmp_path, capsys):
    out, trace = tmp_path / "out", tmp_path / "trace"
    assert main([*TRAIN, "--out", str(out), "--profile", f"{trace}:23"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "23 steps are more than the run's 24 without the 2 that warm up" in line
    assert not out.exists() and not trace.exists()


def test_a_folders_name_may_have_a_colon(tmp_path):
    assert profiling.of(f"{tmp_path}/a:b:3") == (tmp_path / "a:b", 3)
    assert profiling.of("x") == (profiling.of("x:10"))
