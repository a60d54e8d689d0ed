"""Training losses of several nets, each at its best rate, beside a trivial answer's."""

from collections.abc import Callable, Sequence
from typing import Any

from depthbench.experiments.training import pairs
from depthbench.research.study.declaration import Row


def draw(
    rows: Sequence[Row],
    profiles: Callable,
    *,
    axis: str,
    unit: str,
    loss: str,
    trivial: float,
    top: float,
) -> Any:
    """A figure with a panel for each value of an axis, and a curve for each net.

    loss: its name. trivial: the dashed line. top: where the panels end.
    """
    values = sorted({row[axis] for row in rows})
    figure, panels = pairs.panels(len(values), width=4.8)
    for axes, value in zip(panels, values, strict=True):
        alike = [row for row in rows if row[axis] == value]
        chosen = pairs.best(alike, ("net",), "loss")
        pairs.draw_curves(axes, chosen, profiles, _label)
        axes.axhline(trivial, color="black", lw=0.8, ls=(0, (4, 3)))
        axes.set_title(f"{value} {unit}", loc="left")
        axes.set_ylim(0, top)
        axes.legend(fontsize=6.5, frameon=False)
    panels[0].set_ylabel(loss)
    return figure


def _label(row: Row) -> str:
    return f"{row['net']} (rate {row['learning_rate']:.3g})"
