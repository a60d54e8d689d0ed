"""The fixed judge, and the Fréchet distance against closed forms."""

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import held_out
from depthbench.research.learning.judge import frechet, judge

RANDOM = np.random.RandomState(0)


def test_the_distance_of_gaussians_has_its_closed_form():
    """Diagonal covariances commute: Σ (σ₁ − σ₂)² + |μ₁ − μ₂|². Moments are made exact, so
    only rounding is left."""
    white = RANDOM.randn(500, 3)
    white -= white.mean(axis=0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T)).T)
    one, other = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5])
    found = frechet(white * one, white * other + [1.0, 0.0, 2.0])
    assert found == pytest.approx(np.sum((one - other) ** 2) + 5.0, abs=1e-6)


def test_it_is_symmetric_and_zero_of_equals():
    """Correlated features: the matrices' product has another order, and the same trace."""
    one, other = RANDOM.randn(200, 4) @ RANDOM.randn(4, 4), RANDOM.randn(200, 4)
    assert frechet(one, other) == pytest.approx(frechet(other, one), rel=1e-9)
    assert frechet(one, one) == pytest.approx(0, abs=1e-8)


def test_it_is_scipys():
    """The square root by another algorithm."""
    import scipy.linalg as linalg

    one, other = RANDOM.randn(300, 5) @ RANDOM.randn(5, 5), RANDOM.randn(300, 5) + 1
    first, second = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(first @ second).real
    apart = np.sum((one.mean(0) - other.mean(0)) ** 2)
    assert frechet(one, other) == pytest.approx(
        apart + np.trace(first + second - 2 * root), rel=1e-6
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3))),
        (np.zeros((5, 3)), np.zeros((5, 2))),
        (np.full((5, 3), np.nan), np.zeros((5, 3))),
    ],
)
def test_what_has_no_distance_is_refused(one, other):
    with pytest.raises(DataError, match="frechet"):
        frechet(one, other)


def test_the_judge_knows_digits_and_its_digest_is_of_its_weights():
    """Test images are nearer to training images than noise is, by far."""
    known, parts = judge("digits"), held_out.parts("digits")
    assert np.mean(known.classes(parts.test.x) == parts.test.y) > 0.9
    floor = known.distance(parts.train.x, parts.test.x)
    noise = RANDOM.randn(*parts.test.x.shape).astype(np.float32)
    assert 10 * floor < known.distance(parts.train.x, noise)
    assert len(known.digest) == 12 and known is not None
    assert judge("digits") is known
