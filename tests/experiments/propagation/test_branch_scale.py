"""`branch_scale`: sizes of branches against their skips, and the power of depth."""

import numpy as np
import pytest

from depthbench.experiments.propagation import branch_scale


def test_ratios_are_those_of_standard_deviations():
    random = np.random.default_rng(0)
    h = random.standard_normal((5, 40, 3))
    h += 7.0  # a mean that all examples share is no variance
    branch = np.diff(h, axis=0)
    expected = [
        np.sqrt(np.var(b, axis=0).mean() / np.var(s, axis=0).mean())
        for b, s in zip(branch, h[:-1], strict=True)
    ]
    np.testing.assert_allclose(branch_scale.ratios(h), np.log10(expected), rtol=1e-9)
    images = h.reshape(5, 10, 2, 2, 3)  # pixels are examples too
    np.testing.assert_allclose(
        branch_scale.ratios(images), np.log10(expected), rtol=1e-9
    )


def test_sums_of_independent_branches_follow_the_law():
    """Variance l after l blocks: each branch is smaller by exactly √l."""
    depth = np.arange(1, 65)
    assert branch_scale.slope(-0.5 * np.log10(depth), 1) == pytest.approx(-0.5)
    # What a net does before the law begins is left out; so is how deep it opens.
    bent = np.where(depth < branch_scale.LEAST, 0.3, -0.5 * np.log10(depth))
    assert branch_scale.slope(bent, 1) == pytest.approx(-0.5)
    assert branch_scale.slope(-0.5 * np.log10(depth + 1.0), 2) == pytest.approx(-0.5)
    walk = np.cumsum(np.random.default_rng(0).standard_normal((65, 4000, 8)), axis=0)
    power = branch_scale.slope(branch_scale.ratios(walk), 1)
    # 32,000 draws of each step.
    assert power == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize("name", branch_scale.NETS)
def test_states_are_a_blocks_own(name):
    """As many branches as blocks, of one shape; the branch of a net without a norm."""
    cell = {"architecture": name, "normalizer": "none", "depth": 6, "width": 8}
    (row,) = branch_scale.measure([{**cell, "batch": 4, "seeds": 2}], None, None)
    assert row.status == "ok"
    opening = 1 if name == "resnet_v2" else 0
    np.testing.assert_array_equal(row.profiles["block"], np.arange(opening, 6) + 1)
    # As large as its skip, but for the noise of eight units.
    assert abs(row.values["log10_last"]) < 0.4
