"""Evolution strategies: a net is learned from how well its neighbours do, by no gradient.

Salimans, Ho, Chen, Sidor & Sutskever 2017, arXiv:1703.03864: parameters are moved by σε and
by −σε, of ε drawn from a normal distribution; the losses of all neighbours are ranked, and
the sum of the ε weighted by their ranks goes to Adam in a gradient's place. All neighbours
of a step see the same examples.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.flatten_util as flatten_util
import jax.numpy as jnp

from depthbench.research.architectures.contract import Tree
from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.optimizers import length
from depthbench.research.catalogues.optimizers import rate as rate_of
from depthbench.research.learning import descent, feed, fits, supervised, sweeps
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.supervised import Numbers
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import Batch, Key, System


class Estimated(NamedTuple):
    """slope: the estimate of the gradient, as the parameters. losses: the mean over the
    batch of each neighbour, [2, pairs]."""

    slope: Tree
    losses: jax.Array


def ranks(losses: jax.Array) -> jax.Array:
    """The place of each among all, from −½ for the least to ½ for the most.

    >>> ranks(jnp.array([[3.0, 1.0, 40.0, 2.0, 4.0]])).tolist()
    [[0.0, -0.5, 0.5, -0.25, 0.25]]
    """
    flat = losses.reshape(-1)
    places = jnp.argsort(jnp.argsort(flat)).astype(losses.dtype)
    return (places / (len(flat) - 1) - 0.5).reshape(losses.shape)


def estimated(
    parts: Any,
    params: Tree,
    stats: Tree,
    batch: Batch,
    key: Key,
    sigma: Any,
    pairs: int,
) -> Estimated:
    """What so many pairs of neighbours say of the slope. Raises DataError without one."""
    if pairs < 1:
        raise DataError(f"{pairs} pairs of neighbours; must be 1 or more")
    flat, tree_of = flatten_util.ravel_pytree(params)
    noise = jax.random.normal(key, (pairs, flat.size), flat.dtype)

    def loss(moved: jax.Array) -> jax.Array:
        each, _ = supervised.measures(parts, tree_of(moved), stats, batch, False)
        return jnp.mean(each["loss"])

    steps = sigma * noise
    sides = jnp.stack([flat[None] + steps, flat[None] - steps])
    losses = jax.vmap(jax.vmap(loss))(sides)
    above, below = ranks(losses)
    slope = (above - below) @ noise / (2 * pairs * sigma)
    return Estimated(tree_of(slope), losses)


@functools.lru_cache(maxsize=64)
def system(net: Net, pairs: int) -> System:
    """The system of a net that is learned so; its hyper is `Numbers`, with `sigma` among
    the others. Its steps' `spread` is the deviation of the neighbours' losses."""
    parts = net.parts

    def step(tree, hyper, batch, moment):
        asked = (batch, moment.key, hyper.others["sigma"], pairs)
        found = estimated(parts, tree.params, tree.stats, *asked)
        here, _ = supervised.measures(parts, tree.params, tree.stats, batch, False)
        rate = rate_of(parts.schedule, hyper.rule, moment.step)
        rule = supervised.rule_of(parts, hyper.rule._replace(learning_rate=rate))
        size = length(parts.optimizer, rate)
        after = descent.descended(tree, found.slope, tree.stats, rule, size)
        means = {name: jnp.mean(each) for name, each in here.items()}
        return after, {**means, "spread": jnp.std(found.losses)}

    return net.system._replace(step=step)


def numbers(net: Net, rate: float, steps: int, sigma: float) -> Numbers:
    """What a run has of numbers."""
    own = fits.numbers(net, rate, steps)
    return own._replace(others={**(own.others or {}), "sigma": sigma})


def train(
    net: Net,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: int | Sequence[int],
    sigma: float,
    pairs: int,
    capacity: int = 0,
) -> list[FittedNet]:
    """The net after so many steps, for each rate its seeds: as `fits.train`."""
    numbered = range(seeds) if isinstance(seeds, int) else seeds
    asked = [(rate, seed) for rate in rates for seed in numbered]
    runs = [Run(seed, numbers(net, rate, steps, sigma)) for rate, seed in asked]
    problem = Problem(system(net, pairs), feed.drawn(net.recipe.batch), data, {}, {})
    done = sweeps.ended(problem, runs, steps, capacity=capacity)
    return [
        fits.of_state(
            net, one.state, log=one.log, diverged=one.diverged, seed=s, rate=r
        )
        for one, (r, s) in zip(done, asked, strict=True)
    ]
