"""The pictures of nets in integers: what they lose, and where rounding adds up."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

DASHES = {"mlp": "-", "residual_mlp_scaled": "--"}


def draw_lost(rows, profiles):
    """Draws the errors of int8's states in the deepest net of each kind."""

    def draw(figure, axes):
        draw_errors(axes, [row for row in rows if row["scales"] == "per_channel"])
        axes.set_title("relative error of the last state", loc="left")

    return draw


def draw_errors(axes, rows):
    """Draws the last state's error by depth: a colour for bits, dashes for skips."""
    lines = {}
    for row in sorted(measured(rows), key=lambda row: row["depth"]):
        lines.setdefault((row["bits"], row["architecture"]), []).append(row)
    order = sorted({bits for bits, _ in lines}, reverse=True)
    for (bits, architecture), group in lines.items():
        axes.plot(
            [row["depth"] for row in group],
            [max(row["last_error"], 1e-12) for row in group],
            ls=DASHES.get(architecture, "-"),
            color=figures.colour(order.index(bits)),
            marker="o",
            ms=3,
            lw=1.3,
            label=f"{bits} bits, {architecture}",
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("depth")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6, frameon=False)


def draw_layers(rows, profiles):
    """Draws the error of every state on its way through the nets: a panel for bits."""
    chosen = [row for row in measured(rows) if row["scales"] == "per_channel"]
    chosen = chosen or measured(rows)
    bits = sorted({row["bits"] for row in chosen}, reverse=True)
    depths = sorted({row["depth"] for row in chosen})
    figure = figures.new(max(3.2 * len(bits), 4.5), 3.2)
    panels = figure.subplots(1, len(bits), squeeze=False, sharey=True)[0]
    for axes, count in zip(panels, bits, strict=True):
        for row in chosen:
            if row["bits"] == count:
                error = np.maximum(profiles(row)["error"], 1e-12)
                name = row["architecture"].removesuffix("_scaled")
                axes.plot(
                    np.arange(len(error)) + 1,
                    error,
                    DASHES.get(row["architecture"], "-"),
                    color=figures.colour(depths.index(row["depth"])),
                    lw=1.3,
                    marker="o" if len(error) < 3 else "",
                    ms=3,
                    label=f"{name}, {counted(row['depth'], 'layer')}",
                )
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.axhline(1, color="black", lw=0.8, ls=":")
        axes.set_title(f"{count} bits", loc="left")
        axes.set_xlabel("state, from the first layer's")
        axes.grid(alpha=0.25, lw=0.5)
    panels[0].set_ylabel("relative error")
    panels[-1].legend(fontsize=6, frameon=False)
    return figure


def figures_of(scoring, rows, profiles):
    some = [row for row in rows if row["scales"] == "per_channel"] or rows
    caption = (
        "Third: how far the last hidden state is from what it is in float32, relative to "
        "its size. Weights have a scale for each channel."
    )
    return [
        Figure(
            "layers",
            "Relative error of every hidden state on its way through nets in integers, "
            "each with a scale for each channel; at 1 (dotted) nothing is left of it.",
            lambda: draw_layers(rows, profiles),
        ),
        scoring.figure(some, caption, draw_lost(rows, profiles)),
    ]
