"""Where products are in bfloat16 or float16, positions, counts and sums are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.attention import rotate, sinusoids
from depthbench.research.architectures.contract import apply, divide, init, unite
from depthbench.research.architectures.convolutional.feedforward import (
    average_pool,
    local_response,
)
from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.normalizers import NORMALIZERS
from tests.architectures.test_families import KEY, small

COARSE = ("bfloat16", "float16")
coarse = pytest.mark.parametrize("dtype", COARSE)
SUMS = ("reduce_sum", "reduce_window_sum", "cumsum", "reduce_prod", "cumprod")


def equations(jaxpr):
    """Every equation of a program, those of its loops and calls too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, list | tuple) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


def spoiled(function, *arguments):
    """What a program counts or sums in a dtype of 8 or 11 bits."""
    found = []
    with jax.numpy_dtype_promotion("standard"):  # jax's own attention needs it
        program = jax.make_jaxpr(function)(*arguments)
    for equation in equations(program.jaxpr):
        read = [getattr(v.aval, "dtype", None) for v in equation.invars]
        made = [str(getattr(v.aval, "dtype", None)) for v in equation.outvars]
        name = equation.primitive.name
        counts = name == "iota"
        if name == "convert_element_type" and np.issubdtype(read[0], np.integer):
            counts = not equation.invars[0].aval.weak_type  # as padding's literal 0 is
        if (counts or name in SUMS) and made[0] in COARSE:
            found.append(f"{name} in {made[0]}")
    return found


@coarse
def test_a_count_in_the_products_dtype_is_seen(dtype):
    x = jnp.ones((3, 300), dtype)
    scan = lambda x: jax.lax.scan(lambda c, row: (c, row.cumsum()), 0, x)
    assert spoiled(lambda x: x + jnp.arange(300, dtype=dtype)[None], x)
    assert spoiled(lambda x: x * jnp.arange(3).astype(dtype)[:, None], x)
    assert spoiled(scan, x)
    assert not spoiled(lambda x: x.mean(0), x)  # jax sums these in float32


