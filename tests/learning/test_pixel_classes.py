"""The loss of a class for each pixel, and how alike pixels are."""

import numpy as np
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


def test_likeness_is_of_the_pixels_around_and_turns_with_the_image():
    x = np.random.RandomState(1).random_sample((2, 20, 20, 3)).astype(np.float32)
    side = 2 * pixel_classes.REACH + 1
    (made,) = pixel_classes.likeness(x, ([1], [9], [10])).reshape(-1, side, side)
    apart = np.sum((x[1, 9 - 8 + 3, 10 - 8 + 5] - x[1, 9, 10]) ** 2)
    assert made[8, 8] == 1
    np.testing.assert_allclose(made[3, 5], np.exp(-16 * apart), rtol=1e-5)  # float32
    turned = np.rot90(x, axes=(1, 2))  # row 9, column 10 come to row 9, column 9
    (other,) = pixel_classes.likeness(turned, ([1], [9], [9])).reshape(-1, side, side)
    np.testing.assert_allclose(other, np.rot90(made), rtol=1e-5)
