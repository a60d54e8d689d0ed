"""The programs that states come from: how many there are, and what memory they take."""

from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.signal import programs, segments, states
from tests.signal.chains import assert_equal, composed, log10_norm, loss
from tests.signal.test_states import WIDTH, X, layer, layers, matrices, states_of


@pytest.mark.parametrize(
    "depth", [100, pytest.param(1000, marks=pytest.mark.exhaustive)]
)
def test_a_deep_scan_takes_two_programs(depth):
    """And one for the slices of their weights."""
    w = matrices(depth)

    def f(params, h):
        step = lambda h, w: (h + 0.1 * jnp.tanh(h @ w), None)
        return jax.lax.scan(step, h, params)[0]

    measured, network = states_of(f, w)
    gradients = jax.jit(jax.grad(lambda p, x: loss(f(p, x)), argnums=(0, 1)))(w, X)
    expected = [log10_norm(g) for g in gradients]
    ours = [measured.log10_parameter_gradient[""], measured.log10_gradient[0]]
    np.testing.assert_allclose(
        ours, expected, rtol=0, atol=1e-4 if depth > 100 else 1e-5
    )
    assert len(measured.names) == depth + 1
    assert len({s.program for s in (*network.segments, *network.asides)}) == 3


def test_rules_that_differ_are_not_one_program():
    """The same function, with slopes that differ."""

    def ruled(slope):
        phi = jax.custom_jvp(jnp.sin)
        phi.defjvp(lambda h, t: (jnp.sin(h[0]), slope * t[0]))
        return phi

    steps = [layer(index, ruled(slope)) for index, slope in enumerate((0.5, 2, 0.5))]
    _, network = assert_equal(steps, list(matrices(3)), X)
    first, second, third, _ = (s.program for s in network.segments)
    assert first is third
    assert first is not second


def test_depth_costs_no_compiling(compilations):
    """Casts of weights, masks and rules do not hinder that."""

    def counted(depth):
        def f(params, h):
            keys = jax.random.split(jax.random.key(0), depth)
            for w, key in zip(params, keys, strict=True):
                mask = jax.random.bernoulli(key, 0.9, h.shape)
                phi = jax.nn.softplus(0.1 * h @ w.astype(jnp.float32))
                h = 0.5 * h + jnp.where(mask, phi, 0)
            return h

        params = [jnp.asarray(w, jnp.bfloat16) for w in matrices(depth)]
        compilations.clear()
        states_of(f, params)
        return len(compilations)

    assert 0 < counted(2) < 30
    assert counted(6) <= 4  # the block amid others, and the array of six keys
    assert counted(24) == 1  # the array of 24 keys


def test_networks_of_equal_layers_share_their_programs(compilations):
    """Of other depths and seeds, traced anew from a function that is made anew."""

    def net(depth, seed, gain=1.0):
        mask = np.tri(WIDTH, dtype=np.float32)  # a constant, another object each time

        def step(h, w):
            return h + 0.1 * jax.nn.gelu(jax.jit(lambda h: h @ (w * mask))(h)) * gain

        params = list(matrices(depth, seed=seed))
        return composed([lambda p, h, i=i: step(h, p[i]) for i in range(depth)]), params

    states_of(*net(20, 0))
    compilations.clear()
    states_of(*net(200, 1))
    states_of(*net(3, 2))
    assert not compilations
    states_of(*net(3, 2, gain=2.0))
    assert compilations


def test_programs_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(programs, "MOST", 3)
    monkeypatch.setattr(programs, "_programs", OrderedDict())
    kept = []
    for gain in range(6):
        f = composed([lambda p, h, g=gain: jnp.tanh(h @ p * (g + 0.5))] * 2)
        network = segments.network(f, matrices(1)[0], X, loss)
        kept.append(network.segments[0].program)
    assert len(programs._programs) == 3
    assert kept[5] in programs._programs.values()
    assert kept[0] not in programs._programs.values()


@pytest.fixture
def compilations():
    """The programs compiled so far, or found in a cache of compiled ones."""
    names = []

    def listen(event, duration_secs, **more):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(more)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def held():
    return sum(array.nbytes for array in jax.live_arrays())


@pytest.mark.parametrize("form", ["plain", "U-Net", "tied", "scan"])
def test_memory_is_said_before(form):
    """A bound, at most 1.3 times what is alive behind any segment."""
    wide, batch = 64, 32
    x = np.ones((batch, wide), np.float32)
    params = list(matrices(12, width=wide))

    def unet(p, h):
        down = [h]
        for w in p[:6]:
            down.append(jnp.tanh(down[-1] @ w))
        h = down.pop()
        for w in p[6:]:
            h = jnp.tanh(h @ w) + down.pop()
        return h

    f, params = {
        "plain": (composed(layers(12)), params),
        "U-Net": (unet, params),
        "tied": (composed([layer(0)] * 12), params[:1]),
        "scan": (
            lambda p, h: jax.lax.scan(lambda h, w: (jnp.tanh(h @ w), None), h, p)[0],
            np.stack(params),
        ),
    }[form]
    network = segments.network(f, params, x, loss)
    states.measured(network, params, x)
    before, peaks, steps = held(), [], []

    def progress(done, total):
        peaks.append(held() - before)
        steps.append((done, total))

    states.measured(network, params, x, progress)
    assert max(peaks) <= network.memory() <= 1.3 * max(peaks)
    total = len(network.segments) + len(network.asides) + len(network.back())
    assert steps == [(done, total) for done in range(1, total + 1)]


def test_progress_of_what_is_gone_through_again():
    params = list(matrices(2))
    f = composed([layer(0), lambda p, h: jax.nn.sigmoid(jax.nn.sigmoid(h - 70) - 40)])
    network = segments.network(f, params, X, loss)
    steps = []
    measured = states.measured(network, params, X, lambda *step: steps.append(step))
    assert measured.widened
    assert [done for done, _ in steps] == list(range(1, steps[-1][1] + 1))
