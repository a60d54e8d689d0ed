"""Pictures of questions about scenes: what nets answer, and how near makes it hard."""

from depthbench.experiments.vision.panels import bare, best_of_each
from depthbench.research.datasets import scenes
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure

LABELS = {"relation_net": "pairs", "relation_net_without": "no pairs"}
PIXELS = ("1–2", "2–4", "4–8", "over 8")  # by which the nearest is nearer


def draw_margins(best, profiles):
    """Draws the share right by how much nearer the nearest object is than the other."""

    def draw(figure, axes):
        kept = {name: profiles(row) for name, row in best.items()}
        for place, (name, arrays) in enumerate(kept.items()):
            label = f"{LABELS[name]}, {best[name]['depth']}, {best[name]['reads']}"
            axes.plot(arrays["by_margin"], "o-", ms=3, color=f"C{place}", label=label)
        svm = next(iter(kept.values()))["by_margin_svm"]
        axes.plot(svm, "s--", ms=3, lw=1, color="black", label="SVM")
        axes.set_xticks(range(len(PIXELS)), PIXELS)
        axes.set_xlabel("pixels by which it is nearer")
        axes.set_title("share right by margin", loc="left")
        drawing.legend_below(axes)
        axes.grid(alpha=0.25, lw=0.5)

    return draw


def draw_answers(best, profiles):
    """The first scenes that were judged, the colour that was named, and the answers."""
    kept = {name: profiles(row) for name, row in best.items()}
    first = next(iter(kept.values()))
    count = len(first["x"])
    figure = drawing.new(1.55 * count, 2.6)
    panels = figure.subplots(1, count, squeeze=False)[0]
    for n, axes in enumerate(panels):
        axes.imshow(first["x"][n], interpolation="nearest")
        bare(axes)
        named, true = scenes.COLOURS[first["colour"][n]], first["true"][n]
        axes.set_title(f"nearest to {named}?\n{scenes.SHAPES[true]}", fontsize=8)
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
        "other, of the net of either kind that was best in choosing (how many layers it "
        "has and what it reads), and of the SVM."
    )
    answers = (
        "The first scenes that were judged, which shape is nearest to the named colour, "
        "and what those nets and the SVM say."
    )
    return [
        scoring.figure(rows, caption, draw_margins(best, profiles)),
        Figure("answers", answers, lambda: draw_answers(best, profiles)),
    ]
