"""How gradient_flow is shown: tables and figures, pure functions of its rows."""

import functools
from collections.abc import Iterable, Sequence

from research.report import figures
from research.study.declaration import Figure, Profiles, Row
from research.study.tables import Mark, Table, number

MANY = 6  # architectures: more are shown one a line


def tables(rows: Sequence[Row]) -> list[Table]:
    """What survives at each depth, decades at the deepest, and the worst cells.

    Of many architectures, which share neither depth nor width, one table of them all.
    """
    worst = _worst([r for r in rows if r["status"] == "ok"])
    if _many(rows):
        return [_families(rows), worst]
    shown = [_survivors(rows)]
    for keys, group in _by(rows, "architecture", "normalizer", "width", "sigma_w2"):
        shown.append(_decades(keys, group))
    return [*shown, worst]


def _many(rows: Sequence[Row]) -> bool:
    return len({row["architecture"] for row in rows}) > MANY


def _families(rows: Sequence[Row]) -> Table:
    """One line an architecture: activations that keep the gradient, and the worst one."""
    initializers = list(dict.fromkeys(row["initializer"] for row in rows))
    body = []
    for keys, group in _by(rows, "architecture", "normalizer", "width"):
        deepest = _deepest(group)
        entries = [
            _share([row for row in deepest if row["initializer"] == name])
            for name in initializers
        ]
        body.append((*map(number, keys), number(deepest[0]["depth"]), *entries))
    title = (
        "Activations that keep their gradient (within a factor of 1,000) at each net's "
        "deepest, and the decades of the worst"
    )
    headers = ("architecture", "norm", "width", "depth", *initializers)
    return Table(title, headers, tuple(body))


def _deepest(rows: Sequence[Row]) -> list[Row]:
    deepest = max(row["depth"] for row in rows)
    return [row for row in rows if row["depth"] == deepest]


def _share(rows: Sequence[Row]) -> Mark:
    """How many of the cells keep their gradient, and the most decades or the end."""
    good = sum(row.get("verdict") == "survives" for row in rows)
    if not rows:
        return Mark("", "dim")
    broken = [row for row in rows if row["status"] != "ok"]
    decades = [row["log10_ratio"] for row in rows if row["status"] == "ok"]
    worst = f"{max(decades, key=abs):+.1f}" if decades else ""
    if broken:
        worst = broken[0]["status"].replace("_", " ")
    tone = "good" if good == len(rows) else "bad" if good == 0 else "warning"
    return Mark(f"{good}/{len(rows)} {worst}", tone)


def _worst(rows: Sequence[Row]) -> Table:
    """The ten cells with the most decades between their first and last gradient."""
    body = tuple(
        (
            f"{r['architecture']} {r['activation']} {r['initializer']}",
            number(r["depth"]),
            Mark(f"{r['log10_ratio']:+.1f}", "bad"),
            f"{r['log10_slope']:+.4g}",
            number(r["log10_slope_se"], 2),
            number(r["log10_slope_theory"], 4),
            number(r["saturated"], 2),
        )
        for r in sorted(rows, key=lambda r: -abs(r["log10_ratio"]))[:10]
    )
    headers = ("cell", "depth", "decades", "per layer", "±", "theory", "saturated")
    return Table("The ten worst cells that have a gradient", headers, body)


def _by(rows: Iterable[Row], *names: str) -> list[tuple[tuple, list[Row]]]:
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[n] for n in names), []).append(row)
    return list(groups.items())


def _survivors(rows: Sequence[Row]) -> Table:
    """How many activations keep the gradient within a factor of 1,000, by depth."""
    depths = sorted({row["depth"] for row in rows})
    names = ("architecture", "initializer", "normalizer", "width", "sigma_w2")
    named = [n for n in names[:2]] + [
        n for n in names[2:] if len({row[n] for row in rows}) > 1
    ]
    body = []
    for keys, group in _by(rows, *named):
        entries: list[str | Mark] = [number(key) for key in keys]
        for depth in depths:
            at = [row for row in group if row["depth"] == depth]
            good = sum(row.get("verdict") == "survives" for row in at)
            share = good / len(at) if at else 0.0
            tone = "good" if share > 0.8 else "bad" if share < 0.4 else "warning"
            entries.append(Mark(f"{good}/{len(at)}", tone))
        body.append(tuple(entries))
    title = "How many activations keep their gradient (within a factor of 1,000)"
    return Table(title, (*named, *(f"depth {d}" for d in depths)), tuple(body))


def _decades(keys: tuple, rows: list[Row]) -> Table:
    rows = _deepest(rows)
    deepest = rows[0]["depth"]
    initializers = list(dict.fromkeys(row["initializer"] for row in rows))
    cells = {(row["activation"], row["initializer"]): row for row in rows}
    body = []
    for activation in dict.fromkeys(row["activation"] for row in rows):
        entries = [_entry(cells.get((activation, name))) for name in initializers]
        body.append((activation, *entries))
    name = " ".join(number(k) for k in (keys[0], *keys[1:]) if k not in (None, "none"))
    title = f"{name} wide, depth {deepest}: decades from last to first gradient"
    return Table(title, ("activation", *initializers), tuple(body))


