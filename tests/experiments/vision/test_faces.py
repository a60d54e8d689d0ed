"""How surely faces pass, and what cascades are cheaper than."""

from depthbench.experiments.vision import faces_claims
from depthbench.research.study import estimates


def test_faces_that_all_pass_do_not_show_that_ninety_nine_in_a_hundred_do():
    """Of 160 faces one in a hundred is missed unseen as often as in 1 of 5 trials."""
    row = {"two_found": 1.0, "two_found_se": 0.0, "seeds": 4}
    assert estimates.inside(faces_claims.two_found(row), estimates.above(0.99)) > 0.05
    assert estimates.inside(faces_claims.two_found(row), estimates.above(0.95)) < 0.05


def test_cascades_are_set_beside_the_cheapest_net():
    def row(detector, depth, kflop):
        cost = {"scan_kflop": kflop, "scan_kflop_se": 0.0}
        return {
            "detector": detector,
            "depth": depth,
            "seeds": 4,
            "status": "ok",
            **cost,
        }

    rows = [row("cascade", 4, 0.5), row("cnn", 1, 8.0), row("cnn", 4, 11.0)]
    assert [pair["fewer"] for pair in faces_claims.of_cheapest_net(rows)] == [16.0]
    assert faces_claims.of_cheapest_net(rows[:1]) == []
