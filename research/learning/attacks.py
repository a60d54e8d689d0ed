"""Changes of inputs, each number by at most ε, that raise a classifier's loss.

An attack is a function of (logits, x, y, epsilon, key) that gives inputs like x:

logits: from inputs [batch, …] to [batch, classes], differentiable: `of_net`.
x: [batch, …] float32. y: labels [batch]. epsilon: [] may be traced, in the units of x.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures import contract
from depthbench.research.architectures.contract import Architecture, Variables
from depthbench.research.catalogues.catalogue import Catalogue

Logits = Callable[[jax.Array], jax.Array]
Perturb = Callable[[Logits, jax.Array, jax.Array, Any, jax.Array], jax.Array]
Loss = Callable[[jax.Array, jax.Array], jax.Array]

STEPS = 20
REACH = 2.5  # times ε that all steps together can go: from any point to any other


def of_net(net: Architecture, variables: Variables) -> Logits:
    """What a net answers where it is judged, as a function of its inputs."""
    return lambda x: contract.apply(net, variables, x, train=False)[0]


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """−log of the label's probability [batch]."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]


def odds(logits: jax.Array, y: jax.Array) -> jax.Array:
    """log (1 − p) / p of the label's probability p [batch], which does not saturate.

    The cross-entropy is softplus of it, so both gradients have one direction; but that
    of the cross-entropy has the factor 1 − p, which float32 rounds away.

    >>> import jax, jax.numpy as jnp
    >>> sure, y = jnp.array([[40.0, 0.0]]), jnp.array([0])
    >>> jax.grad(lambda z: cross_entropy(z, y)[0])(sure).tolist()[0][0]
    0.0
    >>> jax.grad(lambda z: odds(z, y)[0])(sure).tolist()[0][0]
    -1.0
    """
    label = jax.nn.one_hot(y, logits.shape[1], dtype=bool)
    others = jax.nn.logsumexp(jnp.where(label, -jnp.inf, logits), axis=1)
    return others - jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]


def input_gradient(loss: Loss, logits: Logits, x: jax.Array, y: jax.Array) -> jax.Array:
    """∂loss/∂x of each example [batch, …]."""
    return jax.grad(lambda x: jnp.sum(loss(logits(x), y)))(x)


def random_sign(
    logits: Logits, x: jax.Array, y: jax.Array, epsilon: Any, key: jax.Array
) -> jax.Array:
    """x with ±ε added to each of its numbers, by chance: what any noise would do."""
    return x + epsilon * jax.random.rademacher(key, x.shape, x.dtype)


def fgsm(
    logits: Logits,
    x: jax.Array,
    y: jax.Array,
    epsilon: Any,
    key: jax.Array,
    loss: Loss = cross_entropy,
) -> jax.Array:
    """x + ε sign ∂loss/∂x: the fast gradient sign method, the best where logits are linear.

    Where the gradient is exactly 0 nothing is changed.
    """
    return x + epsilon * jnp.sign(input_gradient(loss, logits, x, y))


def pgd(
    logits: Logits,
    x: jax.Array,
    y: jax.Array,
    epsilon: Any,
    key: jax.Array,
    steps: int = STEPS,
) -> jax.Array:
    """Projected gradient ascent of `odds` by signs, from a random point of the cube.

    Of all the points on the way, for each example the one with the largest odds.
    """
    climb = jax.value_and_grad(
        lambda a: _sum_and_each(odds(logits(a), y)), has_aux=True
    )
    axes = tuple(range(1, x.ndim))

    def better(best, at, height):
        up = height > best[1]
        return jnp.where(jnp.expand_dims(up, axes), at, best[0]), jnp.where(
            up, height, best[1]
        )

    def step(carry, _):
        at, best = carry
        (_, height), gradient = climb(at)
        moved = at + REACH * epsilon / steps * jnp.sign(gradient)
        return (_within(moved, x, epsilon), better(best, at, height)), None

    noise = jax.random.uniform(key, x.shape, x.dtype, -1.0, 1.0)
    start = _within(x + epsilon * noise, x, epsilon)
    best = start, jnp.full(x.shape[:1], -jnp.inf)
    (last, best), _ = jax.lax.scan(step, (start, best), None, length=steps)
    return better(best, last, odds(logits(last), y))[0]


def _sum_and_each(heights: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.sum(heights), heights


def _within(at: jax.Array, x: jax.Array, epsilon: Any) -> jax.Array:
    return jnp.clip(at, x - epsilon, x + epsilon)


class Attack(NamedTuple):
    """An attack by name. times: from how many random starts it is tried."""

    name: str
    perturb: Perturb
    source: str
    times: int = 1


ATTACKS: Catalogue[Attack] = Catalogue(
    "attack",
    [
        Attack("random_sign", random_sign, "noise of the same size, as a baseline"),
        Attack("fgsm", fgsm, "Goodfellow et al. 2015, arXiv:1412.6572"),
        Attack(
            "fgsm_odds",
            functools.partial(fgsm, loss=odds),
            "the same direction, of a loss that does not saturate",
        ),
        Attack("pgd", pgd, "Madry et al. 2018, arXiv:1706.06083", times=2),
    ],
)


def examples(
    attack: Attack,
    logits: Logits,
    x: jax.Array,
    y: jax.Array,
    epsilon: Any,
    key: jax.Array,
) -> jax.Array:
    """The attacked inputs of each of an attack's starts, [times, batch, …]."""
    one = functools.partial(attack.perturb, logits, x, y, epsilon)
    return jax.vmap(one)(jax.random.split(key, attack.times))


def tried(
    logits: Logits, x: jax.Array, y: jax.Array, epsilon: Any
) -> dict[str, jax.Array]:
    """The attacked inputs of all attacks by name, [times, batch, …]; always the same."""
    return {
        attack.name: examples(attack, logits, x, y, epsilon, jax.random.key(number))
        for number, attack in enumerate(ATTACKS.values())
    }
