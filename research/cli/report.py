"""`depthbench report [DIR]`: report and figures from rows, README and docs from the
committed ones; without jax."""

from collections.abc import Callable

from depthbench.research.cli.options import one_of, path_of_folder
from depthbench.research.engine import console
from depthbench.research.report import (
    documents,
    published,
    study_report,
    training_report,
)
from depthbench.research.report.rendering import FORMATS
from depthbench.research.report.run_folder import (
    Results,
    is_training,
    load,
    opened,
    shown,
    training,
)
from depthbench.research.store import atomic
from depthbench.research.store import manifest as manifests
from depthbench.research.study.errors import Refusal

# Of a training: the settings whose entries say what a number is that was not given.
STANDING = ("optimizer", "initializer", "activation")


def arguments(parser) -> None:
    parser.add_argument(
        "dir",
        metavar="DIR",
        nargs="?",
        help="folder of a run, a training, or committed rows; without it, update README "
        "and docs from the committed rows",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="copy the run's rows to the committed ones, and update README and docs",
    )
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))


def main(options) -> int:
    one_of("--format", options.format, FORMATS)
    if options.dir is None:
        if options.publish:
            raise Refusal(
                "--publish needs a run's folder: depthbench report DIR --publish"
            )
        in_checkout("report")
        return fill_documents()
    if options.publish:
        in_checkout("--publish")
    path = path_of_folder("DIR", options.dir)
    if is_training(path):
        if options.publish:
            raise Refusal(f"--publish: {path} is one training run, not a study's rows")
        manifest = manifests.of(path)
        load(path, manifest, [manifest.settings.get(name) for name in STANDING])
        trained = training(path)
        status = tried(lambda: training_report.write(trained))
        training_report.present(trained, options.format, where=not status)
        return status
    results = opened(path)
    study, records = results.study, results.records
    if options.publish and not records:
        raise Refusal(f"--publish: {path} contains committed rows; name a run's folder")
    if options.publish and results.cover.apart:
        raise Refusal(
            f"--publish: {path} has {results.cover}, and committed rows are of one; run "
            "all of them without --mixed, into another folder"
        )
    if options.publish and not results.cover.whole:
        raise Refusal(f"--publish: {path} has {results.cover}; run the others first")
    with shown(path, study):
        status = tried(lambda: write(results), needed=options.publish)
    if options.publish:  # before anything is printed, which may not be possible
        with published.unless_it_fails(study, records):
            where = published.publish(study, results.folder, records)
            fill_documents()
        console.say(f"published: {where}")
    with shown(path, study):
        study_report.present(study, results.rows, options.format, results.cover)
    if options.format == "table" and not status:
        name = "report.html" if records else "report.md (figures stay as they are)"
        console.say(f"written: {path}/{name}")
    return status


def tried(write: Callable[[], None], needed: bool = False) -> int:
    """The exit status of writing a report into a folder that may be another's; says why it
    was not written. What is in it can be shown all the same.

    needed: raises what hinders it instead.
    """
    try:
        write()
    except atomic.NotWritten as error:
        if needed:
            raise
        console.say(f"the report is not written: {error}")
        return error.status
    return 0


def write(results: Results) -> None:
    """Writes the report of rows."""
    study, folder, records = results.study, results.folder, results.records
    if records:
        study_report.write(study, folder, records)
    else:  # without profiles, which figures are drawn from
        text = published.as_committed(study, results.rows, results.stamp)
        atomic.write_atomically(folder.path / "report.md", text.encode())


def fill_documents() -> int:
    """Updates README and docs: all or, where one cannot be made, none."""
    paths = documents.paths()
    filled = [documents.filled(path.read_text(encoding="utf-8")) for path in paths]
    for path, text in zip(paths, filled, strict=True):
        atomic.write_atomically(path, text.encode())
    console.say(f"written: {documents.ROOT / documents.README} and docs/")
    return 0


def in_checkout(what: str) -> None:
    """Raises Refusal where the source tree is not here, whose files it would write."""
    if not (documents.ROOT / documents.README).is_file():
        raise Refusal(
            f"{what}: {documents.ROOT} is no checkout, which README, docs and committed "
            "rows are part of; there, pip install -e ."
        )
