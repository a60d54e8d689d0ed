"""Folders of one study, run in parts, as one: what they have is checked, then written.

The parts are read and never written. A new folder is made beside its place and renamed, so
that it is there whole or not at all; one with rows of the same study is added to row by
row, as a run adds to it, and the same command goes on from there.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from depthbench.research.engine import console, outdated, resumption, signals
from depthbench.research.files import regular
from depthbench.research.store import atomic, holders, reports, rows
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import Record
from depthbench.research.study.errors import LATER, Refusal, status_of


class RunPart(NamedTuple):
    """A folder with some of a study's rows, all of them intact."""

    path: Path
    manifest: Manifest
    records: list[Record]

    @property
    def cells(self) -> Path:
        return self.path / "cells"

    @property
    def last(self) -> str:
        """When its last run ended."""
        return max((event.ended or "" for event in self.manifest.history), default="")


class Merged(NamedTuple):
    """What several parts come to. rows: each cell's, by id, and the part that has it."""

    manifest: Manifest
    rows: dict[str, tuple[RunPart, Record]]


@contextlib.contextmanager
def held(paths: Sequence[Path]) -> Iterator[list[RunPart]]:
    """The parts; in the block no run begins in them. Raises Refusal for a folder at which
    one is at work, that has no rows of a run, or has one that is damaged."""
    places = [path.resolve() for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise Refusal(f"{paths[number]}: is named twice")
    for path in paths:
        for kind in folders.kinds(Folder(path)):
            if kind.path.resolve() not in places and folders.records(kind)[0]:
                raise Refusal(
                    f"{path}: has rows of another kind of device, in {kind.path}: name "
                    "that folder too, with --accept-changes"
                )
    with contextlib.ExitStack() as stack:
        for path in paths:
            folders.existing(path)
            stack.enter_context(holders.idle(path))
        yield [part(path) for path in paths]


def part(path: Path, mend: bool = False) -> RunPart:
    """A folder's rows. Raises Refusal, naming the row, where one is not what was written.

    mend: leave out what is damaged, and say so.
    """
    folder, manifest, lines = folders.existing(path)
    if manifest.study == reports.STUDY:
        raise Refusal(f"{path}: contains a training run, of which there are no parts")
    if (path / folders.STAMP).exists():
        raise Refusal(f"{path}: contains committed rows, without their checksums")
    for line in lines:
        console.say(f"{path}: damaged: {line}")
    records, damaged = folders.records(folder)
    strange = [line for record in records if (line := _strange(manifest, record))]
    for line in (damaged if not mend else []) + strange:
        raise Refusal(
            f"{path}: damaged: {line}; its run's command, again, makes that row anew"
        )
    return RunPart(path, manifest, records)


def _strange(manifest: Manifest, record: Record) -> str:
    """Why an intact row is none of its folder's."""
    if record.study != manifest.study:
        return f"{record.id}.json: is a row of {record.study}"
    digest = str(record.stamp.get("data"))
    if rows.cell_id(record.study, record.settings, digest) != record.id:
        return f"{record.id}.json: contains the row of another cell"
    return ""


def merged(parts: Sequence[RunPart], accept: bool, timings: Collection[str]) -> Merged:
    """All that the parts have. timings: columns that are never the same twice.

    Raises Refusal where they are of several studies, were made with other code, data or
    on another machine (unless accepted), or have other values for the same cell.
    """
    first, *others = sorted(parts, key=lambda part: part.last)
    manifest = first.manifest
    for other in others:
        manifest = _joined(manifest, other, first.path, accept)
    kept: dict[str, tuple[RunPart, Record]] = {}
    for each in parts:
        for record in each.records:
            before, same = kept.setdefault(record.id, (each, record))
            if column := difference(same, record, timings):
                raise Refusal(
                    f"{each.path}: {record.id}.json: {column} in {before.path}: remove "
                    "the wrong one of the two files"
                )
    return _latest(Merged(manifest, kept), parts)


def _latest(every: Merged, parts: Sequence[RunPart]) -> Merged:
    """Of rows with equal settings, of several contents of their data, the latest alone."""
    manifest, kept = every.manifest, dict(every.rows)
    fed_with = {one for each in parts for one in rows.digests(each.manifest.data)}
    current = lambda row: row[1].stamp.get("data") in manifest.data.values()
    settings: dict[str, str] = {}
    for identity, (each, record) in every.rows.items():
        same = rows.cell_id(record.study, record.settings, rows.NO_DATA)
        other = settings.setdefault(same, identity)
        if other != identity:
            row, rival = (each, record), every.rows[other]
            newer = (current(row), each.last) > (current(rival), rival[0].last)
            settings[same] = identity if newer else other
            del kept[other if newer else identity]
    cells = [record.settings for _, record in kept.values()]
    gone = outdated.reidentified(manifest.study, cells, fed_with) - kept.keys()
    planned = sorted(set(manifest.cells) - gone)
    return Merged(replace(manifest, cells=planned), kept)


def _joined(before: Manifest, other: RunPart, path: Path, accept: bool) -> Manifest:
    """A manifest with a further part's. path: of the first part."""
    fresh = other.manifest
    if before.study != fresh.study:
        raise Refusal(
            f"{other.path}: contains {fresh.study}, and {path} {before.study}: parts must "
            "be of one study"
        )
    changes, data = resumption.changed(before, fresh)
    changes = [data, *changes] if data else changes
    if changes and not accept:
        raise Refusal(
            f"{other.path}: made with other code or data, or on another machine, than "
            f"{path}: {resumption.shortened(changes)}; --accept-changes joins them"
        )
    every = resumption.together(before, fresh, changes)
    events = [event for event in fresh.history if event not in before.history]
    return replace(every, history=[*every.history, *events])


def difference(a: Record, b: Record, timings: Collection[str]) -> str:
    """The first column in which two rows of a cell differ, but for timings; or ""."""
    values = [{"status": r.status, **r.values} for r in (a, b)]
    for name in dict.fromkeys(name for each in values for name in each):
        was, now = (each.get(name) for each in values)
        if name not in timings and was != now:
            return f"{name} is {now}, and {was}"
    if a.profiles != b.profiles:
        return "its profiles by layer are not those"
    return ""


def write(
    merged: Merged, out: Path, named: Path, finish: Callable[[Folder], None]
) -> None:
    """Makes the folder, whole or not at all. named: as it was typed. finish: makes of its
    rows what else is in it. Raises Refusal."""
    beside = out.parent / atomic.temporary(out.name)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _tidy(out)
    except OSError as error:
        why = f"not writable: {error.strerror}"
        raise Refusal(f"--out {named}: {why}", status_of(error)) from None
    undo = lambda: shutil.rmtree(beside, ignore_errors=True)
    with signals.undone(undo):
        try:
            with folders.held(beside, merged.manifest.study) as folder:
                fill(merged, folder)
                finish(folder)
                _clear(out, named, merged.manifest.study)
                os.rename(beside, out)
                atomic.sync_folder(out.parent)
        except OSError as error:
            why = f"cannot be made: {error.strerror}"
            raise Refusal(f"--out {named}: {why}", status_of(error)) from None
        finally:
            undo()


def fill(merged: Merged, folder: Folder) -> None:
    """Writes the manifest, then those rows that the folder has not, each with its own
    stamp."""
    folders.write_manifest(folder, lambda before: merged.manifest)
    folder.cells.mkdir(exist_ok=True)
    for part, record in merged.rows.values():
        if part.path != folder.path:
            name = part.cells / f"{record.id}.npz"
            packed = regular.read(name) if record.profiles else None
            rows.save(folder.cells, record, packed)


def add(
    sources: Sequence[RunPart],
    out: Path,
    accept: bool,
    timings: Collection[str],
    finish: Callable[[Folder], None],
) -> Merged:
    """Adds the parts' rows to a folder of their study. Raises Refusal, and nothing of it
    has been written then."""
    with folders.held(out, sources[0].manifest.study) as folder:
        own = part(out, mend=True)
        every = merged([own, *sources], accept, timings)
        for line in folders.records(folder, quarantine=True)[1]:
            console.say(f"damaged, moved to quarantine: {line}")
        gone = {record.id for record in own.records} - every.rows.keys()
        outdated.put_aside(folder, sorted(gone))
        fill(every, folder)
        finish(folder)
    return every


def _clear(out: Path, named: Path, study: str) -> None:
    """Removes what runs that were killed at their start have left at the new folder's
    place. Raises Refusal where one is at work there, and OSError."""
    if not out.is_dir():
        return
    with holders.idle(out):
        folders.look(out, study)  # again: it may have been taken meanwhile
        if manifests.read(out).manifest:
            raise Refusal(f"--out {named}: a run has begun there meanwhile", LATER)
        for name in os.listdir(out):
            if name == folders.JOBS:  # what the jobs of a driver that is gone have said
                shutil.rmtree(out / name)
            else:
                (out / name).unlink()


def _tidy(out: Path) -> None:
    """Removes what killed merges into the same folder have left beside it."""
    for name in os.listdir(out.parent):
        path = out.parent / name
        ours = atomic.temporary_of(name) == out.name and not path.is_symlink()
        if ours and (path / holders.WHOLE).is_file():
            with contextlib.suppress(OSError, Refusal), holders.idle(path):
                shutil.rmtree(path)
