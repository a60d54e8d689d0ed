"""Scenes with the sentences that were said of them: the pictures of `captions`."""

import textwrap

from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured

with lazily():
    from depthbench.research.datasets import captions as sentences

LETTERS = 24  # of a line below a scene
SAID = {"net": "net", "strong": "template"}


def figures(scoring, rows, profiles):
    """The pictures of a run's rows. scoring: of the study."""
    caption = (
        "The first test scenes, with what the best net says and what the template does; "
        "red where it is not the scene's own sentence."
    )
    best = scoring.best(measured(rows))
    return [
        scoring.figure(
            rows,
            "Last: what nets are right about; black: the template.",
            draw_aspects(rows),
        ),
        Figure("scenes", caption, lambda: draw_scenes(profiles(best))),
    ]


def draw_aspects(rows):
    """Draws the share of sentences that have the colour, shape and place right."""

    def draw(figure, axes):
        done, names = measured(rows), list(sentences.ASPECTS)
        for place, row in enumerate(sorted(done, key=lambda row: row["depth"])):
            label = f"{row['depth']} layers" if row["depth"] > 1 else "1 layer"
            share = [row[name] for name in names]
            axes.plot(share, "o-", ms=3, color=f"C{place}", label=label)
        strong = [done[0][f"strong_{name}"] for name in names]
        axes.plot(strong, "s--", ms=3, lw=1, color="black", label="template")
        axes.set_xticks(range(len(names)), names)
        axes.set_title("share right of each", loc="left")
        axes.legend(fontsize=6, frameon=False)
        axes.grid(alpha=0.25, lw=0.5)

    return draw


def draw_scenes(held):
    """Draws scenes with the sentences below each."""
    count = len(held["x"])
    figure = drawn.new(1.75 * count, 2.9)
    for place, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        axes.imshow(held["x"][place], interpolation="nearest")
        axes.set_axis_off()
        for line, (name, word) in enumerate(SAID.items()):
            said, true = (sentences.sentence(held[n][place]) for n in (name, "words"))
            text = "\n".join(textwrap.wrap(said, LETTERS)) or "(no word)"
            axes.text(
                0,
                -0.04 - 0.2 * line,
                f"{word}:\n{text}",
                transform=axes.transAxes,
                fontsize=6.5,
                va="top",
                color="black" if said == true else "#c02020",
            )
    return figure
