"""Pictures of clusters: the code on a plane, and what is in each cluster."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np


def plane(scoring, rows, profiles):
    """Draws the code of the net that validation prefers, coloured by class."""

    def draw(figure, axes):
        row = scoring.best(measured(rows))
        shown = profiles(row)
        points, labels = shown["map"], shown["labels"]
        for one in np.unique(labels):
            own = points[labels == one]
            color = f"C{one % 10}"
            axes.plot(*own.T, ".", ms=2, color=color, alpha=0.5)
            at = np.median(own, axis=0)
            if one < 10:
                axes.text(*at, str(one), color=color, weight="bold", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"code of {scoring.name(row)}", loc="left")

    return draw


def members(scoring, rows, profiles):
    """The picture `members`: of each cluster its mean and some of its images."""

    def draw():
        shown = profiles(scoring.best(measured(rows)))
        means, images, right = (shown[n][:10] for n in ("means", "members", "right"))
        count, many = images.shape[:2]
        figure = figures.new(0.62 * count + 0.4, 0.62 * (many + 1) + 0.4)
        panels = figure.subplots(many + 1, count, squeeze=False)
        for column in range(count):
            for line, image in enumerate([means[column], *images[column]]):
                axes = panels[line, column]
                if np.isfinite(image).all():
                    axes.imshow(image, cmap="gray_r", interpolation="nearest")
                wrong = line > 0 and not right[column, line - 1]
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set(visible=wrong, color="#c1272d", linewidth=2)
        panels[0, 0].set_ylabel("mean", fontsize=6)
        panels[1, 0].set_ylabel("members", fontsize=6)
        return figure

    text = (
        "A column for each cluster of the code that validation prefers, found without "
        "labels: the mean of its test images, and some of them; framed: not of the "
        "commonest class of the cluster."
    )
    return Figure("members", text, draw)