def _entry(row: Row | None) -> Mark:
    if row is None:
        return Mark("", "dim")
    if row["status"] == "ok":
        tone = {"survives": "good", "vanishes": "bad", "explodes": "bad"}
        return Mark(f"{row['log10_ratio']:+.1f}", tone[row["verdict"]])
    if row["status"] in ("lost", "overflow"):
        at = row.get("signal_lost_at")
        return Mark(f"{row['status']} at {at}" if at else row["status"], "bad")
    return Mark(row["status"].replace("_", " "), "dim")


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Heat maps of decades per layer, and per-layer profiles with theory's lines."""
    if _many(rows):
        caption = (
            "Decades per layer that the gradient gains (blue) or loses (red) on its way "
            "to the input, at each net's deepest (the number beside its name); grey "
            "cells name what happened instead."
        )
        return [Figure("figure", caption, functools.partial(_draw_families, rows))]
    first = rows[0]
    same = ("normalizer", "width", "sigma_w2", "sigma_b2")
    rows = [r for r in rows if all(r[n] == first[n] for n in same)]
    caption = (
        "Top: decades the gradient gains (blue) or loses (red) per layer on its way to "
        "the input; grey cells name what happened instead. Below: log10 of the "
        "gradient's norm by layer, measured (solid) and by theory (dashed)."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows: Sequence[Row], profiles: Profiles):
    architectures = list(dict.fromkeys(r["architecture"] for r in rows))
    initializers = list(dict.fromkeys(r["initializer"] for r in rows))
    activations = list(dict.fromkeys(r["activation"] for r in rows))
    tall = 0.7 + 0.13 * len(activations)
    width = 1.4 + 2.6 * len(initializers)
    figure = figures.new(max(width, 6), tall * len(architectures) + 3.0)
    maps, lines = figure.subfigures(2, 1, height_ratios=(tall * len(architectures), 3))
    grid = maps.subplots(len(architectures), len(initializers), squeeze=False)
    for row_axes, architecture in zip(grid, architectures, strict=True):
        for axes, name in zip(row_axes, initializers, strict=True):
            here = [
                r
                for r in rows
                if (r["architecture"], r["initializer"]) == (architecture, name)
            ]
            image = _map(axes, here, activations, f"{architecture}, {name}")
    for axes in grid[-1]:
        axes.set_xlabel("depth")
    maps.colorbar(image, ax=grid, shrink=0.5, label="decades per layer", pad=0.01)
    _draw_profiles(lines, rows, profiles, architectures[0], initializers)
    return figure


def _draw_families(rows: Sequence[Row]):
    initializers = list(dict.fromkeys(r["initializer"] for r in rows))
    activations = list(dict.fromkeys(r["activation"] for r in rows))
    groups = _by(rows, "architecture", "normalizer", "width")
    nets = [_deepest(group) for _, group in groups]
    width = 2.6 + len(initializers) * (0.5 + 0.3 * len(activations))
    figure = figures.new(max(width, 7.5), 1.6 + 0.17 * len(nets))
    grid = figure.subplots(1, len(initializers), squeeze=False)
    names = [f"{net[0]['architecture']}  {net[0]['depth']}" for net in nets]
    for axes, initializer in zip(grid[0], initializers, strict=True):
        values = {
            (name, row["activation"]): _slope(row)
            for name, net in zip(names, nets, strict=True)
            for row in net
            if row["initializer"] == initializer
        }
        image = figures.heat_map(axes, values, names, activations, 1, initializer)
        axes.tick_params("x", labelrotation=90)
    figure.colorbar(image, ax=grid, shrink=0.5, label="decades per layer", pad=0.01)
    return figure


def _slope(row: Row) -> float | str:
    short = {"overflow": "over", "no_fixed_point": "none"}
    if row["status"] == "ok":
        return row["log10_slope"]
    return short.get(row["status"], row["status"])


def _map(axes, rows: list[Row], activations: list[str], title: str):
    depths = sorted({row["depth"] for row in rows})
    values = {(row["activation"], str(row["depth"])): _slope(row) for row in rows}
    return figures.heat_map(axes, values, activations, list(map(str, depths)), 1, title)


SHOWN = ("sigmoid", "tanh", "relu", "gelu", "selu", "sin")  # of many, in the profiles


def _draw_profiles(figure, rows, profiles, architecture: str, initializers) -> None:
    rows = [r for r in rows if r["architecture"] == architecture]
    depths = sorted({r["depth"] for r in rows})
    depth = max([d for d in depths if d <= 64] or depths[:1])
    rows = [r for r in rows if r["depth"] == depth]
    names = [r["activation"] for r in rows]
    shown = [n for n in SHOWN if n in names] or list(dict.fromkeys(names))[:6]
    panels = figure.subplots(1, len(initializers), squeeze=False, sharey=True)[0]
    for axes, initializer in zip(panels, initializers, strict=True):
        lines = []
        for row in rows:
            if row["initializer"] == initializer and row["activation"] in shown:
                arrays = profiles(row)
                measured = arrays.get("log10_gradient")
                if measured is not None and row["status"] == "ok":
                    measured = (measured - measured[:, -1:]).mean(axis=0)
                else:
                    measured = None
                theory = arrays.get("log10_gradient_theory")
                lines.append(figures.Line(row["activation"], measured, theory))
        title = f"{architecture}, {initializer}, depth {depth}"
        figures.profile_lines(axes, lines, title)
        axes.set_xlabel("layer (input left)")
    panels[0].set_ylabel("log10 ‖gradient‖, last layer = 0")
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(fontsize=6.5, frameon=False, ncols=2)
