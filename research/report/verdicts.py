"""Verdicts on the claims of studies, one line each, from rows here or published."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from depthbench.research.engine import console
from depthbench.research.report import coverage, published, run_folder, study_report
from depthbench.research.report.published import Made
from depthbench.research.store import folder as folders
from depthbench.research.study import widening
from depthbench.research.study.claims import Verdict, stated
from depthbench.research.study.declaration import Study, chosen_values, grid
from depthbench.research.study.errors import Refusal
from depthbench.research.study.tables import Mark, Table, number

KEYS = (
    *"key kind tag says protocol differs source published allowed ours low high".split(),
    *"lowest highest n points verdict seen size platform device date".split(),
)
# A column each, in a terminal:
STACKS = (
    study_report.NAMED,
    ("tag", "published", "allowed"),
    ("ours", "90 % interval", "range"),
    ("verdict", "n", "points"),
)
TONES = {**study_report.TONES, "not run": "dim"}
TITLES = {"claim": "published claim", "bar": "bar of our own"}


def verdict_lines(study: Study, path: Path, size: str) -> Iterator[dict[str, Any]]:
    """One line a claim, by KEYS, from the rows of a size that are in a folder.

    Where there are none, from the committed ones: one line for each device.
    """
    runs = [run] if (run := rows_of_size(study, path, size)) is not None else []
    if not runs and size == "standard":
        runs = list(published.of_devices(study.name).values())
    for each in runs or [None]:
        yield from _lines(study, path, size, each)


def _lines(
    study: Study, path: Path, size: str, run: Made | None
) -> Iterator[dict[str, Any]]:
    try:
        with run_folder.shown(path, study):
            judged = study_report.verdicts(study, run.rows if run else [])
    except Refusal as refusal:
        console.say(f"not read: {refusal}")
        run, judged = None, study_report.verdicts(study, [])
    for verdict in judged:
        yield {
            **_judged(verdict),
            "verdict": verdict.word if run else "not run",
            "seen": verdict.sentence() if run else f"depthbench run {study.name}",
            "size": size,
            "platform": run and run.environment.get("platform"),
            "device": run and run.device,
            "date": run and run.date,
        }


def rows_of_size(study: Study, path: Path, size: str) -> Made | None:
    """The rows of a size in a run's folder, and of its cells that are not there, which
    say so; None if there are none.

    What is there and is no run, or is damaged, is said.
    """
    try:
        if not path.exists():
            return None
        folder, manifest, damaged = folders.existing(path)
    except Refusal as refusal:
        console.say(f"not read: {refusal}")
        return None
    have, more = folders.records(folder)
    for line in (*damaged, *more):
        console.say(f"{path}: damaged, skipped: {line}")
    cells, _ = study.fit(grid(study, chosen_values(study, size, {})), set())
    if widening.widens(study, size, ()):
        cells = cells + widening.widened(study, cells, [r.row for r in have])[0]
    wanted = {_cell_key(cell) for cell in cells}
    whole = [
        r for r in have if r.study == study.name and _cell_key(r.settings) in wanted
    ]
    if not whole:
        return None
    there = {_cell_key(r.settings) for r in whole}
    lacking = [cell for cell in cells if _cell_key(cell) not in there]
    every = [*(r.row for r in whole), *coverage.rows(study, lacking)]
    ordered = study.alike(sorted(every, key=study.order))
    return Made(ordered, whole[0].stamp, published.ended(manifest))


def _cell_key(cell: dict[str, Any]) -> str:
    return json.dumps(cell, sort_keys=True)


def _judged(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    low, high = verdict.interval or (None, None)
    lowest, highest = verdict.range or (None, None)
    return {
        "key": claim.key,
        "kind": claim.kind,
        "tag": claim.tag or None,
        "says": claim.says,
        "protocol": claim.protocol or None,
        "differs": claim.differs or None,
        "source": claim.source,
        "published": claim.published or str(claim.allows),
        "allowed": str(claim.allows),
        "ours": _finite(verdict.ours),
        "low": _finite(low),
        "high": _finite(high),
        "lowest": _finite(lowest),
        "highest": _finite(highest),
        "n": verdict.seeds,
        "points": len(verdict.points),
        "shown_points": study_report.points(verdict),
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def verdicts_tables(judged: Sequence[dict[str, Any]]) -> list[Table]:
    """The published claims, then the bars of our own; a line each.

    What an accelerator gave, or another CPU, is in tables of its own, for each of them.
    """
    firsts: dict[str, str | None] = {}
    for line in judged:
        firsts.setdefault(line["key"], line["device"])

    def place(line: dict[str, Any]) -> str | None:
        usual = line["platform"] in (None, published.CPU)
        first = line["device"] == firsts[line["key"]]
        return None if usual and first else line["device"]

    places = dict.fromkeys([None, *map(place, judged)])
    tables = {
        (where, kind): [
            line for line in judged if line["kind"] == kind and place(line) == where
        ]
        for where in places
        for kind in TITLES
    }
    return [_table(kind, lines) for (_, kind), lines in tables.items() if lines]


def _table(kind: str, judged: Sequence[dict[str, Any]]) -> Table:
    body = []
    for line in judged:
        body.append(
            (
                line["key"],
                stated(line["says"], line["protocol"], line["differs"]),
                line["source"],
                line["tag"] or "",
                line["published"],
                line["allowed"],
                Mark(number(line["ours"]), ""),  # an answer, which stays longest
                study_report.span(line["low"], line["high"]),
                study_report.span(line["lowest"], line["highest"]),
                Mark(line["verdict"], TONES[line["verdict"]]),
                study_report.repeats(line["n"]),
                line["shown_points"],
            )
        )
    counts = {word: sum(line["verdict"] == word for line in judged) for word in TONES}
    tally = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    days: dict[str, set[str]] = {}
    for line in judged:
        if line["device"]:
            days.setdefault(line["device"], set()).add(line["date"] or "not finished")
    where = "; ".join(", ".join((name, *sorted(days[name]))) for name in sorted(days))
    plural = "s" if len(judged) != 1 else ""
    name = (
        TITLES[kind].replace("claim", f"claim{plural}").replace("bar", f"bar{plural}")
    )
    title = f"{len(judged)} {name}: {tally}. {where}".rstrip(". ")
    headers = (
        *study_report.NAMED,
        *(header for stack in STACKS[1:] for header in stack),
    )
    return Table(title, headers, tuple(body))
