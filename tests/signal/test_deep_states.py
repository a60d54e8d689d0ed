"""Deep nets as they are written: each against float64 autodiff, state by state."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from depthbench.research.signal import segments, states
from tests.signal.chains import assert_equal, composed, log10_norm, loss, norms, wide
from tests.signal.test_flax_states import (
    Block,
    Mixer,
    Residual,
    Sigmoids,
    Transformer,
    filled,
)
from tests.signal.test_states import X, layers, matrices

pytestmark = pytest.mark.exhaustive
CHANNELS = 8
FEATURES = np.random.default_rng(0).standard_normal((4, CHANNELS)).astype(np.float32)
IMAGES = np.random.default_rng(1).standard_normal((3, 6, 6, CHANNELS))
IMAGES = IMAGES.astype(np.float32)


def rotations(depth):
    """Tanh layers, whose gradient survives."""
    return list(np.linalg.qr(matrices(depth))[0])


def test_a_plain_function_of_1000_layers_in_float64():
    """What float32 has of it is 3e-5 decades off at 1,000 layers: see the next test."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        params, x = wide((rotations(1000), X))
        f = composed(layers(1000))
        measured = states.measured(segments.network(f, params, x, loss), params, x)
        of_states, of_parameters = norms(layers(1000), params, x)
    expected = [log10_norm(g) for g in of_states]
    np.testing.assert_allclose(measured.log10_gradient, expected, rtol=0, atol=1e-9)
    ours = [measured.log10_parameter_gradient[str(i)] for i in range(1000)]
    expected = [log10_norm(g) for g in of_parameters]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)


def test_a_plain_function_of_1000_layers_at_its_own_states():
    """Float64 autodiff of each layer at the states that float32 arrives at: what the way
    back adds to the states' own drift, which no way back can mend, is below 1e-5."""
    params = rotations(1000)
    measured = states.measured(
        segments.network(composed(layers(1000)), params, X, loss), params, X
    )
    h, before = X, []
    step = jax.jit(lambda w, h: jnp.tanh(h @ w))
    for w in params:
        before.append(np.asarray(h))
        h = step(w, h)
    with jax.enable_x64(True):
        pull = jax.jit(lambda w, h, g: jax.vjp(lambda h: jnp.tanh(h @ w), h)[1](g)[0])
        g = jax.grad(loss)(jnp.asarray(h, jnp.float64))
        expected = [log10_norm(g)]
        for w, h in zip(params[::-1], before[::-1], strict=True):
            g = pull(np.float64(w), np.float64(h), g)
            expected.append(log10_norm(g))
    ours = measured.log10_gradient[::-1]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_a_linen_sigmoid_net_of_200_layers():
    """10^-128, which float32 is far from, and float64 holds."""
    net = Sigmoids(200)
    params = net.init(jax.random.key(0), FEATURES)["params"]

    def step(index):
        inner = nn.Dense(CHANNELS)
        own = lambda p: {"params": p[f"Dense_{index}"]}
        return lambda p, h: jax.nn.sigmoid(jnp.asarray(inner.apply(own(p), h)))

    f = lambda p, h: net.apply({"params": p}, h)
    measured, _ = assert_equal([step(i) for i in range(200)], params, FEATURES, f)
    assert measured.log10_gradient[0] < -120
    assert not measured.zeros


def test_an_nnx_transformer_of_48_blocks():
    graph, params = nnx.split(Transformer(48, nnx.Rngs(0)), nnx.Param)
    x = np.random.default_rng(1).standard_normal((2, 5, CHANNELS)).astype(np.float32)
    halves = [(index, name) for index in range(48) for name in ("attend", "think")]

    def half(index, name):
        block, own = nnx.split(nnx.merge(graph, params).blocks[index])
        del own

        def step(p, h):
            return getattr(nnx.merge(block, p["blocks"][index]), name)(h)

        return step

    steps = [half(*each) for each in halves]
    f = lambda p, h: nnx.merge(graph, p)(h)
    measured, _ = assert_equal(steps, params, x, f, but="key/bias")
    assert len(measured.names) == 97


class ConvNeXt(nn.Module):
    """A ConvNeXt block with batch norm, and dropout in the place of stochastic depth."""

    train: bool = True

    @nn.compact
    def __call__(self, h):
        z = nn.Conv(CHANNELS, (3, 3), feature_group_count=CHANNELS)(h)
        z = nn.BatchNorm(use_running_average=not self.train)(z)
        z = nn.gelu(nn.Dense(2 * CHANNELS)(z))
        z = nn.Dropout(0.2, deterministic=not self.train)(nn.Dense(CHANNELS)(z))
        scale = self.param("scale", nn.initializers.constant(0.3), (1, 1, 1, CHANNELS))
        return h + scale * z


