"""The states of nets in flax, Linen and NNX, and in Equinox: as they are written."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from depthbench.research.signal import segments, states
from tests.signal.chains import assert_equal, log10_norm, loss

WIDTH = 8
X = np.random.default_rng(0).standard_normal((4, WIDTH)).astype(np.float32)


def filled(module, *inputs, **more):
    """Parameters, with biases too."""
    params = module.init(jax.random.key(0), *inputs, **more)["params"]
    leaves, form = jax.tree.flatten(params)
    random = np.random.default_rng(2)
    drawn = [0.1 * random.standard_normal(a.shape).astype(np.float32) for a in leaves]
    return form.unflatten([a + d for a, d in zip(leaves, drawn, strict=True)])


class Sigmoids(nn.Module):
    depth: int

    @nn.compact
    def __call__(self, h):
        for _ in range(self.depth):
            h = jax.nn.sigmoid(jnp.asarray(nn.Dense(WIDTH)(h)))
        return h


def test_a_linen_net_whose_gradient_float32_cannot_hold():
    net = Sigmoids(60)
    params = net.init(jax.random.key(0), X)["params"]
    dense = nn.Dense(WIDTH)

    def step(index):
        name = f"Dense_{index}"
        return lambda p, h: jax.nn.sigmoid(
            jnp.asarray(dense.apply({"params": p[name]}, h))
        )

    steps = [step(index) for index in range(60)]
    f = lambda p, h: net.apply({"params": p}, h)
    measured, network = assert_equal(steps, params, X, f)
    plain = jax.jit(jax.grad(lambda x: loss(f(params, x))))(X)
    assert np.isneginf(log10_norm(plain))
    assert measured.log10_gradient[0] < -38
    assert measured.widened == 0
    assert measured.names == ("input", *(f"Dense_{i}" for i in range(60)))
    assert len({segment.program for segment in network.segments}) == 2


class Block(nn.Module):
    dropout: float = 0.0

    @nn.compact
    def __call__(self, h, _=None):
        inner = nn.gelu(nn.Dense(12)(nn.LayerNorm()(h)))
        inner = nn.Dropout(self.dropout, deterministic=self.dropout == 0)(inner)
        return h + nn.Dense(WIDTH)(inner)


class Residual(nn.Module):
    depth: int
    block: type = Block
    dropout: float = 0.0

    @nn.compact
    def __call__(self, h):
        for index in range(self.depth):
            h = self.block(self.dropout, name=f"block_{index}")(h)
        return h


@pytest.mark.parametrize("block", [Block, nn.remat(Block)], ids=["plain", "remat"])
def test_a_residual_linen_net_has_a_state_a_block(block):
    net = Residual(12, block)
    params = filled(net, X)

    def step(index):
        name = f"block_{index}"
        return lambda p, h: Block().apply({"params": p[name]}, h)

    steps = [step(index) for index in range(12)]
    f = lambda p, h: net.apply({"params": p}, h)
    measured, network = assert_equal(steps, params, X, f)
    assert measured.names == ("input", *(f"block_{i}" for i in range(12)))
    assert len({segment.program for segment in network.segments}) == 2


def test_dropout_with_a_key_is_no_state():
    net = Residual(6, dropout=0.5)
    params = filled(Residual(6), X)
    key = jax.random.key(7)

    def f(params, x):
        return net.apply({"params": params}, x, rngs={"dropout": key})

    network = segments.network(f, params, X, loss)
    measured = states.measured(network, params, X)
    assert len(measured.names) == 7
    value, gradients = jax.jit(
        jax.value_and_grad(lambda p, x: loss(f(p, x)), argnums=(0, 1))
    )(params, X)
    assert measured.value == pytest.approx(float(value), rel=1e-5)
    expected = log10_norm(gradients[1])
    assert measured.log10_gradient[0] == pytest.approx(expected, abs=1e-5)
    paths, _ = jax.tree_util.tree_flatten_with_path(gradients[0])
    for path, gradient in paths:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        ours = measured.log10_parameter_gradient[name]
        assert ours == pytest.approx(log10_norm(gradient), abs=1e-5), name
    assert len({segment.program for segment in network.segments}) == 2


class Scanned(nn.Module):
    """A stem, six blocks in one scan, a head."""

    @nn.compact
    def __call__(self, h):
        class Body(nn.Module):
            @nn.compact
            def __call__(self, h, _):
                return Block(name="block")(h), None

        many = nn.scan(
            nn.remat(Body, prevent_cse=False),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=6,
        )
        h, _ = many(name="blocks")(nn.Dense(WIDTH, name="stem")(h), None)
        return nn.Dense(3, name="head")(h)


def test_a_scan_of_linen_blocks_is_its_blocks():
    net = Scanned()
    params = filled(net, X)

    def block(index):
        def step(p, h):
            own = jax.tree.map(lambda a: a[index], p["blocks"]["block"])
            return Block().apply({"params": own}, h)

        return step

    def dense(name, width):
        return lambda p, h: nn.Dense(width).apply({"params": p[name]}, h)

    steps = [dense("stem", WIDTH), *map(block, range(6)), dense("head", 3)]
    f = lambda p, h: net.apply({"params": p}, h)
    measured, _ = assert_equal(steps, params, X, f)
    blocks = tuple(f"blocks[{i}]/block" for i in range(6))
    assert measured.names == ("input", "stem", *blocks, "head")


def test_batch_statistics_are_not_on_the_way():
    """What the function returns beside the outputs, and the loss does not read."""

    class Normed(nn.Module):
        @nn.compact
        def __call__(self, h):
            for _ in range(5):
                norm = nn.BatchNorm(use_running_average=False)
                h = h + nn.Dense(WIDTH)(nn.relu(norm(h)))
            return h

    variables = Normed().init(jax.random.key(0), X)
    running = variables["batch_stats"]

    def f(params, x):
        both = {"params": params, "batch_stats": running}
        return Normed().apply(both, x, mutable=["batch_stats"])

    network = segments.network(f, variables["params"], X, lambda out: loss(out[0]))
    measured = states.measured(network, variables["params"], X)
    assert len(measured.names) == 6
    gradient = jax.jit(jax.grad(lambda x: loss(f(variables["params"], x)[0])))(X)
    assert measured.log10_gradient[0] == pytest.approx(log10_norm(gradient), abs=1e-5)


class Mixer(nnx.Module):
    """A block of a pre-norm Transformer."""

    def __init__(self, rngs):
        self.norms = nnx.List([nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(2)])
        self.attention = nnx.MultiHeadAttention(2, WIDTH, decode=False, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 12, rngs=rngs)
        self.down = nnx.Linear(12, WIDTH, rngs=rngs)

    def attend(self, h):
        return h + self.attention(self.norms[0](h))

    def think(self, h):
        return h + self.down(nnx.gelu(self.up(self.norms[1](h))))

    def __call__(self, h):
        with jax.named_scope("attention"):
            h = self.attend(h)
        with jax.named_scope("mlp"):
            return self.think(h)


class Transformer(nnx.Module):
    def __init__(self, depth, rngs):
        self.blocks = nnx.List([Mixer(rngs) for _ in range(depth)])

    def __call__(self, h):
        for index, block in enumerate(self.blocks):
            with jax.named_scope(f"block_{index}"):
                h = block(h)
        return h


def test_an_nnx_transformer_has_two_states_a_block():
    graph, params = nnx.split(Transformer(4, nnx.Rngs(0)), nnx.Param)
    x = np.random.default_rng(1).standard_normal((2, 5, WIDTH)).astype(np.float32)

    def half(index, name):
        return lambda p, h: getattr(nnx.merge(graph, p).blocks[index], name)(h)

    halves = [(index, name) for index in range(4) for name in ("attend", "think")]
    steps = [half(*each) for each in halves]
    f = lambda p, h: nnx.merge(graph, p)(h)
    measured, network = assert_equal(steps, params, x, f, but="key/bias")
    named = [(f"block_{i}/attention", f"block_{i}/mlp") for i in range(4)]
    assert measured.names == ("input", *(name for pair in named for name in pair))
    assert len({segment.program for segment in network.segments}) == 3


def test_an_equinox_net():
    equinox = pytest.importorskip("equinox")
    net = equinox.nn.MLP(WIDTH, 3, 16, 6, key=jax.random.key(0))
    params, static = equinox.partition(net, equinox.is_inexact_array)

    def f(params, x):
        return jax.vmap(equinox.combine(params, static))(x)

    def step(index):
        phi = jax.nn.relu if index < 6 else lambda h: h
        return lambda p, h: phi(jax.vmap(p.layers[index])(h))

    measured, _ = assert_equal([step(i) for i in range(7)], params, X, f)
    assert len(measured.names) == 8
