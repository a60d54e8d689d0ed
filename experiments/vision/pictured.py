"""Scenes to learn from, to choose by and to be judged by; a net's best rate on them."""

from typing import Any, NamedTuple

from depthbench.experiments import first_seed
from depthbench.experiments.once import once
from depthbench.experiments.training import nets
from depthbench.research.datasets import scenes
from depthbench.research.lazy import lazily
from depthbench.research.learning.selection import Outcome
from depthbench.research.study.declaration import Cost

with lazily():
    import numpy as np

STEP = 3e10  # operations that a core does in a second of small convolutions


class Divided(NamedTuple):
    """train: what is learned from. valid: what settings are chosen by. test: what is
    looked at once."""

    train: scenes.Scenes
    valid: scenes.Scenes
    test: scenes.Scenes

    def read(self, x: Any) -> Any:
        """Pixels as nets read them: each channel's mean in the training part is 0."""
        mean = self.train.x.mean(axis=(0, 1, 2))
        return ((x - mean) / self.train.x.std()).astype(np.float32)


@once
def parts(learned: int, chosen: int, judged: int, **how: Any) -> Divided:
    """So many scenes of each part, drawn by seeds of their own; how: as of `scenes`."""
    counts = learned, chosen, judged
    return Divided(*(scenes.scenes(n, seed, **how) for seed, n in enumerate(counts)))


def tuned(net: Any, data: Any, cell: Any, worth: Any) -> Any:
    """`fits.Tuned` of the cell's rates by a net of the first seed; its runs are of all.

    worth: of a run, from 0 to 1, on what is held out.
    """

    def outcome(runs: Any) -> Outcome:
        ended = sum(run.diverged is None for run in runs) / len(runs)
        return Outcome(ended=ended, accuracy=float(np.mean([worth(r) for r in runs])))

    return first_seed.tuned(net, data, cell, nets.rates(cell), "accuracy", outcome)


def seconds(cell: Any, mflop: float, step: float) -> float:
    """Of training a cell's nets. mflop: millions of operations of a step; step: what it
    takes beside them."""
    runs = cell["rates"] + min(cell["further_rates"], 1) + cell["seeds"] - 1
    return runs * cell["steps"] * (step + mflop * 1e6 / STEP)


def cost(mflop: Any, once: Any, step: float = 0.002) -> Any:
    """A `Plan.cost`. mflop: from a cell to what a step takes; once: to the seconds of
    what all cells share, which are said of each in part; step: as of `seconds`."""

    def of(cells: Any, shared: Any) -> Cost:
        each = [seconds(cell, mflop(cell), step) + once(cell) for cell in cells]
        memory = max(2**29 + int(mflop(cell) * 1e4) for cell in cells)
        return Cost(memory, memory, sum(each))

    return of
