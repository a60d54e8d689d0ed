"""A study of several data sets: each one's contents are part of its own rows."""

import csv
import json

import pytest

from depthbench.research.datasets import user_files
from depthbench.research.report import figures
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
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
    for name in (A, B):
        assert asked(name, out="alone")[0] == 0
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
