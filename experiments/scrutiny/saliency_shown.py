"""The pictures of saliency maps, and how they change while weights are made random."""

from depthbench.experiments.scrutiny.saliency_maps import GRID, NET
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.headlines import counted, measured

with lazily():
    import matplotlib.patches as patches
    import numpy as np


def draw_alike(rows, profiles):
    """Draws how alike maps stay while layers are made random, in the deepest net."""

    def draw(figure, axes):
        done = measured(rows)
        deepest = max(row["depth"] for row in done)
        kind = next(row["architecture"] for row in done if row["depth"] == deepest)
        for row in done:
            if (row["depth"], row["architecture"]) == (deepest, kind):
                alike = profiles(row)["alike"]
                axes.plot(np.linspace(0, 1, len(alike)), alike, "o-", ms=3, lw=1.3)
                axes.lines[-1].set_label(row["method"])
        axes.axhline(0, color="black", lw=0.6)
        axes.set_title(
            f"map as it was? {kind}, {counted(deepest, 'layer')}", loc="left"
        )
        axes.set_xlabel("made random, from the top: none … all")
        axes.set_ylabel("rank correlation")
        axes.legend(fontsize=6, frameon=False)

    return draw


def draw_maps(rows, profiles):
    """Draws a picture, with its digit framed, beside its maps: a line a net."""
    lines = {}
    for row in measured(rows):
        lines.setdefault(tuple(row[n] for n in NET), []).append(row)
    names = list(dict.fromkeys(row["method"] for row in measured(rows)))
    wide = len(names) + 3
    figure = figures.new(1.05 * wide + 0.9, 1.2 * len(lines) + 0.3)
    grid = figure.subplots(len(lines), wide, squeeze=False)
    for line, (net, group) in enumerate(lines.items()):
        by_method = {row["method"]: row for row in group}
        first = profiles(group[0])
        images = [(first["picture"][0], "gray", "picture")]
        for name in names:
            known = name in by_method
            image = profiles(by_method[name])["map"][0] if known else None
            images.append((image, "magma", name))
        images.append((first["occlusion"][0], "magma", "occlusion"))
        images.append((first["random"][0], "magma", "weights random"))
        for axes, (image, colours, title) in zip(grid[line], images, strict=True):
            framed(axes, image, colours, int(first["place"][0]))
            axes.set_title(title if line == 0 else "", fontsize=7)
        label = f"{net[0]}\n{counted(net[2], 'layer')}"
        grid[line][0].set_ylabel(label.replace("_mlp_scaled", " mlp"), fontsize=7)
    return figure


def framed(axes, image, colours, place):
    """An image, its planted quarter framed."""
    axes.set_xticks([])
    axes.set_yticks([])
    if image is None:
        return
    image = np.asarray(image, np.float32)
    axes.imshow(image, cmap=colours, interpolation="nearest")
    side = image.shape[0] // GRID
    top, left = divmod(place, GRID)
    corner = (left * side - 0.5, top * side - 0.5)
    frame = patches.Rectangle(corner, side, side, fill=False, ec="#2ecc71", lw=1.5)
    axes.add_patch(frame)


def draw_units(rows, profiles):
    """Draws the pictures that each output is largest for: a line a net."""
    nets = {tuple(row[n] for n in NET): row for row in measured(rows)}
    images = {net: profiles(row)["units"] for net, row in nets.items()}
    wide = max(map(len, images.values()))
    figure = figures.new(0.8 * wide + 0.9, 0.85 * len(images) + 0.3)
    grid = figure.subplots(len(images), wide, squeeze=False)
    for line, (net, units) in enumerate(images.items()):
        for place, axes in enumerate(grid[line]):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.imshow(np.asarray(units[place], np.float32), cmap="gray")
            axes.set_title(str(place) if line == 0 else "", fontsize=7)
        label = f"{net[0]}\n{counted(net[2], 'layer')}"
        grid[line][0].set_ylabel(label.replace("_mlp_scaled", " mlp"), fontsize=6)
    return figure
