"""`depthbench report DIR`: rows to report and figures again, without jax."""

from pathlib import Path

from research.study import folder as folders
from research.study import report, run, training_report
from research.study.declaration import Study
from research.study.errors import Refusal
from research.study.folder import Folder
from research.study.rows import Record
from research.study.studies import studies


def arguments(parser) -> None:
    parser.add_argument("dir", metavar="DIR", help="a run's folder")
    parser.add_argument("--format", default="table", help=", ".join(run.FORMATS))


def main(options) -> int:
    run.one_of("--format", options.format, run.FORMATS)
    path = Path(options.dir)
    manifest = folders.read_manifest(folders.existing(path)) or {}
    if manifest.get("study") == training_report.STUDY:
        training_report.write(Folder(path))
        training_report.show(Folder(path), options.format)
        return 0
    study, folder, records = opened(path)
    report.write(study, folder, records, records[0].stamp)
    ordered = sorted((r.row for r in records), key=study.order)
    run.present(study, ordered, options.format)
    if options.format == "table":
        run.say(f"written: {folder.path}/report.html")
    return 0


def opened(path: Path) -> tuple[Study, Folder, list[Record]]:
    """A folder's study, itself, and its whole records; damaged ones are said.

    Raises Refusal when it is no run's folder, or none of its rows is whole.
    """
    folder = folders.existing(path)
    manifest = folders.read_manifest(folder) or {}
    study = studies()[str(manifest["study"])]
    records, damaged = folders.records(folder)
    for line in damaged:
        run.say(f"damaged, left out: {line}")
    if not records:
        raise Refusal(f"{path}: holds no whole row")
    foreign = [
        r
        for r in records
        if r.study != study.name or set(r.settings) != set(study.axes)
    ]
    if foreign:
        raise Refusal(f"{path}: {foreign[0].id}.json is not a row of {study.name}")
    return study, folder, records
