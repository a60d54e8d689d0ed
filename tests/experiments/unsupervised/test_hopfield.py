"""What stands for a memory whose load is the difficulty of its task."""

from depthbench.experiments.unsupervised import hopfield
from depthbench.research.report import published


def test_the_system_is_told_by_its_heaviest_load_of_images():
    rows = published.made("hopfield").rows
    told = hopfield.STUDY.summary(rows)
    heaviest = max(row["load"] for row in rows)
    assert {row["patterns"] for row in hopfield.hardest(rows)} == {"images"}
    assert {row["load"] for row in hopfield.hardest(rows)} == {heaviest}
    assert told.verdict == "loses" and told.score < told.strong_score


def test_loads_end_where_a_tenth_is_forgotten():
    rows = [dict(load=load, score=score) for load, score in
            ((0.2, 0.95), (0.1, 1.0), (0.3, 0.5), (0.4, 0.95))]  # fmt: skip
    assert hopfield.up_to(rows) == "0.2"
    assert hopfield.up_to(rows[2:3]) == "none"
