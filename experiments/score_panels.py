"""The panels of a system's picture: its score, and the fresh gradient, by depth."""

from collections.abc import Mapping, Sequence
from typing import Any

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Row

with lazily():
    import numpy as np

Lines = Mapping[str, Sequence[Row]]  # by what a line is called, its rows


def scores(scoring: Any, axes: Any, lines: Lines) -> None:
    """Score by depth, with both baselines."""
    for place, (name, rows) in enumerate(lines.items()):
        at = [row[scoring.axis] for row in rows]
        mean = [row["score"] for row in rows]
        pairs = [scoring.ends(row) for row in rows]
        ends = [
            [m if pair[n] is None else pair[n] for pair, m in zip(pairs, mean)]  # noqa: B905
            for n in range(2)
        ]
        axes.plot(at, mean, "o-", ms=3, lw=1.3, color=f"C{place}", label=name)
        if len(at) == 1:  # a band of no width would not be seen
            axes.plot(at * 2, [end[0] for end in ends], color=f"C{place}", lw=1)
        axes.fill_between(at, *ends, color=f"C{place}", alpha=0.15, lw=0)
    every = [row for rows in lines.values() for row in rows]
    for name, style in (("strong", "--"), ("trivial", ":")):
        at = sorted({row[scoring.axis] for row in every})
        level = [  # of nets whose baselines differ, the mean
            np.mean([row[name] for row in every if row[scoring.axis] == place])
            for place in at
        ]
        wide = (at, level) if len(at) > 1 else (at * 2, level * 2)
        axes.plot(*wide, ls=style, color="black", lw=1, label=getattr(scoring, name))
        if len(at) == 1:
            axes.axhline(level[0], ls=style, color="black", lw=1)
    _dress(scoring, axes, scoring.noun, every)
    figures.legend_below(axes)


def decades(scoring: Any, axes: Any, lines: Lines) -> None:
    """The fresh gradient's change through the net, by depth."""
    for place, (name, rows) in enumerate(lines.items()):
        known = [row for row in rows if row["decades"] is not None]
        at = [row[scoring.axis] for row in known]
        shown = [row["decades"] for row in known]
        axes.plot(at, shown, "o-", ms=3, lw=1.3, color=f"C{place}", label=name)
    axes.axhline(0, color="black", lw=0.6)
    every = [row for rows in lines.values() for row in rows]
    _dress(scoring, axes, "decades of the gradient at the start", every)


def _dress(scoring: Any, axes: Any, title: str, rows: Sequence[Row]) -> None:
    places = sorted({row[scoring.axis] for row in rows})
    if 0 in places:  # a net without hidden layers
        axes.set_xscale("symlog", base=2, linthresh=1)
    else:
        axes.set_xscale("log", base=2)
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.minorticks_off()
    axes.set_xlabel(scoring.axis)
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25, lw=0.5)
