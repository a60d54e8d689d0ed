"""What mup's rows answer."""

import math

from experiments.training import pairs
from research.study.declaration import Headline
from research.study.headlines import listed, measured


def headline(rows):
    """By how much the best rate moves over widths in each parametrisation."""
    moves = {}
    for name in dict.fromkeys(row["parametrization"] for row in measured(rows)):
        of = [row for row in measured(rows) if row["parametrization"] == name]
        chosen = pairs.best(of, ("width",), "loss")
        by_width = sorted(chosen, key=lambda row: row["width"])
        if len(by_width) > 1:
            ratio = by_width[-1]["learning_rate"] / by_width[0]["learning_rate"]
            moves[name] = ratio, f"× {ratio:.3g} in the {name} parametrisation"
    if not moves:
        return Headline("One width alone does not say whether its best rate stays.")
    widths = [row["width"] for row in measured(rows)]
    worst = max(moves, key=lambda name: abs(math.log(moves[name][0])))
    said = listed(text for _, text in moves.values())
    return Headline(
        f"From width {min(widths)} to {max(widths)} the best learning rate changes {said}.",
        f"Worst: {worst}, whose rate must be tuned again (× {moves[worst][0]:.3g})."
        if moves[worst][0] != 1
        else "",
    )
