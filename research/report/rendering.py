"""Rows and tables as CSV, JSON, Markdown, and in a terminal."""

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from research.study.declaration import Headline
from research.study.tables import Mark, Table

FORMATS = ("table", "csv", "json", "markdown")
NOTHING = Headline("")  # to say above tables
TONES = {"bad": "bold red", "warning": "yellow", "good": "green", "dim": "dim"}


def text_of(entry: str | Mark) -> str:
    return entry.text if isinstance(entry, Mark) else entry


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV with a header; what is not there is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = (row.get(c) for c in columns)
        writer.writerow(["" if v is None else v for v in values])
    return out.getvalue()


def as_json(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as a JSON list of objects, strict (no nan), one row a line."""
    lines = (json.dumps({c: r.get(c) for c in columns}, allow_nan=False) for r in rows)
    return "[" + ",\n ".join(lines) + "]\n"


def as_markdown(table: Table) -> str:
    """The table in Markdown, columns aligned so that the source reads well too."""
    rows = [tuple(text_of(e) for e in row) for row in table.rows]
    widths = [
        max(map(len, column)) for column in zip(table.headers, *rows, strict=True)
    ]

    def line(cells: Sequence[str], fill: str = " ") -> str:
        padded = (c.ljust(w, fill) for c, w in zip(cells, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = line([""] * len(widths), "-")
    head = f"### {table.title}\n\n" if table.title else ""
    return head + "\n".join([line(table.headers), rule, *map(line, rows)]) + "\n"


def present(
    form: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    tables: Callable[[], Sequence[Table]],
    stacks: Sequence[Sequence[str]] = (),
    headline: Headline = NOTHING,
) -> None:
    """Prints rows on standard output in one of FORMATS; as tables, or all columns.

    stacks: columns that stand in one, below each other, where a terminal shows them.
    headline: what stands above the tables.
    """
    if form == "csv":
        sys.stdout.write(as_csv(rows, columns))
    elif form == "json":
        sys.stdout.write(as_json(rows, columns))
    elif form == "markdown":
        sys.stdout.write("\n".join([*first(headline), *map(as_markdown, tables())]))
    else:
        show_headline(headline, terminal())
        for table in tables():
            groups = [group for group in stacks if set(group) <= set(table.headers)]
            show(stacked(table, *groups), terminal())


def first(headline: Headline) -> list[str]:
    """The headline in Markdown: the answer, then the worst case; each if there is one."""
    answer = [f"**{headline.answer}**\n"] if headline.answer else []
    return [*answer, *([f"{headline.worst}\n"] if headline.worst else [])]


def show_headline(headline: Headline, console: Any) -> None:
    """Prints the answer, and the worst case below it, on a rich console."""
    from rich.text import Text

    for text, style in ((headline.answer, "bold"), (headline.worst, TONES["warning"])):
        if text:
            console.print(Text(text, style=style))
    if headline.answer:
        console.print()


def terminal() -> Any:
    """A rich console on standard output; 100 columns wide where that is piped."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100)


def stacked(table: Table, *groups: Sequence[str]) -> Table:
    """The table with each group of columns in one, below each other: for a terminal.

    A column of several has the tone of the first of them that stands out.
    """
    places = {header: place for place, header in enumerate(table.headers)}
    grouped = {group[0]: [places[header] for header in group] for group in groups}
    inner = {header for group in groups for header in group[1:]}
    columns = [grouped.get(h, [places[h]]) for h in table.headers if h not in inner]

    def below(entries: Sequence[str | Mark]) -> str | Mark:
        text = "\n".join(text_of(entry) for entry in entries)
        tones = [entry.tone for entry in entries if isinstance(entry, Mark)]
        return Mark(text, tones[0]) if tones else text

    headers = tuple(", ".join(table.headers[i] for i in column) for column in columns)
    rows = (tuple(below([row[i] for i in c]) for c in columns) for row in table.rows)
    return Table(table.title, headers, tuple(rows))


def show(table: Table, console: Any) -> None:
    """Prints the table on a rich console, tones as colours; brackets stay as they are.

    Where a label has several lines, its first is not broken: it is a name.
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    labels = [text_of(row[0]) for row in table.rows]
    names = [len(text.splitlines()[0]) for text in labels if "\n" in text]
    widest = max(36, *names) if names else None  # 36: for the sentence below a name
    shown = RichTable(
        title=Text(table.title) if table.title else None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        leading=1 if names else 0,
    )
    for position, header in enumerate(table.headers):
        label = not any(_numeric(text_of(row[position])) for row in table.rows)
        shown.add_column(
            Text(header),
            justify="left" if label else "right",
            no_wrap=label and position == 0 and not names,
            overflow="fold",
            width=widest if position == 0 else None,
        )
    for row in table.rows:
        marks = (e if isinstance(e, Mark) else Mark(e, "") for e in row)
        shown.add_row(*(Text(m.text, style=TONES.get(m.tone, "")) for m in marks))
    console.print(shown)


def _numeric(text: str) -> bool:
    return text.lstrip("+-−").replace(".", "", 1).replace("e-", "").isdigit()
