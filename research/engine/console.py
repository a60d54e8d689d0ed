"""Lines for the user, a progress bar, readable sizes and times."""

import contextlib
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from depthbench.research.engine import signals
from depthbench.research.files.text import visible

NARROWEST = 20  # columns that anything is laid out for


class Progress(NamedTuple):
    """Called as each unit begins and ends; may show it."""

    begin: Callable[[str], None]
    advance: Callable[[int], None]


def say(line: str) -> None:
    """Prints a line on standard error, if that takes it: no result is lost to a message."""
    with contextlib.suppress(OSError):
        print(f"depthbench: {visible(line)}", file=sys.stderr, flush=True)


def write(*lines: str) -> None:
    """Prints lines on standard output; a terminal's are broken at spaces."""
    for line in lines:
        print(broken(visible(line)), flush=True)


def write_json(body: Any, indent: int | None = 1) -> None:
    """Prints JSON, strict (no nan) and of ASCII alone, which every encoding has."""
    print(json.dumps(body, indent=indent, allow_nan=False))


def width_of(stream: Any) -> int | None:
    """The columns of a terminal: $COLUMNS, or as it says itself; None where it is none."""
    typed = os.environ.get("COLUMNS", "")
    if re.fullmatch(r"[1-9]\d{0,3}", typed):
        return max(int(typed), NARROWEST)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return None
    return (
        max(columns, NARROWEST) if columns else None
    )  # 0: it does not know, as serial


def broken(line: str) -> str:
    """The line in as many as a terminal needs; elsewhere as it is. What goes on stands
    below its column, where the line is a name and what it means."""
    width = width_of(sys.stdout)
    if width is None or len(line) <= width:
        return line
    column = re.match(r" *\S+ {2,}", line) or re.match(" *", line)
    indent = " " * min(column.end() if column else 0, width // 2)
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


@contextlib.contextmanager
def progress(total: int, unit: str = "cells") -> Iterator[Progress]:
    """A bar with what is running, what is done and time left; silent when piped."""
    if not sys.stderr.isatty() or not total:
        yield Progress(lambda what: None, lambda cells: None)
        return
    from rich import progress as bars
    from rich.console import Console

    bar = bars.Progress(
        bars.BarColumn(bar_width=24),
        bars.MofNCompleteColumn(),
        bars.TextColumn(unit),
        bars.TimeRemainingColumn(elapsed_when_finished=True),
        bars.TextColumn("{task.description}", markup=False),
        console=Console(file=sys.stderr),
    )
    with signals.undone(signals.show_cursor), bar:
        task = bar.add_task("compiling", total=total)
        yield Progress(
            lambda what: bar.update(task, description=visible(what)),
            lambda cells: bar.advance(task, cells),
        )


def size(count: int) -> str:
    """Bytes in a readable unit.

    >>> size(3 * 2**30)
    '3.0 GiB'
    """
    power = min((max(count, 1).bit_length() - 1) // 10, 4)
    digits = 1 if power else 0
    return (
        f"{count / 1024**power:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    )


def duration(seconds: float) -> str:
    """Seconds in a readable unit: "40 s", "3 min", "2.5 h"."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
