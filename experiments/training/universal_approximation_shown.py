"""Sentences and pictures of `universal_approximation`."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

SHOWN = 500  # points of a pictured function
ORDER = ("smooth", "absolute", "sawtooth")


def functions(rows):
    """The functions of rows, the hardest last."""
    return [name for name in ORDER if any(row["function"] == name for row in rows)]


def hardest(rows):
    """The rows that are `ok`, of the hardest function."""
    done = measured(rows)
    return [row for row in done if row["function"] == functions(done)[-1]]


def headline(rows, scoring):
    """Whether spline or net comes closer, function by function; the worst net."""
    done = measured(rows)
    wins, parts = 0, []
    for name in functions(done):
        best = scoring.best([row for row in done if row["function"] == name])
        wins += scoring.verdict(best) == "wins"
        net, spline = (scoring.write(best[key]) for key in ("score", "strong"))
        layers = f"{best['depth']} hidden layer{'s' * (best['depth'] > 1)}"
        parts.append(f"{name} {spline} against {net} ({layers})")
    count = len(parts)
    who = (
        f"The strong baseline, a spline, comes closer to {count - wins} of {count} "
        f"function{'s' * (count > 1)}"
        if wins < count
        else "The net comes closer than the spline to every function"
    )
    worst = scoring.worst(done)
    return Headline(
        f"{who}: largest error of spline against net: {', '.join(parts)}."
        f"{unfound(done, scoring)}",
        f"Worst: {scoring.name(worst)}, {scoring.write(worst['score'])}.",
    )


def unfound(rows, scoring):
    """How far training is from the net that is the sawtooth exactly, if it is."""
    teeth = [r for r in rows if r["function"] == "sawtooth" and r["depth"] == 4]
    if not teeth:
        return ""
    least = scoring.write(min(row["score"] for row in teeth))
    return (
        f" 2 units in each of 4 layers can be the sawtooth; trained nets of 4 come no "
        f"nearer than {least}."
    )


def figures_of(rows, profiles, scoring):
    """Errors by weights, and what is approximated how."""
    done = measured(rows)
    if not done:
        return []
    errors = (
        "The largest error by the number of weights, of nets of one to several hidden "
        "layers, of a spline of as many numbers (dashed) and of the best constant "
        "(dotted); 95 % intervals over seeds."
    )
    shapes = (
        "Each function (grey), a net of one hidden layer, the deepest of as many weights, "
        "and the spline of as many numbers."
    )
    return [
        Figure("figure", errors, lambda: draw_errors(done)),
        Figure("functions", shapes, lambda: draw_functions(done, profiles)),
    ]


def draw_errors(rows):
    """The figure: a panel a function."""
    names = functions(rows)
    figure = figures.new(3.4 * max(2, len(names)), 3.4)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        of = [row for row in rows if row["function"] == name]
        of = sorted(of, key=lambda row: row["weights"])
        for place, key in enumerate(dict.fromkeys(_net(row) for row in of)):
            line = [row for row in of if _net(row) == key]
            draw_line(axes, line, f"C{place}", key)
        by = {row["weights"]: row for row in of}
        for column, style in (("strong", "--"), ("trivial", ":")):
            label = {"strong": "spline", "trivial": "constant"}[column]
            level = [max(row[column], 1e-6) for row in by.values()]
            axes.plot(
                list(by), level, style, marker="s", ms=3, color="black", label=label
            )
        axes.set(xscale="log", yscale="log", xlabel="weights")
        axes.set_xticks(list(by), [str(n) for n in by])
        axes.minorticks_off()
        axes.set_title(f"largest error: {name}", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
    panels[0].legend(fontsize=6, frameon=False)
    return figure


def _net(row):
    words = {"mlp": "", "residual_mlp": " residual"}[row["architecture"]]
    return f"{row['depth']} hidden, {row['activation']}{words}"


def draw_line(axes, rows, ink, label):
    """A net's errors by weights, with their intervals."""
    at, level = [r["weights"] for r in rows], [r["score"] for r in rows]
    low = [max(r["score_low"] or r["score"], r["score"] / 5) for r in rows]
    high = [r["score_high"] or r["score"] for r in rows]
    axes.plot(at, level, "o-", ms=3, color=ink, label=label)
    axes.fill_between(at, low, high, color=ink, alpha=0.15, lw=0)


def draw_functions(rows, profiles):
    """The figure: a panel a function and number of weights, the least and the next."""
    names = functions(rows)
    weights = sorted({row["weights"] for row in rows})[:2]
    figure = figures.new(3.4 * max(2, len(names)), 2.3 * len(weights))
    panels = figure.subplots(len(weights), len(names), squeeze=False)
    for line, count in enumerate(weights):
        for column, name in enumerate(names):
            of = [r for r in rows if (r["function"], r["weights"]) == (name, count)]
            of = [r for r in of if r["architecture"] == "mlp"]
            of = sorted(of, key=lambda row: row["depth"])
            axes = panels[line][column]
            if of:
                draw_function(axes, of, profiles)
            axes.set_title(f"{name}, {count} weights", loc="left")
    lines, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def draw_function(axes, rows, profiles):
    """One function, the first and the last of the nets, the spline."""
    kept = profiles(rows[0])
    axes.plot(kept["x"], kept["y"], color="#bbbbbb", lw=3.5, label="function")
    axes.plot(kept["x"], kept["spline"], "k--", lw=0.9, label="spline")
    for place, row in enumerate(dict.fromkeys((0, len(rows) - 1))):
        net = profiles(rows[row])["net"]
        label = f"{rows[row]['depth']} hidden"
        axes.plot(kept["x"], np.asarray(net), color=f"C{place}", lw=1.1, label=label)
    low, high = float(np.min(kept["y"])), float(np.max(kept["y"]))
    axes.set_ylim(low - 0.3 * (high - low), high + 0.3 * (high - low))
