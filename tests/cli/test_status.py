"""`depthbench status`: how much of a run is done, who is at work, and how to go on."""

import itertools
import json
import os
import shlex
import shutil
from functools import partial

import pytest
from msgspec.structs import replace

from depthbench.research.cli import status
from depthbench.research.cli.main import main
from depthbench.research.engine import resumption, runner
from depthbench.research.report import figures
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store.rows import NO_DATA, cell_id
from depthbench.research.study.studies import studies
from tests import forged
from tests.cli.test_command import run_small
from tests.report.test_coverage import planned

COLUMNS = 80


@pytest.fixture
def part(once, tmp_path, capsys, monkeypatch):
    """A folder with one of two shares."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.setattr(figures, "as_png", lambda drawn: b"")
    monkeypatch.setattr(figures, "as_svg", lambda drawn: b"")

    def make(out):
        for number in (1, 2):
            assert run_small(out / str(number), "--shard", f"{number}/2") == 0

    folder = shutil.copytree(once("small-in-two", make) / "1", tmp_path / "part")
    capsys.readouterr()
    return folder


def shown(capsys, folder):
    assert main(["status", str(folder)]) == 0
    return capsys.readouterr().out


def as_json(capsys, folder):
    assert main(["status", str(folder), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_part_of_a_run_on_one_screen(part, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    text = shown(capsys, part)
    assert "2 of 4 cells: 2 ok" in text and "missing    2" in text
    assert "nobody" in text and "2 cells, in" in text
    assert len(text.splitlines()) < 24
    assert all(len(line) <= COLUMNS for line in text.splitlines())
    body = as_json(capsys, part)
    assert (body["cells"], body["done"], body["statuses"]) == (4, 2, {"ok": 2})
    assert len(body["missing"]) == 2 and body["missing"][0]["width"] == 16


@pytest.mark.slow
def test_the_command_that_it_names_makes_the_rest(part, capsys):
    words = shlex.split(as_json(capsys, part)["command"])
    assert words[:3] == ["depthbench", "run", "gradient_flow"]
    assert main(words[1:]) == 0
    capsys.readouterr()
    text = shown(capsys, part)
    assert "4 of 4 cells: 4 ok" in text and "missing" not in text
    assert f"depthbench report {part}" in text


@pytest.mark.slow
def test_who_is_at_work_and_what_is_damaged(part, capsys):
    with folders.held(part, "gradient_flow", "2/2"):
        assert f"process {os.getpid()} (share 2/2)" in shown(capsys, part)
    assert as_json(capsys, part)["at_work"] == []
    path = sorted((part / "cells").glob("*.json"))[0]
    path.write_bytes(b"")
    text = shown(capsys, part)
    assert "1 of 4 cells" in text and "damaged    1" in text and path.name in text
    (part / "run.json").write_bytes(b"")
    assert "its copy is used" in shown(capsys, part)


@pytest.mark.slow
def test_a_folder_of_an_earlier_version_says_how_many_and_no_more(part, capsys):
    forged.edited(part, grid={})
    text = shown(capsys, part)
    assert "2 of 4 cells" in text and "missing    2\n" in text
    assert status.SAME in text


@pytest.mark.parametrize("name", studies())
def test_the_command_plans_what_the_folder_has(name, tmp_path):
    """Of each size of each study, half done; nothing else is in the command's plan."""
    study = studies()[name]
    for size in ("smoke", "standard"):
        cells, manifest = planned(study, size)
        there = {cell_id(name, cell, "none") for cell in cells[::2]}
        if len(there) == len(cells):
            continue
        words = shlex.split(status.command(study, tmp_path, manifest, there))
        if name == "own_model":  # whose cells name a user's module, which is not run
            assert " ".join(words) == status.SAME.replace("'", "")
            continue
        more = [] if size == "standard" else ["--size", size]
        assert words == ["depthbench", "run", name, *more, "--out", str(tmp_path)]


def test_the_command_plans_cells_of_several_data_sets_and_of_none(tmp_path):
    study = studies()["gradient_flow"]
    cells, manifest = planned(study, "smoke")
    data = {"digits": "0a", "tfds:mnist:3.0.1": "1b"}
    fed_with = itertools.cycle([*data.values(), NO_DATA])
    ids = list(map(partial(cell_id, study.name), cells, fed_with))
    several = replace(manifest, cells=sorted(ids), data=data)
    for there in ((), ids[::2]):
        line = status.command(study, tmp_path, several, there)
        assert line == f"depthbench run gradient_flow --size smoke --out {tmp_path}"
    fewer = replace(several, cells=sorted(ids)[1:])
    assert status.command(study, tmp_path, fewer, ()) == status.SAME


def test_values_that_were_typed_are_typed_again(tmp_path):
    study = studies()["gradient_flow"]
    cells, manifest = planned(study, "smoke")
    deeper = [{**cell, "depth": depth} for cell in cells for depth in (3, 5)]
    fresh = manifests.Manifest(
        schema=3,
        study=study.name,
        code={},
        environment={},
        cells=sorted(cell_id(study.name, cell, "none") for cell in deeper),
        grid=runner.grid_of([study.named(cell) for cell in deeper]),
    )
    line = status.command(study, tmp_path, fresh, ())
    assert line.startswith("depthbench run gradient_flow --size smoke --depth 3,5")
    both = resumption.together(manifest, fresh, ())
    assert "--depth" in status.command(study, tmp_path, both, ())
    some = manifests.Manifest(
        schema=3,
        study=study.name,
        code={},
        environment={},
        cells=sorted({*fresh.cells})[1:],
        grid=fresh.grid,
    )  # no grid has these
    assert status.command(study, tmp_path, some, ()) == status.SAME


@pytest.mark.parametrize("name", ["os:getcwd", "csv:/etc/passwd", "no_such"])
def test_what_a_strangers_folder_names_is_neither_read_nor_run(tmp_path, name):
    study = studies()["gradient_flow"]
    _, manifest = planned(study, "smoke")
    manifest.grid["dataset"] = [name]
    assert not status.ours(study, manifest)
    assert status.command(study, tmp_path, manifest, ()) == status.SAME


def test_what_is_no_study_run_is_refused(tmp_path, capsys, root):
    committed = root / "benchmarks" / "results" / "cpu" / "digits"
    for folder, word in (
        (tmp_path / "none", "no such folder"),
        (tmp_path, "no run.json"),
        (committed, "committed rows"),
    ):
        assert main(["status", str(folder)]) == 2
        line = capsys.readouterr().err
        assert word in line and line.count("\n") == 1
