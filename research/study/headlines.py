"""Headlines: the sentences that a report begins with, made from a study's rows."""

from collections import Counter
from collections.abc import Iterable, Sequence

from depthbench.research.study.claims import same_columns
from depthbench.research.study.declaration import Headline, Row, Study

UNMEASURED = "No row has been measured yet."


def of(study: Study, rows: Sequence[Row]) -> Headline:
    """What the rows answer, and their worst case: rows without a number are said.

    rows: any, or none.
    """
    if not rows:
        return Headline(UNMEASURED)
    if not measured(rows):
        return Headline(f"No number from any of {len(rows):,} rows: {endings(rows)}.")
    answer, worst = study.headline(same_columns(rows))
    if answer.startswith(("none ", "all ", "both ")):  # as `out_of` has them
        answer = answer[0].upper() + answer[1:]
    without = [row for row in rows if row["status"] != "ok"]
    if without:
        lost = (
            f"{len(without):,} of {len(rows):,} rows have no number: {endings(rows)}."
        )
        worst = f"{worst} {lost}".strip()
    return Headline(answer, worst)


def measured(rows: Iterable[Row]) -> list[Row]:
    """The rows that have their numbers."""
    return [row for row in rows if row["status"] == "ok"]


def endings(rows: Iterable[Row]) -> str:
    """What happened instead, the most frequent first: "5 overflow, 2 lost"."""
    counts = Counter(row["status"] for row in rows if row["status"] != "ok")
    return ", ".join(
        f"{n} {status.replace('_', ' ')}" for status, n in _frequent(counts)
    )


def _frequent(counts: Counter) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def out_of(good: int, total: int, noun: str = "") -> str:
    """ "3 of 5 nets"; "all 5 nets", "both nets", "none of 5 nets"; "1 of 1 net"."""
    words = f"{total} {noun}".strip()
    if noun and total == 1:
        words = words.removesuffix("s")
    if total == good == 2:
        return f"both {noun}".strip()
    if total > 1 and good == total:
        return f"all {words}"
    return f"{good or 'none'} of {words}"


def listed(names: Iterable[str], most: int = 4) -> str:
    """ "a, b and c"; of more than `most` the first of them and how many there are."""
    names = list(dict.fromkeys(names))
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    *first, last = names or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def counted(count: float, noun: str) -> str:
    """ "1 layer", "1,024 layers"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def of_deepest(rows: Sequence[Row], axis: str = "depth") -> list[Row]:
    """The rows of the largest value of an axis."""
    largest = max(row[axis] for row in rows)
    return [row for row in rows if row[axis] == largest]
