"""How two tasks are shown: accuracy and cosine by what is shared, and drawings."""

from depthbench.experiments.scores import Scoring
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, measured

with lazily():
    import numpy as np

    from depthbench.research.datasets import glyphs

SCORING = Scoring(
    system="net with a branch for each task",
    noun="share of letters read",
    trivial="one letter always",
    strong="RBF SVM",
    by=("second", "architecture", "depth"),
    axis="shared",
    naming=lambda row, net: f"{net}, {row['shared']} shared with the {row['second']}",
)
MORE = ("gain", "ahead", "other", "other_strong", "cosine_start", "cosine_end")
SHOWN = 12  # drawings in the picture
COLOURS = {"script": "C0", "font": "C1"}


def profile(own, tuned, share):
    """Test drawings with what the first seed's net says of them.

    drawings: [drawings, side, side]. answers, asked: [drawings, 2], of letter and second
    task.
    """
    x, targets = share
    chosen = np.linspace(0, len(x) - 1, SHOWN).astype(int)
    said = tuned.runs[0].answers(x[chosen])
    asked = np.stack([y[chosen] for y in targets], axis=1)
    drawings = x[chosen][..., 0].astype(np.float16)
    return {"drawings": drawings, "answers": np.stack(said, axis=1), "asked": asked}


def headline(rows):
    """Whether sharing beats the strong baseline, and nets of their own."""
    answer, worst = SCORING.headline(rows)
    for second in dict.fromkeys(row["second"] for row in measured(rows)):
        shared = [r for r in measured(rows) if r["second"] == second and r["shared"]]
        if shared:
            answer += (
                f" Learned beside the {second}, letters change by {gain_of(shared)}."
            )
    return Headline(answer, worst)


def gain_of(rows):
    """What the most shared layers give, and their tasks' cosine."""
    row = max(rows, key=lambda row: row["shared"])
    return (
        f"{signed(row['gain'], 3)} with {counted(row['shared'], 'shared layer')} (cosine "
        f"of the gradients {signed(row['cosine_start'])} before training, "
        f"{signed(row['cosine_end'])} after)"
    )


def signed(value, digits=2):
    """A number with its sign, without one of 0; "-" where there is none."""
    return "-" if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def figures_of(rows, profiles):
    caption = (
        "Left: test accuracy of letters by how many first layers are shared, 95 % "
        "intervals over seeds; 0: two nets; dashed RBF SVM. Middle: cosine of the two "
        "tasks' gradients on the shared layers, before training (hollow) and after; "
        "below 0 they conflict. Right: test drawings with the letter and second label "
        "that the net gives, red where wrong."
    )
    return [Figure("figure", caption, lambda: draw(rows, profiles))]


def draw(rows, profiles):
    """Accuracy, cosine, drawings."""
    done = measured(rows)
    figure = figures.new(11.5, 3.4)
    left, middle, right = figure.subfigures(1, 3)
    scores, cosines = left.subplots(), middle.subplots()
    lines = {}
    for row in sorted(done, key=lambda row: row["shared"]):
        key = (row["second"], row["architecture"], row["depth"])
        lines.setdefault(key, []).append(row)
    for (second, architecture, depth), line in lines.items():
        name = f"letter and {second}, {architecture} {depth}"
        draw_line(scores, cosines, name, COLOURS.get(second), line)
    row = done[0]
    scores.axhline(row["strong"], color="black", ls="--", lw=0.9, label="RBF SVM")
    scores.axhline(row["trivial"], color="black", ls=":", lw=0.9, label=SCORING.trivial)
    cosines.axhline(0, color="black", lw=0.8)
    for axes, title in ((scores, SCORING.noun), (cosines, "cosine of the gradients")):
        axes.set_title(title, loc="left")
        axes.set_xticks(sorted({row["shared"] for row in done}))
        axes.set_xlabel("first layers that are shared")
        axes.grid(alpha=0.25, lw=0.5)
        figures.legend_below(axes, 1)
    scores.set_ylim(bottom=0)
    best = SCORING.best([row for row in done if row["shared"]] or done)
    draw_answers(right, best, profiles(best))
    return figure


def draw_line(scores, cosines, name, colour, rows):
    """A pair of tasks in both panels."""
    at = [row["shared"] for row in rows]
    scores.plot(
        at, [row["score"] for row in rows], "o-", ms=3, color=colour, label=name
    )
    ends = zip(*((r["score_low"], r["score_high"]) for r in rows), strict=True)
    low, high = (np.array(end, float) for end in ends)
    scores.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
    for end, face in (("start", "white"), ("end", colour)):
        known = [row for row in rows if row[f"cosine_{end}"] is not None]
        cosines.errorbar(
            [row["shared"] for row in known],
            [row[f"cosine_{end}"] for row in known],
            [row[f"cosine_{end}_se"] or 0 for row in known],
            **{"marker": "o", "ms": 4, "mfc": face, "lw": 1, "color": colour},
            label=f"{name}, {'before' if end == 'start' else 'after'} training",
        )


def draw_answers(figure, row, shown):
    """Drawings, each with both answers."""
    names = [glyphs.letters(row["letters"]).characters, second_names(row["second"])]
    grid = figure.subplots(3, SHOWN // 3).ravel()
    for axes, picture, said, asked in zip(
        grid, shown["drawings"], shown["answers"], shown["asked"], strict=True
    ):
        axes.imshow(picture, cmap="Greys")
        axes.set_axis_off()
        for n, (answer, right) in enumerate(zip(said, asked, strict=True)):
            colour = "black" if answer == right else "C3"
            place = {"transform": axes.transAxes, "ha": "center", "va": "top"}
            text = names[n][answer]
            axes.text(0.5, -0.02 - 0.17 * n, text, fontsize=6, color=colour, **place)
    figure.suptitle("read by both branches; red: wrong", fontsize=9, x=0.02, ha="left")


def second_names(second):
    """What the second task's labels are called."""
    if second == "font":
        return [name.removeprefix("DejaVu") for name in glyphs.FONTS]
    return sorted(glyphs.SCRIPTS)  # as labels are numbered
