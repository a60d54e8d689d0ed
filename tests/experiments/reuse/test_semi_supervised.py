"""Starts that have an autoencoder's layers, label spreading, and too few labels."""

import jax
import numpy as np
import pytest

from depthbench.experiments.reuse import semi_supervised, spreading
from depthbench.research.cli.main import main
from depthbench.research.learning import few_labels, held_out

CELL = {
    "method": "pretrained",
    "architecture": "mlp",
    "activation": "relu",
    "depth": 1,
    "width": 4,
    "steps": 3,
    "dataset": "digits",
}


def test_a_start_is_the_autoencoder_but_for_its_head():
    parts = held_out.parts("digits")
    net = semi_supervised.net_of(CELL, parts, parts.classes, few_labels.PSEUDO)
    start = semi_supervised.start_of(CELL, net, seed=1).variables
    learned = semi_supervised.pretrained("mlp", "relu", 1, 4, 3, "digits", None, 1)
    fresh = semi_supervised.fits.fresh(net, 1).variables
    same = lambda one, other: all(
        map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other))
    )
    assert same(start.stem, learned.variables.stem)
    assert same(start.stages, learned.variables.stages)
    assert same(start.head, fresh.head) and not same(start.stem, fresh.stem)


def test_label_spreading_is_as_accurate_as_it_was_when_first_tried():
    """.957 with 50 labels of one draw; three draws here: some points apart."""
    found = spreading.spread("digits", None, 50, 3)
    assert len(found) == 3 and np.mean(found) == pytest.approx(0.957, abs=0.05)


def test_too_few_labels_are_one_line(capsys, tmp_path):
    command = [
        "run",
        "semi_supervised",
        "--labels",
        "9",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(command) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and "--labels 9: digits has 10 classes" in line
    assert not (tmp_path / "out").exists()
