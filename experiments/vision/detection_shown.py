"""Pictures of detection: scenes with boxes, and what boxes are wrong about."""

from depthbench.experiments.vision.panels import bare
from depthbench.research.datasets import scenes
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured


def draw_scenes(row, profiles):
    """The first scenes with the truth, and what the best net, blobs and windows found."""
    kept = profiles(row)
    side = kept["x"].shape[1]
    named = {
        "true": "what is there",
        "net": "net",
        "blobs": "blobs",
        "windows": "windows",
    }
    lines = [(name, words) for name, words in named.items() if name in kept]
    figure = drawing.new(1.5 * len(kept["x"]) + 0.6, 1.7 * len(lines))
    panels = figure.subplots(len(lines), len(kept["x"]), squeeze=False)
    for line, (name, words) in zip(panels, lines, strict=True):
        for scene, axes in enumerate(line):
            axes.imshow(kept["x"][scene], interpolation="nearest")
            boxes = kept[name][kept[name][:, 0] == scene]
            for _, kind, *box in boxes:
                _draw_box(axes, box, scenes.SHAPES[int(kind)])
            axes.set_xlim(-3, side + 2)
            axes.set_ylim(side + 2, -4)
            bare(axes)
        line[0].set_ylabel(words)
    return figure


def _draw_box(axes, box, name):
    from matplotlib.patches import Rectangle

    left, top, right, bottom = (float(end) - 0.5 for end in box)
    size = right - left, bottom - top
    for colour, width in (("black", 2.6), ("white", 1.2)):  # seen on any ground
        axes.add_patch(
            Rectangle((left, top), *size, fill=False, edgecolor=colour, lw=width)
        )
    style = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axes.text(
        left, top - 0.4, name, fontsize=5.5, va="bottom", bbox=style, clip_on=True
    )


def draw_mistakes(rows):
    """Draws how many boxes are misplaced, and where no object is, by depth."""

    def draw(figure, axes):
        done = [
            row for row in measured(rows) if row["architecture"] == "detector_residual"
        ] or measured(rows)
        done = sorted(done, key=lambda row: row["depth"])
        for place, (name, words) in enumerate(
            (("misplaced", "misplaced"), ("ground", "no object there"))
        ):
            at, share = zip(*((row["depth"], row[name]) for row in done), strict=True)
            how = {"ms": 3, "color": f"C{place + 2}", "label": f"{words}, of nets"}
            axes.plot(at, share, "o-", **how)
            level = done[0].get(f"windows_{name}")
            if level is not None:
                label = f"{words}, of windows"
                how = {"color": f"C{place + 2}", "ls": "--", "lw": 1, "label": label}
                axes.axhline(level, **how)
        axes.set_xscale("log", base=2)
        axes.set_xticks(at, [f"{depth:g}" for depth in at])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("depth, with skips")
        axes.set_title("share of wrong boxes", loc="left")
        drawing.legend_below(axes)
        axes.grid(alpha=0.25, lw=0.5)

    return draw


def figures(scoring, rows, profiles):
    """Score by depth with what is wrong, and scenes with boxes."""
    caption = (
        "Third: of the surest boxes, as many as there are objects, those that are of the "
        "right kind but misplaced, and those that show no object; dashed of windows."
    )
    best = scoring.best(measured(rows))
    found = (
        "The first scenes that were judged: what is there, what the net that was best in "
        "choosing, blobs and sliding windows found; each shows its "
        "surest boxes, as many in all scenes together as there are objects."
    )
    return [
        scoring.figure(rows, caption, draw_mistakes(rows)),
        Figure("scenes", found, lambda: draw_scenes(best, profiles)),
    ]