@coarse
@pytest.mark.parametrize("family", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_no_family_counts_or_sums_in_its_products_dtype(family, dtype, network):
    """In training and not, on parameters that are cast as a training step casts them."""
    normalizer = family.published_normalizer or "batch"
    net, x = small(family, network, normalizer)
    drawn = jax.eval_shape(lambda x: init(KEY, net, x), x)
    params, statistics = divide(drawn)
    shapes = unite(jax.tree.map(lambda a: a.update(dtype=dtype), params), statistics)
    x = jax.ShapeDtypeStruct(x.shape, dtype)
    for train in (True, False):
        run = lambda v, x, t=train: apply(net, v, x, t)
        assert not spoiled(run, shapes, x)


@coarse
@pytest.mark.parametrize("time", (128, 1024, 4096))
def test_positions_are_those_of_float64(dtype, time):
    """Off by the rounding of a sine, not of an angle; no two rows are equal."""
    width = 32
    angle = np.arange(time)[:, None] * 10_000.0 ** -(np.arange(16) / 16)
    rows = np.asarray(sinusoids(time, width, jnp.dtype(dtype)), np.float64)
    bits = float(jnp.finfo(dtype).eps)
    # float32's own angle is off by time · 2⁻²⁴
    np.testing.assert_allclose(rows[:, ::2], np.sin(angle), atol=bits + time * 2e-7)
    np.testing.assert_allclose(rows[:, 1::2], np.cos(angle), atol=bits + time * 2e-7)
    assert len(np.unique(rows, axis=0)) == time

    x = np.random.default_rng(0).standard_normal((1, 1, time, width))
    x = jnp.asarray(x, dtype)
    turned = np.asarray(rotate(x), np.float64)
    even, odd = np.asarray(x, np.float64).reshape(time, 16, 2).transpose(2, 0, 1)
    expected = np.stack(
        [
            even * np.cos(angle) - odd * np.sin(angle),
            even * np.sin(angle) + odd * np.cos(angle),
        ],
        -1,
    ).reshape(x.shape)
    error = np.linalg.norm(turned - expected) / np.linalg.norm(expected)
    assert error < 0.7 * bits + time * 2e-7


@coarse
def test_the_gradient_of_a_rotation_is_one_back(dtype):
    """Rounded once: half a unit of its last place, as the rotation itself."""
    x, g = np.random.default_rng(1).standard_normal((2, 2, 3, 100, 16))
    x, g = jnp.asarray(x, dtype), jnp.asarray(g, dtype)
    turned = np.asarray(jax.vjp(rotate, x)[1](g)[0], np.float64)
    frequency = 10_000.0 ** -(np.arange(8) / 8)
    angle = np.arange(100)[:, None] * frequency
    even, odd = np.moveaxis(np.asarray(g, np.float64).reshape(2, 3, 100, 8, 2), -1, 0)
    pairs = (
        even * np.cos(angle) + odd * np.sin(angle),
        odd * np.cos(angle) - even * np.sin(angle),
    )
    expected = np.stack(pairs, -1).reshape(x.shape)
    bound = float(jnp.finfo(dtype).eps) / 2 * np.abs(expected) + 1e-4
    assert np.all(np.abs(turned - expected) < bound)


def test_the_gradient_of_a_rotation_fills_nothing_up_with_zeros():
    """As that of even and odd units apart would: passes over all of q and k."""
    x = jnp.ones((2, 3, 4, 8))
    program = jax.make_jaxpr(lambda x: jax.vjp(rotate, x)[1](x))(x)
    names = [equation.primitive.name for equation in equations(program.jaxpr)]
    assert "pad" not in names and "scatter-add" not in names


@coarse
def test_sums_over_neighbours_do_not_overflow(dtype):
    """float16 ends at 65,504: what is squared or summed first would be infinite."""
    x = np.linspace(20_000, 60_000, 64).reshape(1, 4, 4, 4)
    x = np.asarray(jnp.asarray(x, dtype), np.float32)
    for layer in (average_pool(2), local_response):
        found = np.asarray(layer(jnp.asarray(x, dtype)), np.float32)
        np.testing.assert_allclose(found, layer(x), rtol=float(jnp.finfo(dtype).eps))


@coarse
@pytest.mark.parametrize("name", LOSSES)
def test_losses_count_in_float32(name, dtype):
    """Measures are asked of float32 outputs; labels and masks stay what they are."""
    outputs = jnp.zeros((2, 600, 5), jnp.float32)
    targets = jnp.zeros((2, 600), jnp.int32)
    batch = {"targets": targets, "inputs": outputs.astype(dtype)}
    if name in ("classes", "numbers"):
        outputs = outputs[:, 0]
        batch["targets"] = targets[:, 0] if name == "classes" else outputs
    if name == "reconstruction":
        batch["inputs"] = outputs
    for measure in LOSSES[name].measures.values():
        assert not spoiled(lambda o, m=measure: m(o, batch), outputs)
        assert measure(outputs, batch).dtype == jnp.float32


@coarse
@pytest.mark.parametrize("name", [n for n, e in NORMALIZERS.items() if e.statistics])
def test_statistics_of_many_are_those_of_float32(name, dtype):
    """A mean of 30 times the spread, over 20,000 examples: 8 bits would lose it."""
    from depthbench.research.architectures.layers import Norm

    h = 30 + np.random.default_rng(0).standard_normal((20_000, 4))
    h = jnp.asarray(h, dtype)
    norm = Norm(NORMALIZERS[name])
    run = lambda h: norm.apply(norm.init(KEY, h), h, mutable=["statistics"])
    (found, kept), (expected, rows) = run(h), run(h.astype(jnp.float32))
    np.testing.assert_allclose(
        np.asarray(found, np.float32), expected, atol=4 * float(jnp.finfo(dtype).eps)
    )
    # Sums about the first example, which is a few deviations from the mean.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 2e-6), kept, rows)
