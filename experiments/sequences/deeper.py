"""What more layers do to the score of nets, in a sentence."""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.line_names import words
from depthbench.research.study import doubts, estimates
from depthbench.research.study.headlines import counted, listed


def said(scoring, rows, called=words):
    """By how much each kind's score moves from its shallowest net to its deepest.

    rows: of one set of data. called: from an architecture's name to a kind's. It is sure
    where the 95 % interval, over seeds and test examples, leaves out 0, and further
    training could not bring it back in. Nothing where kinds have one depth each.
    """
    kinds = {}
    for row in sorted(scores.scored(rows), key=lambda row: row["depth"]):
        kinds.setdefault(row["architecture"], []).append(row)
    by_depths, sure, every = {}, [], []
    for name, own in kinds.items():
        pairs = comparisons.deeper(("architecture",), higher=scoring.higher)(own)
        for pair in pairs:
            move = pair["gap"] if scoring.higher else -pair["gap"]
            text = f"{move:+{scoring.form}} ({called(name)})"
            ends = own[0]["depth"], own[-1]["depth"]
            by_depths.setdefault(ends, []).append(text)
            every.append(called(name))
            sure += [called(name)] * surely(pair)
    if not every:
        return ""
    (ends, first), *others = sorted(by_depths.items(), key=lambda one: -len(one[1]))
    each = [
        f"From {ends[0]} to {counted(ends[1], scoring.unit)} the score moves by "
        f"{listed(first)}",
        *(f"from {low} to {high} by {listed(more)}" for (low, high), more in others),
    ]
    end = "surely" if sure == every else f"surely for the {listed(sure)} alone"
    return f"{', '.join(each)}: {end if sure else 'undecided'}."


def surely(pair):
    """Whether depth surely helps or harms. pair: of `comparisons.deeper`."""
    low, high = estimates.interval(scores.gap(pair), level=0.025)
    moves = doubts.of_sides(pair)
    return (low > 0 and not moves.down) or (high < 0 and not moves.up)


def headline(scoring, rows, called=words):
    """(the first sentence of `scoring`, and what depth does; the worst net)."""
    answer, worst = scoring.headline(rows)
    return f"{answer} {said(scoring, rows, called)}".strip(), worst
