"""How max_trainable_depth is shown: does it train, does its gradient survive, its cost."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from depthbench.benchmarks import kept_by_dtype
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline, Profiles, Row
from depthbench.research.study.headlines import counted, listed, measured, out_of
from depthbench.research.study.tables import Mark, Table, number

NAMED = (
    *("activation", "initializer", "optimizer", "width", "steps", "batch", "rates"),
    "dtype",
)


def headline(rows: Sequence[Row]) -> Headline:
    """Which kinds of net train to the deepest tried, and how far the others get."""
    done = measured(rows)
    cap = counted(max(row["cap"] for row in done), "layer")
    best = [row for row in done if row["capped"]]
    rest = [row["max_depth"] for row in done if not row["capped"]]
    beyond = [row for row in done if row["max_depth"] > row["gradient_depth"]]
    parts = [f"{out_of(len(best), len(done), 'nets')} can be trained with {cap}"]
    if best:
        counts = {kind: len(nets) for kind, nets in groups(best).items()}
        kinds = [
            f"{out_of(n, len(groups(done)[k]))} {_kind(k)}" for k, n in counts.items()
        ]
        parts[0] += f", the deepest tried ({listed(kinds)})"
    if rest:
        low, high = min(rest), max(rest)
        span = f"between {low} and {high}" if low < high else f"at {low}"
        parts.append(f"the others end {span}")
    deeper = out_of(len(beyond), len(done))
    parts.append(f"{deeper} can be trained deeper than the gradient survives")
    worst = min(done, key=lambda row: row["max_depth"])
    depth = counted(worst["max_depth"], "layer") if worst["max_depth"] else "no layer"
    return Headline(
        f"{'; '.join(parts)}.",
        f"Worst: {_whole(worst, rows)} is trained with {depth} at most; its gradient "
        f"survives {worst['gradient_depth']}.",
    )


def _whole(row: Row, rows: Sequence[Row]) -> str:
    """A net by its kind and what it differs in from others of the kind."""
    return f"{_kind(next(iter(groups([row]))))} {name(row, rows)}"


def tables(rows: Sequence[Row]) -> list[Table]:
    """Worst and best of each kind of net, every net, and which of the two goes first."""
    if not rows:
        return []
    at_cap = [{**row, "depth": row["cap"]} for row in rows]
    kept = kept_by_dtype.tables(at_cap)
    return [_extremes(rows), _joined(rows), *kept, _agreement(rows)]


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by architecture and normaliser."""
    grouped: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["normalizer"] != "none"):
        norm = "" if row["normalizer"] == "none" else f" + {row['normalizer']}"
        grouped.setdefault(f"{row['architecture']}{norm}", []).append(row)
    return dict(sorted(grouped.items(), key=lambda one: rows.index(one[1][0])))


def _kind(group: str) -> str:
    """A group in words: "mlp + batch norm"."""
    return f"{group} norm" if " + " in group else group


def name(row: Row, rows: Sequence[Row]) -> str:
    """What a row's net differs in from the others of all groups."""
    shown = [n for n in NAMED if len({r.get(n) for r in rows}) > 1]
    return " ".join(str(row[n]) for n in shown or ("activation",))


def _extremes(rows: Sequence[Row]) -> Table:
    """For each kind of net the worst and the best depth, of its gradient and trained."""
    body = []
    for group, members in groups(rows).items():
        measured = [row for row in members if row["status"] == "ok"]
        if measured:
            depths = ("gradient_depth", "max_depth")
            columns = [_worst_and_best(measured, depth, rows) for depth in depths]
            body.append((_kind(group), number(len(measured)), *columns[0], *columns[1]))
    first = rows[0]
    title = (
        "Through how many layers the gradient survives (within a factor of 1,000), and "
        f"with how many the net trains ({first['target']:.0%} of {first['dataset']} in "
        f"{first['steps']} steps): the worst and the best of each kind of net"
    )
    headers = (
        "kind of net",
        "nets",
        "survives: worst",
        "best",
        "trains: worst",
        "best",
    )
    return Table(title, headers, tuple(body))


def _worst_and_best(
    measured: Sequence[Row], depth: str, rows: Sequence[Row]
) -> tuple[Mark, Mark]:
    """The lowest and the highest depth of some nets, with the nets that have it."""

    def mark(extreme: int) -> Mark:
        names = [name(row, rows) for row in measured if row[depth] == extreme]
        which = "all" if len(names) == len(measured) else names[0]
        if 1 < len(names) < len(measured):
            which += f" and {len(names) - 1} more"
        shown = _reaches(measured[0], extreme)
        return shown._replace(text=f"{shown.text} ({which})")

    values = [row[depth] for row in measured]
    return mark(min(values)), mark(max(values))


