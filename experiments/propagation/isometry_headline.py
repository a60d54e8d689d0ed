"""What dynamical_isometry's rows answer."""

from collections import Counter

from research.study.declaration import Headline
from research.study.headlines import counted, listed, measured, of_deepest, share

ALIKE = 1.0  # the variance of s², whose mean is 1, of nets that are near isometries


def headline(rows):
    """How many of the deepest nets keep all directions, and which keeps them least."""
    deep = of_deepest(measured(rows))
    near = [row for row in deep if row["variance"] < ALIKE]
    worst = max(deep, key=lambda row: row["variance"])
    layers = counted(deep[0]["depth"], "layer")
    kinds = Counter(map(kind, deep))

    def net(row):
        at = f" at q* = {row['q_star']:g}" if kinds[kind(row)] > 1 else ""
        return kind(row) + at

    named = f": {listed(map(net, near), 6)}" if near else ""
    return Headline(
        f"With {layers} the squared singular values s² vary by less than {ALIKE:g} in "
        f"{share(len(near), len(deep), 'nets')}{named}; an isometry's do not vary.",
        f"Worst: {net(worst)}, variance {worst['variance']:.3g} with {layers} "
        f"(theory of wide nets {worst['variance_theory']:.3g}).",
    )


def kind(row):
    return f"{row['weights']} {row['activation']}"
