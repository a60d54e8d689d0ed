"""What is said of where starts end."""

import numpy as np
import pytest

from depthbench.experiments.training import local_minima as study
from depthbench.research.learning import curvature


def test_losses_are_cross_entropies_and_class_shares_their_own():
    x, _, classes = study.task_of("digits")
    assert x.shape == (study.DIGITS, 16) and classes == 10
    assert study.entropy(np.array([0, 0, 1, 1])) == pytest.approx(np.log(2))
    assert study.entropy(np.array([0, 0, 0, 1])) == pytest.approx(
        -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    )


def test_logistic_regression_has_the_least_loss_of_parity_that_it_can():
    """Its best is to answer nothing: every input alone is as often right as wrong."""
    assert study.logistic_loss("parity") == pytest.approx(np.log(2), abs=1e-6)


def test_deviations_are_compared_in_powers_of_ten():
    random = np.random.default_rng(0)
    wide, narrow = (study.spread(s * random.normal(size=400)) for s in (0.01, 1.0))
    apart = wide["log10_deviation"] - narrow["log10_deviation"]
    # Of 400 normal numbers log10 of the deviation is known to 0.434/√800 = 0.0154.
    assert apart == pytest.approx(-2, abs=0.07)
    assert narrow["log10_deviation_se"] == pytest.approx(0.0154, rel=0.3)
    base = {"task": "parity", "architecture": "mlp", "activation": "tanh", "depth": 1}
    rows = [
        {**base, "status": "ok", "seeds": 400, "width": width, **found}
        for width, found in ((8, wide), (2, narrow))
    ]
    (row,) = study.narrowest_to_widest(rows)
    assert row["gap"] == pytest.approx(apart)
    assert study.narrowest_to_widest(rows[:1]) == []


def test_only_what_is_at_rest_is_at_a_saddle_or_not(monkeypatch):
    """Where a loss still falls its curvature says nothing of what would hold it."""
    ones = np.ones(4)
    found = curvature.Curved(
        loss=ones,
        gradient=0.01 * ones,
        steepness=np.array([0.01, 0.01, 5.0, 0.01]),
        least=np.array([-0.5, 0.0, -0.5, -0.5]),
        largest=ones,
    )
    monkeypatch.setattr(curvature, "curved", lambda fits, data: found)
    values = {}
    final = np.array([0.9, 0.8, 0.7, study.STUCK / 2])
    study.held(list(range(4)), final, {}, values)
    assert (values["at_rest"], values["on_slopes"]) == (2, 1)
    assert values["saddles"] == 0.5
