"""A generator and a discriminator in the loop of training; tests run and stop it.

    python gan_loop.py FOLDER

trains them as `depthbench train` trains a net: with reports, checkpoints and signals.
"""

import sys
from pathlib import Path

import numpy as np

from depthbench.research.engine import runner, trainer
from depthbench.research.engine.order import Order
from depthbench.research.learning import feed, fits, gan, players
from depthbench.research.learning.feed import Source
from depthbench.research.learning.recipe import DEFAULTS, Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.learning.sweeps import Run

STEPS, EVERY = 900, 300
SMALL = {"depth": 2, "width": 16, "batch": 16, "momentum": 0.5}


def work(mesh):
    """Two seeds on points of the plane. The generator has every third turn."""
    maker = fits.Net(Recipe(**SMALL), Task((4,), 2))
    teller = fits.Net(Recipe(**SMALL), Task((2,), 1))
    variant = gan.VARIANTS["wasserstein"]._replace(turns=3)
    pair = gan.game(variant, maker, teller)
    data = {"inputs": np.random.RandomState(0).randn(256, 2).astype(np.float32)}
    source = Source(
        feed.drawn(16),
        EVERY,
        lambda state, count: data,
        test=data,
        probe={"inputs": data["inputs"][: feed.PROBED]},
    )
    rates = dict.fromkeys((gan.GENERATOR, gan.DISCRIMINATOR), 1e-3)
    runs = [Run(seed, gan.hyper(pair, rates, STEPS)) for seed in range(2)]
    return trainer.Work(players.system(pair), source, runs, 2**20)


def main(folder: str) -> int:
    settings = {**DEFAULTS, **SMALL, "steps": STEPS, "seeds": 2}
    order = Order(settings, EVERY, checkpoint_seconds=0.2, accept=False)
    runner.begin()
    return trainer.main(order, work, Path(folder), lambda folder: None)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:  # of a second signal, as the command line ends then
        sys.exit(130)
