"""How saliency maps are made and scored: one net's, by several methods."""

import functools

from depthbench.experiments import scores
from depthbench.experiments.training import nets
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.declaration import Measured

with lazily():
    import numpy as np

    from depthbench.research.datasets import planted
    from depthbench.research.learning import fits, held_out, saliency, supervised

GRID = 2  # quarters of a picture
CASCADE = 96  # pictures that are explained again, by nets made random
LEVELS = 5  # of the layers between head and stem
SHOWN = 2  # pictures of a row that are kept
NET = ("architecture", "activation", "depth")


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

    held = fits.held((valid.x, valid.y))
    by_rate = fits.by_rate(net, data, cell["steps"], cell["seeds"])
    most = cell["further_rates"]
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
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
    held["occlusion"] = shown["maps"]["occlusion"]
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
