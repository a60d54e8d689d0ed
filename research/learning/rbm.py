"""Restricted Boltzmann machines, trained by contrastive divergence.

A state of visible units v and binary hidden units h has the probability e^−E / Z, with
E = −h·c − v W h − field(v), in which the kind of the visible units says what the field
is: v·b of binary ones, −½‖v − b‖² of Gaussian ones of variance 1. The gradient of the
likelihood is what the data give less what the model gives; estimators differ in where the
model's examples come from. Of a few hidden units Z is a sum over all their states.

Smolensky 1986; Hinton 2002, Neural Computation 14:1771 (contrastive divergence).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.catalogues.catalogue import Catalogue, DataError
from depthbench.research.catalogues.optimizers import OPTIMIZERS, rate, transformation
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.learning import descent
from depthbench.research.learning.descent import Learner
from depthbench.research.learning.system import Batch, Key, System

MOST = 16  # hidden units, up to which all of their 2^n states are gone through
SMALL = (
    0.01  # the deviation of fresh weights: Hinton 2012, a practical guide, section 8
)
RULE = OPTIMIZERS["momentum"]


class Boltzmann(NamedTuple):
    """What is learned: kernel W [visible, hidden], biases visible b and hidden c."""

    kernel: jax.Array
    visible: jax.Array
    hidden: jax.Array

    def up(self, v: jax.Array) -> jax.Array:
        """P(h = 1 | v) [examples, hidden]."""
        return jax.nn.sigmoid(v @ self.kernel + self.hidden[None])

    def down(self, h: jax.Array) -> jax.Array:
        """What reaches the visible units from h [examples, hidden], their bias too."""
        return h @ self.kernel.T + self.visible[None]


class VisibleUnits(NamedTuple):
    """A kind of visible units.

    mean: of a unit, from what reaches it. draw: (key, mean) -> v. field: (v, b) -> what v
    adds to −E by itself [examples]. summed: (what reaches them, b) -> log Σ or ∫ over v
    of e^−E, but for h·c [examples].
    """

    name: str
    mean: Callable[[jax.Array], jax.Array]
    draw: Callable[[Key, jax.Array], jax.Array]
    field: Callable[[jax.Array, jax.Array], jax.Array]
    summed: Callable[[jax.Array, jax.Array], jax.Array]
    source: str


def _bits(key: Key, mean: jax.Array) -> jax.Array:
    return jax.random.bernoulli(key, mean).astype(mean.dtype)


def _noisy(key: Key, mean: jax.Array) -> jax.Array:
    return mean + jax.random.normal(key, mean.shape, mean.dtype)


def _gaussian_sum(reached: jax.Array, bias: jax.Array) -> jax.Array:
    squares = jnp.sum(reached**2, axis=1) - jnp.sum(bias**2)
    return (squares + len(bias) * np.log(2 * np.pi)) / 2


VISIBLE: Catalogue[VisibleUnits] = Catalogue(
    "kind of visible units",
    [
        VisibleUnits(
            "binary",
            jax.nn.sigmoid,
            _bits,
            lambda v, bias: v @ bias,
            lambda reached, bias: jnp.sum(jax.nn.softplus(reached), axis=1),
            "Smolensky 1986",
        ),
        VisibleUnits(
            "gaussian",
            lambda reached: reached,
            _noisy,
            lambda v, bias: -jnp.sum((v - bias[None]) ** 2, axis=1) / 2,
            _gaussian_sum,
            "Hinton & Salakhutdinov 2006, Science 313:504",
        ),
    ],
)


class Estimator(NamedTuple):
    """Where the model's side of the gradient comes from.

    sweeps: of Gibbs sampling, up and down; 0 of the exact gradient, by enumeration.
    persistent: whether chains go on from step to step, and not from the data.
    """

    name: str
    sweeps: int
    source: str
    persistent: bool = False


ESTIMATORS: Catalogue[Estimator] = Catalogue(
    "estimator",
    [
        Estimator("cd1", 1, "Hinton 2002, Neural Computation 14:1771"),
        Estimator("cd5", 5, "Hinton 2002, Neural Computation 14:1771"),
        Estimator("pcd", 1, "Tieleman 2008, ICML", persistent=True),
        Estimator("exact", 0, "the likelihood's own gradient, by enumeration"),
    ],
)


# ------------------------------------------------------------------ probabilities


def free_energy(machine: Boltzmann, v: jax.Array, kind: VisibleUnits) -> jax.Array:
    """−log Σ_h e^−E of examples v [examples, visible], [examples]."""
    softplus = jax.nn.softplus(v @ machine.kernel + machine.hidden[None])
    return -kind.field(v, machine.visible) - jnp.sum(softplus, axis=1)


def hidden_states(count: int) -> np.ndarray:
    """All states of so many binary units, [2^count, count].

    Raises DataError where they are too many.

    >>> hidden_states(2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    if count > MOST:
        raise DataError(f"{count} hidden units have too many states; at most {MOST}")
    numbers = np.arange(2**count)[:, None]
    return (numbers >> np.arange(count)[None] & 1).astype(np.float32)


def _log_weights(machine: Boltzmann, kind: VisibleUnits) -> tuple[Any, Any]:
    """(all hidden states, log of Z's part of each [states])."""
    states = jnp.asarray(hidden_states(len(machine.hidden)), machine.kernel.dtype)
    summed = kind.summed(machine.down(states), machine.visible)
    return states, states @ machine.hidden + summed


def log_partition(machine: Boltzmann, kind: VisibleUnits) -> jax.Array:
    """log Z, exactly. Raises DataError for more than MOST hidden units."""
    return jax.nn.logsumexp(_log_weights(machine, kind)[1])


def log_likelihood(machine: Boltzmann, v: jax.Array, kind: VisibleUnits) -> jax.Array:
    """log P(v) of each example in nats, exactly, [examples]. Raises DataError as Z."""
    return -free_energy(machine, v, kind) - log_partition(machine, kind)


# ----------------------------------------------------------------------- gradients


def statistics(machine: Boltzmann, v: jax.Array, kind: VisibleUnits) -> Boltzmann:
    """The mean of −∂E/∂θ over examples v: what the gradient is a difference of."""
    h = machine.up(v)
    # A Gaussian unit's field has the derivative v − b, of which b cancels.
    return Boltzmann(v.T @ h / len(v), jnp.mean(v, axis=0), jnp.mean(h, axis=0))


def model_statistics(machine: Boltzmann, kind: VisibleUnits) -> Boltzmann:
    """The same over the model's own distribution, exactly. Raises DataError as Z."""
    states, log_weights = _log_weights(machine, kind)
    weights = jax.nn.softmax(log_weights)
    means = kind.mean(machine.down(states)) * weights[:, None]
    return Boltzmann(means.T @ states, jnp.sum(means, axis=0), weights @ states)


def sampled(
    key: Key, machine: Boltzmann, v: jax.Array, kind: VisibleUnits, sweeps: int
) -> jax.Array:
    """v [chains, visible] after so many sweeps of Gibbs sampling."""

    def sweep(v: jax.Array, key: Key) -> tuple[jax.Array, None]:
        key_up, key_down = jax.random.split(key)
        h = _bits(key_up, machine.up(v))
        return kind.draw(key_down, kind.mean(machine.down(h))), None

    return jax.lax.scan(sweep, v, jax.random.split(key, sweeps))[0]


def difference(one: Boltzmann, other: Boltzmann) -> Boltzmann:
    """The model's statistics less the data's: downhill is towards the data."""
    return jax.tree.map(jnp.subtract, one, other)


# -------------------------------------------------------------------------- system


@functools.lru_cache(maxsize=64)
def system(
    visible: int,
    hidden: int,
    kind: str,
    estimator: str = "cd1",
    chains: int = 64,
    schedule: str = "constant",
) -> System:
    """A machine that learns by an estimator; its hyper is the optimizer's with momentum.

    chains: how many go on from step to step, where the estimator is persistent. These
    are to be slower than they mix: with momentum, or a rate that stays, they are left
    behind. schedule: of the learning rate, over the hyper's steps.
    """
    units, rule = VISIBLE[kind], ESTIMATORS[estimator]
    falls = SCHEDULES[schedule]

    def init(key: Key, hyper: Any) -> Learner:
        key_kernel, key_chains = jax.random.split(key)
        kernel = SMALL * jax.random.normal(key_kernel, (visible, hidden))
        machine = Boltzmann(kernel, jnp.zeros(visible), jnp.zeros(hidden))
        reached = jnp.zeros((chains if rule.persistent else 0, visible))
        start = units.draw(key_chains, units.mean(reached))
        return descent.learner(machine, start, transformation(RULE, hyper, ()))

    def step(tree: Learner, hyper: Any, batch: Batch, moment: Any):
        machine, v = tree.params, batch["inputs"]
        made = tree.stats
        if rule.sweeps:
            begin = made if rule.persistent else v
            made = sampled(moment.key, machine, begin, units, rule.sweeps)
            other = statistics(machine, made, units)
        else:
            other = model_statistics(machine, units)
        gradient = difference(other, statistics(machine, v, units))
        chain = made if rule.persistent else tree.stats
        direction = transformation(RULE, hyper, ())
        length = rate(falls, hyper, moment.step)
        after = descent.descended(tree, gradient, chain, direction, length)
        return after, {"loss": jnp.mean(reconstruction(machine, v, units))}

    def measure(tree: Learner, batch: Batch) -> dict[str, jax.Array]:
        v = batch["inputs"]
        measures = {
            "loss": reconstruction(tree.params, v, units),
            "free_energy": free_energy(tree.params, v, units),
        }
        if hidden <= MOST:
            measures["log_likelihood"] = log_likelihood(tree.params, v, units)
        return measures

    return System(init, step, measure)


def reconstruction(machine: Boltzmann, v: jax.Array, kind: VisibleUnits) -> jax.Array:
    """The mean square error of v from its own hidden probabilities, [examples]."""
    back = kind.mean(machine.down(machine.up(v)))
    return jnp.mean((back - v) ** 2, axis=1)
