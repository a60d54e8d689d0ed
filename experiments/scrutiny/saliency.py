"""Does a saliency map point at the evidence, and does it know the weights?

Source: Adebayo et al. 2018, arXiv:1810.03292: maps of a net whose layers are made random
one after the other from the top should change. Those of gradients do; guided
backpropagation's hardly do while the higher layers alone are random.

There the evidence is known to nobody; here it is planted. A digit stands in one quarter of
a picture and other digits, their pixels shuffled, in the rest: the map's largest pixel
should be where the digit is. A map of the picture's brightness alone, or of nothing, finds
it once in four times. The strong baseline hides a window, place after place, and asks
the net again (Zeiler & Fergus 2014, arXiv:1311.2901). Explained is the logit of the true
label, of all test pictures.
"""

import functools

from depthbench.experiments import scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome
from depthbench.research.report import figures
from depthbench.research.study import claims
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Measured, Plan, Study, fixed
from depthbench.research.study.estimates import above, below, mean
from depthbench.research.study.headlines import counted, measured
from depthbench.research.study.tables import flat

with lazily():
    import numpy as np

    from depthbench.research.datasets import planted
    from depthbench.research.learning import fits, held_out, saliency, supervised

SOURCE = "Adebayo et al. 2018, arXiv:1810.03292"
METHODS = choices(
    "saliency method",
    gradient="the logit's gradient",
    gradient_input="gradient × picture",
    integrated="picture × the mean gradient from the zero picture",
    smooth="mean gradient of noisy copies (SmoothGrad)",
    guided="guided backpropagation",
    input="the picture itself",
)
SCORING = Scoring(
    system="saliency map",
    noun="pointing accuracy",
    trivial="random map",
    strong="occlusion",
    by=("method", "architecture"),
)
SKIPS = ("mlp", "residual_mlp_scaled")
GRID = 2  # quarters of a picture
CASCADE = 96  # pictures that are explained again, by nets made random
LEVELS = 5  # of the layers between head and stem
SHOWN = 2  # pictures of a row that are kept
NET = ("architecture", "activation", "depth")
PROTOCOL = (
    "digits among shuffled digits, 16 × 16, 64 units, Adam, 1,000 steps of 64, 3 seeds, "
    "360 test pictures"
)
ALIKE = f"{PROTOCOL}; Spearman's, over the pixels of 96 pictures, of |map|"
DRAWN = ("gradient", "integrated")  # by depth; all methods are in the table


@functools.cache
def boards(dataset, data_dir, copies):
    """The pictures to learn from, choose by and judge by; and how many classes."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    train, valid, test = (
        planted.planted(*part, seed=seed, copies=n, grid=GRID)
        for seed, (part, n) in enumerate(zip(parts[:3], (copies, 1, 1), strict=True))
    )
    return train, valid, test, parts.classes


def net_of(cell, board, classes):
    recipe = Recipe(
        **{name: cell[name] for name in NET},
        width=cell["width"],
        initializer="he_normal",
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(board.x.shape[1:], classes))


def measure(cells, shared, memory):
    """One Measured for each cell: methods that explain the same trained nets."""
    cell = cells[0]
    key = cell["dataset"], cell.get("data_dir"), cell["copies"]
    train, valid, test, classes = boards(*key)
    net = net_of(cell, train, classes)
    data = {"inputs": train.x, "targets": train.y}

    def held(runs):
        ended = sum(run.diverged is None for run in runs) / len(runs)
        right = np.mean([run.accuracy(valid.x, valid.y) for run in runs])
        return Outcome(ended=ended, accuracy=float(right))

    by_rate = fits.by_rate(net, data, cell["steps"], cell["seeds"])
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held)
    names = (*(cell["method"] for cell in cells), "occlusion")
    maps = saliency.mapper(net, names)
    points = {
        part: [pointed(maps, run, board) for run in tuned.runs]
        for part, board in (("valid", valid), ("test", test))
    }
    right = scores.spread(
        "accuracy", [run.accuracy(test.x, test.y) for run in tuned.runs], len(test.y)
    )
    before = fits.beforehand(net, data, cell["seeds"])
    shown = pictures(net, maps, tuned.runs[0], test, classes)
    alike = [likeness(maps, run, test) for run in tuned.runs]
    return [
        row(one["method"], points, right, before, tuned, shown, alike, len(test.y))
        for one in cells
    ]


def row(name, points, right, before, tuned, shown, alike, examples):
    """A method's Measured."""
    of = lambda part, what, method=name: [p[method][what] for p in points[part]]
    curve = np.array([one[name] for one in alike])
    values = scores.values(
        score=of("test", "points"),
        valid=float(np.mean(of("valid", "points"))),
        trivial=1 / GRID**2,
        strong=of("test", "points", "occlusion"),
        before=before,
        tuned=tuned,
        examples=examples,
    )
    values |= scores.spread("mass", of("test", "mass")) | right
    values |= scores.spread("kept_above", curve[:, -2])
    values |= scores.spread("kept", curve[:, -1])
    held = {"map": shown["maps"][name], "alike": curve.mean(axis=0)}
    kept = {n: shown[n] for n in ("picture", "place", "units", "random")}
    return Measured("ok", "", values, {**held, **kept})


