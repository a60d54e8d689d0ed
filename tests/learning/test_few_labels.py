"""The loss of pseudo-labels against its formula, what it is fed, and which have labels."""

import jax
import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import few_labels, fits
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

STEPS = 10
TARGETS = np.repeat(np.arange(3, dtype=np.int32), (5, 8, 7))


def data(labels=6, trust=0.5):
    order = few_labels.labelled(TARGETS, labels, seed=0)
    return {
        "inputs": jax.numpy.arange(len(TARGETS), dtype=np.float32)[:, None],
        "targets": jax.numpy.asarray(TARGETS),
        "order": jax.numpy.asarray(order),
        "labels": jax.numpy.int32(labels),
        "trust": jax.numpy.float32(trust),
    }


def fed(step, **more):
    feed = few_labels.half_labelled(400, STEPS)(data(**more), 0)
    return jax.device_get(feed(jax.random.key(0), step))


def test_no_label_is_fed_but_those_that_are_known():
    batch, order = fed(STEPS), few_labels.labelled(TARGETS, 6, seed=0)
    known, other = np.split(batch["inputs"][:, 0].astype(int), 2)
    assert set(known) == set(order[:6])
    np.testing.assert_array_equal(batch["targets"][:200], TARGETS[known])
    assert (batch["targets"][200:] == few_labels.UNLABELLED).all()
    assert set(other) == set(range(len(TARGETS)))  # 200 draws of 20


def test_trust_grows_from_nothing_to_its_whole():
    weights = [fed(step)["weight"][-1] / 2 for step in (0, 2, 4.5, 7, 10)]
    np.testing.assert_allclose(weights, [0, 0, 0.25, 0.5, 0.5], atol=1e-6)  # float32
    assert (fed(STEPS, trust=0.0)["weight"][200:] == 0).all()
    assert (fed(STEPS)["weight"][:200] == 2).all()


def test_the_loss_is_its_formula():
    outputs = np.log(np.array([[0.7, 0.3], [0.7, 0.3], [0.2, 0.8]], np.float32))
    batch = {
        "targets": np.array([1, few_labels.UNLABELLED, few_labels.UNLABELLED]),
        "weight": np.array([2.0, 0.5, 0.0], np.float32),
    }
    each = few_labels.PSEUDO.loss(jax.numpy.asarray(outputs), batch)
    expected = [-2 * np.log(0.3), -0.5 * np.log(0.7), 0]
    np.testing.assert_allclose(each, expected, rtol=1e-5)  # float32 sums of two terms


def test_labels_are_of_all_classes_alike_and_nested():
    order = few_labels.labelled(TARGETS, 12, seed=3)
    assert sorted(order) == list(range(len(TARGETS)))
    for count in (3, 6, 12):
        assert (np.bincount(TARGETS[order[:count]]) == count // 3).all()
    assert list(order) != list(few_labels.labelled(TARGETS, 12, seed=4))


def test_examples_have_the_labels_that_committed_rows_were_made_with():
    """Of classes in any order and number: places that were drawn once."""
    y = [0] * 6 + [7] * 3 + [3] * 4
    first = few_labels.labelled(y, 8, seed=5)[:8]
    assert first.tolist() == [5, 9, 7, 1, 12, 8, 2, 10]
    assert [y[n] for n in first] == [0, 3, 7] * 2 + [0, 3]


@pytest.mark.parametrize("count", [2, 21])
def test_fewer_labels_than_classes_are_one_line(count):
    with pytest.raises(DataError, match=f"^{count} labels; must be from 3, .* to 20$"):
        few_labels.labelled(TARGETS, count, seed=0)


def test_it_resumes(tmp_path):
    net = fits.Net(Recipe(depth=1, width=4, batch=8), Task((1,), 3, few_labels.PSEUDO))
    feeds = few_labels.half_labelled(8, 4)
    assert_resumes(net.system, feeds, data(), fits.numbers(net, 1e-2, 4), tmp_path)
