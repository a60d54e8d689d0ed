"""Singular values against float64 autodiff, orthogonal nets and random matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from depthbench.research.architectures.contract import (
    Architecture,
    Stage,
    Variables,
    call,
    layer_at,
    links,
)
from depthbench.research.signal.jacobian import isometry, singular_values
from tests.conftest import dense_families

X = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)


def run(net, variables, x=X, **keywords):
    return jax.jit(lambda v: singular_values(net, v, x, **keywords))(variables)


def linear(network, kernels):
    """A linear MLP of these kernels [depth, width, width], and its variables."""
    depth, width, _ = kernels.shape
    net = network("mlp", "linear", depth=depth, width=width)
    random = np.random.default_rng(0)

    def dense(*shape, kernel=None):
        kernel = random.standard_normal(shape) if kernel is None else kernel
        bias = np.zeros((*shape[:-2], shape[-1]))
        return {"kernel": np.float32(kernel), "bias": np.float32(bias)}

    def wrapped(**parts):
        return {"params": {"Dense_0": dense(**parts)}}

    stem = {"params": {"Dense_0": dense(6, width)}}
    layers = {"params": {"Dense_0": dense(depth, width, width, kernel=kernels)}}
    head = {"params": {"Dense_0": dense(width, 3)}}
    return net, Variables(stem, (layers,), head)


def gaussian(depth, width, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((depth, width, width)) * width**-0.5


def by_autodiff(net, variables, x):
    """log10 singular values [batch, width], by jax.jacobian in float64."""
    wide = jax.tree.map(lambda a: np.asarray(a, np.float64), variables)
    (stage,), (stacked,) = net.stages, wide.stages

    def last(h):  # of one example
        for index in range(stage.depth):
            h = call(stage.layer, layer_at(stage, stacked, index), h[None])[0][0]
        return h

    with jax.enable_x64(True):
        h, _ = call(net.stem, wide.stem, x.astype(np.float64))
        jacobians = jax.jit(jax.vmap(jax.jacobian(last)))(h)
        return np.log10(np.linalg.svd(np.asarray(jacobians), compute_uv=False))


# Each family once; all pairs are run by `pytest -m exhaustive`.
SOME = ("mlp-none", "residual_mlp-layer", "rezero_mlp-layer", "highway_mlp-none")
PAIRS = [
    pytest.param(
        *(name, normalizer),
        id=f"{name}-{normalizer}",
        marks=() if f"{name}-{normalizer}" in SOME else pytest.mark.exhaustive,
    )
    for name in dense_families()
    for normalizer in ("none", "layer")
]


@pytest.mark.parametrize(("name", "normalizer"), PAIRS)
def test_singular_values_are_those_of_autodiff(name, normalizer, network, filled):
    net = network(name, "tanh", normalizer, depth=3)
    variables = filled(net, X, gain=1.2)
    expected = by_autodiff(net, variables, X)
    spectrum = run(net, variables)
    assert spectrum.log10.shape == (2, 8) and np.all(spectrum.converged)
    np.testing.assert_array_equal(spectrum.residual, 0)
    # Float32 moves a singular value by some ε of the largest, which tells on the small.
    known = np.isfinite(spectrum.log10)
    shares = 10 ** (expected - expected[:, :1])
    assert np.all(known == (shares > 8 * np.finfo(np.float32).eps))
    gap = np.abs(spectrum.log10 - expected)[known]
    assert np.all(gap < 1e-5 + 1e-6 / shares[known])
    if normalizer != "none":
        return
    top = run(net, variables, method="iteration", k=3)
    assert np.all(top.converged) and np.all(top.residual <= 1e-3)
    # A Rayleigh-Ritz value is off by the residual squared, or less.
    np.testing.assert_allclose(
        10 ** (top.log10 - expected[:, :1]), shares[:, :3], atol=2e-5
    )


def test_an_orthogonal_linear_net_is_an_isometry_at_any_depth(network):
    kernels, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((1000, 16, 16)))
    net, variables = linear(network, kernels)
    spectrum = run(net, variables)
    # Each of 1,000 products rounds by some ε, in no direction: √1000 ε is 4e-6.
    np.testing.assert_allclose(spectrum.log10, 0, atol=2e-5)
    spread = isometry(spectrum.log10)
    np.testing.assert_allclose(spread.log10_mean, 0, atol=2e-5)
    assert np.all(spread.variance < 1e-8)
    # Any block is invariant: one round is enough.
    top = run(net, variables, method="iteration", k=2, iterations=1)
    assert np.all(top.converged)
    np.testing.assert_allclose(top.log10, 0, atol=2e-5)


def test_gaussian_linear_nets_have_variance_of_the_depth(network):
    # Pennington et al. 2017: variance L, up to corrections of order L²/width. One net's
    # value varies by some L/√width; over 8 nets that is 5 % at depth 1, 10 % at 4.
    for depth, within in ((1, 0.1), (4, 0.2)):
        spreads = []
        for seed in range(8):
            net, variables = linear(network, gaussian(depth, 64, seed))
            spreads.append(isometry(program(net)(variables).log10[0]))
        mean = np.mean([spread.variance for spread in spreads])
        assert mean == pytest.approx(depth, rel=within)
        lengths = np.mean([spread.log10_mean for spread in spreads])
        assert lengths == pytest.approx(0, abs=0.05)


PROGRAMS = {}


def program(net):
    """One compiled program for all nets of a depth."""
    depth = net.stages[0].depth
    if depth not in PROGRAMS:
        PROGRAMS[depth] = jax.jit(lambda v: singular_values(net, v, X[:1]))
    return PROGRAMS[depth]


@pytest.mark.parametrize(("sigma", "sign"), ((0.5, -1), (2.0, 1)))
def test_nothing_leaves_the_range_of_float32(network, sigma, sign):
    depth, width = 2000, 8
    kernels = np.linalg.qr(
        np.random.default_rng(1).standard_normal((depth, width, width))
    )[0]
    net, variables = linear(network, sigma * kernels)
    spectrum = run(net, variables)
    # The kernels' own rounding counts 2,000 times: 2000 ε.
    expected = sign * depth * np.log10(2.0)  # ±602: float32 ends at 38
    np.testing.assert_allclose(spectrum.log10, expected, atol=1e-3)
    top = run(net, variables, method="iteration", k=1)
    np.testing.assert_allclose(top.log10, expected, atol=1e-3)


def test_values_below_rounding_are_not_told(network):
    # A hundred Gaussian layers: the logs are about evenly spread over many decades.
    kernels = gaussian(100, 8)
    net, variables = linear(network, kernels)
    product = np.eye(8)
    for kernel in np.float32(kernels).astype(np.float64):
        product = product @ kernel
    # Float64 tells values down to 1e-15 of the largest.
    exact = np.log10(np.linalg.svd(product, compute_uv=False))
    log10 = np.asarray(run(net, variables).log10[0])
    resolved = np.isfinite(log10)
    assert 1 <= resolved.sum() < 8 and np.all(log10[~resolved] == -np.inf)
    assert np.all(exact[~resolved] < exact[0] - 5)
    shares = 10 ** (exact - exact[0])
    assert np.all(np.abs(log10 - exact)[resolved] < 1e-4 + 2e-6 / shares[resolved])


def test_the_iteration_says_how_far_it_came(network):
    net, variables = linear(network, gaussian(3, 64))
    exact = run(net, variables).log10
    settings = {"method": "iteration", "k": 4, "tolerance": 1e-4}
    early = run(net, variables, iterations=2, **settings)
    assert not np.any(early.converged) and np.all(early.residual > 1e-4)
    late = run(net, variables, iterations=200, **settings)
    assert np.all(late.converged) and np.all(late.residual <= 1e-4)
    np.testing.assert_allclose(late.log10, exact[:, :4], atol=1e-6)
    # Each early value is as near to a true one as its residual says.
    shares = 10 ** (exact - exact[:, :1])
    estimates = 10 ** (early.log10 - exact[:, :1])
    gaps = np.min(np.abs(estimates[:, :, None] - shares[:, None]), axis=2)
    assert np.all(gaps[np.isfinite(early.log10)] <= np.max(early.residual))
    # By width: exact up to 256, then the iteration, for 8 values.
    assert run(net, variables).residual[0] == 0
    wide, its = linear(network, gaussian(1, 300))
    assert run(wide, its, iterations=3).log10.shape == (2, 8)
    assert run(wide, its, iterations=3).residual[0] > 0


def test_depths_may_be_traced(network, filled, traces):
    net = network("residual_mlp", "tanh", depth=6)
    variables = filled(net, X)
    for method in ("exact", "iteration"):

        @traces
        def at(depth, method=method):
            some = links(net, variables, depths=(depth,))
            return singular_values(some, X, method=method, k=4)

        for depth in (2, 6):
            short = network("residual_mlp", "tanh", depth=depth)
            first = jax.tree.map(lambda a, d=depth: a[:d], variables.stages[0])
            alone = run(short, variables._replace(stages=(first,)), k=4)
            np.testing.assert_allclose(
                at(np.int32(depth)).log10, alone.log10, atol=1e-5
            )
        assert at.count == 1


class Pair(nn.Module):
    """A layer on a state of two parts, [batch, 3] and [batch, 2]; may merge them."""

    merge: bool = False

    @nn.compact
    def __call__(self, h, train=True):
        a, b = h
        out = jnp.tanh(nn.Dense(5)(jnp.concatenate([a, b], -1)))
        return out[:, :4] if self.merge else (out[:, :3], out[:, 3:])


class Split(nn.Module):
    @nn.compact
    def __call__(self, x, train=True):
        return x[:, :3], x[:, 3:5]


def test_states_may_be_trees_and_change_their_shape(filled):
    net = Architecture(
        "pairs", Split(), (Stage(Pair(), 2, tied=True), Stage(Pair(True), 1)), Last()
    )
    variables = filled(net, X)

    def last(flat):
        h = (flat[None, :3], flat[None, 3:])
        for _ in range(2):
            h, _ = call(Pair(), variables.stages[0], h)
        return call(Pair(True), layer_at(net.stages[1], variables.stages[1], 0), h)[0][
            0
        ]

    jacobians = jax.jit(jax.vmap(jax.jacobian(last)))(X[:, :5])
    assert jacobians.shape == (2, 4, 5)
    expected = np.log10(np.linalg.svd(np.asarray(jacobians), compute_uv=False))
    for method in ("exact", "iteration"):
        spectrum = run(net, variables, method=method)
        np.testing.assert_allclose(spectrum.log10, expected, atol=1e-3)
    np.testing.assert_allclose(run(net, variables).log10, expected, atol=1e-5)


class Last(nn.Module):
    @nn.compact
    def __call__(self, h, train=True):
        return nn.Dense(2)(h)


def test_what_has_no_spectrum_says_so(network, filled):
    net = network("mlp", "tanh", "batch")
    with pytest.raises(
        ValueError, match=r"stages\[0\] normalises over the batch.*Jacobian"
    ):
        singular_values(net, filled(net, X), X)
    net = network("mlp", "tanh")
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        singular_values(net, filled(net, X), X, k=0)
    with pytest.raises(ValueError, match="method must be auto, exact or iteration"):
        singular_values(net, filled(net, X), X, method="power")


def test_a_jacobian_of_zero_and_an_overflow(network):
    for method in ("exact", "iteration"):
        net, variables = linear(network, np.zeros((3, 8, 8)))
        spectrum = run(net, variables, method=method)
        assert np.all(np.isneginf(spectrum.log10)) and np.all(spectrum.converged)
        broken = jax.tree.map(lambda a: np.full_like(a, np.inf), variables.stages)
        spectrum = run(net, variables._replace(stages=broken), method=method)
        assert np.all(np.isnan(spectrum.log10)) and not np.any(spectrum.converged)
    none = isometry(np.full(4, -np.inf))
    assert np.isneginf(none.log10_mean) and np.isnan(none.variance)


def test_isometry_of_given_spectra():
    flat = isometry(np.full((2, 5), -300.0))  # far below float64's squares
    np.testing.assert_allclose(flat.log10_mean, -600, rtol=1e-12)
    np.testing.assert_allclose(flat.variance, 0, atol=1e-12)
    half = isometry(np.log10([2.0, 1e-200]))  # squares 4 and 0: mean 2, variance 4
    assert half.log10_mean == pytest.approx(np.log10(2))
    assert half.variance == pytest.approx(4 / 2**2)
