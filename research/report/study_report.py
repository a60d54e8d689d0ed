"""The report: a pure function of a run's folder, made without jax."""

import functools
from collections.abc import Sequence
from typing import Any

from research.report import figures, page, rendering
from research.store import atomic, rows
from research.store.folder import Folder
from research.store.rows import Record
from research.study import headlines
from research.study.claims import Verdict, judge
from research.study.declaration import SMOKE_WARNING, Row, Study, of_smoke_size
from research.study.tables import Mark, Table

OWN = "depthbench"  # whose claims are bars of our own
NAMED = ("key", "claim", "source")  # of claims' tables; one column in a terminal


def write(study: Study, folder: Folder, records: Sequence[Record], stamp: dict) -> None:
    """Writes rows.csv, report.md, report.html and the figures from the records."""
    ordered = sorted((r.row for r in records), key=study.order)
    profiles = functools.cache(lambda identity: rows.profiles(folder.cells, identity))
    pictures = [
        (figure, figure.draw())
        for figure in study.figures(ordered, lambda row: profiles(row["id"]))
    ]
    pngs = {}
    for figure, drawn in pictures:
        figures.lay_out(drawn)
        pngs[figure.name] = figures.as_png(drawn)
        save = atomic.write_atomically
        save(folder.path / f"{figure.name}.svg", figures.as_svg(drawn))
        save(folder.path / f"{figure.name}.png", pngs[figure.name])
    named = [(figure.name, figure.caption) for figure, _ in pictures]
    csv = rendering.as_csv(ordered, columns(study, ordered))
    markdown = as_markdown(study, ordered, stamp, named)
    html = as_html(study, ordered, stamp, named, pngs)
    for name, text in (
        ("rows.csv", csv),
        ("report.md", markdown),
        ("report.html", html),
    ):
        atomic.write_atomically(folder.path / name, text.encode())


def columns(study: Study, ordered: Sequence[Row]) -> list[str]:
    """The study's columns, then whatever else a row has."""
    first = list(study.columns)
    others = dict.fromkeys(name for row in ordered for name in row)
    return [*first, *(n for n in others if n not in first and n != "id")]


def verdicts(study: Study, ordered: Sequence[Row]) -> list[Verdict]:
    return [judge(claim, ordered) for claim in study.claims]


def claims_table(judged: Sequence[Verdict]) -> Table:
    """One line a claim: what it says, who says so, and what the rows say."""
    tones = {"holds": "good", "fails": "bad", "untested": "dim"}
    body = tuple(
        (
            v.claim.key,
            v.claim.says,
            v.claim.source,
            Mark(v.word, tones[v.word]),
            v.sentence(),
        )
        for v in judged
    )
    return Table("Claims", (*NAMED, "verdict", "seen"), body)


def judgement(study: Study, ordered: Sequence[Row]) -> list[Table]:
    """Published claims, and apart from them bars of our own; each if there are any.

    The first of them begins with a warning if the rows are too small to be judged.
    """
    judged = verdicts(study, ordered)
    published = [v for v in judged if v.claim.paper != OWN]
    bars = [v for v in judged if v.claim.paper == OWN]
    tables = [claims_table(published)] if published else []
    if bars:
        tables.append(claims_table(bars)._replace(title="Bars of our own"))
    if of_smoke_size(study, ordered):
        tables = [t._replace(title=f"{t.title} ({SMOKE_WARNING})") for t in tables]
    return tables


def present(study: Study, rows: Sequence[Row], form: str) -> None:
    """Prints the answer, rows, and verdicts beside them, in the requested format."""

    def shown() -> list[Table]:
        tables = list(study.tables(rows)) if rows else []
        return tables + judgement(study, rows)

    headline = headlines.of(study, rows)
    rendering.present(form, rows, columns(study, rows), shown, [NAMED], headline)


def stamp_lines(ordered: Sequence[Row], stamp: dict[str, Any]) -> list[str]:
    """Where the rows were made, in a few lines."""
    statuses: dict[str, int] = {}
    for row in ordered:
        statuses[row["status"]] = statuses.get(row["status"], 0) + 1
    count = ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))
    lines = [f"{len(ordered)} rows: {count}"]
    if stamp:
        lines.append(machine(stamp, ordered))
        dirty = " with uncommitted changes" if stamp.get("uncommitted") else ""
        lines.append(f"commit {stamp.get('commit') or 'unknown'}{dirty}")
    return lines


def stamp_line(manifest: dict[str, Any]) -> str:
    """Where a run was made, in a line."""
    return machine(manifest.get("environment", {}), ()) + "."


def machine(world: dict[str, Any], ordered: Sequence[Row]) -> str:
    """Devices, versions, and what was computed in: rows of several dtypes say theirs."""
    dtypes = dict.fromkeys(row["dtype"] for row in ordered if row.get("dtype"))
    computed = (
        f"products in {', '.join(dtypes)}"
        if set(dtypes) - {world.get("dtype")}
        else f"{world.get('dtype')}, matmul precision {world.get('matmul_precision')}"
    )
    return (
        f"{world.get('devices')} × {world.get('device')} ({world.get('processor')}, "
        f"{world.get('cores')} cores), jax {world.get('jax')}, {computed}"
    )


def as_markdown(study: Study, ordered, stamp, named: Sequence[tuple[str, str]]) -> str:
    """The whole report in Markdown: answer, worst case, pictures, claims, tables."""
    parts = [f"# {study.name}\n\n{study.question}\n"]
    parts += rendering.first(headlines.of(study, ordered))
    parts += [f"![{name}]({name}.svg)\n\n{caption}\n" for name, caption in named]
    parts += map(rendering.as_markdown, judgement(study, ordered))
    parts += map(rendering.as_markdown, study.tables(ordered))
    made = (f"Source: {study.source}", *stamp_lines(ordered, stamp))
    parts.append("\n".join(f"- {line}" for line in made) + "\n")
    parts.append("All rows are in `rows.csv`; profiles by layer in `cells/*.npz`.\n")
    return "\n".join(parts)


def as_html(study: Study, ordered, stamp, named, pngs: dict[str, bytes]) -> str:
    """The same as one HTML file with its pictures inside."""
    parts = [page.head(study.name, study.question, headlines.of(study, ordered))]
    parts += [page.figure(name, caption, pngs[name]) for name, caption in named]
    parts += map(page.table, judgement(study, ordered))
    parts += map(page.table, study.tables(ordered))
    made = (f"Source: {study.source}", *stamp_lines(ordered, stamp))
    return page.whole(study.name, [*parts, page.made(made)])
