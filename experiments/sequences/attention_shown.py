"""The pictures of a translator: what is exact by length, and where it looks."""

from depthbench.experiments import scores
from depthbench.experiments.sequences import translated
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted

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


def draw_lengths(scoring, rows, profiles):
    """Draws the share that is exact by the source's length, of each net."""

    def draw(figure, axes):
        done = scores.scored(rows)
        kinds = list(dict.fromkeys(row["architecture"] for row in done))
        depths = sorted({row["depth"] for row in done})
        for row in done:
            exact = profiles(row)["exact"]
            deep = (1 + depths.index(row["depth"])) / len(depths)
            style = {"color": f"C{kinds.index(row['architecture'])}", "alpha": deep}
            label = f"{WORDS[row['architecture']]}, {row['depth']} layers"
            axes.plot(np.arange(1, len(exact) + 1), exact, lw=1.3, label=label, **style)
        if done:
            counts = np.asarray(profiles(done[0])["counts"])
            at = np.flatnonzero(np.isfinite(counts))
            axes.plot(1 + at, counts[at], "k--", lw=1, label=scoring.strong)
            axes.set_xticks(range(3, len(counts) + 1, 3))
            span = translated.LONG - 0.5, len(counts) + 0.5
            axes.axvspan(*span, color="#eeeeee", zorder=0)
        axes.set_title("translated exactly, by words of the source", loc="left")
        axes.set_xlabel("words of the English sentence")
        axes.set_ylim(-0.03, 1.03)
        figures.legend_below(axes)

    return draw


def draw_bars(scoring, axes, rows):
    """Draws nets of one corpus beside each other, with intervals, and both baselines."""
    at, score = range(len(rows)), [row["score"] for row in rows]
    ends = [
        [mean if end is None else end for end in scoring.ends(row)]
        for row, mean in zip(rows, score, strict=True)
    ]
    apart = [[m - low, high - m] for (low, high), m in zip(ends, score, strict=True)]
    kinds = list(CALLED)
    colours = [f"C{kinds.index(row['architecture'])}" for row in rows]
    axes.bar(at, score, 0.6, color=colours, alpha=0.75)
    axes.errorbar(
        at,
        score,
        np.transpose(apart),
        fmt="none",
        ecolor="black",
        elinewidth=1,
        capsize=3,
    )
    for name, style in (("strong", "--"), ("trivial", ":")):
        label = f"{getattr(scoring, name)}: {scoring.write(rows[0][name])}"
        axes.axhline(rows[0][name], ls=style, color="black", lw=1, label=label)
    several = len({row["language"] for row in rows}) > 1
    names = [
        WORDS[row["architecture"]] + f", {row['language']}" * several for row in rows
    ]
    axes.set_xticks(at, names, fontsize=7)
    axes.set_ylim(bottom=0)
    axes.set_title(f"{scoring.noun}: {rows[0]['corpus']}", loc="left")
    figures.legend_below(axes)


def draw_side_by_side(scoring, rows, profiles):
    """A figure of nets of one depth: a panel for each corpus, and length."""
    corpora = {}
    for row in scores.scored(rows):
        corpora.setdefault(row["corpus"], []).append(row)
    figure = figures.new(3.6 * (len(corpora) + 1), 3.4)
    panels = np.ravel(figure.subplots(1, len(corpora) + 1))
    for axes, own in zip(panels, corpora.values(), strict=False):
        draw_bars(scoring, axes, own)
    draw_lengths(scoring, of_numbers(rows), profiles)(figure, panels[-1])
    return figure


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
    """Score and length, of several depths gradients too; and the map of the best net that
    looks."""
    rows = scores.scored(rows)
    own = of_numbers(rows)
    grey = (
        f"by the source's length, of {own[0]['corpus']}; grey: {translated.LONG} words "
    )
    grey += "or more."
    if len({row["depth"] for row in rows}) > 1:
        draw = draw_lengths(scoring, own, profiles)
        made = [scoring.figure(own, f"Third: {grey}", draw)]
    else:
        caption = (
            f"{scoring.noun.capitalize()} by nets of "
            f"{counted(rows[0]['depth'], 'layer')}, a panel for each corpus, 95 % "
            f"intervals over seeds; dashed {scoring.strong}, dotted {scoring.trivial}. "
            f"Last: {grey}"
        )
        draw = lambda: draw_side_by_side(scoring, rows, profiles)
        made = [Figure("figure", caption, draw)]
    looking = [
        r for r in scores.scored(own) if r["architecture"] == "seq2seq_attention"
    ]
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
