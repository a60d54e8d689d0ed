"""A run's folder, read back: its study and its rows."""

from pathlib import Path

from research.engine import console
from research.store import folder as folders
from research.store.folder import Folder
from research.store.rows import Record
from research.study.declaration import Study
from research.study.errors import Refusal
from research.study.studies import studies


def opened(path: Path) -> tuple[Study, Folder, list[Record]]:
    """A folder's study, itself, and its whole records; damaged ones are said.

    Raises Refusal when it is not a run's folder, or has no intact row.
    """
    folder = folders.existing(path)
    manifest = folders.read_manifest(folder) or {}
    study = studies()[str(manifest["study"])]
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
    return study, folder, records