def pointed(maps, run, board):
    """By method, the share of maps that point at the place, and their share in it."""
    made = maps(run.variables, board.x, board.y, run.seed)
    found = {}
    for name, one in made.items():
        cells = board.cells(saliency.sizes(one))
        shares = saliency.in_place(cells, board.place)
        found[name] = {what: float(np.mean(each)) for what, each in shares.items()}
    return found


def levels(depth):
    """How many layers below the head are made random, step by step: none … all."""
    between = np.linspace(0, depth, min(depth, LEVELS - 1) + 1).round().astype(int)
    return [-1, *dict.fromkeys(between.tolist()), depth + 1]


def likeness(maps, run, board):
    """By method, the rank correlation of maps with the trained net's [levels]."""
    some = board.x[:CASCADE], board.y[:CASCADE], run.seed
    fresh = fits.fresh(run.net, seed=1000 + run.seed).variables
    made = [
        {
            name: saliency.sizes(one)
            for name, one in maps(
                saliency.randomised(run.variables, fresh, layers), *some
            ).items()
        }
        for layers in levels(run.net.recipe.depth)
    ]
    correlation = saliency.rank_correlation
    return {
        name: [float(correlation(first, one[name]).mean()) for one in made]
        for name, first in made[0].items()
    }


def pictures(net, maps, run, board, classes):
    """Pictures, where their digit is, their maps, and what outputs are largest for."""
    x, y = board.x[:SHOWN], board.y[:SHOWN]
    made = maps(run.variables, x, y, run.seed)
    shown = min(classes, 10)
    start = np.random.RandomState(0).standard_normal((shown, *board.x.shape[1:]))
    units = saliency.maximised(net, run.variables, start.astype(np.float32))
    fresh = fits.fresh(net, seed=1000).variables
    random = saliency.randomised(run.variables, fresh, net.recipe.depth + 1)
    again = maps(random, x, y, run.seed)
    flat = lambda a: np.float16(saliency.sizes(a) / max(saliency.sizes(a).max(), 1e-30))
    return {
        "picture": np.float16(x.mean(axis=-1)),
        "place": board.place[:SHOWN],
        "maps": {name: flat(one) for name, one in made.items()},
        "random": flat(
            again["gradient"] if "gradient" in again else again["occlusion"]
        ),
        "units": np.float16(units.mean(axis=-1)),
    }


def versus(one, other, by, name, fixed_to=None):
    """Claims' rows: a column of the one value of an axis less the other's."""
    axis, key = by, tuple(n for n in ("method", *NET) if n != by)

    def of(rows):
        done = {(row[axis], *(row[n] for n in key)): row for row in rows}
        found = []
        for (value, *rest), row in done.items():
            beside = done.get((other, *rest))
            if value == one and beside is not None:
                errors = row[f"{name}_se"], beside[f"{name}_se"]
                known = None not in errors
                found.append(
                    {
                        **pairs.joint([row, beside]),
                        **{n: row[n] for n in ("method", *NET, "seeds")},
                        "gap": row[name] - beside[name],
                        "gap_se": float(np.hypot(*errors)) if known else None,
                    }
                )
        return found

    return of


