"""Orthogonal draws as an accelerator makes them: those of jax's own initialiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues import initializers, orthonormal

SHAPES = ((8, 8), (5, 9), (9, 5), (1, 4), (4, 1), (3, 3, 2, 7), (64, 64))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_kernel_is_that_of_jax_but_for_rounding(shape):
    key = jax.random.key(3)
    kernel = orthonormal.kernel(key, shape, jnp.float32, 1.5)
    ours = jax.nn.initializers.orthogonal(1.5)(key, shape, jnp.float32)
    # Some 64 reflections, each of which rounds: 1e-7 times their root, and to spare.
    np.testing.assert_allclose(kernel, ours, rtol=0, atol=1e-5)


def test_a_batch_is_factored_at_once_and_multiplied_out_in_one_loop():
    """Lowered for CUDA: jax's own QR calls the vendor's orgqr, a matrix at a time."""

    def calls(function) -> list[bool]:
        keys = jax.random.split(jax.random.key(0), 12)
        lowered = jax.jit(jax.vmap(function)).trace(keys)
        text = lowered.lower(lowering_platforms=("cuda",)).as_text()
        return [name in text for name in ("geqrf", "orgqr")]

    ours = lambda key: orthonormal.kernel(key, (16, 16), jnp.float32, 1.0)
    theirs = lambda key: jax.nn.initializers.orthogonal()(key, (16, 16), jnp.float32)
    assert calls(ours) == [True, False] and calls(theirs) == [True, True]


def test_an_accelerator_draws_so_and_a_cpu_as_it_did(monkeypatch):
    sampler = initializers._orthogonal_sampler.__wrapped__
    keys = jax.random.split(jax.random.key(1), 3)
    usual = jax.vmap(sampler((6, 6), jnp.float32))(keys)
    plain = jax.nn.initializers.orthogonal()
    expected = [jax.jit(lambda k: plain(k, (6, 6), jnp.float32))(k) for k in keys]
    np.testing.assert_array_equal(usual, np.stack(expected))
    used = []
    kernel = orthonormal.kernel
    monkeypatch.setattr(orthonormal, "kernel", lambda *a: used.append(1) or kernel(*a))
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    there = jax.vmap(sampler((6, 6), jnp.float32))(keys)
    assert used, "an accelerator takes its own form"
    np.testing.assert_allclose(there, usual, rtol=0, atol=1e-6)
