"""How half_precision is shown: what each dtype keeps of each net's gradient, by layer."""

import functools
from collections.abc import Sequence

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline, Row
from depthbench.research.study.headlines import listed, measured, of_deepest
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np


def headline(rows: Sequence[Row]) -> Headline:
    """What float16, its scaling and bfloat16 keep of the deepest nets, and what worst."""
    deep = of_deepest(measured(rows))
    depth = deep[0]["depth"]
    kept = [f"{counted(group)} in {name(kind)}" for kind, group in kinds(deep).items()]
    worst = min(deep, key=lambda row: row["half_layers"])
    if worst["half_layers"] < depth:
        what = "overflows" if worst["lost_how"] == "overflow" else "is half 0"
        end = f"{what} after {worst['half_layers']:.3g} layers"
    else:
        worst = min(deep, key=lambda row: row["cosine"])
        end = f"is off its direction most: cosine {worst['cosine']:.2f}"
    return Headline(
        f"Half of the gradient or more is left through {depth:,} layers of "
        f"{listed(kept, 9)}.",
        f"Worst: {worst['net']}'s in {name((worst['dtype'], worst['scale']))} {end}.",
    )


def counted(rows: Sequence[Row]) -> str:
    nets = "nets" if len(rows) > 1 else "net"
    return f"{sum(r['half_layers'] >= r['depth'] for r in rows)} of {len(rows)} {nets}"


def kinds(rows: Sequence[Row]) -> dict[tuple, list[Row]]:
    """Rows by dtype and scale of the loss."""
    grouped: dict[tuple, list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["dtype"], row["scale"]), []).append(row)
    return grouped


def name(kind: tuple) -> str:
    """A dtype as it is spoken of: "float16 × 2^8"."""
    dtype, scale = kind
    return f"{dtype} × 2^{scale}" if scale else dtype


def tables(rows: Sequence[Row]) -> list[Table]:
    """Layers kept by each dtype at the deepest, and angles by depth."""
    done = measured(rows)
    return [kept(of_deepest(done)), angles(done)] if done else []


def kept(rows: Sequence[Row]) -> Table:
    """Through how many layers at most half of the entries are 0, and by theory."""
    depth, all_kinds = rows[0]["depth"], kinds(rows)
    at = {(r["net"], r["width"], r["dtype"], r["scale"]): r for r in rows}
    body = []
    for net, width in dict.fromkeys((r["net"], r["width"]) for r in rows):
        entries = [_kept(at.get((net, width, *kind))) for kind in all_kinds]
        body.append((f"{net} {width}", *entries))
    title = (
        f"Of {depth} layers, through how many from the last at most half of the "
        "gradient's entries are 0 (theory); what ends it"
    )
    return Table(title, ("net", *map(name, all_kinds)), tuple(body))


def _kept(row: Row | None) -> Mark:
    if row is None:
        return Mark("", "dim")
    whole = row["half_layers"] >= row["depth"]
    theory = row.get("theory_layers")
    text = "all" if whole else number(row["half_layers"], 3)
    text += f" ({number(theory, 3)})" if theory is not None and not whole else ""
    how = row["lost_how"]
    text += " overflow" if how == "overflow" else ""
    return Mark(text, "bad" if how else "good" if whole else "warning")


def angles(rows: Sequence[Row]) -> Table:
    """The angle to the exact gradient at the first state, by depth, of what is kept."""
    depths = sorted({row["depth"] for row in rows})
    body = []
    groups = dict.fromkeys((r["net"], r["width"], r["dtype"]) for r in rows)
    for net, width, dtype in groups:
        line = {
            r["depth"]: r
            for r in rows
            if (r["net"], r["width"], r["dtype"], r["scale"]) == (net, width, dtype, 0)
        }
        if dtype == "float32" or not line:
            continue
        entries = [_angle(line.get(depth)) for depth in depths]
        body.append((f"{net} {width}", dtype, *entries))
    title = "Sine of the angle between the gradient at the input and the exact one"
    headers = ("net", "dtype", *(f"depth {depth}" for depth in depths))
    return Table(title, headers, tuple(body))


def _angle(row: Row | None) -> Mark:
    if row is None:
        return Mark("", "dim")
    if row["kept_layers"] < row["depth"]:
        return Mark("lost", "bad")
    tone = "good" if row["angle"] < 0.1 else "warning" if row["angle"] < 0.5 else "bad"
    return Mark(number(row["angle"], 2), tone)


