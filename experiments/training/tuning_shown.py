"""Sentences, tables and pictures of `tuning`."""

from depthbench.experiments.scores import words
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import listed, measured
from depthbench.research.study.tables import Table, number, with_error

with lazily():
    import numpy as np


def headline(rows, scoring):
    """The strong baseline where it is ahead; how many settings train, by depth."""
    done = measured(rows)
    best, last = scoring.headline(rows)
    lead = best if scoring.verdict(scoring.best(done)) != "wins" else ""
    kinds = listed(
        f"{words(name)} nets {by_depth(done, name)}"
        for name in dict.fromkeys(row["architecture"] for row in done)
    )
    answer = f"{lead} Share of random settings that train, by layers: {kinds}.".strip()
    return Headline(answer, last)


def by_depth(rows, architecture):
    """ "0.52 (1), 0.31 (16)": shares that train, of one kind of net."""
    of = [row for row in rows if row["architecture"] == architecture]
    of = sorted(of, key=lambda row: (row["activation"], row["depth"]))
    return ", ".join(f"{row['trains']:.2f} ({row['depth']})" for row in of)


def tables(rows, scoring):
    """What a search finds, and the columns that all systems share."""
    heads = (
        *("net", "layers", "settings that train", "best of 2", "trials to 90 %"),
        *("random search", "grid", "random less grid"),
    )
    body = tuple(
        (
            f"{row['architecture']} {row['activation']}",
            str(row["depth"]),
            with_error(row["trains"], row["trains_se"], ".2f"),
            number(row["best_of_2"]),
            number(row["trials_to_90"]),
            scoring.write(row["score"]),
            scoring.write(row["grid"]),
            with_error(row["lead"], row["lead_se"], "+.3f"),
        )
        for row in measured(rows)
    )
    return [Table("searches of as many trials", heads, body), scoring.table(rows)]


def figures_of(rows, profiles, scoring):
    """Settings as points, coloured by accuracy; best-of-n curves."""
    done = measured(rows)
    if not done:
        return []
    points = (
        "Random settings of each net, by learning rate and weight variance (the larger "
        "a point the more momentum), coloured by validation accuracy: yellow trains, dark "
        "does not."
    )
    curves = (
        "Left: the validation accuracy that the best of n random settings is expected to "
        "have. Right: the share of settings that train, 95 % intervals over searches."
    )
    return [
        Figure("figure", points, lambda: draw_points(done, profiles)),
        Figure("curves", curves, lambda: draw_curves(done, profiles)),
    ]


def draw_points(rows, profiles):
    """The figure: nets below each other, depths side by side."""
    kinds = list(dict.fromkeys((r["architecture"], r["activation"]) for r in rows))
    depths = sorted({row["depth"] for row in rows})
    figure = figures.new(2.7 * max(len(depths), 2), 2.5 * len(kinds))
    panels = figure.subplots(len(kinds), len(depths), squeeze=False)
    image = None
    for row in rows:
        line = kinds.index((row["architecture"], row["activation"]))
        axes = panels[line][depths.index(row["depth"])]
        kept = profiles(row)
        rate, variance, momentum = np.asarray(kept["places"]).T
        image = axes.scatter(
            -4 + rate * (np.log10(3.0) + 4),
            -1 + variance * (np.log10(20.0) + 1),
            s=8 + 40 * momentum,
            c=kept["valid"],
            cmap="viridis",
            vmin=0,
            vmax=1,
            linewidths=0,
        )
        name = (
            f"{row['architecture']}, {row['depth']} layers: {row['trains']:.0%} train"
        )
        axes.set_title(name, loc="left", fontsize=7)
    for axes in panels[-1]:
        axes.set_xlabel("log10 learning rate")
    for line in panels:
        line[0].set_ylabel("log10 weight variance")
    if image is not None:
        figure.colorbar(image, ax=panels, label="validation accuracy", shrink=0.8)
    return figure


def draw_curves(rows, profiles):
    """The figure: the expected best of n, and shares that train by depth."""
    figure = figures.new(7.4, 3.3)
    left, right = figure.subplots(1, 2)
    kinds = list(dict.fromkeys((r["architecture"], r["activation"]) for r in rows))
    depths = sorted({row["depth"] for row in rows})
    for row in rows:
        curve = np.asarray(profiles(row)["curve"])
        kind = (row["architecture"], row["activation"])
        style = ("-", "--", ":", "-.")[kinds.index(kind) % 4]
        label = f"{kind[0]}, {row['depth']}"
        ink = f"C{depths.index(row['depth'])}"
        left.plot(np.arange(1, len(curve) + 1), curve, style, color=ink, label=label)
    left.set_xscale("log", base=2)
    left.set_xlabel("trials")
    left.set_title("expected best of n settings", loc="left")
    left.legend(fontsize=6, frameon=False)
    for place, kind in enumerate(kinds):
        of = [r for r in rows if (r["architecture"], r["activation"]) == kind]
        of = sorted(of, key=lambda row: row["depth"])
        at = [row["depth"] for row in of]
        ends = [[r[f"trains{e}"] or 0.0 for r in of] for e in ("_low", "_high")]
        right.plot(
            at, [r["trains"] for r in of], "o-", color=f"C{place}", label=kind[0]
        )
        right.fill_between(at, *ends, color=f"C{place}", alpha=0.15, lw=0)
    right.set_xscale("log", base=2)
    right.set_xticks(depths, [str(depth) for depth in depths])
    right.minorticks_off()
    right.set_ylim(0, 1)
    right.set_xlabel("layers")
    right.set_title("share of settings that train", loc="left")
    right.legend(fontsize=6, frameon=False)
    return figure
