"""Sketchers: the bound by hand, scenes that are a seed's, and runs that resume."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures.convolutional import pooled
from depthbench.research.datasets import captions
from depthbench.research.learning import drawing, feed, players
from depthbench.research.learning.fits import Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning import resumption

WORDS, NUMBERS = len(captions.WORDS), 3
ASKED = NUMBERS + captions.LENGTH * WORDS
PAIR = drawing.Sketcher(
    Net(
        Recipe(architecture="generator", depth=2, width=8, batch=8),
        Task((ASKED,), 16 * 16 * 3, "numbers"),
    ),
    Net(
        Recipe(architecture="detector_residual", depth=1, width=4, batch=8),
        Task((16, 16, 3), 2 * NUMBERS, "numbers", pooled.closer),
    ),
    WORDS,
)
MADE = captions.captioned(32, seed=2)
DATA = {"inputs": MADE.words, "targets": MADE.x}
RANDOM = np.random.RandomState(0)
SCENES, MEANS, LOGS = RANDOM.randn(6, 4, 4, 3), RANDOM.randn(6, 2), RANDOM.randn(6, 2)


def test_the_bound_is_that_of_the_best_variance():
    """Over a batch, and so is its gradient; to rounding of float32."""
    drawn = RANDOM.randn(6, 48)

    def best(drawn):  # Rybkin et al. 2021, equation 6, per number
        square = jnp.mean(jnp.square(drawn.reshape(SCENES.shape) - SCENES))
        apart = (MEANS**2 + jnp.exp(LOGS) - LOGS - 1).sum(axis=1) / 2
        return jnp.log(square) / 2 + jnp.mean(apart) / 48

    def ours(drawn):
        return jnp.mean(drawing.bound(SCENES, drawn, MEANS, LOGS)["loss"])

    for one, other in zip(
        *map(lambda f: jax.value_and_grad(f)(drawn), (ours, best)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_the_prior_is_no_divergence_and_another_gaussian_is_its_own():
    """½ (μ² + σ² − log σ² − 1): of mean 2 and variance 1 in two numbers, 4."""
    none = np.zeros((6, 2))
    parts = drawing.bound(SCENES, SCENES, none, none)
    assert not parts["divergence"].any() and not parts["square"].any()
    parts = drawing.bound(SCENES, SCENES, none + 2, none)
    np.testing.assert_allclose(parts["divergence"], 4, rtol=1e-6)


def test_scenes_are_a_seeds_and_a_sentences():
    ((run,),) = drawing.train(PAIR, DATA, 20, (1e-2,), [0])
    assert run.log["loss"][-1] < run.log["loss"][0] and 0 < run.grain < 1
    one = run.scenes(MADE.words, seed=1)
    assert one.shape == MADE.x.shape and np.isfinite(one).all()
    np.testing.assert_array_equal(one, run.scenes(MADE.words, seed=1))
    assert not np.array_equal(one, run.scenes(MADE.words, seed=2))
    assert not np.array_equal(one, run.scenes(MADE.words[::-1], seed=1))


def test_two_nets_go_on_from_the_disk_bit_for_bit(tmp_path):
    hyper = players.hyper(PAIR.players, 1e-2, 4)
    resumption.assert_resumes(PAIR.system, feed.drawn(8), DATA, hyper, tmp_path)


def test_the_fresh_drawer_has_a_gradient_and_a_step_a_cost():
    before = drawing.beforehand(PAIR, DATA, 1)
    assert np.isfinite([before.first_gradient, before.decades]).all()
    assert before.step_mflop > 0
