"""What is kept from training, and which detector is preferred."""

import numpy as np
import pytest

from depthbench.experiments.unsupervised import anomalies
from depthbench.experiments.unsupervised.anomalies import Judged
from depthbench.research.learning.held_out import Divided, Share


@pytest.fixture(scope="module")
def parts():
    """Images of 3 × 3 pixels around 0; of class 1 far away in all of them."""
    random = np.random.RandomState(0)
    shares = []
    for count in (120, 60, 80):
        y = random.randint(0, 3, count)
        x = random.normal(size=(count, 3, 3, 1))
        x[y == 1] += 9
        shares.append(Share(x.astype(np.float32), y))
    return Divided(*shares, 3)


def test_the_anomaly_is_never_trained_on_and_all_have_as_many(parts):
    counts = {len(anomalies.usual(parts, anomaly, 3)) for anomaly in range(3)}
    assert counts == {120 - np.bincount(parts.train.y).max()}
    kept = anomalies.usual(parts, 1, 3)
    assert kept[:, 0, 0].max() < 6 < parts.train.x[:, 0, 0].max()


def test_every_detector_finds_what_is_far_away(parts):
    seen = [anomalies.usual(parts, 1, 3), parts.valid.x, parts.test.x]
    ways = anomalies.detected(parts, 1, [x.reshape(len(x), -1) for x in seen])
    assert len(ways) == 2 * 7  # each on two scalings
    for name, way in ways.items():
        assert way.test > 0.95 and way.valid > 0.95, name


def test_a_constant_number_does_no_harm(parts):
    seen = [anomalies.usual(parts, 1, 3), parts.valid.x, parts.test.x]
    flat = [x.reshape(len(x), -1) for x in seen]
    wide = [np.append(x, np.full((len(x), 1), 0.1, np.float32), axis=1) for x in flat]
    ways = anomalies.detected(parts, 1, wide)
    assert all(np.isfinite(way.values).all() for way in ways.values())
    assert ways["outlier factor 5, each"].test > 0.95


def test_one_way_is_preferred_for_all_anomalies_by_validation_alone():
    each = [
        {"a": Judged(0.9, 0.1, None), "b": Judged(0.6, 1.0, None)},
        {"a": Judged(0.5, 0.1, None), "b": Judged(0.7, 1.0, None)},
    ]
    assert anomalies.preferred(each) == "a"  # 0.7 against 0.65 on the mean
    assert anomalies.preferred(each, lambda name: name != "a") == "b"
