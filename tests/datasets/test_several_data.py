"""A study of several data sets: each one's contents are part of its own rows."""

import csv
import json

import pytest

from depthbench.research.datasets import user_files
from depthbench.research.report import figures
from depthbench.research.store import folder as folders
from depthbench.research.store import rows
from depthbench.research.store.folder import Folder
from tests import forged
from tests.datasets.refusals import ROWS, table
from tests.plugged import restored, written
from tests.study.test_plugins import run

SETS = """
from depthbench.research.datasets import find, readable
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Headline, Measured, Study

def measure(cells, shared, memory):
    return [Measured("ok", "", {"mean": mean(cell)}) for cell in cells]

def mean(cell):
    return cell["times"] * float(find(cell["dataset"]).load().x.mean())

ENTRIES = [
    Study(
        name="means_own",
        kind="experiment",
        question="What is the mean?",
        source="a test",
        axes={
            "dataset": readable.several(readable.any_task, ("digits",)),
            "times": Axis("by what", (1,), kind="integer", low=1),
        },
        sizes={"smoke": {}},
        measure="sets:measure",
        columns=("dataset", "times", "status", "reason", "mean"),
        headline=lambda rows: Headline("All have one."),
    ),
]
"""
A, B = "csv:a.csv:kind", "csv:b.csv:kind"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    monkeypatch.chdir(tmp_path)
    for name, other in (("a", "3,3,"), ("b", "9,3,")):
        write(tmp_path, name, other)
    with restored():
        yield written(tmp_path, sets=SETS)


def write(folder, name, fourth):
    text = table(*ROWS).replace("\n3,3,", f"\n{fourth}")
    (folder / f"{name}.csv").write_text(text)
    user_files._read.cache_clear()


@pytest.fixture
def asked(capsys):
    """Runs the study on these data sets: status, and what was said."""

    def of(*names, out="out", more=()):
        words = ("run", "means_own", "--plugin", "sets.py", "--out", out)
        status, _, err = run(capsys, *words, "--dataset", ",".join(names), *more)
        return status, err

    return of


def test_rows_of_several_sets_are_those_of_each_alone(here, asked):
    assert asked(A, B, out="both")[0] == 0
    assert asked(B, out="both")[0] == 0
    for names in ((A,), (B, A)):
        assert asked(*names, out="alone")[0] == 0
    both, alone = (folders.records(Folder(here / n))[0] for n in ("both", "alone"))
    assert [(r.id, r.stamp["data"]) for r in both] == [
        (r.id, r.stamp["data"]) for r in alone
    ]
    data = json.loads((here / "both" / "run.json").read_text())["data"]
    assert data.keys() == {A, B} and set(data.values()) == {
        r.stamp["data"] for r in both
    }
    with open(here / "both" / "rows.csv", newline="") as file:
        assert [row["dataset"] for row in csv.DictReader(file)] == [A, B]


def test_other_contents_of_the_second_set_are_seen(here, asked, capsys):
    assert asked(A, B)[0] == 0
    write(here, "b", "8,3,")
    for names in ((A, B), (B,)):
        status, err = asked(*names)
        assert status == 2 and f"{B} has other contents" in err
    status, _, err = run(capsys, "verify", "out")
    assert status == 2 and f"{B} has other contents" in err
    assert asked(A)[0] == 0


def status_of(capsys):
    """(cells that are planned, those that are done), and how many rows are in the table."""
    status, out, _ = run(capsys, "status", "out", "--format", "json")
    assert status == 0
    with open("out/rows.csv", newline="") as file:
        count = len(list(csv.DictReader(file)))
    return json.loads(out)["cells"], json.loads(out)["done"], count


TWICE = ("--times", "1,2")


def test_rows_of_contents_that_are_gone_are_put_aside(here, asked, capsys):
    """All of them, whichever cells the command has; and the folder is whole again."""
    assert asked(A, B, more=TWICE)[0] == 0
    path = sorted((here / "out" / "cells").glob("*.json"))[0]
    path.unlink()  # it was stopped before the last
    before = {p.stem for p in (here / "out" / "cells").glob("*.json")}
    write(here, "b", "8,3,")
    assert asked(B)[0] == 2
    assert {p.stem for p in (here / "out" / "cells").glob("*.json")} == before
    status, err = asked(B, more=("--accept-changes",))
    assert status == 0 and "rows of other contents of their data moved" in err
    assert asked(A, more=TWICE)[0] == 0
    assert status_of(capsys) == (3, 3, 3)
    assert asked(A, B, more=TWICE)[0] == 0
    assert status_of(capsys) == (4, 4, 4)
    aside = {p.stem for p in (here / "out" / "quarantine").glob("*.json")}
    there = {p.stem for p in (here / "out" / "cells").glob("*.json")}
    assert len(there) == 4 and not aside & there and aside < before


def test_of_one_set_nothing_old_is_left(here, asked, capsys):
    assert asked(A, more=TWICE)[0] == 0
    write(here, "a", "8,3,")
    assert asked(A, more=("--accept-changes", "--times", "3"))[0] == 0
    assert status_of(capsys) == (1, 1, 1)
    assert "depthbench report" in run(capsys, "status", "out")[1]
    assert asked(A, more=TWICE)[0] == 0
    assert status_of(capsys) == (3, 3, 3)


def test_rows_under_the_hash_of_another_set_are_measured_again(here, asked, capsys):
    """An earlier version took the first set's contents for all of them."""
    assert asked(A, B)[0] == 0
    records, _ = folders.records(Folder(here / "out"))
    (a,) = (r for r in records if r.settings["dataset"] == A)
    (b,) = (r for r in records if r.settings["dataset"] == B)
    old = rows.cell_id(b.study, b.settings, a.stamp["data"])
    path = here / "out" / "cells" / f"{b.id}.json"
    forged.rewritten(path, id=old, stamp={**b.stamp, "data": a.stamp["data"]})
    path.rename(path.with_name(f"{old}.json"))
    forged.edited(here / "out", cells=sorted([a.id, old]), data={A: a.stamp["data"]})
    assert run(capsys, "report", "out")[0] == 0
    assert asked(A, B)[0] == 0
    assert status_of(capsys) == (2, 2, 2)
    assert folders.records(Folder(here / "out"))[0] == records


@pytest.mark.parametrize("into", ["joined", "out"])
def test_merged_is_the_later_row_of_equal_settings(here, asked, capsys, into):
    assert asked(A, more=TWICE)[0] == 0
    write(here, "a", "8,3,")
    assert asked(A, out="later")[0] == 0
    words = ["merge", *(["out"] if into != "out" else []), "later", "--out", into]
    assert run(capsys, *words)[0] == 2
    status, out, err = run(capsys, *words, "--accept-changes")
    assert status == 0, err
    assert "2 of 2 cells" in out
    assert into == "out" or "1 of them left out, of earlier data" in out
    stems = {p.stem for p in (here / into / "cells").glob("*.json")}
    assert {p.stem for p in (here / "later" / "cells").glob("*.json")} < stems
    assert len(stems) == 2
