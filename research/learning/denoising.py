"""Denoising autoencoders of one hidden layer with tied weights.

Some inputs are set to 0, and all are to be given again: Vincent, Larochelle, Lajoie,
Bengio & Manzagol 2010, JMLR 11:3371. What is learned has the form of a restricted
Boltzmann machine, so that either can be a layer of the same stack.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from depthbench.research.catalogues.optimizers import transformation
from depthbench.research.learning import descent
from depthbench.research.learning.descent import Learner
from depthbench.research.learning.rbm import RULE, VISIBLE, Boltzmann, VisibleUnits
from depthbench.research.learning.system import Batch, Key, System

MASKED = 0.25  # the share of inputs that are set to 0


def errors(
    machine: Boltzmann, seen: jax.Array, v: jax.Array, kind: VisibleUnits
) -> jax.Array:
    """What giving v [examples, visible] costs of what was seen of it, [examples].

    Cross-entropy in nats of inputs in [0, 1], half the squared error of others: − the
    log-likelihood of v given the hidden probabilities, but for a constant.
    """
    reached = machine.down(machine.up(seen))
    if kind.name == "binary":
        return jnp.sum(jax.nn.softplus(reached) - v * reached, axis=1)
    return jnp.sum((reached - v) ** 2, axis=1) / 2


@functools.lru_cache(maxsize=64)
def system(visible: int, hidden: int, kind: str) -> System:
    """A denoising autoencoder, with momentum; its hyper is the optimizer's."""
    units = VISIBLE[kind]

    def init(key: Key, hyper: Any) -> Learner:
        most = 4 * (6 / (visible + hidden)) ** 0.5  # Glorot & Bengio 2010, of a sigmoid
        kernel = jax.random.uniform(key, (visible, hidden), minval=-most, maxval=most)
        machine = Boltzmann(kernel, jnp.zeros(visible), jnp.zeros(hidden))
        return descent.learner(machine, (), transformation(RULE, hyper, ()))

    def objective(machine: Boltzmann, stats: Any, batch: Batch, key: Key):
        v = batch["inputs"]
        seen = v * jax.random.bernoulli(key, 1 - MASKED, v.shape).astype(v.dtype)
        return {"loss": errors(machine, seen, v, units)}, stats

    def step(tree: Learner, hyper: Any, batch: Batch, moment: Any):
        given = tree.params, tree.stats, batch, moment.key
        gradient, (means, stats) = descent.gradients(objective, *given)
        direction = transformation(RULE, hyper, ())
        rate = hyper.learning_rate
        return descent.descended(tree, gradient, stats, direction, rate), means

    def measure(tree: Learner, batch: Batch) -> dict[str, jax.Array]:
        v = batch["inputs"]
        return {"loss": errors(tree.params, v, v, units)}

    return System(init, step, measure)
