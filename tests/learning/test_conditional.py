"""Conditional adversarial nets: their losses by hand, and runs that resume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures.convolutional import patch_scores
from depthbench.research.learning import conditional, feed, fits, players
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning import resumption

RECIPE = {"width": 2, "batch": 4, "momentum": 0.5, "initializer": "he_normal"}
GENERATOR = fits.Net(
    Recipe(architecture="cnn_same", depth=1, **RECIPE),
    Task((4, 4, 3), 3, "reconstruction", patch_scores.of_patches),
)
TELLER = fits.Net(
    Recipe(architecture="cnn_same", depth=1, **RECIPE),
    Task((4, 4, 6), 1, "reconstruction", patch_scores.of_patches),
)
PAIR = conditional.ConditionalPair(GENERATOR, TELLER)
RANDOM = np.random.RandomState(0)
DATA = {
    "inputs": RANDOM.randn(8, 4, 4, 3).astype(np.float32),
    "targets": RANDOM.randn(8, 4, 4, 3).astype(np.float32),
    "mask": (RANDOM.rand(8, 4, 4, 1) > 0.5).astype(np.float32),
}


def test_losses_are_those_of_the_paper():
    """Of constant nets: λ |y − x| over pixels that are asked for, and cross-entropies."""
    nets = {
        "generator": lambda x: jnp.full_like(x, 2.0),
        "discriminator": lambda x: jnp.full((*x.shape[:3], 1), 0.7),
    }
    told = conditional._telling(nets, DATA, None)
    made = conditional._fooling(nets, DATA, None)
    image = DATA["inputs"] + conditional.STEP * 2 * DATA["mask"]
    each = np.abs(image - DATA["targets"]) * DATA["mask"]
    error = each.sum((1, 2, 3)) / (3 * DATA["mask"].sum((1, 2, 3)))
    np.testing.assert_allclose(made["error"], error, rtol=1e-5)
    fooled = np.log1p(np.exp(-0.7))
    np.testing.assert_allclose(made["loss"], 100 * error + fooled, rtol=1e-5)
    real, false = np.log1p(np.exp(-0.7)), np.log1p(np.exp(0.7))
    np.testing.assert_allclose(told["loss"], (real + false) / 2, rtol=1e-5)


def test_the_discriminator_sees_the_given_image_beside_the_other():
    nets = {"discriminator": lambda x: x[..., :1] * x[..., 3:4]}
    scores = conditional._scores(nets, DATA["targets"], DATA)
    product = DATA["inputs"][..., :1] * DATA["targets"][..., :1]
    np.testing.assert_allclose(scores, product, rtol=1e-6)


def test_pixels_that_are_not_asked_for_stay_as_they_are():
    image = conditional.corrected(DATA["inputs"], 1.0, DATA["mask"])
    kept = np.broadcast_to(DATA["mask"] == 0, image.shape)
    np.testing.assert_array_equal(image[kept], DATA["inputs"][kept])


@pytest.mark.parametrize("pair", [PAIR, conditional.ConditionalPair(GENERATOR)])
def test_both_resume_bit_for_bit(pair, tmp_path):
    system, hyper = players.system(pair.players), players.hyper(pair.players, 1e-2, 4)
    resumption.assert_resumes(system, feed.drawn(4), DATA, hyper, tmp_path)


def test_a_patch_is_scored_by_the_pixels_around_it():
    """After a first convolution and one layer: 5 × 5, and nothing beyond."""
    fit = fits.fresh(TELLER)
    x = np.zeros((1, 4, 4, 6), np.float32)
    far = x.copy()
    far[0, 0, 0] = 1.0
    moved = np.abs(fit.outputs(far) - fit.outputs(x))[0, :, :, 0]
    assert moved[0, 0] > 0 and moved[:3, :3].any() and not moved[3].any()
    assert jax.tree.leaves(fit.variables)
