"""The nets that patches are put to, and what else is put on images beside them."""

import functools

from depthbench.research.lazy import lazily
from depthbench.research.learning import selection
from depthbench.research.learning.recipe import Recipe

with lazily():
    import numpy as np

    from depthbench.research.learning import fits, held_out, patches, supervised

NET_RATES = (1e-3, 3e-3, 1e-2)
PIECES = 64  # that are cut from real images, and of which the best is kept
RANDOM = 16  # patches of random numbers

NET = ("architecture", "activation", "depth", "width", "dataset", "net_steps", "seeds")


def net_of(cell, parts):
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="he_normal",
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def trained(cell):
    """The trained nets that patches are learned against, one a seed."""
    return _trained(tuple((name, cell[name]) for name in NET), cell.get("data_dir"))


@functools.cache
def _trained(settings, data_dir):
    cell = dict(settings)
    parts = held_out.parts(cell["dataset"], data_dir=data_dir)
    net = net_of(cell, parts)

    by_rate = fits.by_rate(net, parts.train.batch, cell["net_steps"], cell["seeds"])
    held, most = fits.held(parts.valid), selection.MOST
    tuned = fits.tuned(by_rate, NET_RATES, "accuracy", held, most=most)
    before = fits.beforehand(net, parts.train.batch, cell["seeds"])
    return tuned.runs, before


def successes(run, pictures, targets, share, count):
    """`patches.successes`, of a part that is filled up to so many images."""
    x, y = share.x[:count], share.y[:count]
    more = count - len(y)
    x = np.concatenate([x, np.repeat(x[-1:], more, axis=0)])
    y = np.concatenate([y, np.full(more, -1, y.dtype)])
    return patches.successes(run, np.stack(pictures), np.array(targets), x, y, seed=0)


def best_pieces(run, parts, targets, size, count):
    """Of each target, the piece of a real image that has most images read as it."""
    random, best = np.random.RandomState(0), []
    for target in targets:
        own = parts.train.x[parts.train.y == target]
        pieces = [
            _cut(own[random.randint(len(own))], size, random) for _ in range(PIECES)
        ]
        found = successes(run, pieces, [target] * PIECES, parts.train, count)
        best.append(pieces[int(np.argmax(found))])
    return best


def _cut(image, size, random):
    row, column = (random.randint(side - size + 1) for side in image.shape[:2])
    return image[row : row + size, column : column + size]


def by_chance(run, parts, targets, cell):
    """Success of patches of random numbers, the mean over them and the targets."""
    ends, shape = (parts.train.x.min(), parts.train.x.max()), parts.shape[2:]
    size = (cell["side"], cell["side"], *shape)
    pictures = [patches.noise(1000 + n, size, *ends) for n in range(RANDOM)]
    count = max(len(parts.valid.y), len(parts.test.y))
    each = [
        successes(run, pictures, [target] * RANDOM, parts.test, count)
        for target in targets
    ]
    return np.mean(each)
