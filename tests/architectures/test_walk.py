"""Links: nets of ours gone through as `apply` does, and nets that are not ours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from depthbench.research.architectures.contract import apply, links
from depthbench.research.architectures.walk import (
    Fed,
    Layer,
    Link,
    WithStatistics,
    at,
    enter,
    fold,
    loop,
    parts,
    through,
)
from depthbench.research.signal import jacobian, probes
from tests.architectures.test_families import KINDS, small

X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
WIDTH = 5


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 0.5))


def weights(*shape, seed=0):
    """A matrix, or a stack of them, that keeps lengths about."""
    draw = np.random.default_rng(seed).standard_normal(shape)
    return np.asarray(1.2 * draw * shape[-2] ** -0.5, np.float32)


def one_by_one(net, x):
    """(the outputs, each link's statistics [applications, …]): one layer after another."""
    h, statistics = x, []
    for link in net:
        (link,), h = enter((link,), h)
        layer_statistics = []
        for index in range(link.repeats or 1):
            layer = at(link, index)
            h, one = layer.result(layer.params, h)
            layer_statistics.append(one)
        statistics.append(jax.tree.map(lambda *a: jnp.stack(a), *layer_statistics))
    return h, statistics


@pytest.mark.parametrize("family", KINDS)
def test_folding_over_links_is_applying_the_net(family, network, filled):
    """Outputs and statistics, as the net trains; and names and numbers of its links."""
    net, x = small(family, network)
    variables = filled(net, x, gain=0.5)
    net_links = links(net, variables)
    places = [f"stages[{number}]" for number in range(len(net.stages))]
    assert [link.name for link in net_links] == ["stem", *places, "head"]
    assert [link.end for link in net_links] == [True, *(False for _ in places), True]
    depths = [stage.depth if stage.depth > 1 else None for stage in net.stages]
    assert [link.repeats for link in net_links] == [None, *depths, None]
    assert [link.tied for link in net_links[1:-1]] == [
        stage.tied for stage in net.stages
    ]

    @jax.jit
    def both(variables, x):
        outputs, after = apply(net, variables, x)
        return outputs, after, one_by_one(links(net, variables), x)

    outputs, after, (expected, (stem, *stages, head)) = both(variables, x)
    # The order of float32 sums, after some layers; norms divide by small spreads.
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    close(outputs, expected)
    ends = jax.tree.map(lambda a: a[0], (stem, head))
    statistics = (after.stem, after.head, list(after.stages))
    jax.tree.map(close, statistics, (*ends, stages))
    counted = [len(jax.tree.leaves(tree)) for tree in (stem, *stages, head)]
    batch = [link for link in net_links if "statistics" in link.keywords]
    assert (sum(counted) > 0) == bool(batch)


# Nets that are not ours, against float64


class Block(nn.Module):
    """A user's Linen block."""

    @nn.compact
    def __call__(self, h):
        return h + nn.Dense(h.shape[-1])(jnp.tanh(nn.LayerNorm()(h)))


class Layer5(nnx.Module):
    """A user's NNX layer."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)

    def __call__(self, h):
        return jnp.sin(self.linear(self.norm(h)))


def plain():
    """Functions, of which one is repeated; no link is an end."""
    dense = lambda w, h: jnp.tanh(h @ w)
    return [
        Link("in", dense, weights(6, WIDTH)),
        Link("block", dense, weights(4, WIDTH, WIDTH), repeats=4),
        Link("out", lambda p, h: h @ p["w"], {"w": weights(WIDTH, 3)}),
    ]


def linen():
    """Linen blocks apart and stacked, between functions that are ends."""
    block = Block()
    apply = lambda p, h: block.apply({"params": p}, h)
    h = np.zeros((1, WIDTH), np.float32)
    draw = lambda key: block.init(key, h)["params"]
    keys = jax.random.split(jax.random.key(0), 3)
    return [
        Link("in", lambda w, h: h @ w, weights(6, WIDTH), end=True),
        Link("first", apply, draw(jax.random.key(1))),
        Link("more", apply, jax.vmap(draw)(keys), repeats=3),
        Link("out", lambda w, h: h @ w, weights(WIDTH, 3), end=True),
    ]


def of_nnx():
    """NNX layers apart and stacked."""
    graph, state = nnx.split(Layer5(nnx.Rngs(0)))
    apply = lambda state, h: nnx.merge(graph, state)(h)
    drawn = [nnx.split(Layer5(nnx.Rngs(seed)))[1] for seed in range(3)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *drawn)
    return [
        Link("in", lambda w, h: h @ w, weights(6, WIDTH), end=True),
        Link("first", apply, state),
        Link("more", apply, stacked, repeats=3),
    ]


def recurrent():
    """A cell of one's own, that reads an input a step; x is [batch, features]."""

    def read(w, x):
        inputs = jnp.stack([x @ w, jnp.sin(x @ w), jnp.cos(x @ w)])
        return Fed(jnp.zeros_like(inputs[0]), inputs)

    cell = lambda w, h, now: jnp.tanh(h @ w + now)
    return [
        Link("read", read, weights(6, WIDTH), end=True),
        Link("cell", cell, weights(WIDTH, WIDTH), repeats=3, tied=True),
    ]


def once():
    """The same for one step: a link that is applied once."""
    read, cell = recurrent()
    one = lambda w, x: jax.tree.map(lambda a: a[-1:], read.apply(w, x).inputs)
    start = lambda w, x: Fed(jnp.ones_like(x @ w), one(w, x))
    return [read._replace(apply=start), cell._replace(repeats=None)]


MODELS = {
    "plain": plain,
    "linen": linen,
    "nnx": of_nnx,
    "recurrent": recurrent,
    "once": once,
}


def by_autodiff(net, x):
    """log10 norms of ∂loss/∂h [states] and ∂loss/∂θ [layers], all layers written out.

    What is added to every state has the state's gradient.
    """
    stem, layers, head = parts(net)
    layers, h = enter(layers, fold(stem, x)[0])
    apart = [at(link, i) for link in layers for i in range(link.repeats or 1)]
    states = [h]
    for layer in apart:
        states.append(layer(states[-1]))

    def run(nudges, params):
        state = h + nudges[0]
        for layer, layer_params, nudge in zip(apart, params, nudges[1:], strict=True):
            state = layer.apply(layer_params, state, **layer.keywords) + nudge
        for link in head:
            state = link.apply(link.params, state)
        return loss(state)

    nudges = [jnp.zeros_like(state) for state in states]
    gradients = jax.grad(run, (0, 1))(nudges, [layer.params for layer in apart])
    norm = lambda tree: sum(jnp.sum(jnp.square(a)) for a in jax.tree.leaves(tree))
    return tuple(
        jnp.stack([jnp.log10(norm(tree)) / 2 for tree in each]) for each in gradients
    )


def in_float64(model):
    """The model's log10 gradient norms by jax.grad."""
    chain = model()
    # Flax's normalisers compute in "at least float32".
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        wide = jax.tree.map(
            lambda a: np.asarray(a, np.float64), [link.params for link in chain]
        )

        def run(params, x):
            pairs = zip(chain, params, strict=True)
            return by_autodiff([link._replace(params=p) for link, p in pairs], x)

        return jax.device_get(jax.jit(run)(wide, X.astype(np.float64)))


@pytest.mark.parametrize("name", MODELS)
def test_log_gradients_of_any_model_are_those_of_float64_autodiff(name):
    norms = jax.jit(lambda x: probes.log_gradients(MODELS[name](), x, loss))(X)
    expected = in_float64(MODELS[name])
    states, layers = {
        "plain": (7, 6),  # the input is a state as well
        "linen": (5, 4),
        "nnx": (5, 4),
        "recurrent": (4, 3),
        "once": (2, 1),
    }[name]
    assert norms[0].shape == (states,) and norms[1].shape == (layers,)
    for ours, theirs in zip(norms, expected, strict=True):
        assert theirs.dtype == np.float64
        # A log10 is off by 0.43 of the relative error: some tens of float32's 1.2e-7.
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_our_net_probed_as_links_is_itself(network, filled):
    """`residual_mlp` as it is, and as a user would write it: states, gradients, all."""
    net = network("residual_mlp", "tanh", "none", depth=3)
    variables = filled(net, X)
    stem, head = (v["params"]["Dense_0"] for v in (variables.stem, variables.head))
    stacked = variables.stages[0]["params"]["Layer_0"]["Dense_0"]
    dense = lambda p, h: h @ p["kernel"] + p["bias"][None]
    block = lambda p, h, activation=jnp.tanh: h + dense(p, activation(h))
    out = lambda p, h: dense(p, jnp.tanh(h))
    plain = [
        Link("in", dense, stem, end=True),
        Link("block", block, stacked, repeats=3, activation=jnp.tanh),
        Link("out", out, head, end=True),
    ]

    def run(*what):
        signal = probes.signal(*what, X, loss, threshold=0.9)
        spectrum = jacobian.singular_values(*what, X)
        # As numbers: the smallest is known to some ε of the largest.
        return signal, probes.log_gradients(*what, X, loss), 10**spectrum.log10

    ours, as_links, theirs = jax.jit(
        lambda v: (run(net, v), run(links(net, v)), run(plain))
    )(variables)
    # Ours twice are one program; a user's sums are in another order.
    jax.tree.map(np.testing.assert_array_equal, ours, as_links)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)
    jax.tree.map(close, ours, theirs)
    assert 0 < float(ours[0].saturated[0]) < 1


