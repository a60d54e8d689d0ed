"""Markdown: text that stays text in it, and tables that read well as source.

What would be structure is written as a character reference, which never is structure
(CommonMark 0.31, section 6.2): `<` before a tag's name is `&lt;`, a pipe `&#124;`.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from depthbench.research.files.text import visible

# Only where it would act: numbers, intervals and names read as they are.
_ACTS = re.compile(
    r"[|`]"  # cells, code
    r"|<(?=[A-Za-z/!?])"  # tags, links in angles
    r"|&(?=#|[A-Za-z][A-Za-z0-9]*;)"  # character references
    r"|\\(?=[!-/:-@\[-`{-~]|$)"  # escapes, and a line's end
    r"|\](?=[(\[:]|$)"  # links and pictures
    r"|\*(?=\*|[^\s!-/:-@\[-`{-~])|(?<![^\W_])[*_](?=\S)|~(?=~)"  # what opens emphasis
    r"|^(?: |#(?=[\s#]|$)|[-+*_](?=[\s-])|>|\d+[.)](?=\s|$))"  # what begins a block
)


def text(words: str) -> str:
    """The words as Markdown that shows them, in a line or a table's cell.

    >>> text("|x| < 1"), text("[a](b) <i>")
    ('&#124;x&#124; < 1', '[a&#93;(b) &lt;i>')
    """

    def reference(match: re.Match) -> str:
        names = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
        last = match[0][-1]
        return match[0][:-1] + names.get(last, f"&#{ord(last)};")

    return _ACTS.sub(reference, visible(words))


def recording(name: str, caption: str, folder: str = "") -> str:
    """A link to a recording, and what is heard. folder: where it is, seen from the page.

    >>> recording("a b.wav", "a | b", "made/")
    '[a b.wav](made/a%20b.wav): a &#124; b'
    """
    label = text(name).replace("[", "&#91;")
    return f"[{label}]({folder}{quote(name, safe='')}): {text(caption)}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]

    def line(cells: Sequence[str], fill: str = " ") -> str:
        padded = (c.ljust(w, fill) for c, w in zip(cells, widths, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = line([""] * len(widths), "-")
    return "\n".join([line(headers), rule, *map(line, rows)]) + "\n"
