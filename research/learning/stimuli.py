"""What excites a unit most: an input of a given length, by gradient ascent.

Le et al. 2012, arXiv:1112.6209, section 4.4; Erhan et al. 2009, Université de Montréal
1341: among inputs of one norm that which a unit answers with its largest value.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import fits

SHARE = 0.1  # of the norm, that the first step goes; later ones less


def optimal(
    fit: fits.FittedNet,
    places: Sequence[tuple[int, int, int]],
    start: Any,
    basis: Any,
    steps: int = 100,
) -> np.ndarray:
    """An input for each of the places [places, …], of the same norm as it began with.

    places: (number of the state, unit, sign) of each; a sign of −1 asks for the smallest
    value. start: what each begins with [places, …], none of them 0. basis: orthonormal
    [directions, numbers], of which inputs are combinations: principal components of the
    data, so that no pixel is used that no example uses.
    """
    states, norm = fits.states_of(fit.net), _norm(jnp.asarray(start, jnp.float32))
    basis = jnp.asarray(basis, jnp.float32)

    def spanned(x):
        flat = x.reshape(len(places), -1)
        x = ((flat @ basis.T) @ basis).reshape(x.shape)
        return x * norm / jnp.maximum(_norm(x), 1e-30)

    def wanted(x):
        each = states(fit.variables, x)
        return sum(
            sign * each[layer].reshape(len(places), -1)[place, unit]
            for place, (layer, unit, sign) in enumerate(places)
        )

    def step(number, x):
        slope = spanned(jax.grad(wanted)(x))
        return spanned(x + SHARE * (1 - number / steps) * slope)

    start = spanned(jnp.asarray(start, jnp.float32))
    return np.asarray(jax.jit(lambda x: jax.lax.fori_loop(0, steps, step, x))(start))


def _norm(x: jax.Array) -> jax.Array:
    """The norm of each of x [examples, …], in a shape that broadcasts with it."""
    axes = tuple(range(1, x.ndim))
    return jnp.sqrt(jnp.sum(jnp.square(x), axis=axes, keepdims=True))
