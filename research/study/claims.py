"""Claims: a paper's sentence, judged on rows. A refuted claim is a result.

One rule, `judge`: a claim holds where each of its points lies surely within what it
allows, fails where one lies surely outside, and is undecided otherwise. Noise, a run that
ended otherwise, a learning rate at the edge of its grid and a budget that was too small
never help it.
"""

import itertools
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.study import estimates
from depthbench.research.study.doubts import anywhere, of_training
from depthbench.research.study.estimates import LEVEL, STAYS, Allowed, Estimate, Moves

BARS = "depthbench"  # whose claims are bars of our own
KEY = re.compile(
    rf"(popular|{BARS}|[a-z]+\d{{4}}[a-z]?)"  # whose claim it is
    r"\.[a-z0-9]+(-[a-z0-9]+)*"  # what it says, in a few words
)
LONGEST = 40  # letters of a key, which tables do not break
SHORT = 40  # letters of a protocol, which need not be said once for several
UNMEASURED = "not measured"
NOT_RUN = "not_run"  # the status of a cell that is still to be run
UNRUN = "not run"  # in words

Seen = Mapping[str, Any]  # a row, to be judged


def stated(says: str, protocol: str | None, differs: str | None) -> str:
    """A claim's sentence with its protocol, and how the source's differs."""
    here = f"; here {protocol}" if protocol else ""
    return says + here + (f"; the source: {differs}" if differs else "")


def common(claims: Sequence["Claim"]) -> str:
    """What all the protocols of claims begin with, up to a comma or semicolon; nothing
    where that is short, or where a claim has none."""
    parts = [re.split("(; |, )", claim.protocol) for claim in claims]
    places = zip(*parts, strict=False)
    alike = list(itertools.takewhile(lambda each: len(set(each)) == 1, places))
    if len(alike) % 2 == 0:  # it ends with what separates
        alike = alike[:-1]
    text = "".join(each[0] for each in alike)
    return text if len(claims) > 1 and len(text) >= SHORT else ""


def themselves(rows: Sequence[Seen]) -> Sequence[Seen]:
    """The rows: of claims that compare no cells."""
    return rows


class Claim(NamedTuple):
    """A sentence that can be right or wrong at each row in its scope.

    key: a name of its own among all studies' claims, as `he2015.gradient-kept`: first
      author and year, or `popular` for what has no paper, or `depthbench` for
      a bar of our own; then what it says.
    says: the sentence, which stands alone.
    protocol: what was measured here. differs: how that differs from the source's.
    tag: its number on the list of claims, which several may share (S13); or none.
    estimate: of a row, the number that the claim is about. allows: the values it allows.
    scope: the rows that the paper's statement covers, by what was set, never by what was
      measured: it is asked of rows without measurements too.
    of: from all rows to those that are judged: of claims that compare cells, made of
      several each.
    doubt: why a row's training may not have been enough, or nothing.
    moves: where there is a doubt, which way more of it might take the estimate. A verdict
      rests on the row where that could not turn it.
    counts: what ends other than "ok" say of the claim, by status: that a gradient which is
      exactly 0 has vanished, for one. Of any other such end nothing is known.
    published: the number that the paper gives, in words.
    """

    key: str
    says: str
    source: str
    estimate: Callable[[Seen], Estimate]
    allows: Allowed
    scope: Callable[[Seen], bool]
    protocol: str = ""
    differs: str = ""
    label: tuple[str, ...] = ("activation", "initializer", "depth")
    of: Callable[[Sequence[Seen]], Sequence[Seen]] = themselves
    doubt: Callable[[Seen], str] = of_training
    moves: Callable[[Seen], Moves] = anywhere
    counts: Mapping[str, float] = {}
    published: str = ""
    tag: str = ""

    @property
    def name(self) -> str:
        """The key: what a catalogue calls its entries by."""
        return self.key

    @property
    def paper(self) -> str:
        """Whose claim it is: the key up to its dot."""
        return self.key.partition(".")[0]

    def statement(self, common: str = "") -> str:
        """What it says, what was measured for it here, and how the source differs.

        common: the beginning of its protocol that is said elsewhere.
        """
        own = self.protocol.removeprefix(common).lstrip(",; ")
        return stated(self.says, own, self.differs)

    @property
    def kind(self) -> str:
        """Whether it was published, or is a bar of our own: "claim" or "bar"."""
        return "bar" if self.paper == BARS else "claim"


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


