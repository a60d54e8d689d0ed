"""A study's run in its folder: what is missing is measured, and the manifest kept."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from research.engine import console, runner
from research.machine import host
from research.store import folder as folders
from research.store.folder import Folder
from research.study import families, plan, widening
from research.study.declaration import Cell, Study


class Request(NamedTuple):
    """How cells are to be run. memory: bytes; or three quarters of what is free.

    shard: "I/N", the share to run. retry: statuses of rows to be made again.
    accept: resume a folder that was begun by other code or elsewhere. widens: whether a
    grid of which a best setting is at the edge is made wider. data_dir: the folder that
    prepared data lie in; "" for the standard one.
    """

    shard: str | None = None
    retry: tuple[str, ...] = ()
    memory: int | None = None
    accept: bool = False
    widens: bool = False
    data_dir: str = ""


class Completed(NamedTuple):
    """What a run came to. stamp: of its rows. stopped: the exit status, 0 if it ended.

    cells: the grid's, and those beyond its edges.
    """

    stamp: dict[str, Any]
    seconds: float
    stopped: int
    cells: list[Cell]


def complete(
    study: Study, cells: Sequence[Cell], folder: Folder, request: Request
) -> Completed:
    """Runs those of the cells that have no row in the folder, which is locked.

    First the grid's, then those beyond its edges, as long as a best setting is there.
    Raises Refusal.
    """
    grid = list(cells)
    beyond, _ = _further(study, grid, folder, request)
    run = _run_missing(study, grid + beyond, folder, request)
    while not run.stopped:
        beyond, wanted = _further(study, grid, folder, request)
        if not wanted:
            break
        assert study.sweep
        text = (
            f"the best {study.sweep.axis} of {len(wanted)} methods is at the edge of its "
            "grid"
        )
        if request.shard:
            console.say(f"{text}: the command without --shard tries further ones")
            break
        console.say(f"{text}: further ones are tried")
        more = _run_missing(study, wanted, folder, request)
        run = more._replace(seconds=run.seconds + more.seconds)
    return run._replace(cells=grid + beyond)


def _further(
    study: Study, cells: list[Cell], folder: Folder, request: Request
) -> tuple[list[Cell], list[Cell]]:
    """The cells beyond the grid: those that have rows, and those to be run now."""
    if not request.widens:
        return [], []
    have, _ = folders.records(folder)
    return widening.widened(study, cells, [record.row for record in have])


def _run_missing(
    study: Study, cells: Sequence[Cell], folder: Folder, request: Request
) -> Completed:
    """Runs those of the cells that have no row in the folder."""
    units = plan.units(study, cells, request.data_dir)
    runner.pin()
    environment = host.environment()
    allowed = runner.budget(request.memory) // runner.workers(study)
    runner.check_fits(units, allowed)
    data = data_of(cells, request.data_dir)
    stamp = runner.make_stamp(next(iter(data.values()), "none"), environment)
    manifest = runner.prepare(study, folder, cells, environment, data, request.accept)
    if request.data_dir:
        manifest["data_dir"] = request.data_dir  # for `verify`; no part of any row
    have, damaged = folders.records(folder, quarantine=True)
    for line in damaged:
        console.say(f"damaged, moved to quarantine, will be rerun: {line}")
    share = runner.share(units, request.shard)
    wanted = [cell for unit in share for cell in unit.cells]
    missing = runner.missing_ids(study, wanted, have, stamp["data"], request.retry)
    job = runner.Job(study, share, missing, stamp, allowed)
    begun = {"started": folders.now(), "cells": len(missing)}
    if not folder.manifest.exists() or request.accept:
        folders.write_manifest(folder, manifest)
    if len(wanted) > len(missing) and missing:
        console.say(
            f"{len(wanted) - len(missing)} of {len(wanted)} cells are already done"
        )
    with console.progress(len(missing)) as shown:
        summary = runner.execute(job, runner.attempt, folder, shown)
    begun |= {"ended": folders.now(), "seconds": round(summary.seconds, 3)}
    manifest["history"] = [*manifest["history"], {**begun, "done": summary.done}]
    folders.write_manifest(folder, manifest)
    if summary.stopped:
        saved = len(wanted) - summary.remaining
        console.say(
            f"stopped: {saved} of {len(wanted)} cells are saved in {folder.path}; "
            "the same command resumes from there"
        )
    return Completed(stamp, summary.seconds, summary.stopped, list(cells))


def data_of(cells: Sequence[Cell], data_dir: str) -> Mapping[str, str]:
    """The record of the data set that the cells are fed with, if any; notes are said."""
    if not isinstance(cells[0].get("dataset"), str):
        return {}
    from research.datasets.record import record

    dataset = families.read_by(plan.placed(cells[:1], data_dir)[0])
    whole = dataset.load()
    if whole.note:
        console.say(whole.note)
    return record(dataset, whole)