class ConvNet(nn.Module):
    depth: int
    train: bool = True

    @nn.compact
    def __call__(self, h):
        for index in range(self.depth):
            h = ConvNeXt(self.train, name=f"block_{index}")(h)
        return nn.Dense(3, name="head")(jnp.mean(h, (1, 2)))


@pytest.mark.parametrize("train", [True, False])
def test_a_convnext_with_dropout_and_batch_statistics(train):
    """Masks are those of float32: with x64 other numbers would be drawn."""
    net = ConvNet(12, train)
    variables = net.init(
        {"params": jax.random.key(0), "dropout": jax.random.key(1)}, IMAGES
    )
    rest = {"batch_stats": variables["batch_stats"]}
    key = jax.random.key(5)

    def f(params, x):
        both = {"params": params, **rest}
        if not train:
            return net.apply(both, x)
        return net.apply(both, x, mutable=["batch_stats"], rngs={"dropout": key})[0]

    params = variables["params"]
    network = segments.network(f, params, IMAGES, loss)
    measured = states.measured(network, params, IMAGES)
    gradients = jax.jit(jax.grad(lambda p, x: loss(f(p, x)), (0, 1)))(params, IMAGES)
    assert sum(name.startswith("block_") for name in measured.names) >= 12
    expected = log10_norm(gradients[1])
    assert measured.log10_gradient[0] == pytest.approx(expected, abs=1e-5)
    for path, gradient in jax.tree_util.tree_flatten_with_path(gradients[0])[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name.endswith("Conv_0/bias") and train:
            continue  # rounding alone: a batch norm follows
        ours = measured.log10_parameter_gradient[name]
        assert ours == pytest.approx(log10_norm(gradient), abs=1e-5), name
    assert np.isfinite(measured.saturated[1:13]).all()


def test_an_equinox_net_of_30_layers():
    equinox = pytest.importorskip("equinox")
    net = equinox.nn.MLP(
        CHANNELS, 3, 16, 30, activation=jnp.tanh, key=jax.random.key(0)
    )
    params, static = equinox.partition(net, equinox.is_inexact_array)

    def step(index):
        phi = jnp.tanh if index < 30 else lambda h: h
        return lambda p, h: phi(jax.vmap(p.layers[index])(h))

    f = lambda p, x: jax.vmap(equinox.combine(p, static))(x)
    measured, _ = assert_equal([step(i) for i in range(31)], params, FEATURES, f)
    assert len(measured.names) == 32


def test_a_rematerialised_linen_net():
    net = Residual(24, nn.remat(Block))
    params = filled(net, FEATURES)
    step = lambda i: lambda p, h: Block().apply({"params": p[f"block_{i}"]}, h)
    f = lambda p, h: net.apply({"params": p}, h)
    measured, network = assert_equal([step(i) for i in range(24)], params, FEATURES, f)
    assert len(measured.names) == 25
    assert len({segment.program for segment in network.segments}) == 2


def test_an_nnx_net_in_a_scan():
    """Layers made by nnx.vmap and gone through by nnx.scan."""
    depth = 20

    @nnx.split_rngs(splits=depth)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def made(rngs):
        return Mixer(rngs)

    blocks = made(nnx.Rngs(0))
    graph, params, rest = nnx.split(blocks, nnx.Param, ...)
    x = np.random.default_rng(1).standard_normal((2, 5, CHANNELS)).astype(np.float32)

    def f(params, h):
        @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        def forward(h, block):
            return block(h)

        return forward(h, nnx.merge(graph, params, rest))

    def block(index):
        def step(p, h):
            own = jax.tree.map(lambda a: a[index], (p, rest))
            return nnx.merge(graph, *own)(h)

        return step

    network = segments.network(f, params, x, loss)
    measured = states.measured(network, params, x)
    with jax.numpy_dtype_promotion("standard"):
        of_states, _ = norms([block(i) for i in range(depth)], params, x)
    assert len(measured.names) >= depth + 1
    ours = [measured.log10_gradient[0], measured.log10_gradient[-1]]
    expected = [log10_norm(of_states[0]), log10_norm(of_states[-1])]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
