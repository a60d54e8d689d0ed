"""Rows and tables as CSV, JSON, Markdown, and in a terminal."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from depthbench.research.engine.console import width_of
from depthbench.research.files.text import visible, writable
from depthbench.research.report import columns, fields, markdown
from depthbench.research.study.declaration import Headline
from depthbench.research.study.tables import Mark, Table

FORMATS = ("table", "csv", "json", "markdown")
NOTHING = Headline("")  # to say above tables
PIPED = 100  # columns where there is no terminal
TONES = {"bad": "bold red", "warning": "yellow", "good": "green", "dim": "dim"}


def text_of(entry: str | Mark) -> str:
    return entry.text if isinstance(entry, Mark) else entry


def as_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Rows as CSV with a header; what is not there is empty."""
    lines = [map(fields.name, names)]
    lines += [[fields.written(row.get(name)) for name in names] for row in rows]
    return fields.as_lines(lines)


def as_json(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Rows as a JSON list of objects, strict (no nan), one row a line."""
    lines = (json.dumps({n: r.get(n) for n in names}, allow_nan=False) for r in rows)
    return "[" + ",\n ".join(lines) + "]\n"


def as_markdown(table: Table) -> str:
    """The table in Markdown, columns aligned so that the source reads well too."""
    rows = [[markdown.text(text_of(entry)) for entry in row] for row in table.rows]
    head = f"### {markdown.text(table.title)}\n\n" if table.title else ""
    head += f"{markdown.text(table.note)}\n\n" if table.note else ""
    return head + markdown.table([*map(markdown.text, table.headers)], rows)


def present(
    form: str,
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    tables: Callable[[], Sequence[Table]],
    stacks: Sequence[Sequence[str]] = (),
    headline: Headline = NOTHING,
) -> None:
    """Prints rows on standard output in one of FORMATS; as tables, or all columns.

    stacks: columns that stand in one, below each other, where a terminal shows them.
    headline: what stands above the tables.
    """
    if form == "csv":
        sys.stdout.write(as_csv(rows, names))
    elif form == "json":
        sys.stdout.write(as_json(rows, names))
    elif form == "markdown":
        sys.stdout.write("\n".join([*first(headline), *map(as_markdown, tables())]))
    else:
        show_headline(headline, terminal())
        for table in tables():
            groups = [group for group in stacks if set(group) <= set(table.headers)]
            show(stacked(table, *groups), terminal())


def first(headline: Headline) -> list[str]:
    """The headline in Markdown: the answer, then the worst case; each if there is one."""
    answer, worst = map(markdown.text, headline)
    answer = answer.replace("*", r"\*")  # which would end the bold type
    return [
        *([f"**{answer}**\n"] if answer else []),
        *([f"{worst}\n"] if worst else []),
    ]


def show_headline(headline: Headline, console: Any) -> None:
    """Prints the answer, and the worst case below it, on a rich console."""
    for text, style in ((headline.answer, "bold"), (headline.worst, TONES["warning"])):
        if text:
            console.print(_shown(text, console, style))
    if headline.answer:
        console.print()


def terminal() -> Any:
    """A rich console on standard output, as wide as that is."""
    from rich.console import Console

    return Console(file=sys.stdout, width=width_of(sys.stdout) or PIPED)


def _shown(text: str, console: Any, style: str = "") -> Any:
    """The text for a rich console: brackets and what is not seen stay as they are."""
    from rich.text import Text

    seen = writable(visible(text, keep="\n"), console.encoding)
    return Text(seen, style=style, overflow="fold")


def stacked(table: Table, *groups: Sequence[str]) -> Table:
    """The table with each group of columns in one, below each other: for a terminal.

    A column of several has the tone of the first of them that stands out.
    """
    places = {header: place for place, header in enumerate(table.headers)}
    grouped = {group[0]: [places[header] for header in group] for group in groups}
    inner = {header for group in groups for header in group[1:]}
    joined = [grouped.get(h, [places[h]]) for h in table.headers if h not in inner]

    def below(entries: Sequence[str | Mark]) -> str | Mark:
        text = "\n".join(text_of(entry) for entry in entries)
        tones = [entry.tone for entry in entries if isinstance(entry, Mark)]
        return Mark(text, tones[0]) if tones else text

    headers = tuple(", ".join(table.headers[i] for i in group) for group in joined)
    rows = (tuple(below([row[i] for i in g]) for g in joined) for row in table.rows)
    return table._replace(headers=headers, rows=tuple(rows))


def show(table: Table, console: Any) -> None:
    """Prints the table on a rich console, tones as colours, and which of its columns
    there is no room for.

    Where a label has several lines, its first is not broken: it is a name.
    """
    from rich import box
    from rich.table import Table as RichTable

    fit = columns.fit(_seen(table, console.encoding), console.width)
    named = any("\n" in text_of(row[0]) for row in fit.table.rows)
    shown = RichTable(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        leading=1 if named else 0,
    )
    for place, header in enumerate(fit.table.headers):
        label = not any(_numeric(text_of(row[place])) for row in fit.table.rows)
        shown.add_column(
            header=_shown(header, console),
            justify="left" if label else "right",
            overflow="fold",
            width=fit.widths[place],
        )
    for row in fit.table.rows:
        marks = (e if isinstance(e, Mark) else Mark(e, "") for e in row)
        shown.add_row(*(_shown(m.text, console, TONES.get(m.tone, "")) for m in marks))
    if table.title:
        console.print(_shown(table.title, console, "bold"))
    if table.note:
        console.print(_shown(table.note, console))
    console.print(shown)
    if fit.left_out:
        names = ", ".join(" ".join(header.split()) for header in fit.left_out)
        line = f"no room in {console.width} columns for: {names} (see --format)"
        console.print(_shown(line, console, TONES["dim"]))
        console.print()


def _seen(table: Table, encoding: str) -> Table:
    """The table as it is laid out: an escape is wider than what it stands for."""

    def text(entry: str) -> str:
        return writable(visible(entry, keep="\n"), encoding)

    rows = tuple(
        tuple(
            Mark(text(e.text), e.tone) if isinstance(e, Mark) else text(e) for e in row
        )
        for row in table.rows
    )
    return table._replace(headers=tuple(map(text, table.headers)), rows=rows)


def _numeric(text: str) -> bool:
    return text.lstrip("+-−").replace(".", "", 1).replace("e-", "").isdigit()
