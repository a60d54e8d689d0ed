"""`depthbench claims`: every published claim, judged on rows, in one table."""

import argparse
import contextlib
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from research.catalogues.catalogue import nearest
from research.cli import run
from research.cli.main import Parser
from research.cli.options import SIZES, one_of
from research.engine import console
from research.report import published, study_report
from research.report import rendering as tables
from research.report.published import Made
from research.store import folder as folders
from research.store.folder import Folder
from research.store.rows import Record
from research.study.claims import Verdict
from research.study.declaration import Study, chosen_values, grid
from research.study.errors import Refusal, missing
from research.study.studies import studies
from research.study.tables import Mark, Table, number

FORMATS = ("table", "json", "csv", "markdown")
KEYS = (
    *(
        "id says source published ours low high n verdict scope size device date".split()
    ),
)
TONES = {"holds": "good", "fails": "bad", "untested": "dim", "not run": "dim"}


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
            line for line in lines(study, path, options.size) if line["id"] in ids
        ]
    judged.sort(key=lambda line: _order(line["id"]))
    present(judged, options.format)
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
            hint = nearest(name, [*sorted(ids, key=_order), *sorted(names)])
            raise Refusal(f"--only {name}: {hint}")
    pairs = []
    for study in having:
        own = {claim.id for claim in study.claims}
        wanted = own if study.name in asked else own & set(asked)
        if wanted:
            pairs.append((study, wanted))
    return pairs


def _order(name: str) -> tuple[bool, str, int]:
    """A sort key of claims' ids: S2 before S10, and words after those."""
    letter, number = name[:1], name[1:]
    known = number.isdecimal()
    return (not known, letter if known else name, int(number) if known else 0)


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


def lines(study: Study, path: Path, size: str) -> Iterator[dict[str, Any]]:
    """One line a claim, by KEYS, from the rows of a size that are in a folder."""
    made = made_here(study, path, size)
    if made is None and size == "standard":
        made = published.made(study.name)
    for verdict in study_report.verdicts(study, made.rows if made else []):
        yield {
            **_judged(verdict),
            "verdict": verdict.word if made else "not run",
            "scope": _scope(verdict) if made else f"depthbench run {study.name}",
            "size": size,
            "device": made and made.device,
            "date": made and made.date,
        }


def made_here(study: Study, path: Path, size: str) -> Made | None:
    """The rows of a size in a run's folder; None if there are none."""
    have = records(study, path, size)
    if not have:
        return None
    ordered = sorted((record.row for record in have), key=study.order)
    manifest = folders.read_manifest(Folder(path)) or {}
    return Made(ordered, have[0].stamp, published.ended(manifest))


def records(study: Study, path: Path, size: str) -> list[Record]:
    """The folder's whole records whose cells are of the size; none if there is none."""
    if not (path / "run.json").is_file():
        return []
    have, _ = folders.records(Folder(path))
    cells, _ = study.fit(grid(study, chosen_values(study, size, {})), set())
    wanted = {_key(cell) for cell in cells}
    return [r for r in have if r.study == study.name and _key(r.settings) in wanted]


def _key(cell: dict[str, Any]) -> str:
    return json.dumps(cell, sort_keys=True)


def _judged(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "id": claim.id,
        "says": claim.says,
        "source": claim.source,
        "published": claim.published or f"gap 0, within {claim.within:g}",
        "ours": _finite(verdict.ours),
        "low": _finite(verdict.low),
        "high": _finite(verdict.high),
        "n": verdict.points,
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _scope(verdict: Verdict) -> str:
    if not verdict.points:
        return "no point in scope"
    return f"{verdict.holds} of {verdict.points} points"


def present(judged: Sequence[dict[str, Any]], form: str) -> None:
    """Prints the lines in the form that was asked for."""
    if form == "json":
        sys.stdout.write(tables.as_json(judged, KEYS))
    elif form == "csv":
        sys.stdout.write(tables.as_csv(judged, KEYS))
    elif form == "markdown":
        sys.stdout.write(tables.as_markdown(table(judged)))
    else:
        from rich.console import Console

        console = Console(width=None if sys.stdout.isatty() else 100)
        tables.show(table(judged), console)


def table(judged: Sequence[dict[str, Any]]) -> Table:
    """One line a claim; what fails stands out."""
    body = []
    for line in judged:
        ours = number(line["ours"])
        if line["low"] is not None and line["high"] is not None:
            ours += f" ({number(line['low'])}–{number(line['high'])})"
        body.append(
            (
                line["id"],
                line["says"],
                line["published"],
                ours,
                Mark(line["verdict"], TONES[line["verdict"]]),
                line["scope"],
                line["source"],
            )
        )
    counts = {word: sum(line["verdict"] == word for line in judged) for word in TONES}
    said = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    made = {(line["device"], line["date"]) for line in judged if line["device"]}
    where = "; ".join(f"{device}, {date}" for device, date in sorted(made))
    title = f"{len(judged)} claims: {said}. {where}".rstrip(". ")
    headers = ("id", "claim", "published", "ours", "verdict", "holds at", "source")
    return Table(title, headers, tuple(body))
