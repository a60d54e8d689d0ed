"""Which words move the verdict on a sentence, and how that is drawn."""

from depthbench.experiments import by_depth, scores
from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

    from depthbench.research.datasets import opinions

CALLED = {
    "text_cnn": "convolutional net",
    "transformer_pre_ln": "Pre-LN Transformer",
    "transformer_post_ln": "Post-LN Transformer",
}
PROBES = (  # of our own, of words that both sets of films and of a generator have
    "a warm and clever film",
    "not a good film",
    "the plot was dull but the cast was superb",
    "the cast was superb but the plot was dull",
    "never slow , hardly a bad moment",
    "it was an awful waste of a great cast",
)
LONGEST = 10  # words of a probe, at most


def named(row, _):
    """A row's net in words: "convolutional net of 4 layers"."""
    return f"{CALLED[row['architecture']]} of {counted(row['depth'], 'layer')}"


def headline(scoring, rows):
    """Whether a net or the words alone are ahead, and what depth does."""
    return by_depth.headline(scoring, rows, named=by_depth.of_names(CALLED))


def moved(margin):
    """By how much each word of each probe makes it better, [probes, 1 + LONGEST].

    margin: from texts to how good they are. First the whole, then what it loses where a
    word is left out; in units of the mean of all that is lost.
    """
    every, ends = [], []
    for probe in PROBES:
        words = opinions.split(probe)
        without = [" ".join(words[:n] + words[n + 1 :]) for n in range(len(words))]
        every += [probe, *without]
        ends.append(len(every))
    table = np.zeros((len(PROBES), 1 + LONGEST))
    # Asked in one call, which one program answers.
    for row, (whole, *less) in zip(
        table, np.split(margin(every), ends[:-1]), strict=True
    ):
        row[: 1 + len(less)] = whole, *(whole - np.asarray(less))
    size = np.mean(np.abs(table[:, 1:][table[:, 1:] != 0])) if table[:, 1:].any() else 1
    return table / size


def draw_words(rows, profiles, scoring):
    """A figure of probes, words coloured by what they do to the verdict."""
    best = scoring.best(rows)
    kept = profiles(best)
    figure = drawing.new(10.8, 2.6)
    panels = figure.subplots(1, 2)
    for axes, name, title in zip(
        panels, ("net", "bag"), (named(best, ""), scoring.strong), strict=True
    ):
        axes.set_title(title, loc="left", fontsize=8)
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(len(PROBES), 0)
        for line, (probe, row) in enumerate(zip(PROBES, kept[name], strict=True)):
            verdict = "good" if row[0] > 0 else "bad"
            colour = "#1a7f37" if row[0] > 0 else "#b42318"
            axes.text(0, line + 0.5, verdict, fontsize=7, color=colour, weight="bold")
            left = 0.09
            for word, moves in zip(opinions.split(probe), row[1:], strict=False):
                shade = min(1.0, abs(moves) / 2.5)
                back = (*((0.3, 0.75, 0.4) if moves > 0 else (0.9, 0.35, 0.3)), shade)
                box = {"facecolor": back, "edgecolor": "none", "pad": 1.5}
                style = {"fontsize": 7, "family": "monospace", "bbox": box}
                axes.text(left, line + 0.5, word, **style)
                left += 0.0165 * (len(word) + 1.2)
    return figure


def figures(scoring, rows, profiles):
    if not scores.scored(rows):
        return []
    words = (
        "Sentences of our own, as the best net and the linear model judge them: a word on "
        "green makes the verdict better, one on red worse, by what changes where it is "
        "left out."
    )
    return [
        scoring.figure(rows),
        Figure("words", words, lambda: draw_words(rows, profiles, scoring)),
    ]
