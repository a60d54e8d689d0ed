"""Overlaps, suppression and average precision: by hand, and against slow definitions."""

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import detections, overlaps
from depthbench.research.learning.detections import Boxes


def test_the_iou_of_boxes_is_that_of_their_pixels():
    random = np.random.RandomState(0)
    low = random.randint(0, 8, (30, 2))
    boxes = np.concatenate([low, low + random.randint(1, 9, (30, 2))], axis=1)
    pixels = np.zeros((30, 17, 17), bool)
    for n, (left, top, right, bottom) in enumerate(boxes):
        pixels[n, top:bottom, left:right] = True
    both = (pixels[:, None] & pixels[None]).sum((2, 3))
    either = (pixels[:, None] | pixels[None]).sum((2, 3))
    # Both are ratios of the same whole numbers.
    np.testing.assert_array_equal(overlaps.of_boxes(boxes, boxes), both / either)


def test_boxes_without_area_overlap_nothing():
    flat = [[2, 2, 2, 5], [3, 3, 1, 1]]
    assert not overlaps.of_boxes(flat, [[0, 0, 9, 9], *flat]).any()


def test_the_iou_of_masks_is_counted_class_by_class():
    random = np.random.RandomState(1)
    found, true = random.randint(0, 4, (2, 5, 7, 6))
    expected = [
        np.sum((found == k) & (true == k)) / np.sum((found == k) | (true == k))
        for k in range(4)
    ]
    np.testing.assert_allclose(overlaps.of_masks(found, true, 4), expected, rtol=1e-15)
    more = overlaps.of_masks(found, true, 5)
    assert np.isnan(more[4])
    assert overlaps.mean_of_masks(found, true, 5) == pytest.approx(np.mean(expected))


def slow_average_precision(scores, right, positives):
    """By its definition: for each that is found, the best precision of a threshold that
    lets as many pass."""
    best = []
    for wanted in range(1, positives + 1):
        passed = [scores >= threshold for threshold in scores]
        enough = [right[p].mean() for p in passed if right[p].sum() >= wanted]
        best.append(max(enough, default=0.0))
    return np.mean(best)


@pytest.mark.parametrize("levels", (3, 1000))  # many equal scores, and hardly any
def test_average_precision_is_its_slow_definition(levels):
    random = np.random.RandomState(levels)
    for _ in range(40):
        count = random.randint(1, 25)
        scores = random.randint(0, levels, count) / levels
        right = random.random_sample(count) < 0.5
        positives = int(right.sum()) + random.randint(1, 4)
        given = detections.average_precision(scores, right, positives)
        slow = slow_average_precision(scores, right, positives)
        assert given == pytest.approx(slow, abs=1e-12)  # sums in another order


def test_the_envelope_is_above_the_precision_itself():
    """Right, wrong, right, right: at the third and fourth the precision is 2/3, 3/4."""
    scores, right = [4, 3, 2, 1], [True, False, True, True]
    assert detections.average_precision(scores, right, 3) == (1 + 3 / 4 + 3 / 4) / 3


def test_order_and_monotone_changes_of_scores_do_not_matter():
    random = np.random.RandomState(2)
    scores, right = random.random_sample(20), random.random_sample(20) < 0.4
    first = detections.average_precision(scores, right, 10)
    turned = random.permutation(20)
    assert detections.average_precision(scores[turned], right[turned], 10) == first
    assert detections.average_precision(np.exp(5 * scores), right, 10) == first


def test_a_box_that_was_found_is_not_found_again():
    true = detections.truth([[0, 0]], [[[0, 0, 4, 4], [10, 10, 14, 14]]])
    box = [[0, 0, 4, 4], [0, 0, 4, 4], [10, 10, 14, 13], [0, 9, 4, 12]]
    found = Boxes(np.zeros(4, int), np.zeros(4, int), np.array(box), [4, 3, 2, 1])
    assert detections.right(found, true).tolist() == [True, False, True, False]
    assert not detections.right(found._replace(scene=np.ones(4, int)), true).any()
    # 1, then 2 of 3: the second is as sure as it gets.
    assert detections.mean_average_precision(found, true) == (1 + 2 / 3) / 2


def test_the_truth_is_perfect_and_nothing_is_nothing():
    two = [[0, 0, 3, 3], [5, 5, 8, 8]]
    true = detections.truth([[0, 2], [1, -1]], [two, two])
    assert detections.mean_average_precision(true, true) == 1
    assert detections.mean_average_precision(true.only([]), true) == 0
    other = true._replace(kind=(true.kind + 1) % 3)
    assert detections.mean_average_precision(other, true) == 0


