"""Pictures of what was found without labels: by labels, by layers, and of units."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

KINDS = (  # of the curves that rows have, in their order
    ("trained", dict(color="C0", marker="o")),
    ("fresh net", dict(color="C0", ls="--")),
    ("pixels", dict(color="C7", ls="--")),
    ("k-means of patches", dict(color="black", marker="s")),
)


def labels(scoring, rows, profiles, counts):
    """Draws accuracy by number of labels, of the net that validation prefers."""

    def draw(figure, axes):
        row = scoring.best(measured(rows))
        for curve, (name, style) in zip(profiles(row)["curves"], KINDS, strict=True):
            axes.plot(counts, curve, ms=3, lw=1.2, label=name, **style)
        axes.set_xscale("log")
        axes.set_xlabel("labels")
        axes.set_title(f"{scoring.noun}: {scoring.name(row)}", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=6, frameon=False)

    return draw


def layers(scoring, rows, profiles):
    """The picture `layers`: what is read from each layer, trained and fresh."""

    def draw():
        done = measured(rows)
        kinds = list(dict.fromkeys((r["architecture"], r["activation"]) for r in done))
        figure = figures.new(2.6 * len(kinds), 2.8)
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for panel, kind in zip(panels, kinds, strict=True):
            own = [r for r in done if (r["architecture"], r["activation"]) == kind]
            for place, row in enumerate(sorted(own, key=lambda row: row["depth"])):
                for curve, style in zip(
                    profiles(row)["layers"], ("o-", ":"), strict=True
                ):
                    share = np.linspace(0, 1, len(curve))
                    label = counted(row["depth"], "layer") if style == "o-" else None
                    color = f"C{place}"
                    panel.plot(share, curve, style, ms=2, color=color, label=label)
            panel.set_title(" ".join(kind), loc="left")
            panel.set_xlabel("first state to code")
            panel.grid(alpha=0.25, lw=0.5)
            panel.legend(fontsize=6, frameon=False)
        panels[0].set_ylabel(scoring.noun)
        return figure

    text = (
        "What a linear classifier reads from each layer of the encoder with few labels; "
        "dotted: before training. The last is the code."
    )
    return Figure("layers", text, draw)


def units(scoring, rows, profiles):
    """The picture `units`: each class's best unit, by what excites it most."""

    def draw():
        shown = profiles(scoring.best(measured(rows)))
        stimuli, firsts = shown["stimuli"][:10], shown["firsts"][:10]
        count, many = len(stimuli), firsts.shape[1]
        figure = figures.new(0.62 * count + 0.4, 0.62 * (many + 1) + 0.5)
        panels = figure.subplots(many + 1, count, squeeze=False)
        for column in range(count):
            for line, image in enumerate([stimuli[column], *firsts[column]]):
                axes = panels[line, column]
                color = "magma" if line == 0 else "gray_r"
                axes.imshow(image, cmap=color, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                axes.spines[:].set_visible(False)
            panels[0, column].set_title(f"{column}", fontsize=8)
        panels[0, 0].set_ylabel("stimulus", fontsize=6)
        panels[1, 0].set_ylabel("images", fontsize=6)
        return figure

    text = (
        "For each class the single unit that tells it best, in the net that validation "
        "prefers, found without labels. Top: the input of a given length that excites it "
        "most; below: the test images that do."
    )
    return Figure("units", text, draw)
