"""Pictures of gradient_flow: maps of decades, in all and per layer; profiles by layer."""

import functools
from collections.abc import Sequence

from depthbench.benchmarks import kept_by_dtype
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Profiles, Row

with lazily():
    import numpy as np

MANY = 6  # architectures: more are shown one a line
SHOWN = ("sigmoid", "tanh", "relu", "gelu", "selu", "sin")  # of many, in the profiles
ACROSS = 4  # panels of profiles, side by side
DECADES = 300  # the limit of the map of all decades; a hundredth of it is survival's
INSTEAD = {
    "overflow": figures.Instead("o", "#303030", "signal overflows float32"),
    "lost": figures.Instead("l", "#6b6b6b", "signal is lost: exactly 0"),
    "no_fixed_point": figures.Instead("–", "#d5d5d5", "has no critical variance"),
}


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Maps of decades in all and per layer; profiles of every architecture by layer."""
    by_dtype, rows = kept_by_dtype.pictures(rows), kept_by_dtype.of_one(rows)
    many = len({row["architecture"] for row in rows}) > MANY
    first = rows[0]
    same = ("normalizer", "width", "sigma_w2", "sigma_b2")
    if not many:
        rows = [r for r in rows if all(r[n] == first[n] for n in same)]
    where = (
        "at each net's deepest (the number beside its name)"
        if many
        else "at each depth"
    )
    maps = (
        "Left: decades that the gradient gains (blue) or loses (red) from the last layer "
        f"to the first, {where}; pale: within a factor of 1,000 it survives. Right: the "
        "same per layer. Grey cells have no gradient; below is what happened instead."
    )
    curves = (
        "log10 of the gradient's norm by layer in every architecture, measured (solid) "
        "and by theory (dashed); in the grey band it survives."
    )
    if many:
        curves += f" Weights are drawn as {first['initializer']}."
    drawn = _draw_families if many else _draw_maps
    return [
        Figure("figure", maps, functools.partial(drawn, rows)),
        Figure("profiles", curves, functools.partial(_draw_profiles, rows, profiles)),
        *by_dtype,
    ]


def groups(rows: Sequence[Row], *names: str) -> list[tuple[tuple, list[Row]]]:
    """Rows of equal values under these names, in their order."""
    grouped: dict[tuple, list[Row]] = {}
    for row in rows:
        grouped.setdefault(tuple(row[n] for n in names), []).append(row)
    return list(grouped.items())


def deepest(rows: Sequence[Row]) -> list[Row]:
    depth = max(row["depth"] for row in rows)
    return [row for row in rows if row["depth"] == depth]


def names(rows: Sequence[Row], axis: str) -> list[str]:
    return list(dict.fromkeys(row[axis] for row in rows))


# What is mapped: a row's column, the colours' limit, and its name.
MAPPED = (
    ("log10_ratio", DECADES, "decades in all"),
    ("log10_slope", 1, "decades per layer"),
)


def _value(row: Row, column: str) -> float | str:
    return row[column] if row["status"] == "ok" else row["status"]


def _draw_maps(rows: Sequence[Row]):
    architectures = names(rows, "architecture")
    initializers = names(rows, "initializer")
    activations = names(rows, "activation")
    depths = list(map(str, sorted({r["depth"] for r in rows})))
    tall = 0.45 + 0.115 * len(activations)
    wide = 0.3 + 0.17 * len(depths)
    size = 2 * (0.9 + wide * len(initializers)), tall * len(architectures) + 0.7
    figure = figures.new(max(size[0], 7.5), max(size[1], 2.2))
    halves = figure.subfigures(1, 2)
    for half, (column, limit, label) in zip(halves, MAPPED, strict=True):
        shape = len(architectures), len(initializers)
        grid = half.subplots(*shape, squeeze=False)
        for axes, architecture, initializer in (
            (grid[a, i], architecture, initializer)
            for a, architecture in enumerate(architectures)
            for i, initializer in enumerate(initializers)
        ):
            values = {
                (row["activation"], str(row["depth"])): _value(row, column)
                for row in rows
                if (row["architecture"], row["initializer"])
                == (architecture, initializer)
            }
            image = figures.heat_map(
                axes, values, activations, depths, limit, initializer, INSTEAD
            )
            axes.tick_params(labelsize=6)
        for axes, architecture in zip(grid[:, 0], architectures, strict=True):
            axes.set_ylabel(architecture, fontweight="bold")
        for axes in grid[-1]:
            axes.set_xlabel("depth")
        _bar(half, image, grid, label, limit)
    figures.legend_instead(figure, rows, INSTEAD)
    return figure


def _bar(figure, image, grid, label: str, limit: float) -> None:
    """A colour bar below the maps, with round numbers."""
    ticks = [-limit, -limit / 10, -limit / 100, limit / 100, limit / 10, limit]
    bar = figure.colorbar(
        image, ax=grid, location="bottom", shrink=0.7, aspect=40, pad=0.01, ticks=ticks
    )
    bar.ax.set_xticklabels([f"{tick:+g}" for tick in ticks], fontsize=6.5)
    bar.ax.minorticks_off()
    bar.set_label(label, fontweight="bold")


def _draw_families(rows: Sequence[Row]):
    initializers = names(rows, "initializer")
    activations = names(rows, "activation")
    nets = [
        deepest(group)
        for _, group in groups(rows, "architecture", "normalizer", "width")
    ]
    lines = [_net(net[0]) for net in nets]
    width = 2 * (1.6 + len(initializers) * (0.3 + 0.15 * len(activations)))
    figure = figures.new(max(width, 9), 2.2 + 0.15 * len(nets))
    halves = figure.subfigures(1, 2)
    for half, (column, limit, label) in zip(halves, MAPPED, strict=True):
        grid = half.subplots(1, len(initializers), squeeze=False)
        for axes, initializer in zip(grid[0], initializers, strict=True):
            values = {
                (line, row["activation"]): _value(row, column)
                for line, net in zip(lines, nets, strict=True)
                for row in net
                if row["initializer"] == initializer
            }
            image = figures.heat_map(
                axes, values, lines, activations, limit, initializer, INSTEAD
            )
            axes.tick_params("x", labelrotation=90)
            axes.tick_params(labelsize=6)
        _bar(half, image, grid, label, limit)
    figures.legend_instead(figure, rows, INSTEAD)
    return figure


def _net(row: Row) -> str:
    norm = "" if row["normalizer"] == "none" else f" + {row['normalizer']}"
    return f"{row['architecture']}{norm}  {row['depth']}"


def _draw_profiles(rows: Sequence[Row], profiles: Profiles):
    """A panel an architecture and initialiser; of many architectures, one each."""
    initializers = names(rows, "initializer")
    of_each = names(rows, "architecture")
    if len(of_each) > MANY:
        initializers = initializers[:1]
    panels = [
        _profiled([r for r in rows if (r["architecture"], r["initializer"]) == key])
        for key in ((a, i) for a in of_each for i in initializers)
    ]
    panels = [panel for panel in panels if panel]
    across = len(initializers) if 1 < len(initializers) <= ACROSS else ACROSS
    across = min(across, len(panels))
    down = -(-len(panels) // across)
    figure = figures.new(max(2.4 * across, 5), 0.5 + 1.55 * down)
    grid = figure.subplots(down, across, squeeze=False)
    activations = list(dict.fromkeys(r["activation"] for p in panels for r in p))
    for axes, panel in zip(grid.flat, panels, strict=False):
        lines = [_line(row, profiles) for row in panel]
        first = panel[0]
        drawn = [first["initializer"]] if len(initializers) > 1 else []
        words = (first["architecture"], *drawn, f"{first['depth']} layers")
        title = ", ".join(words)
        axes.axhspan(-3, 3, color="#888888", alpha=0.13, lw=0)
        figures.profile_lines(axes, lines, title, activations)
        axes.set_title(title, loc="left", fontsize=7)
        axes.tick_params(labelsize=6.5)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("log10 ‖gradient‖")
    for axes in grid[-1]:
        axes.set_xlabel("layer (input left)")
    figures.legend_lines(figure, activations)
    return figure


def _profiled(rows: Sequence[Row]) -> list[Row]:
    """The rows of one panel: some activations, at the deepest up to 64 layers."""
    if not rows:
        return []
    depths = {row["depth"] for row in rows}
    depth = max([d for d in depths if d <= 64] or [min(depths)])
    rows = [row for row in rows if row["depth"] == depth]
    activations = names(rows, "activation")
    shown = [n for n in SHOWN if n in activations] or activations[: len(SHOWN)]
    return [row for row in rows if row["activation"] in shown]


def _line(row: Row, profiles: Profiles) -> figures.Line:
    arrays = profiles(row)
    measured = arrays.get("log10_gradient")
    if measured is not None:
        with np.errstate(
            invalid="ignore"
        ):  # where no gradient is left, there is no line
            measured = (measured - measured[:, -1:]).mean(axis=0)
        measured = measured if np.isfinite(measured).any() else None
    theory = arrays.get("log10_gradient_theory")
    return figures.Line(
        row["activation"], measured if row["status"] == "ok" else None, theory
    )
