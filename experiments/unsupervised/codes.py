"""Autoencoders, trained without labels, and what they make of an input: for all studies
that ask what such a code is good for.

The axes are those of all systems; "depth" counts the encoder's layers after the first,
and the decoder has as many. Skips are divided by √depth: without that the residual net
of twice 16 layers explodes before it is trained. Rates are chosen by the error of
reconstruction in training, for which no label is needed.
"""

from depthbench.experiments import first_seed, scores
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.declaration import Measured
from depthbench.research.study.errors import Refusal

with lazily():
    import numpy as np

    from depthbench.research.architectures.autoencoder import mirrored
    from depthbench.research.learning import fits, supervised

SKIPS = ("mlp", "residual_mlp_scaled")
SMOKE = {"depth": (1, 2), "width": (16,), "steps": (30,), "rates": (1,),
         "architecture": ("mlp",), "activation": ("relu",), "seeds": (2,)}  # fmt: skip
FULL = {"depth": (1, 4, 16, 32), "width": (512,), "code": (32,),
        "dataset": ("fashion_mnist",), "steps": (5000,)}  # fmt: skip


def axes(depths=(1, 4, 16), activations=("relu", "sigmoid"), seeds=3):
    """The axes that all of these studies have."""
    return {
        **scores.axes(depths, SKIPS, activations, known=SKIPS),
        "width": whole("units of a layer", (64,)),
        "code": whole("units of the code", (8,)),
        "dataset": readable.axis(readable.pictured),
        "steps": whole("steps of 64 examples", (2000,)),
        "seeds": whole("runs of the best rate", (seeds,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    }


def fit(cells, typed):
    """The cells. Raises Refusal for a code that is no narrower than the layers."""
    wide = [cell for cell in cells if cell["code"] >= cell["width"]]
    if wide:
        raise Refusal(
            f"--code {wide[0]['code']}: must be below the width, {wide[0]['width']}"
        )
    return nets.fit(cells, typed)


def net_of(cell, shape):
    """The cell's autoencoder of examples of this shape."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="glorot_normal",
        schedule="cosine",
    )
    around = mirrored.around(cell["code"])
    task = supervised.Task(shape, int(np.prod(shape)), "reconstruction", around)
    return fits.Net(recipe, task)


def tuned(cell, net, x):
    """The runs at the best rate of the grid, by the training error of x [examples, …].

    The first seed chooses the rate, which the others are then trained at.
    """
    return first_seed.tuned(net, {"inputs": x}, cell, nets.rates(cell), "loss", None)


def diverged(runs):
    """The row of runs of which one diverged, so that it has no code; else None."""
    lost = sum(run.diverged is not None for run in runs)
    reason = f"{lost} of {len(runs)} runs diverged at every rate"
    return Measured("diverged", reason, {}) if lost else None


def beforehand(cell, net, x):
    """What is measured of the fresh net."""
    return fits.beforehand(net, {"inputs": x}, cell["seeds"])


def fresh(run):
    """The net that a run began with: the control, which has learned nothing."""
    return fits.fresh(run.net, run.seed)


def encoded(run, x):
    """What each layer of the encoder makes of x, the code last: [examples, units] each."""
    return run.states(x)[: run.net.recipe.depth + 2]


def code(run, x):
    """The codes [examples, units]."""
    return encoded(run, x)[-1]


def errors(run, x):
    """The mean square error of each example's reconstruction [examples]."""
    apart = run.outputs(x) - flat(x)
    return np.mean(np.square(apart, dtype=np.float64), axis=1)


def scalings(seen):
    """Numbers of train, valid and test scaled all "alike", and "each" to variance 1.

    Alike is by one factor, so that they vary by 1 on average however small a code is.
    """
    learn = np.asarray(seen[0], np.float64)
    centre, spread = learn.mean(axis=0), learn.std(axis=0)
    size = np.sqrt(np.mean(spread**2)) or 1.0
    each = np.where(spread > 1e-6 * size, spread, np.inf)
    scales = {"alike": size, "each": each}
    return {
        name: [(part - centre) / scale for part in seen]
        for name, scale in scales.items()
    }


def flat(x):
    """Examples as vectors [examples, numbers]."""
    return np.reshape(x, (len(x), -1))


def picture(x):
    """An example, or its vector reshaped, as an image [height, width] in grey."""
    return np.mean(x, axis=-1)
