"""What is asked of scenes, how answers are counted, and what the first sentence says."""

import numpy as np
import pytest

from depthbench.experiments.vision import relations, relations_shown
from depthbench.research.report import published
from depthbench.research.study import claims

LEARNED = 60
WITH, WITHOUT = relations.NETS


def test_the_trivial_answer_is_never_the_named_object():
    """Each object has the shape of its own number, so that its shape says which it is."""
    part = relations.parts_of(LEARNED)[0]
    numbers = np.broadcast_to(np.arange(3), (len(part.colour), 3))
    told = part._replace(scenes=part.scenes._replace(shape=numbers))
    assert not np.any(relations.another(told) == part.colour)


def test_shares_are_of_the_scenes_in_a_bin():
    """Bins begin at 1, 2, 4 and 8 pixels; in the third there is no scene."""
    right, margin = np.array([1.0, 0.0, 1.0, 0.5]), np.array([1.0, 1.9, 2.0, 99.0])
    np.testing.assert_array_equal(relations.shares(right, margin), [0.5, 1.0, 0.0, 0.5])


def test_nets_read_numbers_that_are_normal_in_training():
    """And in training alone: other parts know nothing of their own mean."""
    train, valid, _ = relations.parts_of(LEARNED)
    read = relations.reading(LEARNED, "objects")
    varied = read(train).std(axis=(0, 1)) > 0
    # float32 sums of some hundred numbers.
    np.testing.assert_allclose(read(train).mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(read(train).std(axis=(0, 1))[varied], 1, atol=1e-5)
    assert np.abs(read(valid).mean(axis=(0, 1))).max() > 0.01


def rows_where(best, gap):
    """Committed rows in which nets of one kind are best, and so far from the SVM."""
    return [
        {
            **row,
            "valid": float(row["architecture"] == best),
            "gap": gap,
            "gap_se": 0.001,
        }
        for row in published.made("relations").rows
    ]


@pytest.mark.parametrize(
    ("best", "gap", "said"),
    [
        (WITH, 0.2, "The net is ahead in"),
        (WITH, 0.0, "The net is no better than the strong baseline in"),
        (WITHOUT, -0.2, "The strong baseline is ahead in"),
    ],
)
def test_the_first_sentence_says_who_is_ahead_and_what_pairs_give(best, gap, said):
    answer = relations.headline(rows_where(best, gap)).answer
    assert answer.startswith(said)
    assert ("Without pairs, " in answer) == (best == WITH)
    assert ("With pairs, " in answer) == (best == WITHOUT)


@pytest.mark.parametrize("claim", relations.CLAIMS, ids=lambda claim: claim.key)
def test_every_point_has_the_error_of_its_test_scenes(claim):
    points = claims.judge(claim, published.made("relations").rows).points
    assert points and all(point.estimate.fixed > 0 for point in points)


@pytest.mark.parametrize("claim", relations.CLAIMS, ids=lambda claim: claim.key)
def test_nets_that_still_learn_decide_nothing(claim):
    late = {"unfinished": True, "own": 0.9, "own_by_seed": None}
    rows = [{**row, **late} for row in published.made("relations").rows]
    verdict = claims.judge(claim, rows)
    assert verdict.points and {point.word for point in verdict.points} == {"undecided"}


@pytest.mark.parametrize(
    "key",
    ["santoro2017.relations-lacking-without", "depthbench.one-object-needs-no-module"],
)
def test_who_knows_a_named_object_has_nothing_more_to_learn_of_it(key):
    (claim,) = [claim for claim in relations.CLAIMS if claim.key == key]
    known = {"unfinished": True, "own": 0.995, "own_se": 0.001, "harder_se": 0.001}
    rows = [{**row, **known} for row in published.made("relations").rows]
    rows = [{**row, "harder": 0.05, "harder_test_se": 0.005} for row in rows]
    assert claims.judge(claim, rows).word != "undecided"


def test_scenes_are_shown_that_someone_is_wrong_about():
    """Of seven scenes one net is wrong about the second, the other about the sixth, and
    the SVM about the fourth: in that order, whoever is wrong."""
    part = relations.parts_of(LEARNED)[0]
    true, places = part.answers[:, 1], np.arange(len(part.colour))

    def but(*wrong):
        return np.where(np.isin(places, wrong), (true + 1) % 3, true)

    svm = but(3)
    kept = [relations.shown(part, net, svm) for net in (but(1), but(5))]
    pictures = relations_shown.mistaken(kept)
    assert [scene for scene, _ in pictures] == [1, 3, 5]
    np.testing.assert_array_equal(pictures[1][1], kept[0]["x"][1])
    # All answers are kept, so that each net's are known of another's scenes.
    assert kept[0]["net"][5] == true[5] and kept[1]["net"][5] != true[5]


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        ("objects", ["with pairs, 2 layers", "without, 1 layer"]),
        (
            "pixels",
            ["with pairs, 2 layers, reads pixels", "without, 1 layer, reads objects"],
        ),
    ],
)
def test_a_net_is_called_by_what_it_differs_in(reads, said):
    best = {
        WITH: {"depth": 2, "reads": reads},
        WITHOUT: {"depth": 1, "reads": "objects"},
    }
    assert list(relations_shown.named(best).values()) == said
