"""Dynamic loss scaling: a float16 gradient is that of a loss times a power of two.

Too small a scale and gradients underflow; too large, and they overflow: then the step is
skipped and the scale halved. After PERIOD steps without an overflow it is doubled.

Source: Micikevicius et al. 2018, arXiv:1710.03740, section 3.2, where the scale is
constant; section 5 proposes to adjust it at overflows. The numbers are those of PyTorch's
`GradScaler`; the least scale, 1, and the steps are those of jmp's `DynamicLossScale`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

FIRST, PERIOD, FACTOR, LEAST = 2.0**16, 2000, 2.0, 1.0


class ScaledRule(NamedTuple):
    """The state of an update rule and of its loss's scale. scale: [] of the next loss.

    steps: [] since the scale was changed. rule: the state of the rule itself.
    """

    scale: jax.Array
    steps: jax.Array
    rule: Any


def scaling(rule: Any) -> Any:
    """The optax rule, given gradients of the loss times `ScaledRule.scale`.

    Where one is not finite the direction is 0 and the rule's state stays.
    """

    def init(params):
        return ScaledRule(jnp.float32(FIRST), jnp.int32(0), rule.init(params))

    def update(gradient, state, params=None):
        finite = all_finite(gradient)
        unscaled = jax.tree.map(lambda g: g / state.scale, gradient)
        direction, after = rule.update(unscaled, state.rule, params)
        direction = jax.tree.map(lambda d: jnp.where(finite, d, 0), direction)
        kept = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), after, state.rule
        )
        return direction, ScaledRule(*adjusted(state.scale, state.steps, finite), kept)

    return optax.GradientTransformation(init, update)


def adjusted(
    scale: jax.Array, steps: jax.Array, finite: Any, period: int = PERIOD
) -> tuple[jax.Array, jax.Array]:
    """(the scale, steps since it was changed) after a step, finite or not.

    >>> scale, steps = adjusted(jnp.float32(8.0), jnp.int32(5), False)
    >>> float(scale), int(steps)
    (4.0, 0)
    """
    full = steps >= period - 1
    # Not beyond float32: inf would never come back.
    grown = jnp.minimum(scale * FACTOR, 2.0**126)
    up = jnp.where(full, grown, scale)
    down = jnp.maximum(scale / FACTOR, LEAST)
    after = jnp.where(finite & ~full, steps + 1, 0)
    return jnp.where(finite, up, down), after.astype(jnp.int32)


def all_finite(tree: Any) -> jax.Array:
    """Whether all numbers of a pytree are finite."""
    each = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(each))
