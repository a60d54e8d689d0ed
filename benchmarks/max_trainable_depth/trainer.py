"""Training one net at whatever depth it is asked for: does it learn, at which rate?"""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.benchmarks.max_trainable_depth import step_cost
from depthbench.benchmarks.max_trainable_depth.step_cost import CompiledLoop
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection

with lazily():
    import jax

    from depthbench.research.learning import examples, recipe, sweeps, system, training


class Try(NamedTuple):
    """What one depth gave at its best learning rate. right: the share right of the last
    batches, of each run that was made.

    diverged: share of the runs at all its rates whose loss was no longer a number.
    runs: how many these are. step_ms: of each of their calls, a step of one run.
    at_edge: whether a failure's rate was the lowest or the highest. falling: whether its
    loss still fell at the end.
    """

    good: bool
    rate: float
    right: list[float]
    diverged: float
    runs: int
    step_ms: list[float]
    at_edge: bool
    falling: bool


class Ended(NamedTuple):
    """Runs of one rate. right, diverged, losses [steps]: of each; step_ms: of each call."""

    right: list[float]
    diverged: list[bool]
    losses: list[Any]
    step_ms: list[float]

    @property
    def falling(self) -> bool:
        """Whether the mean loss of those that did not diverge still fell at the end."""
        both = zip(self.losses, self.diverged, strict=True)
        ended = [losses for losses, stopped in both if not stopped]
        return bool(ended) and selection.falling(np.mean(ended, 0, np.float64))


