"""`depthbench run STUDY`: from flags to rows, tables, report and figures."""

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from research.cli.options import SIZES, bytes_of_gib, one_of
from research.engine import console, runner
from research.machine import host
from research.report import study_report
from research.report.rendering import FORMATS
from research.store import folder as folders
from research.store.folder import Folder
from research.study import plan
from research.study.axes import flag_of
from research.study.declaration import Cell, Study, Unit, chosen_values, grid
from research.study.errors import Refusal
from research.study.studies import studies

STATUSES = ("oom", "lost", "overflow", "no_fixed_point", "diverged")


def take(parser, module, argv: list[str]) -> argparse.Namespace:
    """The options of `run`; the study's axes become flags once it is named."""
    names = studies()
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: depthbench run STUDY [flags]\n\nstudies:")
        for study in names.values():
            print(f"  {study.name:<20} {study.question}")
        print("\ndepthbench run STUDY --help lists the study's flags.")
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


def arguments(parser, study: Study) -> None:
    for name, axis in study.axes.items():
        values = ", ".join("default" if v is None else str(v) for v in axis.values)
        values = values if len(values) < 60 else f"all {len(axis.values)}"
        every = "" if axis.single else ", or all"
        names = ", ".join(axis.choices or ())
        allowed = f"one of {names}{every}; " if axis.choices else ""
        parser.add_argument(
            flag_of(name),
            metavar="VALUE" if axis.single else "A,B,…",
            help=f"{axis.help}; {allowed}default: {values}".replace("%", "%%"),
        )
    parser.add_argument(
        "--size", default="standard", metavar="SIZE", help=", ".join(SIZES)
    )
    parser.add_argument("--out", metavar="DIR", help="default: runs/STUDY")
    parser.add_argument(
        "--format", default="table", metavar="FORMAT", help=", ".join(FORMATS)
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be run; run nothing"
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="run the I-th of N shares; shares may write to one DIR",
    )
    parser.add_argument(
        "--retry",
        metavar="A,B,…",
        help=f"rerun cells that have one of the statuses {', '.join(STATUSES)}",
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


def main(options: argparse.Namespace) -> int:
    study: Study = options.study
    chosen = check(study, options)
    typed = {name for name in study.axes if getattr(options, name) is not None}
    cells, left_out = study.fit(grid(study, chosen), typed)
    for line in left_out:
        console.say(line)
    units = plan.units(study, cells)
    allowed = bytes_of_gib(options.memory)
    if options.dry_run:
        print(estimate(study, cells, units, allowed))
        return 0
    out = Path(options.out or f"runs/{study.name}")
    folder = folders.create(out)
    with folders.locked(folder, options.shard):
        return run_missing(study, cells, units, folder, options, allowed)


def check(study: Study, options: argparse.Namespace) -> dict[str, Any]:
    """The values of every axis. Raises Refusal for the first flag that is wrong."""
    typed = {
        name: axis.parse(flag_of(name), getattr(options, name))
        for name, axis in study.axes.items()
        if getattr(options, name) is not None
    }
    one_of("--size", options.size, SIZES)
    one_of("--format", options.format, FORMATS)
    for status in filter(None, (options.retry or "").split(",")):
        one_of("--retry", status, STATUSES)
    if options.shard:
        match = re.fullmatch(r"(\d+)/(\d+)", options.shard)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise Refusal(f"--shard {options.shard}: must be I/N with 1 ≤ I ≤ N")
    return chosen_values(study, options.size, typed)


def estimate(
    study: Study, cells: Sequence[Cell], units: Sequence[Unit], memory: int | None
) -> str:
    """What a run would do: cells, programs, memory, time."""
    programs = len({unit.program for unit in units})
    memory = memory or int(0.75 * host.machine_memory())
    fits = [unit for unit in units if unit.cost.memory <= memory]
    left = len(cells) - sum(len(unit.cells) for unit in fits)
    peak = max((min(unit.cost.peak, memory) for unit in fits), default=0)
    workers = study.threads or host.cores()
    work = sum(u.cost.seconds for u in fits) + programs * study.compile_seconds
    lines = [
        f"{study.name}: {study.question}",
        f"cells               {len(cells)}",
        f"compiled programs   {programs}",
        f"memory              {console.size(peak)} a call, {workers} at a time "
        f"(may use {console.size(memory)})",
        f"time                about {console.duration(work / workers)} on {workers} cores",
    ]
    if left:
        lines.append(f"do not fit          {left} cells: they become rows that say so")
    return "\n".join(lines) + "\nnothing was run"


def run_missing(
    study: Study,
    cells: Sequence[Cell],
    units: Sequence[Unit],
    folder: Folder,
    options: argparse.Namespace,
    memory: int | None,
) -> int:
    """Runs what is missing in the folder, reports, and prints the requested rows."""
    runner.pin()
    environment = host.environment()
    allowed = runner.budget(memory) // runner.workers(study)
    runner.check_fits(units, allowed)
    stamp = runner.make_stamp(data_hash(cells), environment)
    manifest = runner.prepare(study, folder, cells, environment, options.accept_changes)
    have, damaged = folders.records(folder, quarantine=True)
    for line in damaged:
        console.say(f"damaged, moved to quarantine, will be rerun: {line}")
    retry = (options.retry or "").split(",")
    share = runner.share(units, options.shard)
    wanted = [cell for unit in share for cell in unit.cells]
    missing = runner.missing_ids(study, wanted, have, stamp["data"], retry)
    job = runner.Job(study, share, missing, stamp, allowed)
    begun = {"started": folders.now(), "cells": len(missing)}
    if not folder.manifest.exists() or options.accept_changes:
        folders.write_manifest(folder, manifest)
    if len(wanted) > len(missing) and missing:
        console.say(
            f"{len(wanted) - len(missing)} of {len(wanted)} cells are already done"
        )
    with console.progress(len(missing)) as shown:
        outcome = runner.execute(job, runner.attempt, folder, shown)
    begun |= {"ended": folders.now(), "seconds": round(outcome.seconds, 3)}
    manifest["history"] = [*manifest["history"], {**begun, "done": outcome.done}]
    folders.write_manifest(folder, manifest)
    if outcome.stopped:
        complete = len(wanted) - outcome.remaining
        console.say(
            f"stopped: {complete} of {len(wanted)} cells are saved in {folder.path}; "
            "the same command resumes from there"
        )
        return outcome.stopped
    return finish(study, cells, folder, options, stamp, outcome.seconds)


def finish(study, cells, folder, options, stamp, seconds: float) -> int:
    """Writes the report of all rows in the folder; prints the requested rows."""
    have, _ = folders.records(folder)
    began = time.perf_counter()
    study_report.write(study, folder, have, stamp)
    requested = {runner.cell_id(study.name, cell, stamp["data"]) for cell in cells}
    rows = sorted((r.row for r in have if r.id in requested), key=study.order)
    study_report.present(study, rows, options.format)
    if options.format == "table":
        took = console.duration(seconds), console.duration(time.perf_counter() - began)
        console.say(
            f"ran in {took[0]}, reported in {took[1]}: {folder.path}/report.html"
        )
    return 0


def data_hash(cells: Sequence[Cell]) -> str:
    """The fingerprint of the data set that the cells are fed with, if any."""
    name = cells[0].get("dataset")
    if not isinstance(name, str):
        return "none"
    from research.datasets import find, fingerprint

    return fingerprint(find(name).load())
