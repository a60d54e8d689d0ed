"""`depthbench claims`: published claims, and our own bars, judged on the rows there are."""

import argparse
from pathlib import Path

from depthbench.research.catalogues.axes import items
from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.cli import dry_run, run
from depthbench.research.cli.options import SIZES, one_of, path_of_folder
from depthbench.research.engine import console, runner, runs
from depthbench.research.report import rendering, verdicts
from depthbench.research.report.rendering import FORMATS
from depthbench.research.store.folder import Folder
from depthbench.research.study import forecast, widening
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    SMOKE_WARNING,
    Cell,
    Study,
    chosen_values,
    grid,
)
from depthbench.research.study.errors import USAGE, Refusal, missing
from depthbench.research.study.studies import claims, studies

ALLOWED = "keys and tags that `depthbench claims` lists, papers, studies, bars"
BARS = "bars"  # our own, which nobody published
UNRUN = (ModuleNotFoundError, Refusal, Mistake)  # what a study is skipped for


def arguments(parser) -> None:
    parser.add_argument(
        "--only",
        metavar="NAME,…",
        help="claims by key or tag, or all those of a paper or study, or our own bars: "
        "he2015.gradient-kept, S13, he2015, gradient_flow, bars",
    )
    parser.add_argument(
        "--size", default="standard", metavar="SIZE", help=", ".join(SIZES)
    )
    parser.add_argument(
        "--out",
        default="runs",
        metavar="DIR",
        help="folder of the studies' runs, of which committed rows take the place where "
        "there are none; default: runs",
    )
    parser.add_argument(
        "--run",
        action="store_true",
        help="first run what of the studies is missing; says how long that will take",
    )
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))


def main(options: argparse.Namespace) -> int:
    one_of("--size", options.size, SIZES)
    one_of("--format", options.format, FORMATS)
    requested = chosen(options.only)
    out = path_of_folder("--out", options.out)
    paths = {study.name: folder_of(out, study, options.size) for study, _ in requested}
    status = 0
    if options.run:
        status = run_missing([study for study, _ in requested], paths, options.size)
    judged = [
        line
        for study, keys in requested
        for line in verdicts.verdict_lines(study, paths[study.name], options.size)
        if line["key"] in keys
    ]
    judged.sort(key=lambda line: line["key"])

    def shown():
        tables = verdicts.verdicts_tables(judged)
        if options.size == "smoke":
            tables = [t._replace(title=f"{t.title} ({SMOKE_WARNING})") for t in tables]
        return tables

    rendering.present(options.format, judged, verdicts.KEYS, shown, verdicts.STACKS)
    return status


def chosen(only: str | None) -> list[tuple[Study, set[str]]]:
    """The studies with the requested claims, and the keys requested of each.

    Raises Refusal for a name that none of them goes by.
    """
    requested = list(claims()) if only is None else items("--only", only)
    pairs, known = [], set()
    for study in studies().values():
        names = {claim.key: called(study, claim) for claim in study.claims}
        known = known.union(*names.values())
        keys = {key for key, each in names.items() if not each.isdisjoint(requested)}
        if keys:
            pairs.append((study, keys))
    for name in requested:
        if name not in known:
            raise Refusal(f"--only {name}: {nearest(name, known, ALLOWED)}")
    return pairs


def called(study: Study, claim: Claim) -> set[str]:
    """The names by which a claim can be requested."""
    bars = BARS if claim.kind == "bar" else ""
    return {claim.key, claim.tag, claim.paper, study.name, bars} - {""}


def folder_of(out: Path, study: Study, size: str) -> Path:
    """Where a study's rows of a size are; where `run` puts them, at standard size."""
    return out / (study.name if size == "standard" else f"{study.name}_{size}")


def cells_of(study: Study, size: str) -> list[Cell]:
    """All cells of a size."""
    return study.fit(grid(study, chosen_values(study, size, {})), set())[0]


def request_of(study: Study, size: str) -> runs.Request:
    """How cells of a size are run."""
    return runs.Request(widens=widening.widens(study, size, ()))


def run_missing(requested: list[Study], paths: dict[str, Path], size: str) -> int:
    """Runs what of the studies has no row yet, and says how long that will take.

    The exit status: that of a mistake where a study could not be run.
    """
    runner.begin()
    expected, skipped = {}, 0
    for study in requested:
        folder = Folder(paths[study.name])
        try:
            cells, request = cells_of(study, size), request_of(study, size)
            units = dry_run.planned(study, cells, folder, request).units
            if units:
                expected[study.name] = forecast.of(study, units)
        except UNRUN as error:
            skipped += say_skipped(study, error)
    if not expected and not skipped:
        console.say("nothing is missing")
    elif expected:
        cells = sum(each.cells for each in expected.values())
        took = console.duration(sum(each.seconds for each in expected.values()))
        console.say(f"{cells} cells of {len(expected)} studies: about {took}")
    for number, (name, each) in enumerate(expected.items(), 1):
        console.say(
            f"{number} of {len(expected)}: {name}, {each.cells} cells, about "
            f"{console.duration(each.seconds)}"
        )
        skipped += not run_study(studies()[name], size, paths[name])
    return USAGE if skipped else 0


def say_skipped(study: Study, error: Exception) -> int:
    """1: the study that could not be run; says why it was not."""
    why = missing(error) if isinstance(error, ModuleNotFoundError) else error
    console.say(f"{study.name} skipped: {why}")
    return 1


def run_study(study: Study, size: str, path: Path) -> bool:
    """Runs what of the study is not there yet; its own tables are not shown. One that
    cannot be run is reported and skipped: whether it was run.

    Raises Refusal when it was stopped.
    """
    cells = cells_of(study, size)
    try:
        with runs.completed(study, cells, path, request_of(study, size)) as done:
            if not done.stopped:
                run.report(study, done)
    except UNRUN as error:
        say_skipped(study, error)
        return False
    if done.stopped:
        raise Refusal(
            f"{study.name} was stopped; the same command resumes it", done.stopped
        )
    return True