class Point(NamedTuple):
    """One row in a claim's scope, judged: word is "holds", "fails" or "undecided".

    estimate: None of a row that gave none. doubt: why it is undecided, noise apart.
    """

    label: str
    word: str
    estimate: Estimate | None
    doubt: str = ""


class Verdict(NamedTuple):
    """A claim, and its points in the rows' order.

    lacking: why there are none, where rows in scope lack what is judged.
    open: whether cells have not been run of which it is not known what they say.
    """

    claim: Claim
    points: tuple[Point, ...] = ()
    lacking: str = ""
    open: bool = False

    @property
    def word(self) -> str:
        """holds, fails, undecided; or untested, where no row in scope says anything."""
        words = {"undecided" if self.open else point.word for point in self.points}
        return next(
            (word for word in ("fails", "undecided", "holds") if word in words),
            "untested",
        )

    def having(self, word: str) -> list[Point]:
        """The points of which this is said, the furthest from what is allowed first."""
        points = [point for point in self.points if point.word == word]
        return sorted(points, key=lambda point: -self.distance(point))

    def distance(self, point: Point) -> float:
        """By how much a point lies outside of what is allowed; below 0 within it."""
        if point.estimate is None:
            return math.inf
        value, (low, high) = point.estimate.value, self.claim.allows
        return max(low - value, value - high)

    @property
    def values(self) -> list[float]:
        return [p.estimate.value for p in self.points if p.estimate is not None]

    @property
    def run(self) -> int:
        """The number of points whose cells have been run."""
        return sum(point.doubt != UNRUN for point in self.points)

    @property
    def ours(self) -> float | None:
        """The median over points of what the claim is about; None without one."""
        return statistics.median(self.values) if self.values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 90 % interval of a claim's only point; None of several, or of none."""
        estimates_of = [p.estimate for p in self.points if p.estimate is not None]
        if len(estimates_of) != 1 or len(self.points) != 1:
            return None
        return estimates.interval(estimates_of[0])

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest of several points; None of fewer."""
        several = self.values if len(self.values) > 1 else None
        return (min(several), max(several)) if several else None

    @property
    def seeds(self) -> int | None:
        """The fewest seeds of a point; 0 if no seed changes any; None without one."""
        counts = [p.estimate.seeds for p in self.points if p.estimate is not None]
        return min(counts) if counts else None

    @property
    def seeds_to_decide(self) -> int | None:
        """How many seeds would decide the points that noise leaves undecided.

        None where there are none such, or where no number would.
        """
        noisy = [p for p in self.having("undecided") if p.estimate and not p.doubt]
        needed = [
            estimates.seeds_to_decide(p.estimate, self.claim.allows, len(self.points))
            for p in noisy
            if p.estimate is not None
        ]
        if not needed or None in needed:
            return None
        return max(n for n in needed if n is not None)

    def sentence(self) -> str:
        """The verdict in words, with the worst three points of each kind."""
        if not self.points:
            return f"untested: {self.lacking or 'no row in scope'}"
        holding = len(self.having("holds"))
        so_far = "undecided until all cells have been run; so far " * self.open
        count = len(self.points)
        points = "1 point" if count == 1 else f"{count} points"
        parts = [f"{so_far}holds at {holding} of {points} in scope"]
        if failing := self.having("fails"):
            parts.append(f"fails at {_few(failing, self.far)}")
        if open_points := self.having("undecided"):
            text = f"undecided at {_few(open_points, self.why)}"
            if any(not point.doubt for point in open_points):
                text += f": {self.needed()}"
            parts.append(text)
        if self.seeds == 0:
            parts.append("no chance in it")
        return "; ".join(parts)

    def far(self, point: Point) -> str:
        return f"{point.label} by {self.distance(point):.3g}"

    def why(self, point: Point) -> str:
        return f"{point.label} ({point.doubt})" if point.doubt else point.label

    def needed(self) -> str:
        """How many seeds would decide, in words."""
        seeds = self.seeds_to_decide
        if seeds is None:
            return "no number of seeds is sure to decide"
        return f"about {seeds} seeds would decide"


def _few(points: Sequence[Point], words: Callable[[Point], str]) -> str:
    more = len(points) - 3
    listed = ", ".join(words(point) for point in points[:3])
    return listed + (f" and {more} more" if more > 0 else "")


def same_columns(rows: Sequence[Seen]) -> list[dict[str, Any]]:
    """The rows, as rows.csv has them: None where a row lacks a column that others have.

    >>> same_columns([{"a": 1}, {"b": 2}])
    [{'a': 1, 'b': None}, {'a': None, 'b': 2}]
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{**columns, **row} for row in rows]


