"""Generators and discriminators as the studies of them build and choose them."""

import math

from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome

with lazily():
    import numpy as np

    from depthbench.research.learning import fits, gan, supervised

NOISE = 16  # numbers that an example is made of
BATCH = 64
CHANCE = 1  # added to a run's seed: what is made at the end has noise of its own
VARIANTS = choices(
    "variant",
    saturating="the generator descends log(1 - D)",
    non_saturating="the generator descends -log D",
    wasserstein="a critic with a gradient penalty",
    spectral="-log D, the discriminator with spectral norm 1",
)
WORDS = {
    "saturating": "saturating loss",
    "non_saturating": "non-saturating loss",
    "wasserstein": "Wasserstein loss",
    "spectral": "spectral norm",
}


def net(shape, outputs, depth, width, architecture="mlp", activation="relu"):
    """Adam's first moment is halved, as Radford et al. 2016 found that GANs need."""
    recipe = Recipe(
        architecture=architecture,
        activation=activation,
        depth=depth,
        width=width,
        batch=BATCH,
        momentum=0.5,
    )
    return fits.Net(recipe, supervised.Task(tuple(shape), outputs))


def game(cell, shape, depths):
    """The players of a cell. depths: of the generator and of the discriminator."""
    maker, teller = depths
    skips = cell.get("architecture", "mlp")
    pixels = math.prod(shape)
    names = ("generator", "discriminator") if skips == "generator" else (skips, skips)
    made = net((NOISE,), pixels, maker, cell["width"], names[0])
    told = net(shape, 1, teller, cell["width"], names[1], "leaky_relu")
    return gan.game(gan.VARIANTS[cell["variant"]], made, told)


def held(yard):
    """What rates are chosen by: the distance of what is made from held-out examples."""

    def outcome(runs):
        ended = sum(run.diverged is None for run in runs) / len(runs)
        far = [distance(run, yard, yard.parts.valid) for run in runs]
        return Outcome(ended=ended, loss=float(np.mean(far)))

    return outcome


def distance(run, yard, part=None):
    """Of as many examples as were learned from, as a run makes them in the end."""
    return yard.distance(made_by(run, yard), part)


def made_by(run, yard):
    seed = run.generator.seed + CHANCE
    return run.samples(len(yard.parts.train.x), yard.parts.shape, seed)
