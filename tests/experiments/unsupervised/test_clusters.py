"""Clusters of planted groups: what validation prefers, and how they are shown."""

import numpy as np
import pytest
import sklearn.metrics

from depthbench.experiments.unsupervised import clusters, codes
from depthbench.research.learning.held_out import Divided, Share

CLASSES = 3


@pytest.fixture(scope="module")
def parts():
    """Images of 4 × 4 pixels in three groups, far from each other in two pixels."""
    random = np.random.RandomState(0)
    shares = []
    for count in (90, 45, 60):
        y = np.arange(count) % CLASSES
        x = random.normal(size=(count, 4, 4, 1))
        x[np.arange(count), y, 0, 0] += 12
        shares.append(Share(x.astype(np.float32), y))
    return Divided(*shares, CLASSES)


def corner(x):
    return x[:, :, 0, 0]


def noise(x):
    return x[:, 3, :, 0]


def test_validation_prefers_the_space_that_has_the_groups(parts):
    best = clusters.clustered(parts, {"noise": noise, "corner": corner}, seed=0)
    assert best.space == "corner" and best.valid == 1.0
    assert sklearn.metrics.adjusted_rand_score(parts.test.y, best.test) == 1.0
    alone = clusters.clustered(parts, {"noise": noise}, seed=0)
    assert alone.valid < 0.2


def test_a_constant_number_changes_nothing(parts):
    one = clusters.clustered(parts, {"corner": corner}, seed=0)
    more = lambda x: np.append(corner(x), np.ones((len(x), 1)), axis=1)
    other = clusters.clustered(parts, {"corner": more}, seed=0)
    assert sklearn.metrics.adjusted_rand_score(one.test, other.test) == 1.0


@pytest.mark.parametrize("way", clusters.WAYS)
def test_each_method_finds_groups_of_few_examples_in_many_numbers(parts, way):
    x = parts.train.x.reshape(90, -1)
    # More numbers than a cluster has examples: covariances would be singular.
    wide = np.concatenate([x, np.repeat(x[:, :1], 30, axis=1)], axis=1)
    wide = codes.scalings([wide])["alike"][0]
    model = clusters.fitted(clusters.method(way, CLASSES, 0), wide)
    assert len(set(model.predict(wide))) == CLASSES
    if way == "full":
        assert np.linalg.eigvalsh(model.covariances_).min() > 0.9 * clusters.LEAST


def test_covariances_are_full_only_where_examples_are_enough():
    assert clusters.ways(np.zeros((1149, 64)), 10) == list(clusters.WAYS)
    assert clusters.ways(np.zeros((2600, 256)), 300) == ["kmeans", "diag"]


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e6])
def test_a_dead_code_has_clusters_that_say_nothing(parts, size):
    """Of rounding alone, as a sigmoid net's is whose gradient never reached it."""
    dead = lambda x: (1 + size * np.float32(noise(x))).astype(np.float32)
    best = clusters.clustered(parts, {"dead": dead}, seed=0)
    assert best.valid < 0.2 and len(best.test) == 60


def test_other_measures_of_perfect_and_of_single_clusters():
    y = np.array([0, 0, 1, 1, 2, 2])
    perfect = clusters.others(y, [y + 5])
    assert perfect == pytest.approx(dict(information=1, purity=1, agreement=1))
    single = clusters.others(y, [np.zeros(6, int)])
    assert single["information"] == pytest.approx(0.0, abs=1e-12)
    assert single["purity"] == single["agreement"] == pytest.approx(1 / 3)


def test_an_index_without_some_examples_is_that_of_the_others():
    random = np.random.RandomState(0)
    y, found = random.randint(3, size=(2, 60))
    found[:30] = y[:30]
    index = clusters.agreeing(y, found)
    score = sklearn.metrics.adjusted_rand_score
    assert index(np.ones(60)) == score(y, found)
    assert index(np.arange(60) < 30) == 1.0
    both = clusters.averaged([index, clusters.agreeing(y, y)])
    assert both(np.ones(60)) == pytest.approx((score(y, found) + 1) / 2)
