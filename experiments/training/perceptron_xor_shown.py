"""Sentences, tables and pictures of `perceptron_xor`."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import listed, measured
from depthbench.research.study.tables import Mark, Table

with lazily():
    import numpy as np

REACH, SIDE = 1.6, 49  # of the pictured plane, and its points along a side


def hardest(rows):
    """The rows of the most bits."""
    most = max(row["bits"] for row in rows)
    return [row for row in rows if row["bits"] == most]


def best_of_depth(rows, depth, scoring):
    """The row of a depth that serves best, or None."""
    rows = [row for row in rows if row["depth"] == depth]
    return scoring.best(rows) if rows else None


def headline(rows, scoring):
    """What a perceptron can, from how many starts nets solve the most bits, the worst."""
    done = measured(rows)
    hard = hardest(done)
    bits, linear = hard[0]["bits"], hard[0]["linear_right"]
    by_depth = [
        f"{row['score']:.0%} with {depth}"
        for depth in sorted({row["depth"] for row in hard})
        if (row := best_of_depth(hard, depth, scoring))
    ]
    answer = (
        f"No linear rule has more than {linear:.1%} of {_named(bits)} right; by hidden "
        f"layers, the best net solves it from {listed(by_depth, 6)} of its starts."
    )
    worst = min(
        (row for row in done if row["depth"]),
        key=lambda row: (row["score"], -row["bits"]),
        default=scoring.worst(done),
    )
    return Headline(
        answer,
        f"Worst: {scoring.name(worst)}, {worst['bits']} bits: {worst['score']:.0%}.",
    )


def _named(bits):
    return "XOR" if bits == 2 else f"{bits}-bit parity"


def summary(rows, scoring):
    """The system's line, of the most bits."""
    return scoring.summary(hardest(measured(rows)))


def tables(rows, scoring):
    """Shares by bits and net, then everything of the most bits."""
    done = measured(rows)
    bits = sorted({row["bits"] for row in done})
    lines = {}
    for row in done:
        key = (*(str(row[name]) for name in scoring.by), row["depth"])
        lines.setdefault(key, {})[row["bits"]] = row
    body = tuple(
        (*key[:-1], str(key[-1]), *(_share(found.get(n), scoring) for n in bits))
        for key, found in sorted(lines.items(), key=lambda item: item[0][-1])
    )
    heads = (*scoring.by, "hidden layers", *(f"{_named(n)}" for n in bits))
    first = Table(
        "share of starts that solve it (share of the table right)", heads, body
    )
    return (
        [first, scoring.table(hardest(rows), title=f"{_named(bits[-1])}")]
        if done
        else []
    )


def _share(row, scoring):
    if row is None:
        return "-"
    text = f"{row['score']:.3f} ({row['right']:.3f})"
    tone = {"wins": "good", "ties": "bad"}.get(scoring.verdict(row), "bad")
    return Mark(text, tone)


def figures_of(rows, profiles, scoring):
    """Shares by depth with the fresh gradient and by bits; decision regions on XOR."""
    done = measured(rows)
    caption = (
        "Third: by bits, of each number of hidden layers the net that serves best."
    )
    hard = hardest(done) if done else rows
    made = [scoring.figure(hard, caption, draw_bits(done, scoring))]
    if any(row["bits"] == 2 for row in done):
        words = (
            "What nets answer on the plane around XOR's four points: blue 0, red 1, the "
            "colour of each point what it should be. Above starts that solve it, below "
            "starts that do not."
        )
        made.append(Figure("regions", words, lambda: draw_regions(done, profiles)))
    return made


def draw_bits(rows, scoring):
    """Draws the share of starts by bits, a line for each depth."""

    def draw(figure, axes):
        bits = sorted({row["bits"] for row in rows})
        for place, depth in enumerate(sorted({row["depth"] for row in rows})):
            found = [
                best_of_depth([r for r in rows if r["bits"] == n], depth, scoring)
                for n in bits
            ]
            at = [n for n, row in zip(bits, found, strict=True) if row]
            level = [row["score"] for row in found if row]
            axes.plot(at, level, "o-", ms=3, color=f"C{place}", label=f"{depth} hidden")
        axes.set_xticks(bits)
        axes.set_xlabel("bits")
        axes.set_ylim(-0.03, 1.03)
        axes.set_title("share solved, best net of each depth", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        axes.legend(fontsize=6, frameon=False)

    return draw


MOST = 7  # nets that regions are shown of


def draw_regions(rows, profiles):
    """The figure: one column a net, solved above, unsolved below."""
    xor = [row for row in rows if row["bits"] == 2]
    xor = sorted(xor, key=lambda row: (row["depth"], row["rule"] == "gradient"))
    plain = [row for row in xor if row["architecture"] == "mlp"][:MOST]
    figure = figures.new(1.7 * len(plain), 3.9)
    panels = figure.subplots(2, len(plain), squeeze=False)
    for column, row in enumerate(plain):
        kept = profiles(row)
        for line, name in enumerate(("solved", "unsolved")):
            axes = panels[line][column]
            draw_region(axes, kept.get(name))
            if line == 0:
                net = row["rule"] if row["depth"] == 0 else row["activation"]
                axes.set_title(f"{row['depth']} hidden, {net}", loc="left", fontsize=7)
            number = row["score"] if name == "solved" else 1 - row["score"]
            axes.set_xlabel(f"{number:.0%} {name}", fontsize=7)
    return figure


def draw_region(axes, margin):
    """One net's answers on the plane, or a blank where there is no such start."""
    axes.set(xticks=[], yticks=[], xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect=1)
    if margin is None:
        axes.text(0, 0, "none", ha="center", va="center", color="#888888")
        return
    extent = (-REACH, REACH, -REACH, REACH)
    size = max(float(np.max(np.abs(margin))), 1e-6)
    shade = np.tanh(3 * np.asarray(margin) / size)
    axes.imshow(
        shade, extent=extent, origin="lower", cmap="RdBu_r", vmin=-1.4, vmax=1.4
    )
    if np.ptp(np.sign(margin)):
        at = np.linspace(-REACH, REACH, SIDE)
        axes.contour(at, at, margin, levels=[0.0], colors="black", linewidths=0.8)
    for x, y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        ink = "#b2182b" if x != y else "#2166ac"
        axes.plot(x, y, "o", color=ink, mec="white", ms=6, mew=1)
