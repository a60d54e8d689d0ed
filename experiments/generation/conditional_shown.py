"""How `conditional_gan` is shown: who is ahead in which translation, and photographs."""

from depthbench.experiments.generation import translations
from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import numpy as np

STYLES = {  # of (architecture, objective): what it is called, and its colour
    ("unet", "l1"): ("U-Net, L1", "C0"),
    ("unet", "l1_gan"): ("U-Net, L1 + GAN", "C1"),
    ("unet_plain", "l1"): ("no skips, L1", "C2"),
    ("unet_plain", "l1_gan"): ("no skips, L1 + GAN", "C3"),
}
AHEAD = {
    "loses": "the strong baseline is ahead in",
    "ties": "neither is surely ahead in",
    "wins": "the net is ahead in",
}
ELSEWHERE = {"loses": "behind", "wins": "ahead"}
PALE = 0.5  # of nets that are not of the most layers
GAP = 2  # pixels between photographs
SHOWN = (0, 2, 3)  # of the known photographs: those with something in their right edge
COLUMNS = (("unet", "l1"), ("unet", "l1_gan"), ("unet_plain", "l1"))


def headline(scoring, rows):
    """Who is ahead in each translation, by the net that held-out patches choose: on other
    parts of the photographs that were learned from, and on photographs of their own."""
    done = measured(rows)
    best = best_of_each(scoring, done)
    parts, others = (
        ahead(scoring, best, with_scores),
        ahead(scoring, map(of_unseen, best), word),
    )
    answer = (
        "In PSNR of photographs partly seen, net against the best without one, both of the "
        f"patch alone, {parts}. On photographs of which neither saw anything {others}. "
        f"Each net was trained on {done[0]['steps'] * done[0]['batch']:,} patches."
    )
    return Headline(answer, behind_most(scoring, done))


def behind_most(scoring, rows):
    """The net that is furthest behind the best method without one, in a sentence."""
    row = min(rows, key=lambda row: row["gap"])
    net, strong, given = (scoring.write(row[n]) for n in ("score", "strong", "trivial"))
    return (
        f"Worst beside the best without a net: {net} against {strong} "
        f"({scoring.name(row)}); {scoring.trivial}: {given}."
    )


def summary(scoring, rows):
    """The line of colours, the paper's own translation, that says how others end."""
    done = measured(rows)
    line = scoring.summary(of_colour(done))
    shown = of_colour(done)[0]["translation"]
    others = [row for row in best_of_each(scoring, done) if row["translation"] != shown]
    told = [
        f"{words} in {listed(map(word, found))}"
        for verdict, words in ELSEWHERE.items()
        if (found := [row for row in others if scoring.verdict(row) == verdict])
    ]
    return line._replace(net="; ".join((line.net, *told)))


def best_of_each(scoring, rows):
    """The row of each translation that held-out patches choose."""
    names = dict.fromkeys(row["translation"] for row in rows)
    return [scoring.best([r for r in rows if r["translation"] == n]) for n in names]


def word(row):
    return translations.OF[row["translation"]].words


def with_scores(row):
    return f"{word(row)} ({row['score']:.2f} against {row['strong']:.2f} dB)"


def ahead(scoring, rows, told_as):
    """Who is ahead in the translation of each of these rows. told_as: a row in words."""
    told = {verdict: [] for verdict in AHEAD}
    for row in rows:
        known = row.get("gap_test_se") is not None  # an error of its few photographs
        told[scoring.verdict(row) if known else "ties"].append(told_as(row))
    return "; ".join(
        f"{AHEAD[v]} {listed(names)}" for v, names in told.items() if names
    )


def of_unseen(row):
    """A row whose score is that of photographs that nothing was learned from."""
    score, strong = row["unseen"], row["unseen_strong"]
    gap = {"gap": score - strong, "gap_se": row["unseen_se"]}
    gap |= {
        f"gap_{end}": row.get(f"unseen_{end}") for end in ("test_se", "test_groups")
    }
    return {**row, "score": score, "score_by_seed": None, "strong": strong, **gap}


def of_colour(rows):
    """Rows of colours, the paper's own translation; all where it was not asked for."""
    return [row for row in rows if row["translation"] == "colour"] or rows


