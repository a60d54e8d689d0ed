"""Rows that were timed beside a profiler: marked, and what their time went to."""

from collections.abc import Sequence

from depthbench.benchmarks.throughput import show
from depthbench.research.study.declaration import Row
from depthbench.research.study.tables import Table, number


def tables(rows: Sequence[Row]) -> list[Table]:
    """The study's tables; of rows that were profiled, their longest operations."""
    done = show.done(rows)
    body = tuple(
        (
            show.label(row, done),
            number(row["depth"]),
            row["mode"],
            row["loop"],
            row["operations"],
        )
        for row in done
        if row.get("profiled")
    )
    headers = ("net", "depth", "mode", "loop", "operations")
    title = "What the time of profiled rows went to"
    return [*show.tables(rows), *([Table(title, headers, body)] if body else [])]