def test_all_probes_read_links(network):
    chain = plain()
    signal = jax.jit(lambda: probes.signal(chain, X, loss))()
    states, parameters = jax.jit(lambda: probes.log_gradients(chain, X, loss))()
    np.testing.assert_allclose(signal.log10_gradient, states, atol=1e-5)
    np.testing.assert_allclose(signal.log10_parameter_gradient, parameters, atol=1e-5)
    np.testing.assert_allclose(
        signal.log10_length[0], np.log10(np.mean(np.square(X))), atol=1e-5
    )
    assert np.all(np.isnan(signal.saturated))  # no link says what its φ is
    spectrum = jax.jit(lambda: jacobian.singular_values(chain, X).log10)()
    whole = jax.vmap(jax.jacobian(lambda x: fold(chain, x[None])[0][0]))(X)
    expected = np.linalg.svd(np.asarray(whole), compute_uv=False)
    np.testing.assert_allclose(10 ** spectrum[:, :3], expected, rtol=1e-4)


def test_links_hand_on_statistics_inputs_and_what_they_are_given():
    def normalised(scale, h, mean):
        return WithStatistics(scale * (h - mean), 0.5 * mean + 0.5 * jnp.mean(h))

    means, scales = jnp.arange(3.0), jnp.array([1.0, 2.0, 3.0])
    net = [
        Link("norm", normalised, scales, repeats=3, keywords={"mean": means}),
        Link("once", normalised, scales[0], keywords={"mean": means[1]}),
    ]
    h, (first, second) = jax.jit(lambda: fold(net, jnp.full((2, 2), 8.0)))()
    # 8, 1 (8 − 0) = 8, 2 (8 − 1) = 14, 3 (14 − 2) = 36, 36 − 1.
    np.testing.assert_array_equal(h, 35)
    np.testing.assert_array_equal(first, [4, 4.5, 8])
    np.testing.assert_array_equal(second, 18.5)


