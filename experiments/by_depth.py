"""What more layers do to a score, in a sentence: for headlines of studies that ask it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from depthbench.experiments import comparisons
from depthbench.experiments.line_names import words
from depthbench.experiments.scores import Scoring, gap, scored
from depthbench.research.study import estimates
from depthbench.research.study.declaration import Headline, Row
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.estimates import STAYS, Estimate, Moves
from depthbench.research.study.headlines import counted, listed

# From a row to what nets of its kind are called.
Named = Callable[[Mapping[str, Any]], str]


def architecture(row: Mapping[str, Any]) -> str:
    """What nets of an architecture are called."""
    return words(row["architecture"])


def net(row: Mapping[str, Any]) -> str:
    """What nets of an architecture and an activation are called, of any depth.

    >>> net({"architecture": "residual_mlp", "activation": "relu"})
    'residual ReLU'
    """
    return " ".join(words(row[name]) for name in ("architecture", "activation"))


def of_names(names: Mapping[str, str], column: str = "architecture") -> Named:
    """What nets are called, of the value of a column.

    >>> of_names({"mlp": "dense net"})({"architecture": "mlp"})
    'dense net'
    """
    return lambda row: names[row[column]]


def headline(
    scoring: Scoring,
    rows: Sequence[Row],
    by: Sequence[str] = ("architecture",),
    named: Named = architecture,
) -> Headline:
    """The headline of a score, and what depth does to it. by, named: as of `told`."""
    answer, worst = scoring.headline(rows)
    return Headline(f"{answer} {told(scoring, rows, by, named)}".strip(), worst)


def told(
    scoring: Scoring,
    rows: Sequence[Row],
    by: Sequence[str] = ("architecture",),
    named: Named = architecture,
    of: str = "score",
    lead: str = "the score",
    moves: Callable[[Row], Moves] = of_sides,
) -> str:
    """By how much each kind's score moves from its shallowest net to its deepest.

    As in "From 1 to 4 layers the score moves by +0.100 (plain): undecided." Nothing where
    no kind has two depths.

    by: what nets of a kind are equal in. of: the column, if it is another; lead: what it
    is. moves: which way further training might take a pair's difference.
    """
    done, higher = scored(rows), scoring.higher or of != "score"
    by_depths: dict[tuple[int, int], list[str]] = {}
    sure, every = [], []
    for pair in comparisons.deeper(by, of, higher)(done):
        kind = [pair[name] for name in by]
        own = [r["depth"] for r in done if [r[name] for name in by] == kind]
        if pair["gap"] is not None:
            called = named(pair)
            move = pair["gap"] if higher else -pair["gap"]
            text = f"{move:+{scoring.form}}" + (f" ({called})" if called else "")
            by_depths.setdefault((min(own), max(own)), []).append(text)
            every.append(called)
            sure += [called] * (certainty(gap(pair), moves(pair)) == SURELY)
    if not every:
        return ""
    (ends, first), *others = sorted(by_depths.items(), key=lambda one: -len(one[1]))
    each = [
        f"From {ends[0]} to {counted(ends[1], scoring.unit)} {lead} moves by "
        f"{listed(first)}",
        *(f"from {low} to {high} by {listed(more)}" for (low, high), more in others),
    ]
    alone = SURELY if sure == every else f"{SURELY} for the {listed(sure)} alone"
    return f"{', '.join(each)}: {alone if sure else OPEN}."


SURELY, OPEN = "surely", "undecided"


def certainty(estimate: Estimate, moves: Moves = STAYS) -> str:
    """Whether a difference's 95 % interval leaves out 0, where no further training might
    bring it back.

    >>> certainty(estimates.mean(0.2, 0.01, 3)), certainty(estimates.mean(0.2, 0.2, 3))
    ('surely', 'undecided')
    >>> certainty(estimates.mean(0.2, 0.01, 3), Moves(up=False, down=True))
    'undecided'
    """
    low, high = estimates.interval(estimate, level=0.025)
    sure = (low > 0 and not moves.down) or (high < 0 and not moves.up)
    return SURELY if sure else OPEN
