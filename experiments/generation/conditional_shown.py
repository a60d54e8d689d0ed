"""Photographs given, restored and true: the pictures of `conditional_gan`."""

from depthbench.experiments.generation import translations
from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

STYLES = {  # of (architecture, objective): what it is called, and its colour
    ("unet", "l1"): ("U-Net, L1", "C0"),
    ("unet", "l1_gan"): ("U-Net, L1 + GAN", "C1"),
    ("unet_plain", "l1"): ("no skips, L1", "C2"),
    ("unet_plain", "l1_gan"): ("no skips, L1 + GAN", "C3"),
}
GAP = 2  # pixels between photographs
SHOWN = (0, 2, 3)  # of the known photographs: those with something in their right edge
COLUMNS = (("unet", "l1"), ("unet", "l1_gan"), ("unet_plain", "l1_gan"))


def figures(scoring, rows, profiles):
    """The pictures of a run's rows. scoring: of the study."""
    done = measured(rows)
    curves = (
        "Left: decibels by which nets are ahead of the best method without a net, one "
        "group for each translation, from shallow to deep; 95 % intervals over seeds. "
        "Right: Fréchet distance of images from true ones of other patches by a fixed "
        "judge; lower looks more real, black is the best method without a net, dotted the "
        "floor: true images."
    )
    shown = (
        "Right edges of three photographs, of which nets learned from the left alone; "
        "nets of one depth, that which held-out patches choose. Tiles are patches."
    )
    return [
        Figure("figure", curves, lambda: draw_curves(done)),
        Figure("photographs", shown, lambda: draw_pictures(scoring, done, profiles)),
    ]


def draw_curves(rows):
    figure = drawn.new(11.0, 3.6)
    left, right = figure.subplots(1, 2)
    names = list(dict.fromkeys(row["translation"] for row in rows))
    depths = sorted({row["depth"] for row in rows})
    kinds = [kind for kind in STYLES if any(key(row) == kind for row in rows)]
    width = 0.8 / (len(kinds) * len(depths))
    for row in rows:
        order = kinds.index(key(row)) * len(depths) + depths.index(row["depth"])
        at = names.index(row["translation"]) - 0.4 + (order + 0.5) * width
        label, colour = STYLES[key(row)]
        shade = 1.0 if row["depth"] == depths[-1] else 0.5
        named = label if at < 0.5 and shade == 1.0 else None
        half = (row["score_high"] or row["score"]) - row["score"]
        style = {"color": colour, "alpha": shade, "ms": 5}
        left.errorbar(at, row["gap"], half, fmt="o", lw=1.2, label=named, **style)
        right.plot(at, row["distance"], "o", **style)
        right.plot(at, row["strong_distance"], "_", color="black", ms=6)
    titles = (
        "dB ahead of the best without a net",
        "Fréchet distance from true patches",
    )
    for axes, title in zip((left, right), titles, strict=True):
        axes.set_xticks(range(len(names)), [translations.OF[n].words for n in names])
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.25, lw=0.5, axis="y")
    left.axhline(0, color="black", lw=0.8)
    drawn.legend_below(left, 3)
    right.axhline(rows[0]["floor_distance"], color="black", lw=0.8, ls=":")
    right.set_yscale("log")
    return figure


def key(row):
    return row["architecture"], row["objective"]


def draw_pictures(scoring, rows, profiles):
    """A row for each translation: given, without a net, nets, truth."""
    names = list(dict.fromkeys(row["translation"] for row in rows))
    kinds = [kind for kind in COLUMNS if any(key(row) == kind for row in rows)]
    columns = ["given", "best without a net", *(STYLES[k][0] for k in kinds), "truth"]
    figure = drawn.new(1.9 * len(columns), 0.95 * len(names) + 0.3)
    panels = figure.subplots(len(names), len(columns), squeeze=False)
    for line, name in zip(panels, names, strict=True):
        own = [row for row in rows if row["translation"] == name]
        depth = scoring.best(own)["depth"]
        at = {key(row): row for row in own if row["depth"] == depth}
        held = {kind: profiles(row) for kind, row in at.items()}
        one = next(iter(held.values()))
        images = [one["given"], one["strong"]]
        images += [held[kind]["net"] if kind in held else None for kind in kinds]
        for axes, image in zip(line, [*images, one["truth"]], strict=True):
            drawn.bare(axes)
            if image is not None:
                axes.imshow(side_by_side(image), interpolation="none")
        line[0].set_ylabel(translations.OF[name].words, fontsize=8)
    for axes, title in zip(panels[0], columns, strict=True):
        axes.set_title(title, fontsize=8)
    return figure


def side_by_side(images):
    """[height, width, 3] of photographs [count, height, width, 3], with white between."""
    edge = ((0, 0), (0, 0), (0, GAP), (0, 0))
    shades = images[list(SHOWN)] & 0xFC  # noise of six bits is a smaller file
    padded = np.pad(shades, edge, constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-GAP]
