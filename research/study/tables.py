"""Tables: made once from rows, printed in a terminal, in Markdown and in HTML."""

import csv
import html
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Mark(NamedTuple):
    """A table entry that stands out: bad (red), warning (yellow), good (green), dim."""

    text: str
    tone: str


class Table(NamedTuple):
    """A titled table; entries are strings or Marks; the first column is a label."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str | Mark, ...], ...]


TONES = {"bad": "bold red", "warning": "yellow", "good": "green", "dim": "dim"}
COLOURS = {"bad": "#c0392b", "warning": "#b9770e", "good": "#1e8449", "dim": "#999"}


def text_of(entry: str | Mark) -> str:
    return entry.text if isinstance(entry, Mark) else entry


def number(value: Any, digits: int = 3) -> str:
    """A short form for people: numbers to `digits` figures, "-" for what is not there.

    >>> number(-0.150512), number(None), number(1024)
    ('-0.151', '-', '1024')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        return f"{value:.{digits}g}"
    return str(value)


def flat(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str = ""):
    """A table with one line for each row."""
    body = tuple(tuple(number(row.get(c)) for c in columns) for row in rows)
    return Table(title, tuple(columns), body)


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


def as_html(table: Table) -> str:
    """The table in HTML, tones as colours."""

    def cell(entry: str | Mark, tag: str = "td") -> str:
        tone = isinstance(entry, Mark) and COLOURS.get(entry.tone)
        style = f' style="color:{tone}"' if tone else ""
        return f"<{tag}{style}>{html.escape(text_of(entry))}</{tag}>"

    head = "".join(cell(h, "th") for h in table.headers)
    body = "\n".join(
        f"<tr>{''.join(cell(entry) for entry in row)}</tr>" for row in table.rows
    )
    title = f"<h3>{html.escape(table.title)}</h3>\n" if table.title else ""
    return f"{title}<table>\n<tr>{head}</tr>\n{body}\n</table>\n"


def show(table: Table, console: Any) -> None:
    """Prints the table on a rich console, tones as colours; brackets stay as they are."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        title=Text(table.title) if table.title else None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for position, header in enumerate(table.headers):
        label = not any(_numeric(text_of(row[position])) for row in table.rows)
        shown.add_column(
            Text(header),
            justify="left" if label else "right",
            no_wrap=label and position == 0,
            overflow="fold",
        )
    for row in table.rows:
        marks = (e if isinstance(e, Mark) else Mark(e, "") for e in row)
        shown.add_row(*(Text(m.text, style=TONES.get(m.tone, "")) for m in marks))
    console.print(shown)


def _numeric(text: str) -> bool:
    return text.lstrip("+-−").replace(".", "", 1).replace("e-", "").isdigit()
