"""Gradients of the ensembles' networks in mixed precision: what their dtype keeps."""

import functools
from typing import Any

import jax
import numpy as np

from depthbench.research.architectures import contract
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.dtypes import ACTIVE
from depthbench.research.signal import ensembles, profiles, rounded
from depthbench.research.signal.ensembles import Member, Program
from depthbench.research.signal.rounded import Rounded

HALF = 0.5  # of the entries


def gradients(
    program: Program,
    activation: str,
    draw: str,
    depth: int,
    member: Member,
    seeds: range,
    dtype: str,
    log2_scale: float | None = None,
) -> Rounded:
    """The member's gradients in the dtype and in float32, arrays [seeds, states].

    The same nets and batches as `ensembles.signals` has, their weights at their size, as
    in training. log2_scale: of the loss; None: the dtype's own.
    """
    entry = ACTIVE[dtype]
    found = entry.scaled and log2_scale is None
    variables = ensembles.drawn(program, draw, seeds, member, ntk=False)
    x, y = ensembles.batches(program, seeds)
    rules = jax.tree.map(np.float32, member)
    index = np.int32(program.activations.index(activation))
    numbers = (rules, index, np.int32(depth), np.float32(log2_scale or 0))
    run = _compiled(program, entry.array, found)
    host = jax.device_get(run(variables, x, y, *numbers))
    states = depth + 1 if ensembles.repeats(program) else None
    *profiled, scale = host
    return Rounded(*(a[..., :states] for a in profiled), scale)


@functools.cache
def _compiled(program: Program, dtype: str, found: bool) -> Any:
    phis = tuple(ACTIVATIONS[name].phi for name in program.activations)

    def one(variables, x, y, rules, index, depth, log2_scale):
        def activation(z):
            return ensembles.one_of(phis, index, z)

        net = ensembles.build(program, activation, "normal", rules, depth, ntk=False)
        depths = (depth,) if ensembles.repeats(program) else None
        links = contract.links(net, variables, depths=depths)
        loss = functools.partial(ensembles.mean_loss, program, x, y)
        scale = None if found else log2_scale
        return rounded.rounded(links, x, loss, dtype, scale)

    def run(*arguments):
        with jax.default_matmul_precision("highest"):
            return jax.vmap(one, in_axes=(0, 0, 0, *[None] * 4))(*arguments)

    return jax.jit(run, compiler_options=rounded.OPTIONS)


def columns(measured: Rounded) -> dict[str, Any]:
    """What a dtype keeps of the gradient, by column: means over seeds.

    kept_layers: through how many, from the last, something finite of it is left.
    half_layers: through how many at most half of its entries are 0. log10_entry: the
    exact gradient's, at the first state. lost_how: "zero", "overflow", or None.
    """
    there = np.isfinite(measured.log10_plain)
    half = there & (measured.zeros <= HALF)
    lost = ~there
    how = None
    if np.any(lost):
        first = [np.max(np.flatnonzero(seed)) for seed in lost if np.any(seed)]
        seeds = np.flatnonzero(np.any(lost, axis=1))
        zeros = [
            np.isneginf(measured.log10_plain[s, at])
            for s, at in zip(seeds, first, strict=True)
        ]
        how = "zero" if all(zeros) else "overflow"
    cosine, zeros = measured.cosine[:, 0], measured.zeros[:, 0]
    zeros = np.where(there[:, 0], zeros, 1.0)
    return {
        **_both("kept_layers", _layers(there)),
        "lost_how": how,
        **_both("half_layers", _layers(half)),
        **_both("log10_entry", measured.log10_entry[:, 0]),
        "zero_share": float(np.mean(zeros, dtype=np.float64)),
        **_both("cosine", cosine),
        "log2_scale": float(np.mean(measured.log2_scale, dtype=np.float64)),
    }


def _both(name: str, values: np.ndarray) -> dict[str, float | None]:
    """A mean over seeds and its standard error; None where there is no number."""
    mean, error = profiles.over_seeds(values)
    return {
        name: mean if np.isfinite(mean) else None,
        f"{name}_se": error if np.isfinite(error) else None,
    }


def _layers(good: np.ndarray) -> np.ndarray:
    """Through how many layers, from the last, all is good: [seeds] of [seeds, states]."""
    unbroken = np.cumprod(good[:, ::-1], axis=1, dtype=np.int64)
    return np.maximum(np.sum(unbroken, axis=1) - 1.0, 0.0)
