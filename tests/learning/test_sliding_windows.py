"""Windows, what is in them, and a detector of a scene that is easy."""

import numpy as np
import pytest
import skimage.transform

from depthbench.research.datasets import scenes
from depthbench.research.learning import detections, sliding_windows


def test_each_window_shows_what_lies_in_its_box():
    x = np.random.RandomState(0).random_sample((2, 12, 12, 3)).astype(np.float32)
    sizes = (6, sliding_windows.SEEN)
    box = sliding_windows.windows(12, sizes).box
    seen = sliding_windows.patches(x, sizes)
    assert seen.shape == (2, len(box), 8, 8, 3)
    for place in (0, 20, len(box) - 1):
        left, top, right, bottom = box[place]
        part = x[1, top:bottom, left:right]
        # The same bilinear map, by another library.
        known = skimage.transform.resize(
            part, (8, 8), order=1, mode="edge", anti_aliasing=False
        )
        np.testing.assert_allclose(seen[1, place], known, atol=1e-6)  # in float32


def test_gradients_of_a_ramp_have_one_direction():
    ramp = np.arange(8.0)[None, None, :, None] + np.zeros((1, 8, 8, 1))
    ramp = ramp.astype(np.float32)
    across = sliding_windows.features(ramp, "gradients").reshape(16, -1)
    assert (across[:, 0] > 0).all() and not across[:, 1:].any()
    down = sliding_windows.features(ramp.swapaxes(1, 2), "gradients").reshape(16, -1)
    assert (down[:, sliding_windows.BINS // 2] > 0).all()


def test_histograms_are_what_their_words_say():
    """Pixel by pixel and in float64, of the channel whose gradient is the largest."""
    side, block = sliding_windows.SEEN, sliding_windows.BLOCK
    bins, count = sliding_windows.BINS, side // block
    seen = np.random.RandomState(2).random_sample((side, side, 3)).astype(np.float32)
    down, across = np.gradient(seen.astype(np.float64), axis=(0, 1))
    made = np.zeros((count, count, bins))
    for row, column in np.ndindex(side, side):
        sizes = np.hypot(down[row, column], across[row, column])
        most = sizes.argmax()
        angle = np.arctan2(down[row, column, most], across[row, column, most])
        turn = angle % np.pi / np.pi * bins
        first, share = int(turn), turn % 1
        own = made[row // block, column // block]
        own[first % bins] += sizes[most] * (1 - share)
        own[(first + 1) % bins] += sizes[most] * share
    known = made.ravel() / np.linalg.norm(made)
    found = sliding_windows.features(seen[None], "gradients")[0]
    # Angles are rounded in float32: about 1e-6 of a direction.
    np.testing.assert_allclose(found, known, atol=1e-5)


def test_features_do_not_see_brightness_or_contrast():
    seen = np.random.RandomState(1).random_sample((5, 8, 8, 3)).astype(np.float32)
    for kind in sliding_windows.FEATURES:
        one = sliding_windows.features(seen, kind)
        other = sliding_windows.features(0.5 * seen + 0.25, kind)
        np.testing.assert_allclose(one, other, atol=1e-5)  # in float32


def test_easy_scenes_are_found():
    parts = [
        scenes.scenes(n, s, noise=0.02, sizes=(8, 8)) for n, s in ((24, 0), (8, 1))
    ]
    true = [detections.truth(part.shape, part.boxes) for part in parts]
    sizes = (8,)
    fitted = sliding_windows.fit(parts[0].x, true[0], (parts[1].x, true[1]), sizes, 3)
    other = scenes.scenes(20, seed=2, noise=0.02, sizes=(8, 8))
    worth = detections.mean_average_precision(
        fitted.found(other.x), detections.truth(other.shape, other.boxes)
    )
    assert worth > 0.8  # a guess of all windows has 0.1 at most


def test_scenes_are_looked_at_one_after_the_other():
    """Whatever their number, in the order of windows."""
    count = sliding_windows.AT_A_TIME + 1
    x = np.random.RandomState(0).random_sample((count, 12, 12, 3)).astype(np.float32)
    sizes = (6, sliding_windows.SEEN)
    each = list(sliding_windows.each_scene(x, sizes, "both"))
    assert len(each) == count
    assert each[0].shape[0] == len(sliding_windows.windows(12, sizes).box)
    alone = sliding_windows.features(sliding_windows.patches(x[-1:], sizes), "both")[0]
    np.testing.assert_allclose(each[-1], alone, atol=1e-6)  # other programs, float32


def test_settings_are_chosen_by_some_scenes_and_learned_from_all():
    parts = [
        scenes.scenes(n, s, noise=0.02, sizes=(8, 8)) for n, s in ((16, 0), (8, 1))
    ]
    true = [detections.truth(part.shape, part.boxes) for part in parts]
    asked = parts[0].x, true[0], (parts[1].x, true[1]), (8,), 3
    some = sliding_windows.fit(*asked, 8)
    first = true[0].only(true[0].scene < 8)
    few = sliding_windows.fit(parts[0].x[:8], first, *asked[2:])
    assert (some.features, some.penalty) == (few.features, few.penalty)
    learned, _ = sliding_windows.proposer(*asked[:2], some.features, (8,), 3, 0)
    assert np.array_equal(some.proposer[-1].coef_, learned[-1].coef_)
    assert not np.allclose(few.proposer[-1].coef_, learned[-1].coef_)


def test_windows_larger_than_a_scene_cannot_be():
    with pytest.raises(ValueError, match="window"):
        sliding_windows.patches(np.zeros((1, 4, 4, 3), np.float32), (6,))
