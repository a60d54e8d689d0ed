"""`depthbench run STUDY`: from flags to rows, tables, report and figures."""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from depthbench.research.catalogues.axes import items
from depthbench.research.cli import dry_run, engines, tracking
from depthbench.research.cli.options import (
    SIZES,
    bytes_of_gib,
    continued,
    existing_folder,
    one_of,
    path_of_folder,
)
from depthbench.research.cli.shard import share
from depthbench.research.datasets.readable import Readable
from depthbench.research.engine import console, runs
from depthbench.research.engine.engines import chosen, driving
from depthbench.research.engine.runs import Completed
from depthbench.research.report import coverage, study_report
from depthbench.research.report.coverage import Coverage
from depthbench.research.report.rendering import FORMATS
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.study import plan, plugins, widening
from depthbench.research.study.axes import Axis, flag_of
from depthbench.research.study.declaration import Row, Study, chosen_values, grid
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies

# What may be retried in any folder; a study's own, where its rows have them.
STATUSES = (
    *("oom", "lost", "overflow", "no_fixed_point", "diverged", "absent", "failed"),
    driving.STATUS,
)


def take(parser, module, argv: list[str]) -> argparse.Namespace:
    """The options of `run`; the study's axes become flags once it is named."""
    names = studies()
    if not argv or argv[0] in ("-h", "--help"):
        console.write("usage: depthbench run STUDY [flags]", "", "studies:")
        console.write(*(f"  {s.name:<25} {s.question}" for s in names.values()))
        console.write("", "depthbench run STUDY --help lists the study's flags.")
        raise SystemExit(0)
    if argv[0].startswith("-"):
        raise Refusal(f"name the study first: depthbench run STUDY {argv[0]} …")
    study = names[argv[0]]
    parser.prog = f"depthbench run {study.name}"
    parser.description = study.question
    arguments(parser, study)
    options = parser.parse(argv[1:])
    options.study = study
    return options


