"""Questions about scenes: answers are those of what is drawn, and give nothing away."""

import numpy as np

from depthbench.research.datasets import questions
from depthbench.research.datasets.scenes import RGB, scenes

MADE = questions.asked(200, seed=3)


def test_answers_are_the_shapes_of_the_named_and_of_the_nearest_object():
    """Scene by scene, from the boxes alone."""
    for n in range(50):
        boxes, shape = MADE.scenes.boxes[n], MADE.scenes.shape[n]
        middles = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes.tolist()]
        named = int(MADE.colour[n])
        by = {
            (x - middles[named][0]) ** 2 + (y - middles[named][1]) ** 2: place
            for place, (x, y) in enumerate(middles)
            if place != named
        }
        near, far = sorted(by)
        assert MADE.nearest[n] == by[near]
        assert MADE.answers[n].tolist() == [shape[named], shape[by[near]]]
        margin = far**0.5 - near**0.5
        assert margin >= questions.CLEAR and np.isclose(MADE.margin[n], margin)


def test_objects_are_in_the_order_of_colours_and_as_they_are_drawn():
    made = questions.asked(40, seed=4)
    assert (made.scenes.colour == np.arange(3)).all()
    for n in range(40):
        for place, (left, top, right, bottom) in enumerate(made.scenes.boxes[n]):
            across, down = made.objects[n, place, :2]
            np.testing.assert_allclose(12 * (across + 1), (left + right) / 2, atol=1e-5)
            np.testing.assert_allclose(12 * (down + 1), (top + bottom) / 2, atol=1e-5)
            seen = made.scenes.x[n, (top + bottom) // 2, (left + right) // 2]
            # Noise of 0.1 is far below what lies between two colours.
            assert np.linalg.norm(RGB[:3] - seen, axis=1).argmin() == place


def test_no_answer_is_common_enough_to_win():
    """Each shape a third, of 200: four standard errors of a third are 0.13."""
    for kind in MADE.answers.T:
        assert abs(np.bincount(kind, minlength=3) / 200 - 1 / 3).max() < 0.14


def test_every_question_is_written_beside_every_object_and_pixel():
    words = MADE.words
    assert (words.sum(-1) == 2).all()
    assert (words[:, :, :3].argmax(-1) == MADE.colour[:, None]).all()
    assert (words[:, :, 3:].argmax(-1) == np.arange(2)).all()
    known = MADE.known[:, :, :, questions.FEATURES :]
    np.testing.assert_array_equal(known, np.repeat(words[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(MADE.pixels[:, :, 5, 7, 3:], words)
    np.testing.assert_array_equal(MADE.pixels[:, 1, :, :, :3], MADE.scenes.x)


def test_the_named_object_is_described_first_and_the_others_from_it():
    rows = np.arange(200)
    seen = MADE.from_named
    named = MADE.objects[rows, MADE.colour]
    np.testing.assert_array_equal(seen[:, :3], named[:, 2:5])
    apart = np.linalg.norm(seen[:, 3:].reshape(200, 2, 5)[..., :2], axis=-1)
    after = (MADE.colour[:, None] + 1 + apart.argmin(1)[:, None]) % 3
    np.testing.assert_array_equal(after[:, 0], MADE.nearest)


def test_distinct_colours_leave_other_scenes_as_they_were():
    made = scenes(30, seed=5, most=3, distinct=True)
    for colour, there in zip(made.colour, made.there, strict=True):
        assert len(set(colour[there])) == there.sum()
