"""What is read of a state: how long it is, how far examples are apart, what saturates."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from depthbench.research.signal import nonlinearities, probes

COLUMNS = ("log10_length", "decorrelation", "saturated", "dead")


def reading(
    state: Sequence[jax.Array],
    activations: Sequence[tuple[Any, Sequence[Any]]],
    batch: int | None,
) -> jax.Array:
    """[COLUMNS] of a state of one or several arrays, and the activations before it.

    log10_length: log10 of the mean square of all numbers; not finite where one of them is
      not (inf or nan), −inf where all are 0.
    decorrelation: 1 − mean correlation of two examples; nan without an axis of the batch.
    saturated, dead: `nonlinearities.shares`, the mean over activations; nan without one.
    """
    state = [_at_least_float32(a) for a in state]
    apart = batch is not None and all(a.ndim and a.shape[0] == batch for a in state)
    examples = state if apart else [jnp.reshape(a, (1, -1)) for a in state]
    length, decorrelation = probes.spread(examples)
    finite = [jnp.all(jnp.isfinite(a)) for a in state]
    length = jnp.where(jnp.all(jnp.stack(finite)), length, jnp.inf)
    each = [nonlinearities.shares(*one, batch) for one in activations]
    each = each or [(jnp.nan, jnp.nan)]
    saturated, dead = (jnp.nanmean(jnp.stack(s)) for s in zip(*each, strict=True))
    parts = (length, decorrelation if apart else jnp.nan, saturated, dead)
    return jnp.stack([jnp.asarray(part, length.dtype) for part in parts])


def _at_least_float32(a: jax.Array) -> jax.Array:
    # Said here, as a session may forbid that dtypes are promoted.
    return a.astype(jnp.float64 if a.dtype == jnp.float64 else jnp.float32)


def is_finite(reading: Any) -> Any:
    """Whether all numbers of a state are finite, of its reading […, COLUMNS]."""
    return reading[..., 0] < jnp.inf