def figures(scoring, rows, profiles):
    """The pictures of a run's rows. scoring: of the study."""
    done = measured(rows)
    curves = (
        "Left: decibels by which nets are ahead of the best method without a net, one "
        "group for each translation, from shallow (pale) to deep; 95 % intervals over "
        "seeds. Right: Fréchet distance of images from true ones of other patches by a "
        "fixed judge; lower looks more real, dashes are the best method without a net, "
        "dotted the floor: true images."
    )
    shown = (
        "Right edges of three photographs, of which nets learned from the left alone; "
        "nets of one depth, that which held-out patches choose. Tiles are patches."
    )
    return [
        Figure("figure", curves, lambda: draw_curves(done)),
        Figure("photographs", shown, lambda: draw_pictures(scoring, done, profiles)),
    ]


def draw_curves(rows):
    figure = drawn.new(11.0, 3.6)
    left, right = figure.subplots(1, 2)
    names = list(dict.fromkeys(row["translation"] for row in rows))
    depths = sorted({row["depth"] for row in rows})
    kinds = [kind for kind in STYLES if any(key(row) == kind for row in rows)]
    width = 0.8 / (len(kinds) * len(depths))
    for row in rows:
        order = kinds.index(key(row)) * len(depths) + depths.index(row["depth"])
        at = names.index(row["translation"]) - 0.4 + (order + 0.5) * width
        label, colour = STYLES[key(row)]
        shade = 1.0 if row["depth"] == depths[-1] else PALE
        named = label if at < 0.5 and row["depth"] == depths[-1] else None
        half = (row["score_high"] or row["score"]) - row["score"]
        style = {"color": colour, "alpha": shade, "ms": 5}
        left.errorbar(at, row["gap"], half, fmt="o", lw=1.2, label=named, **style)
        right.plot(at, row["distance"], "o", **style)
        (dash,) = right.plot(at, row["strong_distance"], "_", color="black", ms=6)
    titles = (
        "dB ahead of the best without a net",
        "Fréchet distance from true patches",
    )
    for axes, title in zip((left, right), titles, strict=True):
        axes.set_xticks(range(len(names)), [translations.OF[n].words for n in names])
        axes.set_title(title, loc="left")
        axes.grid(alpha=0.25, lw=0.5, axis="y")
    left.axhline(0, color="black", lw=0.8)
    drawn.legend_below(left, 4)
    dash.set_label("best without a net")
    true = {"color": "black", "lw": 0.8, "ls": ":", "label": "true images"}
    right.axhline(rows[0]["floor_distance"], **true)
    for depth in depths:
        shade = 1.0 if depth == depths[-1] else PALE
        label = counted(depth, "layer")
        right.plot([], [], "o", color="grey", alpha=shade, ms=5, label=label)
    right.set_yscale("log")
    drawn.legend_below(right, 4)
    return figure


def key(row):
    return row["architecture"], row["objective"]


def draw_pictures(scoring, rows, profiles):
    """A row for each translation: given, without a net, nets, truth."""
    names = list(dict.fromkeys(row["translation"] for row in rows))
    kinds = [kind for kind in COLUMNS if any(key(row) == kind for row in rows)]
    columns = ["given", "best without a net", *(STYLES[k][0] for k in kinds), "truth"]
    figure = drawn.new(1.9 * len(columns), 0.95 * len(names) + 0.3)
    panels = figure.subplots(len(names), len(columns), squeeze=False)
    for line, name in zip(panels, names, strict=True):
        own = [row for row in rows if row["translation"] == name]
        depth = scoring.best(own)["depth"]
        at = {key(row): row for row in own if row["depth"] == depth}
        held = {kind: profiles(row) for kind, row in at.items()}
        one = next(iter(held.values()))
        images = [one["given"], one["strong"]]
        images += [held[kind]["net"] if kind in held else None for kind in kinds]
        for axes, image in zip(line, [*images, one["truth"]], strict=True):
            drawn.bare(axes)
            if image is not None:
                axes.imshow(side_by_side(image), interpolation="none")
        line[0].set_ylabel(translations.OF[name].words, fontsize=8)
    for axes, title in zip(panels[0], columns, strict=True):
        axes.set_title(title, fontsize=8)
    return figure


def side_by_side(images):
    """[height, width, 3] of photographs [count, height, width, 3], with white between."""
    edge = ((0, 0), (0, 0), (0, GAP), (0, 0))
    shades = images[list(SHOWN)] & 0xFC  # noise of six bits is a smaller file
    padded = np.pad(shades, edge, constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-GAP]
