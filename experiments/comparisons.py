"""Two rows beside each other, as claims take them: by how much one is better."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from depthbench.experiments.training import pairs
from depthbench.research.lazy import lazily
from depthbench.research.study import doubts
from depthbench.research.study.declaration import Row
from depthbench.research.study.estimates import Estimate, mean

with lazily():
    import numpy as np

    from depthbench.research.signal import bootstrap, profiles


GROUPS = 20  # of many test examples, of which one is left out in turn
OF_GROUPS = ("gap_test_groups", "score_left_out")  # columns of few groups of examples


def by_seed(each: Sequence[float]) -> str | None:
    """What each seed gives, as a row keeps it; None where one is not finite.

    >>> by_seed([0.5, 1 / 3])
    '0.5 0.333333333'
    """
    fine = all(math.isfinite(value) for value in each)
    return " ".join(f"{value:.9g}" for value in each) if fine else None


def apart(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    of: str = "score",
    higher: bool = True,
    share: bool = False,
) -> Row:
    """By how much a row's number is better than another's, with its standard errors.

    higher: whether a higher number is better. gap_se: seed by seed where both rows say
    what each seed gave (`by_seed`); else errors are taken for independent; None where a
    row has none. gap_test_se: what test examples may do to it, where rows say so: of a
    score, of what has a column `…_test_se`, and of what is a `share` of the same examples;
    paired where rows say what each group of them gives (`…_left_out`). gap_test_groups: of
    how few groups. may_rise, may_fall: whether further training might make the one or the
    other better.
    """
    side, both = 1 if higher else -1, (one, other)
    fixed = {**_of_tests(both, of, share), **doubts.sides(one, other)}
    every = [row.get(f"{of}_by_seed") for row in both]
    if None not in every:
        first, second = (np.array(str(each).split(), float) for each in every)
        if first.shape == second.shape and len(first) > 1:
            paired = profiles.over_seeds(side * (first - second))
            return {"gap": paired.mean, "gap_se": paired.error, **fixed}
    known = one.get(of) is not None and other.get(of) is not None
    gap = side * (one[of] - other[of]) if known else None
    return {
        "gap": gap,
        "gap_se": united([row.get(f"{of}_se") for row in both]),
        **fixed,
    }


def _of_tests(both: Sequence[Mapping[str, Any]], of: str, share: bool) -> Row:
    """What is known of a gap's error that is due to test examples."""
    left_out = [row.get(f"{of}_left_out") for row in both]
    if None not in left_out:
        first, second = (np.array(str(each).split(), float) for each in left_out)
        if first.shape == second.shape:
            error = jackknife(first - second)
            return {"gap_test_se": error, "gap_test_groups": len(first)}
    own = united([row.get(f"{of}_test_se") for row in both])
    of_tests = _judged(both, of) if share or of == "score" else None
    groups = [n for row in both if (n := row.get(f"{of}_test_groups"))]
    return {
        "gap_test_se": of_tests if own is None else own,
        "gap_test_groups": min(groups, default=None),
    }


def _judged(both: Sequence[Mapping[str, Any]], of: str) -> float | None:
    """The standard error, due to test examples, of two nets' difference in a column.

    Rows know that of their gap to a baseline and, of shares, of how many examples they
    are. Of other scores the two gaps' errors are taken for independent: too large, as both
    are of the same examples and, most often, baseline.
    """
    errors = [row.get("gap_test_se") for row in both]
    values = [row.get(name) for row in both for name in (of, "score", "strong")]
    if None in errors or None in values:
        return None
    if not all(0 <= value <= 1 for value in values):
        return united(errors)
    counts = [examples_of(row) for row in both if row["gap_test_se"]]
    if None in counts:
        return united(errors)
    return of_examples(both[0][of], both[1][of], min(counts)) if counts else 0.0


def examples_of(row: Mapping[str, Any]) -> int | None:
    """How many test examples a row's score is a share of; None of what is no share.

    Rows say so (`tested`); those of before have a gap's binomial error, which tells it.

    >>> examples_of({"score": 0.9, "strong": 0.8, "gap_test_se": 0.05})
    100
    """
    if "tested" in row:
        return row["tested"]
    error, shares = row.get("gap_test_se"), [row.get(n) for n in ("score", "strong")]
    if not error or not all(share is not None and 0 <= share <= 1 for share in shares):
        return None
    count = sum(share * (1 - share) for share in shares) / error**2
    return round(count) if abs(count - round(count)) <= 1e-6 * min(count, 1e4) else None


