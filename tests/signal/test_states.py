"""The states of any function, and their gradients, against float64 autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.signal import profiles, segments, states
from tests.signal.chains import assert_equal, composed, log10_norm, loss, norms, wide

WIDTH = 6
X = np.random.default_rng(0).standard_normal((4, WIDTH)).astype(np.float32)


def matrices(depth, gain=1.0, seed=1, width=WIDTH):
    """[depth, width, width] of variance gain² / width."""
    random = np.random.default_rng(seed)
    drawn = random.standard_normal((depth, width, width)) * gain * width**-0.5
    return drawn.astype(np.float32)


def layer(index, phi=jnp.tanh):
    return lambda params, h: phi(h @ params[index])


def layers(depth, phi=jnp.tanh):
    return [layer(index, phi) for index in range(depth)]


def test_a_plain_function():
    # Rotations: what rounds to the eighth digit in one layer is not blown up by others.
    params = list(np.linalg.qr(matrices(200))[0])
    measured, network = assert_equal(layers(200), params, X)
    assert len(measured.names) == 201
    assert measured.widened == 0
    assert len({segment.program for segment in network.segments}) == 2


@pytest.mark.exhaustive
def test_a_plain_function_of_1000_layers():
    params = list(np.linalg.qr(matrices(1000))[0])
    measured, _ = assert_equal(layers(1000), params, X, x64=False)
    assert len(measured.names) == 1001
    # float32's own states drift from float64's, and slopes with them: 5e-8 a layer.
    assert_equal(layers(1000), params, X, within=3e-5)


def test_gradients_that_float32_cannot_hold():
    steps = layers(80, jax.nn.sigmoid)
    params = list(matrices(80))
    measured, _ = assert_equal(steps, params, X)
    plain = jax.jit(jax.grad(lambda x: loss(composed(steps)(params, x))))(X)
    assert np.all(plain == 0)
    assert measured.log10_gradient[0] < -40
    assert measured.widened == 0


def test_gradients_that_float64_cannot_hold():
    """Every layer divides by 1,024: 10^-1800."""
    depth = 600
    network = segments.network(
        composed([lambda w, h: (h @ w[0]) + 1.0] * depth), [np.eye(6)], X, jnp.sum
    )
    params = [np.eye(6, dtype=np.float32) * np.float32(2.0**-10)]
    measured = states.measured(network, params, X)
    expected = -10 * np.log10(2) * np.arange(depth, -1, -1) + np.log10(24) / 2
    np.testing.assert_allclose(measured.log10_gradient, expected, rtol=0, atol=1e-5)


def test_what_a_segment_loses_in_float32_is_found_in_float64():
    """Three saturated sigmoids between two states, each with a slope of 1e-17."""

    def steep(params, h):
        for _ in range(3):
            h = jax.nn.sigmoid(h * params[1] - 40)
        return h @ params[0]

    params = [matrices(1)[0], np.float32(1.5)]
    measured, _ = assert_equal([steep, layer(0)], params, X)
    assert measured.log10_gradient[0] < -45
    assert measured.widened == 1
    assert not measured.zeros


def test_a_custom_rule_is_run_in_float64_too():
    """And is the user's there: a softplus with three times its slope."""
    phi = jax.custom_jvp(jax.nn.softplus)
    phi.defjvp(lambda h, t: (phi(h[0]), 3 * jax.nn.sigmoid(h[0]) * t[0]))
    steps = [lambda p, h: phi(phi(h - 60) - 60) @ p, layer_of_p]
    measured, _ = assert_equal(steps, matrices(1)[0], X)
    assert measured.log10_gradient[0] < -47
    assert measured.widened >= 1


def layer_of_p(params, h):
    return jnp.tanh(h @ params)


def test_one_parameter_of_all_layers_is_summed_with_its_signs():
    """Also where the shares are 40 decades apart, or cancel."""
    steps = [lambda p, h: jnp.sin(h @ p["w"]) * p["g"]] * 60
    params = {"w": matrices(1, 0.5)[0], "g": np.float32(0.9)}
    assert_equal(steps, params, X)
    cancel = [lambda p, h: h * p, lambda p, h: h @ w, lambda p, h: h - p * (X @ w)]
    w = matrices(1)[0]
    network = segments.network(composed(cancel), np.float32(1.0), X, jnp.sum)
    measured = states.measured(network, np.float32(1.0), X)
    assert measured.log10_parameter_gradient[""] < -5


