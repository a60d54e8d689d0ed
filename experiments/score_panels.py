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
    known = [("strong", "--"), ("trivial", ":")]
    for name, style in known[:1] if scoring.near else known:
        at = sorted({row[scoring.axis] for row in every})
        level = [  # of nets whose baselines differ, the mean
            np.mean([row[name] for row in every if row[scoring.axis] == place])
            for place in at
        ]
        wide = (at, level) if len(at) > 1 else (at * 2, level * 2)
        axes.plot(*wide, ls=style, color="black", lw=1, label=getattr(scoring, name))
        if len(at) == 1:
            axes.axhline(level[0], ls=style, color="black", lw=1)
    if scoring.near and every:
        _far(scoring, axes, float(np.mean([row["trivial"] for row in every])))
    _dress(scoring, axes, scoring.noun, every)
    figures.legend_below(axes)


def _far(scoring: Any, axes: Any, value: float) -> None:
    """Says where the trivial baseline is: beyond the upper end or the lower one."""
    low, high = axes.get_ylim()
    above, room = value > high, 0.1 * (high - low)  # so that the words cover no line
    axes.set_ylim(low - room * (not above), high + room * above)
    text = (
        f"{scoring.trivial} ({'above' if above else 'below'}): {scoring.write(value)}"
    )
    up, side = (0.98, "top") if above else (0.02, "bottom")
    style = {"ha": "right", "va": side, "fontsize": 7}
    axes.text(0.98, up, text, transform=axes.transAxes, **style)


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
