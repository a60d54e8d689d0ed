"""Sentences, tables and pictures of `local_minima`."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import measured
from depthbench.research.study.tables import Table, number

with lazily():
    import numpy as np

LEAST = 1e-6  # nats: smaller losses are shown as this
TASKS = ("parity", "digits")


def hardest(rows):
    """The rows of the task that a linear net cannot learn, if there are any."""
    done = measured(rows)
    parity = [row for row in done if row["task"] == "parity"]
    return parity or done


def headline(rows, scoring):
    """How many starts end stuck by width, and what holds them."""
    done = hardest(rows)
    widths = sorted({row["width"] for row in done})
    low, high = (
        np.mean([row["stuck"] for row in done if row["width"] == width])
        for width in (widths[0], widths[-1])
    )
    caught = [row for row in done if row["at_rest"]]
    count = sum(row["at_rest"] for row in caught)
    at = sum(row["at_rest"] * row["saddles"] for row in caught)
    saddles = ""
    if count:
        saddles = (
            f"; of those at rest {at / count:.0%} are at a saddle, the others at a "
            "minimum or on a plateau"
        )
    best, worst = scoring.best(done), max(done, key=lambda row: row["stuck"])
    lead = ""
    if scoring.verdict(best) == "loses":
        lead = "The strong baseline, logistic regression, has the lower loss. "
    answer = (
        f"{lead}Stuck on {done[0]['task']}: {low:.0%} of the starts of {widths[0]} units, "
        f"{high:.0%} of {widths[-1]}{saddles}."
    )
    return Headline(
        answer, f"Worst: {scoring.name(worst)}: {worst['stuck']:.0%} stuck."
    )


def tables(rows, scoring):
    """Where starts end and what holds them, and the columns that all systems share."""
    heads = (
        *("task", "hidden layers", "units", "stuck", "median loss", "log10 deviation"),
        *("at rest", "on slopes", "at saddles", "log10 gradient", "least eigenvalue"),
    )
    names = (
        *("task", "depth", "width", "stuck", "median", "log10_deviation"),
        *("at_rest", "on_slopes", "saddles", "log10_gradient", "least_eigenvalue"),
    )
    body = tuple(tuple(number(row.get(n)) for n in names) for row in measured(rows))
    return [
        Table("ends of training, and what holds those that are stuck", heads, body),
        scoring.table(rows),
    ]


def figures_of(rows, profiles):
    """Histograms of final losses by width; least eigenvalues by loss."""
    done = measured(rows)
    if not done:
        return []
    caption = (
        "Final training losses of all starts, a colour a width. Last: of the starts with "
        "the largest losses, the least eigenvalue of the Hessian over its largest; below 0 "
        "there is a way down."
    )
    return [Figure("figure", caption, lambda: draw(done, profiles))]


def draw(rows, profiles):
    """The figure: a line of panels for each task: its depths, then eigenvalues."""
    tasks = [task for task in TASKS if any(row["task"] == task for row in rows)]
    depths = sorted({row["depth"] for row in rows})
    figure = figures.new(3.0 * (len(depths) + 1), 2.6 * max(len(tasks), 1.2))
    panels = figure.subplots(len(tasks), len(depths) + 1, squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        of = sorted(
            (r for r in rows if r["task"] == task), key=lambda row: row["width"]
        )
        for axes, depth in zip(line, depths, strict=False):
            draw_losses(axes, [row for row in of if row["depth"] == depth], profiles)
            axes.set_title(f"{task}, {depth} hidden", loc="left")
        draw_eigenvalues(line[-1], of, profiles)
    panels[0][0].legend(fontsize=6, frameon=False)
    return figure


def draw_losses(axes, rows, profiles):
    """A histogram of final losses, a colour a width."""
    edges = np.linspace(np.log10(LEAST), 0.6, 34)
    for place, row in enumerate(rows):
        logs = np.log10(np.maximum(profiles(row)["losses"], LEAST))
        style = {"color": f"C{place}", "histtype": "stepfilled", "alpha": 0.45}
        axes.hist(logs, edges, label=f"{row['width']} units", **style)
    axes.set_xlabel("log10 final loss")
    axes.set_ylabel("starts")


def draw_eigenvalues(axes, rows, profiles):
    """Least eigenvalue over the largest, by loss, a colour a width."""
    widths = sorted({row["width"] for row in rows})
    for row in rows:
        kept, ink = profiles(row), f"C{widths.index(row['width'])}"
        ratio = kept["least"] / np.maximum(np.abs(kept["largest"]), 1e-12)
        loss = np.maximum(kept["loss"], LEAST)
        axes.plot(loss, ratio, "o", color=ink, ms=2.5, alpha=0.6, mew=0)
    axes.axhline(0, color="black", lw=0.6)
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1e-3)
    axes.set_xlabel("final loss")
    axes.set_title("least over largest eigenvalue", loc="left")
