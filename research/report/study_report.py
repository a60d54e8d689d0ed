"""The report: a pure function of a run's folder, made without jax."""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from depthbench.research.report import coverage, figures, markdown, page, rendering
from depthbench.research.report.coverage import WHOLE, Coverage
from depthbench.research.store import atomic, provenance, rows
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store.folder import Folder
from depthbench.research.store.rows import Record
from depthbench.research.study import claims, headlines
from depthbench.research.study.claims import Verdict, judge
from depthbench.research.study.declaration import (
    SMOKE_WARNING,
    Row,
    Study,
    of_smoke_size,
)
from depthbench.research.study.tables import Mark, Table, number

NAMED = ("key", "claim", "source")  # of claims' tables; one column in a terminal
SHOWN = ("verdict", "allowed", "ours", "90 % interval", "range", "n", "points")
TONES = {"holds": "good", "fails": "bad", "undecided": "warning", "untested": "dim"}


def write(study: Study, folder: Folder, records: Sequence[Record]) -> None:
    """Writes rows.csv, report.md, report.html, figures and recordings."""
    ordered = study.alike(sorted((r.row for r in records), key=study.order))
    with_profiles = {record.id for record in records if record.profiles}

    @functools.cache
    def profiles(identity: str) -> dict[str, Any]:
        there = identity in with_profiles  # a file of the name may be another's
        return rows.profiles(folder.cells, identity) if there else {}

    drawn_rows = [figures.literal_row(row) for row in ordered]
    shown, recordings = study.shown(drawn_rows, lambda row: profiles(row["id"]))
    pictures = [(figure, figure.draw()) for figure in shown]
    for recording in recordings:  # before anything is written
        page.check_recording(recording.name)
    sounds = {recording.name: recording.made() for recording in recordings}
    heard = [(recording.name, recording.caption) for recording in recordings]
    pngs = {}
    save = atomic.write_atomically
    for name, content in sounds.items():
        save(folder.path / name, content)
    for figure, drawn in pictures:
        figures.lay_out(drawn)
        pngs[figure.name] = figures.as_png(drawn)
        save(folder.path / f"{figure.name}.svg", figures.as_svg(drawn))
        save(folder.path / f"{figure.name}.png", pngs[figure.name])
    named = [(figure.name, figure.caption) for figure, _ in pictures]
    csv = rendering.as_csv(ordered, columns(study, ordered))
    cover = covered(study, folder, records)
    stamps = [record.stamp for record in records]
    markdown = as_markdown(study, ordered, stamps, named, heard, cover)
    shown = [page.figure(name, caption, pngs[name]) for name, caption in named]
    shown += [page.recording(name, caption, sounds[name]) for name, caption in heard]
    html = as_html(study, ordered, stamps, shown, cover)
    for name, text in (
        ("rows.csv", csv),
        ("report.md", markdown),
        ("report.html", html),
    ):
        atomic.write_atomically(folder.path / name, text.encode())


def covered(study: Study, folder: Folder, records: Sequence[Record]) -> Coverage:
    """How much of the folder's plan the records are."""
    manifest = manifests.read(folder.path).manifest
    if manifest is None:
        return WHOLE
    there = {record.id for record in records}
    return coverage.of_folder(study, manifest, there, folders.elsewhere(folder))


def columns(study: Study, ordered: Sequence[Row]) -> list[str]:
    """The study's columns, then whatever else a row has.

    An axis that all rows imply has none, nor those that it adds.
    """
    there = dict.fromkeys(name for row in ordered for name in row)
    absent = {
        column
        for name in study.implied
        if name not in there
        for column in (name, *study.axes[name].adds)
    }
    first = [name for name in study.columns if name not in absent]
    return [*first, *(n for n in there if n not in first and n != "id")]


def verdicts(study: Study, ordered: Sequence[Row]) -> list[Verdict]:
    """What rows say of each claim, whose protocol is that of the standard size."""
    other = otherwise(study, ordered)
    return [
        judge(
            claim._replace(protocol=f"{claim.protocol}; in these rows not so: {other}")
            if claim.protocol and other
            else claim,
            ordered,
        )
        for claim in study.claims
    ]


def otherwise(study: Study, ordered: Sequence[Row]) -> str:
    """The settings of rows that the standard size does not have: "width 64, steps 2000".

    Of axes that have one value: those that cells differ in are in their rows.
    """
    changed = []
    for name in [name for name, axis in study.axes.items() if axis.single]:
        there = dict.fromkeys(row[name] for row in ordered if row.get(name) is not None)
        other = [str(v) for v in there if v not in study.axes[name].values]
        changed += [f"{name.replace('_', ' ')} {' and '.join(other)}"] * bool(other)
    return ", ".join(changed)


def claims_tables(judged: Sequence[Verdict]) -> list[Table]:
    """The published claims, and then the bars of our own."""
    titles = {"claim": "Claims", "bar": "Bars of our own, which nobody published"}
    kinds = {kind: [v for v in judged if v.claim.kind == kind] for kind in titles}
    return [_claims(titles[kind], lines) for kind, lines in kinds.items() if lines]


def _claims(title: str, judged: Sequence[Verdict]) -> Table:
    """One line a claim: what it says and allows, and what the rows say."""
    common = claims.common([v.claim for v in judged])
    body = tuple(
        (
            v.claim.key,
            v.claim.statement(common),
            v.claim.source,
            Mark(v.word, TONES[v.word]),
            str(v.claim.allows),
            number(v.ours),
            span(*(v.interval or (None, None))),
            span(*(v.range or (None, None))),
            repeats(v.seeds),
            points(v),
            v.sentence(),
        )
        for v in judged
    )
    note = f"Protocol: {common}." if common else ""
    return Table(title, (*NAMED, *SHOWN, "seen"), body, note)


