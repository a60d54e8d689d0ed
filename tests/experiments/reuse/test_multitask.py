"""Two tasks: which nets there are, and that labels keep their names."""

import numpy as np
import pytest

from depthbench.experiments.reuse import alphabets, multitask_shown
from depthbench.experiments.reuse.multitask import STUDY
from depthbench.research.datasets import glyphs
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal


def cells(**typed):
    chosen = chosen_values(STUDY, "standard", typed)
    return STUDY.fit(grid(STUDY, chosen), set(typed))[0]


def test_no_more_layers_are_shared_than_there_are():
    assert {cell["shared"] for cell in cells(depth=(2,))} == {0, 1, 3}
    with pytest.raises(Refusal, match="shared 5: the deepest net has 3 layers"):
        cells(depth=(2,), shared=(5,))


def test_second_labels_are_called_what_they_are():
    drawn = glyphs.letters(60)
    for second, own in (("script", drawn.script), ("font", drawn.font)):
        names = multitask_shown.second_names(second)
        labels = alphabets.parts(glyphs.SCRIPTS, 60, 1, second).train.y
        if second == "script":
            assert [names[n] for n in labels] == own.tolist()
        else:
            assert np.array_equal(labels, own[:, 0]) and len(names) == 12


def row(shared, gain, cosine):
    return {"shared": shared, "gain": gain, "cosine_start": 0.0, "cosine_end": cosine}


def test_the_gain_is_that_of_the_most_shared_layers():
    said = multitask_shown.gain_of(
        [row(5, 0.05, 0.1), row(3, 0.9, 0.9), row(1, -0.01, -0.2)]
    )
    assert said.startswith("+0.050 with 5 shared layers ") and "0.9" not in said