def draw_alike(rows, profiles):
    """Draws how alike maps stay while layers are made random, in the deepest net."""

    def draw(figure, axes):
        done = measured(rows)
        deepest = max(row["depth"] for row in done)
        kind = next(row["architecture"] for row in done if row["depth"] == deepest)
        for row in done:
            if (row["depth"], row["architecture"]) == (deepest, kind):
                alike = profiles(row)["alike"]
                axes.plot(np.linspace(0, 1, len(alike)), alike, "o-", ms=3, lw=1.3)
                axes.lines[-1].set_label(row["method"])
        axes.axhline(0, color="black", lw=0.6)
        axes.set_title(
            f"map as it was? {kind}, {counted(deepest, 'layer')}", loc="left"
        )
        axes.set_xlabel("made random, from the top: none … all")
        axes.set_ylabel("rank correlation")
        axes.legend(fontsize=6, frameon=False)

    return draw


def draw_maps(rows, profiles):
    """Draws a picture, with its digit framed, beside its maps: a line a net."""
    lines = {}
    for row in measured(rows):
        lines.setdefault(tuple(row[n] for n in NET), []).append(row)
    names = list(dict.fromkeys(row["method"] for row in measured(rows)))
    wide = len(names) + 2
    figure = figures.new(1.1 * wide + 0.9, 1.2 * len(lines) + 0.3)
    grid = figure.subplots(len(lines), wide, squeeze=False)
    for line, (net, group) in enumerate(lines.items()):
        by_method = {row["method"]: row for row in group}
        first = profiles(group[0])
        images = [(first["picture"][0], "gray", "picture")]
        for name in names:
            known = name in by_method
            image = profiles(by_method[name])["map"][0] if known else None
            images.append((image, "magma", name))
        images.append((first["random"][0], "magma", "weights random"))
        for axes, (image, colours, title) in zip(grid[line], images, strict=True):
            framed(axes, image, colours, int(first["place"][0]))
            axes.set_title(title if line == 0 else "", fontsize=7)
        label = f"{net[0]}\n{counted(net[2], 'layer')}"
        grid[line][0].set_ylabel(label.replace("_mlp_scaled", " mlp"), fontsize=7)
    return figure


def framed(axes, image, colours, place):
    """An image, its planted quarter framed."""
    axes.set_xticks([])
    axes.set_yticks([])
    if image is None:
        return
    image = np.asarray(image, np.float32)
    axes.imshow(image, cmap=colours, interpolation="nearest")
    side = image.shape[0] // GRID
    top, left = divmod(place, GRID)
    corner = (left * side - 0.5, top * side - 0.5)
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, side, side, fill=False, ec="#2ecc71", lw=1.5))


def draw_units(rows, profiles):
    """Draws the pictures that each output is largest for: a line a net."""
    nets = {tuple(row[n] for n in NET): row for row in measured(rows)}
    images = {net: profiles(row)["units"] for net, row in nets.items()}
    wide = max(map(len, images.values()))
    figure = figures.new(0.8 * wide + 0.9, 0.85 * len(images) + 0.3)
    grid = figure.subplots(len(images), wide, squeeze=False)
    for line, (net, units) in enumerate(images.items()):
        for place, axes in enumerate(grid[line]):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.imshow(np.asarray(units[place], np.float32), cmap="gray")
            axes.set_title(str(place) if line == 0 else "", fontsize=7)
        label = f"{net[0]}\n{counted(net[2], 'layer')}"
        grid[line][0].set_ylabel(label.replace("_mlp_scaled", " mlp"), fontsize=6)
    return figure


def figures_of(rows, profiles):
    alike = (
        "Third: rank correlation of maps with those of the trained net, while its layers "
        "are made random from the head to the first."
    )
    drawn = [row for row in rows if row["method"] in DRAWN]
    return [
        Figure(
            "saliency",
            "One picture and its maps, by net (lines) and method; framed the quarter in "
            "which the digit stands, elsewhere are digits with shuffled pixels. Last: the "
            "gradient of a net whose weights are random.",
            lambda: draw_maps(rows, profiles),
        ),
        SCORING.figure(drawn or rows, alike, draw_alike(rows, profiles)),
        Figure(
            "units",
            "What each output is largest for, of pictures of one length: gradient ascent "
            "from noise (Erhan et al. 2009).",
            lambda: draw_units(rows, profiles),
        ),
    ]


def tables(rows):
    columns = ("score", "mass", "accuracy", "kept_above", "kept")
    return [
        SCORING.table(rows),
        flat(rows, ("method", "architecture", "depth", *columns)),
    ]


