"""`autoencoder_pca`: stacks that are halved to a code, and the net that has one."""

import numpy as np
import pytest

from depthbench.experiments.unsupervised import autoencoder_pca as study
from depthbench.research.learning import fits, greedy, held_out
from depthbench.research.study.errors import Refusal

CELL = {"depth": 4, "width": 16, "code": 3, "dataset": "digits", "pretraining": 2}


def test_a_stack_is_halved_to_its_code_and_back():
    net = fits.fresh(study.net_of(CELL, held_out.parts("digits")))
    x = held_out.parts("digits").test.x[:5]
    assert [state.shape[1] for state in net.states(x)] == [16, 8, 3, 8, 16]
    assert study.code_of(net, x).shape == (5, 3) and net.outputs(x).shape == (5, 64)
    assert study.widths_of(CELL) == [16, 8, 3]


def test_a_stack_of_machines_gives_an_image_as_its_autoencoder_does():
    """The unrolled net's output is what goes up by all machines and down again."""
    parts = held_out.parts("digits")
    x = study.flat(parts.train.x)
    net = study.begun(study.net_of(CELL, parts), CELL, x, seed=0)
    machines, h = [], x
    for width in study.widths_of(CELL):
        machines.append(greedy.layer("rbm", h, width, 2, 0).machine)
        h = greedy.hidden_of(machines[-1], h)
    h = h[:5]
    for number, one in enumerate(reversed(machines)):
        h = np.asarray(one.down(h))
        if number < len(machines) - 1:
            h = 1 / (1 + np.exp(-h))
    # float32, through six layers
    np.testing.assert_allclose(net.outputs(parts.train.x[:5]), h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"code": 5}, "halved to 4, which is less than a code of 5"),
        ({"depth": 3}, "it must be even"),
    ],
)
def test_stacks_that_cannot_be_are_one_line(change, line):
    with pytest.raises(Refusal, match=line):
        study.fit([{**CELL, **change}], set())
    kept, lines = study.fit([{**CELL, **change}, CELL], set())
    assert kept == [CELL] and line in lines[0]
