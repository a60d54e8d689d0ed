"""Estimators of one likelihood: each at a rate that suits it."""

import pytest

from depthbench.experiments.unsupervised import energy_models
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies


def nats(estimator):
    study = studies()["energy_models"]
    some = {"estimator": (estimator,), "hidden": (4,), "steps": (600,), "seeds": (2,)}
    some |= {"rates": (1,), "lowest_rate": (1.0,), "highest_rate": (1.0,)}
    some |= {"further_rates": (0,)}
    (cell,) = grid(study, chosen_values(study, "smoke", some))
    return energy_models.likelihoods(cell).values["score"]


def test_chains_that_go_on_keep_up_with_the_weights():
    """Left behind, by momentum or a rate that stays, they end 3 nats away."""
    assert nats("pcd") == pytest.approx(nats("exact"), abs=1.0)
