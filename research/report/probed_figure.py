"""The picture of a probe: gradient and length of every state, from the input on."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from depthbench.research.report import figures, notebook
from depthbench.research.signal.profiles import SURVIVES

BAND = "within a factor of 1,000 of the last"
NAMES = 9  # states that are named below the picture
BAD = "#c0392b"


def profile(
    rows: Sequence[Mapping[str, Any]], first_bad: str | None, title: str
) -> Any:
    """A Figure of two panels: log10 of the gradient's norm, log10 of the mean square."""
    names = [str(row["state"]) for row in rows]

    def draw(figure: Any) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        gradient = _column(rows, "log10_gradient")
        _line(upper, gradient, "#1f4e79")
        if np.isfinite(gradient[-1]):
            band = (gradient[-1] - SURVIVES, gradient[-1] + SURVIVES)
            upper.axhspan(*band, color="#888888", alpha=0.18, lw=0, label=BAND)
        if first_bad is not None:
            place = names.index(first_bad)
            label = f"first outside: {figures.literal(first_bad)}"
            upper.plot(place, gradient[place], "o", color=BAD, label=label, zorder=3)
        upper.set_ylabel("log10 ‖gradient‖")
        if upper.get_legend_handles_labels()[0]:
            upper.legend(frameon=False, fontsize=7, loc="best")
        upper.set_title(figures.literal_lines(textwrap.fill(title, 92)), loc="left")
        _line(lower, _column(rows, "log10_length"), "#5b7f3a")
        lower.set_ylabel("log10 mean h²")
        shown = figures.labelled(len(names), NAMES)
        lower.set_xticks(shown, [figures.literal(_short(names[p])) for p in shown])
        lower.tick_params("x", labelrotation=30)
        for label in lower.get_xticklabels():
            label.set_horizontalalignment("right")
        for axes in (upper, lower):
            axes.grid(alpha=0.25, lw=0.5)

    return notebook.drawn(6.4, 3.9, draw)


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    values = np.array([row[name] for row in rows], np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _line(axes: Any, values: np.ndarray, colour: str) -> None:
    few = values.size <= 40
    axes.plot(values, color=colour, lw=1.5, marker="." if few else None, ms=4)


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"…{name[-21:]}"
