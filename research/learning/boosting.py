"""AdaBoost on stumps, a round a step, as a system.

Freund & Schapire 1997, J. Comput. Syst. Sci. 55:119; in the form of Viola & Jones 2001,
CVPR, table 1: each round takes the feature and threshold with the least weighted error
ε, and multiplies the weights of the examples that are right by ε / (1 − ε).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import feed, sweeps
from depthbench.research.learning.sweeps import Run
from depthbench.research.learning.system import System

LEAST = 1e-4  # error of a stump that is never wrong, whose vote would be infinite


class Stumps(NamedTuple):
    """Stumps in the order of their rounds [rounds].

    feature: its place. threshold, sign: it says yes where sign · (value − threshold) is
    above 0. vote: log((1 − ε) / ε).
    """

    feature: Any
    threshold: Any
    sign: Any
    vote: Any


class Boosted(NamedTuple):
    """What is boosted: stumps so far, and the logarithms of the weights' factors."""

    stumps: Stumps
    log_weights: Any


def votes(stumps: Stumps, values: Any) -> Any:
    """The sum of votes for yes, less half of all [examples].

    values: of the stumps' own features, in their order [examples, rounds].
    """
    yes = stumps.sign * (values - stumps.threshold) > 0
    return yes @ stumps.vote - 0.5 * stumps.vote.sum()


def batch(values: Any, right: Any, weights: Any) -> dict[str, np.ndarray]:
    """What each round sees: all examples, and their order by each feature.

    values: [examples, features]. right: whether yes is right [examples]. weights: before
    the first round [examples]; 0 of places that hold no example.
    """
    values = np.ascontiguousarray(np.asarray(values, np.float32).T)
    order = np.argsort(values, axis=1, kind="stable").astype(np.int32)
    ranked = np.take_along_axis(values, order, axis=1)
    return {
        "values": values,
        "order": np.ascontiguousarray(order.T),
        "ranked": np.ascontiguousarray(ranked.T),
        "right": np.asarray(right, bool),
        "weights": np.asarray(weights, np.float32),
    }


@functools.cache
def system(examples: int, rounds: int) -> System:
    """Rounds of boosting; hyper is not looked at. Batches are those of `batch`.

    rounds: the most that there can be; a vote of 0 is of a round to come.
    """

    def begin(key, hyper):
        none = jnp.zeros(rounds)
        stumps = Stumps(jnp.zeros(rounds, jnp.int32), none, none, none)
        return Boosted(stumps, jnp.zeros(examples))

    def step(tree, hyper, batch, moment):
        weights = batch["weights"] * jnp.exp(tree.log_weights)
        best, error = stump(batch, weights / jnp.sum(weights))
        own = batch["values"][best.feature]
        correct = (best.sign * (own - best.threshold) > 0) == batch["right"]
        later = tree.log_weights - jnp.where(correct, best.vote, 0.0)
        stumps = jax.tree.map(
            lambda all, one: all.at[moment.step].set(one), tree.stumps, best
        )
        # Factors matter only beside each other.
        return Boosted(stumps, later - jnp.max(later)), {"loss": error}

    def measure(tree, batch):
        own = batch["values"][tree.stumps.feature].T
        says = votes(tree.stumps, own) > 0
        return {"loss": (says != batch["right"]).astype(jnp.float32)}

    return System(begin, step, measure)


class _Best(NamedTuple):
    """Of each feature [features] the least error so far, where it is, and what is wrong
    in saying yes above. below: the weight of the right less that of others up to here."""

    below: Any
    error: Any
    place: Any
    wrong: Any


def stump(batch: Any, weights: Any) -> tuple[Stumps, Any]:
    """(the stump of least weighted error, that error). weights: [examples], of sum 1.

    All features at once, from the least of each one's values to the largest: sums along
    each by themselves take XLA's CPU backend five times as long.
    """
    order, ranked = batch["order"], batch["ranked"]
    signed = jnp.where(batch["right"], weights, -weights)
    # Saying yes above a place is wrong in the right ones up to it and the others after.
    others = jnp.sum(jnp.where(batch["right"], 0.0, weights))

    def further(place, best):
        below = best.below + signed[order[place]]
        wrong = others + below
        apart = ranked[place + 1] > ranked[place]  # none between equal values
        error = jnp.where(apart, jnp.minimum(wrong, 1 - wrong), 1.0)
        better = error < best.error
        now = (error, jnp.full_like(best.place, place), wrong)
        kept = (jnp.where(better, *pair) for pair in zip(now, best[1:], strict=True))
        return _Best(below, *kept)

    zero = jnp.zeros(order.shape[1])
    first = _Best(zero, zero + 2.0, zero.astype(jnp.int32), zero)
    best = jax.lax.fori_loop(0, len(order) - 1, further, first)
    feature = jnp.argmin(best.error)
    place, wrong = best.place[feature], best.wrong[feature]
    error = jnp.clip(best.error[feature], LEAST, 1 - LEAST)
    threshold = (ranked[place, feature] + ranked[place + 1, feature]) / 2
    sign = jnp.where(wrong <= 0.5, 1.0, -1.0)
    vote = jnp.log((1 - error) / error)
    return Stumps(feature.astype(jnp.int32), threshold, sign, vote), error


class Boosting:
    """Boosting of a `batch`, which goes on from the rounds that it has made.

    most: rounds that the program has room for; runs of equal `most` share it.

    >>> data = batch([[0.0], [1.0], [2.0], [3.0]], [False, False, True, True], [1] * 4)
    >>> float(Boosting(data, most=1).stumps(1).threshold[0])
    1.5
    """

    def __init__(self, data: Any, most: int):
        system_of = system(len(data["right"]), most)
        self._data, self._most, self._made = data, most, 0
        self._programs = sweeps.programs(system_of, feed.whole, most)
        seeds, self._hyper = sweeps.arguments([Run(0, 0.0)])
        self._state = self._programs.init(seeds, self._hyper)

    def stumps(self, rounds: int) -> Stumps:
        """Those of the first so many rounds, on the host."""
        further = np.int32(max(0, rounds - self._made))
        if further:
            self._state, _ = self._programs.advance(
                self._state, self._hyper, self._data, further
            )
            self._made += int(further)
        stumps = jax.device_get(self._state.tree.stumps)
        return Stumps(*(array[:rounds] for array in stumps))
