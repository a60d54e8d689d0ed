"""The nets of `million_layers`: how they are drawn, gone through, and compiled."""

import functools
import time
from typing import Any

from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import walk
    from depthbench.research.machine import timing
    from depthbench.research.signal import probes, profiles

BATCH = 4
LOOKED_AT = 1000  # matrices whose singular values are taken
# From which depth on compile times are compared, with which depth's, and how often.
DEEP, OVER_DEPTH, PAIRS = 1_000_000, 100, 7


def drawn(draw: str, depth: int, width: int, seed: int) -> Any:
    """(kernels [depth, width, width], biases [depth, width]) of unit size."""
    return jax.block_until_ready(_sampler(draw, depth, width)(jax.random.key(seed)))


@functools.cache
def _sampler(draw: str, depth: int, width: int) -> Any:
    """A thousand layers at a time: nothing but the result is as large as it is."""
    some = max(n for n in range(1, min(depth, 1024) + 1) if depth % n == 0)

    def layer(key):
        of_kernel, of_bias = jax.random.split(key)
        kernel = DRAWS[draw].kernel(of_kernel, (width, width), jnp.float32)
        return kernel, DRAWS[draw].bias(of_bias, (width,), jnp.float32)

    @jax.jit
    def layers(key):
        return jax.lax.map(layer, jax.random.split(key, depth), batch_size=some)

    return layers


def ends(width: int, seed: int) -> Any:
    """(first states of unit length, cotangents of the last), Gaussian [BATCH, width].

    Half of a first state's variance is common to all inputs: their correlation is ½.
    """
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), 3)
    common = jax.random.normal(keys[0], (1, width))
    own, cotangent = (jax.random.normal(key, (BATCH, width)) for key in keys[1:])
    return (common + own) * 0.5**0.5, cotangent


def probe(weights, first, cotangent, rules):
    """All profiles of z′ = σ_w W tanh(z) + σ_b b from the first states on.

    In the dtype of the states; loss: the last states times the cotangent.
    """
    (stem, _), (sigma_w, sigma_b) = rules

    def layer(params, z, kernel, bias):
        kernel, bias = kernel.astype(z.dtype), bias.astype(z.dtype)
        return sigma_w * (jnp.tanh(z) @ kernel) + sigma_b * bias[None]

    # Nothing is learned of the weights: their own gradients are not asked for.
    given = dict(zip(("kernel", "bias"), weights, strict=True))
    link = walk.Link("layer", layer, (), repeats=len(weights[0]), keywords=given)
    with jax.default_matmul_precision("highest"):
        signal = probes.signal([link], stem * first, lambda z: jnp.vdot(cotangent, z))
    # What is left out of the program's results is not worked out.
    return signal._replace(log10_parameter_gradient=None)


def compiled(draw: str, depth: int, width: int) -> tuple[Any, float]:
    """`probe` compiled anew for nets of this shape, and the seconds that it took."""
    weights = jax.eval_shape(_sampler(draw, depth, width), jax.random.key(0))
    states = jax.ShapeDtypeStruct((BATCH, width), jnp.float32)
    rules = ((jax.ShapeDtypeStruct((), jnp.float32),) * 2,) * 2
    fresh = jax.jit(lambda *arguments: probe(*arguments))  # jit knows a function again
    began = time.perf_counter()
    program = fresh.lower(weights, states, states, rules).compile()
    return program, time.perf_counter() - began


def compilation(draw: str, depth: int, width: int) -> tuple[Any, dict[str, Any]]:
    """A net's program, and what it costs to compile.

    A deep one is compiled in turn with one of OVER_DEPTH layers, PAIRS times: what slows
    the machine slows both.
    """
    _warm_up()
    ours, ratios = [], []
    for _ in range(PAIRS if depth >= DEEP else 1):
        program, seconds = compiled(draw, depth, width)
        ours.append(seconds)
        if depth >= DEEP:
            ratios.append(seconds / compiled(draw, OVER_DEPTH, width)[1])
    plan, ratio = timing.planned(program), profiles.over_seeds(np.array(ratios))
    return program, {
        "compile_s": float(np.median(ours)),
        "compile_ratio": ratio.mean if ratios else None,
        "compile_ratio_se": ratio.error if ratios else None,
        "peak_mib": plan and plan.peak / 2**20,
    }


@functools.cache
def _warm_up() -> float:
    """A process's first program takes longer to compile than those after it."""
    return compiled("normal", 2, 2)[1]


@functools.cache
def _gradient():
    return jax.jit(lambda *arguments: probe(*arguments).log10_gradient)


def in_float64(weights, first, cotangent, rules):
    """Decades that the gradient gains through the same float32 weights, in float64."""
    with jax.enable_x64(True):
        states = (np.asarray(a, np.float64) for a in (first, cotangent))
        rules = jax.tree.map(lambda a: np.asarray(a, np.float64), rules)
        log10_gradient = np.asarray(_gradient()(weights, *states, rules))
    return float(profiles.ratio(log10_gradient[None])[0])


def stretched(kernels, depth):
    """By how much drawn matrices stretch, and the decades that this is at most.

    Singular values of up to LOOKED_AT matrices, in float64; were every layer's gradient
    along the direction that is stretched most, or least, it came to `stretch_bound`.
    """
    places = np.unique(np.linspace(0, depth - 1, min(depth, LOOKED_AT)).astype(int))
    some = np.asarray(kernels[places], np.float64)
    values = np.linalg.svd(some, compute_uv=False)
    worst = np.max(np.abs(np.log10(values[:, [0, -1]])), axis=1)
    return {
        "stretch_least": float(values.min()),
        "stretch_most": float(values.max()),
        "stretch_bound": float(np.mean(worst)) * depth,
    }
