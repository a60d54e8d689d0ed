"""Pictures of nets under attack: accuracy by the attack's size, and what digits became."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

RIGHT, WRONG = "#1a7f37", "#c62828"
STYLES = {"plain": "-", "fgsm": "--", "pgd": ":"}


def figures(scoring, rows, profiles):
    """Scores and gradients by depth with accuracy by ε; and attacked digits."""
    by_size = (
        "Third: accuracy under PGD by ε, of the first seed; the line's kind is the "
        "training, its colour the depth."
    )
    changed = (
        "Digits of the test part, what PGD at the full ε adds to them, and what each net "
        "reads then: green where it is still right."
    )
    return [
        scoring.figure(rows, by_size, draw_by_size(rows, profiles)),
        Figure("attacked", changed, lambda: draw_digits(rows, profiles)),
    ]


def name_of(row):
    skips = " residual" if row["architecture"] == "residual_mlp" else ""
    return f"{row['training']},{skips} {counted(row['depth'], 'layer')}"


def draw_by_size(rows, profiles):
    """Draws accuracy under PGD by its size, of each net."""

    def draw(figure, axes):
        done = measured(rows)
        depths = sorted({(row["architecture"], row["depth"]) for row in done})
        for row in done:
            arrays = profiles(row)
            axes.plot(
                arrays["epsilons"],
                arrays["curve"],
                STYLES[row["training"]],
                color=f"C{depths.index((row['architecture'], row['depth'])) % 10}",
                lw=1.2,
                label=name_of(row),
            )
        axes.set_title("accuracy by the size of the change", loc="left")
        axes.set_xlabel("ε")
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=5, framealpha=0.7, edgecolor="none", loc="lower left")

    return draw


def draw_digits(rows, profiles):
    """A line for each net: every digit's change, and the changed digit as it is read."""
    done = measured(rows)
    arrays = [profiles(row) for row in done]
    count = arrays[0]["digits"].shape[1]
    figure = drawing.new(1.6 + 1.3 * count, 0.75 * (len(done) + 1))
    panels = figure.subplots(len(done) + 1, 2 * count, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for n in range(count):
        shown = panels[0, 2 * n + 1]
        truth = arrays[0]["readings"][0, n]
        _image(shown, arrays[0]["digits"][0, n], f"a {truth}", "black")
    _name(panels[0, 0], "as it is")
    for line, (row, held) in enumerate(zip(done, arrays, strict=True), 1):
        _name(panels[line, 0], name_of(row))
        for n in range(count):
            digit, changed = held["digits"][:, n]
            truth, _, now = held["readings"][:, n]
            _image(panels[line, 2 * n], changed - digit, "", "black", "RdBu")
            colour = RIGHT if now == truth else WRONG
            _image(panels[line, 2 * n + 1], changed, f"read as {now}", colour)
    return figure


def _name(axes, text):
    axes.text(
        -0.15, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=7
    )


def _image(axes, image, title, colour, palette="gray"):
    limit = float(np.abs(image).max()) or 1.0
    ends = (-limit, limit) if palette != "gray" else (None, None)
    axes.imshow(image[..., 0], cmap=palette, vmin=ends[0], vmax=ends[1])
    axes.set_title(title, color=colour, fontsize=7, pad=2)
