"""What depth does to a score, in words: for headlines of studies that ask for it."""

from collections.abc import Callable, Sequence

from depthbench.experiments import comparisons
from depthbench.experiments.scores import Scoring, scored
from depthbench.research.study.declaration import Row
from depthbench.research.study.headlines import counted, listed

LEADS = {
    "wins": "Deeper is better",
    "loses": "Deeper is worse",
    "ties": "Deeper is not surely better or worse",
}
SURELY = {"wins": "surely", "loses": "surely", "ties": "not surely"}


def told(
    scoring: Scoring,
    rows: Sequence[Row],
    by: Sequence[str] = (),
    named: Callable[[Row], str] = lambda pair: "",
) -> str:
    """By how much the deepest net of each kind is better than the shallowest, and whether
    surely: a sentence; "" where no kind has several depths.

    by: what nets of a kind have in common. named: what a kind is called, of `by`.
    """
    done = scored(rows)
    pairs = comparisons.deeper(by, higher=scoring.higher)(done)
    if not pairs:
        return ""
    ends = [end(row["depth"] for row in done) for end in (max, min)]
    verdicts = [scoring.verdict(pair) for pair in pairs]
    alike = len(set(verdicts)) == 1
    each = []
    for pair, verdict in zip(pairs, verdicts, strict=True):
        notes = [named(pair), "" if alike else SURELY[verdict]]
        noted = f" ({', '.join(filter(None, notes))})" if any(notes) else ""
        each.append(f"{pair['gap']:+{scoring.form}}{noted}")
    lead = LEADS[verdicts[0]] if alike else "What depth does differs"
    layers = f"{counted(ends[0], scoring.unit)} instead of {ends[1]:,}"
    return f"{lead}: {layers} change it by {listed(each)}."
