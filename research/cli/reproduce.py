"""`depthbench reproduce TABLE`: a published table's cells, run again and compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.cli import run
from depthbench.research.cli.options import (
    TABLE_OR_JSON,
    bytes_of_gib,
    one_of,
    path_of_folder,
)
from depthbench.research.engine import console, runner, runs
from depthbench.research.report import documents, published, rendering, reproduction
from depthbench.research.report.published import Made
from depthbench.research.report.reproduction import Difference, Reproduction
from depthbench.research.report.run_folder import Results, opened
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.study import forecast, plan
from depthbench.research.study.declaration import Cell, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.tables import Mark, Table, number


class Again(NamedTuple):
    """A study whose committed rows are to be made again, and where."""

    study: Study
    committed: Results
    cells: list[Cell]
    path: Path


def arguments(parser) -> None:
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="a study with committed rows, or README or a page of docs/: its tables; "
        "DEVICE/STUDY, or its folder: of another device than the CPU",
    )
    parser.add_argument(
        "--out",
        default="runs/reproduced",
        metavar="DIR",
        help="a folder for each study goes there; default: runs/reproduced",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be run; run nothing"
    )
    parser.add_argument(
        "--memory",
        metavar="GIB",
        help="use at most this much; default: 3/4 of free memory",
    )
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="resume a folder begun by other code or on another machine",
    )
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))


def main(options) -> int:
    one_of("--format", options.format, TABLE_OR_JSON)
    request = runs.Request(
        memory=bytes_of_gib(options.memory), accept=options.accept_changes
    )
    out = path_of_folder("--out", options.out)
    tasks = [task(name, out) for name in named(options.table)]
    announce(tasks, request.memory)
    if options.dry_run:
        console.write("nothing was run")
        return 0
    runner.begin()
    outcomes = [again(each, request) for each in tasks]
    if options.format == "json":
        body = [
            outcome._asdict() | {"largest": _plain(outcome)} for outcome in outcomes
        ]
        console.write_json(body)
    else:
        show(outcomes)
    return 1 if any(outcome.others for outcome in outcomes) else 0


def named(name: str) -> list[str]:
    """The committed rows of a table, or of a page's, by name.

    Raises Refusal, with the nearest.
    """
    pages = {
        path.stem: list(dict.fromkeys(documents.tables(path)))
        for path in documents.paths()
        if documents.tables(path)
    }
    committed = published.names()
    if not committed:
        raise Refusal(f"{name}: published rows are part of the source tree")
    folder = published.name_of(Path(name))
    if name in committed or folder:
        return [folder or name]
    stem = name.removeprefix("docs/").removesuffix(".md")
    if stem in pages:
        return pages[stem]
    raise Refusal(f"{name}: no published table; {nearest(name, [*committed, *pages])}")


def task(name: str, out: Path) -> Again:
    """What is to be made again of a study. Raises Refusal for rows of another version."""
    committed = opened(published.names()[name])
    study = committed.study
    folders.look(out / study.name, study.name)
    cells = [committed.cell(row) for row in committed.rows]
    return Again(study, committed, cells, out / study.name)


def announce(tasks: Sequence[Again], memory: int | None) -> None:
    """Says how many cells are missing, and how long they will take."""
    cells, seconds = 0, 0.0
    for each in tasks:
        records, _ = folders.records(Folder(each.path))
        there = [record.settings for record in records]
        left = [cell for cell in each.cells if cell not in there]
        expected = forecast.of(each.study, plan.units(each.study, left), memory)
        cells += expected.cells
        seconds += expected.seconds
    names = ", ".join(each.study.name for each in tasks)
    took = f"about {console.duration(seconds)}" if cells else "all are there"
    console.say(f"{names}: {cells} cells to run, {took}")
    devices = dict.fromkeys(
        str(each.committed.stamp.get("device"))
        for each in tasks
        if each.committed.stamp.get("platform") != published.CPU
    )
    if devices:
        console.say(
            f"rows of {', '.join(devices)}: verdicts and numbers are compared on any "
            "device, timings and claims on them on the same hardware alone"
        )


def again(task: Again, request: runs.Request) -> Reproduction:
    """Runs what is missing of a study's committed cells, and compares.

    Raises Refusal when it was stopped, or cannot be run here.
    """
    study = task.study
    with runs.completed(study, task.cells, task.path, request) as done:
        if done.stopped:
            raise Refusal(f"{study.name} was stopped", done.stopped)
        rows = run.requested(study, done)
        run.report(study, done)
    before = Made(task.committed.rows, task.committed.stamp, None)
    return reproduction.of(study, before, Made(rows, done.stamp, None))


def show(outcomes: Sequence[Reproduction]) -> None:
    """A line a study; then verdicts that differ, and what was left out."""
    body = tuple(
        (
            outcome.study,
            *(_equal(outcome, what) for what in ("claims", "rows")),
            f"{outcome.identical} of {outcome.verdicts['rows']}",
            in_words(outcome.largest),
        )
        for outcome in outcomes
    )
    equal = sum(sum(outcome.equal.values()) for outcome in outcomes)
    total = sum(sum(outcome.verdicts.values()) for outcome in outcomes)
    headers = (
        *("study", "verdicts equal: claims", "rows"),
        *("same in every digit", "largest difference"),
    )
    terminal = rendering.terminal()
    title = f"verdicts equal {equal} of {total}"
    rendering.show(Table(title, headers, body), terminal)
    others = [(o.study, *line) for o in outcomes for line in o.others]
    if others:
        lines = tuple((s, what, a, Mark(b, "bad")) for s, what, a, b in others[:40])
        more = f" (first 40 of {len(others)})" if len(others) > 40 else ""
        columns = ("study", "claim or row", "committed", "here")
        rendering.show(Table(f"Verdicts that differ{more}", columns, lines), terminal)
    for o in outcomes:
        for words, names in (
            ("left out, of other hardware or columns", o.left_out),
            ("only in one of both", o.added),
        ):
            if names:
                console.write(f"{o.study}: {words}: {', '.join(names)}")


def _equal(outcome: Reproduction, what: str) -> Mark:
    equal, total = outcome.equal[what], outcome.verdicts[what]
    return Mark(f"{equal} of {total}", "good" if equal == total else "bad")


def in_words(largest: Difference | None) -> str:
    """The largest difference, and where it is."""
    if largest is None:
        return "none"
    share = (
        f"{100 * largest.share:.2g} %" if largest.share < 1e9 else "a missing number"
    )
    return (
        f"{share}: {largest.column} at {largest.cell}, {number(largest.before, 6)} → "
        f"{number(largest.after, 6)}"
    )


def _plain(outcome: Reproduction) -> dict[str, Any] | None:
    """The largest difference as JSON has it."""
    if outcome.largest is None:
        return None
    share = outcome.largest.share
    return outcome.largest._asdict() | {"share": share if share < 1e9 else None}
