"""Two links that hang from a joint, with a motor between them: swing the end up.

Sutton 1996, Advances in Neural Information Processing Systems 8; the equations of Sutton
& Barto's book, integrated by one Runge–Kutta step of 0.2 s, as gymnasium's Acrobot-v1
has them, which tests hold it to step by step.
"""

from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp

GRAVITY, TAU = 9.8, 0.2  # m/s², s
LENGTH, CENTRE, MASS, INERTIA = 1.0, 0.5, 1.0, 1.0  # of either link: m, m, kg, kg m²
FASTEST = (12.566370614359172, 28.274333882308138)  # 4π and 9π rad/s
HIGH = 1.0  # m above the joint, which the end has to be lifted over
START = 0.1


def begin(key: Any) -> Any:
    """[4]: two angles and their speeds, each near 0: both links hang."""
    return jax.random.uniform(key, (4,), minval=-START, maxval=START)


def rates(state: Any, torque: Any) -> Any:
    """d state / dt [4]. The second angle is that between the links."""
    one, two, turning_one, turning_two = state
    cosine, sine = jnp.cos(two), jnp.sin(two)
    lever = MASS * LENGTH * CENTRE
    whole = MASS * (2 * CENTRE**2 + LENGTH**2) + 2 * lever * cosine + 2 * INERTIA
    outer = MASS * CENTRE**2 + lever * cosine + INERTIA
    # cos(angle − π/2) is its sine: the moments of the weights.
    pull_outer = MASS * CENTRE * GRAVITY * jnp.sin(one + two)
    pull = MASS * (CENTRE + LENGTH) * GRAVITY * jnp.sin(one) + pull_outer
    pull = pull - lever * sine * (turning_two**2 + 2 * turning_two * turning_one)
    moved = torque + outer / whole * pull - lever * turning_one**2 * sine - pull_outer
    faster_two = moved / (MASS * CENTRE**2 + INERTIA - outer**2 / whole)
    faster_one = -(outer * faster_two + pull) / whole
    return jnp.stack([turning_one, turning_two, faster_one, faster_two])


def step(state: Any, action: Any) -> tuple[Any, Any, Any]:
    """(state 0.2 s later, −1 or 0 at the goal, whether the end is high enough).

    action: a torque of −1, 0 or 1 N m, as 0, 1, 2.
    """
    torque = jnp.asarray(action).astype(state.dtype) - 1
    first = rates(state, torque)
    second = rates(state + TAU / 2 * first, torque)
    third = rates(state + TAU / 2 * second, torque)
    fourth = rates(state + TAU * third, torque)
    after = state + TAU / 6 * (first + 2 * second + 2 * third + fourth)
    angles = jnp.mod(after[:2] + jnp.pi, 2 * jnp.pi) - jnp.pi
    fastest = jnp.array(FASTEST)
    after = jnp.concatenate([angles, jnp.clip(after[2:], -fastest, fastest)])
    ended = height(after) > HIGH
    return after, jnp.where(ended, 0.0, -1.0), ended


def height(state: Any) -> Any:
    """How high the free end is above the joint that both links hang from, in m."""
    return -jnp.cos(state[0]) - jnp.cos(state[0] + state[1])


def observe(state: Any) -> Any:
    """[6]: cosine and sine of either angle, and both speeds."""
    one, two = state[0], state[1]
    turned = [jnp.cos(one), jnp.sin(one), jnp.cos(two), jnp.sin(two)]
    return jnp.stack([*turned, state[2], state[3]])
