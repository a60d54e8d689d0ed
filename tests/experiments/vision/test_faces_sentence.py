"""The first sentence of `faces` says what its verdicts are, whichever they are."""

import pytest

from depthbench.experiments.vision import faces
from depthbench.research.report import published

AHEAD, LEVEL, BEHIND = 0.2, 0.0, -0.2  # gaps, whose error is a hundredth


def answer(cascade, cnn):
    """Of the committed rows, with other gaps to the strong baseline."""
    gaps = {"cascade": cascade, "cnn": cnn}
    rows = [
        {
            **row,
            "gap": gaps[row["detector"]],
            "gap_se": 0.01,
            "score": row["strong"] + gaps[row["detector"]],
            "valid": row["valid"] + gaps[row["detector"]],
        }
        for row in published.made("faces").rows
    ]
    return faces.headline(rows).answer


@pytest.mark.parametrize(
    ("cascade", "cnn", "said"),
    [
        (LEVEL, AHEAD, "The CNN of"),
        (AHEAD, BEHIND, "The cascade of"),
        (BEHIND, BEHIND, "The strong baseline is ahead in"),
        (BEHIND, LEVEL, "The strong baseline is ahead of the cascade in"),
        (LEVEL, BEHIND, "The strong baseline is ahead of the CNN in"),
        (LEVEL, LEVEL, "No detector is surely ahead in"),
    ],
)
def test_who_is_ahead_is_said_first(cascade, cnn, said):
    sentence = answer(cascade, cnn)
    assert sentence.startswith(said)
    assert ("is ahead" in sentence) == ((cascade, cnn) != (LEVEL, LEVEL))
    assert ("not surely" in sentence) == ({cascade, cnn} == {LEVEL, BEHIND})
