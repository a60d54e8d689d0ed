"""Plain backpropagation in a dtype is what automatic differentiation gives in it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES, contract, walk
from depthbench.research.architectures.attention import attend
from depthbench.research.catalogues.dtypes import ACTIVE
from depthbench.research.catalogues.initializers import Rule
from depthbench.research.signal import ensembles, measurement, mixed, probes, rounded
from depthbench.research.signal.ensembles import Member, Program
from depthbench.research.study import dtypes

PROGRAM = Program("residual_mlp", "batch", ("tanh",), 8, 6, 4, "digits")
MEMBER = Member(Rule(1.0, 0.1), Rule(1.5, 0.1))
MORE = ("highway_mlp", "resnet", "transformer_pre_ln", "unet")
compiled = functools.partial(jax.jit, compiler_options=rounded.OPTIONS)


def net(program=PROGRAM, depth=4, member=MEMBER):
    """(links, x, loss) of one seed's network, at its weights' size."""
    variables = ensembles.drawn(program, "normal", range(1), member, ntk=False)
    x, y = (jnp.asarray(a[0]) for a in ensembles.batches(program, range(1)))
    one = jax.tree.map(lambda a: a[0], variables)
    built = ensembles.build(program, jnp.tanh, "normal", member, depth, ntk=False)
    depths = (depth,) if ensembles.repeats(program) else None
    loss = functools.partial(ensembles.mean_loss, program, x, y)
    return contract.links(built, one, depths=depths), x, loss


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "float16"))
def test_it_is_what_autodiff_gives(dtype):
    links, x, loss = net()
    cast = functools.partial(rounded.cast, dtype=dtype)
    typed = [link._replace(params=cast(link.params)) for link in links]
    layers, h, head = walk.begin(typed, cast(x))

    def rest(h):
        (link,) = layers
        for index in range(4):
            h = walk.at(link, index)(h)
        return loss(walk.fold(head, h)[0].astype(jnp.float32))

    plain = np.asarray(compiled(jax.grad(rest))(h), np.float64)
    measured = compiled(lambda x: rounded.rounded(links, x, loss, jnp.dtype(dtype)))(x)
    norm = np.log10(np.linalg.norm(plain))
    assert measured.log10_plain[0] == pytest.approx(norm, abs=1e-5)
    exact, _ = probes.log_gradients(links, x, loss)
    np.testing.assert_allclose(measured.log10_exact[:5], exact[:5], atol=1e-5)
    assert np.all(np.isnan(measured.log10_exact[5:]))
    if dtype == "float32":
        np.testing.assert_allclose(measured.cosine[:5], 1, atol=1e-6)
    else:
        assert 0 < 1 - measured.cosine[0] < 0.1


def test_float16_has_zeros_where_float32_has_none():
    """Weights of 2^-4: a layer takes the gradient down, and at last to 0."""
    weights = jnp.stack([jnp.eye(4) * 2.0**-4] * 8)
    links = [walk.Link("layer", lambda w, h: h @ w, weights, repeats=8)]
    x, loss = jnp.ones((2, 4)), jnp.sum
    measured = jax.tree.map(
        np.asarray, rounded.rounded(links, x, loss, jnp.dtype("float16"))
    )
    powers = -4.0 * np.arange(8, -1, -1)
    size = 0.5 * np.log10(8)
    np.testing.assert_allclose(
        measured.log10_exact, powers * np.log10(2) + size, atol=1e-5
    )
    np.testing.assert_allclose(
        measured.log10_entry, powers * np.log10(2), rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(measured.zeros, powers < -24)
    np.testing.assert_array_equal(np.isneginf(measured.log10_plain), powers < -24)
    scaled = rounded.rounded(links, x, loss, jnp.dtype("float16"), 8.0)
    assert np.all(np.isfinite(scaled.log10_plain))
    np.testing.assert_allclose(scaled.log10_plain, measured.log10_exact, atol=1e-5)
    # The last cotangent, 1, is the largest, and so are the weights' gradients: 2.
    found = rounded.rounded(links, x, loss, jnp.dtype("float16"), None)
    assert float(found.log2_scale) == 15


@pytest.mark.parametrize("architecture", ("mlp", "residual_mlp"))
def test_the_found_scale_is_the_largest_of_the_whole_net(architecture):
    """Of all parameters, where a head's gradient is larger than any state's too."""
    program = Program(architecture, "none", ("tanh",), 8, 4, 4, "digits")
    links, x, loss = net(program)
    half = jnp.dtype("float16")
    found = compiled(lambda: rounded.rounded(links, x, loss, half, None))()
    assert 0 < found.log2_scale < rounded.LARGEST
    assert np.all(np.isfinite(found.log10_plain[:5]))
    typed = [rounded._in(half, link) for link in links]

    @compiled
    def finite(log2_scale):
        def scaled(params):
            pairs = zip(typed, params, strict=True)
            net = [link._replace(params=one) for link, one in pairs]
            outputs, _ = walk.fold(net, rounded.cast(x, half))
            return 2.0**log2_scale * loss(rounded.cast(outputs, jnp.float32))

        slopes = jax.grad(scaled)([link.params for link in typed])
        return rounded._finite(slopes)

    assert finite(found.log2_scale) and not finite(found.log2_scale + 1)


def test_roundings_are_done_whatever_is_fused():
    """Each operation of a layer alone gives the same bits as all of them fused."""
    w, h = (jax.random.normal(jax.random.key(k), (8, 8), jnp.bfloat16) for k in (0, 1))
    parts = [lambda h: h @ w, jnp.tanh, lambda h: h * h, lambda h: h + w]

    def layer(h):
        for part in parts:
            h = part(h)
        return h

    step_by_step = h
    for part in parts:
        step_by_step = compiled(part)(step_by_step)
    np.testing.assert_array_equal(*map(np.float32, (compiled(layer)(h), step_by_step)))


@pytest.mark.parametrize(
    "architecture",
    ("lstm", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in MORE)),
)
def test_every_kind_of_net_has_the_columns(architecture):
    dataset = "digits"
    cell = {
        "architecture": architecture,
        "activation": "tanh",
        "initializer": "he_normal",
        # A Transformer without one has states beyond float16, which no scale mends.
        "normalizer": ARCHITECTURES[architecture].published_normalizer,
        "depth": 8,
        "width": 4,
        "batch": 2,
        "dataset": dataset,
        "seeds": 2,
        "dtype": "float16_scaled",
    }
    program = measurement.program_of(cell, ("tanh",), 8)
    (typed,) = measurement.measure([cell], program, 2)
    (plain,) = measurement.measure(
        [{k: v for k, v in cell.items() if k != "dtype"}], program, 2
    )
    assert set(typed.values) - set(plain.values) == set(dtypes.COLUMNS)
    assert {n: typed.values[n] for n in plain.values} == plain.values
    assert typed.values["log2_scale"] > 0 and typed.values["zero_share"] < 0.5
    exact = typed.profiles["log10_exact_of_dtype"]
    np.testing.assert_allclose(exact, plain.profiles["log10_gradient"], atol=2e-3)


def test_layers_are_counted_from_the_last():
    good = np.array([[1, 1, 0, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]], bool)
    np.testing.assert_array_equal(mixed._layers(good), [1, 4, 0])


def test_the_dtypes_are_those_of_training():
    assert ACTIVE["float16_scaled"].scaled and not ACTIVE["float16"].scaled
    assert [entry.dtype.itemsize for entry in ACTIVE.values()] == [
        entry.bytes for entry in ACTIVE.values()
    ]


def test_attention_has_a_gradient_in_float16():
    """On CPUs too, which lack the product that jax's own form asks for."""
    q, k, v = jax.random.normal(jax.random.key(0), (3, 1, 2, 4, 8))

    def slopes(dtype):
        total = lambda *a: jnp.sum(attend(*a).astype(jnp.float32) ** 2)
        return jax.grad(total, (0, 1, 2))(*(a.astype(dtype) for a in (q, k, v)))

    for half, full in zip(slopes(jnp.float16), slopes(jnp.float32), strict=True):
        np.testing.assert_allclose(half.astype(jnp.float32), full, atol=2e-2)
