"""Measured signals against float64 autodiff, a log-domain reference, and theory."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import digamma

from depthbench.research.architectures.contract import apply, call, links
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.signal import probes, profiles
from depthbench.research.theory import mean_field
from tests.autodiff import assert_log_gradients
from tests.conftest import dense_families

X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
ODD = np.float32([1.0, -0.7, 0.4])


def loss(outputs):
    return jnp.mean(jnp.square(outputs @ jnp.asarray(ODD, outputs.dtype) - 0.3))


# Each family, and each normaliser; all pairs are run by `pytest -m exhaustive`.
SOME = ("mlp-batch", "residual_mlp-layer", "residual_mlp_scaled-none")
SOME += ("rezero_mlp-batch", "highway_mlp-rms")
PAIRS = [
    pytest.param(
        *(name, normalizer),
        id=f"{name}-{normalizer}",
        marks=() if f"{name}-{normalizer}" in SOME else pytest.mark.exhaustive,
    )
    for name in dense_families()
    for normalizer in NORMALIZERS
]


@pytest.mark.parametrize(("name", "normalizer"), PAIRS)
def test_gradients_are_those_of_float64_autodiff(name, normalizer, network, filled):
    net = network(name, "tanh", normalizer, depth=4)
    # A log10 is off by 0.43 of the relative error: some tens of float32's 1.2e-7, and
    # more with batch norm, which divides differences of 4 examples by their spread.
    assert_log_gradients(net, filled(net, X, gain=1.4), X, loss, within=1e-5)


def test_the_three_probes_agree(network, filled):
    net = network("highway_mlp", "tanh", "layer")
    variables = filled(net, X)

    @jax.jit
    def all_three(v):
        return (
            probes.signal(net, v, X, loss),
            probes.log_gradients(net, v, X, loss),
            probes.value_and_log_gradients(net, v, X, loss),
            loss(apply(net, v, X)[0]),
        )

    signal, states, (value, again), expected = all_three(variables)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for a, b, c in zip(
        (signal.log10_gradient, signal.log10_parameter_gradient),
        states,
        again,
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_array_equal(b, c)


# Where plain autodiff underflows

DEEP, WIDE = 10_000, 16


@functools.cache
def deep_weights(bias):
    """[DEEP, WIDE, WIDE] of variance 1/WIDE, and biases, float32."""
    random = np.random.default_rng(1)
    kernel = random.standard_normal((DEEP, WIDE, WIDE)) * WIDE**-0.5
    return (
        kernel.astype(np.float32),
        (bias * random.standard_normal((DEEP, WIDE))).astype(np.float32),
    )


def deep_net(network, filled, activation, sigma_w, bias):
    kernel, shift = deep_weights(bias)
    net = network("mlp", activation, depth=DEEP, width=WIDE)
    small = network("mlp", activation, depth=1, width=WIDE)
    variables = filled(small, X)
    layers = {"params": {"Dense_0": {"kernel": sigma_w * kernel, "bias": shift}}}
    return net, variables._replace(stages=(layers,))


def in_float64(variables, x, phi, slope):
    """log10 ‖∂loss/∂h‖ [states]: numpy's float64, renormalised at every layer."""
    dense = [v["params"]["Dense_0"] for v in (variables.stem, variables.stages[0])]
    head = variables.head["params"]["Dense_0"]
    kernels = np.asarray(dense[1]["kernel"], np.float64)
    h = x.astype(np.float64) @ dense[0]["kernel"] + dense[0]["bias"]
    states = [h]
    for kernel, bias in zip(kernels, dense[1]["bias"], strict=True):
        states.append(phi(states[-1]) @ kernel + bias)
    outputs = phi(states[-1]) @ head["kernel"] + head["bias"]
    error = outputs @ ODD - 0.3
    back = np.outer(2 * error / len(x), ODD) @ head["kernel"].T * slope(states[-1])
    total, logs = 0.0, []
    for layer in range(len(kernels), -1, -1):
        size = np.linalg.norm(back)
        total, back = total + math.log10(size), back / size
        logs.append(total)
        if layer:
            back = back @ kernels[layer - 1].T * slope(states[layer - 1])
    return np.array(logs[::-1])