def judge(claim: Claim, rows: Sequence[Seen]) -> Verdict:
    """The claim's verdict on the rows in its scope.

    A point holds where both one-sided tests at `LEVEL` say that it lies within what the
    claim allows. It fails where one of them says that it lies outside, at that level for
    all points together (Holm 1979). That all hold needs no such correction: each must
    (Berger 1982). A row that did not end well is undecided, and so is one in doubt where
    more of what it lacks might turn the verdict. Rows that all lack what the claim is about
    leave it untested. A row whose cell has not been run is undecided, and so is the claim
    where it is not known what such a row will say.
    """
    known = [row for row in rows if row["status"] != NOT_RUN or _foreseen(claim, row)]
    waiting = len(known) < len(rows)
    rows = same_columns(known)
    try:
        seen = [
            (" ".join(str(row[name]) for name in claim.label if name in row), *estimate)
            for row in (claim.of(rows) if rows else ())
            if (estimate := _estimate(claim, row)) is not None
        ]
    except KeyError as column:  # rows of an earlier version
        return Verdict(claim, lacking=f"rows made before there was a column {column}")
    reasons = dict.fromkeys(doubt for _, _, doubt, _ in seen)
    if reasons and reasons.keys() <= {UNMEASURED, UNRUN}:
        rows_in_scope = f"{len(seen)} row{'s' * (len(seen) > 1)} in scope"
        return Verdict(claim, lacking=f"{' or '.join(reasons)} in {rows_in_scope}")
    sure = [
        1.0 if value is None else estimates.outside(value, claim.allows, moves)
        for _, value, _, moves in seen
    ]
    points = []
    for (label, value, doubt, moves), failing in zip(seen, holm(sure), strict=True):
        if failing:
            word, doubt = "fails", ""
        elif value is None or estimates.inside(value, claim.allows, moves) > LEVEL:
            word = "undecided"
        else:
            word, doubt = "holds", ""
        points.append(Point(label, word, value, doubt))
    return Verdict(claim, tuple(points), open=waiting)


class _Settings(dict):
    """What was set of a cell; what was not is missing, however it is asked for."""

    def get(self, key, default=None):
        return self[key]


def _foreseen(claim: Claim, row: Seen) -> bool:
    """Whether it is known, of a cell that has not been run, if it is in a claim's scope."""
    if claim.of is not themselves:
        return False
    settings = {n: v for n, v in row.items() if n not in ("status", "reason")}
    try:
        claim.scope(_Settings(settings))
    except KeyError:  # it depends on what the row will have
        return False
    return True


def _estimate(claim: Claim, row: Seen) -> tuple[Estimate | None, str, Moves] | None:
    """What a row in scope says, why that may not count, and where it might go yet."""
    if not claim.scope(row):
        return None
    if row["status"] in claim.counts:
        return estimates.exact(claim.counts[row["status"]]), "", STAYS
    if row["status"] == NOT_RUN:
        return None, UNRUN, STAYS
    if row["status"] != "ok":
        ended = str(row["status"]).replace("_", " ")
        reason = f"{ended}: {row['reason']}" if row.get("reason") else ended
        return None, reason, STAYS
    value, doubt = claim.estimate(row), claim.doubt(row)
    if math.isnan(value.value):
        return None, doubt or UNMEASURED, STAYS
    return value, doubt, claim.moves(row) if doubt else STAYS


def holm(p: Sequence[float], level: float = LEVEL) -> list[bool]:
    """Which of several hypotheses are rejected, at a level for all together (Holm 1979).

    >>> holm([0.04, 0.001, 0.03])
    [False, True, False]
    """
    order = sorted(range(len(p)), key=lambda place: p[place])
    rejected = [False] * len(p)
    for number, place in enumerate(order):
        if p[place] > level / (len(p) - number):
            break
        rejected[place] = True
    return rejected
