"""What depth gives, in a sentence: of each kind of net, the deepest less the shallowest."""

from depthbench.experiments import comparisons, scores
from depthbench.research.study import estimates
from depthbench.research.study.doubts import of_sides
from depthbench.research.study.estimates import STAYS

LEVEL = 0.025  # of either side of a 95 % interval
MOST = 4  # kinds that are named


def sentence(rows, by, words, of="score", lead="", moves=of_sides):
    """As in "From depth 1 to 4: plain -0.048 (not sure), residual +0.055 (sure)."

    by: what nets of one kind are equal in. words: from its values to what a kind is called.
    of: the column that is compared; lead: what it is, where it is not the score. moves:
    from a pair of nets to which way further training might take their difference; None
    where the number of steps is part of what is asked. Nothing where no kind has two
    depths.
    """
    done, said = scores.scored(rows), []
    for pair in comparisons.deeper(by, of)(done):
        kind = tuple(pair[name] for name in by)
        own = [r["depth"] for r in done if tuple(r[name] for name in by) == kind]
        if pair["gap"] is not None:
            text = told(words(*kind), pair, moves)
            said.append((f"from depth {min(own)} to {max(own)}", text))
    if not said:
        return ""
    places = {place for place, _ in said}
    if len(places) == 1:
        begin, texts = places.pop(), [text for _, text in said]
    else:
        begin, texts = "by depth", [f"{text} {place}" for place, text in said]
    begin = f"{lead}{begin}"
    left = [f"{len(texts) - MOST} more"] * (len(texts) > MOST)
    return f"{begin[0].upper()}{begin[1:]}: {', '.join([*texts[:MOST], *left])}."


def told(name, pair, moves=of_sides):
    """A pair's difference and how sure it is: "residual +0.055 (not sure)"."""
    sure = surely(scores.gap(pair), moves(pair) if moves else STAYS)
    return f"{name} {pair['gap']:+.3f} ({sure})"


def surely(estimate, moves=STAYS):
    """ "sure" where the 95 % interval leaves out 0, and no further training might bring it
    back; else "not sure", and why where it is that alone.

    >>> surely(estimates.mean(0.2, 0.01, 3)), surely(estimates.mean(0.2, 0.2, 3))
    ('sure', 'not sure')
    """
    low, high = estimates.interval(estimate, level=LEVEL)
    if low <= 0 <= high:
        return "not sure"
    undone = moves.down if low > 0 else moves.up
    return "not sure, still learning" if undone else "sure"
