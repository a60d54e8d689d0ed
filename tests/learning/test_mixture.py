"""Mixtures of bits beside sums over all states, and codes beside closed forms."""

import numpy as np
import pytest

from depthbench.research.learning import mixture, projections
from depthbench.research.learning.rbm import hidden_states


def test_probabilities_of_all_states_sum_to_1():
    x = np.random.RandomState(0).randint(0, 2, (30, 5))
    found = mixture.fit(x, 3)
    total = np.exp(found.log_likelihood(hidden_states(5).astype(float))).sum()
    assert total == pytest.approx(1, rel=1e-12)


def test_two_patterns_are_two_components():
    """Of a mixture of 010101 and 101010 with no noise each half is found."""
    x = np.repeat([[0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0]], 50, axis=0).astype(float)
    found = mixture.fit(x, 2)
    np.testing.assert_allclose(sorted(found.weights), [0.5, 0.5], atol=0.01)
    np.testing.assert_allclose(sorted(found.ones[:, 0]), [0, 1], atol=0.02)
    one = mixture.fit(x, 1)
    assert found.log_likelihood(x).mean() > one.log_likelihood(x).mean() + 3


def test_each_round_climbs_towards_what_one_more_cannot_raise(monkeypatch):
    x = np.random.RandomState(1).randint(0, 2, (40, 6)).astype(float)
    heights = []
    for rounds in (1, 3, 10, 40):
        monkeypatch.setattr(mixture, "ROUNDS", rounds)
        heights.append(mixture.fit(x, 4).log_likelihood(x).mean())
    # The prior's part is climbed too, and is not in the likelihood: some slack.
    assert np.all(np.diff(heights) > -0.01) and heights[-1] > heights[0]


def test_pca_leaves_the_smallest_variances():
    x = np.random.RandomState(2).randn(50, 6) * [5, 4, 3, 2, 1, 0.5]
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    left = projections.pca(x, 4).errors(x).mean()
    assert left == pytest.approx(values[:2].sum(), rel=1e-10)


def test_a_circle_is_one_curve_to_a_kernel_and_none_to_pca():
    """Three components of a kernel give a circle with noise back; one axis cannot."""
    draw = np.random.RandomState(3)
    angle = draw.uniform(0, 2 * np.pi, 200)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    curved = projections.kernel_pca(x[:150], x[150:], 2)
    assert curved.encode(x[150:]).shape == (50, 2)
    assert curved.errors(x[150:]).mean() < 0.01
    assert projections.pca(x, 1).errors(x).mean() > 0.3
