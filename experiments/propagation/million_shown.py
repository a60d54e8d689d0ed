"""How million_layers is shown: its answer, its tables and its picture."""

import functools

from depthbench.experiments.propagation.million_probed import OVER_DEPTH
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.signal.profiles import EPSILON, SURVIVES
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, listed, measured, of_deepest
from depthbench.research.study.tables import Mark, Table, number, with_error

with lazily():
    import numpy as np

LEAST_DECADES = 1e-3  # that a logarithmic axis shows
LEAST = EPSILON**2  # of 1 − c, that float32 tells from 0
NOTHING_APART = 1e-9  # of 1 − c in a table: digits below are those of rounding
NAMES = {
    "orthogonal": "orthogonal, q* = 1/L",
    "orthogonal_q1": "orthogonal, q* = 1",
    "orthogonal_gain1": "orthogonal, σ_w = 1",
    "gaussian": "Gaussian, q* = 1/L",
    "glorot": "Gaussian, σ_w = 1 (Glorot)",
    "he": "Gaussian, σ_w² = 2 (He)",
}


def headline(rows):
    """What the deepest nets' gradients come to: those that survive, and the worst."""
    done = of_deepest(measured(rows))
    deep = sorted(done, key=lambda row: abs(row["log10_ratio"]))
    kept = [row for row in deep if row["verdict"] == "survives"]
    lost = [row for row in deep if row not in kept]
    layers, units = (
        counted(deep[0]["depth"], "layer"),
        counted(deep[0]["width"], "unit"),
    )
    best = [f"{weights(row)} ({changed(row)} decades)" for row in kept]
    parts = [f"survives with {listed(best)}"] if kept else []
    if lost:
        critical = next((row for row in lost if row["recipe"] == "gaussian"), lost[0])
        theory = critical.get("log10_ratio_theory")
        wide = "" if theory is None else f", {number(theory)} in wide nets"
        parts.append(
            f"is lost with {weights(critical)} ({changed(critical)} decades{wide})"
        )
    return Headline(
        f"Through {layers} of {units} the gradient {', and '.join(parts)}.",
        f"Worst: {weights(deep[-1])}, {changed(deep[-1])} decades.",
    )


def changed(row):
    """The decades of a row, as a sentence has them."""
    value = row["log10_ratio"]
    return f"{value:+,.0f}" if abs(value) >= 100 else f"{value:+.2g}"


def weights(row):
    """A recipe in a sentence."""
    return name(row).replace(", ", " weights at ", 1)


def name(row):
    """A recipe in words; with the width, where it is not that of all."""
    return NAMES.get(row["recipe"], row["recipe"])


def tables(rows):
    """Decades by depth, what becomes of two inputs, rounding, and what it costs."""
    return [decades(rows), inputs(rows), precision(rows), costs(rows)]


def nets(rows):
    """(label, the rows by depth) of every recipe and width."""
    widths = {row["width"] for row in rows}
    found = {}
    for row in rows:
        label = f"{name(row)}, {row['width']} units" if len(widths) > 1 else name(row)
        found.setdefault(label, {})[row["depth"]] = row
    return found.items()


def decades(rows):
    depths = sorted({row["depth"] for row in rows})
    body = [
        (label, *(entry(at.get(depth)) for depth in depths)) for label, at in nets(rows)
    ]
    headers = ("net", *(f"{depth:,}" for depth in depths))
    title = "Decades that the gradient gains from the last layer to the first, by depth"
    return Table(title, headers, tuple(body))


def entry(row):
    if row is None or row["status"] != "ok":
        return Mark(row["status"] if row else "", "bad")
    survives = row["verdict"] == "survives"
    return Mark(f"{row['log10_ratio']:+,.3g}", "good" if survives else "bad")


def deepest(rows):
    """(label, its deepest measured row) of every net."""
    done = [(label, measured(at.values())) for label, at in nets(rows)]
    return [(label, of_deepest(some)[0]) for label, some in done if some]


def inputs(rows):
    body = [
        (
            label,
            with_error(row["log10_ratio"], row["log10_ratio_se"], "+,.4g"),
            number(row.get("log10_ratio_theory")),
            number(row.get("log10_ratio_product"), 6),
            correlation(row["apart"]),
            number(row.get("apart_theory")),
            lost(row),
        )
        for label, row in deepest(rows)
    ]
    headers = ("net", "decades", "wide", "product", "1 − c", "c map", "states")
    title = "The deepest nets: theory of wide nets, of Gaussian products; two inputs"
    return Table(title, headers, tuple(body))


def correlation(apart):
    """1 − c; no digits where rounding alone is left of it."""
    text = f"{apart:.2g}" if apart >= NOTHING_APART else f"< {NOTHING_APART:.0e}"
    return Mark(text, "" if apart > 0.01 else "bad")


