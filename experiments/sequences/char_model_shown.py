"""What nets that write character by character are said and drawn to do."""

from depthbench.experiments import by_depth, scores
from depthbench.experiments.sequences import texts
from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

CALLED = {
    "stacked_lstm": "LSTM",
    "stacked_gru": "GRU",
    "transformer_decoder": "Transformer",
}


def named(row, _):
    """A row's net in words: "LSTM of 2 layers"."""
    where = {"grammar": ", grammar", "stdlib": ""}.get(row["dataset"], ", own text")
    return f"{CALLED[row['architecture']]} of {counted(row['depth'], 'layer')}{where}"


def of_text(rows):
    """The rows of the library, which is text; all where it was not asked for."""
    return [row for row in rows if row["dataset"] == "stdlib"] or rows


def of_grammar(rows):
    return [row for row in rows if row.get("floor") is not None]


def headline(scoring, rows):
    """Nets beside n-grams on the library, what depth does there, and how near to its
    entropy they come on the grammar."""
    text = of_text(measured(rows))
    answer, worst = by_depth.headline(scoring, text, named=by_depth.of_names(CALLED))
    known = of_grammar(scores.scored(rows))
    if known and text[0] not in known:
        near = scoring.best(known)
        over = near["score"] - near["floor"]
        answer += (
            f" On the grammar, whose entropy is {near['floor']:.3f}, the net loses "
            f"{over:.3f} more and n-grams {near['strong'] - near['floor']:.3f}."
        )
    return Headline(answer, worst)


def draw_places(rows, profiles):
    """Draws what is lost by the characters before, of each net's deepest and n-grams."""

    def draw(figure, axes):
        known = scores.scored(rows)
        deepest = max((row["depth"] for row in known), default=0)
        for place, row in enumerate(r for r in known if r["depth"] == deepest):
            kept = profiles(row)
            at = texts.FIRST + np.arange(len(kept["places"]))
            label = f"{CALLED[row['architecture']]}, {counted(deepest, 'layer')}"
            axes.plot(
                at, _smooth(kept["places"]), lw=1.2, color=f"C{place}", label=label
            )
            if place == 0:
                style = {"color": "black", "lw": 1, "ls": "--"}
                axes.plot(at, _smooth(kept["of_ngrams"]), label="n-grams", **style)
        axes.set_xlabel("characters before, in the window")
        axes.set_title("nats by what was read before", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        drawing.legend_below(axes)

    return draw


def _smooth(values):
    """Means over nine places each, fewer at both ends."""
    ones = np.ones(9)
    return np.convolve(values, ones, "same") / np.convolve(
        np.ones_like(values), ones, "same"
    )


def draw_written(rows, profiles):
    """A figure of what the best net of each kind writes after two beginnings."""
    chosen = list({row["architecture"]: row for row in _by_score(rows)}.values())
    figure = drawing.new(10.8, 0.5 + 1.15 * len(chosen))
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    lines = sum(3 + 1 for _ in chosen)
    axes.set_ylim(lines, 0)
    for number, row in enumerate(chosen):
        kept, top = profiles(row), 4 * number
        title = f"{named(row, '')}: {row['score']:.2f} nats a character"
        axes.text(0, top + 0.5, title, fontsize=8, weight="bold")
        shown = ((0, "1"), (1, "1"), (2, "0.5"))
        for line, (place, heat) in enumerate(shown):
            begun, after = (texts.written(kept[k][place]) for k in ("begun", "written"))
            style = {"fontsize": 6.2, "family": "monospace", "parse_math": False}
            y = top + 1.4 + 0.85 * line
            axes.text(0, y, f"T = {heat}", fontsize=6.2)
            axes.text(0.36, y, _flat(begun[-48:]), color="#888888", ha="right", **style)
            axes.text(0.361, y, _flat(after), **style)
    return figure


def _by_score(rows):
    """Measured rows of the library, that which held-out windows choose the last."""
    return sorted(of_text(scores.scored(rows)), key=lambda row: -row["valid"])


def _flat(text):
    """In one line: ends of lines as a sign, and blanks that stay as wide."""
    return text.replace("\n", "\N{RETURN SYMBOL}").replace(" ", "\N{NO-BREAK SPACE}")


def figures(scoring, rows, profiles):
    rows = scores.scored(rows)
    text = of_text(rows)
    caption = (
        "Third: nats by how many characters of the window were read before, of the "
        "deepest nets. What n-grams read is at most twelve."
    )
    lines = scoring._replace(by=("architecture",))
    kept = [lines.figure(text, caption, draw_places(text, profiles))]
    if any(row["dataset"] == "stdlib" for row in rows):
        words = (
            "What the best net of each kind writes (black) after test text (grey), drawn "
            "at temperature T; \N{RETURN SYMBOL} is the end of a line."
        )
        kept.append(Figure("written", words, lambda: draw_written(rows, profiles)))
    return kept
