"""Training loss against learning rate: one line a net, its best rate ringed."""

from depthbench.experiments.training import pairs
from depthbench.experiments.training.pairs import loss


def draw(axes, rows, axis, values, shades, noun):
    """The lines of rows that differ in an axis and in their rates, on given axes.

    values: of the axis, with a shade each, whether or not there are such rows. noun: the
    legend's title.
    """
    for value, shade in zip(values, shades, strict=True):
        line = [row for row in rows if row[axis] == value and pairs.ran(row)]
        at = [row["learning_rate"] for row in line]
        axes.plot(at, [loss(r) for r in line], color=shade, lw=1.3, label=value)
        for row in pairs.best(line, (axis,), "loss"):
            place = (row["learning_rate"], loss(row))
            axes.plot(*place, "o", mfc="none", color=shade, ms=7, clip_on=False)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("learning rate")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6, frameon=False, title=noun)