def _joined(rows: Sequence[Row]) -> Table:
    body = []
    for group, group_rows in groups(rows).items():
        body.append((f"{_kind(group)}:", *[""] * 9))
        body += [_line(name(row, rows), row) for row in group_rows]
    first = rows[0]
    title = (
        f"Deepest net that trains ({first['target']:.0%} of {first['dataset']} in "
        f"{first['steps']} steps), that theory allows, and whose gradient survives; for "
        "the net that trains, decades per layer of its gradient at initialisation and "
        f"the cost of a step; what the gradient does through {first['cap']} layers"
    )
    headers = (
        *("net", "trains", "theory", "survives", "/layer", f"at {first['cap']}"),
        *("step ms", "MFLOP", "MiB", "compile s"),
    )
    return Table(title, headers, tuple(body))


def _line(net: str, row: Row) -> tuple:
    if row["status"] != "ok":
        return (net, *"----", Mark(row["status"].replace("_", " "), "dim"), *"----")
    return (
        net,
        _trains_to(row),
        _theory(row),
        _reaches(row, row["gradient_depth"]),
        _signed(row["log10_slope"]),
        _verdict(row),
        number(row["step_ms"], 2),
        number(row["step_mflop"]),
        number(row["peak_mib"], 2),
        number(row["compile_s"], 2),
    )


def _verdict(row: Row) -> Mark:
    """The gradient at the deepest that is tried; yellow if it survives in vain."""
    survives = row["gradient_at_cap"] == "survives"
    tone = "good" if survives and row["capped"] else "warning" if survives else "bad"
    return Mark(str(row["gradient_at_cap"]), tone)


def _trains_to(row: Row) -> Mark:
    depth = row["max_depth"]
    if row["capped"]:
        return Mark(f"≥ {depth}", "good")
    tone = "bad" if depth <= row["cap"] ** 0.5 else "warning"
    return Mark(str(depth) if depth else "never", tone)


def _reaches(row: Row, depth: int) -> Mark:
    if depth >= row["cap"]:
        return Mark(f"≥ {depth}", "good")
    return Mark(str(depth), "bad" if depth <= row["cap"] ** 0.5 else "warning")


def _theory(row: Row) -> str:
    depth = row.get("theory_depth")
    if depth is None:
        return "-"
    return "∞" if depth in ("inf", math.inf) else f"{depth:.3g}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _agreement(rows: Sequence[Row]) -> Table:
    """At each net's own deepest trainable depth and beyond: which goes first?"""
    good = [row for row in rows if row["status"] == "ok"]
    body = []
    for architecture in dict.fromkeys(row["architecture"] for row in good):
        nets = [row for row in good if row["architecture"] == architecture]
        outlives = sum(row["max_depth"] > 1.5 * row["gradient_depth"] for row in nets)
        falls_short = sum(
            1.5 * row["max_depth"] < row["gradient_depth"] for row in nets
        )
        within = sum(_theory_holds(row) for row in nets)
        having = sum(row.get("theory_depth") is not None for row in nets)
        body.append(
            (
                architecture,
                number(len(nets)),
                f"{len(nets) - outlives - falls_short}",
                Mark(str(outlives), "warning" if outlives else "dim"),
                Mark(str(falls_short), "warning" if falls_short else "dim"),
                f"{within} of {having}" if having else "-",
            )
        )
    headers = (
        *("architecture", "nets", "as deep as it survives"),
        *("deeper", "less deep", "within theory"),
    )
    title = "Does a net train as deep as its gradient survives? (to a factor of 1.5)"
    return Table(title, headers, tuple(body))


def _theory_holds(row: Row) -> bool:
    depth = row.get("theory_depth")
    if depth is None:
        return False
    return depth in ("inf", math.inf) or row["max_depth"] <= 1.5 * depth


COLOURS = {"survives": "#2a7f62", "vanishes": "#c0392b", "explodes": "#2c5f9e"}
OTHER = "#999999"
BEYOND = 16  # times the deepest tried


def draw_figures(rows: Sequence[Row], profiles: Profiles) -> list[Figure]:
    """Bars of the deepest that trains, with theory's and the gradient's; and the cost."""
    shown = [row for row in rows if row["status"] == "ok"]
    if not shown:
        return []
    caption = (
        "Bars: the deepest net that trains; colour: what the fresh gradient does at that "
        "depth (within a factor of 1,000 it survives). Diamonds: the depth that theory "
        "allows, an arrow where it has no limit, none where there is no theory; circles: "
        "the depth to which the gradient survives, up to the deepest tried. Right: "
        "milliseconds of a step at the bar's depth."
    )
    return [Figure("figure", caption, functools.partial(_draw, shown))]


