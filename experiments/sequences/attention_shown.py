"""The pictures of a translator: what is exact by length, and where it looks."""

from depthbench.experiments import scores
from depthbench.experiments.sequences import translated
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

NUMBERS = "numbers"  # the corpus whose lengths are in balance
CALLED = {
    "seq2seq": "GRU without attention",
    "seq2seq_attention": "GRU with attention",
    "encoder_decoder": "Transformer",
}
WORDS = {
    "seq2seq": "one vector",
    "seq2seq_attention": "attention",
    "encoder_decoder": "Transformer",
}


def of_numbers(rows):
    """The rows of number words; all where they were not asked for."""
    return [row for row in rows if row["corpus"] == NUMBERS] or list(rows)


def of_long(row):
    """What a net says exactly of long sentences, and whether it still learned."""
    end = " (still learning)" if row.get("unfinished") else ""
    return f"{row['long']:.2f}{end}"


def headline(scoring, rows):
    """The best net beside the phrase table, and what length does to each kind; then texts
    of software."""
    own = of_numbers(rows)
    answer, worst = scoring.headline(own)
    by_kind = {
        kind: [row for row in scores.scored(own) if row["architecture"] == kind]
        for kind in CALLED
    }
    said = ", ".join(
        f"{CALLED[kind]} {of_long(scoring.best(those))}"
        for kind, those in by_kind.items()
        if those
    )
    if said and own[0]["corpus"] == NUMBERS:
        answer += f" Of {translated.LONG} words or more: {said}."
    others = [row for row in scores.scored(rows) if row not in own]
    for corpus in dict.fromkeys(row["corpus"] for row in others):
        best = scoring.best([row for row in others if row["corpus"] == corpus])
        answer += (
            f" Of {corpus}'s texts: {scoring.write(best['score'])} ({scoring.name(best)}) "
            f"against {scoring.write(best['strong'])} ({scoring.strong}), BLEU "
            f"{best['bleu']:.1f} against {best['strong_bleu']:.1f}."
        )
    return Headline(answer, worst)


def draw_lengths(rows, profiles):
    """Draws the share that is exact by the source's length, of each net."""

    def draw(figure, axes):
        done = measured(rows)
        kinds = list(dict.fromkeys(row["architecture"] for row in done))
        depths = sorted({row["depth"] for row in done})
        for row in done:
            exact = profiles(row)["exact"]
            place = kinds.index(row["architecture"])
            style = {
                "color": f"C{place}",
                "ls": ("-", "--", ":")[min(2, depths.index(row["depth"]))],
            }
            label = f"{WORDS[row['architecture']]}, {row['depth']} layers"
            axes.plot(np.arange(1, len(exact) + 1), exact, lw=1.3, label=label, **style)
        counts = profiles(done[0])["counts"]
        axes.plot(
            np.arange(1, len(counts) + 1), counts, "k.", ms=3, label="phrase table"
        )
        axes.axvspan(
            translated.LONG - 0.5, len(counts) + 0.5, color="#eeeeee", zorder=0
        )
        axes.set_title("translated exactly, by words of the source", loc="left")
        axes.set_xlabel("words of the English sentence")
        axes.set_ylim(-0.03, 1.03)
        figures.legend_below(axes, 3)

    return draw


def draw_map(row, shown):
    """Draws where the decoder looks [words said, words read]."""
    read, said = (bytes(shown[name]).decode().split() for name in ("read", "said"))
    shares = np.asarray(shown["map"], np.float32)
    figure = figures.new(1.6 + 0.42 * len(read), 1.5 + 0.26 * len(shares))
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="magma", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(read)), read, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(shares)), [*said, "(end)"], fontsize=8)
    axes.set_title(
        f"where the GRU looks for each word, {row['depth']} layers",
        loc="left",
        fontsize=9,
    )
    figure.colorbar(drawn, ax=axes, label="share", shrink=0.8)
    return figure


def figures_of(scoring, rows, profiles):
    """Score, gradient and length; and the map of the best net that looks."""
    caption = (
        f"Third: by the source's length; grey: {translated.LONG} words or more; dots: "
        "the phrase table."
    )
    made = [scoring.figure(rows, caption, draw_lengths(rows, profiles))]
    looking = [r for r in measured(rows) if r["architecture"] == "seq2seq_attention"]
    if looking:
        best = scoring.best(looking)
        made.append(
            Figure(
                "map",
                "A sentence of the test part: for each word said, from above, where the "
                "last decoding layer looks in the source. Each row adds up to 1.",
                lambda: draw_map(best, profiles(best)),
            )
        )
    return made
