"""What a division of the faces is tuned by, and how its machine is asked."""

import numpy as np
import pytest

from depthbench.experiments.vision import faces_found
from depthbench.research.datasets import face_windows

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