def test_what_is_suppressed_is_covered_by_a_surer_one_of_its_scene_and_kind():
    random = np.random.RandomState(3)
    low = random.randint(0, 12, (200, 2))
    found = Boxes(
        random.randint(0, 4, 200),
        random.randint(0, 3, 200),
        np.concatenate([low, low + random.randint(3, 8, (200, 2))], axis=1),
        random.random_sample(200),
    )
    kept = detections.suppressed(found, above=0.3)

    def covered(box, among):
        same = (among.scene == box.scene) & (among.kind == box.kind)
        surer = among.only(same & (among.score > box.score))
        return bool((overlaps.of_boxes([box.box], surer.box) > 0.3).any())

    assert 0 < len(kept.score) < 200
    for n in range(200):
        box = found.only(n)
        assert covered(box, kept) != (box.score in kept.score)


@pytest.mark.parametrize(
    ("wrong", "says"),
    (
        (lambda: overlaps.of_boxes([[0, 0, 1]], [[0, 0, 1, 1]]), r"\[1, 3\]"),
        (lambda: overlaps.of_boxes([[0, 0, 1, np.nan]], []), "not finite"),
        (lambda: overlaps.of_masks([0, 1], [0], 2), "one shape"),
        (lambda: overlaps.of_masks([0, 2], [0, 1], 2), "below 2"),
        (lambda: detections.average_precision([], [], 0), "something to find"),
        (lambda: detections.average_precision([1, 1], [True, True], 1), "2 of 1"),
    ),
)
def test_what_cannot_be_is_said(wrong, says):
    with pytest.raises(DataError, match=says):
        wrong()


def test_mistakes_are_counted_among_the_surest_of_each_kind():
    true = detections.truth([[0, 0, 1, 1]], [[[0, 0, 4, 4], [8, 0, 12, 4]] * 2])
    box = [[0, 0, 4, 4], [1, 2, 5, 6], [8, 0, 12, 4], [15, 15, 19, 19], [0, 0, 4, 4]]
    found = Boxes(
        np.zeros(5, int),
        np.array([0, 0, 1, 1, 1]),
        np.array(box, float),
        np.arange(5, 0, -1),
    )
    # Kind 0: right, and shifted (IoU 6/26); kind 1: right, and in the open; the fifth is
    # less sure than the two that there are.
    assert detections.mistakes(found, true) == (0.25, 0.25)


def test_scenes_that_count_twice_are_scenes_that_are_there_twice():
    """The mean average precision of a draw, against that of the scenes it is made of."""
    random = np.random.RandomState(3)
    count, boxes = 12, random.randint(0, 8, (60, 2))
    box = np.concatenate([boxes, boxes + 4], axis=1)
    scene, kind = random.randint(0, count, 60), random.randint(0, 2, 60)
    true = Boxes(scene[:24], kind[:24], box[:24], np.ones(24))
    near = true._replace(box=true.box + random.randint(0, 2, (24, 1)))
    found = Boxes(
        scene, kind, np.concatenate([near.box, box[24:]]), random.random_sample(60)
    )
    times = random.multinomial(count, np.full(count, 1 / count))
    drawn = np.repeat(np.arange(count), times)

    def copies(part):
        places = [np.flatnonzero(part.scene == n) for n in drawn]
        numbers = np.repeat(np.arange(len(drawn)), [len(own) for own in places])
        return part.only(np.concatenate(places))._replace(scene=numbers)

    expected = detections.mean_average_precision(copies(found), copies(true))
    by_scenes = detections.by_scenes(found, true)
    assert 0.1 < expected < 0.9
    assert by_scenes(times) == pytest.approx(expected, rel=1e-12)  # rounding alone
    whole = detections.mean_average_precision(found, true)
    assert by_scenes(np.ones(count, int)) == whole


def test_images_that_count_twice_are_images_that_are_there_twice():
    random = np.random.RandomState(4)
    found, true = random.randint(0, 3, (2, 9, 4, 4))
    times = random.multinomial(9, np.full(9, 1 / 9))
    drawn = np.repeat(np.arange(9), times)
    expected = overlaps.mean_of_masks(found[drawn], true[drawn], 3)
    said = overlaps.by_images(found, true, 3)(times)
    assert said == pytest.approx(expected, rel=1e-12)  # rounding alone
