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
from research.study.declaration import Study
from research.study.errors import Refusal, missing
from research.study.studies import studies


def arguments(parser) -> None:
    parser.add_argument(
        "--only", metavar="S1,T8", help="claims by id, or all those of a study"
    )
    parser.add_argument(
        "--size", default="standard", metavar="SIZE", help=", ".join(SIZES)
    )
    parser.add_argument(
        "--out",
        default="runs",
        metavar="DIR",
        help="where the studies' folders are; standard: runs",
    )
    parser.add_argument(
        "--read",
        action="store_true",
        help="run nothing: judge the rows that are there, or that came with the code",
    )
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))


def main(options: argparse.Namespace) -> int:
    one_of("--size", options.size, SIZES)
    one_of("--format", options.format, FORMATS)
    judged = []
    for study, ids in chosen(options.only):
        path = folder_of(Path(options.out), study, options.size)
        if not options.read:
            run_study(study, options.size, path)
        judged += [
            line
            for line in verdicts.verdict_lines(study, path, options.size)
            if line["id"] in ids
        ]
    judged.sort(key=lambda line: verdicts.id_order(line["id"]))
    shown = lambda: [verdicts.verdicts_table(judged)]
    rendering.present(options.format, judged, verdicts.KEYS, shown)
    return 0


def chosen(only: str | None) -> list[tuple[Study, set[str]]]:
    """The studies that judge what is asked for, and the ids asked of each.

    Raises Refusal for a name that is neither a claim's nor a study's.
    """
    having = [study for study in studies().values() if study.claims]
    ids = {claim.id for study in having for claim in study.claims}
    names = {study.name for study in having}
    asked = [name.strip() for name in only.split(",")] if only else sorted(ids)
    for name in asked:
        if name not in ids | names:
            hint = nearest(name, [*sorted(ids, key=verdicts.id_order), *sorted(names)])
            raise Refusal(f"--only {name}: {hint}")
    pairs = []
    for study in having:
        own = {claim.id for claim in study.claims}
        wanted = own if study.name in asked else own & set(asked)
        if wanted:
            pairs.append((study, wanted))
    return pairs


def folder_of(out: Path, study: Study, size: str) -> Path:
    """Where a study's rows of a size are; where `run` puts them, at standard size."""
    return out / (study.name if size == "standard" else f"{study.name}_{size}")


def run_study(study: Study, size: str, path: Path) -> None:
    """Runs what of the study is not there yet; its own tables are not shown. One that
    needs a package which is not installed is said and left out.

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
        console.say(f"{study.name} is not run: {missing(error)}")
        return
    if status:
        raise Refusal(f"{study.name} was stopped; the same command goes on", status)