def kept(row):
    """How alike the map is to that of a net with random weights throughout."""
    return mean(row["kept"], row["kept_se"], row["seeds"])


LABEL = ("method", "architecture", "depth")
STUDY = Study(
    name="saliency",
    kind="experiment",
    question="Does a saliency map point at the evidence, and does it know the weights?",
    source=SOURCE,
    axes={
        "method": Axis("how the map is made", tuple(METHODS), METHODS),
        **scores.axes((1, 4, 16), SKIPS, known=SKIPS),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.pictured),
        "copies": whole("pictures made of each training image", (16,)),
        "steps": whole("steps of 64 examples", (1000,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "depth": (1, 2),
            "architecture": ("mlp",),
            "width": (16,),
            "copies": (2,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16, 64),
            "width": (512,),
            "dataset": ("fashion_mnist",),
            "copies": (1,),
            "steps": (4000,),
        },
    },
    plan=Plan(
        group=lambda cell: tuple(cell[name] for name in NET), cost=fixed(seconds=3.0)
    ),
    fit=nets.fit,
    measure="depthbench.experiments.scrutiny.saliency:measure",
    columns=(
        *("method", *NET, "width", *scores.COLUMNS, "mass", "mass_se"),
        *("accuracy", "kept_above", "kept_above_se", "kept", "kept_se"),
    ),
    claims=(
        Claim(
            "adebayo2018.gradient-knows-weights",
            "of a net whose layers are all made random, the gradient's map has a rank "
            "correlation of at most 0.2 with that of the trained net",
            SOURCE,
            estimate=kept,
            allows=below(0.2),
            protocol=ALIKE,
            differs="Inception v3 on ImageNet, nets on MNIST; the bar 0.2 is ours",
            published="gradients change with the weights",
            scope=lambda row: row["method"] == "gradient",
            doubt=claims.certain,  # of any trained net, however good
            label=LABEL,
        ),
        Claim(
            "adebayo2018.guided-ignores-top",
            "with all layers but the first made random, guided backpropagation's map "
            "stays more like the trained net's than the gradient's does",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=ALIKE,
            differs="convolutional nets on ImageNet and MNIST",
            published="guided backpropagation is invariant to higher layers",
            scope=lambda row: True,
            doubt=claims.certain,  # of any trained net, however good
            label=LABEL,
            of=versus("guided", "gradient", "method", "kept_above"),
        ),
        Claim(
            "adebayo2018.input-shows-through",
            "with all layers made random, gradient × picture stays more like the trained "
            "net's map than the gradient does: the picture shows through",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=ALIKE,
            differs="Inception v3 on ImageNet",
            scope=lambda row: True,
            doubt=claims.certain,  # of any trained net, however good
            label=LABEL,
            of=versus("gradient_input", "gradient", "method", "kept"),
        ),
        Claim(
            "smilkov2017.noise-sharpens",
            "the mean gradient of noisy copies points at the evidence at least as often "
            "as the gradient",
            "Smilkov et al. 2017, arXiv:1706.03825",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=f"{PROTOCOL}; 25 copies, noise of 0.15 of the range",
            differs="judged by eye, Inception v3 on ImageNet",
            scope=lambda row: True,
            label=LABEL,
            of=versus("smooth", "gradient", "method", "score"),
        ),
        Claim(
            "balduzzi2017.skips-keep-maps",
            "with 16 layers the gradient points at the evidence at least as often in a "
            "net with skips as in one without",
            "Balduzzi et al. 2017, arXiv:1702.08591",
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=PROTOCOL,
            differs="correlations of gradients of fresh nets; no maps",
            scope=lambda row: row["method"] == "gradient" and row["depth"] == 16,
            label=LABEL,
            of=versus(SKIPS[1], SKIPS[0], "architecture", "score"),
        ),
        Claim(
            "depthbench.map-finds-evidence",
            "depthbench's own bar: the largest pixel of the gradient's map is in the "
            "quarter that holds the evidence in at least 80 % of pictures",
            "depthbench",
            estimate=scores.score,
            allows=above(0.8),
            protocol=PROTOCOL,
            differs="a bar of our own",
            scope=lambda row: row["method"] == "gradient",
            label=LABEL,
        ),
    ),
    headline=SCORING.headline,
    tables=tables,
    figures=figures_of,
    summary=SCORING.summary,
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
