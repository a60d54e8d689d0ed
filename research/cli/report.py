"""`depthbench report [DIR]`: rows to report, figures and README again, without jax."""

from pathlib import Path

from research.cli import run
from research.engine import console
from research.report import published, readme, study_report, training_report
from research.store import atomic
from research.store import folder as folders
from research.store.folder import Folder
from research.store.rows import Record
from research.study.declaration import Study
from research.study.errors import Refusal
from research.study.studies import studies


def arguments(parser) -> None:
    parser.add_argument(
        "dir",
        metavar="DIR",
        nargs="?",
        help="a run's folder; without, README's tables from the committed rows",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="put the run's rows among the committed ones, and README's tables anew",
    )
    parser.add_argument("--format", default="table", help=", ".join(run.FORMATS))


def main(options) -> int:
    run.one_of("--format", options.format, run.FORMATS)
    if options.dir is None:
        if options.publish:
            raise Refusal(
                "--publish: which run's folder? (depthbench report DIR --publish)"
            )
        return fill_readme()
    path = Path(options.dir)
    manifest = folders.read_manifest(folders.existing(path)) or {}
    if manifest.get("study") == training_report.STUDY:
        if options.publish:
            raise Refusal(f"--publish: {path} is one training run, not a study's rows")
        training_report.write(Folder(path))
        training_report.show(Folder(path), options.format)
        return 0
    study, folder, records = opened(path)
    study_report.write(study, folder, records, records[0].stamp)
    ordered = sorted((r.row for r in records), key=study.order)
    run.present(study, ordered, options.format)
    if options.format == "table":
        console.say(f"written: {folder.path}/report.html")
    if options.publish:
        console.say(f"published: {published.publish(study, folder, records)}")
        return fill_readme()
    return 0


def fill_readme() -> int:
    """Writes README's tables anew. Raises Refusal where the source tree is not here."""
    if not readme.README.is_file():
        raise Refusal(
            f"{readme.README}: no such file; README is part of the source tree"
        )
    text = readme.README.read_text()
    atomic.write_atomically(readme.README, readme.filled(text).encode())
    console.say(f"written: {readme.README}")
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
        console.say(f"damaged, left out: {line}")
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
