"""Scenes with the sentences that were said of them, and scenes that were drawn from
sentences: the pictures of `captions`."""

import textwrap

from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured

with lazily():
    from depthbench.research.datasets import captions as sentences

LETTERS = 24  # of a line below a scene
SAID = {"net": "net", "strong": "template"}
DRAWN = {
    "net": "net",
    "nearest": "known scene",
    "template": "stencil",
    "mixture": "mixture",
    "real": "real test scene",
}


def figures(scorings, rows, profiles):
    """The pictures of a run's rows. scorings: of the study's directions."""
    done = measured(rows)
    own = {name: [row for row in done if row["direction"] == name] for name in scorings}
    return [
        figure
        for name, ways in (("to_sentence", said), ("to_scene", sketched))
        if own[name]
        for figure in ways(scorings[name], own[name], profiles)
    ]


def said(scoring, rows, profiles):
    """The pictures of sentences."""
    caption = (
        "The first test scenes, with what the best net says and what the template does; "
        "red where it is not the scene's own sentence."
    )
    best = scoring.best(rows)
    return [
        scoring.figure(
            rows,
            "Last: what nets are right about; black: the template.",
            draw_aspects(rows, "template"),
        ),
        Figure("scenes", caption, lambda: draw_scenes(profiles(best))),
    ]


def sketched(scoring, rows, profiles):
    """The pictures of drawn scenes."""
    caption = (
        "Scenes of test sentences: what the best net draws, a scene of the same sentence "
        "that was learned from, a stencil, a sample of a mixture of Gaussians, and the "
        "test scene itself."
    )
    best = scoring.best(rows)
    one = scoring.figure(
        rows,
        "Last: what a judge sees right; black: in the strong baseline's scenes; grey: in "
        "the mixture's.",
        draw_aspects(rows, "strong baseline", "mixture"),
    )
    return [
        one._replace(name="drawers"),
        Figure("drawn", caption, lambda: draw_drawn(profiles(best))),
    ]


def draw_aspects(rows, strong, other=None):
    """Draws the share that has the colour, shape and place right. strong: its name.
    other: that of another baseline, whose columns begin with it."""

    def draw(figure, axes):
        names = list(sentences.ASPECTS)
        for place, row in enumerate(sorted(rows, key=lambda row: row["depth"])):
            share, label = [row[name] for name in names], counted(row["depth"], "layer")
            axes.plot(share, "o-", ms=3, color=f"C{place}", label=label)
        lines = {"strong": ("black", strong), other: ("grey", other)}
        for prefix, (color, label) in lines.items():
            if prefix:
                share = [rows[0][f"{prefix}_{name}"] for name in names]
                axes.plot(share, "s--", ms=3, lw=1, color=color, label=label)
        axes.set_xticks(range(len(names)), names)
        axes.set_title("share right of each", loc="left")
        axes.set_ylim(0, 1.05)
        drawn.legend_below(axes, 3)
        axes.grid(alpha=0.25, lw=0.5)

    return draw


def draw_scenes(held):
    """Draws scenes, with the net's sentence above each and the template's below."""
    count = len(held["x"])
    figure = drawn.new(1.6 * count, 2.5)
    for place, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        axes.imshow(held["x"][place], interpolation="nearest")
        drawn.bare(axes)
        true = sentences.sentence(held["words"][place])
        puts = {"net": axes.set_title, "strong": axes.set_xlabel}
        for name, put in puts.items():
            told = sentences.sentence(held[name][place])
            text = "\n".join(textwrap.wrap(told, LETTERS)) or "(no word)"
            colour = "black" if told == true else "#c02020"
            put(f"{SAID[name]}:\n{text}", loc="left", fontsize=6.5, color=colour)
    return figure


def draw_drawn(held):
    """Draws scenes by sentence, a row for each way that they are made."""
    count, rows = len(held["words"]), len(DRAWN)
    figure = drawn.new(1.3 * count + 0.4, 1.3 * rows + 0.3)
    panels = figure.subplots(rows, count, squeeze=False)
    for line, (name, word) in zip(panels, DRAWN.items(), strict=True):
        for place, axes in enumerate(line):
            axes.imshow(held[name][place], interpolation="nearest")
            drawn.bare(axes)
        line[0].set_ylabel(word, fontsize=7)
    for axes, words in zip(panels[0], held["words"], strict=True):
        text = textwrap.wrap(sentences.sentence(words), LETTERS - 6)
        axes.set_title("\n".join(text), fontsize=7)
    return figure
