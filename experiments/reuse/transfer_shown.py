"""How transfer is shown: accuracy against the cut, and letters that it has mended."""

from depthbench.experiments.scores import Scoring, words
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np


def copied(row):
    """What a net begins with, in words."""
    if row["source"] == NONE:
        return "from scratch"
    layers = counted(row["cut"], f"{row['source']} layer")
    return f"{layers} copied and {row['kept']}"


SCORING = Scoring(
    system="net with copied first layers",
    noun="test accuracy",
    trivial="one letter always",
    strong="SVM on the best linear map",
    by=("source", "kept", "architecture", "depth"),
    axis="cut",
    naming=lambda row, net: f"{net}, {copied(row)}",
)
NONE = "none"  # the source of a net from scratch
LEARNED = ("latin", "target")  # sources that learned something
STYLES = {
    ("latin", "tuned"): ("C0", "-"),
    ("latin", "frozen"): ("C0", "--"),
    ("target", "tuned"): ("C1", "-"),
    ("target", "frozen"): ("C1", "--"),
    ("random", "frozen"): ("#888888", "--"),
}
SHOWN = 8  # letters in the picture


def profile(parts, plain, tuned):
    """Test drawings that one net of the first seed reads and that from scratch does not.

    letters: [letters, 3, side, side] the drawing, what it was taken for from scratch,
    and what it is now: drawings that were learned from.
    """
    answers = [
        tuned_to.runs[0].outputs(parts.test.x).argmax(1) for tuned_to in (plain, tuned)
    ]
    before, after = answers
    mended = np.flatnonzero((before != parts.test.y) & (after == parts.test.y))
    # One of each letter at most, spread over the alphabet.
    first = np.unique(parts.test.y[mended], return_index=True)[1]
    chosen = mended[first][:: max(1, len(first) // SHOWN)][:SHOWN]
    examples = parts.train.x.reshape(parts.classes, -1, *parts.shape)[:, 0]
    pictures = [parts.test.x[chosen], *(examples[a[chosen]] for a in answers)]
    return {"letters": np.stack(pictures, axis=1)[..., 0].astype(np.float16)}


def headline(rows):
    """Whether transfer beats the strong baseline and training from scratch."""
    answer, worst = SCORING.headline(rows)
    latin = [row for row in measured(rows) if row["source"] == "latin"]
    for architecture, depth in dict.fromkeys(map(net_of, latin)):
        own = [row for row in latin if net_of(row) == (architecture, depth)]
        plain = own[0]["score"] - own[0]["gain"]
        late = any(
            row["unfinished"]
            for row in measured(rows)
            if row["source"] == NONE and net_of(row) == (architecture, depth)
        )
        answer += (
            f" {words(architecture).capitalize()} nets of {counted(depth, 'layer')}: "
            f"{plain:.3f} from scratch{', still learning' * late}, "
            f"{own[0]['longer']:.3f} with the steps of both nets; {ways(own)}."
        )
    return Headline(answer, worst)


def net_of(row):
    return row["architecture"], row["depth"]


def ways(rows):
    """What the least and the most of Latin layers give, frozen and tuned."""
    cuts = sorted({row["cut"] for row in rows})
    cuts = [cuts[0], cuts[-1]][: len(cuts)]
    given = []
    for kept in dict.fromkeys(row["kept"] for row in rows):
        by_cut = {row["cut"]: row["score"] for row in rows if row["kept"] == kept}
        scores = [f"{by_cut[cut]:.3f}" for cut in cuts if cut in by_cut]
        given.append(f"{' and '.join(scores)} {kept}")
    layers = "layer" if cuts == [1] else "layers"
    return f"with {' and '.join(map(str, cuts))} Latin {layers} {', '.join(given)}"


def figures_of(rows, profiles):
    caption = (
        "Test accuracy on Greek and Cyrillic letters by the number of first layers that "
        "are copied, 95 % intervals over seeds; Latin: from a net that learned Latin "
        "letters, target: from one that learned the same task. Right: drawings that a "
        "net from scratch misreads, what it takes them for, and what they are taken "
        "for, rightly, with layers copied from Latin."
    )
    return [Figure("figure", caption, lambda: draw(rows, profiles))]


def draw(rows, profiles):
    """A panel for each net, and letters."""
    done = measured(rows)
    kinds = sorted(set(map(net_of, done)))
    top = 1.05 * max(max(row["score_high"] or 0, row["strong"]) for row in done)
    mended = best_of(done)
    count = len(kinds) + (mended is not None)
    figure = figures.new(3.6 * count, 3.4)
    parts = figure.subfigures(1, count, squeeze=False)[0]
    for part, kind in zip(parts, kinds, strict=False):
        axes = part.subplots()
        draw_cuts(axes, [row for row in done if net_of(row) == kind])
        axes.set_title(f"{SCORING.noun}: {kind[0]}, depth {kind[1]}", loc="left")
        axes.set_ylim(0, top)
    if mended is not None:
        draw_letters(parts[-1], profiles(mended)["letters"])
    return figure


def best_of(rows):
    """The row whose letters are shown."""
    tuned = [r for r in rows if (r["source"], r["kept"]) == ("latin", "tuned")]
    return SCORING.best(tuned) if tuned else None


def draw_cuts(axes, rows):
    """Accuracy against the cut, a line for each source and way."""
    lines = {}
    for row in sorted(rows, key=lambda row: row["cut"]):
        lines.setdefault((row["source"], row["kept"]), []).append(row)
    for (source, kept), line in lines.items():
        if source != NONE:
            colour, style = STYLES[source, kept]
            look = {"color": colour, "ls": style, "ms": 3, "lw": 1.3, "marker": "o"}
            at, score = [r["cut"] for r in line], [r["score"] for r in line]
            axes.plot(at, score, label=f"{source}, {kept}", **look)
            ends = zip(*((r["score_low"], r["score_high"]) for r in line), strict=True)
            low, high = (np.array(end, float) for end in ends)  # nan: of one seed
            axes.fill_between(at, low, high, color=colour, alpha=0.12, lw=0)
    row = rows[0]
    plain = row["score"] - row["gain"]
    for level, style, name in (
        (row["strong"], "--", SCORING.strong),
        (plain, "-", "from scratch"),
        (row["longer"], "-.", "with the steps of both"),
        (row["trivial"], ":", SCORING.trivial),
    ):
        axes.axhline(level, color="black", ls=style, lw=0.9, label=name)
    axes.set_xticks(sorted({row["cut"] for row in rows if row["cut"]}))
    axes.set_xlabel("first layers that are copied")
    axes.grid(alpha=0.25, lw=0.5)
    figures.legend_below(axes)


def draw_letters(figure, letters):
    """Rows of three drawings: the letter, what it was taken for, what it is taken for."""
    if not len(letters):
        figure.text(0.5, 0.5, "no letter was mended", ha="center")
        return
    grid = figure.subplots(3, len(letters), squeeze=False)
    names = ("drawn", "from scratch", "transferred")
    for place, name in enumerate(names):
        grid[place, 0].set_ylabel(name, fontsize=7)
        for axes, picture in zip(grid[place], letters[:, place], strict=True):
            wrong = place == 1
            axes.imshow(picture, cmap="Reds" if wrong else "Greys")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
    figure.suptitle("letters that transfer mends", fontsize=9, x=0.02, ha="left")