def test_weights_that_are_made_of_parameters():
    """One product of two, read by several layers, and by what others read."""

    def made(params):
        w = params["a"] @ params["b"]
        return jnp.sin(w), jnp.cos(w)

    steps = [
        lambda p, h: jnp.tanh(h @ made(p)[0]),
        lambda p, h: jnp.tanh(h @ made(p)[1]),
    ] * 3

    def f(params, h):
        w, v = made(params)
        for _ in range(3):
            h = jnp.tanh(jnp.tanh(h @ w) @ v)
        return h

    a, b = matrices(2)
    assert_equal(steps, {"a": a, "b": b}, X, f)


def test_a_dead_path_is_zero_by_name():
    """Zero in float64 as well: said, and the rest is measured."""
    params = [matrices(1)[0], matrices(1)[0]]
    f = composed([lambda p, h: jax.nn.relu(-jnp.square(h @ p[0])), layer(1)])
    measured = states.measured(segments.network(f, params, X, loss), params, X)
    assert np.isneginf(measured.log10_gradient[0])
    assert measured.zeros == ("input", "0", "1")
    assert np.isneginf(measured.log10_parameter_gradient["1"])  # it reads zeros
    assert np.isfinite(measured.log10_gradient[1:]).all()


def test_what_has_no_gradient_is_named():
    def f(params, h):
        row = jnp.argmax(h @ params["route"], axis=1)  # an integer path
        h = jnp.tanh(h @ params["w"]) + params["table"][row]
        target = jax.lax.stop_gradient(h @ params["stopped"])
        return h @ params["w"] + target * params["scale"] + params["steps"]

    w = matrices(4)
    params = {"w": w[0], "route": w[1], "table": w[2], "stopped": w[3]}
    params |= {"scale": np.float32(0.5), "steps": np.int32(3), "unread": w[0]}
    with jax.numpy_dtype_promotion("standard"):
        network = segments.network(f, params, X, loss)
        measured = states.measured(network, params, X)
        gradient = jax.grad(lambda p: loss(f({**params, **p}, X)))(
            {name: params[name] for name in ("w", "table", "scale")}
        )
    assert set(measured.without_gradient) == {"route", "stopped", "steps", "unread"}
    assert measured.without_gradient["steps"] == "of int32"
    assert measured.without_gradient["unread"] == "not read"
    expected = {name: log10_norm(g) for name, g in gradient.items()}
    assert measured.log10_parameter_gradient == pytest.approx(expected, abs=1e-5)
    assert not measured.zeros


def test_an_input_of_integers_begins_at_the_embedding():
    tokens = np.array([[0, 1, 2], [2, 2, 1]])
    params = {"table": matrices(1)[0], "w": list(matrices(3))}
    mask = lambda t: jnp.where(t == 2, 0.0, 1.0)[..., None]

    def f(params, t):
        h = params["table"][t]
        for w in params["w"]:
            h = jnp.tanh(h @ w) * mask(t)
        return h

    measured = states.measured(
        segments.network(f, params, tokens, loss), params, tokens
    )
    assert len(measured.names) == 4
    steps = [lambda p, h, w=w: jnp.tanh(h @ w) * mask(tokens) for w in params["w"]]
    expected, _ = norms(steps, params, params["table"][tokens])
    expected = [log10_norm(g) for g in expected]
    np.testing.assert_allclose(measured.log10_gradient, expected, atol=1e-5)


def test_a_net_in_which_no_value_stands_alone():
    """A U-Net: the states are pairs and triples, one gradient of all in them."""
    w = list(matrices(6, 0.9))

    def down(i):
        return lambda p, hs: (*hs, jnp.tanh(hs[-1] @ p[i]))

    def up(i):
        return lambda p, hs: (*hs[:-2], jnp.tanh(hs[-1] @ p[i]) + hs[-2])

    steps = [down(0), down(1), down(2), up(3), up(4), up(5)]
    f = composed(steps)
    measured, network = assert_equal(
        steps,
        w,
        (X,),
        loss=lambda hs: loss(hs[0]),
    )
    sizes = [len(state.values) for state in network.states()]
    assert sizes == [1, 2, 3, 4, 3, 2, 1]
    assert np.isfinite(measured.log10_length).all()
    assert f is not None