def test_a_sigmoid_nets_gradient_of_1e_minus_6000(network, filled):
    net, variables = deep_net(network, filled, "sigmoid", 1.0, 0.0)
    run = jax.jit(lambda v: probes.signal(net, v, X, loss))
    signal = jax.device_get(run(variables))
    plain = jax.jit(jax.grad(lambda h: loss(tail(net, variables, h))))
    h, _ = call(net.stem, variables.stem, X)
    assert not np.any(plain(h))  # what the probe is for
    assert np.all(np.isfinite(signal.log10_gradient))
    expected = in_float64(
        variables,
        X,
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),
    )
    assert expected[0] < -6000
    # Sums of 10,000 logs in float32, whose last place is 5e-4 there: rounding wanders
    # by 5e-4 √10,000 / √12 = 0.014 in all if it has no direction; allow it one.
    assert signal.log10_gradient[0] == pytest.approx(expected[0], abs=0.15)
    steps, expected_steps = -np.diff(signal.log10_gradient), -np.diff(expected)
    # Both ends' last places.
    np.testing.assert_allclose(steps, expected_steps, atol=2e-3)


def tail(net, variables, h):
    h, _ = jax.lax.scan(
        lambda h, layer: call(net.stages[0].layer, layer, h), h, variables.stages[0]
    )
    return call(net.head, variables.head, h)[0]


def test_a_tanh_nets_slope_is_that_of_theory(network, filled):
    # σ_w = 0.9 and no bias: the states die out, where tanh is linear and χ₁ = 0.81.
    net, variables = deep_net(network, filled, "tanh", 0.9, 0.0)
    run = jax.jit(lambda v: probes.signal(net, v, X, loss))
    signal = jax.device_get(run(variables))
    chi_1 = mean_field.fixed_point(ACTIVATIONS["tanh"], 0.81).chi_1
    assert chi_1 == pytest.approx(0.81, rel=1e-9)
    theory = 0.5 * math.log10(chi_1)
    # At width n the mean of ln ‖Wu‖ is lower than ln σ_w by ½ (ln n/2 - ψ(n/2)), and
    # one layer's standard deviation is ½ √ψ′(n/2), about 1/√(2n).
    narrow = 0.5 * (digamma(WIDE / 2) - math.log(WIDE / 2)) / math.log(10)
    error = (2 * WIDE) ** -0.5 / math.log(10) / math.sqrt(DEEP)
    slope = profiles.slope(signal.log10_gradient[None])[0]
    # A least-squares slope has 1.1 times the error of the mean; 4 of them.
    assert slope == pytest.approx(theory + narrow, abs=4.4 * error)
    assert np.all(np.isfinite(signal.log10_gradient))
    assert signal.log10_gradient[0] < -400
    # The signal itself is gone, and that is said too.
    dead, how = profiles.lost_at(signal.log10_length, signal.decorrelation)
    assert how in ("zero", "correlated") and 300 < dead < 3000
    assert np.isneginf(signal.log10_length[-1])


# States that overflow, vanish or coincide