def arguments(
    parser, study: Study, apart: str = "", needed: str = "", out: str = ""
) -> None:
    """Adds the flags of a study's axes, and those of every run.

    apart: an axis that has another argument. needed: one that must be typed. out: in
    words, the folder where none is typed; without them, a folder of the study's name.
    """
    for name, axis in study.axes.items():
        if name != apart:
            parser.add_argument(
                flag_of(name),
                metavar="VALUE" if axis.single else "A,B,…",
                help=_help(axis, name == needed).replace("%", "%%"),
            )
    parser.add_argument(
        "--size", default="standard", metavar="SIZE", help=", ".join(SIZES)
    )
    if reads_data(study):
        parser.add_argument(
            "--data-dir", metavar="DIR", help="folder of prepared data, as of tfds:NAME"
        )
    parser.add_argument(
        "--out",
        default=None if out else f"runs/{study.name}",
        metavar="DIR",
        help=f"default: {out or 'runs/STUDY'}",
    )
    parser.add_argument(
        "--format", default="table", metavar="FORMAT", help=", ".join(FORMATS)
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be run; run nothing"
    )
    engines.flags(parser)
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="run the I-th of N shares, which may write to one DIR; slurm: the share of "
        "this task of a job array",
    )
    parser.add_argument(
        "--retry",
        metavar="A,B,…",
        help=f"rerun cells that have one of the statuses {', '.join(STATUSES)}, or another "
        "that the folder's rows have",
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
    tracking.flag(parser)


def _help(axis: Axis, needed: bool) -> str:
    """What an axis is, its names, and its values where none is typed; an axis that has
    none says itself what happens."""
    values = ", ".join(str(v) for v in axis.values if v is not None)
    values = values if len(values) < 60 else f"all {len(axis.values)}"
    every = "" if axis.single else ", or all"
    names = ", ".join(axis.choices or ())
    allowed = f"; one of {names}{every}" if axis.choices else ""
    default = f"; default: {values}" if values and not needed else ""
    return f"{axis.help}{allowed}{'; needed' if needed else default}"


def main(options: argparse.Namespace) -> int:
    study: Study = options.study
    out, data_dir = path_of_folder("--out", options.out), folder_of_data(options)
    if getattr(options, "dataset", None):
        options.dataset = continued(options.dataset, out)
    values, asked = check(study, options), engines.asked(options, study)
    memory = bytes_of_gib(options.memory)
    tracking.check(options.track)
    typed = {name for name in study.axes if getattr(options, name) is not None}
    fitting, left_out = study.fit(plan.placed(grid(study, values), data_dir), typed)
    cells = [study.cell(cell) for cell in fitting]
    for line in left_out:
        console.say(line)
    request = runs.Request(
        None if options.shard is None else share(options.shard, os.environ),
        () if options.retry is None else tuple(items("--retry", options.retry)),
        memory,
        options.accept_changes,
        widening.widens(study, options.size, typed),
        data_dir,
        mixed=options.mixed,
    )
    folder = folders.look(out, study.name)
    if options.dry_run:
        plugins.looked_at(study.axes, cells)
        workers = engines.workers(asked, study)
        console.write(*dry_run.lines(study, cells, folder, request, workers))
        return 0
    with (
        chosen.opened(asked, out, request.shard) as at,
        tracking.of_rows(options.track, out) as on_row,
        runs.completed(
            study, cells, out, request._replace(engine=at, on_row=on_row)
        ) as run,
    ):
        if run.stopped:
            return run.stopped
        reported = report(study, run)
        rows = requested(study, run)
    cover = covered(study, run, rows)
    if not cover.whole:
        console.say(f"{cover} are here: depthbench status {out} says what is missing")
    study_report.present(study, rows, options.format, cover)
    report_kinds(study, run)
    if options.format == "table":
        took = console.duration(run.seconds), console.duration(reported)
        console.say(
            f"ran in {took[0]}, reported in {took[1]}: {run.folder.path}/report.html"
        )
        if run.shares:
            console.say(run.shares)
    return 0


def reads_data(study: Study) -> bool:
    """Whether its data sets may lie in a folder of prepared ones."""
    axis = study.axes.get("dataset")
    return axis is not None and isinstance(axis.choices, Readable)


def check(study: Study, options: argparse.Namespace) -> dict[str, Any]:
    """The values of every axis. Raises Refusal for the first flag that is wrong."""
    axes, data_dir = dict(study.axes), folder_of_data(options)
    if data_dir:
        known: Any = axes["dataset"].choices
        axes["dataset"] = axes["dataset"]._replace(choices=known.below(data_dir))
    typed = {
        name: axis.parse(flag_of(name), getattr(options, name))
        for name, axis in axes.items()
        if getattr(options, name) is not None
    }
    one_of("--size", options.size, SIZES)
    one_of("--format", options.format, FORMATS)
    if options.retry is not None:
        check_retried(items("--retry", options.retry), Path(options.out))
    if options.shard is not None:
        share(options.shard, os.environ)
    return chosen_values(study, options.size, typed)


def check_retried(statuses: Sequence[str], out: Path) -> None:
    """Raises Refusal for a status that is none of ours, nor of the rows in the folder: a
    study may give them any word."""
    if set(statuses) <= set(STATUSES):
        return
    folder = Folder(out)
    have = [*folders.records(folder)[0], *folders.elsewhere(folder)]
    there = {record.status for record in have} - {"ok", *STATUSES}
    for status in statuses:
        one_of("--retry", status, (*STATUSES, *sorted(there)))


def folder_of_data(options: argparse.Namespace) -> str:
    """The folder that prepared data lie in; "" where none is typed. Raises Refusal."""
    typed = getattr(options, "data_dir", None)
    return "" if typed is None else str(existing_folder("--data-dir", typed))


def report(study: Study, run: Completed) -> float:
    """Writes the report of all rows in the folder; the seconds that it took."""
    began = time.perf_counter()
    have, _ = folders.records(run.folder)
    study_report.write(study, run.folder, have)
    return time.perf_counter() - began


def report_kinds(study: Study, run: Completed) -> None:
    """Writes the reports of rows that other kinds of devices have made."""
    for kind in folders.kinds(run.folder):
        have, _ = folders.records(kind)
        if have:  # a driver may have been killed before the first
            study_report.write(study, kind, have)
            console.say(f"rows of another kind of device: {kind.path}/report.html")


def covered(study: Study, run: Completed, rows: list[Row]) -> Coverage:
    """How much of the run's cells its rows are."""
    ids = {run.id_of(study, cell): cell for cell in run.cells}
    there, elsewhere = {row["id"] for row in rows}, folders.elsewhere(run.folder)
    return coverage.of_cells(study, ids, there, elsewhere)


def requested(study: Study, run: Completed) -> list[Row]:
    """The folder's rows of the run's cells, in order."""
    ids = {run.id_of(study, cell) for cell in run.cells}
    have, _ = folders.records(run.folder)
    rows = sorted((r.row for r in have if r.id in ids), key=study.order)
    return study.alike(rows)
