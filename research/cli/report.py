"""`depthbench report [DIR]`: rows to report, figures and README again, without jax."""

from pathlib import Path

from research.cli.options import one_of
from research.engine import console
from research.report import published, readme, study_report, training_report
from research.report.rendering import FORMATS
from research.report.run_folder import opened
from research.store import atomic
from research.store import folder as folders
from research.store.folder import Folder
from research.study.errors import Refusal


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
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))


def main(options) -> int:
    one_of("--format", options.format, FORMATS)
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
        training_report.present(Folder(path), options.format)
        return 0
    study, folder, records = opened(path)
    study_report.write(study, folder, records, records[0].stamp)
    ordered = sorted((r.row for r in records), key=study.order)
    study_report.present(study, ordered, options.format)
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
