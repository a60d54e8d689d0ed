"""Layers that are read, and single units as detectors, against slow definitions."""

import numpy as np
import pytest

from depthbench.research.learning import linear_probes, metrics, single_units


def test_the_layer_is_chosen_by_validation_alone():
    random = np.random.RandomState(0)
    y = random.randint(0, 3, (3, 60))
    told = [np.eye(3)[labels] for labels in y]
    noise = [random.normal(size=(60, 3)) for _ in y]
    # The first layer tells in validation and not in test, the second in test alone.
    layers = [(told[0], told[0]), (told[1], noise[1]), (noise[2], told[2])]
    read = linear_probes.read(*layers, y)
    assert read.layer == 0 and read.valid[0] == 1.0
    assert read.score == read.test[0] < 0.7 and read.test[1] == 1.0


def test_areas_are_those_of_each_unit_alone():
    random = np.random.RandomState(0)
    values = np.round(random.normal(size=(40, 5)), 1)  # with equal ones
    labels = random.randint(0, 3, 40)
    got = single_units.areas(values, labels, 3)
    for kind in range(3):
        for unit in range(5):
            wanted = metrics.area(values[:, unit], labels == kind)
            assert got[kind, unit] == pytest.approx(wanted, abs=1e-12)


def test_a_unit_may_be_below_the_others_for_its_class():
    values, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    chosen = single_units.choose(values, labels, 2)
    assert list(chosen.signs) == [-1, 1] and list(chosen.areas) == [1.0, 1.0]
    assert list(single_units.judge(chosen, values, labels)) == [1.0, 1.0]
    assert list(single_units.judge(chosen, -values, labels)) == [0.0, 0.0]
