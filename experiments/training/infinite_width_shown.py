"""What is said and drawn of infinitely wide nets, beside trained ones."""

from depthbench.experiments.line_names import words
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np


def headline(scoring, rows, alone):
    """The process beside the SVM; and the worst of the trained nets beside the process.

    alone: the process's rows, of which the best is the worst as well where all are alike.
    """
    told = scoring.headline(alone)
    trained = [row for row in measured(rows) if row["net"] is not None]
    if not trained:
        return told
    worst = min(trained, key=lambda row: row["net"])
    net = f"trained {words(worst['activation'])} net of {counted(worst['depth'], 'layer')}"
    return told._replace(
        worst=f"Worst: {worst['net']:.3f} ({net} of {counted(worst['width'], 'unit')}), "
        f"where the infinitely wide net has {scoring.write(worst['score'])}; "
        f"{scoring.trivial}: {scoring.write(worst['trivial'])}."
    )


def summary(scoring, alone):
    """The process's line in the table of systems: no gradient and no step are its own."""
    return scoring.summary(alone)._replace(first_gradient=None, step_mflop=None)


def draw_widths(rows):
    """Draws the trained nets' accuracy by width, and the process's beside it, dashed."""

    def draw(figure, axes):
        lines = {}
        for row in sorted(measured(rows), key=lambda row: row["width"]):
            lines.setdefault((row["activation"], row["depth"]), []).append(row)
        depths = sorted({depth for _, depth in lines})
        first = next(iter(lines))[0]
        for (activation, depth), group in lines.items():
            colour = figures.colour(depths.index(depth))
            at, right = zip(*((r["width"], r["net"]) for r in group), strict=True)
            mark = "o-" if activation == first else "s--"
            label = f"{activation}, {counted(depth, 'layer')}"
            axes.plot([*at], [*right], mark, ms=3, lw=1.2, color=colour, label=label)
            wide = 2 * max(at)
            axes.plot(wide, group[0]["score"], mark[0], ms=5, color=colour)
        axes.set_xscale("log", base=2)
        ticks = sorted({row["width"] for row in measured(rows)})
        axes.set_xticks([*ticks, 2 * ticks[-1]], [*map(str, ticks), "∞"])
        axes.minorticks_off()
        axes.set_xlabel("units")
        axes.set_title("trained nets by width; ∞: the process", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=6, frameon=False)

    return draw


def draw_variances(rows, profiles, grid):
    """Draws the process's accuracy over both variances: a panel for a kernel."""
    weights, biases = grid
    chosen = measured(rows)
    kinds = list(dict.fromkeys(row["activation"] for row in chosen))
    depths = sorted({row["depth"] for row in chosen})
    figure = figures.new(1.9 * len(depths) + 1, 1.9 * len(kinds) + 0.5)
    panels = figure.subplots(len(kinds), len(depths), squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for row in chosen:
        axes = panels[kinds.index(row["activation"]), depths.index(row["depth"])]
        axes.set_axis_on()
        tried = profiles(row)["tried"].T
        axes.imshow(
            tried, vmin=0, vmax=1, cmap="viridis", origin="lower", aspect="auto"
        )
        for (b, w), accuracy in np.ndenumerate(tried):
            ink = "black" if accuracy > 0.6 else "white"
            text = f"{accuracy:.2f}"
            axes.text(w, b, text, ha="center", va="center", fontsize=6, color=ink)
        axes.set_xticks(range(len(weights)), [f"{w:g}" for w in weights])
        axes.set_yticks(range(len(biases)), [f"{b:g}" for b in biases])
        axes.set_title(
            f"{row['activation']}, {counted(row['depth'], 'layer')}", loc="left"
        )
        axes.tick_params(length=0)
    for axes in panels[-1]:
        axes.set_xlabel("σ_w²")
    for axes in panels[:, 0]:
        axes.set_ylabel("σ_b²")
    return figure


def figures_of(scoring, rows, alone, profiles, grid):
    return [
        scoring.figure(
            alone,
            "The gradient is that of the widest trained net. Third: accuracy of trained "
            "nets by width, and the infinitely wide net's at ∞.",
            draw_widths(rows),
        ),
        Figure(
            "variances",
            "Held-out accuracy of the infinitely wide net by the variances of its weights "
            "and biases, at the best noise: the deeper, the fewer kernels still tell "
            "inputs apart.",
            lambda: draw_variances(alone, profiles, grid),
        ),
    ]
