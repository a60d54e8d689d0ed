"""Generators against discriminators: losses by hand, spectral norm, and resuming."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures.contract import Variables
from depthbench.research.learning import feed, fits, gan, players, sweeps
from depthbench.research.learning import system as systems
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.learning.sweeps import Run
from tests.learning import resumption

RECIPE = Recipe(depth=2, width=8, batch=8, optimizer="adam", momentum=0.5)
MAKER, JUDGE = fits.Net(RECIPE, Task((3,), 4)), fits.Net(RECIPE, Task((2, 2, 1), 1))
X = np.random.RandomState(0).randn(64, 2, 2, 1).astype(np.float32)
each = pytest.mark.parametrize("variant", gan.VARIANTS.values(), ids=list(gan.VARIANTS))


def begun(variant, rates=None):
    pair = gan.game(variant, MAKER, JUDGE)
    rates = rates or dict.fromkeys((gan.GENERATOR, gan.DISCRIMINATOR), 0.01)
    hyper = gan.hyper(pair, rates, 8)
    programs = sweeps.programs(players.system(pair), feed.drawn(8), 8)
    return hyper, programs, programs.init(*sweeps.arguments([Run(0, hyper)]))


@each
def test_both_players_resume_bit_for_bit(variant, tmp_path):
    pair = gan.game(variant, MAKER, JUDGE)
    hyper, _, _ = begun(variant)
    system, feeds = players.system(pair), feed.drawn(8)
    resumption.assert_resumes(system, feeds, {"inputs": X}, hyper, tmp_path, steps=6)


def test_a_generator_whose_rate_is_0_is_frozen():
    rates = {gan.GENERATOR: 0.0, gan.DISCRIMINATOR: 0.01}
    hyper, programs, state = begun(gan.VARIANTS["saturating"], rates)
    before = jax.device_get(state.tree)
    after = programs.advance(state, hyper, {"inputs": X}, np.int32(3))[0].tree
    jax.tree.map(
        np.testing.assert_array_equal,
        after["generator"].params,
        before["generator"].params,
    )
    moved = jax.tree.map(
        np.array_equal, after["discriminator"].params, before["discriminator"].params
    )
    assert not all(jax.tree.leaves(moved))


def test_losses_are_those_of_the_papers():
    """By D = 1 / (1 + e^−score), in float32."""
    score = np.linspace(-4, 4, 9, dtype=np.float32)
    d = 1 / (1 + np.exp(-score.astype(np.float64)))
    made = score[::-1]
    told = -np.log(d) - np.log(1 - d[::-1])
    for name, fooled in (
        ("saturating", np.log(1 - d)),
        ("non_saturating", -np.log(d)),
        ("spectral", -np.log(d)),
    ):
        variant = gan.VARIANTS[name]
        np.testing.assert_allclose(variant.told(score, made), told, rtol=1e-5)
        np.testing.assert_allclose(variant.fooled(score), fooled, rtol=1e-5, atol=1e-6)
    critic = gan.VARIANTS["wasserstein"]
    np.testing.assert_array_equal(critic.told(score, made), made - score)
    np.testing.assert_array_equal(critic.fooled(made), -made)


def test_where_the_discriminator_is_sure_one_gradient_vanishes_and_the_other_does_not():
    slope = lambda name: float(jax.grad(gan.VARIANTS[name].fooled)(-20.0))
    assert abs(slope("saturating")) == pytest.approx(np.exp(-20.0), rel=1e-4)
    assert abs(slope("non_saturating")) == pytest.approx(1.0, rel=1e-6)


def test_the_penalty_is_of_the_slope_at_a_point_between():
    """A linear score has the same slope everywhere: w, of length 5."""
    w = jnp.array([3.0, 4.0])
    found = gan.steepness(
        jax.random.key(0), lambda x: x @ w, X[:5, 0, :, 0], -X[:5, 1, :, 0]
    )
    np.testing.assert_allclose(found, 16.0, rtol=1e-5)
    # Of ‖x‖²/2 the slope is x, which lies between both: all are the same point here.
    one = jnp.tile(w[None] / 10, (4, 1))
    score = lambda x: jnp.sum(jnp.square(x), axis=1) / 2
    found = gan.steepness(jax.random.key(0), score, one, one)
    np.testing.assert_allclose(found, 0.25, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (64, 32), (3, 3, 4, 16), (16, 1)])
def test_the_largest_singular_value_is_numpys(shape):
    """From below; 64 rounds of power iteration leave 1 % where the next is close."""
    kernel = np.random.RandomState(1).randn(*shape).astype(np.float32)
    exact = np.linalg.norm(kernel.reshape(-1, shape[-1]).astype(np.float64), 2)
    found = float(gan.largest_singular_value(kernel.reshape(-1, shape[-1])))
    assert 0.99 * exact <= found <= 1.00001 * exact


def test_spectral_norm_is_of_each_layer_of_a_stack_by_itself():
    random = np.random.RandomState(0)
    kernels = random.randn(3, 6, 6).astype(np.float32) * [[[1.0]], [[10.0]], [[0.1]]]
    bias = random.randn(3, 6).astype(np.float32)
    stage = {"params": {"Dense_0": {"kernel": jnp.float32(kernels), "bias": bias}}}
    end = {"params": {"kernel": jnp.float32(kernels[1])}}
    seen = gan.spectral(Variables(end, (stage,), end))
    for kernel in (
        *seen.stages[0]["params"]["Dense_0"]["kernel"],
        seen.stem["params"]["kernel"],
    ):
        assert np.linalg.norm(kernel, 2) == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(seen.stages[0]["params"]["Dense_0"]["bias"], bias)


def test_the_normed_discriminator_is_what_is_trained_and_what_is_kept():
    (run,) = gan.train(
        gan.game(gan.VARIANTS["spectral"], MAKER, JUDGE), X, 3, (0.01,), 1
    )
    leaves = jax.tree_util.tree_leaves_with_path(run.discriminator.variables)
    kernels = [leaf for path, leaf in leaves if path[-1].key == "kernel"]
    assert len(kernels) == 3
    for kernel in kernels:
        norm = np.linalg.norm(np.asarray(kernel), 2, axis=(-2, -1))
        np.testing.assert_allclose(norm, 1, atol=0.01)
    assert run.samples(5, (2, 2, 1)).shape == (5, 2, 2, 1)
    np.testing.assert_array_equal(run.samples(5, (4,)), run.samples(5, (4,)))


def test_a_convolutional_generator_plays_against_a_convolutional_discriminator():
    """Traced, not computed: what is made has the form of what is real, and both step."""
    recipe = dataclasses.replace(RECIPE, width=8, architecture="generator")
    maker = fits.Net(recipe, Task((5,), 64))
    teller = fits.Net(
        dataclasses.replace(recipe, architecture="discriminator"), Task((8, 8, 1), 1)
    )
    pair = gan.game(gan.VARIANTS["wasserstein"], maker, teller)
    system, hyper = players.system(pair), gan.hyper(pair, gan.alike(0.01), 4)
    batch = {"inputs": jnp.zeros((8, 8, 8, 1))}

    def stepped(key):
        state = systems.init(key, system, hyper)
        return state, systems.step(system, state, hyper, batch)

    before, (after, measures) = jax.eval_shape(stepped, jax.random.key(0))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert set(measures) == {
        "discriminator loss",
        "discriminator right",
        "generator loss",
    }
