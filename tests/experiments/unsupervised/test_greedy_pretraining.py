"""`greedy_pretraining`: pairs of nets, and grids that cannot be."""

import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.unsupervised import greedy_claims as claims
from depthbench.experiments.unsupervised import greedy_pretraining as study
from depthbench.research.study.errors import Refusal


def row(start, depth, score, optimizer="sgd", activation="sigmoid"):
    settings = {"start": start, "depth": depth, "optimizer": optimizer, "seeds": 3}
    return {
        **settings,
        "activation": activation,
        "status": "ok",
        "score": score,
        "score_se": 0.03,
        "rate_at_edge": start == "uniform",
    }


def test_nets_are_compared_at_equal_depth_and_optimizer():
    rows = [
        row("rbm", 5, 0.9),
        row("uniform", 5, 0.2),
        row("rbm", 8, 0.8),
        row("uniform", 8, 0.1, optimizer="adam"),
    ]
    by_sgd = {**claims.RBM, "optimizer": "sgd"}
    compared = comparisons.against(by_sgd, {**by_sgd, "start": "uniform"}, ("depth",))
    (pair,) = compared(rows)
    assert pair["depth"] == 5 and pair["gap"] == pytest.approx(0.7)
    assert pair["gap_se"] == pytest.approx(0.03 * 2**0.5)
    assert pair["rate_at_edge"], "a doubt about either is one about both"


def test_layers_are_learned_of_sigmoid_units_alone():
    cells = [
        {"start": start, "activation": activation}
        for start in study.STARTS
        for activation in ("sigmoid", "relu")
    ]
    kept, lines = study.fit(cells, {"activation"})
    assert len(kept) == 5 and len(lines) == 1
    with pytest.raises(Refusal, match="sigmoid nets alone"):
        study.fit([{"start": "rbm", "activation": "relu"}], set())
