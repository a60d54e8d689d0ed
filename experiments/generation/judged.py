"""What is made, before the fixed judge: real examples and a mixture of Gaussians beside it.

All distances are from as many made examples as there are training examples: from those
that were held out where settings are chosen, from the test part where they are judged.
"""

import math
from typing import Any, NamedTuple

from depthbench.experiments import comparisons
from depthbench.experiments.once import once
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np

    from depthbench.research.learning import gaussians, held_out, judge

COMPONENTS = 10  # of the mixture
NEAR = 0.99  # of real examples are nearer to a training example than a good one must be
SHARE = 0.1  # of a class's real share: from there on its mode is covered


class Yardstick(NamedTuple):
    """A data set as what is made is measured by. floor: the distance of the training part
    from the test part. reach: how far a good example is, at most, from the nearest
    training example."""

    parts: Any
    judge: Any
    floor: float
    reach: float

    def distance(self, made: Any, part: Any = None) -> float:
        """The Fréchet distance of made examples from the test part, or another.

        Infinite where a number of theirs is not finite."""
        if not np.isfinite(made).all():
            return math.inf
        real = self.parts.test if part is None else part
        return self.judge.distance(real.x, np.reshape(made, self._shape(made)))

    def weighed(self, made: Any) -> Any:
        """From how often each test example counts [examples] to their distance of made
        ones, of which all numbers are finite."""
        real = self.judge.features(self.parts.test.x)
        own = self.judge.features(np.reshape(made, self._shape(made)))
        times_of = lambda times: np.repeat(real, times.astype(int), axis=0)
        return lambda times: judge.frechet(times_of(times), own)

    def good(self, made: Any) -> Any:
        """[examples]: whether each is as near to a training example as real ones are."""
        return nearest(flat(made), flat(self.parts.train.x)) <= self.reach

    def modes(self, made: Any) -> tuple[int, float]:
        """(how many classes are covered by good examples, the share that is good)."""
        good, y = self.good(made), self.parts.train.y
        found = self.judge.classes(np.reshape(made, self._shape(made)))[good]
        share = np.bincount(found, minlength=self.parts.classes) / len(made)
        real = np.bincount(y, minlength=self.parts.classes) / len(y)
        return int(np.sum(share >= SHARE * real)), float(good.mean())

    def _shape(self, made: Any) -> tuple[int, ...]:
        return (len(made), *self.parts.shape)


def flat(x: Any) -> Any:
    """[examples, numbers] of examples of any shape."""
    return np.reshape(x, (len(x), -1))


def nearest(x: Any, known: Any) -> Any:
    """[examples]: how far each is from the nearest of what is known."""
    squares = np.sum(known.astype(np.float64) ** 2, axis=1)
    parts = [
        np.sum(part**2, axis=1) + np.min(squares - 2 * part @ known.T, axis=1)
        for part in np.array_split(x.astype(np.float64), -(-len(x) // 512))
    ]
    return np.sqrt(np.maximum(np.concatenate(parts), 0))


@once
def yardstick(dataset: str, data_dir: str | None) -> Yardstick:
    """Of a data set's name and the folder of its data."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    known = judge.judge(dataset, data_dir)
    train, test = known.features(parts.train.x), known.features(parts.test.x)
    apart_of = nearest(flat(parts.test.x), flat(parts.train.x))
    reach = float(np.quantile(apart_of, NEAR))
    return Yardstick(parts, known, judge.frechet(test, train), reach)


class Rival(NamedTuple):
    """The mixture's samples of each seed [seeds][examples, …], and their distances."""

    samples: list[Any]
    distances: list[float]


@once
def mixture(seeds: int, dataset: str, data_dir: str | None) -> Rival:
    """Of a data set's name and the folder of its data; its form chosen on held-out ones."""
    yard = yardstick(dataset, data_dir)
    x = flat(yard.parts.train.x)
    held = lambda made: yard.distance(made, yard.parts.valid)
    found = gaussians.tuned(x, COMPONENTS, held, seeds)
    made = [one.samples(len(x), seed + 1) for seed, one in enumerate(found)]
    return Rival(made, [yard.distance(one) for one in made])


def of_tests(yard: Yardstick, made: Any, rival: Rival) -> dict[str, Any]:
    """What is known of distances and their gap to the mixture's from test examples, in
    groups. made: of each seed."""
    weighed = [yard.weighed(one) for one in rival.samples]
    strong = lambda times: float(np.mean([distance(times) for distance in weighed]))
    groups = comparisons.in_groups(len(yard.parts.test.x))
    return comparisons.of_groups("score", list(map(yard.weighed, made)), strong, groups)


def apart(*asked: Any) -> float:
    """The distance of noise with the mean and the deviation of each number by itself."""
    yard = yardstick(*asked)
    x = flat(yard.parts.train.x)
    noise = np.random.RandomState(1).standard_normal(x.shape)
    return yard.distance((x.mean(axis=0) + noise * x.std(axis=0)).astype(np.float32))
