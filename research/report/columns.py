"""Columns of a table in a terminal: which there is room for, and how wide each is.

A word is not broken, so that no number is cut in two. Where there is no room for all
columns, those that say what a row is stay, then those whose entries stand out, then the
others from the left.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from depthbench.research.lazy import lazily
from depthbench.research.study.tables import Mark, Table

with lazily():
    from rich import cells

GAP = 2  # between columns: their padding and the box's line
EDGES = 2
LINES = 6  # that a text may take: narrower it is no longer read
SENTENCE = 36  # letters of a line of the text below a name


class Fit(NamedTuple):
    """The columns that are shown, and their widths; the headers of those that are not."""

    table: Table
    widths: tuple[int, ...]
    left_out: tuple[str, ...]


def fit(table: Table, width: int) -> Fit:
    """As much of the table as a terminal of a width shows."""
    room = width - EDGES
    entries = [_texts(table, place) for place in range(len(table.headers))]
    least = [_least(texts, room, at == 0) for at, texts in enumerate(entries)]
    places: list[int] = []
    for place in important(table):
        if not places or sum(least[p] + GAP for p in (*places, place)) - GAP <= room:
            places.append(place)
    places.sort()
    natural = [
        max(cells.cell_len(table.headers[place]), *map(_longest_line, entries[place]))
        for place in places
    ]
    widths = shared([least[p] for p in places], natural, room - GAP * (len(places) - 1))
    shown = [table.headers[place] for place in places]
    headers = [folded(h, w) for h, w in zip(shown, widths, strict=True)]
    rows = tuple(tuple(row[place] for place in places) for row in table.rows)
    left_out = [h for p, h in enumerate(table.headers) if p not in places]
    return Fit(Table("", tuple(headers), rows), tuple(widths), tuple(left_out))


def important(table: Table) -> list[int]:
    """The places of columns, the most important first."""
    names = naming(table)
    marked = [
        any(isinstance(row[place], Mark) for row in table.rows)
        for place in range(len(table.headers))
    ]
    return sorted(range(len(marked)), key=lambda p: (p >= names, not marked[p], p))


def naming(table: Table) -> int:
    """How many of the first columns say what a row is: no two rows share them."""
    for count in range(1, len(table.headers)):
        if len({row[:count] for row in table.rows}) == len(table.rows):
            return count
    return 1


def shared(least: Sequence[int], natural: Sequence[int], room: int) -> list[int]:
    """Widths between the least and the natural ones: what need the least more have it
    first, and what is left is shared by the others."""
    widths = list(least)
    needs = [max(n - w, 0) for n, w in zip(natural, widths, strict=True)]
    left = room - sum(widths)
    for after, place in enumerate(sorted(range(len(needs)), key=needs.__getitem__)):
        more = max(0, min(needs[place], left // (len(needs) - after)))
        widths[place] += more
        left -= more
    return widths


def folded(header: str, width: int) -> str:
    """A header in lines of a width, broken at spaces and after underscores.

    >>> folded("examples_per_s", 9)
    'examples_\\nper_s'
    """
    lines = [""]
    for part in _parts(header):
        if lines[-1] and cells.cell_len((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _parts(header: str) -> list[str]:
    return re.findall(r"[^_\s]+(?:_+|\s+|$)|[_\s]+", header)


def _texts(table: Table, place: int) -> list[str]:
    entries = (row[place] for row in table.rows)
    texts = (e.text if isinstance(e, Mark) else e for e in entries)
    return ["\n".join(_parts(table.headers[place])), *texts]


def _longest_line(text: str) -> int:
    return max(map(cells.cell_len, text.split("\n")))


def _least(texts: Sequence[str], room: int, first: bool) -> int:
    """The least width of a column: of its longest word, and of texts that can be read.

    Of the first column a name is not broken: its first line, where there are more.
    """
    words = max((cells.cell_len(w) for text in texts for w in text.split()), default=1)
    whole = max(map(_longest_line, texts[1:]), default=1)
    lines = [text.split("\n") for text in texts[1:] if "\n" in text]
    if first and lines:
        names = max(cells.cell_len(name) for name, *_ in lines)
        least = max(words, names, min(whole, SENTENCE))
    elif first:
        least = max(words, min(whole, room // 3))
    elif lines:  # entries below each other
        least = max(words, min(whole, room // 4))
    else:
        least = max(words, min(-(-whole // LINES), room // 4))
    return min(least, room)
