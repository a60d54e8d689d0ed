"""The states as arrays alone: within jit, vmap, cond and scan, by scans of what repeats."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.signal import runs, segments, states
from tests.signal.chains import composed, loss
from tests.signal.test_states import WIDTH, X, layers, matrices

COLUMNS = ("log10_gradient", "log10_length", "decorrelation", "saturated", "dead")


def assert_as_measured(f, params, x=X, loss=loss, turns=None):
    """Arrays are what is measured on the host; turns: those of the runs in it."""
    network = segments.network(f, params, x, loss)
    if turns is not None:
        parts = runs.pieces(network)
        each = [(len(p.turns), len(p.turns[0])) for p in parts if hasattr(p, "turns")]
        assert each == turns
    measured = states.measured(network, params, x)
    ours = jax.jit(lambda params, x: states.arrays(network, params, x))(params, x)
    for column in COLUMNS:
        expected = getattr(measured, column)
        np.testing.assert_allclose(
            getattr(ours, column), expected, 1e-5, 2e-5, err_msg=column
        )
    expected = [
        measured.log10_parameter_gradient[name] for name in network.parameters()
    ]
    np.testing.assert_allclose(ours.log10_parameter_gradient, expected, 1e-5, 2e-5)
    assert ours.value == pytest.approx(measured.value, rel=1e-5)
    assert not np.any(ours.lost)
    return network, ours


def recurrent(params, x):
    def both(h, now):
        h = jnp.tanh(h @ params["w"] + now @ params["u"])
        return h, h

    start = np.ones((4, WIDTH), np.float32)
    return jnp.mean(jax.lax.scan(both, start, x)[1], axis=0)


def remembering(params, h):
    """Something that all layers read."""
    memory = jnp.tanh(h @ params[0])
    for w in params[1:]:
        h = h + jnp.tanh(h @ w) * (memory @ w)
    return h


def alternating(params, h):
    for first, second in zip(params[::2], params[1::2], strict=True):
        h = h + 0.1 * jnp.tanh(h @ first)
        h = h + jax.nn.gelu(h @ second)
    return h


def tied(params, h):
    for _ in range(30):
        h = jnp.sin(h @ params["w"]) * params["g"]
    return h


def scanned(params, h):
    return jax.lax.scan(lambda h, w: (h + jnp.tanh(h @ w), None), h, params)[0]


SEQUENCE = np.random.default_rng(3).standard_normal((9, 4, WIDTH)).astype(np.float32)
W = matrices(2, 0.8)
NETS = {
    "plain": (composed(layers(12)), list(matrices(12)), X, [(12, 1)]),
    "alternating": (alternating, list(matrices(10, 0.7)), X, [(5, 2)]),
    "recurrent": (recurrent, {"w": W[0], "u": W[1]}, SEQUENCE, [(8, 1)]),
    "remembering": (remembering, list(matrices(9, 0.5)), X, [(7, 1)]),
    "scanned": (scanned, matrices(7), X, [(7, 1)]),
    "tied": (tied, {"w": matrices(1, 0.9)[0], "g": np.float32(0.9)}, X, [(30, 1)]),
    "few": (composed(layers(3)), list(matrices(3)), X, []),
}


@pytest.mark.parametrize("name", NETS)
def test_arrays_are_what_is_measured(name):
    assert_as_measured(*NETS[name][:3], turns=NETS[name][3])


def test_convolutions_are_written_out_where_loops_of_them_are_slow(monkeypatch):
    convolved = lambda p, h: jax.lax.conv(h[None], p, (1,), "SAME")[0]
    layer = lambda p, h: jnp.tanh(convolved(p, h))
    kernel = 0.1 * np.ones((4, 4, 3), np.float32)
    network = segments.network(composed([layer] * 8), kernel, X, loss)
    assert len(runs.pieces(network)) == 9
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert len(runs.pieces(network)) == 4


def test_over_seeds_in_a_loop_and_under_a_condition():
    """As in a training loop: every second step, of three nets at once."""
    f, depth = composed(layers(6)), 6
    nets = [list(matrices(depth, seed=seed)) for seed in range(3)]
    network = segments.network(f, nets[0], X, loss)
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *nets)

    def step(params, number):
        probe = lambda p: states.arrays(network, p, X)
        empty = jax.tree.map(
            lambda s: jnp.full(s.shape, -1).astype(s.dtype),
            jax.eval_shape(probe, params),
        )
        read = jax.lax.cond(number % 2 == 0, probe, lambda _: empty, params)
        return jax.tree.map(lambda a: a * 1.01, params), read

    run = jax.jit(jax.vmap(lambda p: jax.lax.scan(step, p, jnp.arange(3))))
    _, read = run(stacked)
    assert read.log10_gradient.shape == (3, 3, depth + 1)
    for seed, params in enumerate(nets):
        for number in range(3):
            now = jax.tree.map(lambda a, n=number: a * np.float32(1.01) ** n, params)
            expected = states.measured(network, now, X).log10_gradient
            if number == 1:
                expected = np.full(depth + 1, -1.0)
            np.testing.assert_allclose(
                read.log10_gradient[seed, number], expected, 0, 2e-5
            )


def steep(params, h):
    for _ in range(3):
        h = jax.nn.sigmoid(h * params[1] - 40)
    return h @ params[0]


def test_what_float32_loses_is_marked_and_no_number():
    """Which is a number in `measured`; and what comes behind it is one here too."""
    params = [matrices(1)[0], np.float32(1.5)]
    f = composed([layers(1)[0], steep, layers(1)[0], layers(1)[0]])
    network = segments.network(f, params, X, loss)
    measured = states.measured(network, params, X)
    ours = states.arrays(network, params, X)
    assert np.isfinite(measured.log10_gradient).all()
    assert np.array_equal(ours.lost, [True, False, False, False, False])
    assert np.array_equal(np.isnan(ours.log10_gradient), ours.lost)
    expected = measured.log10_gradient
    np.testing.assert_allclose(ours.log10_gradient[1:], expected[1:], 0, 1e-5)
    # The matrix is read behind it too, and its gradient is that; the scale's is lost.
    assert list(ours.lost_parameters) == [False, True]
    own = measured.log10_parameter_gradient["0"]
    assert ours.log10_parameter_gradient[0] == pytest.approx(own, abs=1e-5)
    assert np.isnan(ours.log10_parameter_gradient[1])


def test_a_dead_net_is_marked_as_well():
    """Zero in float64 too, which cannot be known here."""
    params = [matrices(1)[0], matrices(1)[0]]
    f = composed([lambda p, h: jax.nn.relu(-jnp.square(h @ p[0])), layers(2)[1]])
    ours = states.arrays(segments.network(f, params, X, loss), params, X)
    assert list(ours.lost) == [True, False, False]
    assert not np.isneginf(ours.log10_gradient).any()
