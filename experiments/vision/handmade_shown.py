"""How features are shown: gradients of an image, and what a net's first layer learned."""

from depthbench.experiments.unsupervised import montage
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np


def figures_of(scoring, rows, profiles):
    caption = (
        "Third: the filters of the first layer, learned, of the net that serves best; "
        "white above 0."
    )
    return [
        scoring.figure(rows, caption, draw_filters(scoring, rows, profiles)),
        strokes(rows, profiles),
    ]


def draw_filters(scoring, rows, profiles):
    """Draws the first layer of the best net."""

    def draw(figure, axes):
        kept = profiles(scoring.best(measured(rows)))["filters"]
        half = -(-len(kept) // 2)
        blank = np.full((2 * half - len(kept), *kept.shape[1:]), np.nan)
        every = np.concatenate([kept, blank])
        pair = [("", every[:half]), ("", every[half:])]
        montage.show(axes, pair, "learned filters, first layer", cmap="gray")

    return draw


def strokes(rows, profiles):
    """The picture `strokes`: images, and what histograms of gradients keep of them."""

    def draw():
        kept = profiles(measured(rows)[0])
        pairs = zip(kept["images"], kept["strokes"], strict=True)
        pictures = [one for pair in pairs for one in pair]
        figure = figures.new(2.4 * len(pictures), 2.9)
        panels = figure.subplots(1, len(pictures))
        for place, (axes, picture) in enumerate(zip(panels, pictures, strict=True)):
            axes.imshow(picture, cmap="gray", interpolation="nearest")
            kept = "what histograms keep" if place % 2 else "an image"
            axes.set_title(kept, loc="left")
            axes.set_xlabel("column, in pixels")
        return figure

    text = (
        "Images, and beside each what its histograms of gradients keep: in every cell, "
        "strokes along its edges."
    )
    return Figure("strokes", text, draw)
