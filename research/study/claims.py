"""Claims: a paper's sentence, judged on rows. A refuted claim is a result."""

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from research.catalogues.catalogue import Catalogue

SIGMAS = 3  # a miss counts when it exceeds the tolerance by this many standard errors
SEEDS = 3  # fewer are not judged
KEY = re.compile(
    r"(popular|depthbench|[a-z]+\d{4}[a-z]?)"  # whose claim it is
    r"\.[a-z0-9]+(-[a-z0-9]+)*"  # what it says, in a few words
)
LONGEST = 40  # letters of a key, which tables do not break


class Claim(NamedTuple):
    """A sentence that can be right or wrong at each row in its scope.

    key: a name of its own among all studies' claims, as `he2015.gradient-kept`: first
      author and year, or `popular` for what has no paper, or `depthbench` for
      a bar of our own; then what it says.
    tag: its number on the list of claims, which several may share (S13); or none.
    gap: a row's seed-mean that the claim says is small; error: its standard error.
    within: how small. scope: the rows that the paper's statement covers.
    repeats: the column that says how many seeds, or runs, a row is the mean of.
    of: from all rows to those that are judged: of claims that compare cells, made of
      several each.
    published: the number that the paper gives, in words; the gap's if it gives none.
    ours: what is measured of a row, where that says more than the gap.
    """

    key: str
    says: str
    source: str
    gap: Callable[[Mapping[str, Any]], float]
    error: Callable[[Mapping[str, Any]], float]
    within: float
    scope: Callable[[Mapping[str, Any]], bool]
    label: tuple[str, ...] = ("activation", "initializer", "depth")
    repeats: str = "seeds"
    of: Callable[[Sequence[Mapping[str, Any]]], Sequence[Mapping[str, Any]]] = (
        lambda rows: rows
    )
    published: str = ""
    ours: Callable[[Mapping[str, Any]], float] | None = None
    tag: str = ""

    @property
    def name(self) -> str:
        """The key: what a catalogue calls its entries by."""
        return self.key

    @property
    def paper(self) -> str:
        """Whose claim it is: the key up to its dot."""
        return self.key.partition(".")[0]


def by_key(claims: Iterable[Claim]) -> Catalogue[Claim]:
    """The claims by key. Raises ValueError for a key of another form, or used twice."""
    claims = list(claims)
    for claim in claims:
        if not KEY.fullmatch(claim.key) or len(claim.key) > LONGEST:
            raise ValueError(
                f"a claim's key is {claim.key!r}; it must have at most {LONGEST} letters "
                "and the form of he2015.gradient-kept, popular.mlp-reads-digits or "
                "depthbench.time-grows-as-depth"
            )
    return Catalogue("claim", claims)


class Verdict(NamedTuple):
    """holds: rows that agree, of `points` in scope; misses: (label, gap), worst first.

    ours: the median over points of what the claim is about. low, high: of one point the
    interval of two standard errors, of several their lowest and highest.
    """

    claim: Claim
    holds: int
    points: int
    misses: tuple[tuple[str, float], ...]
    ours: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def word(self) -> str:
        if not self.points:
            return "untested"
        return "fails" if self.misses else "holds"

    def sentence(self) -> str:
        """The verdict in words, with the worst three misses."""
        if not self.points:
            return f"untested: no row in scope has {SEEDS} {self.claim.repeats}"
        text = f"holds at {self.holds} of {self.points} points in scope"
        if self.misses:
            worst = "; ".join(f"{label} by {gap:.3g}" for label, gap in self.misses[:3])
            more = len(self.misses) - 3
            text += f"; fails at {worst}" + (f" and {more} more" if more > 0 else "")
        return text


def judge(claim: Claim, rows: Sequence[Mapping[str, Any]]) -> Verdict:
    """The claim's verdict on the rows in its scope that have enough seeds.

    A row misses when its gap exceeds `within` by more than three standard errors.
    """
    holds, misses, points = 0, [], []
    for row in claim.of(rows) if rows else ():
        if row["status"] != "ok" or (row.get(claim.repeats) or 0) < SEEDS:
            continue
        if not claim.scope(row):
            continue
        gap, error = claim.gap(row), claim.error(row)
        points.append((claim.ours(row) if claim.ours else gap, error))
        if abs(gap) - SIGMAS * error <= claim.within:
            holds += 1
        else:
            label = " ".join(str(row[name]) for name in claim.label if name in row)
            misses.append((label, gap))
    misses.sort(key=lambda miss: -abs(miss[1]))
    return Verdict(claim, holds, holds + len(misses), tuple(misses), *_middle(points))


def _middle(points: Sequence[tuple[float, float]]) -> tuple[float | None, ...]:
    """(median, low, high) of points (value, standard error); None where there is none."""
    if not points:
        return (None, None, None)
    values = [value for value, _ in points]
    if len(points) == 1:
        ((value, error),) = points
        return (value, value - 2 * error, value + 2 * error)
    return (statistics.median(values), min(values), max(values))
