"""Training one net at whatever depth it is asked for: does it learn, at which rate?"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from research.architectures import ARCHITECTURES
from research.lazy import lazy
from research.optimizers import OPTIMIZERS

jax = lazy("jax")
jobs = lazy("research.jobs")
sweeps = lazy("research.sweeps")
trainability = lazy("research.trainability")


class Try(NamedTuple):
    """What one depth gave at its best learning rate. right: of each run that was made.

    diverged: share of the runs at all its rates whose loss was no longer a number.
    """

    good: bool
    rate: float
    right: list[float]
    diverged: float


class Trainer(NamedTuple):
    """Trains one net at the depths it is asked for, and keeps what came of them.

    deepest: no depth is larger. at_a_time: runs that fit in memory together.
    """

    settings: dict[str, Any]
    deepest: int
    at_a_time: int
    tries: dict[int, Try]

    def trains(self, depth: int) -> bool:
        """Whether most seeds train at some rate; the one that trained last goes first."""
        worked = [one.rate for one in self.tries.values() if one.good]
        rates = OPTIMIZERS[self.settings["optimizer"]].rates(self.settings["rates"])
        start = worked[-1] if worked else rates[len(rates) // 2]
        ended, stopped = [], 0
        for rate in sorted(rates, key=lambda rate: abs(math.log(rate / start))):
            right, diverged = self.most(depth, rate)
            ended.append((rate, right))
            stopped += diverged
            if self.good(right):
                break
        rate, right = max(ended, key=lambda one: (self.good(one[1]), np.mean(one[1])))
        share = stopped / sum(len(one) for _, one in ended)
        self.tries[depth] = Try(self.good(right), rate, right, share)
        return self.tries[depth].good

    def good(self, right: Sequence[float]) -> bool:
        """Whether more than half of the seeds are at the target."""
        count = sum(one >= self.settings["target"] for one in right)
        return count > self.settings["seeds"] / 2

    def most(self, depth: int, rate: float) -> tuple[list[float], int]:
        """(the share right of each run, how many diverged), of as many seeds as decide.

        Where the first half and one agree, the others would not change the majority.
        """
        seeds = self.settings["seeds"]
        first = seeds // 2 + 1
        runs = self.runs(rate, seeds)
        right, diverged = self.train(depth, runs[:first])
        count = sum(one >= self.settings["target"] for one in right)
        if 0 < count < first:
            more, others = self.train(depth, runs[first:])
            right, diverged = right + more, diverged + others
        return right, diverged

    def setup(self, depth: int) -> Any:
        return trainability.setup_of({**self.settings, "depth": depth})

    def runs(self, rate: float, seeds: int) -> list[Any]:
        own = {**self.settings, "learning_rate": rate}
        return [trainability.run_of(own, seed) for seed in range(seeds)]

    def train(self, depth: int, runs: list[Any]) -> tuple[list[float], int]:
        """The share right over the last WINDOW batches of each run, once it is over."""
        setup, steps = self.setup(depth), self.settings["steps"]
        data, _ = jobs.batches(setup)
        groups = sweeps.grouped(runs, self.at_a_time)
        right: list[float] = []
        diverged = 0
        for group, state in zip(groups, self.states(depth, groups), strict=True):
            programs = sweeps.programs(setup, steps, len(group) > 1)
            _, _, hyper = sweeps.arguments(group)
            state, log = programs.advance(state, hyper, data, np.int32(steps))
            curves, ends = jax.device_get((log.right, state.diverged))
            last = np.atleast_2d(curves)[:, -trainability.WINDOW :]
            ended = np.atleast_1d(ends) < 0
            right += [float(x) for x in np.where(ended, last.mean(axis=1), 0.0)]
            diverged += int(np.sum(~ended))
        return right, diverged

    def states(self, depth: int, groups: list[list[Any]]) -> list[Any]:
        """Fresh states. Where layers repeat, the first layers of the deepest net's: so
        one program draws all depths, and the same seed gives the same layers."""
        repeats = ARCHITECTURES[self.settings["architecture"]].repeats
        drawn = self.deepest if repeats else depth
        states = []
        for group in groups:
            arguments, several = sweeps.arguments(group), len(group) > 1
            of = lambda d, several=several: sweeps.programs(
                self.setup(d), self.settings["steps"], several
            )
            deep = of(drawn).init(*arguments)
            shapes = jax.eval_shape(of(depth).init, *arguments)
            states.append(jax.tree.map(_first, deep, shapes))
        return states


def _first(a: Any, like: Any) -> Any:
    """The first entries of each axis, as many as `like` has."""
    if a.shape == like.shape:
        return a
    return np.asarray(a)[tuple(map(slice, like.shape))]