def _draw(rows: Sequence[Row]):
    grouped = groups(rows)
    figure = figures.new(8.2, 1.5 + 0.2 * (len(rows) + len(grouped)))
    bars, cost = figure.subplots(1, 2, sharey=True, width_ratios=(3.4, 1))
    places, ticks, place = [], [], 0.0
    far, edge = _far(rows), _edge(rows)
    for group, group_rows in grouped.items():
        kind = _kind(group)
        bars.text(0.72, place, kind, fontweight="bold", va="center", fontsize=8)
        place += 1.0
        for row in group_rows:
            _bar(bars, place, row, far, edge)
            cost.plot(row["step_ms"], place, "o", color="#444444", ms=3.5)
            places.append(place)
            ticks.append(name(row, rows))
            place += 1.0
    cap = max(row["cap"] for row in rows)
    bars.axvline(cap, color="#888888", lw=0.8, ls=(0, (2, 2)))
    box = {"facecolor": "white", "lw": 0, "pad": 1}
    said = {"fontsize": 6.5, "ha": "center", "color": "#666666", "bbox": box}
    bars.text(cap, -0.9, "deepest tried", **said)
    bars.set(xscale="log", xlim=(0.7, edge * 1.25), xlabel="depth (layers)")
    bars.set_xticks(*_powers(cap))
    bars.minorticks_off()
    bars.set_yticks(places, ticks)
    bars.tick_params("y", length=0)
    bars.set_ylim(place - 0.3, -1.3)
    times = [math.log10(row["step_ms"]) for row in rows]
    low, high = math.floor(min(times)), math.ceil(max(times))
    cost.set(xscale="log", xlabel="ms a step", xlim=(10**low, 10 ** max(high, low + 1)))
    cost.minorticks_off()
    cost.tick_params("y", length=0)
    for axes in (bars, cost):
        axes.grid(axis="x", alpha=0.25, lw=0.5)
        axes.set_axisbelow(True)
    _legend(bars, rows)
    return figure


def _powers(cap: int) -> tuple[list[int], list[str]]:
    values = [2**k for k in range(int(math.log2(cap)) + 1)]
    return values, [str(value) for value in values]


def _allowed(row: Row) -> float | None:
    """The depth that theory allows: infinite where it has no limit, None without theory."""
    depth = row.get("theory_depth")
    return None if depth is None else float(depth)


def _far(rows: Sequence[Row]) -> float:
    """The deepest that theory's diamonds are drawn at: what allows more has an arrow."""
    return BEYOND * max(row["cap"] for row in rows)


def _edge(rows: Sequence[Row]) -> float:
    """Where the arrows are: right of the deepest tried and of all diamonds."""
    far = _far(rows)
    diamonds = [depth for row in rows if (depth := _allowed(row)) and depth <= far]
    return 1.7 * max([row["cap"] for row in rows] + diamonds)


def _bar(axes, place: float, row: Row, far: float, edge: float) -> None:
    depth = max(row["max_depth"], 0.8)
    colour = COLOURS.get(str(row["gradient"]), OTHER)
    axes.barh(place, depth - 0.7, 0.62, left=0.7, color=colour, alpha=0.85, lw=0)
    text = f"≥ {depth}" if row["capped"] else str(row["max_depth"])
    inside = depth >= 4
    side = {"ha": "right", "color": "white"} if inside else {"color": "#333333"}
    where = depth * (0.95 if inside else 1.1)
    axes.text(where, place, text, va="center", fontsize=6.5, zorder=5, **side)
    ring = {"mfc": "white", "mec": "black", "mew": 0.8, "zorder": 3}
    survives = max(row["gradient_depth"], 0.8)
    axes.plot(survives, place, "o", ms=4, clip_on=False, **ring)
    theory = _allowed(row)
    if theory is not None and theory > far:
        axes.plot(edge, place, ">", ms=4.5, color="black", clip_on=False)
    elif theory is not None:
        axes.plot(max(theory, 0.8), place, "D", ms=4, color="black", zorder=4)


def _legend(axes, rows: Sequence[Row]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    fates = dict.fromkeys(str(row["gradient"]) for row in rows)
    handles: list[Any] = [
        Patch(
            color=COLOURS.get(fate, OTHER),
            alpha=0.85,
            label=f"deepest net that trains (its gradient {fate})",
        )
        for fate in fates
    ]
    allowed = [depth for row in rows if (depth := _allowed(row)) is not None]
    far = _far(rows)
    beyond = [depth for depth in allowed if depth > far]
    marks = [("o", "white", "gradient survives to")]
    if len(beyond) < len(allowed):
        marks.append(("D", "black", "theory allows"))
    if beyond:
        more = "" if all(map(math.isinf, beyond)) else f", or beyond {far:g}"
        marks.append((">", "black", f"theory: no limit{more}"))
    handles += [
        Line2D([], [], marker=m, color="none", mfc=c, mec="black", ms=4, label=label)
        for m, c, label in marks
    ]
    columns = min(4, len(handles))
    axes.figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=columns,
        fontsize=7,
        frameon=False,
    )
