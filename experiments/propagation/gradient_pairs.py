"""Gradients of ReLU nets at pairs of inputs: measured, and at infinite width.

The gradient of a unit of layer l with respect to the input is that of a net of l layers
whose output is linear. So one forward pass with tangents shows all depths, and as many
gradients at each as the layer has units.

Source: Balduzzi, Frean, Leary, Lewis, Ma & McWilliams 2017, arXiv:1702.08591.
"""

import functools
import math
from typing import Any, Literal, NamedTuple

from depthbench.research.architectures import ARCHITECTURES, Branch
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, walk

RELU = ACTIVATIONS["relu"]
LAGS = 16  # points apart on the line, from 0


class Net(NamedTuple):
    """A kind of net, and how its correlations fall with depth according to the paper.

    law: "rate" for number^L, "power" for L^number.
    """

    name: str
    architecture: str
    normalizer: str
    initializer: str
    law: Literal["rate", "power"]
    number: float
    source: str = "Balduzzi et al. 2017, arXiv:1702.08591"


NETS: Catalogue[Net] = Catalogue(
    "net",
    [
        Net("plain", "mlp", "none", "he_normal", "rate", 1 / 2),
        Net("plain_batch", "mlp", "batch", "he_normal", "rate", 1 / 2),
        Net("residual", "residual_mlp", "none", "he_normal", "rate", 3 / 4),
        Net("residual_batch", "residual_mlp", "batch", "he_normal", "power", -1 / 2),
        Net("looks_linear", "mlp", "none", "looks_linear", "rate", 1.0),
    ],
)


class Pairs(NamedTuple):
    """Gradients along one direction at a batch of inputs, of all units of each state.

    correlation: [depth + 1] their inner product over the units, averaged over pairs of
      inputs, relative to their mean square.
    covariance: [depth + 1, lags] of a unit's gradients that many inputs apart, their
      mean over the inputs subtracted, relative to their mean square.
    series: [depth + 1, batch] the gradients of one unit, as they are.
    co_active: [depth] share of a layer's units that are active for both of two inputs.
    """

    correlation: Any
    covariance: Any
    series: Any
    co_active: Any


def build(net: Net, width: int, depth: int) -> Any:
    """The net, as a `contract.Architecture`; batch statistics count as constants."""
    start = INITIALIZERS[net.initializer]

    def gains(rule):
        def of(fan_in: int, fan_out: int) -> tuple[float, float]:
            sigma_w2, sigma_b2 = rule(fan_in, fan_out)
            return math.sqrt(sigma_w2), math.sqrt(sigma_b2)

        return of

    first, hidden = gains(start.first(RELU)), gains(start.hidden(RELU))
    settings = contract.Settings(
        width=width,
        depth=depth,
        activation=RELU.phi,
        weights=contract.Weights(DRAWS[start.draw], hidden, first=first),
        normalizer=_constant(NORMALIZERS[net.normalizer]),
        outputs=1,
        active_depth=depth,
    )
    return ARCHITECTURES[net.architecture].build(settings)


def _constant(normalizer):
    """Batch statistics that no gradient goes through: each input has its own then."""
    if not normalizer.running:
        return normalizer

    def statistics(h):
        return jax.lax.stop_gradient(normalizer.statistics(h))

    return normalizer._replace(statistics=statistics, running=False)


def typical(key: Any, points: int, width: int) -> tuple[Any, Any]:
    """(x, direction), each [points, width]: independent Gaussian inputs."""
    key_x, key_direction = jax.random.split(key)
    direction = jax.random.normal(key_direction, (1, width))
    x = jax.random.normal(key_x, (points, width))
    return x, jnp.broadcast_to(direction, x.shape)


def line(points: int, width: int) -> tuple[Any, Any]:
    """(x, direction), each [points, width]: a line from -2 to 2, at distance 1 from 0.

    He's first layer makes t w + b of it, with w and b of variance 1. Through 0, a net
    without biases would have a single kink.
    """
    axes = jnp.eye(2, width) * math.sqrt(width / 2)
    t = jnp.linspace(-2, 2, points)[:, None]
    return t * axes[:1] + axes[1:], jnp.broadcast_to(axes[:1], (points, width))