def test_overflow_and_zero_states_are_reported(network, filled):
    net = network("mlp", "relu_squared", depth=12)
    run = jax.jit(lambda v: probes.signal(net, v, X, loss))
    for gain, how in ((30.0, "overflow"), (0.03, "zero")):
        variables = filled(net, X, gain=gain)
        variables.stages[0]["params"]["Dense_0"]["bias"][:] = 0
        signal = jax.device_get(run(variables))
        with np.errstate(all="ignore"):
            h = np.asarray(call(net.stem, variables.stem, X)[0])
            alive = []
            for kernel in variables.stages[0]["params"]["Dense_0"]["kernel"]:
                alive.append(bool(np.all(np.isfinite(h)) and np.any(h)))
                h = np.square(np.maximum(h, 0)) @ kernel
        first, reason = profiles.lost_at(signal.log10_length, signal.decorrelation)
        assert (first, reason) == (alive.index(False), how)
        assert np.all(np.isfinite(signal.log10_length[:first]))
        assert not np.any(np.isfinite(signal.log10_length[first:]))
        assert np.isneginf(signal.log10_gradient[0]) or how == "overflow"
        assert not np.isfinite(signal.log10_gradient[0])


def spread_of(h):
    length, apart = jax.jit(probes.spread)(jnp.asarray(h))
    return float(length), float(apart)


def test_decorrelation_is_accurate_near_one():
    random = np.random.default_rng(0)
    shared, noise = random.standard_normal((1, 64)), random.standard_normal((4, 64))
    for size in (1.0, 1e-2, 1e-4, 1e-6):
        h = np.float32(shared + size * noise)
        exact = h.astype(np.float64)
        unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
        c = unit @ unit.T
        gap = np.mean(1 - c[~np.eye(4, dtype=bool)])
        if size < 1e-4:  # 1 − c itself cancels: use the squared differences
            apart = unit[:, None] - unit[None]
            gap = np.sum(apart**2) / 2 / (4 * 3)
        # Unit vectors are rounded by ε/√64 an element: beside differences of `size`
        # that is ε/size; naively 1 − c would be off by ε/size².
        assert spread_of(h)[1] == pytest.approx(gap, rel=4e-7 / size + 1e-5)
    assert spread_of(np.ones((4, 8), np.float32))[1] == 0
    assert spread_of(np.float32([[1, 0], [0, 1]]))[1] == pytest.approx(1, rel=1e-6)
    assert spread_of(np.float32([[1, 0], [-1, 0]]))[1] == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize("size", (1e-35, 1e-10, 1.0, 1e10, 1e30, 1e36))
def test_lengths_do_not_overflow_before_the_states_do(size):
    h = np.float32(size) * np.float32([[3, -4], [0, 5]])  # mean square 12.5
    expected = 2 * math.log10(size) + math.log10(12.5)
    assert spread_of(h)[0] == pytest.approx(expected, abs=2e-5)  # ε of up to 72
    assert spread_of(h)[1] == pytest.approx(1 + 0.8, rel=1e-6)  # cosine −4/5


# Saturation, and depths


def saturation(net, variables):
    """The saturated share, by states [batch, width] that the layer reads, and threshold."""
    stem = variables.stem["params"]["Dense_0"]
    stem["kernel"][:], stem["bias"][:] = np.eye(len(stem["bias"])), 0

    @jax.jit
    def run(states, threshold):
        return probes.signal(net, variables, states, loss, threshold=threshold)

    return lambda states, least: float(run(states, np.float32(least)).saturated[0])


def test_saturated_units_are_counted(network, filled):
    states = np.float32(
        [  # dead for all, alive for one, alive, dead but for a slope of 0.0066
            [-1.0, -1.0, 2.0, -5.0],
            [-0.1, -1.0, 1.0, -9.0],
            [-3.0, 0.5, 3.0, -9.0],
        ]
    )
    nets = (
        network("mlp", activation, depth=1, width=4)
        for activation in ("relu", "leaky_relu", "sigmoid")
    )
    relu, leaky_relu, sigmoid = (saturation(net, filled(net, states)) for net in nets)
    assert relu(states, 1e-6) == 2 / 4
    assert leaky_relu(states, 1e-6) == 0
    assert leaky_relu(states, 0.02) == 2 / 4
    assert sigmoid(states, 0.006) == 0
    assert sigmoid(states, 0.0067) == 1 / 4  # σ′(−5) = 0.00665
    assert sigmoid(-states, 0.0067) == 1 / 4
    assert relu(states, 0.0) == 0  # nothing is below 0: by default, off


