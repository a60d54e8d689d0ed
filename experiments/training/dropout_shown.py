"""What dropout and weight decay add, made of rows, and how it is shown."""

import functools

from depthbench.experiments import comparisons
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import pairs
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, measured
from depthbench.research.study.plan import grouped
from depthbench.research.study.tables import Mark, Table

with lazily():
    import numpy as np

    from depthbench.research.theory import dropout as theory

MOST, DARK = 5.0, 3.5  # points: where colours end, and from where on they are dark
REACH = 6  # ξ_c: to where Schoenholz et al. saw nets train
NAMES = {"dropout": "dropout", "l2": "weight decay"}  # of what adds anything
SCORING = Scoring(
    system="net with dropout",
    noun="test accuracy",
    trivial="largest class",
    strong="RBF SVM",
    by=("net",),
    naming=lambda row, net: net + row["net"].removeprefix("net"),
)

# ------------------------------------------------------------------ gains, from rows


def chosen(rows):
    """Of each method at each depth and size the row whose keep is best, by `valid`."""
    by = grouped(
        measured(rows), lambda row: (row["train"], row["depth"], row["method"])
    )
    return {key: SCORING.best(group) for key, group in by.items()}


def against(rows, one, other):
    """Test accuracy of a method over another's, at each size and depth."""
    best = chosen(rows)
    return [
        {
            **pairs.joint([row, best[train, depth, other]]),
            **{name: row[name] for name in ("train", "depth", "keep", "seeds")},
            **comparisons.apart(row, best[train, depth, other]),
        }
        for (train, depth, method), row in best.items()
        if method == one and (train, depth, other) in best
    ]


def grown(rows):
    """At each depth, dropout's gain with most examples less that with fewest."""
    gains = against(rows, "dropout", "none")
    sizes = sorted({row["train"] for row in gains})
    if len(sizes) < 2:
        return []
    few, many = (
        {row["depth"]: row for row in gains if row["train"] == size}
        for size in (sizes[0], sizes[-1])
    )
    return [
        {
            **pairs.joint([few[depth], row]),
            "depth": depth,
            "train": f"{sizes[0]} to {sizes[-1]}",
            "seeds": row["seeds"],
            **comparisons.apart(row, few[depth], "gap"),
        }
        for depth, row in many.items()
        if depth in few
    ]


@functools.cache
def reach(keep):
    """ξ_c in layers, by theory; None where nothing is dropped, as it is infinite.

    At the variance that keeps lengths: ReLU's correlations are the same at any.
    """
    if keep == 1:
        return None
    return theory.scale(theory.layer(ACTIVATIONS["relu"], 2 * keep, 0.0, keep))


def largest(rows):
    """The rows of the largest training part, their nets named."""
    most = max(row["train"] for row in measured(rows))
    return [named(row) for row in rows if row["train"] == most]


def named(row):
    """The row, and what its net is called."""
    name = NAMES.get(row["method"], "neither")
    kept = f" (keep {row['keep']:g})" if row["method"] == "dropout" else ""
    return {**row, "net": f"net with {name}{kept}"}


# ---------------------------------------------------------------------- what is shown


def headline(rows):
    """The best net beside the SVM, which method is better, and what each adds."""
    first = SCORING.headline(largest(rows))
    said = [_added(rows, method) for method in NAMES]
    added = "; ".join(words for words in said if words)
    added = f" {added[0].upper()}{added[1:]}." if added else ""
    return Headline(first.answer + _better(rows) + added, first.worst)


def _better(rows):
    """At how many sizes and depths dropout is better than weight decay."""
    sides = [SCORING.verdict(row) for row in known(rows, "dropout", "l2")]
    if not sides:
        return ""
    return (
        f" Dropout is surely better than weight decay at {sides.count('wins')} of "
        f"{len(sides)} combinations of depth and examples, surely worse at "
        f"{sides.count('loses')}."
    )


def known(rows, one, other):
    """Of `against` those that have a number."""
    return [row for row in against(rows, one, other) if row["gap"] is not None]


def _added(rows, method):
    """Where a method adds least, and where most."""
    gains = known(rows, method, "none")
    if not gains:
        return ""
    ends = [f(gains, key=lambda row: row["gap"]) for f in (min, max)]
    said = dict.fromkeys(
        f"{100 * row['gap']:+.1f} points ({row['train']} examples, "
        f"{counted(row['depth'], 'layer')})"
        for row in ends
    )
    return f"{NAMES[method]} adds {' to '.join(said)}"


