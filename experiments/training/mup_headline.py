"""What mup's rows answer."""

import math

from depthbench.experiments.training import pairs
from depthbench.research.study.declaration import Headline
from depthbench.research.study.headlines import listed, measured
from depthbench.research.study.plan import grouped


def moves(rows, kind, axis):
    """By what factor the best rate changes from an axis's least value to its largest.

    By the values of `kind`, which names what else nets differ in; without those that have
    one value of the axis alone.
    """
    ratios = {}
    of_kinds = grouped(measured(rows), lambda row: tuple(row[name] for name in kind))
    for key, of_kind in of_kinds.items():
        chosen = pairs.best(of_kind, (axis,), "loss")
        first, *rest = sorted(chosen, key=lambda row: row[axis])
        if rest:
            ratios[key] = rest[-1]["learning_rate"] / first["learning_rate"]
    return ratios


def most_moved(ratios):
    """Whose best rate changes by the largest factor, up or down."""
    return max(ratios, key=lambda key: abs(math.log(ratios[key])))


def headline(rows):
    """By how much the best rate moves over widths in each parametrisation."""
    ratios = moves(rows, ("parametrization",), "width")
    if not ratios:
        return Headline("One width alone does not say whether its best rate stays.")
    widths = [row["width"] for row in measured(rows)]
    (worst,) = key = most_moved(ratios)
    said = listed(
        f"× {ratio:.3g} in the {name} parametrisation"
        for (name,), ratio in ratios.items()
    )
    return Headline(
        f"From width {min(widths)} to {max(widths)} the best learning rate changes {said}.",
        f"Worst: {worst}, whose rate must be tuned again (× {ratios[key]:.3g})."
        if ratios[key] != 1
        else "",
    )
