"""Verdicts on the claims of studies, one line each, from rows here or published."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from research.report import published, study_report
from research.report.published import Made
from research.store import folder as folders
from research.store.folder import Folder
from research.store.rows import Record
from research.study.claims import Verdict
from research.study.declaration import Study, chosen_values, grid
from research.study.tables import Mark, Table, number

KEYS = (
    *"key tag says source published ours low high".split(),
    *"n verdict scope size device date".split(),
)
STACKS = (study_report.NAMED, ("verdict", "holds at"))  # a column each, in a terminal
TONES = {"holds": "good", "fails": "bad", "untested": "dim", "not run": "dim"}


def verdict_lines(study: Study, path: Path, size: str) -> Iterator[dict[str, Any]]:
    """One line a claim, by KEYS, from the rows of a size that are in a folder."""
    run = rows_of_size(study, path, size)
    if run is None and size == "standard":
        run = published.made(study.name)
    for verdict in study_report.verdicts(study, run.rows if run else []):
        yield {
            **_judged(verdict),
            "verdict": verdict.word if run else "not run",
            "scope": _scope(verdict) if run else f"depthbench run {study.name}",
            "size": size,
            "device": run and run.device,
            "date": run and run.date,
        }


def rows_of_size(study: Study, path: Path, size: str) -> Made | None:
    """The rows of a size in a run's folder; None if there are none."""
    have = records_of_size(study, path, size)
    if not have:
        return None
    ordered = sorted((record.row for record in have), key=study.order)
    manifest = folders.read_manifest(Folder(path)) or {}
    return Made(ordered, have[0].stamp, published.ended(manifest))


def records_of_size(study: Study, path: Path, size: str) -> list[Record]:
    """The folder's intact records of the size's cells; empty without a run."""
    if not (path / "run.json").is_file():
        return []
    have, _ = folders.records(Folder(path))
    cells, _ = study.fit(grid(study, chosen_values(study, size, {})), set())
    wanted = {_cell_key(cell) for cell in cells}
    return [
        r for r in have if r.study == study.name and _cell_key(r.settings) in wanted
    ]


def _cell_key(cell: dict[str, Any]) -> str:
    return json.dumps(cell, sort_keys=True)


def _judged(verdict: Verdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "key": claim.key,
        "tag": claim.tag or None,
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


def verdicts_table(judged: Sequence[dict[str, Any]]) -> Table:
    """One line a claim; what fails stands out."""
    body = []
    for line in judged:
        ours = number(line["ours"])
        if line["low"] is not None and line["high"] is not None:
            ours += f" ({number(line['low'])} to {number(line['high'])})"
        body.append(
            (
                line["key"],
                line["says"],
                line["source"],
                line["tag"] or "",
                line["published"],
                ours,
                Mark(line["verdict"], TONES[line["verdict"]]),
                line["scope"],
            )
        )
    counts = {word: sum(line["verdict"] == word for line in judged) for word in TONES}
    tally = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    origins = {(line["device"], line["date"]) for line in judged if line["device"]}
    where = "; ".join(f"{device}, {date}" for device, date in sorted(origins))
    title = f"{len(judged)} claims: {tally}. {where}".rstrip(". ")
    headers = "key,claim,source,tag,published,ours,verdict,holds at".split(",")
    return Table(title, tuple(headers), tuple(body))
