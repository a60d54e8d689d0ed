"""Messages on standard error: lines, a progress bar, readable sizes and times."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from research.engine import signals


class Progress(NamedTuple):
    """Called as each unit begins and ends; may show it."""

    begin: Callable[[str], None]
    advance: Callable[[int], None]


def say(line: str) -> None:
    """Prints a line on standard error."""
    print(f"depthbench: {line}", file=sys.stderr, flush=True)


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
        bars.TextColumn("{task.description}"),
        console=Console(stderr=True),
    )
    with signals.undone(signals.show_cursor), bar:
        task = bar.add_task("compiling", total=total)
        yield Progress(
            lambda what: bar.update(task, description=what),
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
