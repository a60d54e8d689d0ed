"""A patch: the same on all images, anywhere, and the best one where logits are linear."""

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.learning import feed, fits, patches
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

NET = fits.Net(
    Recipe(architecture="mlp", depth=1, width=16, batch=32), Task((8, 8, 1), 10)
)
IMAGES = np.random.RandomState(0).uniform(-1, 1, (200, 8, 8, 1)).astype(np.float32)


def test_a_patch_changes_its_own_pixels_alone_and_is_the_same_everywhere():
    patch = jnp.full((3, 3, 1), 5.0) + jnp.arange(9.0).reshape(3, 3, 1)
    corners = patches.places(jax.random.key(0), 200, (8, 8, 1), 3)
    shown = np.asarray(patches.put(patch, jnp.asarray(IMAGES), corners))
    assert (np.sum(shown != IMAGES, axis=(1, 2, 3)) == 9).all()
    for image, (row, column) in zip(shown, np.asarray(corners), strict=True):
        found = image[row : row + 3, column : column + 3]
        np.testing.assert_array_equal(found, patch)


def test_all_places_where_it_fits_are_taken():
    corners = patches.places(jax.random.key(0), 2000, (8, 6, 1), 3)
    assert {tuple(place) for place in np.asarray(corners).tolist()} == {
        (row, column) for row in range(6) for column in range(4)
    }


def test_it_learns_the_optimum_of_linear_logits(monkeypatch):
    """Each number goes to the end of the range that its mean weight over places names."""
    weights = np.random.RandomState(1).normal(size=(8, 8)).astype(np.float32)

    def linear(net, variables):
        def logits(x):
            target = jnp.sum(x[..., 0] * weights[None], axis=(1, 2))
            return jnp.stack([target, jnp.zeros_like(target)], axis=1)

        return logits

    monkeypatch.setattr(patches.attacks, "of_net", linear)
    patches.system.cache_clear()
    fit = fits.fresh(NET)
    (patch,) = patches.learned(fit, IMAGES, (0,), 2, 300, 0.05)
    patches.system.cache_clear()
    windows = np.lib.stride_tricks.sliding_window_view(weights, (2, 2))
    mean = windows.mean(axis=(0, 1))
    ends = np.where(mean > 0, IMAGES.max(), IMAGES.min())
    sure = np.abs(mean) > 0.02  # where the batches' noise does not outweigh it
    assert sure.sum() >= 3
    np.testing.assert_allclose(patch.picture[..., 0][sure], ends[sure], atol=0.1)


def test_learning_a_patch_resumes_from_the_disk(tmp_path, monkeypatch):
    system, hyper = patches.system(NET, 3), fits.numbers(NET, 0.1, 4)
    low, high = jnp.float32(-1), jnp.float32(1)
    victim = patches.Victim(fits.fresh(NET).variables, jnp.int32(2), low, high)
    first = jnp.zeros((3, 3, 1))
    begun = system._replace(init=lambda key, hyper: patches.start(first, victim, hyper))
    assert_resumes(begun, feed.drawn(16), {"inputs": IMAGES}, hyper, tmp_path)


def test_images_of_the_target_and_without_a_label_do_not_count():
    """A net that is right of nothing: the share read as the class it always names."""
    fit = fits.fresh(NET)
    pictures, labels = np.zeros((2, 3, 3, 1), np.float32), np.arange(200) % 4 - 1
    read = []
    corners = patches.places(jax.random.key(7), 200, (8, 8, 1), 3)
    shown = patches.put(jnp.asarray(pictures[0]), jnp.asarray(IMAGES), corners)
    for target in (0, 2):
        kept = (labels != target) & (labels >= 0)
        read.append(np.mean(fit.outputs(shown).argmax(axis=1)[kept] == target))
    found = patches.successes(fit, pictures, (0, 2), IMAGES, labels, seed=7)
    np.testing.assert_allclose(found, read, atol=1e-6)