def tables(rows):
    """What each adds, by size and depth; then all nets."""
    by_size = SCORING._replace(by=("train", "net"))
    gains = {
        method: {
            (row["train"], row["depth"]): row for row in against(rows, method, "none")
        }
        for method in NAMES
    }
    places = sorted({place for rows_of in gains.values() for place in rows_of})
    body = tuple(
        (
            str(train),
            str(depth),
            *(_gain(gains[method].get((train, depth))) for method in gains),
            *(
                f"{row['keep']:g}"
                for row in [gains["dropout"].get((train, depth))]
                if row
            ),
        )
        for train, depth in places
        if (train, depth) in gains["dropout"]
    )
    headers = ("train", "depth", "dropout", "weight decay", "keep")
    title = "Points of test accuracy over a net with neither"
    return [
        Table(title, headers, body),
        by_size.table([named(row) for row in rows], more=("learned", "decay", "xi")),
    ]


def _gain(row):
    if row is None or row["gap"] is None:
        return "-"
    text = f"{100 * row['gap']:+.1f}"
    if row["gap_se"] is None:
        return text
    sure = SCORING.verdict(row)
    mark = {"wins": "good", "loses": "bad"}.get(sure)
    text += f" ± {100 * pairs.gap(row).spread:.1f}"
    return Mark(text, mark) if mark else text


def figures_of(rows, profiles):
    caption = (
        "Left and middle: points of test accuracy that dropout and weight decay add, by "
        "depth and number of training examples, a fifth of which chose keep, decay and "
        "rate. Right: share of the training examples that nets with most of them have "
        "learned; dotted: 6 ξ_c of the same colour, where theory's depth ends."
    )
    return [Figure("figure", caption, lambda: _draw(measured(rows)))]


def _draw(rows):
    figure = figures.new(11.0, 3.4)
    panels = figure.subplots(1, 3)
    for axes, (method, name) in zip(panels[:2], NAMES.items(), strict=True):
        _draw_gains(axes, against(rows, method, "none"), f"points {name} adds")
    _draw_learned(panels[2], largest(rows))
    return figure


def _draw_gains(axes, gains, title):
    """A square for each depth and size, and the number in it."""
    depths = sorted({row["depth"] for row in gains})
    sizes = sorted({row["train"] for row in gains})
    grid = np.full((len(sizes), len(depths)), np.nan)
    for row in gains:
        place = sizes.index(row["train"]), depths.index(row["depth"])
        grid[place] = 100 * row["gap"]
        style = {"ha": "center", "va": "center", "size": 8}
        style["color"] = "white" if abs(grid[place]) > DARK else "black"
        axes.text(*place[::-1], f"{grid[place]:+.1f}", **style)
    ends = {"vmin": -MOST, "vmax": MOST}
    axes.imshow(grid, cmap="PuOr", **ends, origin="lower", aspect="auto")
    axes.set_xticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set_yticks(range(len(sizes)), [str(size) for size in sizes])
    axes.set_xlabel("depth")
    axes.set_ylabel("training examples")
    axes.set_title(title, loc="left")


def _draw_learned(axes, rows):
    """Training accuracy by depth for each keep, and theory's 6 ξ_c."""
    lines = grouped(
        [row for row in rows if row["method"] != "l2"], lambda row: row["keep"]
    )
    for place, (keep, group) in enumerate(sorted(lines.items(), reverse=True)):
        group = sorted(group, key=lambda row: row["depth"])
        at = [row["depth"] for row in group]
        label = "nothing dropped" if keep == 1 else f"keep {keep:g}"
        style = {"color": f"C{place}", "label": label}
        axes.plot(at, [row["learned"] for row in group], "o-", ms=3, lw=1.3, **style)
        if keep < 1:
            axes.axvline(REACH * reach(keep), color=f"C{place}", ls=":", lw=1)
    depths = sorted({row["depth"] for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.minorticks_off()
    axes.set_ylim(0, 1.05)
    axes.set_xlabel("depth")
    axes.set_title("training accuracy, and 6 ξ_c", loc="left")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6, frameon=False)


def summary(rows):
    """The line in the table of all systems: of nets with dropout and most examples."""
    dropped = [row for row in measured(rows) if row["method"] == "dropout"]
    return SCORING.summary(largest(dropped or rows))
