"""Estimators of one likelihood: each at a rate that suits it."""

import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.unsupervised import energy_models
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies


def measured(estimator):
    study = studies()["energy_models"]
    some = {"estimator": (estimator,), "hidden": (4,), "steps": (600,), "seeds": (2,)}
    some |= {"rates": (1,), "lowest_rate": (1.0,), "highest_rate": (1.0,)}
    some |= {"further_rates": (0,)}
    (cell,) = grid(study, chosen_values(study, "smoke", some))
    return energy_models.likelihoods(cell).values


def test_chains_that_go_on_keep_up_with_the_weights():
    """Left behind, by momentum or a rate that stays, they end 3 nats away."""
    chains, exact = measured("pcd"), measured("exact")
    assert chains["score"] == pytest.approx(exact["score"], abs=1.0)
    # Both are judged by 360 images, whose nats vary by some five: a quarter of a nat each
    # if they were drawn apart, and less beside what finds the same images hard.
    for name in ("gap_test_se", "alike_test_se", "trivial_test_se"):
        assert 0.01 < chains[name] < 0.5, name
    assert comparisons.apart(chains, exact)["gap_test_se"] < chains["trivial_test_se"]
