"""χ₁'s scope: deep nets whose length theory sees at a finite fixed point."""

import math

import pytest

from depthbench.research.study.fixed_points import arrived
from depthbench.research.study.studies import claims

ROW = {"log10_length_theory": 0.1, "q_star": 1.0, "depth": 64}


def test_a_scope_by_theory_alone():
    assert arrived(ROW)
    for other in (
        {"log10_length_theory": 0.3},
        {"log10_length_theory": None},
        {"q_star": None},
        {"q_star": "inf"},
        {"q_star": math.inf},
        {"q_star": 0.0},
        {"depth": 16},
    ):
        assert not arrived({**ROW, **other})
    measured = {"log10_length": 9.0, "log10_slope": 9.0, "drift": 9.0}
    assert arrived({**ROW, **measured})


@pytest.mark.parametrize("name", ["rate-by-initializer", "rate-by-variance"])
def test_both_studies_ask_for_the_same(name):
    claim = claims()[f"schoenholz2017.{name}"]
    plain = {"architecture": "mlp", "normalizer": "none"}
    assert claim.allows == claims()["schoenholz2017.rate-by-variance"].allows
    assert claim.scope({**ROW, **plain}) and not claim.scope(
        {**ROW, **plain, "depth": 4}
    )