class Trainer(NamedTuple):
    """Trains one net at the depths it is asked for, and keeps what came of them.

    deepest: no depth is larger. at_a_time: runs that fit in memory together.
    programs: what is compiled, which nets that differ in their variances alone share.
    """

    settings: dict[str, Any]
    deepest: int
    at_a_time: int
    programs: dict[Any, CompiledLoop]
    tries: dict[int, Try]

    def trains(self, depth: int) -> bool:
        """Whether most seeds train at some rate; the one that trained last goes first."""
        worked = [one.rate for one in self.tries.values() if one.good]
        grid = OPTIMIZERS[self.settings["optimizer"]].rates(self.settings["rates"])
        start = worked[-1] if worked else grid[len(grid) // 2]
        # Those beyond the grid that worked at other depths are tried too.
        wanted = sorted({*grid, *worked}, key=lambda rate: abs(math.log(rate / start)))
        ended: dict[float, Ended] = {}
        while wanted:
            rate = wanted.pop(0)
            ended[rate] = self.most(depth, rate)
            if self.good(ended[rate].right):
                break
            if not wanted:
                further = selection.beyond(
                    grid,
                    list(ended),
                    self.outcomes(ended),
                    "trained",
                    self.settings["further_rates"],
                )
                wanted = [] if further is None else [further]
        rate = self.best(ended)
        diverged = [stopped for one in ended.values() for stopped in one.diverged]
        good = self.good(ended[rate].right)
        self.tries[depth] = Try(
            good,
            rate,
            ended[rate].right,
            float(np.mean(diverged)),
            len(diverged),
            [ms for one in ended.values() for ms in one.step_ms],
            at_edge=not good
            and selection.at_edge(list(ended), self.outcomes(ended), "trained"),
            falling=not good and ended[rate].falling,
        )
        return good

    def best(self, ended: dict[float, Ended]) -> float:
        """The last rate, which ends the search, if it works; or the most accurate one."""
        *_, last = ended
        if self.good(ended[last].right):
            return last
        return list(ended)[selection.best(self.outcomes(ended), "trained")]

    def outcomes(self, ended: dict[float, Ended]) -> list[selection.Outcome]:
        return [
            selection.Outcome(
                ended=1 - float(np.mean(one.diverged)),
                trained=self.share(one.right),
                right=float(np.mean(one.right)),
            )
            for one in ended.values()
        ]

    def there(self, right: Sequence[float]) -> list[bool]:
        """Which runs end at the target."""
        return [one >= self.settings["target"] - 1e-9 for one in right]

    def share(self, right: Sequence[float]) -> float:
        """The share of runs that end at the target."""
        return sum(self.there(right)) / len(right)

    def good(self, right: Sequence[float]) -> bool:
        """Whether more than half of the seeds end at the target."""
        return sum(self.there(right)) > self.settings["seeds"] / 2

    def most(self, depth: int, rate: float) -> Ended:
        """As many seeds as decide: where the first half and one more agree, the others
        would not change the majority."""
        seeds = self.settings["seeds"]
        first = seeds // 2 + 1
        runs = self.runs(rate, seeds)
        ended = self.train(depth, runs[:first])
        count = sum(self.there(ended.right))
        if not 0 < count < first:
            return ended
        more = self.train(depth, runs[first:])
        return Ended(
            ended.right + more.right,
            ended.diverged + more.diverged,
            ended.losses + more.losses,
            ended.step_ms + more.step_ms,
        )

    def each(self, depth: int) -> list[bool]:
        """Whether each seed ends at the target, at the rate that is the depth's best."""
        there, seeds = self.tries[depth], self.settings["seeds"]
        right = there.right
        if len(right) < seeds:
            runs = self.runs(there.rate, seeds)[len(right) :]
            right = right + self.train(depth, runs).right
        return self.there(right)

    def recipe(self, depth: int) -> Any:
        return recipe.of({**self.settings, "depth": depth})

    def runs(self, rate: float, seeds: int) -> list[Any]:
        settings = {**self.settings, "learning_rate": rate}
        return [training.run_of(settings, seed) for seed in range(seeds)]

    def train(self, depth: int, runs: list[Any]) -> Ended:
        """The share right over the last WINDOW batches of each run, once it is over."""
        data, _ = examples.batches(self.recipe(depth))
        steps = self.settings["steps"]
        ended = Ended([], [], [], [])
        for group in sweeps.grouped(runs, self.at_a_time):
            _, hyper = sweeps.arguments(group)
            arguments = (self.state(depth, group), hyper, data, np.int32(steps))
            program = self.program(depth, arguments, len(group))
            began = time.perf_counter()
            state, log = program.call(*arguments)
            right, losses, stopped, steps_run = jax.device_get(
                (log["accuracy"], log["loss"], state.diverged, state.step)
            )
            seconds = (time.perf_counter() - began) / len(group)
            ended.step_ms.append(1e3 * seconds / int(np.max(steps_run)))
            last = training.at_end(np.atleast_2d(right))
            diverged = np.atleast_1d(stopped) != system.ONGOING
            ended.right.extend(map(float, np.where(diverged, 0.0, last)))
            ended.diverged.extend(map(bool, diverged))
            ended.losses.extend(np.atleast_2d(losses))
        return ended

    def program(self, depth: int, arguments: tuple, runs: int) -> CompiledLoop:
        """The training loop at a depth, compiled when it is first asked for."""
        if (depth, runs) not in self.programs:
            loop = self.parts(depth, runs).advance
            self.programs[depth, runs] = step_cost.compiled(loop, arguments)
        return self.programs[depth, runs]

    def parts(self, depth: int, runs: int) -> Any:
        steps = self.settings["steps"]
        return sweeps.of_recipe(self.recipe(depth), steps, several=runs > 1)

    def state(self, depth: int, group: list[Any]) -> Any:
        """Fresh states of a group of runs. Where layers repeat, the first layers of the
        deepest net: one program draws all depths, and a seed has the same layers."""
        repeats = ARCHITECTURES[self.settings["architecture"]].repeats
        drawn = self.deepest if repeats else depth
        arguments = sweeps.arguments(group)
        deep = self.parts(drawn, len(group)).init(*arguments)
        shapes = jax.eval_shape(self.parts(depth, len(group)).init, *arguments)
        return jax.tree.map(_first, deep, shapes)


def _first(a: Any, like: Any) -> Any:
    """The first entries of each axis, as many as `like` has."""
    if a.shape == like.shape:
        return a
    return np.asarray(a)[tuple(map(slice, like.shape))]