def test_a_path_beside_a_far_smaller_one_is_kept():
    """50 decades between two paths: both parameters have their gradient."""

    def f(params, h):
        small = h @ params[0]
        for w in fixed:
            small = jax.nn.sigmoid(small @ w.astype(h.dtype))
        return small + h @ params[1]

    params, fixed = list(matrices(2)), matrices(70)
    measured, _ = states_of(f, params)
    with jax.enable_x64(True):
        gradient = jax.grad(lambda p: loss(f(p, wide(X))))(wide(params))
    expected = [log10_norm(g) for g in gradient]
    ours = [measured.log10_parameter_gradient[name] for name in ("0", "1")]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)
    assert expected[0] < -40


def states_of(f, params, x=X):
    network = segments.network(f, params, x, loss)
    return states.measured(network, params, x), network


# What jax has for repeating, grouping and ruling


def test_a_jitted_function_and_a_rematerialised_one():
    inner = jax.jit(lambda w, h: jax.nn.relu(h @ w) + 0.1 * h)
    steps = [
        lambda p, h: inner(p[0], h),
        jax.checkpoint(lambda p, h: h + jax.nn.gelu(h @ p[1]) @ p[2]),
        lambda p, h: jax.jit(jax.checkpoint(inner))(p[3], h),
    ] * 3
    measured, _ = assert_equal(steps, list(matrices(4)), X)
    assert len(measured.names) == 10


def test_a_custom_rule_is_the_users():
    """A clipped gradient of a custom_vjp, a doubled one of a custom_jvp."""

    @jax.custom_vjp
    def clipped(h):
        return jnp.sin(h)

    clipped.defvjp(
        lambda h: (jnp.sin(h), None), lambda _, g: (jnp.clip(g, -1e-3, 1e-3),)
    )

    @jax.custom_jvp
    def doubled(h):
        return jnp.cos(h)

    doubled.defjvp(lambda h, t: (jnp.cos(h[0]), 2 * t[0]))
    steps = [layer(0, clipped), layer(1, doubled), layer(2, clipped), layer(3, doubled)]
    _, network = assert_equal(steps, list(matrices(4)), X)
    first, second, third, last, _ = (s.program for s in network.segments)
    assert first is third
    assert second is last
    assert first is not second


def test_a_scan_over_layers_is_its_layers():
    w = matrices(7)

    def f(params, h):
        return jax.lax.scan(lambda h, w: (h + jnp.tanh(h @ w), None), h, params)[0]

    steps = [lambda p, h, i=i: h + jnp.tanh(h @ p[i]) for i in range(7)]
    measured, _ = assert_equal(steps, w, X, f)
    assert measured.names == ("input", *(f"scan[{i}]" for i in range(7)))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrent_net_has_a_state_a_step(reverse):
    """What it still reads and what it has written are not of the state."""
    w, u = matrices(2, 0.8)
    x = np.random.default_rng(3).standard_normal((5, 4, WIDTH)).astype(np.float32)
    start = np.ones((4, WIDTH), np.float32)

    def step(params, h, now):
        return jnp.tanh(h @ params["w"] + now @ params["u"])

    def f(params, x):
        def both(h, now):
            h = step(params, h, now)
            return h, h

        return jnp.mean(jax.lax.scan(both, start, x, reverse=reverse)[1], axis=0)

    measured, _ = states_of(f, {"w": w, "u": u}, x)
    order = range(4, -1, -1) if reverse else range(5)
    assert [f"scan[{i}]" for i in order] == [n for n in measured.names if "[" in n]

    def nudged(nudges, params):
        h, total = start, 0
        for nudge, now in zip(nudges, x[::-1] if reverse else x, strict=True):
            h = step(params, h, now) + nudge
            total = total + h / 5
        return loss(total)

    gradients = jax.grad(nudged, (0, 1))([np.zeros_like(start)] * 5, {"w": w, "u": u})
    expected = [log10_norm(g) for g in gradients[0]]
    ours = dict(zip(measured.names, measured.log10_gradient, strict=True))
    np.testing.assert_allclose([ours[f"scan[{i}]"] for i in order], expected, atol=1e-5)
    for name in "wu":
        got = measured.log10_parameter_gradient[name]
        assert got == pytest.approx(log10_norm(gradients[1][name]), abs=1e-5)


