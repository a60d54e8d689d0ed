"""Losses of embeddings against their formulas, their feeds, and nearest prototypes."""

import jax
import numpy as np
import pytest

from depthbench.research.learning import embeddings, fits
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

CLASSES, DRAWINGS = 7, 6
# What a drawing is can be read off it: its class, and its number.
X = np.stack(
    np.broadcast_arrays(np.arange(CLASSES)[:, None], np.arange(DRAWINGS)), axis=-1
).astype(np.float32)
ROUNDING = 1e-5  # relative, of float32 sums of a few terms


def fed(feeds, seed=0):
    data = {"inputs": jax.numpy.asarray(X)}
    batch = feeds(data, 0)(jax.random.key(seed), 0)
    return {name: np.asarray(array) for name, array in batch.items()}


def test_an_episode_has_classes_once_and_other_drawings_to_ask():
    batch = fed(embeddings.episodes(batch=20, given=2, most=5))
    assert len(batch["inputs"]) == 20
    classes, drawings = batch["inputs"].T
    for number in range(5):
        own = batch["targets"] == number
        assert len(set(classes[own])) == 1 and len(set(drawings[own])) == 4
        assert batch["given"][own].sum() == 2
    assert len(set(classes)) == 5


def test_an_episode_of_fewer_classes_has_all_of_them():
    batch = fed(embeddings.episodes(batch=64))
    assert set(batch["inputs"][:, 0]) == set(range(CLASSES))
    assert len(batch["inputs"]) == CLASSES * DRAWINGS  # no drawing twice


def test_half_of_the_pairs_are_of_one_class_and_none_of_one_drawing():
    batch = fed(embeddings.pairs(64))
    one, other = np.split(batch["inputs"], 2)
    same = one[:, 0] == other[:, 0]
    assert same.sum() == 16
    assert (one[:, 1] != other[:, 1]).all()
    assert (batch["targets"] == batch["inputs"][:, 0]).all()


def episode():
    random = np.random.RandomState(0)
    outputs = random.normal(size=(6, 3)).astype(np.float32)
    targets, given = np.tile(np.arange(2), 3), np.repeat([1.0, 1.0, 0.0], 2)
    return outputs, {"targets": targets, "given": given.astype(np.float32)}


def test_the_prototypes_loss_is_its_formula():
    outputs, batch = episode()
    codes = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    prototypes = np.stack([codes[[n, n + 2]].mean(axis=0) for n in range(2)])
    square = ((codes[4:, None] - prototypes) ** 2).sum(axis=-1)
    scaled = np.exp(-embeddings.SHARPNESS * square / 2)
    expected = -np.log(np.diag(scaled) / scaled.sum(axis=1)).mean()
    measures = embeddings.PROTOTYPES.measures
    loss = np.mean(measures["loss"](jax.numpy.asarray(outputs), batch))
    assert loss == pytest.approx(expected, rel=ROUNDING)
    right = np.mean(measures["accuracy"](jax.numpy.asarray(outputs), batch))
    assert right == pytest.approx(np.mean(square.argmin(axis=1) == [0, 1]))


def test_the_contrast_is_its_formula():
    outputs = jax.numpy.asarray([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
    batch = {"targets": np.array([0, 1, 0, 2])}
    near = np.sqrt(0.4**2 + 0.8**2)  # of (1, 0) and (0.6, 0.8)
    expected = [2.0 / 2, max(embeddings.MARGIN - near, 0) ** 2 / 2]
    each = embeddings.CONTRAST.measures["loss"](outputs, batch)
    np.testing.assert_allclose(each, np.tile(expected, 2), rtol=ROUNDING)


def test_gradients_are_numbers_where_embeddings_are_equal_or_zero():
    batch = {"targets": np.array([0, 1, 1, 1]), "given": np.array([1.0, 1, 0, 0])}
    for loss in (embeddings.PROTOTYPES, embeddings.CONTRAST):
        mean = lambda h, loss=loss: jax.numpy.mean(loss.loss(h, batch))
        for h in (jax.numpy.zeros((4, 3)), jax.numpy.ones((4, 3))):
            assert np.isfinite(jax.grad(mean)(h)).all()


def test_answers_are_those_of_nearest_centroids():
    from sklearn.neighbors import NearestCentroid

    codes = np.random.RandomState(0).normal(size=(CLASSES, DRAWINGS, 4))
    asked = embeddings.questions(CLASSES, DRAWINGS, 20, way=3, given=2, asked=4, seed=0)
    answers = embeddings.answers(codes, asked)
    for number, (classes, drawings) in enumerate(
        zip(asked.classes, asked.drawings, strict=True)
    ):
        assert len(set(classes)) == 3
        assert all(len(set(each)) == 6 for each in drawings)
        shown = codes[classes[:, None], drawings]
        labels = np.repeat(np.arange(3), 2)
        centroids = NearestCentroid().fit(shown[:, :2].reshape(6, 4), labels)
        given = centroids.predict(shown[:, 2:].reshape(12, 4)).reshape(3, 4)
        np.testing.assert_array_equal(answers[number], given)
    own = answers == np.arange(3)[None, :, None]
    np.testing.assert_allclose(embeddings.accuracies(codes, asked), own.mean((1, 2)))


@pytest.mark.parametrize("name", ["PROTOTYPES", "CONTRAST"])
def test_it_resumes(name, tmp_path):
    feeds = {"PROTOTYPES": embeddings.episodes, "CONTRAST": embeddings.pairs}[name](20)
    recipe = Recipe(depth=1, width=4, batch=20)
    net = fits.Net(recipe, Task((2,), 3, getattr(embeddings, name)))
    data = {"inputs": jax.numpy.asarray(X)}
    assert_resumes(net.system, feeds, data, fits.numbers(net, 1e-2, 4), tmp_path)
