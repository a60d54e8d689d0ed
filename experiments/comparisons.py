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
    score, of what has a column `…_test_se`, and of what is a `share` of the same examples.
    may_rise, may_fall: whether further training might make the one or the other better.
    """
    side, both = 1 if higher else -1, (one, other)
    of_tests = _judged(both, of) if share or of == "score" else None
    own = _united([row.get(f"{of}_test_se") for row in both])
    fixed = {
        "gap_test_se": of_tests if own is None else own,
        **doubts.sides(one, other),
    }
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
        "gap_se": _united([row.get(f"{of}_se") for row in both]),
        **fixed,
    }


def _judged(both: Sequence[Mapping[str, Any]], of: str) -> float | None:
    """The standard error, due to test examples, of two nets' difference in a column.

    Rows know that of their gap to a baseline. Of shares it says of how many examples they
    are, which is a whole number; of other scores the two gaps' errors are taken for
    independent: too large, as both are of the same examples and, most often, baseline.
    """
    errors = [row.get("gap_test_se") for row in both]
    values = [row.get(name) for row in both for name in (of, "score", "strong")]
    if None in errors or None in values:
        return None
    if not all(0 <= value <= 1 for value in values):
        return _united(errors)
    counts = [examples_of(row) for row in both if row["gap_test_se"]]
    if None in counts:
        return _united(errors)
    return of_examples(both[0][of], both[1][of], min(counts)) if counts else 0.0


def examples_of(row: Mapping[str, Any]) -> int | None:
    """The test examples that a row's score is a share of, by its gap's standard error.

    None of what is no share, and of a gap that has none.

    >>> examples_of({"score": 0.9, "strong": 0.8, "gap_test_se": 0.05})
    100
    """
    error, shares = row.get("gap_test_se"), [row.get(n) for n in ("score", "strong")]
    if not error or not all(share is not None and 0 <= share <= 1 for share in shares):
        return None
    count = of_examples(*shares, 1) ** 2 / error**2
    return round(count) if abs(count - round(count)) <= 1e-6 * count else None


def score(row: Mapping[str, Any]) -> Estimate:
    """A row's score as claims estimate it: over seeds and, of a share, test examples.

    >>> row = {"score": 0.9, "score_se": 0.01, "seeds": 3, "strong": 0.8}
    >>> round(score({**row, "gap_test_se": 0.05}).fixed, 3)
    0.03
    """
    count = examples_of(row)
    fixed = of_examples(row["score"], 0.0, count) if count else None
    return mean(row["score"], row["score_se"], row["seeds"], fixed)


def _united(errors: Sequence[float | None]) -> float | None:
    """The standard error of the difference of what has these, if both have one."""
    known = [error for error in errors if error is not None]
    return math.hypot(*known) if len(known) == len(errors) else None


def against(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    by: Sequence[str],
    of: str = "score",
    higher: bool = True,
) -> Callable[[Sequence[Mapping[str, Any]]], list[Row]]:
    """From rows to a pair for each that has the settings `one`: with that which has
    `other`, and is equal `by` what is named. of, higher: as of `apart`."""

    def has(row: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        return all(row[name] == value for name, value in settings.items())

    def key(row: Mapping[str, Any]) -> tuple:
        return tuple(row[name] for name in by)

    def compared(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        others = {key(row): row for row in rows if has(row, other)}
        found = [(r, others[key(r)]) for r in rows if has(r, one) and key(r) in others]
        return [_pair(*both, (*by, *one), of, higher) for both in found]

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
) -> Row:
    return {
        **pairs.joint([row, base]),
        **{name: row[name] for name in (*names, "seeds")},
        **apart(row, base, of, higher),
    }


def of_examples(one: float, other: float, examples: float) -> float:
    """The standard error of a difference of two shares of so many test examples.

    Binomial, and as if each share were of examples of its own: of the same ones it is
    less where both are right in the same.

    >>> round(of_examples(0.9, 0.8, 100), 3)
    0.05
    """
    return math.sqrt((one * (1 - one) + other * (1 - other)) / examples)


def of_answers(one: Any, other: Any) -> float:
    """The standard error, due to test examples, of how much more often one is right.

    one, other: whether each is right [seeds, examples], seed by seed of the same
    examples: where both are always right in the same, there is none.

    >>> import numpy as np
    >>> same = np.array([[True, False, True, True]])
    >>> of_answers(same, same)
    0.0
    """
    apart = np.mean(np.asarray(one, float) - np.asarray(other, float), axis=0)
    return float(np.std(apart, ddof=1) / math.sqrt(len(apart)))


def gap_error(
    nets: Sequence[Callable[[Any], float]],
    strong: Callable[[Any], float],
    examples: int,
) -> float:
    """The standard error that the mean gap of nets has from test examples: a bootstrap.

    nets, strong: from how often each example counts [examples] to the score, one for
    each seed. Nets and baseline are judged by the same examples, and so they are here.
    """

    def gap(times: Any) -> float:
        return float(np.mean([score(times) for score in nets])) - strong(times)

    return bootstrap.error(gap, examples)


def over(
    row: Mapping[str, Any], name: str, examples: int | None, of: str = "score"
) -> Estimate:
    """By how much a row's share is above another of its, of as many test examples."""
    if row[of] is None or row[name] is None:
        return mean(None, None, row["seeds"])
    fixed = None if examples is None else of_examples(row[of], row[name], examples)
    return mean(row[of] - row[name], row[f"{of}_se"], row["seeds"], fixed)
