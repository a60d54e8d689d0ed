"""Evolution beside backpropagation: whose training a verdict rests on."""

import pytest

from depthbench.experiments.acting import evolution
from depthbench.research.study import doubts

CLAIMS = {claim.key: claim for claim in evolution.STUDY.claims}


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("unfinished", doubts.UNFINISHED),
        ("backprop_unfinished", doubts.UNFINISHED),
        ("rate_at_edge", doubts.EDGE),
        ("backprop_at_edge", doubts.EDGE),
    ],
)
def test_a_comparison_rests_on_both_trainings(column, said):
    row = {"rate_at_edge": False, "unfinished": False, column: True}
    assert CLAIMS["zhang2017.evolution-reads-digits"].doubt(row) == said
    alone = CLAIMS["popular.evolution-needs-no-gradient"].doubt(row)
    assert alone == ("" if column.startswith("backprop") else said)
    # What is right after as many steps says nothing of more.
    after = CLAIMS["depthbench.evolution-beats-what-vanishes"].doubt(row)
    assert after == (said if column.endswith("edge") else "")
