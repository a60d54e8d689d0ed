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
        Recipe(architecture="broadcast_decoder", depth=2, width=8, batch=8),
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


def test_numbers_are_spread_as_those_that_were_recognised_of_the_same_sentence():
    """Two sentences of 4,000 scenes each: means and covariances to five standard errors
    of as many draws; of one scene, and one that is unknown: as of all."""
    known = np.repeat([[2, 6], [3, 7], [4, 8]], [4000, 4000, 1], axis=0)
    shifts = np.repeat([[0.0, 3.0], [-2.0, 0.0], [0.0, 0.0]], [4000, 4000, 1], axis=0)
    own = np.array([[1.0, 0.8], [0.8, 1.0]])
    means = shifts + RANDOM.multivariate_normal(np.zeros(2), own, len(known))
    logs = np.full((len(known), 2), np.log(0.25))
    codes = drawing.codes(means, logs, known)
    for sentence, shift in ([2, 6], [0, 3]), ([3, 7], [-2, 0]):
        numbers = codes.drawn(np.repeat([sentence], 4000, axis=0), seed=1)
        # Errors of both samples: √(2 · 1.25 / 4000) of a mean, as much again of a square.
        np.testing.assert_allclose(numbers.mean(axis=0), shift, atol=0.13)
        np.testing.assert_allclose(np.cov(numbers.T), own + np.eye(2) / 4, atol=0.2)
    for sentence in [4, 8], [9, 9]:
        numbers = codes.drawn(np.repeat([sentence], 4000, axis=0), seed=1)
        np.testing.assert_allclose(numbers.mean(axis=0), [-1, 1.5], atol=0.15)


def test_a_net_that_has_diverged_draws_no_scene_and_raises_nothing():
    ((run,),) = drawing.train(PAIR, DATA, 20, (1e20,), [0])
    assert run.diverged is not None
    assert not np.isfinite(run.scenes(MADE.words)).all()


def test_two_nets_go_on_from_the_disk_bit_for_bit(tmp_path):
    hyper = players.hyper(PAIR.players, 1e-2, 4)
    resumption.assert_resumes(PAIR.system, feed.drawn(8), DATA, hyper, tmp_path)


def test_the_fresh_drawer_has_a_gradient_and_a_step_a_cost():
    before = drawing.beforehand(PAIR, DATA, 1)
    assert np.isfinite([before.first_gradient, before.decades]).all()
    assert before.step_mflop > 0
