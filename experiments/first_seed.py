"""The best rate of a grid by its first seed alone, and then the other seeds at it.

Sequences cost more than pictures, and most of a grid is thrown away.
"""

from depthbench.research.lazy import lazily

with lazily():
    from depthbench.research.learning import fits


def tuned(net, data, cell, grid, by, outcome, **more):
    """`fits.tuned` of a cell's grid of rates, whose runs are all of the cell's seeds.

    outcome, by: as of `fits.tuned`. more: as of `fits.train`.
    """
    by_rate = fits.by_rate(net, data, cell["steps"], 1, **more)
    best = fits.tuned(by_rate, grid, by, outcome, most=cell["further_rates"])
    others = range(1, cell["seeds"])
    rest = []
    if others:
        rest = fits.train(net, data, cell["steps"], (best.setting,), others, **more)
    return best._replace(runs=[*best.runs, *rest])
