"""What a division of the faces is tuned by, and how its machine is asked."""

from typing import NamedTuple

import numpy as np
import pytest

from depthbench.experiments.vision import faces_found
from depthbench.research.datasets import face_windows
from depthbench.research.learning import haar

COUNT, NEGATIVES = 1000, 100


def forget():
    for made in (faces_found.divided, faces_found.setting_of):
        made.cache_clear()


@pytest.fixture
def other_test_faces(monkeypatch):
    """From a seed: its division's test faces, and no others, are noise from now on."""
    true = face_windows.faces()

    def changed(seed):
        x = true.copy()
        order = np.random.RandomState(seed).permutation(len(x))
        judged = order[faces_found.LEARNED + faces_found.HELD :]
        x[judged] = np.random.RandomState(7).random_sample(x[judged].shape)
        monkeypatch.setattr(face_windows, "faces", lambda: x)
        forget()

    yield changed
    monkeypatch.undo()
    forget()


def test_a_division_is_tuned_without_its_test_faces(other_test_faces):
    """Of the second: what the first holds out is among them."""
    seed, losses = 1, []
    tuned = faces_found.tunings.tuned

    def seen(grid, outcome, by):
        losses.append(outcome({"C": 10.0, "gamma": 1.0}).loss)
        return tuned(grid, outcome, by)

    before = [faces_found.divided(n) for n in (0, seed)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces_found.tunings, "tuned", seen)
        first = faces_found.setting_of(seed, COUNT, NEGATIVES)
        other_test_faces(seed)
        second = faces_found.setting_of(seed, COUNT, NEGATIVES)
    after = [faces_found.divided(n) for n in (0, seed)]
    assert not np.allclose(after[1].test, before[1].test)
    assert not np.allclose(after[0].held, before[0].held)
    assert first == second and losses[0] == losses[1]


CELL = {"depth": 2, "boosted": 8, "windows": COUNT, "negatives": NEGATIVES}


FOUND = {0.99: 0.6, 1.0: 0.4}


class Fake:
    """A cascade that puts some held-out faces above all windows, by what stages keep."""

    def __init__(self, kept, faces):
        self.kept, self.faces = kept, len(faces)

    def judged(self, x):
        scores = np.zeros(len(x))
        if len(x) == self.faces:
            scores[: int(FOUND[self.kept] * len(x))] = 1.0
        return Judged(scores)


class Judged(NamedTuple):
    scores: np.ndarray


@pytest.mark.parametrize(("depth", "chosen"), [(2, 0.99), (1, 1.0)])
def test_stages_keep_what_finds_most_held_out_faces(monkeypatch, depth, chosen):
    """Of one stage nothing is to be chosen."""
    monkeypatch.setattr(
        faces_found.cascade,
        "learn",
        lambda every, faces, others, held, counts, negatives, kept, seed: Fake(
            kept, held
        ),
    )
    cell = {**CELL, "depth": depth, "false_positives": 0.01}
    every = haar.features(face_windows.SIDE, 8)
    kept, made = faces_found.learned(cell, 0, every)
    assert kept == made.kept == chosen
