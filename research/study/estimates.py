"""Estimates over seeds, and how surely one lies within what is allowed, or outside."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from depthbench.research.lazy import lazily

with lazily():
    from scipy import special

LEVEL = 0.05  # of each one-sided test; both together are a 90 % interval
LOSSES = ("train_loss", "test_loss")  # of a row, of its runs that have not diverged
MOST = 10_000  # seeds that are looked at before it is said that no number decides


class Allowed(NamedTuple):
    """The values that a claim allows, ends included: [low, high]."""

    low: float
    high: float

    def __str__(self) -> str:
        low, high = f"{self.low:.4g}", f"{self.high:.4g}"
        if self.high == math.inf:
            return f"at least {low}"
        return f"at most {high}" if self.low == -math.inf else f"{low} to {high}"


def about(value: float, within: float) -> Allowed:
    """What is equal to a value, up to a tolerance: an equivalence test.

    >>> about(0.5, within=0.25)
    Allowed(low=0.25, high=0.75)
    """
    return Allowed(value - within, value + within)


def above(value: float) -> Allowed:
    """Everything from a value up: a one-sided test."""
    return Allowed(value, math.inf)


def below(value: float) -> Allowed:
    """Everything up to a value: a one-sided test."""
    return Allowed(-math.inf, value)


class Moves(NamedTuple):
    """Which way an estimate may go: up, down, both, or neither.

    Of what a larger budget might change. What might only rise is as surely above
    something as it is, and not surely below anything.
    """

    up: bool
    down: bool


STAYS = Moves(False, False)


class Estimate(NamedTuple):
    """A number, and from how many seeds it is known.

    error: the standard error of a mean over seeds; of a share it follows from the share.
    seeds: 0 of a number that no seed changes. fixed: a standard error of a mean that
    more seeds do not lessen: of the examples that all seeds are judged by. groups: of
    how many of these, or of groups of them, `fixed` was estimated from the spread.
    """

    value: float
    error: float
    seeds: int
    kind: str  # "mean", "share" or "exact"
    fixed: float = 0.0
    groups: float = math.inf

    @property
    def spread(self) -> float:
        """The standard error of a mean, over seeds and examples."""
        return math.hypot(self.error, self.fixed)

    @property
    def freedom(self) -> float:
        """The degrees of freedom of `spread`.

        Welch 1947, Biometrika 34:28; Satterthwaite 1946, Biometrics Bulletin 2:110.
        """
        if not self.spread:
            return self.seeds - 1
        parts = (self.error, self.seeds), (self.fixed, self.groups)
        unsure = sum((e / self.spread) ** 4 / (n - 1) for e, n in parts if e)
        return 1 / unsure if unsure > 1e-12 else math.inf


def mean(
    value: float | None,
    error: float | None,
    seeds: int,
    fixed: float | None = None,
    groups: float | None = None,
) -> Estimate:
    """A mean over seeds: of one seed, or without an error, nothing is known.

    fixed: as of `Estimate`; None of none. groups: the same; None of so many that `fixed`
    is as good as known. Of a single group nothing is known.
    """
    known = error is not None and seeds > 1 and not (fixed and groups == 1)
    error = _float(error) if known else math.nan
    many = math.inf if groups is None else groups
    return Estimate(_float(value), error, seeds, "mean", fixed or 0.0, many)


def mean_of(name: str) -> Callable[[Mapping[str, Any]], Estimate]:
    """What a claim estimates where a column of rows is the mean over their seeds.

    Its error over seeds is in the column `…_se`, and that of the examples which all seeds
    are judged by, if there are any, in `…_test_se`; of few groups of them their number
    is in `…_test_groups`.
    """

    def of(row: Mapping[str, Any]) -> Estimate:
        fixed = row.get(f"{name}_test_se"), row.get(f"{name}_test_groups")
        return mean(row[name], row[f"{name}_se"], seeds_of(row, name), *fixed)

    return of


def seeds_of(row: Mapping[str, Any], name: str) -> int:
    """From how many seeds the mean in a column is; the column `…_seeds` says it, if there.

    Losses of a training are of the runs that have not diverged, and its row has the share
    of those that have; all else is of every seed. A row without that share does not tell,
    and is taken at its `seeds`.

    >>> row = {"seeds": 5, "diverged": 0.6, "test_loss": 0.1, "test_accuracy": 0.9}
    >>> seeds_of(row, "test_loss"), seeds_of(row, "test_accuracy")
    (2, 5)
    """
    counted = row.get(f"{name}_seeds")
    if counted is not None:
        return counted
    seeds, lost = row["seeds"], row.get("diverged") if name in LOSSES else None
    return round(seeds * (1 - lost)) if seeds and lost else seeds


def share(value: float | None, seeds: int) -> Estimate:
    """The share of seeds with which something happened."""
    return Estimate(_float(value), math.nan, seeds, "share")


def exact(value: float | None) -> Estimate:
    """A number that no seed changes: a count, or what is computed without chance."""
    return Estimate(_float(value), 0.0, 0, "exact")


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def surely_above(estimate: Estimate, limit: float) -> float:
    """p of the one-sided test that the true value is at most the limit.

    Student's t for a mean; the score test, whose interval is Wilson's (1927), for a
    share; 0 or 1 for what is exact, or infinite. 1 where nothing is known.
    """
    value, error, seeds, kind, *_ = estimate
    if math.isnan(value):
        return 1.0
    if math.isinf(limit):
        return 1.0 if limit > 0 else 0.0
    if kind == "share":
        if not 0 < limit < 1:
            return 0.0 if value > limit or limit < 0 else 1.0
        z = (value - limit) / math.sqrt(limit * (1 - limit) / seeds)
        return float(special.ndtr(-z))
    if kind == "exact" or estimate.spread == 0 or math.isinf(value):
        return 0.0 if value >= limit else 1.0
    if math.isnan(error):
        return 1.0
    return float(special.stdtr(estimate.freedom, (limit - value) / estimate.spread))


def surely_below(estimate: Estimate, limit: float) -> float:
    """p of the one-sided test that the true value is at least the limit."""
    turned = 1 if estimate.kind == "share" else 0
    return surely_above(
        estimate._replace(value=turned - estimate.value), turned - limit
    )


def inside(estimate: Estimate, allowed: Allowed, moves: Moves = STAYS) -> float:
    """p of "it lies outside": small where the estimate is surely within.

    Two one-sided tests (Schuirmann 1987): the larger of their p. moves: which way it may
    go yet.
    """
    if (moves.up and allowed.high < math.inf) or (
        moves.down and allowed.low > -math.inf
    ):
        return 1.0
    return max(
        surely_above(estimate, allowed.low), surely_below(estimate, allowed.high)
    )


def outside(estimate: Estimate, allowed: Allowed, moves: Moves = STAYS) -> float:
    """p of "it lies within": small where the estimate is surely outside.

    moves: as of `inside`.
    """
    over = allowed.high < math.inf and not moves.down
    exceeds = surely_above(estimate, allowed.high) if over else 1.0
    below = allowed.low > -math.inf and not moves.up
    under = surely_below(estimate, allowed.low) if below else 1.0
    touches = estimate.value in (allowed.low, allowed.high)  # ends are allowed
    return 1.0 if touches else min(exceeds, under)


def interval(estimate: Estimate, level: float = LEVEL) -> tuple[float, float]:
    """The values that neither one-sided test at this level excludes: (low, high).

    Student's t for a mean, Wilson's score interval for a share; the value itself twice
    where it is exact; (-inf, inf) where nothing is known.
    """
    value, error, seeds, kind, *_ = estimate
    if kind == "share":
        z2 = float(special.ndtri(level)) ** 2
        middle = (value + z2 / (2 * seeds)) / (1 + z2 / seeds)
        spread = value * (1 - value) / seeds + z2 / (4 * seeds**2)
        half = math.sqrt(z2 * spread) / (1 + z2 / seeds)
        return max(0.0, middle - half), min(1.0, middle + half)
    if kind == "exact" or estimate.spread == 0 or math.isinf(value):
        return value, value
    if math.isnan(error):
        return -math.inf, math.inf
    half = -float(special.stdtrit(estimate.freedom, level)) * estimate.spread
    return value - half, value + half


def decided(estimate: Estimate, allowed: Allowed, outside_level: float = LEVEL) -> bool:
    """Whether the estimate lies surely within, at `LEVEL`, or surely outside."""
    within = inside(estimate, allowed) <= LEVEL
    return within or outside(estimate, allowed) <= outside_level


def seeds_to_decide(
    estimate: Estimate, allowed: Allowed, points: int = 1
) -> int | None:
    """How many seeds would decide, were their mean and spread what they are here.

    points: how many are judged together. One of them fails for sure at the strictest level
    that Holm's correction may ask of it, which is that of the first it rejects.
    None where more than `MOST` would be needed, or where nothing is known yet.

    >>> noisy = mean(-0.3, 0.1, 3)  # three standard errors below
    >>> seeds_to_decide(noisy, above(0.0)), seeds_to_decide(noisy, above(0.0), points=54)
    (4, 8)
    """

    def enough(seeds: int) -> bool:
        error = estimate.error * math.sqrt(estimate.seeds / seeds)
        there = estimate._replace(error=error, seeds=seeds)
        return decided(there, allowed, LEVEL / points)

    known = estimate.kind == "share" or not math.isnan(estimate.error)
    if not known or not enough(MOST):
        return None
    return _least(enough, estimate.seeds)


def _least(good: Callable[[int], bool], low: int) -> int:
    """The least number above `low`, up to `MOST`, from which on it is good."""
    high = MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle, high)
    return high
