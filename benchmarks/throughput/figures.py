"""How throughput is drawn: cost against depth, and the roofline."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from depthbench.benchmarks.throughput.show import done, label, lines, rank
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Profiles, Row


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Cost against depth, and the roofline."""
    if not done(rows):
        return []
    cost = (
        "Time (of the costliest mode) and a gradient's scratch memory against depth. "
        "Dashed: with √depth states kept. Grey: growth as depth and as √depth."
    )
    roof = (
        "Each point a row: operations a second of its matrix products, against "
        "operations for each byte that has to move. Lines: the machine's best matrix "
        "products and copies, measured in the same run; no row can be above them "
        "unless what it moves fits in a cache."
    )
    return [
        Figure("figure", cost, functools.partial(_draw_costs, done(rows))),
        Figure("roofline", roof, functools.partial(_draw_roofline, done(rows))),
    ]


def _colours(rows: Sequence[Row]) -> dict[str, Any]:
    import matplotlib

    names = dict.fromkeys(label(row, rows) for row in rows)
    palette = matplotlib.color_sequences["tab10"]
    return {name: palette[n % len(palette)] for n, name in enumerate(names)}


def _draw_costs(rows: Sequence[Row]):
    figure = figures.new(8.2, 3.8)
    time, memory = figure.subplots(1, 2)
    colours, costliest = _colours(rows), max((r["mode"] for r in rows), key=rank)
    for line in lines(rows):
        name, depths = label(line[0], rows), [row["depth"] for row in line]
        dash = "-" if line[0]["loop"] != "remat" else (0, (3, 2))
        style = {"color": colours[name], "ls": dash, "marker": "o", "ms": 3, "lw": 1.3}
        if dash != "-" and len(line) == 1:  # no line shows that it is dashed
            style["mfc"] = "white"
        if line[0]["mode"] == costliest:
            legend = name if line[0]["loop"] != "remat" else None
            time.plot(depths, [row["step_ms"] for row in line], label=legend, **style)
            low = [row["step_ms_low"] for row in line]
            high = [row["step_ms_high"] for row in line]
            time.fill_between(depths, low, high, color=colours[name], alpha=0.2, lw=0)
        if line[0]["mode"] == "gradient" and line[0]["scratch_gib"] is not None:
            scratch = [1024 * row["scratch_gib"] for row in line]
            memory.plot(depths, scratch, **style)
    for axes, words in ((time, f"ms: {costliest}"), (memory, "MiB: gradient")):
        axes.set(xscale="log", yscale="log", xlabel="depth", ylabel=words)
        _whole_decades(axes)
        _slopes(axes)
        depths = sorted({row["depth"] for row in rows})
        axes.set_xticks(depths, [str(depth) for depth in depths], rotation=45)
        axes.minorticks_off()
        axes.grid(alpha=0.25, lw=0.5)
    time.set_title("Time of a call", loc="left")
    memory.set_title("Scratch memory of a gradient", loc="left")
    time.plot([], [], color="#555555", ls=(0, (3, 2)), label="√depth states kept")
    figure.legend(loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def _whole_decades(axes) -> None:
    """Widens the vertical axis to powers of ten, so that some are on it."""
    low, high = (math.log10(end) for end in axes.get_ylim())
    axes.set_ylim(10 ** math.floor(low), 10 ** math.ceil(high))


def _slopes(axes) -> None:
    """Grey lines that grow as depth and as √depth, from the lower left corner."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    for exponent, text in ((1.0, "depth"), (0.5, "√depth")):
        end = low * (right / left) ** exponent
        axes.plot((left, right), (low, end), color="#aaaaaa", lw=0.8, zorder=0)
        word = {"fontsize": 6.5, "color": "#777777", "ha": "right", "va": "bottom"}
        axes.annotate(text, (right, end), **word)
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)


MARKERS = {"inference": "o", "gradient": "^", "step": "s"}


def _draw_roofline(rows: Sequence[Row]):
    dtypes = list(dict.fromkeys(row["dtype"] for row in rows))
    figure = figures.new(max(5.6, 3.6 * len(dtypes)), 3.8)
    panels = figure.subplots(1, len(dtypes), squeeze=False)[0]
    colours = _colours(rows)
    for axes, dtype in zip(panels, dtypes, strict=True):
        dtype_rows = [row for row in rows if row["dtype"] == dtype]
        product = max(row["product_gflops"] for row in dtype_rows)
        copy = max(row["copy_gib_s"] for row in dtype_rows) * 2**30 / 1e9
        intensities = [product / copy / 4, *(row["intensity"] for row in dtype_rows)]
        low = 10 ** math.floor(math.log10(min(intensities)))
        high = 10 ** math.ceil(math.log10(max(intensities)))
        ends = [low, product / copy, high]
        roof = [copy * low, product, product]
        axes.plot(ends, roof, color="black", lw=1.2)
        text = f"products: {product:.3g} GFLOP/s; copies: {copy:.3g} GB/s"
        axes.set_title(f"{dtype} ({text})", loc="left", fontsize=8)
        for row in dtype_rows:
            filled = row["loop"] != "remat"
            colour = colours[label(row, rows)]
            axes.plot(
                row["intensity"],
                row["gflops"],
                MARKERS[row["mode"]],
                ms=2.5 + row["depth"] ** 0.25,
                mec=colour,
                mfc=colour if filled else "none",
                mew=0.8,
                alpha=0.8,
            )
        axes.set(xscale="log", yscale="log", xlabel="operations a byte")
        _whole_decades(axes)
        axes.grid(alpha=0.25, lw=0.5)
    panels[0].set_ylabel("GFLOP/s")
    _legend(figure, colours)
    return figure


def _legend(figure, colours: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D

    plain = {"color": "none", "ms": 4}
    handles = [
        Line2D([], [], marker="o", mfc=colour, mec=colour, label=name, **plain)
        for name, colour in colours.items()
    ]
    handles += [
        Line2D([], [], marker=marker, mfc="#555555", mec="#555555", label=mode, **plain)
        for mode, marker in MARKERS.items()
    ]
    open_ = {"marker": "o", "mfc": "none", "mec": "#555555"}
    handles.append(Line2D([], [], label="√depth states kept", **open_, **plain))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, fontsize=7, frameon=False
    )
