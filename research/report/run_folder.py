"""Results in a folder, read back: a run's, or those that were committed of one."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from research.catalogues.catalogue import UnknownName
from research.engine import console
from research.report import published, training_report
from research.store import folder as folders
from research.store.folder import Folder
from research.store.rows import Record
from research.study.declaration import Cell, Row, Study
from research.study.errors import Refusal
from research.study.studies import studies


class Results(NamedTuple):
    """Rows in the order of the study's axes, and where they were made.

    records: the files that they were read from; none of committed rows.
    """

    study: Study
    folder: Folder
    rows: list[Row]
    stamp: dict[str, Any]
    records: list[Record]

    def cell(self, row: Row) -> Cell:
        """The settings of a row."""
        return {name: row[name] for name in self.study.axes}


def is_training(path: Path) -> bool:
    """Whether a training run is in a folder. Raises Refusal where no run is."""
    manifest = folders.read_manifest(folders.existing(path)) or {}
    return manifest["study"] == training_report.STUDY


def opened(path: Path) -> Results:
    """The results of a study in a folder; rows that are damaged are said.

    Raises Refusal when there are none, or they are of another version.
    """
    folder = folders.existing(path)
    manifest = folders.read_manifest(folder) or {}
    try:
        study = studies()[str(manifest["study"])]
    except UnknownName as error:
        raise Refusal(f"{path}: {error}") from None
    committed = path / "rows.csv"
    if committed.is_file() and not folder.cells.exists():
        return _committed(study, folder, manifest)
    records, damaged = folders.records(folder)
    for line in damaged:
        console.say(f"damaged, skipped: {line}")
    if not records:
        raise Refusal(f"{path}: contains no intact rows")
    foreign = [
        r
        for r in records
        if r.study != study.name or set(r.settings) != set(study.axes)
    ]
    if foreign:
        raise Refusal(f"{path}: {foreign[0].id}.json is not a row of {study.name}")
    ordered = sorted((record.row for record in records), key=study.order)
    return Results(study, folder, ordered, records[0].stamp, records)


def _committed(study: Study, folder: Folder, manifest: dict[str, Any]) -> Results:
    stamp, world = folder.path / "stamp.json", manifest["environment"]
    try:
        rows = published.read_csv(folder.path / "rows.csv")
        if stamp.is_file():
            world = json.loads(stamp.read_bytes())
    except ValueError as error:
        raise Refusal(f"{folder.path}: damaged: {error}") from None
    lacking = [
        name for name in (*study.axes, "status") if name not in (rows or [{}])[0]
    ]
    if lacking:
        raise Refusal(
            f"{folder.path}: no rows of this version of {study.name}: rows.csv is "
            f"without {lacking[0]}"
        )
    return Results(study, folder, rows, world, [])