def test_states_before_active_layers(traces):
    double = Link("double", lambda p, h: p * h, np.full(4, 2.0, np.float32), repeats=4)

    @traces
    def run(active):
        link = double._replace(active=active)
        last, before = through(link, jnp.ones(1))
        order = loop(link, lambda i, last: 10 * last + i, jnp.int32(0), back=True)
        return last, before[:, 0], order

    for active, order in ((2, 10), (4, 3210)):
        last, before, visited = run(np.int32(active))
        assert last == 2**active and visited == order
        np.testing.assert_array_equal(before[:active], [1, 2, 4, 8][:active])
        assert not np.any(before[active:])
    assert run.count == 1
    np.testing.assert_array_equal(through(double, jnp.ones(1))[1][:, 0], [1, 2, 4, 8])


# Deep ones


def counted(calls):
    def block(w, h):
        calls.append(1)
        return jnp.sin(h @ w)

    return block


@pytest.mark.parametrize(
    "measure",
    (probes.signal, probes.log_gradients, probes.value_and_log_gradients),
    ids=("signal", "log_gradients", "value_and_log_gradients"),
)
def test_a_repeated_link_is_traced_as_often_at_any_depth(measure):
    def traced(depth):
        calls = []
        stack = jax.ShapeDtypeStruct((depth, WIDTH, WIDTH), jnp.float32)
        h = jax.ShapeDtypeStruct((4, WIDTH), jnp.float32)

        def run(stack, h):
            link = Link("block", counted(calls), stack, repeats=depth)
            return measure([link], h, loss)

        lines = str(jax.make_jaxpr(run)(stack, h)).count("\n")
        return len(calls), lines

    assert traced(1000) == traced(3)
    assert traced(1000)[0] <= 4


def test_a_thousand_repeats_have_the_gradients_of_autodiff_where_it_underflows():
    """λ^1000 for a diagonal net of known λ: 10^−602 and 10^+301."""
    for size in (0.25, 2.0):
        link = Link("scale", lambda p, h: p * h, np.full(1000, size), repeats=1000)
        link = link._replace(params=np.float32(link.params))
        run = jax.jit(
            lambda link=link: probes.log_gradients([link], jnp.ones((1, 1)), jnp.sum)
        )
        states, _ = run()
        expected = np.log10(size) * np.arange(1000, -1, -1)
        # Sums of up to 1,000 logs, each rounded where float32's last place is 6e-5.
        np.testing.assert_allclose(states, expected, atol=2e-2)


# What cannot be gone through


def test_what_is_wrong_with_links_is_said():
    w = weights(3, WIDTH, WIDTH)
    block = Link("block", lambda w, h: h @ w, w, repeats=3)
    stem = Link("stem", lambda w, h: h @ w, w[0], end=True)
    h = np.ones((2, WIDTH), np.float32)
    with pytest.raises(
        ValueError, match=r"block is applied 4 times.*\[4, …\], not \[3,"
    ):
        probes.log_gradients([block._replace(repeats=4)], h, loss)
    with pytest.raises(ValueError, match="stem is an end, and stands between layers"):
        probes.signal([block, stem, block], h, loss)
    with pytest.raises(ValueError, match=r"no link is a layer \(links: stem\)"):
        probes.log_gradients([stem], h, loss)
    with pytest.raises(ValueError, match=r"no link is a layer \(links: none\)"):
        probes.log_gradients([], h, loss)
    with pytest.raises(ValueError, match=r"block reads int32.*a stem, end=True"):
        probes.signal([block], np.ones((2, WIDTH), np.int32), loss)
    fed = Link("cell", lambda w, h: Fed(h, h[None]), w[0])
    with pytest.raises(ValueError, match="cell returns Fed, which only a stem can"):
        probes.log_gradients([fed, block], h, loss)
    assert isinstance(at(block, 1), Layer)