def score(row: Mapping[str, Any]) -> Estimate:
    """A row's score as claims estimate it: over seeds and, of a share or of few groups
    of test examples, over these.

    >>> row = {"score": 0.9, "score_se": 0.01, "seeds": 3, "tested": 100}
    >>> round(score(row).fixed, 3)
    0.031
    """
    of = row["score"], row["score_se"], row["seeds"]
    if left_out := row.get("score_left_out"):
        without = np.array(left_out.split(), float)
        return mean(*of, jackknife(without), len(without))
    count = examples_of(row)
    return mean(*of, of_share(row["score"], count) if count else None)


def united(errors: Sequence[float | None]) -> float | None:
    """The standard error of a difference of independent numbers that have these; None
    where one has none.

    >>> united([3.0, 4.0]), united([3.0, None])
    (5.0, None)
    """
    known = [error for error in errors if error is not None]
    return math.hypot(*known) if len(known) == len(errors) else None


def against(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    by: Sequence[str],
    of: str = "score",
    higher: bool = True,
    share: bool = False,
) -> Callable[[Sequence[Mapping[str, Any]]], list[Row]]:
    """From rows to a pair for each that has the settings `one`: with that which has
    `other`, and is equal `by` what is named. of, higher, share: as of `apart`."""

    def has(row: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        return all(row[name] == value for name, value in settings.items())

    def key(row: Mapping[str, Any]) -> tuple:
        return tuple(row[name] for name in by)

    def compared(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        others = {key(row): row for row in rows if has(row, other)}
        found = [(r, others[key(r)]) for r in rows if has(r, one) and key(r) in others]
        return [_pair(*both, (*by, *one), of, higher, share) for both in found]

    return compared


def deeper(
    by: Sequence[str], of: str = "score", higher: bool = True
) -> Callable[[Sequence[Mapping[str, Any]]], list[Row]]:
    """From rows to a pair for each kind `by` what is named: its deepest net beside its
    shallowest; none of a kind that has one depth. of, higher: as of `apart`."""

    def compared(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        kinds: dict[tuple, list[Mapping[str, Any]]] = {}
        for row in sorted(rows, key=lambda row: row["depth"]):
            kinds.setdefault(tuple(row[name] for name in by), []).append(row)
        return [
            _pair(own[-1], own[0], (*by, "depth"), of, higher)
            for own in kinds.values()
            if len(own) > 1
        ]

    return compared


def _pair(
    row: Mapping[str, Any],
    base: Mapping[str, Any],
    names: Sequence[str],
    of: str,
    higher: bool,
    share: bool = False,
) -> Row:
    return {
        **pairs.joint([row, base]),
        **{name: row[name] for name in (*names, "seeds")},
        **apart(row, base, of, higher, share),
    }


def of_share(share: float, examples: float) -> float:
    """The standard error of a share of so many test examples.

    Binomial, with one more example that is right and one that is wrong: all or none of a
    few is not certain (Agresti & Caffo 2000, The American Statistician 54:280).

    >>> round(of_share(0.5, 98), 3), round(of_share(1.0, 98), 3)
    (0.05, 0.01)
    """
    share = (share * examples + 1) / (examples + 2)
    return math.sqrt(share * (1 - share) / (examples + 2))


def of_examples(one: float, other: float, examples: float) -> float:
    """The standard error of a difference of two shares of so many test examples.

    As if each share were of examples of its own: of the same ones it is less where both
    are right in the same. As of `of_share`.
    """
    return math.hypot(of_share(one, examples), of_share(other, examples))


def of_means(one: Any, other: Any, groups: Any = None) -> float:
    """The standard error, due to test examples, of how much larger a mean is.

    one, other: of each example [seeds, examples], or [examples] of what no seed changes.
    groups: which examples are not independent, such as of one voice or one chorale
    [examples]; the groups are then what is drawn (Liang & Zeger 1986, Biometrika 73:13).

    >>> round(of_means([[1.0, 2.0, 3.0]], [1.0, 1.0, 1.0]), 3)
    0.577
    """
    apart = _by_example(one) - _by_example(other)
    _, place = np.unique(
        np.arange(len(apart)) if groups is None else groups, return_inverse=True
    )
    summed = np.bincount(place, apart - np.mean(apart))
    count = len(summed)
    if count < 2:
        return math.nan
    return float(math.sqrt(count / (count - 1) * np.sum(summed**2)) / len(apart))


def of_answers(one: Any, other: Any) -> float:
    """As `of_means` of whether answers are right, seed by seed of the same examples.

    With one more example that one alone is right in, and one for the other: that two differ
    in none of a few is not certain (Bonett & Price 2012, J. Educ. Behav. Stat. 37:479).

    >>> same = [[True, False, True, True]]
    >>> round(of_answers(same, same), 3)
    0.236
    """
    apart = _by_example(one) - _by_example(other)
    squares = np.sum((apart - np.mean(apart)) ** 2)
    return float(math.sqrt(squares + 2) / (len(apart) + 2))


def _by_example(values: Any) -> Any:
    """The means over seeds [examples]."""
    values = np.asarray(values, np.float64)
    return values.mean(axis=0) if values.ndim > 1 else values


def gap_error(
    nets: Sequence[Callable[[Any], float]],
    strong: Callable[[Any], float],
    examples: int,
    groups: Any = None,
) -> float:
    """The standard error that the mean gap of nets has from test examples: a bootstrap.

    nets, strong: from how often each example counts [examples] to the score, one for
    each seed. Nets and baseline are judged by the same examples, and so they are here.
    groups: as of `of_means`.
    """

    def gap(times: Any) -> float:
        return float(np.mean([score(times) for score in nets])) - strong(times)

    return bootstrap.error(gap, examples, groups=groups)


def averages(each: Any) -> Callable[[Any], float]:
    """From how often each example counts [examples] to the mean of theirs, [examples].

    >>> averages(np.array([1.0, 2.0, 6.0]))(np.array([1.0, 1.0, 0.0]))
    1.5
    """
    each = np.asarray(each, np.float64)
    return lambda times: float(times @ each / np.sum(times))


def without_each(scores: Sequence[Callable[[Any], float]], groups: Any) -> Any:
    """The mean of scores without each group of test examples in turn [groups].

    scores: as `nets` of `gap_error`. groups: [examples], or [examples, several] of what
    is of several groups, and is left out with each of them.

    >>> wrong = np.array([1.0, 2.0, 6.0])
    >>> without_each([lambda times: times @ wrong / times.sum()], [0, 1, 1]).tolist()
    [4.0, 1.0]
    """
    groups = np.reshape(groups, (len(groups), -1))
    left = [np.all(groups != name, axis=1).astype(float) for name in np.unique(groups)]
    return np.array([np.mean([score(times) for score in scores]) for times in left])


def jackknife(without: Any) -> float:
    """The standard error of a number, of its values without each group in turn [groups].

    Of two nets' difference, the values are differences: each net is without the same.
    Tukey 1958, Annals of Mathematical Statistics 29:614. nan of one group.

    >>> round(jackknife([0.75, 0.5, 0.25]), 3)  # a mean of 0, 0.5, 1: 0.5/√3
    0.289
    """
    without = np.asarray(without, np.float64)
    count = len(without)
    if count < 2:
        return math.nan
    apart = without - without.mean()
    return float(math.sqrt((count - 1) / count * np.sum(apart**2)))


def in_groups(examples: int) -> Any:
    """The group of each test example [examples], for a score that is no mean over them."""
    return np.arange(examples) % GROUPS


def of_groups(
    name: str,
    scores: Sequence[Callable[[Any], float]],
    strong: Callable[[Any], float],
    groups: Any,
) -> Row:
    """Columns of a score that is of few groups of test examples: what it is without each
    in turn, and of its gap to a baseline the error that is due to them, and their number.

    name: of the score's column; what is known of the gap to `score` is named so. scores,
    strong, groups: as of `gap_error`, whose draws know less of so few.
    """
    own, other = without_each(scores, groups), without_each([strong], groups)
    error, gap = jackknife(own - other), "gap" if name == "score" else name
    return {
        f"{name}_left_out": by_seed(own),
        f"{gap}_test_se": error if math.isfinite(error) else None,
        f"{gap}_test_groups": len(own),
    }


def of_averages(each: Sequence[Any], strong: Any) -> Row:
    """As of `of_groups`, of a score that is a mean over test examples, in GROUPS groups.

    each: of every seed's examples [seeds, examples]. strong: the baseline's [examples].
    """
    nets = list(map(averages, each))
    return of_groups("score", nets, averages(strong), in_groups(len(strong)))


def over(
    row: Mapping[str, Any], name: str, examples: int | None, of: str = "score"
) -> Estimate:
    """By how much a row's share is above another of its, of as many test examples."""
    if row[of] is None or row[name] is None:
        return mean(None, None, row["seeds"])
    fixed = None if examples is None else of_examples(row[of], row[name], examples)
    return mean(row[of] - row[name], row[f"{of}_se"], row["seeds"], fixed)
