"""Random recurrent nets whose recurrent matrix has a given size, and their Jacobians."""

import functools
from typing import NamedTuple

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import (
    DRAWS,
    INITIALIZERS,
    Draw,
    Sample,
)
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract
    from depthbench.research.catalogues import normalizers
    from depthbench.research.signal import jacobian

BATCH, FEATURES = 2, 16
LAGS = 8  # how many of the lags up to the longest are measured, evenly spaced


class Recurrence(NamedTuple):
    """How a recurrent kernel of unit size is drawn; its size is the axis σ_w."""

    name: str
    kernel: Sample
    source: str


def _eye(key, shape, dtype):
    return jnp.eye(*shape, dtype=dtype)


DRAWN = Catalogue(
    "draw",
    [
        Recurrence(
            name, DRAWS[INITIALIZERS[name].draw].kernel, INITIALIZERS[name].source
        )
        for name in ("lecun_normal", "orthogonal")
    ]
    + [Recurrence("identity", _eye, "Le, Jaitly & Hinton 2015, arXiv:1504.00941")],
)


def build(cell, sigma_w):
    """A net that reads inputs by a kernel of its own; only W has the size σ_w."""
    normal = DRAWS["normal"]
    weights = contract.Weights(
        Draw(DRAWN[cell["draw"]].kernel, normal.bias, first=normal.kernel),
        lambda fan_in, fan_out: (sigma_w, 0.0),
        ntk=True,
        first=lambda fan_in, fan_out: (1.0, 0.0),
    )
    settings = contract.Settings(
        width=cell["width"],
        depth=cell["lag"],
        activation=ACTIVATIONS[cell["activation"]].phi,
        weights=weights,
        normalizer=normalizers.NORMALIZERS["none"],
        outputs=1,
        active_depth=cell["lag"],
    )
    return ARCHITECTURES[cell["architecture"]].build(settings)


def drawn(cell, seed):
    """(variables of unit size, inputs [batch, lag, features])."""
    key_x, key_net = jax.random.split(jax.random.key(seed))
    x = jax.random.normal(key_x, (BATCH, cell["lag"], FEATURES))
    return contract.init(key_net, build(cell, 1.0), x), x


def lags_to(longest):
    """Evenly spaced lags, the longest among them: [at most LAGS]."""
    step = -(-longest // LAGS)
    return np.arange(longest, 0, -step, dtype=np.int32)[::-1]


@functools.cache
def program(architecture, activation, width, lag):
    """Jitted, from variables, inputs, σ_w and lags: log10 ‖∂h_t/∂h_0‖ [lags, batch].

    And whether the last state is finite.
    """
    cell = {"architecture": architecture, "activation": activation}
    cell |= {"draw": "lecun_normal", "width": width, "lag": lag}  # any: W is handed in

    def norms(variables, x, sigma_w, lags):
        net = build(cell, sigma_w)

        def at(t):
            links = contract.links(net, variables, depths=(t,))
            spectrum = jacobian.singular_values(links, x, k=1, method="exact")
            return spectrum.log10[:, 0]

        outputs, _ = contract.apply(net, variables, x)
        return jax.lax.map(at, lags), jnp.all(jnp.isfinite(outputs))

    return jax.jit(norms)