def test_names_are_those_of_the_scopes():
    def f(params, h):
        for index, w in enumerate(params):
            with jax.named_scope(f"block_{index}"):
                with jax.named_scope("mix"):
                    h = h + jnp.tanh(h @ w)
                with jax.named_scope("mlp"):
                    h = h + jnp.tanh(h @ w)
        return h

    measured, _ = states_of(f, list(matrices(2)))
    named = ("block_0/mix", "block_0/mlp", "block_1/mix", "block_1/mlp")
    assert measured.names == ("input", *named)


EXACT = {
    jnp.tanh: lambda x: np.cosh(x) ** -2.0,
    jax.nn.sigmoid: lambda x: np.cosh(x / 2) ** -2.0 / 4,
}


@pytest.mark.parametrize("phi", EXACT, ids=["tanh", "sigmoid"])
@pytest.mark.parametrize("gain", [10.0, 30.0])
def test_saturated_units_have_the_slopes_that_float32_rounds_to_0(phi, gain):
    """Against 1/cosh² in float64, at float32's own states: a product of 6 terms as large
    as 50 is known to 2e-5, which is what its slope, e^−2x, is known to."""
    params = list(matrices(8, gain))
    f = composed(layers(8, phi))
    measured, network = states_of(f, params)
    known = [X]
    for w in params:
        known.append(np.asarray(phi(known[-1] @ w)))
    g, logs = np.asarray(jax.grad(loss)(known[-1]), np.float64), []
    for h, w in zip(known[-2::-1], params[::-1], strict=True):
        w = w.astype(np.float64)
        g = (g * EXACT[phi](h.astype(np.float64) @ w)) @ w.T
        logs.append(log10_norm(g))
    expected = np.array(logs[::-1])
    np.testing.assert_allclose(measured.log10_gradient[:-1], expected, 0, 1e-4)
    arrays = states.arrays(network, params, X)
    np.testing.assert_allclose(arrays.log10_gradient[:-1], expected, 0, 1e-4)
    if phi is jnp.tanh and gain == 30:
        plain = jax.grad(lambda x: loss(f(params, x)))(X)
        assert abs(log10_norm(plain) - expected[0]) > 0.5


def test_a_state_that_overflows_is_named():
    """And what comes before it has no gradient, whatever autodiff makes of it."""

    def f(params, h):
        h = jax.nn.sigmoid(h @ params[0])
        h = h @ params[1] * 1e30  # 1e38, and inf in the next
        h = h @ params[2] * 1e30
        h = jax.nn.sigmoid(h @ params[3])  # 1, with a slope of 0
        return jnp.tanh(h @ params[4])

    params = [np.full((WIDTH, WIDTH), 0.1, np.float32)] * 5
    measured, network = states_of(f, params)
    assert measured.overflowed == ("step_3",)
    assert profiles.lost_at(measured.log10_length, np.ones(6)) == (3, "overflow")
    assert np.isnan(measured.log10_gradient).tolist() == [True] * 4 + [False] * 2
    assert measured.zeros == ()
    parameters = measured.log10_parameter_gradient
    assert [np.isnan(parameters[str(i)]) for i in range(5)] == [True] * 4 + [False]
    ours = states.arrays(network, params, X)
    assert np.isnan(ours.log10_gradient).tolist() == [True] * 4 + [False] * 2
    assert ours.lost_parameters.tolist() == [True] * 4 + [False]


def test_a_loss_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="not one scalar"):
        segments.network(layer(0), [matrices(1)[0]], X, jnp.square)
    with pytest.raises(ValueError, match="constant"):
        segments.network(layer(0), [matrices(1)[0]], X, lambda y: jnp.float32(1))
