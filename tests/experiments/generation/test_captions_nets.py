"""What draws sentences without a net: the best on held-out sentences is the strong one."""

from types import SimpleNamespace

import numpy as np
import pytest

from depthbench.experiments.generation import captions_nets, captions_rivals
from depthbench.research.datasets import captions as sentences

TRAIN, VALID, TEST = (
    sentences.captioned(n, seed) for n, seed in ((60, 0), (20, 1), (30, 2))
)
SHADES = {"nearest": 0.0, "template": 1.0, "mixture": 2.0}


def shaded(name, words):
    return np.full((len(words), 16, 16, 3), SHADES[name], np.float32)


@pytest.mark.parametrize("best", SHADES)
def test_held_out_sentences_choose_it_and_not_the_test_ones(best, monkeypatch):
    """The judge sees all of the best's right when held out, none of the test's."""

    def picked(known, words):
        return shaded("nearest" if known is TRAIN else "template", words)

    def seen(x):
        part = VALID if len(x) == len(VALID.x) else TEST
        right = (x[0, 0, 0, 0] == SHADES[best]) == (part is VALID)
        return part.words if right else np.zeros_like(part.words)

    mixtures = SimpleNamespace(scenes=lambda words, shape: shaded("mixture", words))
    monkeypatch.setattr(captions_nets, "parts", lambda count: (TRAIN, VALID, TEST))
    monkeypatch.setattr(captions_rivals, "picked", picked)
    monkeypatch.setattr(captions_rivals, "tuned", lambda *parts: mixtures)
    judge = SimpleNamespace(sentences=seen)
    monkeypatch.setattr(captions_nets, "judge", lambda *asked: judge)
    chosen, made = captions_nets.drawn_without.__wrapped__(60, 1)
    assert chosen == best
    np.testing.assert_array_equal(made["strong"], shaded(best, TEST.words))
    assert made["real"] is TEST.x and len(made["trivial"]) == len(TEST.x)
