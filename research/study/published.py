"""Published tables: README's, made from committed rows.

`python -m research.study.published` writes them anew, and with a run's folder publishes
its rows first; a test holds that they match.
"""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from research.study import report, tables
from research.study.declaration import Row, Study
from research.study.provenance import ROOT
from research.study.reporting import opened
from research.study.studies import studies

RESULTS = ROOT / "benchmarks" / "results"
PUBLISHED = {folder.name: folder for folder in sorted((RESULTS / "cpu").iterdir())}


def folder_of(study: Study) -> Path:
    """Where a study's committed rows are, if there are any."""
    return RESULTS / "cpu" / study.name


def read_csv(path: Path) -> list[Row]:
    """The rows of a rows.csv: numbers as numbers, empty as None."""
    with open(path, newline="") as file:
        return [{k: _value(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> Any:
    if text == "":
        return None
    for kind in (int, float):
        try:
            return kind(text) if text not in ("inf", "-inf", "nan") else text
        except ValueError:
            continue
    return text


def block(study: Study, rows: Sequence[Row], stamp: dict[str, Any]) -> str:
    """What stands between a table's markers: the study's first table, and whence."""
    table = study.tables(rows)[0]
    seeds = {row["seeds"] for row in rows}
    made = stamp["history"][-1]["ended"][:10]
    where = (
        f"{stamp['environment']['processor']}, {stamp['environment']['cores']} cores"
    )
    words = (
        f"{len(rows)} cells, {max(seeds)} seeds each. "
        f"{where}, jax {stamp['environment']['jax']}, {made}."
    )
    shown = tables.as_markdown(table._replace(title=""))
    return f"{table.title}:\n\n{shown}\n{words}"


def filled(text: str) -> str:
    """A document with every published table made anew between its markers."""
    for name, folder in PUBLISHED.items():
        start, end = f"<!-- table: {name} -->", "<!-- end -->"
        if start not in text:
            continue
        rows = read_csv(folder / "rows.csv")
        stamp = json.loads((folder / "run.json").read_text())
        before, rest = text.split(start, 1)
        after = rest.split(end, 1)[1]
        made = block(studies()[name], rows, stamp)
        text = f"{before}{start}\n{made}\n{end}{after}"
    return text


def made_again(name: str) -> str:
    """A published report.md, made from its committed rows."""
    folder = PUBLISHED[name]
    study = studies()[name]
    rows = read_csv(folder / "rows.csv")
    stamp = json.loads((folder / "stamp.json").read_text())
    named = [(f.name, f.caption) for f in study.figures(rows, lambda row: {})]
    return report.as_markdown(study, rows, stamp, named)


def publish(run: Path) -> None:
    """Copies a run's rows, report, figure and stamps to where published ones are."""
    study, folder, records = opened(run)
    target = folder_of(study)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("rows.csv", "report.md", "run.json"):
        (target / name).write_bytes((folder.path / name).read_bytes())
    for figure in folder.path.glob("*.svg"):
        (target / figure.name).write_bytes(figure.read_bytes())
    stamp = json.dumps(records[0].stamp, indent=1, sort_keys=True)
    (target / "stamp.json").write_text(stamp + "\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        publish(Path(argument))
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text()))
