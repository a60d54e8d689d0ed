"""The best rate of a grid by its first seed alone, and then the other seeds at it.

Sequences cost more than pictures, and most of a grid is thrown away.
"""

from depthbench.research.lazy import lazily
from depthbench.research.study.declaration import Measured
from depthbench.research.study.headlines import counted

with lazily():
    from depthbench.research.learning import fits


def tuned(net, data, cell, grid, by, outcome, **more):
    """`fits.tuned` of a cell's grid of rates, whose runs are all of the cell's seeds.

    outcome, by: as of `fits.tuned`. more: as of `fits.train`.
    """

    def train(rates, seeds):
        return fits.train(net, data, cell["steps"], rates, seeds, **more)

    def sooner(rate):
        return fits.halved(net, data, cell["steps"], rate, [0], **more)

    return of_runs(train, cell, grid, by, outcome, sooner)


def of_runs(train, cell, grid, by, outcome, sooner=None):
    """As `tuned`, of what is trained otherwise. train: (rates, seeds) -> the runs, for
    each rate its seeds. sooner: as of `fits.tuned`."""

    def first(rates):
        return [[run] for run in train(rates, [0])]

    most = cell["further_rates"]
    best = fits.tuned(first, grid, by, outcome, most=most, sooner=sooner)
    others = range(1, cell["seeds"])
    rest = train((best.setting,), others) if others else []
    return best._replace(runs=[*best.runs, *rest])


def diverged(tuned, ended):
    """The row of a net of which a run diverged, so that it has no score; else None.

    tuned: of `tuned`. ended: the `Outcome` of all its runs. At the other rates of the grid
    the first seed did worse.
    """
    if ended.ended == 1:
        return None
    lost = sum(run.diverged is not None for run in tuned.runs)
    of = counted(len(tuned.runs), "run")
    how = f"{lost} of {of}" if lost else "outputs that are not finite"
    return Measured(
        "diverged", f"{how}, at the best of its rates: {tuned.setting:.3g}", {}
    )
