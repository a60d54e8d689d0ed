"""Pictures of patches: how many images they turn by depth, and images with them on."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

TURNED, CHANGED, NOT = "#c62828", "#8a5a00", "#1a7f37"


def figures(scoring, rows, profiles):
    """Success by size and depth; and patched images with what they are read as."""
    by_depth = "Third: the same by depth, a line for each size."
    patched = (
        "The largest patch of each net, the best piece of a real image of its target, and "
        "the first test images with the patch at a random place: what they were read as "
        "and are now. Red: the target; brown: something else than before."
    )
    return [
        scoring.figure(rows, by_depth, draw_by_depth(rows)),
        Figure("patched", patched, lambda: draw_patched(rows, profiles)),
    ]


def draw_by_depth(rows):
    """Draws success by depth, of nets without skips, a line for each size."""

    def draw(figure, axes):
        plain = [row for row in measured(rows) if row["architecture"] == "mlp"]
        for place, side in enumerate(sorted({row["side"] for row in plain})):
            line = sorted(
                (row["depth"], row["score"]) for row in plain if row["side"] == side
            )
            depths, success = zip(*line, strict=True)
            label = f"{counted(side, 'pixel')} a side"
            axes.plot(
                depths, success, "o-", ms=3, lw=1.3, color=f"C{place}", label=label
            )
        axes.set_xscale("log", base=2)
        places = sorted({row["depth"] for row in plain})
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.set_ylim(0, 1)
        axes.set_xlabel("depth, without skips")
        axes.set_title("share read as the target", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=6, frameon=False)

    return draw


def draw_patched(rows, profiles):
    """A line for each net: its largest patch, a piece of a real image, patched images."""
    done = measured(rows)
    largest = max(row["side"] for row in done)
    done = [row for row in done if row["side"] == largest]
    arrays = [profiles(row) for row in done]
    count = arrays[0]["images"].shape[1]
    figure = drawing.new(0.8 * (count + 3.4), 0.78 * len(done) + 0.3)
    panels = figure.subplots(len(done), count + 2, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for line, (row, held) in enumerate(zip(done, arrays, strict=True)):
        low, high = held["images"][0].min(), held["images"][0].max()
        target = int(held["target"])
        image = _on(low, high, held["images"].shape[2])
        skips = "residual " if row["architecture"] == "residual_mlp" else ""
        panels[line, 0].text(
            -0.1,
            0.5,
            f"{skips}{counted(row['depth'], 'layer')}\n{row['score']:.0%} turned",
            transform=panels[line, 0].transAxes,
            ha="right",
            va="center",
            fontsize=6.5,
        )
        image(panels[line, 0], held["patch"], f"says {target}", "black")
        image(panels[line, 1], held["piece"], f"of a {target}", "black")
        for n in range(count):
            was, now = held["readings"][:, n]
            colour = TURNED if now == target else NOT if now == was else CHANGED
            image(panels[line, n + 2], held["images"][1, n], f"{was} → {now}", colour)
    return figure


def _on(low, high, side):
    """Draws an image at its size beside others, in grey of one scale."""

    def image(axes, picture, title, colour):
        axes.imshow(
            np.clip(picture[..., 0], low, high), cmap="gray", vmin=low, vmax=high
        )
        room = (side - len(picture)) / 2
        axes.set_xlim(-0.5 - room, len(picture) - 0.5 + room)
        axes.set_ylim(len(picture) - 0.5 + room, -0.5 - room)
        axes.set_title(title, color=colour, fontsize=6.5, pad=2)

    return image
