"""Pictures of own_model: gradient, length and correlation by state, of each depth."""

import functools
from collections.abc import Sequence

from depthbench.benchmarks.own_model import names, show
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Profiles, Row

with lazily():
    import numpy as np

PANELS = (
    ("log10_gradient", "log10 ‖gradient‖ (last state: 0)"),
    ("log10_length", "log10 mean square"),
    ("decorrelation", "1 − correlation of two examples"),
)
MOST = 6  # nets drawn
NAMES = 40  # states that there is room to name


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Profiles of all depths, and the deepest with its states by name."""
    by_state = (
        "From the input (left) to the output, at each depth: the gradient's norm beside "
        "the last state's (in the grey band it survives), the forward mean square, and how "
        "far two examples are from the same. A line that ends has no number there."
    )
    by_name = (
        "The gradient at each state of the deepest net, by name, the input on top; red "
        "where it is beyond a factor of 1,000."
    )
    drawn = functools.partial
    return [
        Figure("figure", by_state, drawn(_draw_profiles, rows, profiles)),
        Figure("states", by_name, drawn(_draw_states, rows, profiles)),
    ]


def _draw_profiles(rows: Sequence[Row], profiles: Profiles):
    told = show.nets(rows)[:MOST]
    depths = list(dict.fromkeys(_depth(row) for _, group in told for row in group))
    figure = figures.new(9.5, 0.6 + 2.3 * len(told))
    grid = figure.subplots(len(told), len(PANELS), squeeze=False)
    for line, (name, group) in zip(grid, told, strict=True):
        arrays = [(_depth(row), profiles(row)) for row in group]
        for axes, (column, label) in zip(line, PANELS, strict=True):
            for depth, named in arrays:
                if column in named and named[column].size:
                    _curve(axes, named[column], depth, depths)
            if column == "log10_gradient":
                axes.axhspan(-3, 3, color="#888888", alpha=0.13, lw=0)
            if column == "decorrelation" and _falls(arrays):
                axes.set_yscale("log")
            axes.set_ylabel(label, fontsize=7)
            axes.grid(alpha=0.25, lw=0.5)
            axes.tick_params(labelsize=6.5)
        line[0].set_title(name, loc="left", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("state, from input (0) to output (1)")
    figures.legend_lines(figure, depths)
    return figure


def _falls(arrays) -> bool:
    """Whether examples come near each other, by orders of magnitude."""
    found = [named["decorrelation"] for _, named in arrays if "decorrelation" in named]
    values = np.concatenate(found) if found else np.zeros(0)
    return bool(np.any((values > 0) & (values < 0.1)))


def _depth(row: Row) -> str:
    return "as it is" if row["depth"] is None else f"depth {row['depth']}"


def _curve(axes, values, depth: str, depths: list[str]) -> None:
    """The mean over seeds, relative to the last state where seeds are apart."""
    if values.ndim == 2:
        values = _beside_last(values)
    share = np.arange(len(values)) / max(len(values) - 1, 1)
    finite = np.where(np.isfinite(values), values, np.nan)
    colour = figures.colour(depths.index(depth))
    mark = "o" if len(values) < 12 else ""
    axes.plot(share, finite, color=colour, lw=1.5, marker=mark, ms=2.5)


def _beside_last(gradient):
    """log10 of the gradient over the last state's, mean of seeds: [states]."""
    with np.errstate(invalid="ignore"):  # where nothing is left, there is no line
        return (gradient - gradient[:, -1:]).mean(axis=0)


def _draw_states(rows: Sequence[Row], profiles: Profiles):
    told = [(name, _deepest(group, profiles)) for name, group in show.nets(rows)[:MOST]]
    told = [(name, row) for name, row in told if row is not None]
    tallest = max((len(_names(profiles(row))) for _, row in told), default=1)
    tall = 0.8 + 0.14 * min(tallest, NAMES)
    figure = figures.new(max(5.0, 3.6 * len(told)), max(tall, 2.0))
    for axes, (name, row) in zip(
        figure.subplots(1, max(len(told), 1), squeeze=False)[0], told, strict=False
    ):
        named = profiles(row)
        values = _beside_last(named["log10_gradient"])
        places = np.arange(len(values))
        bad = ~(np.abs(values) <= 3)
        shown = np.where(np.isfinite(values), values, 0.0)
        axes.axvspan(-3, 3, color="#888888", alpha=0.13, lw=0)
        axes.barh(places, shown, color=np.where(bad, "#c0392b", "#3b76af"), height=0.7)
        every = -(-len(values) // NAMES)
        ticks = places[::every]
        texts = _names(named)
        axes.set_yticks(ticks, [figures.literal(texts[t]) for t in ticks], fontsize=6)
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlabel("log10 ‖gradient‖ (last state: 0)", fontsize=7)
        axes.set_title(f"{name}, {_depth(row)}", loc="left", fontsize=8)
        axes.tick_params("x", labelsize=6.5)
    return figure


def _deepest(rows: Sequence[Row], profiles: Profiles) -> Row | None:
    there = [row for row in rows if _names(profiles(row))]
    return there[-1] if there else None


def _names(named) -> list[str]:
    return names.unpacked(named["state_names"]) if "state_names" in named else []
