"""What shattered_gradients' rows answer."""

from depthbench.research.study.declaration import Headline
from depthbench.research.study.headlines import counted, listed, measured, of_deepest


def headline(rows):
    """What is left of the likeness of gradients in each kind of net, the least last."""
    deep = of_deepest(measured(rows))
    ranked = sorted(deep, key=lambda row: -row["correlation"])
    left = [f"{alike(row)} in {row['net']}" for row in ranked]
    layers = counted(deep[0]["depth"], "layer")
    worst = ranked[-1]
    return Headline(
        f"After {layers} gradients at two independent inputs correlate by "
        f"{listed(left, 8)}; 1 would be alike, 0 unrelated.",
        f"Worst: {worst['net']}, {alike(worst)} after {layers}.",
    )


def alike(row):
    return f"{round(row['correlation'], 2) + 0.0:.2f}"  # + 0.0: there is no -0.00
