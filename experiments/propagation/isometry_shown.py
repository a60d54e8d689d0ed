"""How dynamical_isometry is shown: its answer, its table and its picture."""

import functools

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import (
    counted,
    listed,
    measured,
    of_deepest,
    out_of,
)
from depthbench.research.study.tables import Mark, Table

with lazily():
    import numpy as np

ALIKE = 1.0  # the variance of s², whose mean is 1, of nets that are near isometries


def headline(rows):
    """How many of the deepest nets keep all directions, and which keeps them least."""
    deep = of_deepest(measured(rows))
    near = [row for row in deep if row["variance"] < ALIKE]
    worst = max(deep, key=lambda row: row["variance"])
    layers = counted(deep[0]["depth"], "layer")
    named = f": {listed(map(label, near), 6)}" if near else ""
    return Headline(
        f"With {layers} the squared singular values s² vary by less than {ALIKE:g} in "
        f"{out_of(len(near), len(deep), 'nets')}{named}; an isometry's do not vary.",
        f"Worst: {label(worst)}, variance {worst['variance']:.3g} with {layers} "
        f"(theory of wide nets {worst['variance_theory']:.3g}).",
    )


def net(row):
    length = "" if scale_free(row) else f", q* = {row['q_star']:g}"
    return f"{row['activation']}{length}"


def label(row):
    return f"{row['weights']} {net(row)}"


def scale_free(row):
    """Whether every length is kept, so that q* makes no difference."""
    return row["activation"] in ("linear", "relu", "leaky_relu")


def tables(rows):
    """The variance of the squared singular values by depth, beside theory's."""
    depths = sorted({row["depth"] for row in rows})
    at = {(label(row), row["depth"]): row for row in rows}
    body = []
    for name in dict.fromkeys(map(label, rows)):
        body.append((name, *(_entry(at.get((name, depth))) for depth in depths)))
    headers = ("net", *(f"depth {depth}" for depth in depths))
    title = "Variance of the squared singular values (theory, wide nets)"
    return [Table(title, headers, tuple(body))]


def _entry(row):
    if row is None or row["status"] != "ok":
        return Mark(row["status"] if row else "", "dim")
    text = f"{short(row['variance'])} ({short(row['variance_theory'])})"
    if row["variance"] < 1:
        return Mark(text, "good")
    return Mark(text, "bad" if row["variance"] > 10 else "")


def short(variance):
    """Two or three figures; 0 for what is rounding."""
    if variance < 1e-6:
        return "0"
    return f"{variance:.3g}" if variance >= 1 else f"{variance:.2g}"


def draw_figures(rows, profiles):
    caption = (
        "Left: singular values of the Jacobian, largest first, at the largest depth in "
        "scope; an isometry is a level line at 1. Right: variance of their squares "
        "against depth: points are measured, with three standard errors, lines are theory "
        "for wide nets. Orthogonal weights: solid; Gaussian ones: dashed, open."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


FLOOR = 1e-4  # the right panel's: an orthogonal linear net lies below it


def _draw(rows, profiles):
    rows = [row for row in rows if row["status"] == "ok"]
    figure = figures.new(9.6, 4)
    left, right = figure.subplots(1, 2)
    deepest = max((r["depth"] for r in rows if wide(r)), default=rows[0]["depth"])
    colours = _colours(rows)
    for name in dict.fromkeys(map(label, rows)):
        of = sorted((r for r in rows if label(r) == name), key=lambda r: r["depth"])
        solid = of[0]["weights"] == "orthogonal"
        look = {"color": colours[net(of[0])], "ls": "-" if solid else (0, (4, 2))}
        for row in of:
            if row["depth"] == deepest:
                values = profiles(row)["log10"]
                share = (np.arange(len(values)) + 0.5) / len(values)
                left.plot(share, 10.0**values, lw=1.5, **look)
        _draw_variances(right, of, name, look, solid)
    left.set(yscale="log", ylabel="singular value")
    left.set_ylim(bottom=1e-3)
    left.set_xlabel("share of the singular values that are larger")
    left.set_title(f"depth {deepest}", loc="left")
    right.set_xscale("log", base=2)
    right.set(yscale="log", xlabel="depth")
    right.set_ylim(bottom=FLOOR / 2)
    right.set_ylabel(f"variance of s² (drawn at {FLOOR:g} if smaller)")
    figure.legend(fontsize=7, frameon=False, loc="outside right upper")
    return figure


def _draw_variances(axes, rows, name, look, solid):
    """One net's variances against depth, beside theory's; rows by depth."""
    depth = [row["depth"] for row in rows]
    axes.errorbar(
        depth,
        [max(row["variance"], FLOOR) for row in rows],
        yerr=[3 * (row.get("variance_se") or 0) for row in rows],
        fmt="o" if solid else "s",
        mfc=None if solid else "white",
        ms=4,
        color=look["color"],
        label=name,
    )
    axes.plot(depth, [row["variance_theory"] for row in rows], lw=1, **look)


def _colours(rows):
    """A colour for each net without its weights: those with a q* in shades of one."""
    import matplotlib

    names = list(dict.fromkeys(net(row) for row in rows))
    scaled = [name for name in names if "q*" in name]
    plain = [name for name in names if name not in scaled]
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.15, 0.9, len(scaled)))
    others = ("black", "#c0392b", "#b9770e", "#8e44ad")
    return dict(zip(scaled, shades, strict=True)) | {
        name: others[place % 4] for place, name in enumerate(plain)
    }


def wide(row):
    """Nets whose width is at least 16 depths: corrections are of order depth/width."""
    return row["width"] >= 16 * row["depth"]
