"""A pole on a cart that is pushed left or right: it must not fall.

Barto, Sutton & Anderson 1983, IEEE Transactions on Systems, Man, and Cybernetics 13:834;
masses, lengths, Euler's rule and bounds as in gymnasium's CartPole-v1, which tests hold it
to step by step.
"""

from typing import Any

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp

GRAVITY, FORCE, TAU = 9.8, 10.0, 0.02  # m/s², N, s
CART, POLE, HALF = 1.0, 0.1, 0.5  # kg, kg, m: half of the pole's length
FAR, TILTED = 2.4, 0.20943951023931953  # m; 12 degrees
START = 0.05


def begin(key: Any) -> Any:
    """[4]: place, speed, angle, angular speed, each near 0."""
    return jax.random.uniform(key, (4,), minval=-START, maxval=START)


def step(state: Any, action: Any) -> tuple[Any, Any, Any]:
    """(state 0.02 s later, 1, whether the pole has fallen or the cart is too far).

    action: 0 pushes to the left, 1 to the right.
    """
    _, speed, angle, turning = state
    force = jnp.where(action == 1, FORCE, -FORCE)
    sine, cosine, mass = jnp.sin(angle), jnp.cos(angle), CART + POLE
    push = (force + POLE * HALF * turning**2 * sine) / mass
    inertia = HALF * (4 / 3 - POLE * cosine**2 / mass)
    angular = (GRAVITY * sine - cosine * push) / inertia
    linear = push - POLE * HALF * angular * cosine / mass
    rates = jnp.stack([speed, linear, turning, angular])
    after = state + TAU * rates
    ended = (jnp.abs(after[0]) > FAR) | (jnp.abs(after[2]) > TILTED)
    return after, jnp.ones(()), ended


def observe(state: Any) -> Any:
    """[4]: all of the state."""
    return state
