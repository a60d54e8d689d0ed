"""Hopfield's memory: patterns of ±1 as minima of an energy, and the way down to them.

Hopfield 1982, PNAS 79:2554. Units turn one after the other, in random order, to the sign
of what reaches them; the energy −½ s W s then never rises.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from depthbench.research.learning.system import Batch, Key, System


def hebb(patterns: jax.Array) -> jax.Array:
    """Weights [units, units] of patterns [patterns, units]: ξᵀξ / units, no unit's own.

    >>> hebb(jnp.array([[1.0, -1.0]])).tolist()
    [[0.0, -0.5], [-0.5, 0.0]]
    """
    return _hollow(patterns.T @ patterns / patterns.shape[1])


def projection(patterns: jax.Array) -> jax.Array:
    """The weights that project onto the patterns, no unit's own.

    Personnaz, Guyon & Dreyfus 1985, J. Phys. Lett. 46:359: correlated patterns are
    fixed points too, as long as they are linearly independent.
    """
    return _hollow(jnp.linalg.pinv(patterns) @ patterns)


def _hollow(weights: jax.Array) -> jax.Array:
    return weights * (1 - jnp.eye(len(weights), dtype=weights.dtype))


def energy(weights: jax.Array, spins: jax.Array) -> jax.Array:
    """−½ s W s of each state [states, units], [states]."""
    return -jnp.sum((spins @ weights) * spins, axis=1) / 2


@functools.cache
def system() -> System:
    """The way down. Its tree is spins [states, units], to be begun from given ones; its
    batch `weights`, and the `patterns` [states, units] that are to be recalled.

    A step is a sweep over all units. hyper: none.
    """

    def init(key: Key, hyper: Any) -> jax.Array:
        raise TypeError("a memory begins from given spins: `system.start`")

    def step(spins: jax.Array, hyper: Any, batch: Batch, moment: Any):
        def turn(spins: jax.Array, unit: jax.Array) -> tuple[jax.Array, None]:
            reached = spins @ batch["weights"][:, unit]
            # What nothing reaches stays as it is.
            new = jnp.where(reached == 0, spins[:, unit], jnp.sign(reached))
            return spins.at[:, unit].set(new), None

        order = jax.random.permutation(moment.key, spins.shape[1])
        after = jax.lax.scan(turn, spins, order)[0]
        turned = jnp.mean((after != spins).astype(spins.dtype))
        return after, {"loss": turned, "overlap": jnp.mean(overlaps(after, batch))}

    def measure(spins: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        return {"overlap": overlaps(spins, batch)}

    return System(init, step, measure)


def overlaps(spins: jax.Array, batch: Batch) -> jax.Array:
    """How much each state has of its pattern, [states]: 1 where it is recalled whole."""
    return jnp.mean(spins * batch["patterns"], axis=1)