def span(low: float | None, high: float | None) -> str:
    """Two numbers with a "to" between; nothing where either is missing."""
    if low is None or high is None:
        return ""
    return f"{number(low)} to {number(high)}"


def repeats(seeds: int | None) -> str:
    """The number of seeds; a word where no seed changes what is measured."""
    return "no chance" if seeds == 0 else number(seeds)


def points(verdict: Verdict) -> str:
    """The number of points; "27 of 54" where others have not been run, and "27 so far"
    where it is not known how many these are."""
    run, every = verdict.run, len(verdict.points)
    if run < every:
        return f"{run} of {every}"
    return f"{every} so far" if verdict.open else str(every)


def judgement(
    study: Study, ordered: Sequence[Row], cover: Coverage = WHOLE
) -> list[Table]:
    """The tables of claims and bars, with a warning if the rows are too small to judge.

    cover: of which plan the rows are; what is missing of it leaves claims undecided.
    """
    judged = verdicts(study, [*ordered, *cover.missing, *cover.apart])
    if cover.planned - cover.here > len(cover.missing):
        judged = [verdict._replace(open=True) for verdict in judged]
    tables = [t._replace(title=cover.title(t.title)) for t in claims_tables(judged)]
    if not of_smoke_size(study, ordered):
        return tables
    return [t._replace(title=f"{t.title} ({SMOKE_WARNING})") for t in tables]


def present(
    study: Study, rows: Sequence[Row], form: str, cover: Coverage = WHOLE
) -> None:
    """Prints the answer, rows, and verdicts beside them, in the requested format.

    cover: of which plan the rows are.
    """

    def shown() -> list[Table]:
        tables = list(study.tables(rows)) if rows else []
        return [*tables, *judgement(study, rows, cover)]

    headline, stacks = cover.headline(headlines.of(study, rows)), [NAMED, SHOWN]
    rendering.present(form, rows, columns(study, rows), shown, stacks, headline)


def stamp_lines(
    ordered: Sequence[Row], stamps: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Where the rows were made, in a few lines.

    stamps: of each row, or the one of all; of several commits or machines each is said.
    """
    statuses: dict[str, int] = {}
    for row in ordered:
        statuses[row["status"]] = statuses.get(row["status"], 0) + 1
    count = ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))
    return [
        f"{len(ordered)} rows: {count}",
        *_counted(machine(stamp, ordered) for stamp in stamps if stamp),
        *_counted(commit(stamp) for stamp in stamps if stamp),
    ]


def _counted(texts: Iterable[str]) -> list[str]:
    """Each text once, that of most rows first; where there are several, of how many.

    >>> _counted(["commit a", "commit b", "commit b"]), _counted(["commit a"])
    (['2 of 3 rows: commit b', '1 of 3 rows: commit a'], ['commit a'])
    """
    counts = Counter(texts)
    if len(counts) < 2:
        return list(counts)
    every = counts.total()
    return [f"{n} of {every} rows: {text}" for text, n in counts.most_common()]


def commit(stamp: Mapping[str, Any]) -> str:
    """The commit of the code that made a row, and whether it was all of the code."""
    return f"commit {stamp.get('commit') or 'unknown'}{_changes(stamp)}"


def _changes(stamp: Mapping[str, Any]) -> str:
    """Whether the code was that of its commit, in words."""
    changes = stamp.get("uncommitted")
    if changes == provenance.UNKNOWN:
        return "; whether with uncommitted changes is not known"
    return " with uncommitted changes" if changes else ""


def stamp_line(environment: dict[str, Any]) -> str:
    """Where a run was made, in a line."""
    return machine(environment, ()) + "."


def machine(world: Mapping[str, Any], ordered: Sequence[Row]) -> str:
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


def as_markdown(
    study: Study,
    ordered,
    stamps: Sequence[Mapping[str, Any]],
    named: Sequence[tuple[str, str]],
    heard: Sequence[tuple[str, str]] = (),
    cover: Coverage = WHOLE,
) -> str:
    """The whole report in Markdown: answer, worst case, pictures, claims, tables.

    stamps: as of `stamp_lines`. named, heard: names and captions of its figures and
    recordings.
    """
    parts = [f"# {study.name}\n\n{study.question}\n"]
    parts += rendering.first(cover.headline(headlines.of(study, ordered)))
    parts += [f"![{n}]({n}.svg)\n\n{markdown.text(c)}\n" for n, c in named]
    parts += [markdown.recording(name, caption) + "\n" for name, caption in heard]
    parts += map(rendering.as_markdown, judgement(study, ordered, cover))
    parts += map(rendering.as_markdown, study.tables(ordered))
    made = (f"Source: {study.source}", *stamp_lines(ordered, stamps))
    parts.append("\n".join(f"- {markdown.text(line)}" for line in made) + "\n")
    parts.append("All rows are in `rows.csv`; profiles by layer in `cells/*.npz`.\n")
    return "\n".join(parts)


def as_html(
    study: Study,
    ordered,
    stamps: Sequence[Mapping[str, Any]],
    shown: Sequence[str],
    cover: Coverage = WHOLE,
) -> str:
    """The same as one HTML file. shown: its pictures and recordings, which are inside."""
    headline = cover.headline(headlines.of(study, ordered))
    parts = [page.head(study.name, study.question, headline)]
    parts += shown
    judged = judgement(study, ordered, cover)
    parts += [page.table(rendering.stacked(table, NAMED)) for table in judged]
    parts += map(page.table, study.tables(ordered))
    made = (f"Source: {study.source}", *stamp_lines(ordered, stamps))
    return page.whole(study.name, [*parts, page.made(made)])
