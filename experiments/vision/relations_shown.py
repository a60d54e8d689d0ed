"""Pictures of questions about scenes: what nets answer, and how near makes it hard."""

from depthbench.experiments.vision.panels import bare, best_of_each
from depthbench.research.datasets import scenes
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted

LABELS = {"relation_net": "with pairs", "relation_net_without": "without"}
SHOWN = 6  # scenes that are drawn
PIXELS = ("1–2", "2–4", "4–8", "over 8")  # by which the nearest is nearer


def named(best):
    """By net, what its line is called: as in "with pairs, 2 layers"; and what it reads,
    where that is not the same for both."""
    alike = len({row["reads"] for row in best.values()}) == 1
    return {
        name: f"{LABELS[name]}, {counted(row['depth'], 'layer')}"
        + ("" if alike else f", reads {row['reads']}")
        for name, row in best.items()
    }


def draw_margins(best, profiles):
    """Draws the share right by how much nearer the nearest object is than the other."""

    def draw(figure, axes):
        kept = {name: profiles(row) for name, row in best.items()}
        labels = named(best)
        for place, (name, arrays) in enumerate(kept.items()):
            how = {"ms": 3, "color": f"C{place}", "label": labels[name]}
            axes.plot(arrays["by_margin"], "o-", **how)
        svm = next(iter(kept.values()))["by_margin_svm"]
        axes.plot(svm, "s--", ms=3, lw=1, color="black", label="RBF SVM")
        axes.set_xticks(range(len(PIXELS)), PIXELS)
        axes.set_xlabel("pixels by which it is nearer")
        axes.set_title("share right by margin", loc="left")
        drawing.legend_below(axes)
        axes.grid(alpha=0.25, lw=0.5)

    return draw


def mistaken(kept):
    """The first scenes that a net or the SVM is wrong about: (number, picture) of each.

    kept: what nets have kept, each of the scenes that it is wrong about itself.
    """
    every = {
        int(scene): picture
        for arrays in kept
        for scene, picture in zip(arrays["scene"], arrays["x"], strict=True)
    }
    return sorted(every.items(), key=lambda pair: pair[0])[:SHOWN]


def draw_answers(best, profiles):
    """Scenes that someone is wrong about, the colour that was named, and the answers."""
    kept = {name: profiles(row) for name, row in best.items()}
    first = next(iter(kept.values()))
    pictures = mistaken(kept.values())
    figure = drawing.new(1.55 * SHOWN, 2.7)
    panels = figure.subplots(1, SHOWN, squeeze=False)[0]
    for axes in panels[len(pictures) :]:
        axes.set_axis_off()
    for axes, (n, picture) in zip(panels, pictures, strict=False):
        axes.imshow(picture, interpolation="nearest")
        bare(axes)
        colour, true = scenes.COLOURS[first["colour"][n]], first["true"][n]
        axes.set_title(f"nearest to {colour}?\n{scenes.SHAPES[true]}", fontsize=8)
        answers = [(LABELS[name], a["net"][n]) for name, a in kept.items()]
        lines = [
            f"{words}: {scenes.SHAPES[given]} {'✓' if given == true else '✗'}"
            for words, given in (*answers, ("SVM", first["svm"][n]))
        ]
        axes.set_xlabel("\n".join(lines), fontsize=7)
    return figure


def figures(scoring, rows, profiles):
    """Score by depth with what makes it hard, and scenes with answers."""
    best = best_of_each(scoring, rows, LABELS)
    caption = (
        "Third: share right by how many pixels the nearest object is nearer than the "
        "other, of the net with and the net without pairs that was best in choosing, and "
        "of the SVM."
    )
    answers = (
        f"The first {SHOWN} test scenes that one of these two nets or the SVM is wrong "
        "about (the net of the first seed): which shape is nearest to the named colour, "
        "and what each says."
    )
    return [
        scoring.figure(rows, caption, draw_margins(best, profiles)),
        Figure("answers", answers, lambda: draw_answers(best, profiles)),
    ]
