"""Rows of contents that data have no more: which a folder has, and where they are put.

A row's id has the hash of its data, so that beside such a row its cell is measured again:
two rows of equal settings, which nothing in a table would tell apart.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from depthbench.research.engine import console
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store import rows
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import NO_DATA, Record, cell_id, digests
from depthbench.research.study.declaration import Cell, Study, combinations


class Now(NamedTuple):
    """What a run asks for: a manifest of its cells alone, and these by their ids."""

    study: Study
    manifest: Manifest
    cells: Mapping[str, Cell]


def left_out(
    folder: Folder, before: Manifest | None, after: Manifest, now: Now
) -> Manifest:
    """The manifest `after` without cells of contents that their data have no more; their
    rows are put aside, which is said."""
    if before is None:
        return after
    old = set(before.data.values()) - set(after.data.values())  # contents of no set now
    count = 0
    for place in (folder, *folders.kinds(folder)):
        others = list(_others(place, now.cells))
        found = alike(others, now.study.name, now.cells.values())
        found |= {record.id for record in others if record.stamp.get("data") in old}
        put_aside(place, found)
        count += len(found)
    if count:
        console.say(f"{count} rows of other contents of their data moved to quarantine")
    there = {path.stem for path in folder.cells.glob("*.json")}
    gone = _planned(before, old, now) - there - now.cells.keys()
    for kind in folders.kinds(folder):
        _leave_out(kind, gone, after.data)
    cells = sorted(set(after.cells) - gone)
    alone = gone and cells == now.manifest.cells
    return replace(after, cells=cells, grid=now.manifest.grid if alone else after.grid)


def _others(place: Folder, ids: Collection[str]) -> Iterator[Record]:
    """Intact rows in a folder beside those of these ids."""
    for path in sorted(place.cells.glob("*.json")):
        if path.stem not in ids:
            try:
                yield rows.load(path)
            except rows.DamagedRow:
                continue


def alike(records: Collection[Record], study: str, cells: Iterable[Cell]) -> set[str]:
    """The ids of rows that have the settings of one of the cells."""
    settings = reidentified(study, cells, [NO_DATA]) if records else ()
    return {r.id for r in records if cell_id(study, r.settings, NO_DATA) in settings}


def _planned(before: Manifest, old: Collection[str], now: Now) -> set[str]:
    """Ids of what was planned, of contents that are another's or nobody's now."""
    if before.data and set(before.data.values()) <= set(old):
        return set(before.cells)
    every = combinations(now.study, before.grid) if old else []
    return {
        *reidentified(now.study.name, now.cells.values(), digests(before.data)),
        *reidentified(now.study.name, every, old),
    }


def reidentified(
    study: str, cells: Iterable[Cell], fed_with: Collection[str]
) -> set[str]:
    """The ids that cells would have, of data with any of these hashes."""
    return {cell_id(study, cell, digest) for cell in cells for digest in fed_with}


def put_aside(place: Folder, ids: Iterable[str]) -> None:
    """Moves rows and their profiles to the folder's quarantine."""
    for one in ids:
        path = place.cells / f"{one}.json"
        folders.put_aside(place, path, path.with_suffix(".npz"))


def _leave_out(kind: Folder, gone: Collection[str], data: Mapping[str, str]) -> None:
    """The same plan for rows of another kind of devices."""
    before = manifests.read(kind.path).manifest
    if before is not None and not set(before.cells).isdisjoint(gone):
        cells = sorted(set(before.cells).difference(gone))
        manifests.write(kind.path, replace(before, cells=cells, data=dict(data)))
