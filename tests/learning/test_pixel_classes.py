"""The loss of a class for each pixel, and what blurs say of pixels."""

import numpy as np
import pytest
from scipy import special

from depthbench.research.learning import pixel_classes


def test_the_loss_is_the_mean_over_pixels_of_the_true_class():
    random = np.random.RandomState(0)
    outputs = random.standard_normal((3, 4, 5, 4)).astype(np.float32)
    labels = random.randint(0, 4, (3, 4, 5)).astype(np.int32)
    log_share = special.log_softmax(outputs.astype(np.float64), axis=-1)
    true = np.take_along_axis(log_share, labels[..., None], axis=-1)[..., 0]
    batch = {"targets": labels}
    measured = {n: m(outputs, batch) for n, m in pixel_classes.LOSS.measures.items()}
    # float32
    np.testing.assert_allclose(measured["loss"], -true.mean((1, 2)), rtol=1e-5)
    right = (outputs.argmax(-1) == labels).mean((1, 2))
    np.testing.assert_allclose(measured["accuracy"], right, rtol=1e-6)


def test_features_are_of_each_pixel_and_turn_with_the_image():
    pytest.importorskip("skimage", reason="pip install 'depthbench[systems]'")
    x = np.random.RandomState(1).random_sample((2, 9, 9, 3)).astype(np.float32)
    made = pixel_classes.features(x)
    assert made.shape == (2, 9, 9, 60) and np.isfinite(made).all()
    turned = pixel_classes.features(np.rot90(x, axes=(1, 2)))
    np.testing.assert_allclose(turned, np.rot90(made, axes=(1, 2)), atol=1e-4)
    one = pixel_classes.features(x[1:])
    np.testing.assert_array_equal(one, made[1:])