def test_one_compilation_serves_every_depth(network, filled, traces):
    net = network("residual_mlp", "tanh", "layer", depth=7)
    variables = filled(net, X)

    @traces
    def run(v, depth):
        some = links(net, v, depths=(depth,))
        return probes.signal(some, X, loss, threshold=0.5)

    for depth in (1, 4, 7):
        signal = run(variables, np.int32(depth))
        short = network("residual_mlp", "tanh", "layer", depth=depth)
        first = jax.tree.map(lambda a, d=depth: a[:d], variables.stages[0])
        static = jax.jit(
            lambda v, net=short: probes.signal(net, v, X, loss, threshold=0.5)
        )(variables._replace(stages=(first,)))
        for ours, alone in zip(signal, static, strict=True):
            # The same sums in another program: some ulp, not bits.
            np.testing.assert_allclose(ours[: len(alone)], alone, atol=3e-6)
            assert np.all(np.isnan(ours[len(alone) :]))
    assert run.count == 1


# Numbers read off a profile

LINE = np.array([[3.0, 2.5, 2.0, 1.5, 1.0], [0.0, 1.0, 2.0, 3.0, 4.0]])


def test_ratio_and_slope_of_exact_lines():
    np.testing.assert_array_equal(profiles.ratio(LINE), [2.0, -4.0])
    np.testing.assert_allclose(profiles.slope(LINE), [0.5, -1.0], rtol=1e-15)
    bent = np.concatenate([[[50.0], [50.0]], LINE, [[-9.0], [-9.0]]], axis=1)
    np.testing.assert_allclose(profiles.slope(bent, edge=1), [0.5, -1.0], rtol=1e-14)
    assert not np.allclose(profiles.slope(bent), [0.5, -1.0])
    two = profiles.slope(LINE[:, :2])  # two states: their difference
    np.testing.assert_allclose(two, [0.5, -1.0], rtol=1e-15)


def test_estimates_over_seeds():
    assert profiles.over_seeds(np.array([1.0, 2.0, 6.0])) == pytest.approx(
        (3.0, math.sqrt(7 / 3))
    )
    mean, error = profiles.over_seeds(np.array([2.0]))
    assert mean == 2.0 and math.isnan(error)
    assert all(math.isnan(v) for v in profiles.over_seeds(np.array([])))


def test_where_a_signal_is_lost():
    inf, nan, length = np.inf, np.nan, np.zeros(4)
    apart = np.array([1.0, 0.5, 1e-10, 2e-14])
    assert profiles.lost_at(length, apart) is None
    same = np.array([1.0, 1e-3, 1e-15, 0.0])  # float32 rounds at (1.2e-7)² = 1.4e-14
    assert profiles.lost_at(length, same) == (2, "correlated")
    dead = np.array([1.0, -80.0, -inf, -inf])
    assert profiles.lost_at(dead, np.array([1, 1, 0, 0.0])) == (2, "zero")
    for blown in (inf, nan):
        grown = np.array([1.0, blown, blown, nan])
        assert profiles.lost_at(grown, np.array([1, nan, nan, nan])) == (1, "overflow")
    # A recurrent net starts from zeros, and a net may be all zeros.
    assert profiles.lost_at(np.array([-inf, 0, 0, 0]), np.array([0, 1, 1, 1.0])) is None
    read = np.array([-inf, 0, -inf, -inf]), np.array([0, 1, 0, 0.0])
    assert profiles.lost_at(*read) == (2, "zero")
    assert profiles.lost_at(np.full(4, -inf), np.zeros(4)) == (0, "zero")
    # The first loss is the one that is told.
    assert profiles.lost_at(np.array([0, 0, -inf, 0]), same) == (2, "zero")
    assert profiles.lost_at(np.array([0, 0, 0, -inf]), same) == (2, "correlated")
