"""How surely faces pass, what cascades are cheaper than, and what pictures say."""

import numpy as np

from depthbench.experiments.vision import faces, faces_claims, faces_found, faces_shown
from depthbench.research.datasets import face_windows
from depthbench.research.report import published
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


def test_the_trivial_baseline_is_the_same_wherever_it_is_named():
    """Of rows from before too, which have guessing in its place."""
    older = {"trivial": 0.001, "template": 0.2}
    rows = [{**row, **older} for row in published.made("faces").rows]
    (table,) = faces.STUDY.tables(rows)
    place = table.headers.index("likeness to the mean face")
    assert {line[place] for line in table.rows} == {"0.200"}
    assert "likeness to the mean face: 0.200" in faces.headline(rows).worst
    left = faces.STUDY.figures(rows, lambda row: {})[0].draw().axes[0]
    level = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    assert set(level["likeness to the mean face"].get_ydata()) == {0.2}
    newer = {"trivial": 0.3, "status": "ok"}
    assert faces.beside_mean_face([newer]) == [newer]


def test_every_detector_has_its_interval_beside_what_it_costs():
    rows = published.made("faces").rows
    third = faces.STUDY.figures(rows, lambda row: {})[0].draw().axes[2]
    bars = [line.get_ydata() for line in third.lines if len(line.get_xdata()) == 2]
    wanted = {faces.SCORING.ends(row) for row in rows}
    assert {tuple(ends) for ends in bars} == wanted
    assert not third.texts  # names lie below the panel, where they cover no dot


def test_a_frame_is_a_hit_where_the_face_is_and_of_about_its_size():
    """Of a photograph of 100 × 100 pixels the head's box is 28 wide, from 30 to 58."""
    face = [30, 5, 28]
    frames = [face, [32, 8, 16], [40, 15, 5], [0, 0, 100], [70, 70, 28]]
    assert faces_shown.hits(frames, (100, 100)) == [True, True, False, False, False]
    assert faces_shown.hits(np.zeros((0, 3)), (100, 100)) == []


def test_frames_lie_where_a_detector_is_surer_than_of_any_window_without_a_face(
    monkeypatch,
):
    """A detector that looks at the first pixel; of windows without a face it is 5 at
    most, and of the photograph's three there is more in one."""
    scan = face_windows.Scan(
        np.arange(4.0, 7.0).reshape(3, 1, 1), np.eye(3, dtype=np.float32)
    )
    strides = []
    monkeypatch.setattr(face_windows, "scan", lambda name, n: strides.append(n) or scan)
    monkeypatch.setattr(face_windows, "normal", lambda x: x)
    for count in (10_000, 500):  # of so few the picture is a coarse one
        boxes, high = faces_found.above_windows(lambda x: x[:, 0, 0], 5.0, count)
        assert boxes.tolist() == [[0, 0, 1]] and high.tolist() == [6]
    assert strides == [face_windows.STRIDE, 2 * face_windows.STRIDE]
