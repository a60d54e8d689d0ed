"""How surely faces pass, and what cascades are cheaper than."""

from depthbench.experiments.vision import faces_claims
from depthbench.research.signal import interval
from depthbench.research.study import estimates


def test_faces_that_all_pass_do_not_show_that_ninety_nine_in_a_hundred_do():
    """Of the hundred that there are none is missed in one of three trials, if one in a
    hundred is."""
    row = {"two_found": 1.0, "two_found_se": 0.0, "seeds": 4}
    assert estimates.inside(faces_claims.two_found(row), estimates.above(0.99)) > 0.05
    assert estimates.inside(faces_claims.two_found(row), estimates.above(0.95)) < 0.05


def test_more_divisions_of_the_same_faces_are_no_more_faces():
    row = {"two_found": 0.95, "two_found_se": 0.02}
    few, many = (faces_claims.two_found({**row, "seeds": n}) for n in (3, 3000))
    assert few.error == many.error == 0.02  # of divisions, and not of faces
    assert few.fixed == many.fixed == interval.of_few(0.95, 100)


def test_two_features_are_one_point_however_many_cascades_begin_with_them():
    cells = [("cnn", 1), ("cascade", 16), ("cascade", 1), ("cascade", 4)]
    rows = [{"detector": kind, "depth": depth} for kind, depth in cells]
    assert faces_claims.of_two(rows) == [{"detector": "cascade", "depth": 4}]
    assert faces_claims.of_two(rows[:1]) == []


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