def lost(row):
    how, at = row.get("signal_lost_how"), row.get("signal_lost_at")
    return Mark(f"{how} at {at:,}", "bad") if how else "kept"


def precision(rows):
    body = [
        (
            label,
            f"1 − {1 - row['stretch_least']:.1e}",
            f"1 + {row['stretch_most'] - 1:.1e}",
            number(row["stretch_bound"], 2),
            number(row["rounding"], 2),
        )
        for label, row in deepest(rows)
        if row.get("rounding") is not None
    ]
    headers = ("net", "least", "most", "bound", "float32 − float64")
    title = (
        "Orthogonality in float32: singular values drawn; decades at most, and found"
    )
    return Table(title, headers, tuple(body))


def costs(rows):
    by_depth = {}
    for row in rows:
        if row.get("compile_s") is not None:
            by_depth.setdefault((row["width"], row["depth"]), []).append(row)
    body = [
        (
            number(width),
            f"{depth:,}",
            spread([row["compile_s"] for row in some]),
            spread([row["compile_ratio"] for row in some]),
            spread([row["layer_us"] for row in some]),
            spread([row["layer_us"] * depth / 1e6 for row in some]),
            number(max(row["peak_mib"] or 0 for row in some) or None),
        )
        for (width, depth), some in sorted(by_depth.items())
    ]
    headers = (
        "width",
        "depth",
        "compile_s",
        f"over {OVER_DEPTH}",
        "layer_us",
        "s a net",
    )
    headers += ("peak_mib",)
    return Table("Cost: least to most over recipes", headers, tuple(body))


def spread(values):
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} – {high}"


def draw_figures(rows, profiles):
    caption = (
        "Left: decades by which the gradient's norm changes from the last layer to the "
        "first, up or down; in the band it survives (a factor of 1,000). Right: 1 − "
        "correlation of two inputs by layer of the deepest nets, down to what float32 "
        "tells from 0. Dashed: theory of infinite width, which is the same for orthogonal "
        "and Gaussian weights. Dotted: a product of Gaussian matrices of this width."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    from matplotlib.lines import Line2D

    figure = figures.new(9, 3.8)
    left, right = figure.subplots(1, 2)
    widest = max(row["width"] for row in rows)
    rows = [row for row in measured(rows) if row["width"] == widest]
    labels = [label for label, _ in nets(rows)]
    # The first, which are kept best, on top.
    for place, (_, at) in reversed(list(enumerate(nets(rows)))):
        some = sorted(at.values(), key=lambda row: row["depth"])
        _draw_decades(left, some, figures.colour(place))
    left.axhspan(left.get_ylim()[0] / 10, SURVIVES, color="#1e8449", alpha=0.08, lw=0)
    left.set_title(f"decades that the gradient changes by; {widest} units", loc="left")
    left.set_xlabel("layers of the net")
    deep = dict(nets(of_deepest(rows)))
    for label, at in reversed(deep.items()):
        (row,) = at.values()
        _draw_apart(right, profiles(row), figures.colour(labels.index(label)))
    layers = of_deepest(rows)[0]["depth"]
    right.set_title(f"1 − correlation of two inputs; {layers:,} layers", loc="left")
    right.set_xlabel("layer")
    right.set_xscale("symlog", linthresh=1)
    right.set_ylim(LEAST / 3, 10)
    left.set_xscale("log")
    for axes in (left, right):
        axes.set_yscale("log")
        axes.grid(alpha=0.25, lw=0.5)
    handles = [
        Line2D([], [], color=figures.colour(place), label=label)
        for place, label in enumerate(labels)
    ]
    where = {"loc": "outside upper center", "ncols": 3, "frameon": False}
    figure.legend(handles=handles, **where)
    return figure


def _draw_decades(axes, rows, ink):
    depths = [row["depth"] for row in rows]
    sizes = [abs(row["log10_ratio"]) for row in rows]
    sizes = [max(size, LEAST_DECADES) for size in sizes]
    axes.plot(depths, sizes, "o-", color=ink, lw=1.5, ms=3)
    for column, style in (("log10_ratio_theory", "--"), ("log10_ratio_product", ":")):
        theory = [(r["depth"], abs(r[column])) for r in rows if r.get(column)]
        if theory:
            axes.plot(*zip(*theory, strict=True), style, color=ink, lw=1)


def _draw_apart(axes, arrays, ink):
    layer = arrays["layer"]
    axes.plot(layer, np.maximum(arrays["apart"], LEAST), color=ink, lw=1.5)
    if "apart_theory" in arrays:
        axes.plot(layer, arrays["apart_theory"], "--", color=ink, lw=1)
