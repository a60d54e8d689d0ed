"""Every normaliser keeps its contract, and makes what it promises."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures.layers import Norm
from depthbench.research.catalogues.normalizers import NORMALIZERS
from tests.differences import check_gradient
from tests.entries import DTYPES, KEY, normal, over


@over(NORMALIZERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_normaliser_keeps_shape_and_dtype(entry, dtype):
    for wide in {dtype == "float64", True}:  # float32 stays so where x64 is allowed
        with jax.enable_x64(wide):
            h = np.asarray(3 + 2 * normal(6, 2, 5), dtype)
            layer = Norm(entry)

            @jax.jit
            def run(h, layer=layer):
                variables = layer.init(KEY, h)
                out, after = layer.apply(variables, h, True, mutable=["statistics"])
                later = layer.apply({**variables, **after}, h, False)
                return out, later, variables, after

            out, later, variables, after = run(h)
            for y in (out, later):
                assert (y.shape, y.dtype) == (h.shape, h.dtype)
                assert np.all(np.isfinite(y))
            assert all(a.dtype == h.dtype for a in jax.tree.leaves((variables, after)))
            assert bool(after) == entry.running


def test_normalisers_make_what_they_promise():
    h = 3 + 2 * normal(64, 48)

    def normalised(name, train=False):
        layer = Norm(NORMALIZERS[name])

        @jax.jit
        def run(h):
            variables = layer.init(KEY, h)
            return layer.apply(variables, h, train, mutable=["statistics"])[0]

        return np.asarray(run(h))

    np.testing.assert_array_equal(normalised("none"), h)
    # ε = 1e-5 beside a variance of 4 (a square of 13 for rms) takes 3e-6 off.
    batch, layer = normalised("batch", train=True), normalised("layer")
    np.testing.assert_allclose(batch.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(batch.var(0), 1, rtol=1e-5)
    np.testing.assert_allclose(layer.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(layer.var(1), 1, rtol=1e-5)
    rms = normalised("rms")
    np.testing.assert_allclose(np.mean(rms**2, 1), 1, rtol=1e-5)
    assert np.all(rms.mean(1) > 0.5)  # it subtracts nothing


@over(NORMALIZERS)
def test_a_normaliser_differentiates_maps_and_compiles_once(entry, traces):
    layer = Norm(entry)
    h = 3 + normal(4, 6, 5)
    variables = jax.jit(layer.init)(KEY, h[0])

    def normalise(h):
        return layer.apply(variables, h, True, mutable=["statistics"])[0]

    run = traces(normalise)
    alone = np.stack([run(one) for one in h])
    assert run.count == 1
    # The sums may be taken in another order: a few ulp of values near 3.
    together = jax.jit(jax.vmap(normalise))(h)
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    wide = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
    with jax.enable_x64(True):
        check_gradient(
            lambda h: layer.apply(wide, h, True, mutable=["statistics"])[0],
            h[0].astype(np.float64),
        )
