"""Pictures of segmentation: scenes with masks, and the overlap of each class."""

from depthbench.experiments.vision.panels import bare, best_of_each
from depthbench.research.datasets.scenes import SHAPES
from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure

with lazily():
    import numpy as np

NETS = ("unet", "unet_plain")
RIVALS = ("blobs", "forest")
NAMES = ("ground", *SHAPES)


def draw_masks(scoring, rows, profiles):
    """The first scenes, and the class of each pixel: true, of nets, of the rivals."""
    from matplotlib.colors import ListedColormap

    colours = ListedColormap(["#eeeeee", "#4477aa", "#ddaa33", "#bb5566"])
    best = best_of_each(scoring, rows, NETS)
    kept = {name: profiles(row) for name, row in best.items()}
    first = next(iter(kept.values()))
    lines = [("scene", first["x"]), ("true", first["true"])]
    for name, arrays in kept.items():
        words = "U-Net" if name == NETS[0] else "no skips"
        lines.append((f"{words}\n({best[name]['depth']})", arrays["net"]))
    lines += [(name, first[name]) for name in RIVALS if name in first]
    figure = drawing.new(1.25 * len(first["x"]) + 0.7, 1.25 * len(lines) + 0.4)
    panels = figure.subplots(len(lines), len(first["x"]), squeeze=False)
    for row, (words, pictures) in zip(panels, lines, strict=True):
        for axes, picture in zip(row, pictures, strict=True):
            colouring = (
                {} if picture.ndim == 3 else {"cmap": colours, "vmin": 0, "vmax": 3}
            )
            axes.imshow(picture, interpolation="nearest", **colouring)
            bare(axes)
        row[0].set_ylabel(words)
    from matplotlib.patches import Patch

    patches = [Patch(color=colours(n), label=name) for n, name in enumerate(NAMES)]
    figure.legend(handles=patches, ncols=4, loc="outside upper center", fontsize=7)
    return figure


def draw_classes(scoring, rows, profiles):
    """Draws the IoU of each class, of the best net of each kind and of the rivals."""

    def draw(figure, axes):
        best = best_of_each(scoring, rows, NETS)
        kept = {name: profiles(row) for name, row in best.items()}
        bars = [
            ("U-Net" if name == NETS[0] else "no skips", arrays["each"])
            for name, arrays in kept.items()
        ]
        first = next(iter(kept.values()))
        each = [(name, f"each_{name}") for name in RIVALS]
        bars += [(name, first[key]) for name, key in each if key in first]
        wide = 0.8 / len(bars)
        for place, (words, values) in enumerate(bars):
            at = np.arange(len(NAMES)) + wide * (place - (len(bars) - 1) / 2)
            axes.bar(at, values, 0.9 * wide, label=words, color=f"C{place}")
        axes.set_xticks(range(len(NAMES)), NAMES)
        axes.set_ylim(0, 1)
        axes.set_title("IoU of each class", loc="left")
        drawing.legend_below(axes)

    return draw


def figures(scoring, rows, profiles):
    """Score by depth with the IoU of each class, and scenes with masks."""
    caption = (
        "Third: IoU of each class, of the net of either kind that was best in choosing, "
        "of blobs and of the forest."
    )
    masks = (
        "The first scenes that were judged and the class of each pixel: as it is, by the "
        "net of either kind that was best in choosing (how many convolutions it has), "
        "by blobs and by the forest."
    )
    return [
        scoring.figure(rows, caption, draw_classes(scoring, rows, profiles)),
        Figure("masks", masks, lambda: draw_masks(scoring, rows, profiles)),
    ]
