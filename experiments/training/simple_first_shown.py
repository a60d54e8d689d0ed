"""How simple methods and nets are shown: learning curves, and gradient descent's."""

from depthbench.experiments.scores import Scoring
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import numpy as np

METHODS = ("linear", "tree", "forest", "kernel")
SCORING = Scoring(
    system="multilayer perceptron on small tables",
    noun="test accuracy, or R²",
    trivial="trivial answer",
    strong="best simple method",
    by=("table", "examples", "architecture"),
    naming=lambda row, net: (
        f"{net} on {row['examples']} rows of {row['table'].replace('_', ' ')}"
    ),
)
LOOKS = {"linear": "C0", "tree": "C1", "forest": "C2", "kernel": "C3"}


def headline(rows):
    """At how many tables and sizes nets lose, and where by most."""
    done = measured(rows)
    tables = {}
    for row in done:
        tables.setdefault((row["table"], row["examples"]), []).append(row)
    chosen = [SCORING.best(group) for group in tables.values()]
    sides = [SCORING.verdict(row) for row in chosen]
    counts = {side: sides.count(side) for side in ("loses", "ties", "wins")}
    lost = [row for row, side in zip(chosen, sides, strict=True) if side == "loses"]
    where = listed(f"{row['table']} with {row['examples']} rows" for row in lost)
    where = f", {where}" if lost else ""
    behind = sum(row["gap"] < 0 for row in chosen)
    first = (
        f"The best simple method is surely ahead of the best net in {counts['loses']} of "
        f"{counted(len(chosen), 'case')} (a table, so many rows){where}; surely behind in "
        f"{counts['wins']}; by the mean over draws it is ahead in {behind}"
    )
    least = min(chosen, key=lambda row: row["gap"])
    worst = (
        f"Worst: {least['table']} with {least['examples']} rows, "
        f"{least['score']:.3f}; {SCORING.strong}: {least['strong']:.3f}."
    )
    return Headline(f"{first}. {descends(done)}", worst)


def descends(rows):
    """How far gradient descent comes, by the condition number."""
    ends = sorted(rows, key=lambda row: row["condition"])
    parts = [
        f"{row['excess']:.1g} of the variance above least squares' closed form where the "
        f"condition number is {row['condition']:,.0f}"
        for row in (ends[0], ends[-1])[: len({row["condition"] for row in ends})]
    ]
    return (
        f"After {rows[0]['descent_steps']:,} steps, of the size that is best for the "
        f"slowest part, gradient descent is {' and '.join(parts)}."
    )


def summary(rows):
    """The table of the most rows of the first table: the diabetes, where it is."""
    done = measured(rows)
    first = [row for row in done if row["table"] == done[0]["table"]]
    most = max(row["examples"] for row in first)
    noun = "R²" if done[0]["table"] == "diabetes" else "test accuracy"
    scoring = SCORING._replace(noun=noun)
    return scoring.summary([row for row in first if row["examples"] == most])


def figures_of(rows, profiles):
    caption = (
        "Test accuracy, of the diabetes R², by the number of rows that are learned from "
        "and chosen by: simple methods, each tuned by cross-validation, and nets (black) "
        "with 95 % intervals over draws of the rows; dotted: the trivial answer. Right: "
        "how far gradient descent on least squares is from the closed form, with the most "
        "rows; dashed: as the condition number says."
    )
    return [Figure("figure", caption, lambda: draw(rows, profiles))]


def draw(rows, profiles):
    """A panel for each table, and gradient descent."""
    done = measured(rows)
    names = list(dict.fromkeys(row["table"] for row in done))
    figure = figures.new(3.1 * (len(names) + 1), 3.4)
    panels = figure.subplots(1, len(names) + 1)
    for place, (axes, name) in enumerate(zip(panels, names, strict=False)):
        draw_curves(axes, [row for row in done if row["table"] == name], place == 0)
        axes.set_title(
            f"{name}: {'R²' if name == 'diabetes' else 'accuracy'}", loc="left"
        )
    draw_descent(panels[-1], done, names, profiles)
    return figure


def draw_curves(axes, rows, named):
    """Scores of methods and nets by the number of rows. named: with a legend."""
    by_count = {row["examples"]: row for row in rows}
    at = sorted(by_count)
    for name, colour in LOOKS.items():
        level = [by_count[count][name] for count in at]
        axes.plot(at, level, "o-", ms=3, lw=1.2, color=colour, label=name)
    level = [by_count[count]["trivial"] for count in at]
    axes.plot(at, level, ":", color="black", lw=1, label=SCORING.trivial)
    kinds = sorted({(row["architecture"], row["depth"]) for row in rows})
    for place, (architecture, depth) in enumerate(kinds):
        line = [
            r for r in rows if (r["architecture"], r["depth"]) == (architecture, depth)
        ]
        line.sort(key=lambda row: row["examples"])
        where = [row["examples"] * 1.04**place for row in line]  # beside each other
        score = np.array([row["score"] for row in line])
        ends = [
            [np.nan if r[e] is None else r[e] for r in line]
            for e in ("score_low", "score_high")
        ]
        reach = np.abs(np.array(ends, float) - score)
        look = {"color": "black", "alpha": 1 - 0.6 * place / len(kinds), "marker": "s"}
        label = f"{architecture}, depth {depth}"
        axes.errorbar(where, score, reach, ms=3, lw=1.2, label=label, **look)
    # An interval over three draws is wide: it is cut off where there is nothing else.
    shown = [row[name] for row in rows for name in (*METHODS, "score", "trivial")]
    room = 0.08 * (max(shown) - min(shown))
    axes.set_ylim(min(shown) - room, max(shown) + room)
    axes.set_xscale("log")
    axes.set_xticks(at, [str(count) for count in at])
    axes.minorticks_off()
    axes.set_xlabel("rows")
    axes.grid(alpha=0.25, lw=0.5)
    if named:
        axes.legend(fontsize=6, frameon=False)


def draw_descent(axes, rows, names, profiles):
    """Distances from the closed form, and as the condition number has them."""
    for place, name in enumerate(names):
        row = max((r for r in rows if r["table"] == name), key=lambda r: r["examples"])
        distance = profiles(row)["distance"][0]
        every = max(1, row["descent_steps"] // 200)
        at = np.arange(len(distance)) * every
        label = f"{name}, κ = {row['condition']:,.0f}"
        axes.plot(at, distance, color=f"C{place}", lw=1.3, label=label)
        factor = (row["condition"] - 1) / (row["condition"] + 1)
        axes.plot(at, factor**at, color=f"C{place}", lw=0.9, ls="--")
    axes.set_yscale("log")
    axes.set_ylim(1e-7, 2)
    axes.set_xlabel("step")
    axes.set_title("distance from the closed form", loc="left")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6, frameon=False)
