"""`depthbench claims`: every published claim, judged on rows, in one table."""

import argparse
import contextlib
import io
from pathlib import Path

from research.catalogues.catalogue import nearest
from research.cli import run
from research.cli.main import Parser
from research.cli.options import SIZES, one_of
from research.engine import console
from research.report import rendering, verdicts
from research.report.rendering import FORMATS
from research.study.claims import Claim
from research.study.declaration import Study
from research.study.errors import Refusal, missing
from research.study.studies import claims, studies

ALLOWED = "keys and tags that `depthbench claims --read` lists, papers, studies"


def arguments(parser) -> None:
    parser.add_argument(
        "--only",
        metavar="NAME,…",
        help="claims by key or tag, or all those of a paper or study: "
        "he2015.gradient-kept, S13, he2015, gradient_flow",
    )
    parser.add_argument(
        "--size", default="standard", metavar="SIZE", help=", ".join(SIZES)
    )
    parser.add_argument(
        "--out",
        default="runs",
        metavar="DIR",
        help="folder of the studies' runs; default: runs",
    )
    parser.add_argument(
        "--read",
        action="store_true",
        help="run nothing: judge existing rows, or the committed ones",
    )
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))


def main(options: argparse.Namespace) -> int:
    one_of("--size", options.size, SIZES)
    one_of("--format", options.format, FORMATS)
    judged = []
    for study, keys in chosen(options.only):
        path = folder_of(Path(options.out), study, options.size)
        if not options.read:
            run_study(study, options.size, path)
        judged += [
            line
            for line in verdicts.verdict_lines(study, path, options.size)
            if line["key"] in keys
        ]
    judged.sort(key=lambda line: line["key"])
    shown = lambda: verdicts.verdicts_tables(judged)
    rendering.present(options.format, judged, verdicts.KEYS, shown, verdicts.STACKS)
    return 0


def chosen(only: str | None) -> list[tuple[Study, set[str]]]:
    """The studies with the requested claims, and the keys requested of each.

    Raises Refusal for a name that none of them goes by.
    """
    requested = [name.strip() for name in only.split(",")] if only else list(claims())
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
    return {claim.key, claim.tag, claim.paper, study.name} - {""}


def folder_of(out: Path, study: Study, size: str) -> Path:
    """Where a study's rows of a size are; where `run` puts them, at standard size."""
    return out / (study.name if size == "standard" else f"{study.name}_{size}")


def run_study(study: Study, size: str, path: Path) -> None:
    """Runs what of the study is not there yet; its own tables are not shown. One that
    needs a package which is not installed is reported and skipped.

    Raises Refusal when it was stopped.
    """
    console.say(f"{study.name} …")
    parser = Parser(prog=f"depthbench run {study.name}")
    run.arguments(parser, study)
    options = parser.parse(["--size", size, "--out", str(path), "--format", "csv"])
    options.study = study
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            status = run.main(options)
    except ModuleNotFoundError as error:
        console.say(f"{study.name} skipped: {missing(error)}")
        return
    if status:
        raise Refusal(f"{study.name} was stopped; the same command resumes it", status)