def draw_figures(rows: Sequence[Row], profiles) -> list[Figure]:
    done = measured(rows)
    if not done:
        return []
    caption = (
        "By layer (input left), for each net a panel: log10 of the size of a gradient's "
        "entries, exactly (grey, broad) and by plain backpropagation in each dtype. A "
        "curve that ends with a cross has been lost: all entries are 0, or some overflow. "
        "Dotted: 2^-24, float16's least number."
    )
    turned = (
        "The sine of the angle between each dtype's gradient at the input and the exact "
        "one, by depth, with standard errors; dashed: the root of the depth."
    )
    return [
        Figure("figure", caption, functools.partial(_draw, done, profiles)),
        Figure("angles", turned, functools.partial(_draw_angles, done)),
    ]


def _draw(rows: Sequence[Row], profiles):
    rows = of_deepest(rows)
    widest = max(row["width"] for row in rows)
    rows = [row for row in rows if row["width"] == widest]
    nets = list(dict.fromkeys(row["net"] for row in rows))
    labels = [name(kind) for kind in kinds(rows)]
    across = min(4, len(nets))
    down = -(-len(nets) // across)
    figure = figures.new(2.5 * across + 0.4, 1.95 * down + 0.7)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, net in zip(grid.flat, nets, strict=False):
        _panel(axes, [row for row in rows if row["net"] == net], labels, profiles)
        axes.set_title(net, loc="left", fontsize=8)
    for axes in grid.flat[len(nets) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("log10 |entry|")
    for axes in grid[-1]:
        axes.set_xlabel("layer (input left)")
    figures.legend_lines(figure, labels)
    return figure


def _panel(axes, rows: Sequence[Row], labels: Sequence[str], profiles) -> None:
    axes.axhline(-24 * np.log10(2), color="black", lw=0.8, ls=(0, (1, 2)))
    for number_, row in enumerate(rows):
        arrays = profiles(row)
        if "exact" not in arrays:
            continue
        layer = np.arange(len(arrays["exact"]))
        if not number_:
            axes.plot(layer, arrays["exact"], color="#cccccc", lw=5, zorder=0)
        plain = np.where(np.isfinite(arrays["plain"]), arrays["plain"], np.nan)
        ink = figures.colour(labels.index(name((row["dtype"], row["scale"]))))
        thick = 2.4 - 1.6 * number_ / max(len(rows) - 1, 1)
        axes.plot(layer, plain, color=ink, lw=thick)
        there = np.flatnonzero(np.isfinite(plain))
        if there.size and there[0] > 0:
            axes.plot(there[0], plain[there[0]], "x", color=ink, ms=5, mew=1.4)
        elif not there.size:
            axes.plot(layer[-1], arrays["exact"][-1], "x", color=ink, ms=5, mew=1.4)
    axes.grid(alpha=0.25, lw=0.5)
    axes.tick_params(labelsize=6.5)


def _draw_angles(rows: Sequence[Row]):
    widest = max(row["width"] for row in rows)
    kept = [r for r in rows if r["width"] == widest and r["kept_layers"] >= r["depth"]]
    labels = [name(kind) for kind in kinds(rows)]
    shown = [kind for kind in kinds(rows) if kind[0] != "float32" and not kind[1]]
    nets = list(dict.fromkeys(row["net"] for row in rows))
    figure = figures.new(2.6 * max(len(shown), 2) + 0.6, 3.1)
    grid = figure.subplots(1, len(shown) or 1, squeeze=False, sharey=True)[0]
    for axes, kind in zip(grid, shown, strict=False):
        for place, net in enumerate(nets):
            line = [
                r for r in kept if (r["net"], r["dtype"], r["scale"]) == (net, *kind)
            ]
            axes.errorbar(
                [r["depth"] for r in line],
                [r["angle"] for r in line],
                [r["angle_se"] or 0 for r in line],
                **{"fmt": "o-", "ms": 3, "lw": 1, "color": figures.colour(place)},
            )
        depths = np.array(sorted({row["depth"] for row in rows}), float)
        root = 1e-3 * np.sqrt(depths / depths[0])
        axes.plot(depths, root, color="black", lw=0.8, ls=(0, (4, 3)))
        axes.set(xscale="log", yscale="log", xlabel="depth (layers)")
        axes.set_title(labels[list(kinds(rows)).index(kind)], loc="left")
        axes.set_xticks(depths, [f"{d:g}" for d in depths])
        axes.minorticks_off()
        axes.grid(alpha=0.25, lw=0.5)
    grid[0].set_ylabel("sine of the angle")
    figures.legend_lines(figure, nets)
    return figure
