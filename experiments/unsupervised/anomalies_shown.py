"""Pictures of anomalies: where they are among all images, and the strangest of these."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np


def ranks(scoring, rows, profiles):
    """Draws the shares of usual images and of anomalies by rank of strangeness."""

    def draw(figure, axes):
        row = scoring.best(measured(rows))
        shown = profiles(row)
        edges = np.linspace(0, 1, len(shown["usual"]) + 1)
        for name, color in (("usual", "C7"), ("strange", "C3")):
            label = "seen in training" if name == "usual" else "anomaly, never seen"
            axes.stairs(
                shown[name], edges, fill=True, alpha=0.5, color=color, label=label
            )
        axes.set_xlabel("rank of strangeness, of all test images")
        axes.set_title(f"share of images: {scoring.name(row)}", loc="left")
        axes.legend(fontsize=6, frameon=False)

    return draw


def strangest(scoring, rows, profiles):
    """The picture `strangest`: images that a net finds strangest, and what it makes."""

    def draw():
        shown = profiles(scoring.best(measured(rows)))
        count, many = shown["right"].shape
        figure = figures.new(0.5 * many + 0.6, 1.04 * count + 0.2)
        panels = figure.subplots(2 * count, many, squeeze=False)
        for anomaly in range(count):
            for place in range(many):
                pair = (
                    shown["images"][anomaly, place],
                    shown["outputs"][anomaly, place],
                )
                right = shown["right"][anomaly, place]
                for line, image in enumerate(pair):
                    axes = panels[2 * anomaly + line, place]
                    axes.imshow(image, cmap="gray_r", interpolation="nearest")
                    axes.set_xticks([])
                    axes.set_yticks([])
                    for spine in axes.spines.values():
                        spine.set(visible=line == 0, linewidth=2)
                        spine.set_color("#2a7f2a" if right else "#c1272d")
            panels[2 * anomaly, 0].set_ylabel(f"no {anomaly}", fontsize=7)
            panels[2 * anomaly + 1, 0].set_ylabel("given", fontsize=6)
        return figure

    text = (
        "A pair of rows for each class that a net never saw: the test images that it "
        "finds strangest, and what it gives for them; framed green where it is of that "
        "class, red where it is not."
    )
    return Figure("strangest", text, draw)