@functools.cache
def sampler(net: Net, points: int, width: int, depth: int) -> Any:
    """A compiled key -> Pairs [2, …] of one drawn net: at typical inputs, on the line."""
    built = build(net, width, depth)

    def run(key):
        key_net, key_inputs = jax.random.split(key)
        batches = typical(key_inputs, points, width), line(points, width)
        x, direction = (jnp.stack(both) for both in zip(*batches, strict=True))
        variables = contract.init(key_net, built, x[0])
        with jax.default_matmul_precision("highest"):
            return jax.vmap(functools.partial(measure, built, variables))(x, direction)

    return jax.jit(run)


def measure(net: Any, variables: Any, x: Any, direction: Any) -> Pairs:
    """The Pairs of a net of one stage at inputs x [batch, …], along `direction`."""
    stem, (layers,), _ = walk.parts(contract.links(net, variables))
    normalizer = net.stages[0].layer.normalizer

    def step(carry, layer):
        h, tangent = carry
        after = jax.jvp(layer, (h,), (tangent,))
        return after, (_look(after[1]), _co_active(normalizer, h))

    start = jax.jvp(lambda x: walk.fold(stem, x)[0], (x,), (direction,))
    _, (later, co_active) = walk.scan(layers, step, start)
    first = jax.tree.map(lambda a: a[None], _look(start[1]))
    correlation, covariance, series = (
        jnp.concatenate(both) for both in zip(first, later, strict=True)
    )
    return Pairs(correlation, covariance, series, co_active)


def _look(gradients):
    """(correlation, covariance, series) of gradients [batch, width]."""
    batch = gradients.shape[0]
    square = jnp.sum(jnp.square(gradients))
    together = jnp.sum(jnp.square(jnp.sum(gradients, 0)))
    correlation = (together - square) / ((batch - 1) * square)
    apart = gradients - jnp.mean(gradients, 0, keepdims=True)
    lags = range(min(LAGS, batch))
    covariance = [jnp.sum(apart[: batch - lag] * apart[lag:]) for lag in lags]
    return correlation, jnp.stack(covariance) / square, gradients[:, 0]


def _co_active(normalizer, h):
    """Share of units that are active for both of two inputs, over all pairs."""
    statistics = normalizer.statistics
    active = h > (0.0 if statistics is None else statistics(h)[0])
    count, batch = jnp.sum(active, 0, dtype=jnp.float32), h.shape[0]
    return jnp.mean(count * (count - 1)) / (batch * (batch - 1))


def correlations(
    branch: Branch, normalizer: str, depth: int, sigma_w2: float = 2.0, c: float = 0.0
) -> Any:
    """Correlation [depth + 1] of gradients at two inputs of correlation c; wide nets.

    Layers h′ = skip h + scale W φ(norm(h)), without biases; with batch norm, c is that
    of the batch's centred states, and the batch is large. For unit Gaussians u, v of
    correlation c, E[φ(u)φ(v)] and E[φ′(u)φ′(v)] are half the arc-cosine kernels of
    orders 1 and 0 (Cho & Saul 2009, equation 6).
    """
    keep, gain = branch.skip**2, branch.scale**2 * sigma_w2
    mean2 = 1 / (2 * math.pi) if normalizer == "batch" else 0.0
    variance, ratio = sigma_w2, [1.0]
    for _ in range(depth):
        angle = math.acos(min(max(c, -1.0), 1.0))
        both = 1 - angle / math.pi
        kernel = (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi
        # φ is fed unit variance by batch norm, and scales with its argument without.
        fed, slope = (1.0, 1 / variance) if mean2 else (variance, 1.0)
        ratio.append(
            ratio[-1] * (keep + gain * slope * both / 2) / (keep + gain * slope / 2)
        )
        covariance = keep * variance * c + gain * fed * (kernel / 2 - mean2)
        variance = keep * variance + gain * fed * (1 / 2 - mean2)
        c = covariance / variance
    return np.array(ratio)


def wide_correlations(net: Net, depth: int) -> Any:
    """The correlation [depth + 1] at two independent inputs, if the net were wide."""
    if net.initializer == "looks_linear":
        return np.ones(depth + 1)
    branch = ARCHITECTURES[net.architecture].branch
    assert branch is not None  # that of every net here is known
    return correlations(branch(depth), net.normalizer, depth)
