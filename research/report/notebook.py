"""How a result shows itself at a prompt and in a notebook: text, a page's part, a picture.

Nothing of the user's settings is changed: matplotlib's style is ours while we draw.
"""

import io
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.catalogues.packages import install
from depthbench.research.engine.console import width_of
from depthbench.research.files.text import visible
from depthbench.research.report import figures, frames, page, rendering
from depthbench.research.study.tables import Table

NARROW = 80  # columns where no terminal says how many it has
PLAIN: Any = {"markup": False, "highlight": False, "emoji": False}


class Text(str):
    """Text that a prompt shows as it is.

    >>> Text("two\\nlines")
    two
    lines
    """

    def __repr__(self) -> str:
        return str(self)


def text(
    answer: str,
    tables: Sequence[Table],
    below: Iterable[str] = (),
    width: int | None = None,
) -> Text:
    """The answer, tables and lines below them, in a width: the terminal's or 80."""
    from rich.console import Console

    columns = width or width_of(sys.stdout) or NARROW
    out = io.StringIO()
    console = Console(file=out, width=columns, color_system=None)
    console.print(visible(answer, keep="\n"), **PLAIN)
    for table in tables:
        rendering.show(table, console)
    for line in below:
        console.print(visible(line), **PLAIN)
    lines = (line.rstrip() for line in out.getvalue().splitlines())
    return Text("\n".join(lines).rstrip("\n"))


STYLE = """
.depthbench { font: 14px/1.45 system-ui, sans-serif; max-width: 60em; color: inherit;
  --bad: #c0392b; --warning: #9a6700; --good: #1a7f45; }
.depthbench .answer { font-size: 1.15em; font-weight: 600; margin: 0 0 .4em; }
.depthbench p { margin: 0 0 .4em; }
.depthbench .scroll { overflow-x: auto; }
.depthbench table { border-collapse: collapse; font-size: 12.5px; margin: .3em 0 .6em;
  color: inherit; background: none; }
.depthbench th, .depthbench td { text-align: left; padding: 1px 12px 1px 0; border: 0;
  border-bottom: 1px solid rgba(128, 128, 128, .3); white-space: nowrap;
  background: none; color: inherit; }
.depthbench td.bad { color: var(--bad); } .depthbench td.good { color: var(--good); }
.depthbench td.warning { color: var(--warning); } .depthbench td.dim { opacity: .6; }
.depthbench figure { margin: 0; }
.depthbench h3 { font-size: 1em; margin: .6em 0 0; }
.depthbench img { max-width: 100%; background: #fff; border-radius: 4px; }
body[data-jp-theme-light="false"] .depthbench, .vscode-dark .depthbench,
html[theme="dark"] .depthbench { --bad: #ff8a7a; --warning: #e3b341; --good: #6fcf8e; }
body[data-jp-theme-light="false"] .depthbench img, .vscode-dark .depthbench img,
html[theme="dark"] .depthbench img { filter: invert(.9) hue-rotate(180deg); }
@media (prefers-color-scheme: dark) {
  body:not([data-jp-theme-light="true"]) .depthbench { --bad: #e06c5c; --good: #3fa667; }
}
"""


def part(
    answer: str, tables: Sequence[Table], below: Iterable[str] = (), figure: Any = None
) -> str:
    """A part of a page: the answer first, then a picture, tables, and lines."""
    picture = (
        "" if figure is None else page.figure("figure", "", figures.as_png(figure))
    )
    parts = (
        f"<style>{STYLE}</style>",
        '<div class="depthbench">',
        page.paragraph(answer, "answer"),
        picture,
        *map(page.table, tables),
        *(page.paragraph(line, "") for line in below),
        "</div>",
    )
    return "\n".join(filter(None, parts))


def drawn(width: float, height: float, draw: Callable[[Any], None]) -> Any:
    """A matplotlib Figure, in inches, that `draw` has drawn on; a notebook shows it."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(figures.STYLE):
        figure: Any = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
    figure._repr_png_ = lambda: figures.as_png(figure)
    return figure


def frame(
    rows: Iterable[Mapping[str, Any]], first: Mapping[str, str] | None = None
) -> Any:
    """The rows as a pandas DataFrame, `frames.typed`. Raises Mistake where there is no
    pandas."""
    try:
        return frames.typed(list(rows), first or {})
    except ModuleNotFoundError:
        raise Mistake(f"to_pandas() needs pandas: {install('pandas')}") from None


def decades(value: float, sign: str = "") -> str:
    """A logarithm to two decimals; "-∞" and "-" as they are.

    >>> decades(-38.4127), decades(float("-inf")), decades(float("nan")), decades(.5, "+")
    ('-38.41', '-∞', '-', '+0.50')
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:{sign}.2f}".replace("-0.00", "0.00")
