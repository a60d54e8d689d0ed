"""An activation as the theory uses it: φ, where it is not smooth, and its slope."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp


class Activation(NamedTuple):
    """A nonlinearity φ, applied to every element.

    phi: the function, on an array of any shape; differentiable by jax.
    kinks: the points where φ or φ′ is not smooth; the theory's quadrature splits there.
    """

    name: str
    phi: Callable[[Any], Any]
    source: str
    kinks: tuple[float, ...] = ()

    def __call__(self, x: Any) -> Any:
        return self.phi(x)


def value_and_slope(phi: Callable, x: Any) -> tuple[Any, Any]:
    """φ(x) and φ′(x), each of x's shape, in one pass.

    >>> value, slope = value_and_slope(lambda x: x**2, jnp.float32(3.0))
    >>> float(value), float(slope)
    (9.0, 6.0)
    """
    return jax.jvp(phi, (x,), (jnp.ones_like(x),))


@contextlib.contextmanager
def on_host() -> Iterator[Any]:
    """In the block, and of it, the CPU: theory is no work for an accelerator, which would
    compile each of its small programs at length.

    >>> with on_host() as cpu:
    ...     cpu.platform, jnp.ones(2).device == cpu
    ('cpu', True)
    """
    try:
        device = jax.devices("cpu")[0]
    except RuntimeError:  # of JAX_PLATFORMS, which names an accelerator alone
        device = jax.devices()[0]
    with jax.default_device(device):
        yield device


@functools.cache
def steepest(activation: Activation) -> float:
    """The largest |φ′| on [-8, 8], the yardstick for what counts as saturated.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> round(steepest(ACTIVATIONS["sigmoid"]), 4)
    0.25
    """
    with on_host():
        x = jnp.linspace(-8.0, 8.0, 1601) + 0.0025  # no grid point on a kink
        return float(jnp.max(jnp.abs(value_and_slope(activation.phi, x)[1])))


@functools.cache
def kinked_at_zero(activation: Activation) -> bool:
    """Whether φ′ jumps at 0: a state that underflows then has another gradient.

    >>> from depthbench.research.catalogues.activations import ACTIVATIONS
    >>> [kinked_at_zero(ACTIVATIONS[name]) for name in ("relu", "elu")]
    [True, False]
    """
    with on_host():
        near = jnp.array([-1e-3, 1e-3], jnp.float32)
        left, right = value_and_slope(activation.phi, near)[1]
        return bool(jnp.abs(left - right) > 0.1)
