"""Nets and baselines beside each other, example by example."""

from types import SimpleNamespace

import numpy as np
import pytest

from depthbench.experiments.sequences import sensors, sentiment


@pytest.fixture
def warped(monkeypatch):
    """A nearest neighbour that takes all for the first class, in no time."""
    near = SimpleNamespace(band=0, predict=lambda x: np.zeros(len(x), int))
    monkeypatch.setattr(sensors.warping, "fit", lambda x, y: near)
    sensors.compared_with.cache_clear()
    yield
    sensors.compared_with.cache_clear()


@pytest.mark.parametrize("study", ("sensors", "sentiment"))
def test_the_baseline_says_which_of_its_answers_are_right(study, warped):
    """Of the one that is chosen: nets are set beside it sentence by sentence."""
    if study == "sensors":
        others = sensors.compared_with("vibration", 160, None)
        assert others["strong"] == others["features"] > others["warping"]
    else:
        others = sentiment.compared_with("opinions", None)
    assert others["right"].mean() == pytest.approx(others["strong"])
    assert set(np.unique(others["right"])) == {0, 1}
